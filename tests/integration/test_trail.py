"""The order of the audit trail: who reads on misses nothing and sees nothing twice, whoever writes meanwhile."""

import random
import threading
import time

import pytest
import sqlalchemy as sa

from config.settings import settings
from store import audit, migrate, trail
from store.engine import db
from store.trail import Position
from tasks.clock import metrics

pytestmark = pytest.mark.on_both

BEGINNING, SUBJECTS = Position(), trail.Reading("id", "subject")
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def note(connection: db.Connection, subject: str) -> None:
    """Write one audit row."""
    audit.record(connection, "w", "me", "tested", subject)


def read_on(after: Position = BEGINNING, limit: int = 7) -> tuple[list[str], Position]:
    """The subjects behind a place, bite by bite, and the place reached; a look ahead first comes to the same."""
    subjects: list[str] = []
    while True:
        with db.read() as connection:
            ahead = trail.ahead(connection, after, limit)
            same = [] if ahead is None else trail.between(connection, SUBJECTS, ahead, ahead.upto, limit, {})
            found = trail.settled(connection, after, limit)
        places = [entry.position for entry in same]
        assert places == [entry.position for entry in found][: len(places)]
        assert [place for place in (ahead and ahead.upto,) if place] == places[-1:]
        assert len(places) == (ahead.rows if ahead else 0)
        subjects += [entry.row.subject for entry in found]
        assert [entry.position for entry in found] == sorted(entry.position for entry in found)
        if not found:
            return subjects, after
        after = found[-1].position


def test_rows_are_read_in_the_order_in_which_they_were_written(database: str) -> None:
    """Bite by bite, from any place; behind the last there is nothing until more is written."""
    for number in range(20):
        with db.write() as connection:
            note(connection, f"thing-{number}")
    subjects, place = read_on()
    assert subjects == [f"thing-{number}" for number in range(20)]
    assert read_on(place) == ([], place)
    with db.write() as connection:
        note(connection, "later")
    assert read_on(place)[0] == ["later"]


@only_postgresql
def test_a_row_of_a_transaction_that_commits_late_is_not_skipped(database: str) -> None:
    """What was written behind it is not settled before it: ids alone would pass it by."""
    with db.engine().connect().execution_options(isolation_level="READ COMMITTED") as slow, slow.begin():
        note(slow, "slow")
        with db.write() as connection:
            note(connection, "quick")
        subjects, place = read_on()
        assert subjects == []
    assert read_on(place)[0] == ["slow", "quick"]


@only_postgresql
@pytest.mark.parametrize("seed", range(3))
def test_transactions_held_at_random_are_each_read_once(database: str, seed: int) -> None:
    """Eight writers hold, roll back and commit as it comes, while a reader follows."""
    kept: list[str] = []
    over = threading.Event()

    def write(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        engine = sa.create_engine(settings().database_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            for turn in range(25):
                connection.begin()
                mine = [f"{number}.{turn}.{each}" for each in range(dice.randint(1, 4))]
                for subject in mine:
                    note(connection, subject)
                    time.sleep(dice.choice((0, 0, 0.001, 0.01)))
                if dice.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()
                    kept.extend(mine)
        engine.dispose()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    threading.Thread(target=lambda: ([each.join() for each in writers], over.set())).start()
    seen, place = read_on(limit=5)
    while not over.is_set():
        more, place = read_on(place, limit=5)
        seen += more
    seen += read_on(place)[0]
    assert len(kept) > 100
    assert sorted(seen) == sorted(kept)


@only_postgresql
def test_a_database_restored_elsewhere_goes_on(database: str) -> None:
    """Rows that another cluster numbered higher come first, each once, and then what is written here."""
    for number in range(5):
        with db.write() as connection:
            note(connection, f"old-{number}")
    place = read_on()[1]
    with db.engine().connect() as connection:  # as a dump brings them: numbered by a cluster that was further ahead
        brought = "INSERT INTO audit (workspace_id, at, actor, event, subject, xid) VALUES ('w', 0, 'a', 'e', %s, %s)"
        for subject, xid in (("brought-1", 9_000_000_001), ("brought-2", 9_000_000_000)):
            connection.exec_driver_sql(brought, (subject, xid))
        connection.exec_driver_sql("UPDATE trail_epochs SET cluster = 'another' WHERE epoch = 1")
    with db.write() as connection:
        note(connection, "new")
        assert trail.settled(connection, place, 10) == []
    for _ in range(2):  # once is enough
        with db.write() as connection:
            trail.begin_epoch(connection)
    subjects, place = read_on(place)
    assert subjects == ["brought-2", "brought-1", "new"]
    assert place.epoch == 2
    assert read_on()[0] == [*(f"old-{number}" for number in range(5)), "brought-2", "brought-1", "new"]


def test_rows_of_before_the_numbering_come_first(empty_database: str) -> None:
    """An installation that is updated has its rows of before, in the order of their ids, then those of afterwards."""
    from alembic import command

    configuration = migrate.configuration()
    command.upgrade(configuration, "0009")
    with db.write() as connection:
        for number in range(3):
            note(connection, f"before-{number}")
    command.upgrade(configuration, "head")
    with db.write() as connection:
        note(connection, "afterwards")
    assert read_on(limit=2)[0] == ["before-0", "before-1", "before-2", "afterwards"]
    with db.read() as connection:
        begun = trail.mark(connection, metrics.READER)
    assert read_on(begun)[0] == ["afterwards"]
    db.dispose()
    command.downgrade(configuration, "0009")
    with db.write() as connection:
        note(connection, "back")
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), db.engine().begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit")


def test_no_new_row_takes_the_place_of_one(database: str) -> None:
    """On SQLite a replacing INSERT would delete the row before without asking the triggers of DELETE."""
    with db.write() as connection:
        note(connection, "mine")
    ways = ("INSERT OR REPLACE INTO", "REPLACE INTO") if "sqlite" in database else ("INSERT INTO",)
    columns = "(id, workspace_id, at, actor, event, subject)"
    for way in ways:
        with pytest.raises(sa.exc.DatabaseError), db.engine().begin() as connection:
            taken = "(SELECT max(id) FROM audit)"
            connection.exec_driver_sql(f"{way} audit {columns} VALUES ({taken}, 'default', 1, 'x', 'forged', 'x')")
    assert read_on()[0] == ["mine"]


def test_a_mark_moves_once(database: str) -> None:
    """Of two readers of one name that saw the same rows, one moves the mark."""
    there = Position(1, 5, 7)
    for moved in (True, False):
        with db.write() as connection:
            assert trail.advance(connection, "tests", Position(), there) is moved
    with db.write() as connection:
        assert trail.mark(connection, "tests") == there
        assert trail.advance(connection, "tests", there, Position(1, 6, 8))


@only_postgresql
def test_a_transaction_that_stays_open_is_logged(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its session, once a minute; not one that is over soon."""
    monkeypatch.setattr(metrics, "PATIENCE", 0.05)
    held = metrics.Held()
    engine = sa.create_engine(
        settings().database_url, poolclass=sa.NullPool, connect_args={"application_name": "sleepy"}
    )
    with engine.connect() as slow:
        note(slow, "slow")
        with db.write() as connection:  # one that ends and has to wait to be read
            note(connection, "quick")
        for _ in range(4):
            with db.read() as connection:
                held.look(connection)
            time.sleep(0.04)
    logged = capsys.readouterr().out
    assert logged.count("transaction stays open") == 1
    assert "(sleepy)" in logged
    engine.dispose()
