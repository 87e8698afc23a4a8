"""PostgreSQL: many changes of one kind as one statement, each with its own fence, audit row and answer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from store import audit
from store.engine import db, set_based
from store.engine.db import Connection, IntegrityError
from store.executions import rows, runs, steps, transitions
from store.executions.steps import End, Moves
from tests.support import committer
from tests.support.executions import new_execution
from tests.support.runs import begin, enter

pytestmark = [pytest.mark.on_both, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

OWNER = "steps@set"
NAMES = [f"exec-{number:02d}" for number in range(8)]

Change = Callable[[Connection], Any]


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many changes each set-based statement was sent for."""
    sent: list[int] = []
    real = set_based.SetForm.values

    def counted(self: set_based.SetForm, given: Sequence[Any]) -> list[Any]:
        sent.append(len(given))
        return real(self, given)

    monkeypatch.setattr(set_based.SetForm, "values", counted)
    return sent


def accepted(names: Sequence[str] = NAMES) -> list[Any]:
    return committer.together([partial(committer.accept, execution_id=name) for name in names], single=True)


def claimed(names: Sequence[str] = NAMES) -> list[Any]:
    return committer.together([partial(committer.claim, execution_id=name) for name in names], single=True)


def found(execution_id: str) -> Any:
    """An execution as the database holds it."""
    table = transitions.executions
    with db.read() as connection:
        return connection.execute(table.select().where(table.c.id == execution_id)).one_or_none()


def events(subject: str) -> list[str]:
    """What the audit trail says happened to it."""
    with db.read() as connection:
        return [row.event.removeprefix("execution.") for row in audit.of(connection, "w", subject)]


def test_several_of_one_kind_are_one_statement(database: str, sets: list[int]) -> None:
    """Accepts, claims and ends of eight executions are three statements, each with eight audit rows."""
    assert accepted() == NAMES
    assert [row.id for row in claimed()] == NAMES
    assert (
        committer.together([partial(committer.finish, execution_id=name) for name in NAMES], single=True) == [True] * 8
    )
    assert sets == [8, 8, 8]
    assert [events(name) for name in NAMES] == [["accepted", "running", "completed"]] * 8


def test_rows_that_are_added_together_are_one_statement(database: str, sets: list[int]) -> None:
    """Six branches that begin in one transaction are added as one, each with its audit row; two one by one."""
    new = [rows.action({**new_execution(id=name), "due_at": 0}) for name in NAMES]
    with db.write() as connection:
        transitions.add(connection, new[:6], "key")
        transitions.add(connection, new[6:], "key")
    assert sets == [6]
    assert [found(name).status for name in NAMES] == ["pending"] * 8
    assert [events(name) for name in NAMES] == [["accepted"]] * 8


def test_the_server_plans_a_statement_once(database: str) -> None:
    """Alone and together: from its first use on a statement is kept, with a plan for whatever values come."""
    for name in ("exec-a", "exec-b", "exec-c"):
        accepted([name])
        claimed([name])
    accepted()
    claimed()
    with db.hot() as connection:
        counts = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE 'WITH%%'"
        kept = connection.exec_driver_sql(counts).all()
    assert [plans.custom_plans for plans in kept] == [0] * 4, "two kinds, each alone and together"
    assert sorted(plans.generic_plans for plans in kept) == [1, 1, 3, 3]


def test_two_of_one_kind_go_one_by_one(database: str, sets: list[int]) -> None:
    """Below three a statement of its own for each costs no more."""
    assert accepted(NAMES[:2]) == NAMES[:2]
    assert sets == []


def test_kinds_that_meet_go_as_one_statement_each(database: str, sets: list[int]) -> None:
    """Four claims and four ends in one transaction: two statements, and each caller has its own answer."""
    accepted()
    claimed(NAMES[:4])
    sets.clear()
    ends = [partial(committer.finish, execution_id=name) for name in NAMES[:4]]
    claims = [partial(committer.claim, execution_id=name) for name in NAMES[4:]]
    outcomes = committer.together([*ends, *claims], single=True)
    assert outcomes[:4] == [True] * 4
    assert [row.id for row in outcomes[4:]] == NAMES[4:]
    assert sorted(sets) == [4, 4]


def test_each_fence_is_guarded_by_itself(database: str, sets: list[int]) -> None:
    """Of eight ends every second belongs to an attempt that was taken over: it changes nothing and leaves no trace."""
    accepted()
    claimed()
    with db.write() as connection:
        for name in NAMES[::2]:
            assert transitions.transition(connection, name, "pending", fence=1, owner=None, due_at=0) is not None
            assert transitions.claim(connection, name, "steps@new", 60_000) is not None
    before = [found(name) for name in NAMES[::2]]
    sets.clear()
    outcomes = committer.together([partial(committer.finish, execution_id=name) for name in NAMES], single=True)
    assert outcomes == [False, True] * 4
    assert sets == [8]
    assert [found(name) for name in NAMES[::2]] == before
    assert [events(name).count("completed") for name in NAMES] == [0, 1] * 4


POISON: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a second row of the id": ({"id": NAMES[0]}, IntegrityError),
    "a text that no database stores": ({"input": '{"a": "\0"}'}, Exception),
    "half a character": ({"input": "\ud800"}, Exception),
    "a number that is none": ({"timeout_ms": float("nan")}, Exception),
}


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_member_harms_no_other(database: str, sets: list[int], poison: str) -> None:
    """The batch is refused as a whole and made one by one: seven are accepted, the poisoned one alone raises."""
    more, error = POISON[poison]
    accepted(NAMES[:1])

    def bad(connection: Connection) -> None:
        transitions.accept(connection, new_execution(**{"id": "exec-bad", **more}), publish_again_at=0)

    good: list[Change] = [partial(committer.accept, execution_id=name) for name in NAMES[1:]]
    outcomes = committer.together([*good[:3], bad, *good[3:]], single=True)
    assert sets == [8], "they were tried together"
    assert isinstance(outcomes.pop(3), error)
    assert outcomes == NAMES[1:]
    assert [events(name) for name in NAMES] == [["accepted"]] * 8
    assert found("exec-bad") is None


def run_with_step(run_id: str) -> str:
    """A run under way, whose step ``a`` OWNER holds."""
    now = db.now_ms()
    row = rows.run({**new_execution(id=run_id), "action_id": "pb", "due_at": now, "expires_at": now + 60_000})
    with db.write() as connection:
        transitions.add(connection, [row], "key")
    begin(run_id)
    enter(run_id, "a", owner=OWNER, attempt=1)
    return run_id


def following(run_id: str) -> Moves:
    """A step that OWNER carries out at once."""
    row = {**new_execution(id=f"{run_id}.b"), "run_id": run_id, "step_id": "b", "iteration": "", "type": "action"}
    made = rows.step({**row, "previous_id": f"{run_id}.a"})
    rows.claim(made, OWNER, 60_000)
    return Moves(rows=[made])


def end_of(run_id: str, moves: Moves, connection: Connection) -> Any:
    return steps.end_step(
        connection, f"{run_id}.a", "completed", moves, run_id=run_id, actor=OWNER, fence=1, owner=None, output="{}"
    )


def everything(about: str) -> list[Any]:
    """Each column of what is called so, and of its audit rows, but for times, ids and transactions."""
    table, trail = transitions.executions, audit.audit
    times = {"at", "began_at", *(column.name for column in table.c if column.name.endswith("_at"))}
    with db.read() as connection:
        executions = connection.execute(sa.select(table).where(table.c.id.like(f"{about}%")).order_by(table.c.id))
        noted = connection.execute(sa.select(trail).where(trail.c.subject.like(f"{about}%")).order_by(trail.c.id))
        return [
            {
                name: value.replace(about, "X") if isinstance(value, str) else value
                for name, value in row._asdict().items()
                if name not in times and name != "xid" and not (name == "id" and isinstance(value, int))
            }
            for row in [*executions, *noted]
        ]


@pytest.mark.parametrize("what", ["a step follows", "the run ends", "a branch ends"])
def test_both_ways_write_the_same(database: str, sets: list[int], monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Rows and audit rows of ends that went as one statement are those of ends that went one by one."""

    def moves(run_id: str) -> Moves:
        if what == "a step follows":
            return following(run_id)
        return Moves(end=End(status="completed", output={"a": 1})) if what == "the run ends" else Moves()

    written = []
    for least in (4, 99):
        monkeypatch.setattr(set_based, "LEAST", least)
        run_ids = [run_with_step(f"pexec-{least:02d}-{number}") for number in range(6)]
        if what == "a branch ends":
            written.append(_branches(run_ids[0]))
            continue
        outcomes = committer.together([partial(end_of, run_id, moves(run_id)) for run_id in run_ids], single=True)
        assert [ours for ours, _ in outcomes] == [True] * 6
        written.append([sorted(map(repr, everything(run_id))) for run_id in run_ids])
    assert sets[-1] == 6, "the first six went as one"
    assert written[0] == written[1]


def _branches(run_id: str) -> Any:
    """What six branches of a parallel step leave that end at once, two of them in failure."""
    enter(run_id, "all", type="parallel", open=6, cursor=6)
    for number in range(6):
        enter(run_id, f"s{number}", owner=OWNER, parent_id=f"{run_id}.all")

    def end(number: int, connection: Connection) -> Any:
        moves = Moves(arrivals=[(f"{run_id}.all", number < 2)])
        step = f"{run_id}.s{number}"
        return steps.end_step(connection, step, "completed", moves, run_id=run_id, actor=OWNER, fence=1, owner=None)

    outcomes = committer.together([partial(end, number) for number in range(6)], at=f"{run_id}.all", single=True)
    assert [ours for ours, _ in outcomes] == [True] * 6
    assert [waiting for _, waiting in outcomes if waiting] == [[f"{run_id}.all"]], "one of them hears of the last"
    container = found(f"{run_id}.all")
    assert (container.open, container.failures) == (0, 2)
    return sorted(map(repr, everything(run_id)))


def test_branches_of_an_ended_run_are_not_counted(database: str, sets: list[int]) -> None:
    """The run was cancelled between the calls and their ends: these are true, and the container stays as it was."""
    run_id = run_with_step("pexec-1")
    enter(run_id, "all", type="parallel", open=5, cursor=5)
    for number in range(5):
        enter(run_id, f"s{number}", owner=OWNER, parent_id=f"{run_id}.all")
    with db.write() as connection:
        assert steps.end_run(connection, run_id, End(status="cancelled"), "key")

    def end(number: int, connection: Connection) -> Any:
        moves = Moves(arrivals=[(f"{run_id}.all", False)])
        step = f"{run_id}.s{number}"
        return steps.end_step(connection, step, "completed", moves, run_id=run_id, actor=OWNER, fence=1, owner=None)

    outcomes = committer.together([partial(end, number) for number in range(5)], at=f"{run_id}.all", single=True)
    assert outcomes == [(True, None)] * 5
    assert sets == [5]
    assert found(f"{run_id}.all").open == 5
    with db.read() as connection:
        assert runs.get(connection, "w", run_id).status == "cancelled"


@pytest.mark.parametrize("poison", POISON)
def test_what_goes_before_a_poisoned_statement_happens_once(database: str, sets: list[int], poison: str) -> None:
    """Four claims go as one statement, a poisoned accept follows it: each claim is made once, and its caller told."""
    more, error = POISON[poison]
    accepted(NAMES[:4])

    def bad(connection: Connection) -> None:
        transitions.accept(connection, new_execution(**{"id": "exec-bad", **more}), publish_again_at=0)

    outcomes = committer.together(
        [*(partial(committer.claim, execution_id=name) for name in NAMES[:4]), bad], single=True
    )
    assert isinstance(outcomes.pop(), error)
    assert [row.id for row in outcomes] == NAMES[:4], "each caller has what it claimed"
    assert [events(name) for name in NAMES[:4]] == [["accepted", "running"]] * 4


@pytest.mark.parametrize("uses", [4, 5])
@pytest.mark.parametrize("number", [1, 4])
def test_a_statement_behind_a_refused_one_can_be_sent_again(
    database: str, sets: list[int], number: int, uses: int
) -> None:
    """The server skips what follows a refused statement; the driver, which prepares one at its sixth use, learns it."""

    def claims(turn: int) -> list[Change]:
        names = [f"late-{turn}-{one}" for one in range(number)]
        with db.write() as connection:
            for name in names:
                committer.accept(connection, name)
        return [partial(committer.claim, execution_id=name) for name in names]

    accepted(NAMES[:1])
    for turn in range(uses):
        committer.together(claims(turn), single=True)
    for turn in (6, 7, 8):
        again: Change = partial(committer.accept, execution_id=NAMES[0])
        first, *others = committer.together([again, *claims(turn)], single=True)
        assert isinstance(first, IntegrityError)
        assert [row.id for row in others] == [f"late-{turn}-{one}" for one in range(number)]
    with db.write() as connection:
        there = connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").scalars().all()
        assumed = db.raw(connection)._prepared._names.values()
    assert {name.decode() for name in assumed} <= set(there), "the driver assumes no statement that the server lacks"
