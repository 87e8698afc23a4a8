"""Spans, as a collector gets them: who is below whom, and what they never say."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import spans
from config.settings import settings
from providers import mail
from providers.base import Call
from tests.support import dispatching
from tests.support.api import Door
from tests.support.collector import Collector
from tests.support.dispatching import body, send
from tests.support.processes import ROOT, clean_environment
from tests.support.sink import Sink
from tests.support.waiting import eventually

pytestmark = pytest.mark.wide

TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{ABOVE}-01", "tracestate": "congo=t61rcWkgMzE"}
SECRET = "hunter2-and-more"
RULES = """\
rules:
  - name: no-shouting
    condition: {field: action.action_type, eq: shout}
    action: {type: deny, reason: "not so loud"}
"""


@pytest.fixture
def door(sqlite_database: str, sink: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application with a provider that leads to the sink."""
    made = Door()
    providers = {
        "sink": {"kind": "http", "url": f"{sink.url}/echo?token={SECRET}", "headers": {"X-Token": SECRET}},
        "broken": {"kind": "http", "url": f"{sink.url}/status/500?token={SECRET}"},
    }
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    text = json.dumps({"providers": providers})
    dispatching.put_in_force(monkeypatch, tmp_path / "config", providers=text, rules=RULES)
    yield made
    dispatching.forget()


@contextlib.contextmanager
def exporting(monkeypatch: pytest.MonkeyPatch, url: str, **more: str) -> Iterator[None]:
    """Spans go to this address; at the end all have gone."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    spans.forget()
    try:
        yield
    finally:
        spans.forget()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector to which spans go."""
    with Collector() as made, exporting(monkeypatch, made.url):
        yield made


def _sent_with(told: Any) -> str:
    return {name.lower(): value for name, value in told["response"]["body"]["headers"].items()}["traceparent"]


def test_a_dispatch_is_one_tree(door: Door, collector: Collector) -> None:
    """The request, the decision, the attempt and the outside call, each below the one before.

    The receiver gets the id of the call.
    """
    given = body(provider="sink", id="order-1", payload={"password": SECRET, "text": "very private"})
    with dispatching.working():
        told = send(door, given, headers=PARENT).json
    assert told["outcome"] == "executed", told
    spans.close()
    request, decision, attempt, call = (collector.one(name) for name in ("dispatch", "decide", "attempt", "POST"))
    assert collector.paths == {"/v1/traces"}
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert [request.parent, decision.parent, attempt.parent, call.parent] == [
        ABOVE,
        request.id,
        decision.id,
        attempt.id,
    ]
    assert _sent_with(told) == f"00-{TRACE}-{call.id}-01"
    assert {span.service for span in collector.spans} == {"tocsin"}
    place = {"tocsin.provider": "sink", "tocsin.namespace": "notifications", "tocsin.tenant": "default"}
    assert place.items() <= decision.facts.items()
    assert decision.facts["tocsin.dispatch"] == "order-1"
    assert decision.facts["tocsin.verdict"] == "allow"
    assert (place | {"tocsin.attempt": 1, "tocsin.status": "completed"}).items() <= attempt.facts.items()
    assert call.facts["http.response.status_code"] == 200
    assert not any(span.failed for span in collector.spans)
    for span in collector.spans:
        assert not [word for word in (SECRET, "private", "/echo", "127.0.0.1", "token") if word in span.text], span


def test_each_item_of_a_batch_has_a_span(door: Door, collector: Collector) -> None:
    """All are below the request, in its trace, and each has its own attempt and call."""
    with dispatching.working():
        answer = send(door, [body(provider="sink", id=f"order-{n}") for n in range(3)], "/v1/dispatch/batch")
    outcomes = [one["outcome"] for one in answer.json]
    assert [one["outcome"] for one in outcomes] == ["executed"] * 3, outcomes
    spans.close()
    request, decisions = collector.one("dispatch"), collector.all("decide")
    assert (request.parent, request.facts["tocsin.items"]) == ("", 3)  # nothing came: it begins a trace
    assert {span.trace_id for span in collector.spans} == {request.trace_id}
    assert [one.parent for one in decisions] == [request.id] * 3
    assert [one.facts["tocsin.dispatch"] for one in decisions] == ["order-0", "order-1", "order-2"]
    above = {one.id: one.parent for one in collector.spans}
    calls = collector.all("POST")
    assert {above[above[one.id]] for one in calls} == {one.id for one in decisions}
    assert {_sent_with(one) for one in outcomes} == {f"00-{request.trace_id}-{one.id}-01" for one in calls}


def test_spans_say_what_failed_and_not_why(door: Door, collector: Collector) -> None:
    """A denied dispatch names its rule; a failed attempt and its call have a code."""
    with dispatching.working():
        assert send(door, body(provider="sink", action_type="shout"), headers=PARENT).json["outcome"] == "suppressed"
        assert send(door, body(provider="broken")).json["outcome"] == "failed"
    spans.close()
    denied, let_out = collector.all("decide")
    assert [denied.facts[f"tocsin.{name}"] for name in ("verdict", "rule", "outcome")] == [
        "deny",
        "no-shouting",
        "suppressed",
    ]
    assert not denied.failed
    assert not let_out.failed
    for name in ("attempt", "POST"):
        span = collector.one(name)
        assert (span.failed, span.facts["error.type"]) == (True, "http_status")
    assert not [span for span in collector.spans if SECRET in span.text or "loud" in span.text]


def test_replays_are_below_their_request(door: Door, sink: Sink, collector: Collector) -> None:
    """Each record that is sent again is decided about below the span of the replay, and goes out below that."""
    with dispatching.working():
        for number in range(2):
            assert send(door, body(provider="sink", payload={"n": number})).json["outcome"] == "executed"
        told = door.call("POST", "/v1/audit/replay", json={"tenant": "default"}, headers=PARENT).json
        assert told["replayed"] == 2, told
        eventually(lambda: len(sink.arrivals("/echo")) == 4, 60, "all have gone out")
    spans.close()
    replay = collector.one("replay")
    assert (replay.trace_id, replay.parent) == (TRACE, ABOVE)
    above = {one.id: one.parent for one in collector.spans}
    below = [one for one in collector.all("POST") if one.trace_id == TRACE]
    assert [above[above[one.parent]] for one in below] == [replay.id] * 2


def test_a_mail_is_a_call(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its span is below the attempt, and says neither server nor recipients."""
    monkeypatch.setattr(mail.smtp, "deliver", lambda *_: {})
    names = {"from": "a@example.org", "to": "b@example.org", "subject": "s", "body": SECRET}
    call = {"execution_id": "disp-1", "idempotency_key": "disp-1", "parameters": {}, "context": {}}
    mail.deliver(Call(config={"host": "mail.example.org", **names}, trace=PARENT, **call))
    spans.close()
    span = collector.one("SMTP")
    assert (span.trace_id, span.parent, span.facts) == (TRACE, ABOVE, {"tocsin.execution": "disp-1"})


def test_what_is_not_sampled_is_not_exported(door: Door, collector: Collector) -> None:
    """The sender has said so; the ids go on all the same."""
    with dispatching.working():
        told = send(door, body(provider="sink"), headers={"traceparent": f"00-{TRACE}-{ABOVE}-00"}).json
    spans.close()
    assert collector.spans == []
    sent = _sent_with(told)
    assert (sent[:36], sent[-3:]) == (f"00-{TRACE}-", "-00")
    assert ABOVE not in sent


@pytest.mark.parametrize("kind", ["away", "hanging", "refusing"])
def test_a_collector_that_fails_harms_nothing(
    kind: str, door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Dispatches go on, the queue is bounded, and the end of the process does not wait for long."""
    queue = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    queue["OTEL_EXPORTER_OTLP_TIMEOUT"] = "3600" if kind == "hanging" else "10"
    with Collector(hanging=kind == "hanging", status=400) as collector:
        url = "http://127.0.0.1:9" if kind == "away" else collector.url
        with exporting(monkeypatch, url, **queue), dispatching.working():
            for _ in range(10):
                assert send(door, body(provider="sink"), headers=PARENT).json["outcome"] == "executed"
            spans.close(0.2)
            still_sending = any(thread.name == "last-spans" for thread in threading.enumerate())
            assert still_sending or kind != "hanging"  # it would go on for half a minute
            assert collector.spans == []
    assert SECRET not in caplog.text


_FORKING = """\
import os
from config import spans

def record(name):
    with spans.span(name, {}, begins=True):
        pass

record("before")
child = os.fork()
record("parent" if child else "child")
spans.close(60)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


def test_a_process_that_is_forked_exports_its_own() -> None:
    """What its parent has not exported yet is exported once, by the parent."""
    with Collector() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        environment = clean_environment(TOCSIN_ENV="development", **settings)
        subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKING], cwd=ROOT, env=environment, check=True)
    assert sorted(span.name for span in collector.spans) == ["before", "child", "parent"]
    assert len({span.trace_id for span in collector.spans}) == 3
