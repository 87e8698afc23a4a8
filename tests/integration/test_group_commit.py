"""Changes that share a transaction: each gets its own result, a bad one harms no other."""

import contextlib
import os
import sqlite3
import threading
from contextlib import closing
from functools import partial

import pytest
import sqlalchemy as sa

from config.errors import Unavailable
from store import audit
from store.engine import db, group_commit, pool
from tests.support import committer
from tests.support.waiting import eventually

pytestmark = pytest.mark.on_both


def _note(number: int):
    def change(connection):
        audit.record(connection, "w", "me", "tested", f"thing-{number}")
        return number

    return change


def _break(connection):
    audit.record(connection, "w", "me", "tested", "broken")
    raise ValueError("no")


def _events(subject: str) -> int:
    with db.read() as connection:
        return len(audit.of(connection, "w", subject))


def test_each_caller_gets_the_result_of_its_own_change(database: str) -> None:
    """A hundred changes at once are all made, each once; each caller gets its own result."""
    assert committer.together([_note(number) for number in range(100)]) == list(range(100))
    assert [_events(f"thing-{number}") for number in range(100)] == [1] * 100


def test_a_bad_change_harms_no_other(database: str) -> None:
    """Of a batch with one that raises, the others are committed once and the bad one leaves nothing behind."""
    outcomes = committer.together([_note(1), _break, _note(2)])
    assert (outcomes[0], outcomes[2]) == (1, 2)
    assert isinstance(outcomes[1], ValueError)
    assert [_events(name) for name in ("thing-1", "thing-2", "broken")] == [1, 1, 0]


def test_the_end_of_a_leader_leaves_no_change_waiting(sqlite_database: str) -> None:
    """When the one that commits for all is ended, the others hear that nothing was accepted."""

    def end(connection):
        raise SystemExit

    with pytest.raises(SystemExit):
        group_commit.commit(end)
    assert group_commit.commit(_note(7)) == 7


def test_changes_share_a_transaction_on_sqlite(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The changes that gather during a commit take a single further transaction."""
    used, real = [], db.write

    def counted(**options):
        used.append(options)
        return real(**options)

    monkeypatch.setattr(db, "write", counted)
    committer.together([_note(number) for number in range(20)])
    assert len(used) == 2


def test_what_is_ready_in_the_api_shares_a_transaction_on_sqlite(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a greenlet of the API commits, those that the network has for it come, too."""
    used, real, others = [], db.write, list[threading.Thread]()

    def counted(**options):
        used.append(options)
        return real(**options)

    def come(_seconds: float) -> None:
        others.append(threading.Thread(target=group_commit.commit, args=[_note(2)]))
        others[-1].start()
        eventually(lambda: len(group_commit._here.in_turn._waiting) == 2, 30, "the other has come")

    monkeypatch.setattr(db, "write", counted)
    monkeypatch.setattr(group_commit.aside, "has_loop", lambda: True)
    monkeypatch.setattr(group_commit.waiting, "sleep", come)
    assert group_commit.commit(_note(1)) == 1
    others[0].join()
    assert len(used) == 1
    assert [_events(f"thing-{number}") for number in (1, 2)] == [1, 1]


def test_a_leader_whose_batch_was_taken_along_begins_nothing() -> None:
    """Another leader has taken all changes while it let others come: there is no transaction without a change."""
    sizes: list[int] = []
    group = group_commit._Group(lambda batch: sizes.append(len(batch)))
    group._lead(group_commit._Item(_note(1), ""))
    assert sizes == []
    group.commit(_note(1), "")
    assert sizes == [1]


only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
NAMES = [f"exec-{number:02d}" for number in range(20)]


def _accepted(names=NAMES):
    with db.write() as connection:
        for name in names:
            committer.accept(connection, name)


def _claims(names):
    return [partial(committer.claim, execution_id=name) for name in names]


def _running():
    """The claimed executions, in the order of their claims."""
    query = (
        sa.select(audit.audit.c.subject).where(audit.audit.c.event == "execution.running").order_by(audit.audit.c.id)
    )
    with db.read() as connection:
        return list(connection.execute(query).scalars())


@only_postgresql
def test_single_statements_share_a_transaction_on_postgresql(database: str) -> None:
    """Twenty executions that are accepted at once are written by one transaction, each caller's its own."""
    outcomes = committer.together([partial(committer.accept, execution_id=name) for name in NAMES], single=True)
    assert outcomes == NAMES
    with db.read() as connection:
        writers = connection.execute(sa.text("SELECT count(*), count(DISTINCT xmin::text) FROM executions")).one()
    assert tuple(writers) == (20, 1)


def test_each_claim_of_a_batch_gets_its_own_row(database: str) -> None:
    """Each claim gets the row it asked for; of two claims of an execution one succeeds."""
    _accepted()
    outcomes = committer.together(_claims([*NAMES, *NAMES]), single=True)
    for name, first, second in zip(NAMES, outcomes[:20], outcomes[20:], strict=True):
        assert [row.id for row in (first, second) if row is not None] == [name]
    assert sorted(_running()) == NAMES


@only_postgresql
def test_statements_go_in_the_order_of_their_rows(database: str) -> None:
    """The rows of a batch are locked in one order, so that no two batches wait in a circle."""
    _accepted()
    assert all(committer.together(_claims(NAMES[::-1]), single=True))
    assert _running() == NAMES


@only_postgresql
def test_a_batch_that_meets_a_deadlock_is_made_one_by_one(database: str) -> None:
    """A transaction holds what the batch wants and wants what the batch holds: all claims are made all the same."""
    _accepted()
    outcomes: list[object] = []
    touch = sa.text("UPDATE executions SET publishes = 7 WHERE id = :id")
    with db.engine().connect() as other:
        other.exec_driver_sql("BEGIN")
        other.execute(touch, {"id": NAMES[9]})
        batch = threading.Thread(target=lambda: outcomes.extend(committer.together(_claims(NAMES), single=True)))
        batch.start()
        _until_a_lock_is_waited_for()
        with contextlib.suppress(sa.exc.OperationalError):  # the server chooses one of the two
            other.execute(touch, {"id": NAMES[0]})
        other.exec_driver_sql("ROLLBACK")
        batch.join(60)
    assert [getattr(row, "id", row) for row in outcomes] == NAMES
    assert sorted(_running()) == NAMES


@only_postgresql
def test_a_change_that_loses_a_deadlock_is_made_again(database: str) -> None:
    """The server ends our transaction so that another can go on: ours is made once more, without an error."""
    _accepted()
    tries: list[int] = []
    begun, closed = threading.Event(), threading.Event()

    def change(connection: db.Connection) -> str:
        tries.append(len(tries))
        committer.claim(connection, NAMES[0])
        begun.set()
        assert closed.wait(60)  # the server looks for a circle once, a second after the wait that closes it has begun
        committer.claim(connection, NAMES[1])
        return "done"

    outcomes: list[object] = []
    with db.engine().connect() as other:
        other.exec_driver_sql("SET deadlock_timeout = '1min'")  # the one who notices first is ended: that is us
        other.exec_driver_sql("SET statement_timeout = 0")
        other.exec_driver_sql("BEGIN")
        touch = sa.text("UPDATE executions SET publishes = 7 WHERE id = :id")
        other.execute(touch, {"id": NAMES[1]})
        ours = threading.Thread(target=lambda: outcomes.append(group_commit.commit(change)))
        ours.start()
        assert begun.wait(60)
        theirs = threading.Thread(target=lambda: other.execute(touch, {"id": NAMES[0]}))
        theirs.start()
        _until_a_lock_is_waited_for()
        closed.set()
        theirs.join(60)
        other.exec_driver_sql("COMMIT")
        ours.join(60)
    assert outcomes == ["done"]
    assert len(tries) > 1
    assert sorted(_running()) == NAMES[:2]


@only_postgresql
def test_a_row_that_another_process_holds_delays_no_other_row(database: str) -> None:
    """The claim of that row waits; claims of other rows go ahead meanwhile."""
    _accepted()
    (waits,) = _claims(NAMES[:1])
    claimed: list[object] = []
    with db.engine().connect() as other:
        other.exec_driver_sql("BEGIN")
        other.execute(sa.text("UPDATE executions SET publishes = 7 WHERE id = :id"), {"id": NAMES[0]})
        blocked = threading.Thread(target=lambda: claimed.append(group_commit.commit(waits, single=True)))
        blocked.start()
        _until_a_lock_is_waited_for()
        done = [group_commit.commit(change, single=True).id for change in _claims(NAMES[1:])]
        assert (done, claimed) == (NAMES[1:], [])
        other.exec_driver_sql("ROLLBACK")
        blocked.join(20)
    assert [getattr(row, "id", row) for row in claimed] == NAMES[:1]


@only_postgresql
def test_a_connection_lost_in_a_batch_is_reported_to_all(database: str) -> None:
    """Every change in it gets Unavailable, none of them is made, and the next change is."""
    _accepted()
    outcomes: list[object] = []
    with db.write() as other:
        other.execute(sa.text("UPDATE executions SET publishes = 7 WHERE id = :id"), {"id": NAMES[9]})
        batch = threading.Thread(target=lambda: outcomes.extend(committer.together(_claims(NAMES), single=True)))
        batch.start()
        _until_a_lock_is_waited_for()
        _terminate("wait_event_type = 'Lock'")
        batch.join(60)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 20
    assert _running() == []
    assert group_commit.commit(_claims(NAMES)[0], single=True).id == NAMES[0]


@only_postgresql
def test_a_change_that_breaks_its_promise_is_refused(database: str) -> None:
    """A second statement of a change that announced one raises, instead of being committed apart from the first."""
    with pytest.raises(RuntimeError, match="more than one"):
        group_commit.commit(lambda connection: [_note(number)(connection) for number in (1, 2)], single=True)


@only_postgresql
def test_connections_closed_while_they_rested_are_replaced(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has ended all of them while they rested: neither a look nor a change notices."""
    monkeypatch.setattr(pool, "IDLE", 0)
    group_commit.commit(_note(1), single=True)
    with db.read() as first, db.read() as second:
        assert first is not second, "there are two at least"
    _terminate("TRUE")
    assert db.read_one(audit.of, "w", "thing-1") != []
    assert group_commit.commit(_note(2), single=True) == 2
    with db.write() as connection:
        assert _note(3)(connection) == 3


def test_a_child_has_connections_and_a_leader_of_its_own(database: str) -> None:
    """A process that forks while a thread of it commits: both commit, over connections that they do not share."""
    begun, go = threading.Event(), threading.Event()

    def hold(connection):
        begun.set()
        assert go.wait(30)

    leader = threading.Thread(
        target=group_commit.commit, args=(hold,), kwargs={"single": db.engine().dialect.name != "sqlite"}
    )
    group_commit.commit(_note(0), single=True)
    if database == "postgresql":
        leader.start()
        assert begun.wait(10)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if group_commit.commit(_note(1), single=True) == 1 else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go.set()
    if database == "postgresql":
        leader.join(20)
    assert group_commit.commit(_note(2), single=True) == 2
    assert [_events(f"thing-{number}") for number in range(3)] == [1, 1, 1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_end_of_a_leader_is_reported_to_its_batch(database: str) -> None:
    """When one change ends the thread that leads, all of its batch hear that nothing is known, and others go on."""

    def end(connection):
        raise SystemExit

    outcomes = committer.together([end, *_changes(5)], single=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Unavailable] * 5
    assert group_commit.commit(_note(7), single=True) == 7
    assert [_events(f"thing-{number}") for number in range(5)] == [0] * 5


def test_a_writer_waits_for_the_lock_and_finds_it_again(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that another process locks out gets Unavailable; once the lock is free the next one is made."""
    monkeypatch.setattr(db, "LOCK_PATIENCE", 0.05)
    assert group_commit.commit(_note(1)) == 1
    with closing(sqlite3.connect(db.engine().url.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            group_commit.commit(_note(2))
        assert db.read_one(audit.of, "w", "thing-1") != [], "readers do not wait"
    assert group_commit.commit(_note(3)) == 3
    assert [_events(f"thing-{number}") for number in (1, 2, 3)] == [1, 0, 1]


def test_a_change_that_finds_no_writer_free_in_time_is_refused(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that takes too long makes the others of its process give up, and nothing of theirs happens."""
    monkeypatch.setattr(db, "LOCK_PATIENCE", 0.05)
    with db.write() as connection:
        with pytest.raises(Unavailable, match="too many"):
            group_commit.commit(_note(1))
        _note(2)(connection)
    assert [_events(f"thing-{number}") for number in (1, 2)] == [0, 1]


def _changes(number: int):
    return [_note(one) for one in range(number)]


def _until_a_lock_is_waited_for() -> None:
    query = sa.text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    with db.read() as connection:
        eventually(lambda: connection.execute(query).first(), 20, "the batch waits for the row")


def _terminate(where: str) -> None:
    """End the server's side of every connection to this database for which the condition holds, from outside."""
    ours = f"datname = current_database() AND pid <> pg_backend_pid() AND {where}"
    engine = sa.create_engine(db.engine().url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {ours}")).all()
    engine.dispose()
