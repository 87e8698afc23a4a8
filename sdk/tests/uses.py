"""Sixty typical uses of the client, which type checkers read; nothing here runs.

``assert_type`` says what an editor shows. ``misuses.py`` has what must be refused.
"""

# mypy: disable-error-code="unreachable"

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, List, Optional

from tocsin import ApiError, AsyncClient, Client, ExecutionFailed, Message, StillRunning, TocsinError, errors, models
from tocsin.webhooks import SignatureInvalid, verify

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


def settings() -> None:
    """Clients."""
    Client()
    Client("https://tocsin.example.com", "tcn_1_2")
    Client(profile="work", timeout=5, tries=2, verify=False, proxy="http://proxy:3128", headers={"X-Team": "soc"})
    with Client(url="http://tocsin.internal", api_key="k", insecure=True) as client:
        assert_type(client, Client)
        assert_type(client.url, str)
        assert_type(client.with_options(timeout=5), Client)
        assert_type(client.request("GET", "/api/openapi.json", query={"a": 1}), Any)


def actions(client: Client) -> None:
    """Actions and their executions."""
    action = client.actions.create({"name": "Block", "type": "containment", "executor": "webhook"})
    assert_type(action.name, str)
    assert_type(action.etag, str)
    client.actions.replace(action.id or "", Path("block.yaml"), if_match=action.etag, force=True)
    client.actions.change("act-block", {"description": "x"}, if_match=action.etag)
    assert_type(client.actions.apply("block.yaml"), models.Action)
    client.actions.delete("act-block", force=True)
    assert_type(client.actions.validate({"name": "x"}).valid, bool)
    client.actions.disable("act-block", force=True)
    assert_type(client.actions.enable("act-block"), models.Action)
    for version in client.actions.versions("act-block"):
        assert_type(version, models.VersionItem)
    for one in client.actions.list(type="webhook", executor=["local", "webhook"], enabled=True, sort_by="name"):
        assert_type(one, models.Action)
    execution = client.actions.trigger("act-block", {"ip": "203.0.113.50"}, target="web-01", idempotency_key="a")
    assert_type(execution.id, str)
    assert_type(execution.status, Optional[str])
    assert_type(execution.state, models.Execution)
    assert_type(execution.wait(timeout=60).state.created_at, datetime)
    assert_type(execution.result(timeout=1.5), Any)
    assert_type(execution.logs().all(), List[models.LogLine])
    execution.cancel().refresh()
    client.executions.approve("exec-1", "fine")
    for item in client.executions.list(status=["failed", "timeout"], since=timedelta(hours=24)):
        assert_type(item.status, models.ExecutionItemStatus)
        assert_type(item.execution_id, str)
    assert_type(client.executions.get("exec-1", wait=10).attempt, int)


def playbooks(client: Client) -> None:
    """Playbooks and their runs."""
    playbook = client.playbooks.create("name: First\nsteps: []\n")
    assert_type(playbook, models.Playbook)
    assert_type(playbook.steps, List[models.Step])
    for summary in client.playbooks.list(search="isolation", limit=50):
        assert_type(summary, models.PlaybookItem)
    run = client.playbooks.run("pb-isolation", {"hash": "…"}, target="laptop-7")
    assert_type(run.state, models.Run)
    run.wait(until="paused").step("approve-isolation").approve(note="user told")
    assert_type(run.step("a").reject("no", iteration="2"), models.StepDoing)
    for message in run.events():
        assert_type(message, Message)
        assert_type(message.status, Optional[str])
    for step in run.steps():
        assert_type(step.status, models.StepDoingStatus)
    assert_type([line.message for line in run.logs(limit=100)], List[str])
    assert_type(run.timeline(), models.Timeline)
    run.pause().resume().cancel()
    assert_type(run.retry(begin="failed").id, str)
    page = client.runs.list(status="failed", limit=50).page()
    assert_type(page.items, List[models.RunItem])
    assert_type(page.total, Optional[int])
    assert_type(page.next_cursor, Optional[str])
    assert_type(client.runs.list(trigger="event", dry_run=False).first(), Optional[models.RunItem])
    assert_type(client.runs.get("pexec-1").steps, List[models.RunStep])
    client.runs.handle("pexec-1").wait(timeout=30)
    client.runs.diff("pexec-1", against="pexec-2")
    assert_type(client.playbooks.diff("pb-a", "1.0.0", "1.1.0"), models.VersionDifference)
    client.playbooks.import_(Path("cacao.json"), dry_run=True, on_conflict="replace")


def gateway(client: Client) -> None:
    """Dispatches, rules and what surrounds them."""
    outcome = client.dispatch.send("soc", "acme", "mail", "send_alert", {"host": "web-01"}, wait=10, dedup_key="d")
    assert_type(outcome.action_id, str)
    assert_type(client.dispatch.batch([{"namespace": "soc"}]), List[models.BatchItem])
    assert_type(client.events.send("finding.new", {"severity": "high"}), models.EventOutcome)
    client.events.transition("f-1", "resolved", namespace="soc", tenant="acme")
    for approval in client.approvals.list(status="pending"):
        client.approvals.approve(approval.id, "seen")
    client.rules.disable("block-spam")
    client.rules.simulate({"add": []}, hours=24)
    client.silences.create([{"name": "host", "value": "web-01"}], "patching", duration_seconds=600)
    client.time_intervals.create("nights", [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}])
    client.recurring.create("0 9 * * 1", target={"action": "act-block"}, timezone="Europe/Berlin")
    for record in client.audit.list(outcome="failed", since=timedelta(days=1)):
        assert_type(record.outcome, models.RecordOutcome)
    assert_type(client.audit.why("exec-1").sentences, List[str])
    client.breakers.trip("mail")
    client.stop.set("an incident", tenant="acme")
    assert_type(client.keys.create("ci", role="operator").key, str)
    assert_type(client.server.health(), models.Health)
    for told in client.stream.follow(namespace="soc", event_type=["action_dispatched"]):
        assert_type(told.to_dict(), Dict[str, Any])
        break


def failing(client: Client) -> None:
    """Errors."""
    try:
        client.actions.trigger("act-block").result(timeout=60)
    except errors.NotFound as missing:
        assert_type(missing.request_id, str)
    except errors.TooManyRequests as much:
        assert_type(much.retry_after, Optional[float])
    except ExecutionFailed as failed:
        assert_type(failed.outcome_unknown, bool)
        assert_type(failed.step_id, Optional[str])
    except StillRunning as running:
        assert_type(running.execution_id, str)
    except ApiError as refused:
        assert_type([one.pointer for one in refused.errors], List[str])
    except TocsinError:
        raise
    try:
        assert_type(verify(b"{}", {}, "whsec_x", tolerance=60), Dict[str, Any])
    except SignatureInvalid as invalid:
        assert_type(invalid.reason == "too_old", bool)


async def asynchronously() -> None:
    """The same, awaited."""
    async with AsyncClient() as client:
        run = await client.playbooks.run("pb-isolation", target="laptop-7")
        assert_type((await run.wait(until=["paused"])).status, Optional[str])
        assert_type(await run.result(timeout=60), Any)
        async for message in run.events():
            assert_type(message, Message)
        assert_type([one async for one in client.runs.list()], List[models.RunItem])
        page = await client.runs.list(limit=50).page()
        assert_type(page.items, List[models.RunItem])
