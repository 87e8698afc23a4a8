"""The audit trail compared with the executions, row by row."""

from tests.support.stack import Stack


def half_written(stack: Stack) -> list[str]:
    """What only one of the two tables, executions and audit, has.

    Each execution has its audit rows, the first of which says how it came to be, one for each time it was taken up, and
    the last of which is its status; and no audit row is about an execution that is not there.
    """
    rows = {row["id"]: row for row in stack.rows("SELECT id, kind, type, status, attempt FROM executions")}
    trails: dict[str, list[str]] = {}
    for noted in stack.rows("SELECT subject, event FROM audit WHERE event LIKE 'execution.%' ORDER BY id"):
        trails.setdefault(noted["subject"], []).append(noted["event"].removeprefix("execution."))
    faults = [f"{subject} is not there and was {trails[subject]}" for subject in trails.keys() - rows.keys()]
    for execution_id, row in rows.items():
        trail = trails.get(execution_id, [])
        last = "accepted" if row["status"] == "pending" and len(trail) == 1 else row["status"]
        if trail[-1:] != [last] or trail.count("accepted") > 1 or "accepted" in trail[1:]:
            faults.append(f"{execution_id} is {row['status']} and was {trail}")
        calls = row["kind"] == "action" or row["type"] == "action"
        if calls and row["status"] != "skipped" and trail.count("running") != row["attempt"]:
            faults.append(f"{execution_id} was taken up {row['attempt']} times and was {trail}")
    return faults
