"""What rules remember is exact, whatever processes do at the same time and whichever of them are killed.

Processes with sixteen threads each trigger the same actions; some are killed in the middle, and Redis is emptied.
Afterwards the rows say whether any rule has let through more than it may.
"""

import itertools
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.facts import PROVIDER_PREFIX
from store import audit
from store import redis as redis_store
from store.engine import db
from store.executions import transitions
from store.gateway import dedup, payloads, throttles
from tests.support import contender, force, forked
from tests.support.api import Door
from tests.support.services import RedisServer
from tests.support.waiting import eventually

#: what PostgreSQL calls the processes that are killed
CHILD = "tocsin-tests-contender"
NAMES = ("once", "limit", "hosts", "turns")


@pytest.fixture
def actions(first_database: str) -> Iterator[list[str]]:
    """A provider's revision, then four actions, by what the rules say of them."""
    with force.clean():
        door, sent = Door(), force.provider(contender.SENT, kind="mock")
        yield [sent] + [door.create(id=f"act-{name}", parameters=[{"name": "host"}])["id"] for name in NAMES]


def child(number: int, actions: list[str]) -> forked.Child:
    """A contender on this test's database, once it has accepted a hundred triggers."""
    words = (f"child-{number}", *actions)
    return forked.start("tests.support.contender", *words, output=subprocess.PIPE, PGAPPNAME=CHILD)


def begun(process: forked.Child) -> None:
    """Wait until it has accepted a hundred triggers; log lines may come before that."""
    assert any(line.startswith("child-") for line in process.stdout), "it has ended early"


def kill(*children: forked.Child) -> None:
    ended = [process for process in children if process.poll() is not None]
    for process in children:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert not ended, "a key that is free was refused"


def settle() -> None:
    """Wait until the server has done what the killed processes had still sent it."""
    if db.engine().dialect.name == "postgresql":
        theirs = sa.text("SELECT 1 FROM pg_stat_activity WHERE application_name = :name")
        with db.read() as connection:
            eventually(lambda: not connection.execute(theirs, {"name": CHILD}).all(), 60, "they are gone")


def contend(actions: list[str]) -> None:
    """Half of some processes are killed and replaced, Redis is emptied, then all are killed.

    There are two on SQLite, where they write one after the other, and four in the gate, on PostgreSQL.
    """
    half = 2 if db.engine().dialect.name == "postgresql" else 1
    children = [child(number, actions) for number in range(2 * half)]
    try:
        for process in children:
            begun(process)
        kill(*children[:half])
        redis_store.client().flushall()
        more = [child(number, actions) for number in range(2 * half, 3 * half)]
        children = [*children[half:], *more]
        for process in more:
            begun(process)
        redis_store.client().flushall()
    finally:
        kill(*children)
    settle()


def passed() -> dict[str, list[Any]]:
    """Action → the executions that rules have let through."""
    found = defaultdict(list)
    with db.read() as connection:
        rows = connection.execute(sa.select(transitions.executions)).all()
    for row in rows:
        if (transitions.load(row.error) or {}).get("code") not in ("deduplicated", "throttled"):
            found[row.action_id].append(row)
    return found


def by_host(rows: list[Any]) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        given = transitions.load(row.input)
        found[given.get("payload", given)["host"]].append(row)
    return found


def frees(row: Any) -> bool:
    """Whether the end of an execution has freed its key: no attempt may have had its effect."""
    if row.status != "failed":
        return False
    last = transitions.load(row.error)
    in_doubt = last["outcome_unknown"] or last.get("effect_possible", False)
    return not in_doubt and contender.IN_DOUBT not in transitions.load(row.logs)


def has_failed_enough(once: list[Any], sent: list[Any]) -> bool:
    """Whether some keys were taken again after a failure, and some are kept by one in doubt."""
    in_doubt = any(row.status == "failed" and not frees(row) for row in (*once, *sent))
    return len(once) > len(by_host(once)) and in_doubt


def ids_of(event: str) -> dict[str, int]:
    """Subject → the place of this event in the trail."""
    with db.read() as connection:
        rows = connection.execute(
            sa.select(audit.audit.c.subject, audit.audit.c.id).where(audit.audit.c.event == event)
        )
        return dict(rows.all())


def assert_one_after_the_other(rows: list[Any]) -> None:
    """Each has taken its key after the one before had freed it."""
    accepted, failed = ids_of("execution.accepted"), ids_of("execution.failed")
    for host, own in by_host(rows).items():
        for earlier, later in itertools.pairwise(sorted(accepted[row.id] for row in own)):
            freed = [failed[row.id] for row in own if accepted[row.id] == earlier and row.id in failed]
            assert freed, f"{host} went out twice: its first is under way"
            assert freed[0] < later, f"{host} went out twice at a time"


def assert_refused_by_equals(rows: list[Any]) -> None:
    """Each duplicate names one that went out about the same host; there were many."""
    host_of = {row.id: host for host, own in by_host(rows).items() for row in own}
    with db.read() as connection:
        event = sa.and_(
            audit.audit.c.event == "dispatch.deduplicated", audit.audit.c.subject == payloads.payloads.c.subject
        )
        query = sa.select(audit.audit.c.details, payloads.payloads.c.body).where(event)
        found = [(transitions.load(row.details)["of"], transitions.load(row.body)) for row in connection.execute(query)]
    assert [of for of, body in found if host_of[of] != body["host"]] == []
    assert len(found) > len(rows) / 4


@pytest.mark.gate
def test_no_rule_lets_through_more_than_it_may(actions: list[str], redis_server: RedisServer) -> None:
    """One for each key at a time, sixty in the window, five hosts, a slot for each; rows and counts are one."""
    for _ in range(4):  # until enough has failed, which a slow machine may take longer for
        contend(actions)
        let_through = passed()
        sent = let_through[PROVIDER_PREFIX + contender.SENT]
        once, limit, hosts, turns = (let_through[action] for action in actions[1:])
        if has_failed_enough(once, sent):
            break
    assert has_failed_enough(once, sent)
    assert_one_after_the_other(sent)
    assert_one_after_the_other(once)
    assert_refused_by_equals(sent)
    with db.read() as connection:
        keys = {row.execution_id for row in connection.execute(sa.select(dedup.dedup_keys))}
        windows = connection.execute(sa.select(throttles.throttles)).all()
        members = connection.execute(sa.select(throttles.throttle_members)).all()
    held = 0
    for host, rows in (*by_host(once).items(), *by_host(sent).items()):
        holding = [row.id for row in rows if not frees(row)]
        assert len(holding) <= 1, f"{host} went out twice"
        assert set(holding) <= keys
        held += len(holding)
    assert len(keys) == held, "no key is kept by an execution that is not there, or that has failed for certain"
    counts = {row.rule: [] for row in windows}
    for row in windows:
        counts[row.rule].append(row.count)
    assert sorted(len(rows) for rows in by_host(limit).values()) == sorted(counts["limit"])
    assert max(counts["limit"]) <= contender.MOST
    assert len(by_host(hosts)) == contender.MOST_HOSTS == len(members) == counts["hosts"][0]
    slots = sorted(row.due_at for row in turns if row.status == "waiting")
    apart = {later - earlier for earlier, later in itertools.pairwise(slots)}
    assert apart == {contender.APART_MS}, "each has a slot of its own, and none is lost"
