"""What programs read of lists and runs: the address of what follows, what is new since, and no more than is needed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from config import strict_yaml
from config.times import stamp
from store.engine import db
from store.executions import transitions
from tests.support import runs
from tests.support.api import Door, assert_problem, carry_out
from tests.support.filled import fill_database

ACTIONS, RUNS = "/api/actions/executions", "/api/playbooks/executions"
#: the list of a run that is no list but has one
TIMELINE = "/api/playbooks/executions/{run_id}/timeline"


def _schema(document: Any, schema: Any) -> Any:
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _lists(door: Door) -> Iterator[tuple[str, Any]]:
    """Path and operation of every list below /api."""
    document = door.call("GET", "/api/openapi.json", key=None).json
    for path, item in document["paths"].items():
        if path.startswith("/api/") and "get" in item:
            content = item["get"]["responses"]["200"].get("content", {}).get("application/json")
            shown = _schema(document, content["schema"]) if content else {}
            if shown.get("properties", {}).get("data", {}).get("type") == "array" or path == TIMELINE:
                yield path, item["get"]


def test_every_list_is_read_on_in_the_same_way(door: Door) -> None:
    """Each takes cursor and limit, and names in Link what follows."""
    found = dict(_lists(door))
    assert len(found) >= 14
    for path, operation in found.items():
        assert {"cursor", "limit"} <= {one["name"] for one in operation["parameters"]}, path
        assert "Link" in operation["responses"]["200"]["headers"], path


def _linked(door: Door, path: str) -> Iterator[Any]:
    """The answers of a list, from link to link."""
    while path:
        answer = door.call("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        yield answer
        link = answer.headers.get("Link")
        assert (link is None) == (answer.json["meta"]["next_cursor"] is None), path
        path = re.fullmatch('<(/.*)>; rel="next"', link)[1] if link else ""  # type: ignore[index]


@pytest.mark.parametrize(
    "path",
    [
        f"{ACTIONS}?limit=50",
        f"{ACTIONS}?per_page=50&page=1&status=completed,failed&from=2026-01-01T00:00:00%2B00:00",
        "/api/v1/actions/executions?limit=2&target=a-7",
        "/api/actions/act-act-3/executions?per_page=5",
        f"{RUNS}?limit=20&trigger=event",
        "/api/playbooks/pb-play-1/executions?limit=7",
        "/api/actions?sort_by=name&sort_order=asc&limit=3",
        "/api/playbooks?per_page=1",
        "/api/keys?limit=1",
    ],
)
def test_links_lead_through_a_list(door: Door, path: str) -> None:
    """From the first answer to the last, with the same filters; each item comes once."""
    fill_database(door, 700)
    door.key()
    bare, _, query = path.partition("?")
    filters = re.sub(r"(^|&)(limit|per_page|page)=\d+", "", query)
    pages = list(_linked(door, path))
    assert len(pages) > 1
    ids = [item.get("execution_id") or item["id"] for page in pages for item in page.json["data"]]
    whole, cursor = [], "x"
    while cursor:
        more = "" if cursor == "x" else f"&cursor={cursor}"
        one = door.call("GET", f"{bare}?limit=100{more}{'&' if filters.strip('&') else ''}{filters.lstrip('&')}").json
        whole, cursor = whole + one["data"], one["meta"]["next_cursor"]
    assert ids == [item.get("execution_id") or item["id"] for item in whole]


def test_links_lead_through_a_run(door: Door) -> None:
    """Steps, logs and timeline are whole by default, and with a limit have a link."""
    fill_database(door, 700)
    run_id = door.call("GET", f"{RUNS}?status=completed&limit=1").json["data"][0]["execution_id"]
    for name in ("steps", "logs", "timeline"):
        path = f"{RUNS}/{run_id}/{name}"
        whole = door.call("GET", path)
        assert "Link" not in whole.headers
        pages = [page.json["data"] for page in _linked(door, f"{path}?limit=2&since=2020-01-01T00:00:00Z")]
        parts = [part["steps"] for part in pages] if name == "timeline" else pages
        assert len(parts) == 3
        data = whole.json["data"]
        assert [item for part in parts for item in part] == (data["steps"] if name == "timeline" else data)


def test_the_log_of_an_execution_is_read_on(door: Door) -> None:
    """By time; in parts; since a moment, in any zone; of a step of a run too; of none there is 404."""
    execution_id = door.trigger(door.create()["id"])
    path = f"{ACTIONS}/{execution_id}/logs"
    assert door.call("GET", path).json == {"data": [], "meta": {"next_cursor": None}}
    at = 1_790_000_000_000
    lines = [{"timestamp": stamp(at + 250 * number), "level": "INFO", "message": f"{number}"} for number in range(9)]
    carry_out(execution_id, logs=lines)
    assert door.call("GET", path).json["data"] == lines
    parts = [page.json["data"] for page in _linked(door, f"{path}?limit=4")]
    assert [len(part) for part in parts] == [4, 4, 1]
    assert [line for part in parts for line in part] == lines
    moments = (("2026-09-21T14:13:21Z", 4), ("2026-09-21T16:13:20.2501%2B02:00", 2), ("0001-01-01", 0))
    for since, first in (*moments, ("9999-12-31T23:59:59.999999Z", 9)):
        asked = since if "T" in since else f"{since}T00:00:00Z"
        assert door.call("GET", f"{path}?since={asked}").json["data"] == lines[first:], since
    assert_problem(door.call("GET", f"{ACTIONS}/exec-none/logs"), 404)


def _busy_run(door: Door) -> tuple[str, int]:
    """A run with a step that ended long ago, one that began long ago and ends now, and one to come; and that moment."""
    playbook_id = door.create_playbook(steps=[{"id": f"s{n}", "type": "delay", "seconds": 1} for n in range(3)])["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]
    runs.begin(run_id)
    moment = db.now_ms()
    old = {"created_at": moment - 90_000, "started_at": moment - 80_000, "type": "delay"}
    line = {"level": "INFO", "message": "once"}
    runs.enter(run_id, "s0", "completed", completed_at=moment - 70_000, output={"a": 1}, input={"b": 2}, **old)
    end = runs.enter(run_id, "s1", logs=[{"timestamp": stamp(moment - 1), **line}], **old)
    with db.write() as connection:
        assert transitions.transition(
            connection, end, "completed", actor="steps@test", owner=None, completed_at=moment, output='{"c":3}'
        )
    return run_id, moment


def test_what_is_new_since_a_moment(door: Door) -> None:
    """Steps that were reached, began or ended then or later, not those to come; and the lines of logs."""
    run_id, moment = _busy_run(door)
    path = f"{RUNS}/{run_id}"

    def ids(name: str, since: int) -> list[str]:
        data = door.call("GET", f"{path}/{name}?since={stamp(since)}").json["data"]
        return [item["step_id"] for item in (data["steps"] if name == "timeline" else data)]

    for name in ("steps", "timeline"):
        assert [ids(name, moment + after) for after in (-100_000, -70_000, -69_999, 0, 1)] == [
            ["s0", "s1"],
            ["s0", "s1"],
            ["s1"],
            ["s1"],
            [],
        ], name
    assert [ids("logs", moment - 1), ids("logs", moment)] == [["s1"], []]
    assert len(door.call("GET", f"{path}/steps").json["data"]) == 3


def test_a_run_without_what_its_steps_have_brought(door: Door) -> None:
    """outputs=false leaves out inputs, outputs, variables and reports of steps, says so, and keeps everything else."""
    run_id, _ = _busy_run(door)
    for name in ("", "/steps"):
        path = f"{RUNS}/{run_id}{name}"
        whole, lean = (door.call("GET", f"{path}{query}").json for query in ("", "?outputs=false"))
        steps, brief = (one["data"] if name else one["steps"] for one in (whole, lean))
        assert [step["output"] for step in steps] == [{"a": 1}, {"c": 3}, None]
        assert [(step["output"], step.get("output_omitted")) for step in brief] == [
            (None, True),
            (None, True),
            (None, None),
        ]
        gone = ("output", "output_omitted", "input", "input_omitted", "vars", "report")
        for full, left in zip(steps, brief, strict=True):
            assert {k: v for k, v in full.items() if k not in gone} == {k: v for k, v in left.items() if k not in gone}
    tags = {door.call("GET", f"{RUNS}/{run_id}{query}").headers["ETag"] for query in ("", "?outputs=false")}
    assert len(tags) == 2


def test_a_run_is_sent_once_on_request(door: Door) -> None:
    """envelope=data leaves out the members at the top level, in each answer that has a run; no other word is taken."""
    playbook_id = door.create_playbook()["id"]
    started = door.call("POST", f"/api/playbooks/{playbook_id}/run?envelope=data", json={})
    assert (started.status_code, list(started.json)) == (202, ["data"])
    path = f"{RUNS}/{started.json['data']['execution_id']}"
    both, once = door.call("GET", path).json, door.call("GET", f"{path}?envelope=data").json
    assert list(once) == ["data"]
    assert once["data"] == both["data"] == {name: value for name, value in both.items() if name != "data"}
    for word in ("pause", "resume", "cancel", "retry"):
        answer = door.call("POST", f"{path}/{word}?envelope=data")
        assert (answer.status_code, list(answer.json)) == (202 if word == "retry" else 200, ["data"]), word
    for wrong in ("none", "", "top"):
        assert_problem(door.call("GET", f"{path}?envelope={wrong}"), 400)


def test_an_export_tells_in_its_body_what_it_left_out(door: Door) -> None:
    """envelope=data has the document and the notices, which else are in a header alone; in every form."""
    playbook_id = door.create_playbook()["id"]
    path = f"/api/playbooks/{playbook_id}/export"
    for form in ("cacao_v2", "native", "yaml"):
        bare, enveloped = (door.call("GET", f"{path}?format={form}{more}") for more in ("", "&envelope=data"))
        read = strict_yaml.load if form == "yaml" else json.loads
        found = read(enveloped.text)
        assert (found["data"], found["meta"]) == (read(bare.text), {"notices": []})
        assert "X-Tocsin-Notices" not in bare.headers
