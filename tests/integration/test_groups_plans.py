"""Groups are read by indexes, however many there are."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.grants import Grant
from store import paging
from store.engine import db
from store.gateway import due, groups
from store.gateway.payloads import payloads
from store.records import groups as found_groups
from store.records import joins
from tests.support import plans

#: accesses that bring the rows of one thing, the members of some windows, or what is pending
_FEW = re.compile(r"\((id|rowid|group_id)[=<>]|subject=|key=|ix_event_groups_open\b")


@pytest.mark.gate
def test_groups_are_read_by_indexes(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever joins, flushes, lists or forgets groups scans none of their tables, nor the payloads."""
    _fill_groups(20_000)
    growing = ("event_groups", "group_events", "payloads")
    monkeypatch.setattr(plans, "_TABLES", growing)
    monkeypatch.setattr(plans, "_GROWING", "|".join(growing))
    monkeypatch.setattr(plans, "_FEW", _FEW)
    grants = (Grant(tenants=("*",)), Grant(tenants=("default",)))
    with plans.recorded(monkeypatch) as recorder:
        for grant in grants:
            with db.read() as connection:
                found = found_groups.search(connection, [grant], {}, paging.Part(50))
                found_groups.search(connection, [grant], {}, paging.Part(50, after=found.goes_on_after))
                found_groups.get(connection, [grant], "key-19000")
                found_groups.get(connection, [grant], "key-3")
        with db.write() as connection:
            ids = [row.id for row in groups.claim(connection, limit=50, lease=60_000)]
            assert len(ids) == 50
            assert groups.claim(connection, limit=50, lease=60_000, ids=ids[:2]) == []
            window = groups.read(connection, ids[0])
            assert window is not None
            found_groups.counts(connection, ids)
            found_groups.first_members(connection, ids, number=20, most=1_000)
            found_groups.members(connection, window, grants, after=0, limit=100, most=100_000)
            found_groups.newest(connection, "key-3")
            found_groups.last_members(connection, "key-3", most=1_000)
            rows = groups.locked(connection, ids)
            groups.notified(connection, [(rows[one], "disp-1") for one in ids])
            groups.close(connection, "grp-19999", lease=1)
            groups.postpone(connection, "grp-19998", at=1, error="gone")
            groups.end(connection, ids[0])
            groups.forget(connection, before=100, limit=50)
            for key in ("key-19000", "key-new"):
                _join(connection, key)
            due.look(connection)
    statements = recorder.reading_what_grows()
    assert len(statements) > 15
    with db.engine().connect() as connection:
        faults = [f"{fault}: {each.text}" for each in statements if (fault := plans.fault(connection, each))]
    assert not faults, "\n\n".join(faults)


def _join(connection: Any, key: str) -> None:
    window = groups.Window(
        workspace_id="default",
        namespace="n",
        group_key=key,
        rule="r",
        provider="p",
        labels={},
        template=None,
        max_size=9,
        wait_ms=1,
        interval_ms=1,
        repeat_ms=None,
        first_at_once=False,
    )
    member = groups.Member(subject=f"disp-{key}", provider="p", action_type="t", resolved=True)
    joins.join(connection, "default", key, lambda: window, member, flush_resolved=True)


def _fill_groups(number: int) -> None:
    """Groups with three members each: most are notified, some are pending, a few of them due."""
    windows, members, bodies = [], [], []
    for n in range(number):
        pending = n >= number * 9 // 10
        windows.append(
            {
                **dict.fromkeys(groups.event_groups.c.keys()),
                "id": f"grp-{n:05}",
                "workspace_id": f"tenant-{n % 3}" if n % 4 else "default",
                "namespace": "n",
                "group_key": f"key-{n}",
                "rule": "r",
                "provider": "p",
                "labels": "{}",
                "max_size": 9,
                "size": 3,
                "interval_ms": 1,
                "wait_ms": 1,
                "state": "pending" if pending else "notified",
                "created_at": n,
                "notify_at": n,
                "due_at": n + 10**14 * (n % 9 > 0) if pending else None,
                "tries": 0,
                "notified_at": None if pending else n,
                "summaries": 0 if pending else 1,
            }
        )
        for seq in range(1, 4):
            subject = f"disp-{n}-{seq}"
            more = {"provider": "p", "action_type": "t", "resolved": False, "at": n, "subject": subject}
            nothing = dict.fromkeys(groups.group_events.c.keys())
            members.append({**nothing, "group_id": f"grp-{n:05}", "seq": seq, **more})
            bodies.append({"subject": subject, "workspace_id": "default", "at": n, "body": "{}"})
    with db.write() as connection:
        for table, rows in ((groups.event_groups, windows), (groups.group_events, members), (payloads, bodies)):
            connection.execute(sa.insert(table), rows)
    with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
