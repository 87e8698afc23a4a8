"""What a request may cost does not grow with what is stored: lists, versions, the open numbers, waiting readers."""

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from api import health
from api.http.long_poll import Watcher
from config.errors import Unavailable
from store.definitions import actions, history
from store.engine import db
from store.executions import transitions
from store.executions.lists import listing
from store.paging import Part
from tests.support.api import Door, carry_out
from tests.support.waiting import eventually

pytestmark = pytest.mark.on_both

LARGE = {"text": "x" * 200_000}


@pytest.fixture
def statements(door: Door) -> Iterator[list[str]]:
    """The text of every statement that reads, as it is sent."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = db.engine()
    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


def fill(number: int, *, ended: int = 0, **more: Any) -> None:
    """Many executions in one transaction, ``ended`` of them completed."""
    row = {
        "workspace_id": "default",
        "kind": "action",
        "action_id": "act-many",
        "revision_id": "rev-many",
        "status": "pending",
        "queue": "steps",
        "mode": "live",
        "idempotent": True,
        "timeout_ms": 1000,
        "attempt": 0,
        "failures": 0,
        "lapses": 0,
        "publishes": 1,
        "due_at": 1,
        "input": "{}",
        "created_by": "test",
        "created_at": 1,
        **more,
    }
    done = {"status": "completed", "due_at": None}
    rows = [{**row, "id": f"exec-{index:06d}", **(done if index < ended else {})} for index in range(number)]
    with db.write() as connection:
        connection.execute(sa.insert(transitions.executions), rows)


def test_a_list_leaves_large_values_out_and_says_so(door: Door) -> None:
    """A small output is in the list whole, a large one only in the execution itself; so with parameters."""
    plain = door.create()["id"]
    small, large, none = (door.trigger(plain) for _ in range(3))
    carry_out(small, output={"answer": 42})
    carry_out(large, output=LARGE, logs=[{"message": "y" * 200_000}], report={"z": "z" * 200_000})
    taking = door.create(name="Takes much", parameters=[{"name": "data", "type": "object"}])["id"]
    fed = door.trigger(taking, parameters={"data": {"text": ["w" * 9_000, "w" * 9_000]}})
    answered = door.call("GET", "/api/actions/executions")
    items = {item["execution_id"]: item for item in answered.json["data"]}
    assert (items[small]["output"], "output_omitted" in items[small]) == ({"answer": 42}, False)
    assert (items[large]["output"], items[large]["output_omitted"]) == (None, True)
    assert (items[none]["output"], "output_omitted" in items[none]) == (None, False)
    assert (items[fed]["parameters"], items[fed]["parameters_omitted"]) == (None, True)
    assert (items[small]["parameters"], "parameters_omitted" in items[small]) == ({}, False)
    assert len(answered.data) < 10_000
    whole = door.call("GET", f"/api/actions/executions/{large}").json["data"]
    assert whole["output"] == LARGE
    assert "output_omitted" not in whole


def test_a_page_of_large_rows_is_read_as_a_small_one(database: str) -> None:
    """The database hands over no logs, reports, sealed values or large outputs for a list, on either kind."""
    large = json.dumps(LARGE)
    fill(100, output=large, logs=large, report=large, sealed=large, input=large)
    with db.read() as connection:
        rows, _, total = listing.search(connection, "default", filters={}, part=Part(100))
    assert (len(rows), total) == (100, (100, False))
    assert sum(len(str(tuple(row))) for row in rows) < 50_000
    assert all(row.has_output and row.output is None and row.input is None for row in rows)
    assert not {"logs", "report", "sealed"} & set(rows[0]._fields)


@pytest.mark.parametrize(("size", "shown"), [(listing.MOST_LISTED, True), (listing.MOST_LISTED + 1, False)])
def test_sixteen_kibibytes_are_the_limit(database: str, size: int, shown: bool) -> None:
    """The largest value that is shown has exactly 16 KiB as it is stored."""
    fill(1, output=json.dumps("x" * (size - 2)))
    with db.read() as connection:
        [row], *_ = listing.search(connection, "default", filters={}, part=Part(10))
    assert (row.output is not None, bool(row.has_output)) == (shown, True)


def test_a_page_of_versions_is_what_the_database_reads(door: Door, statements: list[str]) -> None:
    """Of many versions only the page that is asked for leaves the database, without sealed values."""
    action_id = door.create()["id"]
    for number in range(7):
        assert door.call("PATCH", f"/api/actions/{action_id}", json={"description": f"{number}"}).status_code == 200
    path = f"/api/actions/{action_id}/versions"
    every = door.call("GET", f"{path}?per_page=100").json["data"]
    assert [version["version"] for version in every] == [f"1.0.{number}" for number in range(7, -1, -1)]
    statements.clear()
    second = door.call("GET", f"{path}?per_page=3&page=2").json
    assert second["data"] == every[3:6]
    place = {"total": 8, "total_is_estimate": False, "page": 2, "per_page": 3, "total_pages": 3}
    assert {name: second["meta"][name] for name in place} == place
    [page] = [text for text in statements if "ORDER BY action_revisions" in text]
    assert "LIMIT" in page
    assert "sealed" not in page
    with db.read() as connection:
        action = actions.get(connection, "default", action_id)
        assert len(history.listed(connection, actions.kind, action, Part(2), whole=True).rows) == 2


def test_what_has_not_ended_is_counted_to_the_last(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live states are exact; of the ended ones only the newest are counted."""
    monkeypatch.setattr(listing, "MOST_COUNTED", 50)
    fill(300, ended=100)
    with db.read() as connection:
        assert listing.counts(connection) == {"pending": 200, "completed": 50}


def test_counting_reads_no_whole_table(door: Door, statements: list[str]) -> None:
    """Live rows are found through their index; the ended ones stop at a limit."""
    fill(20, ended=10)
    with db.read() as connection:
        listing.counts(connection)
        live, ended = statements[-2:]
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {live}")]
        ordered = [
            row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {ended}", (1,) * ended.count("?"))
        ]
    assert any("ix_executions_due_at" in step for step in plan), plan
    assert "LIMIT" in ended
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in ordered), ordered


def test_a_reading_that_took_long_is_kept_longer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process spends at most a fiftieth of its time on open numbers, and none is older than a minute."""
    clock, reads = [0.0], []

    def slow(seconds: float) -> None:
        def read(_inspector: object) -> health.Reading:
            clock[0] += seconds
            reads.append(seconds)
            return health.Reading([], {})

        monkeypatch.setattr(health, "_read", read)

    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    for took, good_for in ((0.001, 1.0), (0.5, 25.0), (10.0, 60.0)):
        gauge = health.Gauge()
        slow(took)
        gauge.read()
        for step, expected in ((good_for - 0.1, 0), (0.2, 1)):
            reads.clear()
            clock[0] += step
            gauge.read()
            assert len(reads) == expected


def test_the_open_numbers_agree_with_the_database(door: Door) -> None:
    """``/metrics`` shows both kinds of states, and the backlog is what is pending."""
    fill(5, ended=2)
    shown = door.call("GET", "/metrics").json
    assert (shown["executions"], shown["backlog"]) == ({"pending": 3, "completed": 2}, 3)


@pytest.mark.parametrize("fault", [Unavailable(), RuntimeError("out of connections")])
def test_a_look_that_fails_ends_no_waiting(door: Door, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """Whatever error a look meets, the next one is taken, and readers get their news."""
    execution_id = door.trigger(door.create()["id"])
    failures, real = iter([fault, fault]), transitions.states

    def states(connection: db.Connection, ids: Any) -> Any:
        for failure in failures:
            raise failure
        return real(connection, ids)

    monkeypatch.setattr(transitions, "states", states)
    watcher = Watcher()
    reader = threading.Thread(target=watcher.wait, args=(execution_id, ("pending", 0), 60))
    reader.start()
    carry_out(execution_id)
    reader.join(20)
    assert not reader.is_alive()
    assert next(failures, None) is None
    assert watcher.drain(20)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_whose_thread_died_is_started_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next reader brings the watching back when its thread was ended from outside."""
    execution_id = door.trigger(door.create()["id"])
    real = transitions.states

    def struck(*_: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(transitions, "states", struck)
    watcher = Watcher()

    def died() -> bool:
        watcher.wait(execution_id, ("pending", 0), 0.3)
        return watcher._thread is not None and not watcher._thread.is_alive()

    eventually(died, 30, "the thread ends")
    monkeypatch.setattr(transitions, "states", real)
    reader = threading.Thread(target=watcher.wait, args=(execution_id, ("pending", 1), 60))
    reader.start()
    reader.join(20)
    assert not reader.is_alive()
    assert watcher.drain(20)
