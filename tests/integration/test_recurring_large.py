"""Recurring actions with large payloads: what tick prepares at once is bounded, and lists do not read them."""

import json
import tracemalloc
from typing import Any

import pytest
import sqlalchemy as sa

from store.engine import db
from store.executions import transitions
from store.recurring import schedules
from tests.support.api import Door
from tests.support.recurring import DAY, HOUR, create, detail, fire, history, written

MINUTELY = {"cron_expr": "* * * * *", "catch_up": "all", "dedup_key": "{{execution_time}}"}
LARGE = {"text": "x" * (128 << 10)}


def keys() -> list[str]:
    """The times that were fired, in the order in which they were accepted."""
    table = transitions.executions
    with db.read() as connection:
        said = connection.execute(sa.select(table.c.input).order_by(table.c.created_at, table.c.id)).scalars()
        return [json.loads(one).get("dedup_key") or "" for one in said]


def test_a_hundred_times_of_a_large_payload_are_prepared_in_parts(soc: Door, clock: Any) -> None:
    """All come once, the newest hundred in their order; their payloads are never in memory all together."""
    one = create(soc, payload=LARGE, **MINUTELY)
    clock.shift(DAY)
    tracemalloc.start()
    try:
        fire()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20, f"{peak >> 20} MiB"
    assert sorted(keys()) == [f"2026-11-23T{hour:02}:{minute:02}:00.000Z" for hour, minute in _last_hundred()]
    assert detail(soc, one)["execution_count"] == 100
    assert [row["outcome"] for row in written(one)].count("missed") == 1
    assert fire() == 0


def _last_hundred() -> list[tuple[int, int]]:
    return [divmod(at, 60) for at in range(10 * 60 + 30 - 99, 10 * 60 + 31)]


@pytest.mark.parametrize(
    ("more", "outcomes"),
    [
        ({"overlap": "skip"}, ["skipped"] * 98 + ["accepted"]),
        ({"overlap": "cancel_other"}, ["accepted"] + ["skipped"] * 98),
        ({"max_executions": 50}, ["accepted"] * 50),
        ({"overlap": "cancel_other", "max_executions": 1}, ["accepted"] + ["skipped"] * 98),
    ],
)
def test_parts_come_to_the_same_as_a_whole(soc: Door, clock: Any, more: dict[str, Any], outcomes: list[str]) -> None:
    """Of those that overlap one goes out; a number is not exceeded."""
    one = create(soc, payload={"text": "x" * (80 << 10)}, **MINUTELY, **more)
    clock.shift(99 * 60 + 30)
    assert fire() >= 1
    assert [row["outcome"] for row in written(one)] == outcomes
    assert len(keys()) == outcomes.count("accepted")


def test_a_large_one_that_is_changed_while_it_fires_goes_out_as_it_is_then(
    soc: Door, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change between the look and the reading of the payload leaves it to the next look; others go out."""
    one, other = create(soc, payload=LARGE), create(soc)
    clock.shift(HOUR)
    read = db.read_one

    def changed_before(statement: Any, *args: Any, **more: Any) -> Any:
        if statement is schedules.whole:
            patched.undo()
            assert soc.call("PUT", f"/v1/recurring/{one}", json={"payload": {"text": "new"}}).status_code == 200
        return read(statement, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(db, "read_one", changed_before)
        fire()
    assert len(keys()) == 1
    assert [len(written(row)) for row in (one, other)] == [0, 1]
    fire()
    [row] = history(soc, one)
    with db.read() as connection:
        assert json.loads(transitions.get(connection, "default", row["execution_id"]).input)["payload"] == {
            "text": "new"
        }


def test_a_payload_of_which_nothing_goes_out_is_not_read(
    soc: Door, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows have only missed times: their payloads have no bound together."""
    one, other = create(soc, payload=LARGE, catch_up="skip"), create(soc, payload=LARGE)
    clock.shift(3 * HOUR)
    read, whole = list[str](), schedules.whole
    monkeypatch.setattr(schedules, "whole", lambda db, rows: read.extend(row.id for row in rows) or whole(db, rows))
    assert fire() == 2
    assert [row["outcome"] for row in written(one)] == ["missed"]
    assert read == [other]


def test_a_list_reads_no_payload(soc: Door) -> None:
    """It shows none, and a page may have a thousand of a mebibyte each."""
    one = create(soc, payload=LARGE)
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        shown = soc.call("GET", "/v1/recurring?namespace=soc&tenant=default").json["recurring_actions"]
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
    assert [row["id"] for row in shown] == [one]
    assert not any("payload" in statement for statement in said if "FROM recurring" in statement)
