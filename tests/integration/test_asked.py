"""How approvals of rules, steps and actions become known: by an event that playbooks listen for, and by notices."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.approvals import signing
from playbooks.states import Mode
from store.engine import db
from store.executions import announcements, transitions
from store.gateway import approvals
from tasks.attempts import action as attempts
from tasks.clock import approval_notices
from tasks.clock.duty import TimeSlice
from tasks.entrypoints import runs as steps
from tasks.intake import run_start
from tasks.intake.run_start import RunRequest
from tasks.policy import approval_links
from tasks.runs import planner
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send
from tests.support.listeners import announced, forgotten, runs_of, waiting

SECRET = "hunter2-and-more"
PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  mail: {kind: mock, behaviour: ok}
  asker: {kind: action, action: act-circle}
  starter: {kind: playbook, playbook: pb-circle}
"""
RULES = """\
rules:
  - {name: ask, priority: 1, condition: {field: action.action_type, eq: tell},
     action: {type: require_approval, message: "Tell {{ action.payload.to }}?", approvers: [kim, "role:admin"]}}
  - {name: ask-contain, priority: 2, condition: {field: action.category, eq: containment},
     action: {type: require_approval, message: "{{ action.payload.token | default('none') }}"}}
  - {name: instead, priority: 3, condition: {all: [{field: action.category, eq: remediation}]}, origins: [step],
     action: {type: chain, chain_name: telling}}
"""
CHAINS = "chains:\n  - name: telling\n    steps: [{name: tell, provider: drill, action_type: tell}]\n"
PASS = {"id": "pass", "type": "condition", "expression": "true"}
ASK: dict[str, Any] = {"id": "ask", "type": "approval", "message": "Go on?", "notify": "mail", "timeout_seconds": 600}


@pytest.fixture
def door(first_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules that ask; no playbook is known to listen."""
    forgotten()
    found = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES, chains=CHAINS)
    yield found
    dispatching.forget()
    forgotten()


def listen(door: Door, *steps_: dict[str, Any], **more: Any) -> None:
    """A playbook that listens for approvals."""
    door.create_playbook(
        id="pb-listen", name="Listen", trigger="approval.requested", steps=list(steps_) or [PASS], **more
    )


def contain(door: Door, kind: str = "containment") -> str:
    """The id of an action with a secret parameter."""
    declared = [{"name": "host"}, {"name": "token", "type": "secret"}]
    return str(door.create(id=f"act-{kind}", name=kind, type=kind, parameters=declared)["id"])


def start(door: Door, *steps_: dict[str, Any], key: str = "", **run: Any) -> str:
    """Run a new playbook as far as it goes; the run's id."""
    made = door.create_playbook(steps=list(steps_))
    answer = door.call("POST", f"/api/playbooks/{made['id']}/run", json=run, key=key)
    assert answer.status_code == 202, answer.text
    return begun(answer.json["execution_id"])


def begun(run_id: str) -> str:
    """Do what workers would do with a run, until it waits."""
    steps.begin.apply(args=[run_id]).get()
    for _ in range(5):
        with db.read() as connection:
            table = transitions.executions
            ready = connection.execute(
                table.select().where(table.c.run_id == run_id, table.c.status == "pending")
            ).all()
        for row in ready:
            steps.step.apply(args=[row.id]).get()
    return run_id


def asked(execution_id: str) -> Any:
    """The approval that an execution waits for."""
    found = db.read_one(approvals.pending_of, execution_id)
    assert found is not None
    return found


def row_of(execution_id: str) -> Any:
    with db.read() as connection:
        return transitions.get(connection, "default", execution_id)


def sent() -> list[dict[str, Any]]:
    """The payloads of all notices, the oldest first."""
    table = transitions.executions
    with db.read() as connection:
        rows = connection.execute(table.select().order_by(table.c.created_at, table.c.id)).all()
    return [
        json.loads(row.input)["payload"] for row in rows if row.gate and json.loads(row.gate)["origin"] == "approval"
    ]


def event() -> dict[str, Any]:
    """The event of the only run that an approval has started."""
    (run,) = runs_of("pb-listen")
    found: dict[str, Any] = json.loads(run.context)["event"]
    return found


def decide(door: Door, approval_id: str, decision: str = "approve", key: str = "") -> Any:
    headers = {"Prefer": "respond-async"}
    return door.call("POST", f"/api/approvals/{approval_id}/{decision}", key=key, json={}, headers=headers)


# the event


def test_what_a_rule_holds_back_is_announced_once(door: Door) -> None:
    """A dispatch, a trigger and a step: with the rule, who asks and what it is about, and no secret."""
    listen(door)
    dispatch = send(door, body(action_type="tell", payload={"to": "ops"})).json
    execution_id = asked_of(dispatch["approval_id"]).execution_id
    assert waiting(execution_id) == ["approval.requested"]
    assert (announced(execution_id), announced(execution_id)) == ("announced", "stale")
    found = event()
    said = found["data"]["approval"]
    assert found["id"] == said["id"] == dispatch["approval_id"]
    assert (said["origin"], said["rule"], said["message"]) == ("rule", "ask", "Tell ops?")
    assert (said["namespace"], said["provider"], said["action_type"]) == ("notifications", "drill", "tell")
    assert (said["approvers"], said["expires_at"]) == (["kim", "role:admin"], dispatch["expires_at"])
    assert found["data"]["execution"]["id"] == execution_id


def asked_of(approval_id: str) -> Any:
    found = db.read_one(approvals.read, approval_id)
    assert found is not None
    return found


def test_a_trigger_and_a_step_that_are_held_back_are_announced(door: Door) -> None:
    """The trigger names its action, the step its playbook; secrets are masked."""
    action_id = contain(door)
    listen(door)
    trigger = door.trigger(action_id, parameters={"host": "h", "token": SECRET})
    assert waiting(trigger) == ["approval.requested"]
    announced(trigger)
    data = event()["data"]
    assert (data["action"]["id"], data["approval"]["rule"], data["approval"]["origin"]) == (
        action_id,
        "ask-contain",
        "rule",
    )
    held = {
        "id": "held",
        "type": "action",
        "action_ref": action_id,
        "parameters": {"host": "h", "token": "{{ token }}"},
    }
    made = door.create_playbook(name="Work", steps=[held], parameters=[{"name": "token", "type": "secret"}])
    answer = door.call("POST", f"/api/playbooks/{made['id']}/run", json={"parameters": {"token": SECRET}})
    run_id = begun(answer.json["execution_id"])
    assert waiting(f"{run_id}.held") == ["approval.requested"]
    announced(f"{run_id}.held")
    *_, last = runs_of("pb-listen")
    data = json.loads(last.context)["event"]["data"]
    assert (data["playbook"]["id"], data["execution"]["id"]) == ("pb-work", run_id)
    assert (data["approval"]["step_id"], data["approval"]["origin"]) == ("held", "rule")
    assert SECRET not in "".join(run.context for run in runs_of("pb-listen"))


def test_steps_and_actions_say_that_they_ask(door: Door) -> None:
    """The kind of asker stands in the event, and its id is the approval's."""
    listen(door)
    run_id = start(door, ASK)
    announced(f"{run_id}.ask")
    said = event()["data"]["approval"]
    assert (said["id"], said["origin"], said["message"]) == (asked(f"{run_id}.ask").id, "step", "Go on?")
    door.create(id="act-ask", name="Ask", type="approval", executor="approval", config={"message": "Shall we?"})
    execution_id = door.trigger("act-ask")
    attempts.attempt(execution_id)
    assert waiting(execution_id) == ["approval.requested"]


def test_nothing_is_written_where_no_playbook_listens(door: Door) -> None:
    """No row, whoever asks."""
    send(door, body(action_type="tell"))
    start(door, ASK)
    with db.read() as connection:
        assert connection.execute(announcements.announcements.select()).all() == []


def test_a_listener_that_is_held_back_itself_starts_no_circle(door: Door) -> None:
    """Neither by its own step, nor by one of a chain that a rule starts in its place."""
    held = {"id": "held", "type": "action", "action_ref": contain(door)}
    chained = {"id": "chained", "type": "action", "action_ref": contain(door, "remediation")}
    listen(door, chained, held)
    send(door, body(action_type="tell"))
    with db.read() as connection:
        [first] = connection.execute(announcements.announcements.select()).all()
    announced(first.execution_id)
    (run,) = runs_of("pb-listen")
    begun(run.id)
    (chain,) = runs_of("chain:telling")
    begun(chain.id)
    assert (row_of(f"{run.id}.held").waiting_for, row_of(f"{chain.id}.tell").waiting_for) == ("gate", "gate")
    assert (waiting(f"{run.id}.held"), waiting(f"{chain.id}.tell")) == ([], [])
    assert len(runs_of("pb-listen")) == 1


# notices


def test_a_step_sends_its_notice_as_it_begins_to_wait(door: Door) -> None:
    """The link decides, and the run goes on; nothing that is stored has it."""
    run_id = start(door, {**ASK, "reminder_seconds": 60}, PASS)
    row = asked(f"{run_id}.ask")
    assert (row.notices, row.notify, row.notice_error) == (1, "mail", None)
    [notice] = sent()
    assert (notice["approval_id"], notice["message"], notice["recipient"]) == (row.id, "Go on?", "notify:mail")
    assert (notice["subject"], notice["approve_url"]) == ("Approval needed: step ask (default)", "[redacted]")
    link = approval_links.url(row, signing.APPROVE, "notify:mail").partition("/v1/")[2]
    assert door.call("POST", f"/v1/{link}", key=None).json["status"] == "approved"
    assert door.call("POST", f"/v1/{link}", key=None).status_code == 410
    steps.follow.apply(args=[f"{run_id}.ask"]).get()
    assert (row_of(run_id).status, row_of(f"{run_id}.ask").status) == ("completed", "completed")
    assert json.loads(row_of(f"{run_id}.ask").output)["by"] == "notify:mail"


def test_reminders_of_a_step_follow(door: Door) -> None:
    """Tick sends them until it is decided."""
    run_id = start(door, {**ASK, "reminder_seconds": 60})
    table = approvals.approvals
    with db.write() as connection:
        connection.execute(table.update().values(created_at=db.now_ms() - 61_000, notify_at=db.now_ms() - 1))
    assert approval_notices.look_now(TimeSlice()) == 1
    assert [one["reminder"] for one in sent()] == [0, 1]
    assert asked(f"{run_id}.ask").notices == 2


def test_an_action_sends_its_notices_to_its_approvers(door: Door) -> None:
    """Each approver has one vote, by key or by link; a quorum of them decides."""
    config = {"message": "Shall we?", "notify": "mail", "approvers": ["kim", "sam@example.org"], "quorum": 2}
    door.create(id="act-ask", name="Ask", type="approval", executor="approval", config=config)
    execution_id = door.trigger("act-ask")
    assert attempts.attempt(execution_id).status == "waiting"
    row = asked(execution_id)
    assert [one["recipient"] for one in sent()] == ["kim", "sam@example.org"]
    assert sent()[1]["to"] == "sam@example.org"
    assert assert_problem(decide(door, row.id), 403)["code"] == "not_an_approver"
    links = {name: approval_links.url(row, signing.APPROVE, name).partition("/v1/")[2] for name in ("kim", "eve")}
    assert door.call("POST", f"/v1/{links['eve']}", key=None).status_code == 403
    assert door.call("POST", f"/v1/{links['kim']}", key=None).json["status"] == "pending"
    door.user(username="kim", role="operator")
    kim = door.sign_in("kim").json["token"]
    assert assert_problem(decide(door, row.id, key=kim), 409)["code"] == "already_voted"
    sam = approval_links.url(row, signing.APPROVE, "sam@example.org").partition("/v1/")[2]
    assert door.call("POST", f"/v1/{sam}", key=None).json["status"] == "approved"
    assert row_of(execution_id).status == "completed"


def test_a_step_with_an_approval_action_sends_notices_too(door: Door) -> None:
    """Its terms are those of the action's config."""
    config = {"message": "Shall we?", "notify": "mail"}
    door.create(id="act-ask", name="Ask", type="approval", executor="approval", config=config)
    run_id = start(door, {"id": "sign", "type": "action", "action_ref": "act-ask"})
    row = asked(f"{run_id}.sign")
    assert (row.origin, row.notices, row.expires_at) == ("action", 1, row_of(f"{run_id}.sign").due_at)


def test_a_starter_may_not_decide_by_a_link_either(door: Door) -> None:
    """A link stands for its recipient."""
    made = door.call("POST", "/api/keys", json={"name": "ana", "role": "operator"}).json["data"]["key"]
    run_id = start(door, {**ASK, "approvers": ["ana", "kim"], "not_by_starter": True}, key=made)
    row = asked(f"{run_id}.ask")
    link = approval_links.url(row, signing.APPROVE, "ana").partition("/v1/")[2]
    assert assert_problem(door.call("POST", f"/v1/{link}", key=None), 403)["code"] == "not_by_starter"
    other = approval_links.url(row, signing.APPROVE, "kim").partition("/v1/")[2]
    assert door.call("POST", f"/v1/{other}", key=None).json["status"] == "approved"


def test_two_votes_reject_a_step(door: Door) -> None:
    """With a reject_quorum one rejection is a vote; the step waits on, and fails by the second."""
    run_id = start(door, {**ASK, "quorum": 2, "reject_quorum": 2, "not_by_starter": False})
    path = f"/api/playbooks/executions/{run_id}/steps/ask/reject"
    assert door.call("POST", path, json={}).json["data"]["status"] == "waiting"
    assert assert_problem(door.call("POST", path, json={}), 409)["code"] == "already_voted"
    assert door.call("POST", path, json={}, key=door.key("operator")).json["data"]["status"] == "failed"


def test_a_provider_that_cannot_be_used_keeps_no_step_from_waiting(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The approval says why, and tick sends the notice once it can."""
    off = PROVIDERS.replace("mail: {kind: mock,", "mail: {enabled: false, kind: mock,")
    dispatching.put_in_force(monkeypatch, tmp_path, providers=off, rules=RULES)
    run_id = start(door, ASK)
    row = asked(f"{run_id}.ask")
    assert (row_of(f"{run_id}.ask").waiting_for, row.notices) == ("approval", 0)
    assert "disabled" in row.notice_error
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    with db.write() as connection:
        connection.execute(approvals.approvals.update().values(notify_at=db.now_ms() - 1))
    approval_notices.look_now(TimeSlice())
    assert (len(sent()), asked(f"{run_id}.ask").notice_error) == (1, None)


def test_many_questions_at_once_leave_their_notices_to_tick(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no transaction accepts them all; each is sent once."""
    monkeypatch.setattr(planner, "MOST_NOTICES", 1)
    branches = [{"steps": [{**ASK, "id": f"ask-{n}"}]} for n in range(3)]
    run_id = start(door, {"id": "all", "type": "parallel", "branches": branches})
    assert [asked(f"{run_id}.ask-{n}").notices for n in range(3)] == [1, 0, 0]
    approval_notices.look_now(TimeSlice())
    assert [asked(f"{run_id}.ask-{n}").notices for n in range(3)] == [1, 1, 1]
    assert len({one["approval_id"] for one in sent()}) == len(sent()) == 3


def test_a_sandbox_run_sends_no_notice(door: Door) -> None:
    """It waits, as before, and nothing goes out."""
    made = door.create_playbook(steps=[ASK])
    request = RunRequest(workspace_id="default", actor="test", playbook_id=made["id"], mode=Mode.SANDBOX)
    run_id = begun(run_start.start(request).run_id)
    assert (asked(f"{run_id}.ask").notify, sent()) == (None, [])


def test_notices_start_no_circle(door: Door) -> None:
    """An approval to which the notice of another has led sends none, and says so."""
    config = {"message": "Again?", "notify": "asker"}
    texts = "approval_id subject message text rule namespace tenant provider action_type requested_by expires_at"
    declared = [{"name": name} for name in f"{texts} recipient approve_url reject_url".split()]
    declared += [{"name": "payload", "type": "object"}, {"name": "reminder", "type": "integer"}]
    whole = {"type": "approval", "executor": "approval", "config": config, "parameters": declared}
    door.create(id="act-circle", name="Circle", **whole)
    execution_id = door.trigger("act-circle")
    attempts.attempt(execution_id)
    row = asked(execution_id)
    assert row.notice_ids is not None, row.notice_error
    [notice_id] = json.loads(row.notice_ids)
    attempts.attempt(notice_id)
    row = asked(notice_id)
    assert (row.notices, row.notify) == (0, None)
    assert "led to this one" in row.notice_error
    door.create_playbook(id="pb-circle", name="Round", steps=[{**ASK, "notify": "starter"}])
    first = door.call("POST", "/api/playbooks/pb-circle/run", json={}).json["execution_id"]
    begun(first)
    [notice_id] = json.loads(asked(f"{first}.ask").notice_ids)
    attempts.attempt(notice_id)
    _, second = runs_of("pb-circle")
    begun(second.id)
    assert "led to this one" in asked(f"{second.id}.ask").notice_error


# at writing

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown provider": ({"notify": "mial"}, "/notify", "there is no provider 'mial'; did you mean 'mail'?"),
    "reminder alone": ({"notify": None, "reminder_seconds": 60}, "/reminder_seconds", "notify, which is not given"),
    "reminder too late": ({"reminder_seconds": 600}, "/reminder_seconds", "must be shorter than"),
    "reminder too soon": ({"reminder_seconds": 5}, "/reminder_seconds", "from 60 to"),
    "quorum": ({"quorum": 2, "approvers": ["kim"]}, "/quorum", "more than the 1 approvers"),
    "quorum 0": ({"quorum": 0}, "/quorum", "from 1 to 20"),
    "reject quorum": ({"reject_quorum": "x"}, "/reject_quorum", "from 1 to 20"),
    "no name": ({"notify": ["mail"]}, "/notify", "the name of a provider"),
    "many": ({"approvers": [f"a{n}" for n in range(21)]}, "/approvers", "each gets a notice of its own"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_asked_so_is_refused_at_writing(door: Door, name: str) -> None:
    """Of a step and of an action alike, with the member named."""
    given, member, words = FAULTS[name]
    step = {key: value for key, value in {**ASK, **given}.items() if value is not None}
    answer = door.call("POST", "/api/playbooks", json={"name": "Faulty", "steps": [step]})
    errors = assert_problem(answer, 400)["errors"]
    assert [one["pointer"] for one in errors] == [f"/steps/0{member}"]
    assert words in errors[0]["detail"]
    config = {key: value for key, value in {"notify": "mail", **given}.items() if value is not None}
    whole = {"name": "Faulty", "type": "approval", "executor": "approval"}
    answer = door.call("POST", "/api/actions", json={**whole, "config": {"expires_in_seconds": 600, **config}})
    errors = assert_problem(answer, 400)["errors"]
    assert [one["pointer"] for one in errors] == [f"/config{member}"]
    assert words.lower() in errors[0]["detail"].lower()


def test_who_writes_a_notice_needs_the_right_to_dispatch(door: Door) -> None:
    """As for steps that name a provider."""
    weak = door.key("operator", scopes=("write:playbooks", "read:playbooks", "write:actions", "execute:actions"))
    refused = assert_problem(door.call("POST", "/api/playbooks", key=weak, json={"name": "W", "steps": [ASK]}), 403)
    assert refused["errors"][0]["pointer"] == "/steps/0/notify"
    whole = {"name": "W", "type": "approval", "executor": "approval", "config": {"notify": "mail"}}
    refused = assert_problem(door.call("POST", "/api/actions", key=weak, json=whole), 403)
    assert refused["errors"][0]["pointer"] == "/config/notify"


def test_a_dry_run_says_by_what_a_notice_would_go_out(door: Door) -> None:
    """And sends nothing."""
    config = {"message": "Shall we?", "notify": "mail"}
    door.create(id="act-ask", name="Ask", type="approval", executor="approval", config=config)
    made = door.create_playbook(steps=[ASK, {"id": "sign", "type": "action", "action_ref": "act-ask"}])
    answer = door.call("POST", f"/api/playbooks/{made['id']}/run", json={"dry_run": True})
    run_id = begun(answer.json["execution_id"])
    shown = door.call("GET", f"/api/playbooks/executions/{run_id}/steps").text
    assert shown.count("its notice would go out by the provider mail") == 2
    assert sent() == []


@pytest.mark.parametrize("form", ["native", "yaml", "cacao_v2"])
def test_an_export_keeps_how_it_is_asked(door: Door, form: str) -> None:
    """Another installation's import has the same members, CACAO's too."""
    step = {**ASK, "reminder_seconds": 60, "quorum": 2, "reject_quorum": 2, "approvers": ["kim", "sam"]}
    made = door.create_playbook(name="Kept", steps=[step])
    exported = door.call("GET", f"/api/playbooks/{made['id']}/export?format={form}")
    assert exported.status_code == 200, exported.text
    assert door.call("DELETE", f"/api/playbooks/{made['id']}").status_code == 204
    sending = {"data": exported.data, "headers": {"Content-Type": exported.content_type}}
    imported = door.call("POST", "/api/playbooks/import", **sending)
    assert imported.status_code in (200, 201), imported.text
    kept = door.call("GET", f"/api/playbooks/{made['id']}").json["data"]["steps"][0]
    assert {name: kept.get(name) for name in step} == step
