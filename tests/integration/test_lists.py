"""Lists of executions: every filter, by pages and by cursors, on both databases; totals; what a cursor is good for."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from store import paging
from store.engine import db
from store.executions.lists import walks
from store.executions.transitions import executions
from tests.support import runs
from tests.support.api import Door, assert_problem
from tests.support.filled import fill_database

pytestmark = pytest.mark.on_both

ACTIONS, RUNS = "/api/actions/executions", "/api/playbooks/executions"
MIDDLE = 1_790_000_000_000
_FROM, _TO = "from=2026-09-21T14:13:20Z", "to=2026-09-21T14:13:20Z"

Row = Any
_DONE: dict[str, Callable[[Row], bool]] = {
    "": lambda _: True,
    "action_id=act-act-3": lambda row: row.action_id == "act-act-3",
    "target=a-7": lambda row: row.target == "a-7",
    "standalone=true": lambda row: row.kind == "action",
    "standalone=true&status=failed": lambda row: row.kind == "action" and row.status == "failed",
    "trigger=api": lambda row: row.kind == "action" and row.cause is None,
    "trigger=recurring": lambda row: row.kind == "action" and row.cause == "recurring",
    "trigger=recurring&action_id=act-act-3&status=failed,completed": lambda row: (
        (row.cause, row.action_id) == ("recurring", "act-act-3") and row.status in ("failed", "completed")
    ),
    "status=failed": lambda row: row.status == "failed",
    "status=waiting": lambda row: row.status == "waiting",
    "status=timeout,cancelled,pending,running": lambda row: row.status in "timeout,cancelled,pending,running",
    _FROM: lambda row: row.created_at >= MIDDLE,
    f"{_TO}&status=completed": lambda row: row.created_at < MIDDLE and row.status == "completed",
    "action_id=act-act-4&status=failed": lambda row: (row.action_id, row.status) == ("act-act-4", "failed"),
    "action_id=act-act-0&status=failed,cancelled&target=a-54": lambda row: (
        (row.action_id, row.target) == ("act-act-0", "a-54") and row.status in ("failed", "cancelled")
    ),
}
_RUNS: dict[str, Callable[[Row], bool]] = {
    "": lambda _: True,
    "playbook_id=pb-play-1": lambda row: row.action_id == "pb-play-1",
    "target_asset_id=a-7": lambda row: row.target == "a-7",
    "trigger=retry": lambda row: row.cause == "retry",
    "event_id=evt-1": lambda row: row.event_id == "evt-1",
    "event_id=evt-1&status=failed,paused": lambda row: row.event_id == "evt-1" and row.shown in ("failed", "paused"),
    "dry_run=true": lambda row: row.mode == "dry_run",
    "dry_run=false": lambda row: row.mode != "dry_run",
    "status=paused": lambda row: row.shown == "paused",
    "status=running": lambda row: row.shown == "running",
    "status=running,paused,failed": lambda row: row.shown in ("running", "paused", "failed"),
    "status=paused,pending&trigger=event": lambda row: row.shown in ("paused", "pending") and row.cause == "event",
    "status=running&dry_run=false": lambda row: row.shown == "running" and row.mode != "dry_run",
    f"{_FROM}&playbook_id=pb-play-0": lambda row: row.created_at >= MIDDLE and row.action_id == "pb-play-0",
}


@pytest.fixture
def filled(database: str) -> Door:
    """2,100 executions on either database, the middle of them at ``MIDDLE``; a ninth of each was not asked for."""
    door = Door()
    fill_database(door, 2_100, until=MIDDLE + 30 * 86_400_000)
    table = executions.c
    with db.write() as connection:
        every = sa.select(table.id, table.kind).where(table.kind.in_(("action", "playbook"))).order_by(table.id)
        for kind, change in (("action", {"cause": "recurring"}), ("playbook", {"event_id": "evt-1"})):
            ninth = [row.id for row in connection.execute(every).all() if row.kind == kind][::9]
            connection.execute(sa.update(executions).where(table.id.in_(ninth)).values(change))
    return door


def _expected(kinds: tuple[str, ...]) -> list[Row]:
    """Every row of a list, newest first, as plain Python sorts it; of runs with the status that is shown."""
    with db.read() as connection:
        rows = connection.execute(sa.select(executions)).all()
    waiting = {row.run_id: row.waiting_for for row in rows if row.status == "waiting"}
    found = []
    for row in rows:
        if row.kind in kinds and row.workspace_id == "default":
            paused = row.status == "running" and waiting.get(row.id) == "approval"
            found.append(type("Shown", (), {**row._mapping, "shown": "paused" if paused else row.status}))
    return sorted(found, key=lambda row: (row.created_at, row.id), reverse=True)


def _read_on(door: Door, path: str, query: str, limit: int) -> Iterator[dict[str, Any]]:
    """Every item of a list, from cursor to cursor."""
    cursor = ""
    while True:
        parts = filter(None, (query, f"limit={limit}", cursor and f"cursor={cursor}"))
        answer = door.call("GET", f"{path}?{'&'.join(parts)}")
        assert answer.status_code == 200, answer.text
        yield from answer.json["data"]
        cursor = answer.json["meta"]["next_cursor"]
        if not cursor:
            return


def test_pages_and_cursors_bring_what_matches_in_one_order(filled: Door) -> None:
    """Each filter of each list: cursors bring every match once and in order, pages the same, the total is theirs."""
    for path, kinds, cases in ((ACTIONS, ("action", "step"), _DONE), (RUNS, ("playbook",), _RUNS)):
        every = _expected(kinds)
        for query, matches in cases.items():
            wanted = [row.id for row in every if matches(row)]
            assert wanted, query
            assert [item["execution_id"] for item in _read_on(filled, path, query, 100)] == wanted, query
            page = filled.call("GET", f"{path}?{query}&per_page=7&page=2").json
            assert [item["execution_id"] for item in page["data"]] == wanted[7:14], query
            assert (page["meta"]["total"], page["meta"]["total_is_estimate"]) == (len(wanted), False), query


def test_a_run_has_few_rows_which_are_found_by_it(filled: Door) -> None:
    """The steps of a run that carry out actions, with any other filter; and the runs that its steps have started."""
    every = _expected(("action", "step"))
    run_id = next(row.run_id for row in every if row.run_id and row.status == "failed")
    for query, matches in {**_DONE, "standalone=true": lambda _: False, "trigger=api": lambda _: False}.items():
        wanted = [row.id for row in every if row.run_id == run_id and matches(row)]
        if "trigger" in query:
            wanted = []
        found = list(_read_on(filled, ACTIONS, f"run_id={run_id}&{query}".rstrip("&"), 2))
        assert [item["execution_id"] for item in found] == wanted, query
        assert {(item["run_id"], item["trigger"]) for item in found} <= {(run_id, "playbook")}
    page = filled.call("GET", f"{ACTIONS}?run_id={run_id}&per_page=2&page=2").json
    steps = [row.id for row in every if row.run_id == run_id]
    assert ([item["id"] for item in page["data"]], page["meta"]["total"]) == (steps[2:4], len(steps))
    children = [row for row in _expected(("playbook",)) if row.id != run_id][:40]
    with db.write() as connection:
        for number, row in enumerate(children):
            at = sa.update(executions).where(executions.c.id == row.id)
            connection.execute(at.values(parent_id=f"{run_id}.s{number % 3 + 1}"))
    read = list(_read_on(filled, RUNS, f"parent_id={run_id}", 7))
    assert [item["id"] for item in read] == [row.id for row in children]
    assert read[4]["parent"] == {"execution_id": run_id, "step_id": "s2"}
    whole = filled.call("GET", f"{RUNS}/{children[4].id}").json
    assert (whole["parent"], whole["id"]) == (read[4]["parent"], children[4].id)
    some = list(_read_on(filled, RUNS, f"parent_id={run_id}&status=completed", 7))
    assert [item["id"] for item in some] == [row.id for row in children if row.shown == "completed"]
    assert filled.call("GET", f"{RUNS}?parent_id={run_id}&playbook_id=none").json["data"] == []


def test_the_filter_that_fewest_rows_match_leads(filled: Door) -> None:
    """With several filters the index of the rarest is walked, whatever their order."""
    path = f"{ACTIONS}?status=completed&action_id=act-act-0&target=a-30"
    texts: list[str] = []
    sa.event.listen(db.engine(), "before_cursor_execute", lambda *given: texts.append(given[2]))
    assert filled.call("GET", path).json["meta"]["total"] == 6
    page = next(text for text in texts if "has_output" in text)
    conditions = re.search(r"FROM executions\s+WHERE (.*?) ORDER BY", page.partition("IN (SELECT")[2], re.DOTALL)[1]
    assert "executions.target =" in conditions
    assert not re.search(r"executions\.(action_id|status) (=|IN)", conditions)


def test_a_cursor_is_good_for_its_list_alone(door: Door) -> None:
    """A cursor of another list, workspace or filter, a changed one and any other text answer 400 and name it."""
    action_id = door.create()["id"]
    for _ in range(3):
        door.trigger(action_id)
    cursor = door.call("GET", f"{ACTIONS}?limit=1").json["meta"]["next_cursor"]
    assert len(door.call("GET", f"{ACTIONS}?limit=5&cursor={cursor}").json["data"]) == 2
    assert len(door.call("GET", f"/api/v1/actions/executions?limit=5&cursor={cursor}").json["data"]) == 2
    changed = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for path in (
        f"{RUNS}?cursor={cursor}",
        f"/api/actions/{action_id}/executions?cursor={cursor}",
        f"{ACTIONS}?status=pending&cursor={cursor}",
        f"{ACTIONS}?cursor={changed}",
        f"{ACTIONS}?cursor=abc",
        f"{ACTIONS}?cursor=%C3%A9",
        f"{ACTIONS}?cursor=",
        f"{ACTIONS}?cursor={'A' * 5_000}",
        f"/api/actions?cursor={cursor}",
    ):
        problem = assert_problem(door.call("GET", path), 400)
        assert [each["pointer"] for each in problem["errors"]] == ["/query/cursor"], path
        assert problem["code"] == "invalid_cursor", path
    other = door.key(workspace="other")
    assert_problem(door.call("GET", f"{ACTIONS}?cursor={cursor}", key=other), 400)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("page=2&cursor=abc", "page"),
        ("per_page=5&limit=5", "per_page"),
        ("page=201&per_page=100", "page"),
        ("page=1001", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=", "cursor"),
    ],
)
def test_what_cannot_be_meant_is_named(door: Door, query: str, named: str) -> None:
    """Both ways of reading at once, and a page beyond the depth, are refused with the way out."""
    assert door.call("GET", f"{ACTIONS}?page=200&per_page=100").json["data"] == []
    problem = assert_problem(door.call("GET", f"{ACTIONS}?{query}"), 400)
    assert [each["pointer"] for each in problem["errors"]] == [f"/query/{named}"]


def test_what_is_added_meanwhile_moves_no_cursor(door: Door) -> None:
    """A reader by cursor sees each execution once, although new ones come in front."""
    action_id = door.create()["id"]
    ids = [door.trigger(action_id) for _ in range(4)]
    first = door.call("GET", f"{ACTIONS}?limit=2").json
    door.trigger(action_id)
    second = door.call("GET", f"{ACTIONS}?limit=2&cursor={first['meta']['next_cursor']}").json
    assert [item["execution_id"] for item in first["data"] + second["data"]] == ids[::-1]
    assert second["meta"] == {"next_cursor": None}


@pytest.mark.parametrize("sort", ["", "&sort_by=name", "&sort_by=updated_at&sort_order=asc"])
def test_definitions_are_read_on_in_any_order(door: Door, sort: str) -> None:
    """Actions, playbooks, versions and keys have cursors too, whatever they are sorted by."""
    for number in range(5):
        door.create(id=f"act-{number}", name=f"Same {number // 2}")
    for number in range(5):
        door.create_playbook(id=f"pb-{number}", name=f"Play {number % 2}")
        door.call("PATCH", "/api/actions/act-0", json={"description": f"{number}"})
        door.key()
    for path, query in (
        ("/api/actions", sort),
        ("/api/playbooks", sort),
        ("/api/actions/act-0/versions", ""),
        ("/api/keys", ""),
    ):
        whole = door.call("GET", f"{path}?per_page=100{query}").json["data"]
        assert len(whole) >= 5
        assert list(_read_on(door, path, query.lstrip("&"), 2)) == whole, path


def test_steps_logs_and_times_are_read_on(sqlite_database: str) -> None:
    """The lists of a run are whole by default, and in parts of any size the same."""
    door = Door()
    fill_database(door, 700)
    run_id = door.call("GET", f"{RUNS}?status=completed&limit=1").json["data"][0]["execution_id"]
    for name in ("steps", "logs"):
        path = f"{RUNS}/{run_id}/{name}"
        whole = door.call("GET", path).json
        assert (len(whole["data"]), whole["meta"]) == (5, {"next_cursor": None})
        assert list(_read_on(door, path, "", 2)) == whole["data"]
    path = f"{RUNS}/{run_id}/timeline"
    whole, first = door.call("GET", path).json, door.call("GET", f"{path}?limit=3").json
    second = door.call("GET", f"{path}?cursor={first['meta']['next_cursor']}").json
    assert first["data"]["steps"] + second["data"]["steps"] == whole["data"]["steps"]
    assert [step["queued_ms"] is not None for step in whole["data"]["steps"]] == [True] * 5
    assert_problem(door.call("GET", f"{RUNS}/{run_id}/logs?cursor={first['meta']['next_cursor']}"), 400)


def test_steps_that_a_run_has_not_reached_come_last(door: Door) -> None:
    """A part may end among the steps that have begun, or among those that have not."""
    steps = [{"id": f"wait-{number}", "type": "delay", "seconds": 1} for number in range(4)]
    playbook_id = door.create_playbook(steps=steps)["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]
    runs.begin(run_id)
    runs.enter(run_id, "wait-0", "waiting", type="delay", waiting_for="delay")
    path = f"{RUNS}/{run_id}/steps"
    whole = door.call("GET", path).json["data"]
    assert [step["step_id"] for step in whole] == [f"wait-{number}" for number in range(4)]
    assert list(_read_on(door, path, "", 1)) == list(_read_on(door, path, "", 3)) == whole


def test_a_long_list_is_counted_once_a_minute(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A total beyond the exact ones is the last one counted, says so, and is counted again after a minute."""
    for module in (paging, walks):
        monkeypatch.setattr(module, "EXACT", 40)
    now = [0.0]
    monkeypatch.setattr(paging, "totals", paging.Totals(lambda: now[0]))
    door = Door()
    fill_database(door, 700)

    def total(query: str) -> tuple[int, bool]:
        meta = door.call("GET", f"{ACTIONS}?{query}").json["meta"]
        return meta["total"], meta["total_is_estimate"]

    every = len(_expected(("action", "step")))
    assert total("status=failed&per_page=5")[1] is False
    assert total("") == total("page=2") == (every, True)
    door.trigger("act-act-0")
    assert total("") == (every, True)
    now[0] = 61
    assert total("") == (every + 1, True)
    monkeypatch.setattr(paging, "MOST", 50)
    now[0] = 122
    assert total("") == (50, True)
