"""PostgreSQL: a statement of the hot path is planned once on each connection, and looks rows up by their ids for ever.

The server plans it when it is first used, by what it knows of the tables at that moment, and keeps that plan while they
grow. So it must not matter what the tables are like.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from store.definitions import playbooks
from store.engine import db, group_commit
from store.engine.db import Connection
from store.executions import combined, runs, steps, transitions
from tests.support import committer

pytestmark = [pytest.mark.on_both, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

_END = ("owner", "output", "error", "logs", "due_at", "waiting_for", "completed_at")

STATEMENTS = {
    "accept": transitions._audited_insert,
    "claim": transitions._audited("running", "may be claimed", ("owner",), False, "", False),
    "claim of a step": transitions._audited("running", "step may be claimed", ("owner",), False, "", False),
    "end": transitions._audited("completed", "is running", _END, True, "", False),
    "end that keeps a key": transitions._audited("failed", "is running", _END, True, "freed", False),
    "begin of a run": combined._adding("running", "run has not begun", ("started_at", "due_at"), False, True, ""),
    "end and next step": combined._adding("completed", "step is running", _END, True, True, ""),
    "end of a run": combined._ending("completed", "step is running", _END, "completed", ""),
    "end of a branch": combined._arriving("completed", "step is running", _END, ""),
    "run": runs._one,
    "step": steps._one,
    "results": steps._results_of(4),
    "playbook and its actions": playbooks._beginning,
}


#: what the server knows of the tables when it plans: nothing, or what they had when it last counted
COUNTED = (None, 2, 40)


@pytest.mark.parametrize("before", COUNTED)
def test_each_row_is_looked_up(database: str, before: int | None) -> None:
    """No statement, alone or for several changes at once, has a plan that reads all executions, or all of an index."""
    if before is not None:
        committer.together([partial(committer.accept, execution_id=f"exec-{number}") for number in range(before)])
        with db.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    wrong = []
    with db.hot() as connection:
        for name, statement in STATEMENTS.items():
            texts = [statement._compile(connection.dialect)[0]]
            texts += [statement.set_form(connection.dialect).text] if statement.keys else []
            for text in texts:
                plan = planned(connection, text)
                wrong += [f"{name}: {scan}" for scan in scans(plan) if "Index Cond" not in scan and grows(scan)]
                assert list(scans(plan)) or name == "accept"
    assert not wrong


def test_a_statement_is_kept_from_its_first_use_on(database: str) -> None:
    """Look-ups, and a transaction of several statements: each is planned once, for whatever values come."""
    committer.together([partial(committer.accept, execution_id=f"exec-{number}") for number in range(2)])
    for number in range(2):
        assert db.look_up(runs.read, f"pexec-{number}") is None
        assert group_commit.commit(partial(ended_twice, f"exec-{number}"), hot=True) == (None, None)
    with db.hot() as connection:
        kept = connection.exec_driver_sql("SELECT generic_plans, custom_plans FROM pg_prepared_statements").all()
    assert max(plans.generic_plans for plans in kept) == 4
    assert {plans.custom_plans for plans in kept} == {0}


def ended_twice(execution_id: str, connection: Connection) -> tuple[Any, Any]:
    """A transaction of two statements; the execution is pending, so neither ends it."""
    end = partial(transitions.transition, connection, execution_id, "completed", fence=1, guard="is running")
    return end(), end()


def planned(connection: Connection, text: str) -> dict[str, Any]:
    """The plan of a statement for whatever values come, as the server makes it on this connection."""
    said = db.raw(connection).execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}", prepare=False).fetchone()
    plan: dict[str, Any] = said[0][0]["Plan"]
    return plan


def grows(scan: dict[str, Any]) -> bool:
    """Whether it is an access to a table that has more rows with each day; small ones are counted again soon."""
    return re.search("executions|audit", scan.get("Relation Name", scan.get("Index Name"))) is not None


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The accesses to tables in a plan; of those that go by a bitmap, the accesses to the index."""
    if plan["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        yield plan
    for part in plan.get("Plans", []):
        yield from scans(part)
