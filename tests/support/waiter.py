"""A process of greenlets that uses one connection to PostgreSQL; prints what comes of it as JSON.

``python -m tests.support.waiter URL``
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
import psycopg  # noqa: E402

from store.engine.watchers import WatchedConnection as Connection  # noqa: E402

LARGE = 3_000_000


def main() -> None:
    """Ask, wait next to others, send more than a socket takes, and close in the middle."""
    found = {}
    one = Connection.connect(sys.argv[1], autocommit=True)
    found["asked"] = one.execute("SELECT %s::int", [7]).fetchone()[0]

    ticks = []
    ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.01)) for _ in range(1000)])
    one.execute("SELECT pg_sleep(0.5)")
    found["others went on"] = len(ticks) > 5
    ticking.kill()

    one.execute("CREATE TEMP TABLE large (text text)")
    with one.pipeline():
        for _ in range(4):
            one.execute("INSERT INTO large VALUES (%s)", ["x" * LARGE])
        read = one.execute("SELECT text FROM large")
    found["large"] = [len(text) for (text,) in read.fetchall()]

    try:
        one.execute("SELECT 1 / 0")
    except psycopg.errors.DivisionByZero:
        found["after an error"] = one.execute("SELECT 8").fetchone()[0]

    killed = gevent.spawn(one.execute, "SELECT pg_sleep(60)")
    gevent.sleep(0.2)
    killed.kill(timeout=5)
    found["killed"] = killed.dead

    two = Connection.connect(sys.argv[1], autocommit=True)
    waiting = gevent.spawn(outcome, two, "SELECT pg_sleep(60)")
    gevent.sleep(0.2)
    begun = time.monotonic()
    two.close()
    found["closed"] = waiting.get(timeout=10)
    found["at once"] = time.monotonic() - begun < 5

    three = Connection.connect(sys.argv[1], autocommit=True)
    cut = gevent.spawn(outcome, three, "SELECT pg_sleep(60)")
    gevent.sleep(0.2)
    with psycopg.connect(sys.argv[1], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [three.info.backend_pid])
    found["cut off"] = cut.get(timeout=10)
    print(json.dumps(found))


def outcome(one: Connection, statement: str) -> str:
    """How a statement ends."""
    try:
        one.execute(statement)
    except psycopg.OperationalError:
        return "away"
    return "done"


if __name__ == "__main__":
    main()
