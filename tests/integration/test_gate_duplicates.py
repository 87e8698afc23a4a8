"""Duplicates that find their key held take no lock of it, and are refused no longer than it is held."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.verdicts import Check, Deduplicate
from store.engine import db
from store.executions import transitions
from store.gateway import dedup
from tasks.policy import checks
from tasks.policy.checks import Passed, Refused
from tests.support import dispatching, force, plans
from tests.support.api import Door, carry_out
from tests.support.dispatching import body
from tests.support.force import rule

pytestmark = pytest.mark.on_both

CERTAIN = {"code": "http_error", "message": "502", "outcome_unknown": False}
IN_DOUBT = {**CERTAIN, "effect_possible": True}


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A provider, and a rule that lets equal dispatches out once in a minute; nothing is carried out by itself."""
    monkeypatch.setattr("tasks.messages.publisher.publish_after_commit", lambda *_: None)
    with force.clean():
        revision = force.provider("drill", kind="mock")
        force.put(rule("once", "deduplicate", ttl_seconds=60), revisions={"drill": revision})
        yield Door()


def send(door: Door) -> dict[str, Any]:
    answer = dispatching.send(door, body(), headers={"Prefer": "respond-async"})
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json)


def met(door: Door) -> str:
    """The holder of the key, which a duplicate has met."""
    holder = str(send(door)["action_id"])
    assert send(door)["of"] == holder
    return holder


def test_a_duplicate_that_has_met_the_holder_only_reads_the_key(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first duplicate of a process tries to take it, those behind it do not; what comes first pays for no look."""
    sent: list[list[str]] = []
    for _ in range(3):
        with plans.recorded(monkeypatch) as recorder:
            send(door)
        sent.append([text.split()[0] for text in recorder.sent if "dedup_keys" in text])
    assert sent == [["INSERT"], ["INSERT", "SELECT"], ["SELECT"]]


def test_duplicates_do_not_wait_for_the_row_of_the_key(door: Door) -> None:
    """Another transaction has the row locked on PostgreSQL; on SQLite writers take turns anyway."""
    holder, answers = met(door), list[Any]()
    if db.engine().dialect.name == "sqlite":
        return
    with db.write() as connection:
        connection.execute(sa.select(dedup.dedup_keys).with_for_update())
        asking = threading.Thread(target=lambda: answers.append(send(door)), daemon=True)
        asking.start()
        asking.join(5)
        assert [one["of"] for one in answers] == [holder]


@pytest.mark.parametrize("end", ["certain", "in doubt", "completed", "expired"])
def test_what_frees_the_key_is_seen_at_once(door: Door, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Another process ends the holder: the very next dispatch goes out where that freed the key, and only one does."""
    holder = met(door)
    if end == "expired":
        later = db.now_ms() + 60_000
        monkeypatch.setattr(db, "now_ms", lambda: later)
    elif end == "completed":
        carry_out(holder)
    else:
        carry_out(holder, "failed", error=IN_DOUBT if end == "in doubt" else CERTAIN)
    following = [send(door) for _ in range(3)]
    if end in ("certain", "expired"):
        holder = following.pop(0)["action_id"]
    assert [one.get("of") for one in following] == [holder] * len(following)
    with db.read() as connection:
        assert connection.execute(sa.select(dedup.dedup_keys.c.execution_id)).scalars().all() == [holder]
        count = connection.execute(sa.select(sa.func.count()).select_from(transitions.executions)).scalar_one()
    assert count == (2 if end in ("certain", "expired") else 1)


def test_a_key_that_was_met_is_its_holders_own_all_the_same(database: str) -> None:
    """The holder's next attempt takes it again, for longer; what was rolled back was never held."""
    check, now = Check("once", Deduplicate(60), "k"), db.now_ms()
    with force.clean():
        with db.write() as connection:
            assert checks.make(connection, "default", [check], "exec-1") == Passed()
            assert checks.make(connection, "default", [check], "exec-2") == Refused(check, of="exec-1")
            connection.execute(dedup.dedup_keys.update().values(expires_at=now + 10))
        with db.write() as connection:
            assert checks.make(connection, "default", [check], "exec-1") == Passed()
            assert connection.execute(sa.select(dedup.dedup_keys.c.expires_at)).scalar_one() > now + 50_000
        with pytest.raises(ZeroDivisionError), db.write() as connection:
            other = Check("once", Deduplicate(60), "k-2")
            assert checks.make(connection, "default", [other], "exec-3") == Passed()
            assert checks.make(connection, "default", [other], "exec-4") == Refused(other, of="exec-3")
            1 / 0  # noqa: B018
        with db.write() as connection:
            assert checks.make(connection, "default", [other], "exec-4") == Passed()


def test_a_process_remembers_so_many_keys_at_most(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that it forgets the one that it has met first; nothing is decided otherwise for that."""
    monkeypatch.setattr(checks, "MOST_KNOWN", 2)
    keys = [Check("once", Deduplicate(60), f"k-{number}") for number in range(4)]
    with force.clean(), db.write() as connection:
        for check in keys * 3:
            made = checks.make(connection, "default", [check], f"exec-{check.key}")
            assert made == Passed()
            assert checks.make(connection, "default", [check], "other") == Refused(check, of=f"exec-{check.key}")
        assert len(checks._held._ends) == 2
