"""Real processes import and run CACAO documents; people decide unsupported steps."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.cacao import document, http, manual, sid
from tests.support.client import TERMINAL
from tests.support.stack import Stack

#: documents that other tools have written; not part of this project
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "cacao" / "samples"
#: a clone has no public documents next to it; where the project itself is tested they must be there
REQUIRED = bool(os.environ.get("CI"))  # noqa: TID251
#: the pattern of the standard for addresses knows none without a top-level domain
NEARBY = "?lenient=true&on_conflict=replace"
#: what a sample's run may take, seconds
PATIENCE = 120


def samples() -> list[Any]:
    found = sorted(SAMPLES.glob("*.json"))
    if found:
        return [pytest.param(path, id=path.stem) for path in found]
    reason = f"the public documents are not at {SAMPLES}"
    return [pytest.param(None, id="absent", marks=() if REQUIRED else pytest.mark.skip(reason=reason))]


def sent(stack: Stack, body: dict[str, Any], query: str = "") -> dict[str, Any]:
    answer = stack.api.http.post(f"/api/playbooks/import{query}", json=body)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def exported(stack: Stack, playbook_id: str) -> Any:
    answer = stack.api.http.get(f"/api/playbooks/{playbook_id}/export?include_secrets=true")
    assert answer.status_code == 200, answer.text
    return answer.json()


def nearby(body: dict[str, Any], url: str) -> dict[str, Any]:
    """The document with the receiver's address in place of every other."""
    found: dict[str, Any] = json.loads(json.dumps(body))
    for members in ("target_definitions", "agent_definitions"):
        for one in found.get(members, {}).values():
            if "address" in one:
                one["address"] = {"url": [f"{url}/ok"]}
                one.pop("authentication_info", None)
    return found


def carried_through(stack: Stack, playbook_id: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run a playbook: approve everything, reject one more iteration of a loop."""
    run_id = stack.api.run(playbook_id, parameters)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        row = stack.api.run_row(run_id)
        if row["status"] in TERMINAL:
            return row
        for step in stack.api.steps(run_id):
            if step["status"] == "waiting" and step["type"] == "approval":
                no = step["step_id"].startswith("while-condition") and step["step_id"].endswith("-ask")
                stack.api.decide_step(run_id, step["step_id"], "reject" if no else "approve")
        time.sleep(0.1)
    open_steps = [step for step in stack.api.steps(run_id) if step["completed_at"] is None]
    raise AssertionError(f"{playbook_id} did not end: {row}, {open_steps}")


@pytest.mark.parametrize("path", samples())
def test_a_public_document_comes_back_as_it_was_and_runs(sqlite_stack: Stack, path: Path | None) -> None:
    """A document is exported equal value by value and, where possible, runs."""
    assert path is not None, f"the public documents are not at {SAMPLES}"
    body = json.loads(path.read_text())
    preview = sent(sqlite_stack, body, "?dry_run=true&lenient=true&on_conflict=replace")
    assert preview["dry_run"] is True
    found = sent(sqlite_stack, body, "?lenient=true&on_conflict=replace")
    assert exported(sqlite_stack, found["id"]) == body
    if not found["enabled"]:
        codes = {one["code"] for one in found["warnings"]}
        assert codes & {"missing_step", "circle"} or "valid_until" in body, codes
        return
    near = sent(sqlite_stack, nearby(body, sqlite_stack.sink.url), "?lenient=true&on_conflict=replace")
    required = [one["name"] for one in near["playbook"]["parameters"] if one["required"]]
    row = carried_through(sqlite_stack, near["id"], dict.fromkeys(required, "192.0.2.1"))
    assert row["status"] == "completed", (row, sqlite_stack.api.steps(row["execution_id"]))


def test_a_document_is_carried_out(sqlite_stack: Stack) -> None:
    """Requests carry variables and headers; branches and conditions follow the document."""
    stack = sqlite_stack
    steps = {
        "start.s": {"on_completion": "parallel.p"},
        "parallel.p": {"next_steps": ["action.one", "action.two"], "on_completion": "if-condition.c"},
        "action.one": {**http("GET /one HTTP/1.1", "http-api.sink", on_completion="end.one")},
        "action.two": {**http("POST /two/__ip__:value HTTP/1.1", "http-api.sink", content='{"ip": "__ip__:value"}')},
        "if-condition.c": {
            "condition": "[__ip__:value = '192.0.2.7']",
            "on_true": "action.yes",
            "on_false": "action.no",
        },
        "action.yes": http("PUT /yes HTTP/1.1", "http-api.sink", on_completion="end.yes"),
        "action.no": http("PUT /no HTTP/1.1", "http-api.sink", on_completion="end.no"),
        **{f"end.{name}": {} for name in ("one", "yes", "no")},
    }
    target = {"type": "http-api", "name": "Sink", "address": {"url": [f"{stack.sink.url}/ok/cacao"]}}
    body = document(
        steps,
        target_definitions={sid("http-api.sink"): target},
        playbook_variables={"__ip__": {"type": "ipv4-addr", "external": True}},
    )
    found = sent(stack, body, NEARBY)
    row = carried_through(stack, found["id"], {"ip": "192.0.2.7"})
    assert row["status"] == "completed", stack.api.steps(row["execution_id"])
    mine = [call for call in stack.sink.arrivals("/ok/cacao") if call.key.startswith(row["execution_id"])]
    assert sorted(call.path for call in mine) == ["/ok/cacao/one", "/ok/cacao/two/192.0.2.7", "/ok/cacao/yes"]
    assert [json.loads(call.body) for call in mine if call.body] == [{"ip": "192.0.2.7"}]


def test_what_a_step_returns_is_read_by_the_next(sqlite_stack: Stack) -> None:
    """A loop ends on its request's result; people decide the approvals."""
    stack = sqlite_stack
    steps = {
        "start.s": {"on_completion": "while-condition.w"},
        "while-condition.w": {
            "condition": "__state__:value != 'done'",
            "on_true": "action.poll",
            "on_completion": "action.tell",
        },
        "action.poll": http(
            "POST /parrot/200 HTTP/1.1", "http-api.sink", content='{"state": "done"}', out_args=["__state__"]
        ),
        "action.tell": manual("It is __state__:value", on_completion="end.e"),
        "end.e": {},
    }
    target = {"type": "http-api", "name": "Sink", "address": {"url": [stack.sink.url]}}
    body = document(
        steps,
        target_definitions={sid("http-api.sink"): target},
        playbook_variables={"__state__": {"type": "string", "value": "open"}},
    )
    found = sent(stack, body, NEARBY)
    row = carried_through(stack, found["id"], {})
    assert row["status"] == "completed", stack.api.steps(row["execution_id"])
    assert [step["step_id"] for step in stack.api.steps(row["execution_id"])].count(sid("action.poll")) == 1
    assert "It is done" in json.dumps(stack.api.steps(row["execution_id"]))
