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
    return faults + _unrecorded(stack)


def _unrecorded(stack: Stack) -> list[str]:
    """What was to go out, has ended and has not exactly one record; and records of anything else."""
    calls = "kind NOT IN ('playbook', 'step') OR kind = 'step' AND type = 'action' AND revision_id <> ''"
    ended = "status IN ('completed', 'failed', 'timeout', 'cancelled', 'skipped')"
    wanted = {
        row["id"] for row in stack.rows(f"SELECT id FROM executions WHERE mode = 'live' AND ({calls}) AND {ended}")
    }
    carried = {row["subject"] for row in stack.rows("SELECT subject FROM audit WHERE event = 'execution.carried'")}
    found: dict[str, int] = {}
    for row in stack.rows("SELECT subject FROM audit WHERE outcome IS NOT NULL AND event LIKE 'execution.%'"):
        found[row["subject"]] = found.get(row["subject"], 0) + 1
    expected = dict.fromkeys(wanted - carried, 1)
    return [
        f"{subject} has {found.get(subject, 0)} records, not {expected.get(subject, 0)}"
        for subject in sorted(found.keys() | expected.keys())
        if found.get(subject, 0) != expected.get(subject, 0)
    ]
