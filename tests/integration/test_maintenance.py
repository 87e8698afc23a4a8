"""Maintenance changes many rows bite by bite, so that a request to accept never waits for long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from config.settings import settings
from store import redis as redis_store
from store.engine import db, engines
from store.executions import idempotency, transitions
from tasks.clock import losses
from tasks.clock.duty import TimeSlice
from tasks.entrypoints import maintenance
from tests.support.executions import new_execution
from tests.support.services import PostgresServer, RedisServer

#: rows of one statement
MOST = 5_000


@contextmanager
def changes(verb: str, table: str) -> Iterator[list[int | str]]:
    """The rows that each statement of this kind has changed, in order; a test may add entries of its own."""
    seen: list[int | str] = []

    def note(_connection, cursor, statement: str, *_: object) -> None:
        if statement.startswith(f"{verb} {table}"):
            seen.append(cursor.rowcount)

    sa.event.listen(db.engine(), "after_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(db.engine(), "after_cursor_execute", note)


def _keys(number: int, created_at: int) -> None:
    one = {"workspace_id": "w", "fingerprint": "f", "execution_id": "exec-1", "created_at": created_at}
    with db.write() as connection:
        connection.execute(
            sa.insert(idempotency.idempotency_keys),
            [{**one, "key": f"{created_at}-{each}"} for each in range(number)],
        )


def _left() -> set[int]:
    with db.read() as connection:
        return set(connection.scalars(sa.select(idempotency.idempotency_keys.c.created_at)))


def test_old_keys_are_forgotten_while_others_are_accepted(database: str) -> None:
    """However many there are, each statement deletes some thousands, and others write between two of them."""
    old, fresh = db.now_ms() - (settings().idempotency_hours * 3_600_000 + 60_000), db.now_ms()
    _keys(12_000, old)
    over = threading.Event()

    with changes("DELETE FROM", "idempotency_keys") as seen:

        def accept() -> None:
            number = 0
            while not over.wait(0.001):
                number += 1
                with db.write() as connection:
                    idempotency.remember(
                        connection, "w", f"new-{number}", fingerprint="f", execution_id="exec-2", created_at=fresh
                    )
                seen.append("accepted")

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            maintenance.maintain()
        finally:
            over.set()
            accepting.join()
    bites = [each for each in seen if isinstance(each, int)]
    assert sum(bites) == 12_000
    assert max(bites) <= MOST
    places = [at for at, each in enumerate(seen) if isinstance(each, int)]
    assert "accepted" in seen[places[0] : places[-1]]
    assert _left() == {fresh}


def test_everything_is_published_again_bite_by_bite(database: str, redis_server: RedisServer) -> None:
    """A Redis that was emptied makes every pending row due, some thousands at a time."""
    later = db.now_ms() + 600_000
    with db.write() as connection:
        for _ in range(2_500):
            transitions.accept(connection, new_execution(), publish_again_at=later)
    redis_server.client().delete(redis_store.MARK)
    with changes("UPDATE", "executions") as seen:
        losses.republish_all(TimeSlice())
    assert sum(seen) == 2_500
    assert max(seen) <= 1_000
    with db.read() as connection:
        assert connection.scalar(sa.select(sa.func.max(transitions.executions.c.due_at))) < later


def test_a_database_that_is_cut_off_is_given_up(postgres_server: PostgresServer) -> None:
    """Connections are watched: a silent server is given up within seconds, by any URL."""
    url = postgres_server.create_database(name := "watched")
    try:
        with engines.postgresql(url).connect() as connection:
            given = db.raw(connection).info.get_parameters()
        assert {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"} <= set(given)
        assert 1_000 <= int(given["tcp_user_timeout"]) <= 20_000
        with engines.postgresql(f"{url}&tcp_user_timeout=5000&options=-c%20work_mem%3D8MB").connect() as connection:
            given = db.raw(connection).info.get_parameters()
            assert given["tcp_user_timeout"] == "5000"
            assert connection.scalar(sa.text("SHOW statement_timeout")) == "15s"
    finally:
        postgres_server.drop_database(name)
