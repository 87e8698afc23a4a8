"""Spans of the running product, whose processes fork and end."""

import json
import os
import signal

import pytest

from tests.support.collector import Collector
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.wide

TRACE = "0af7651916cd43dd8448eb211c80319c"
NEVER = "3600000"


def test_what_ends_exports_its_last_spans() -> None:
    """Web, worker and the processes of a pool send them when they are asked to end, and not before."""
    with Collector() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": NEVER}
        with Stack("", **settings) as stack:
            _dispatched(stack)
            assert collector.requests == 0
            for name in ("web", "worker", "scripts"):
                os.kill(stack.running[name].pid, signal.SIGTERM)  # as a process manager does: not to its children
            eventually(
                lambda: not any(stack.running[name].alive() for name in ("web", "worker", "scripts")), 60, "ended"
            )
    attempts = {one.facts["tocsin.provider"]: one.id for one in collector.all("attempt")}
    assert attempts.keys() == {"call", "function"}
    assert collector.one("POST").parent == attempts["call"]
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert {one.parent for one in collector.all("attempt")} == {one.id for one in collector.all("decide")}
    assert {one.parent for one in collector.all("decide")} == {one.id for one in collector.all("dispatch")}


def _dispatched(stack: Stack) -> None:
    """Two dispatches have ended: an outside call, and a function in a process of a pool."""
    made = stack.api.http.post(
        "/api/actions",
        json={
            "id": "act-tell",
            "name": "Tell",
            "type": "script",
            "executor": "local",
            "config": {"handler": "post_to"},
            "parameters": [{"name": "url", "required": True}],
        },
    )
    assert made.status_code == 201, made.text
    folder = stack.directory / "var" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    providers = {
        "call": {"kind": "http", "url": f"{stack.sink.url}/ok"},
        "function": {"kind": "action", "action": "act-tell"},
    }
    (folder / "providers.yaml").write_text(json.dumps({"providers": providers}))
    stack.restart("web")  # it loads the folder
    stack.wait_ready("web")
    for provider in providers:
        given = {"namespace": "tests", "tenant": "tests", "provider": provider, "action_type": "tell"}
        given["payload"] = {"url": f"{stack.sink.url}/ok"}
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        told = stack.api.http.post("/v1/dispatch", json=given, headers=headers).json()
        assert told.get("outcome") == "executed", told
