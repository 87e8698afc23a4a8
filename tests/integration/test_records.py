"""Every end of what was to go out is one record, on either database, whoever writes it."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from playbooks.states import Mode, Status
from store import access
from store.audit import RECORD, audit
from store.engine import db
from store.executions import ending, rows, runs, steps, transitions
from store.executions.steps import End, Moves
from store.gateway import payloads
from store.ids import new_id
from store.records import notes
from store.records.notes import Note
from tasks.clock import retention
from tasks.clock.duty import TimeSlice
from tests.support import committer
from tests.support.api import Door
from tests.support.executions import new_execution

GATE = {
    "origin": "dispatch",
    "namespace": "mail",
    "provider": "sms",
    "action_type": "send",
    "given_id": "mine-1",
    "verdict": "reroute",
    "rule": "by-night",
    "original_provider": "email",
}


@pytest.fixture(autouse=True)
def _workspace(database: str) -> None:
    with db.write() as connection:
        access.ensure_workspace(connection, "w", "W")


def records(*subjects: str) -> list[dict[str, Any]]:
    """The records of these executions, or all, oldest first."""
    with db.read() as connection:
        query = sa.select(audit).where(audit.c.outcome.is_not(None)).order_by(audit.c.id)
        found = [dict(row) for row in connection.execute(query).mappings()]
    return [row for row in found if not subjects or row["subject"] in subjects]


def ended(to: Status, *, error: str | None = None, **more: Any) -> str:
    """An execution that was accepted, claimed and ended."""
    values = new_execution(**more)
    with db.write() as connection:
        transitions.accept(connection, values, publish_again_at=db.now_ms())
        assert committer.claim(connection, values["id"])
        changes = {"error": error} if error else {}
        assert transitions.transition(connection, values["id"], to, **changes)
    return values["id"]


def fault(code: str) -> str:
    """The error of an execution."""
    return json.dumps({"code": code, "message": "m"})


@pytest.mark.parametrize(
    ("to", "error", "outcome"),
    [
        (Status.COMPLETED, None, "executed"),
        (Status.FAILED, fault("http_status"), "failed"),
        (Status.FAILED, fault("denied"), "suppressed"),
        (Status.FAILED, fault("circuit_open"), "circuit_open"),
        (Status.TIMEOUT, fault("timeout"), "failed"),
        (Status.CANCELLED, None, "cancelled"),
        (Status.CANCELLED, fault("suppressed"), "suppressed"),
        (Status.CANCELLED, fault("deduplicated"), "deduplicated"),
        (Status.CANCELLED, fault("throttled"), "throttled"),
    ],
)
def test_a_triggered_action_ends_with_one_record(to: Status, error: str | None, outcome: str) -> None:
    """It says the outcome, and of an action that no rule concerned where it went."""
    subject = ended(to, error=error, created_by="key-1")
    [record] = records()
    assert record["subject"] == subject
    assert record["event"] == f"execution.{to}"
    assert {name: record[name] for name in RECORD if name not in ("began_at", "provider")} == {
        "outcome": outcome,
        "origin": "trigger",
        "namespace": "actions",
        "action_type": "act",
        "given_id": None,
        "verdict": None,
        "rule": None,
        "caller": "key-1",
    }
    assert 0 <= record["at"] - record["began_at"] < 60_000


@pytest.mark.parametrize(
    ("verdict", "to", "outcome"),
    [
        ("reroute", Status.COMPLETED, "rerouted"),
        ("reroute", Status.FAILED, "failed"),
        ("chain", Status.COMPLETED, "chain_started"),
        ("throttle", Status.COMPLETED, "executed"),
        ("allow", Status.COMPLETED, "executed"),
    ],
)
def test_the_gate_s_account_goes_into_the_record(verdict: str, to: Status, outcome: str) -> None:
    """The record of an execution that a rule concerned says what the column ``gate`` says."""
    gate = {**GATE, "verdict": verdict}
    if verdict != "reroute":
        del gate["original_provider"]
    subject = ended(to, gate=json.dumps(gate))
    [record] = records(subject)
    shown = {name: record[name] for name in GATE if name in RECORD}
    expected = {name: value for name, value in gate.items() if name in RECORD}
    assert shown == {**expected, "verdict": None if verdict == "allow" else verdict}
    assert record["outcome"] == outcome


def test_an_action_s_provider_is_that_of_its_revision(database: str) -> None:
    """Its executor, of a notification its channel."""
    door = Door()
    webhook = door.create()["id"]
    channel = {"kind": "slack", "url": "http://127.0.0.1:9/", "text": "m"}
    slack = door.create(name="Tell", type="notification", executor="notification", config=channel)["id"]
    for action_id, provider in ((webhook, "webhook"), (slack, "slack")):
        execution_id = door.trigger(action_id)
        with db.write() as connection:
            committer.claim(connection, execution_id)
            assert committer.finish(connection, execution_id)
        [record] = records(execution_id)
        assert (record["provider"], record["action_type"]) == (provider, action_id)


@pytest.mark.parametrize("mode", [Mode.SANDBOX, Mode.DRY_RUN])
def test_what_goes_nowhere_has_no_record(mode: Mode) -> None:
    """The end of a sandbox or a dry run is in the trail, and no record."""
    subject = ended(Status.COMPLETED, mode=mode)
    assert records() == []
    with db.read() as connection:
        events = connection.execute(sa.select(audit.c.event).where(audit.c.subject == subject)).scalars().all()
    assert "execution.completed" in events


def _run_of(*types: str) -> tuple[str, list[str]]:
    """A run that goes on, with a running step of each type."""
    run_id = new_id("pexec")
    run = {"id": run_id, "workspace_id": "w", "action_id": "pb", "revision_id": "r", "status": Status.RUNNING}
    run |= {"queue": "steps", "mode": Mode.LIVE, "timeout_ms": 60_000, "input": "{}", "created_by": "key-1"}
    ids = [f"{run_id}.s{number}" for number in range(len(types))]
    made = [
        rows.step(
            {
                "id": step_id,
                "workspace_id": "w",
                "mode": Mode.LIVE,
                "created_by": "key-1",
                "run_id": run_id,
                "step_id": f"s{number}",
                "iteration": "",
                "type": kind,
                "status": Status.RUNNING,
                "attempt": 1,
                "owner": "o",
                "timeout_ms": 60_000,
                **(
                    {"action_id": "provider:sms", "revision_id": "rev", "input": '{"action_type":"send"}'}
                    if kind == "action"
                    else {}
                ),
            }
        )
        for number, (step_id, kind) in enumerate(zip(ids, types, strict=True))
    ]
    with db.write() as connection:
        transitions.add(connection, [rows.run(run)], "key-1")
        transitions.add(connection, made, "key-1")
    return run_id, ids


@pytest.mark.parametrize("ends_run", [False, True])
def test_a_step_ends_with_one_record_in_the_statement_that_goes_on(ends_run: bool) -> None:
    """Steps that call something have one, runs and other steps none; with what follows or with the end of the run."""
    run_id, (calls, decides) = _run_of("action", "condition")
    following = rows.step(
        {
            "id": f"{run_id}.next",
            "workspace_id": "w",
            "mode": Mode.LIVE,
            "created_by": "key-1",
            "run_id": run_id,
            "step_id": "next",
            "iteration": "",
            "type": "condition",
            "status": Status.RUNNING,
        }
    )
    moves = Moves(end=End(status=Status.COMPLETED)) if ends_run else Moves(rows=[following])
    with db.write() as connection:
        for step_id, then in ((decides, Moves()), (calls, moves)):
            over, _ = steps.end_step(
                connection, step_id, Status.COMPLETED, then, run_id=run_id, actor="o", fence=1, output="{}"
            )
            assert over
    [record] = records()
    assert record["subject"] == calls
    assert (record["origin"], record["namespace"]) == ("step", "playbooks")
    assert (record["provider"], record["action_type"]) == ("sms", "send")
    with db.read() as connection:
        status = runs.get(connection, "w", run_id).status
    assert status == (Status.COMPLETED if ends_run else Status.RUNNING)


def test_a_step_that_the_gate_skips_is_recorded_as_what_stopped_it() -> None:
    """Its row says only in ``gate`` why it was skipped."""
    _, (step_id,) = _run_of("action")
    gate = json.dumps({**GATE, "origin": "step", "verdict": "deduplicate", "outcome": "deduplicated"})
    with db.write() as connection:
        assert transitions.transition(connection, step_id, Status.SKIPPED, gate=gate)
    [record] = records()
    assert (record["outcome"], record["verdict"], record["origin"]) == ("deduplicated", "deduplicate", "step")


def test_steps_that_a_cancelled_run_leaves_behind_are_recorded() -> None:
    """Ended in a batch, each has one record; those that call nothing have none."""
    run_id, ids = _run_of("action", "condition", "action")
    with db.write() as connection:
        ending.clear(connection, [run_id], "me")
        ending.clear(connection, [run_id], "me")
    found = records()
    assert sorted(record["subject"] for record in found) == [ids[0], ids[2]]
    assert {record["outcome"] for record in found} == {"cancelled"}


@pytest.mark.parametrize("beside", [0, 2])
def test_an_execution_that_is_added_as_ended_is_recorded(beside: int) -> None:
    """A trigger that a rule stops at the door is a row that has ended, with its record; others beside it have none."""
    stopped = {**GATE, "origin": "trigger", "verdict": "suppress", "outcome": "suppressed"}
    ended_at_once = rows.action(
        {**new_execution(), "status": Status.CANCELLED, "error": fault("suppressed"), "gate": json.dumps(stopped)}
    )
    with db.write() as connection:
        transitions.add(connection, [ended_at_once, *(rows.action(new_execution()) for _ in range(beside))], "key-1")
    [record] = records()
    assert record["subject"] == ended_at_once["id"]
    assert (record["outcome"], record["rule"], record["given_id"]) == ("suppressed", "by-night", "mine-1")


def test_a_step_taken_over_by_a_retry_is_not_recorded_again() -> None:
    """It went out in the run before."""
    _, (step_id,) = _run_of("action")
    with db.write() as connection:
        done = transitions.get(connection, "w", step_id)._mapping
        again = {**done, "id": "pexec-again.s0", "status": Status.COMPLETED, "gate": json.dumps(GATE)}
        again |= {"event_": "execution.carried", "at_": db.now_ms()}
        transitions.add(connection, [again], "key-1")
    assert records() == []


def a_note(**more: Any) -> Note:
    """A dispatch that a rule has stopped."""
    members = {
        "workspace_id": "w",
        "caller": "key-1",
        "outcome": "suppressed",
        "namespace": "mail",
        "provider": "email",
        "action_type": "send",
        "payload": {"to": "a@example.com"},
        "began_at": db.now_ms(),
        "verdict": "suppress",
        "rule": "quiet",
        "details": {"reason": "night", "of": None},
    }
    return Note(**{**members, **more})


def test_a_dispatch_without_an_execution_is_one_row_and_its_body_lies_beside() -> None:
    """The trail holds the SHA-256 of the body, never the body."""
    one, other = a_note(), a_note(outcome="throttled", given_id="mine-2")
    with db.write() as connection:
        notes.note(connection, one, other)
        notes.note(connection)
    first, second = records()
    assert (first["subject"], first["event"], first["rule"]) == (one.id, "dispatch.suppressed", "quiet")
    assert (second["outcome"], second["given_id"]) == ("throttled", "mine-2")
    with db.read() as connection:
        bodies = {row.subject: row.body for row in connection.execute(sa.select(payloads.payloads))}
    assert bodies[one.id] == '{"to":"a@example.com"}'
    details = json.loads(first["details"])
    assert details == {"reason": "night", "payload_sha256": payloads.digest(bodies[one.id])}
    assert "example.com" not in str(first)


def test_bodies_are_deleted_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records stay."""
    with db.write() as connection:
        notes.note(connection, a_note(), a_note())
        connection.execute(sa.update(payloads.payloads).where(payloads.payloads.c.subject != "").values(at=5))
        notes.note(connection, a_note())
    assert retention.forget_payloads(TimeSlice()) == 2
    with db.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(payloads.payloads)).scalar() == 1
    assert len(records()) == 3
