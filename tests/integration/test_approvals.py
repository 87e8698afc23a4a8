"""What waits for an approval: asked by rules, steps and actions, decided by key and by link."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from config.settings import settings
from gateway.approvals import signing
from providers.inner import mock
from store import access
from store.audit import audit
from store.callers import users
from store.engine import db
from store.executions import transitions
from store.gateway import approvals
from store.records import approvals as waiting_approvals
from tasks.attempts import action as attempts
from tasks.clock import approval_notices
from tasks.clock.duty import TimeSlice
from tasks.clock.sweep import handle_due
from tasks.intake import notices as asking
from tasks.intake import started_runs
from tasks.policy import approval_links
from tasks.secrets.redact import MASK
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  mail: {kind: mock, behaviour: ok}
  broken: {kind: mock, behaviour: fail, every: 1}
  isolate: {kind: action, action: act-isolate}
  escalate: {kind: playbook, playbook: pb-escalate}
"""
_ASK = "condition: {field: action.action_type, eq: %s}, action: {type: require_approval, %s}"


def _rule(name: str, more: str = "") -> str:
    return f"  - {{name: {name}, {_ASK % (name, more or 'quorum: 1')}}}\n"


_FEW = """\
  - name: few
    condition: {field: action.action_type, eq: few}
    action: {type: throttle, max_count: 1, window_seconds: 600, on_excess: require_approval, message: "More?"}
"""
#: what exceeds it would have been gathered
_GATHERED = """\
  - name: cap
    condition: {field: action.action_type, eq: gathered}
    action: {type: throttle, max_count: 1, window_seconds: 600, on_excess: require_approval}
    continue: true
  - {name: gather, condition: {field: action.action_type, eq: gathered}, action: {type: group, group_by: [tenant]}}
"""
_TRIGGERS = """\
  - name: triggers
    condition: {field: action.action_type, eq: act-isolate}
    action: {type: require_approval, requester_may_approve: true}
"""
RULES = "rules:\n" + "".join(
    [
        _rule("asked", 'message: "Send to {{ action.payload.to }}?", timeout_seconds: 600'),
        _rule("mine", "requester_may_approve: true"),
        _rule("told", "notify: mail, requester_may_approve: true, reminder_seconds: 60"),
        _rule("named", "notify: mail, approvers: [kim, 'sam@example.org'], quorum: 2"),
        _rule("two", "quorum: 2, reject_quorum: 2"),
        _rule("admins", "approvers: ['role:admin'], requester_may_approve: true"),
        _rule("brief", "timeout_seconds: 1"),
        _rule("brief-no", "timeout_seconds: 1, on_timeout: reject"),
        _rule("kim", "notify: mail, approvers: [kim, 'role:admin'], quorum: 2"),
        _rule("escalated", "notify: escalate, requester_may_approve: true"),
        _rule("untold", "notify: broken, requester_may_approve: true"),
        _FEW,
        _GATHERED,
        _TRIGGERS,
    ]
)
LATER = "rules:\n  - {name: stop, condition: {field: action.action_type, eq: mine}, action: {type: deny, reason: no}}\n"


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules that ask."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "5")
    found = Door()
    asking.install()
    started_runs.install()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    yield found
    dispatching.forget()


def ask(door: Door, kind: str = "mine", **more: Any) -> dict[str, Any]:
    """Dispatch something that a rule holds back; the outcome."""
    answer = send(door, body(action_type=kind, **more))
    assert answer.status_code == 200, answer.text
    assert answer.json["outcome"] == "pending_approval", answer.text
    found: dict[str, Any] = answer.json
    return found


def follow(door: Door, url: str, method: str = "POST", key: str | None = None, **options: Any) -> Any:
    """Follow a link; without a key unless one is given."""
    parts = urlsplit(url)
    return door.call(method, f"{parts.path}?{parts.query}", key=key, **options)


def decide(door: Door, approval_id: str, decision: str = "approve", key: str | None = "", **given: Any) -> Any:
    return door.call("POST", f"/api/approvals/{approval_id}/{decision}", key=key, json=given)


def execution(approval_id: str) -> Any:
    """The execution of an approval."""
    with db.read() as connection:
        asked = approvals.read(connection, approval_id)
        assert asked is not None
        return transitions.get(connection, asked.workspace_id, asked.execution_id)


def approval(approval_id: str) -> Any:
    found = db.read_one(approvals.read, approval_id)
    assert found is not None
    return found


def notices() -> list[Any]:
    """The dispatches that make approvals known."""
    with db.read() as connection:
        rows = connection.execute(transitions.executions.select().order_by(transitions.executions.c.created_at)).all()
    return [row for row in rows if row.gate and json.loads(row.gate)["origin"] == "approval"]


def test_a_rule_holds_a_dispatch_back_until_it_is_approved(door: Door) -> None:
    """The answer has the document's members; approved it goes out, and the answer to that has the outcome."""
    asked = ask(door, "asked")
    assert set(asked) == {
        "outcome",
        "action_id",
        "approval_id",
        "expires_at",
        "approve_url",
        "reject_url",
        "notification_sent",
    }
    row = execution(asked["approval_id"])
    assert (row.status, row.waiting_for) == ("waiting", "gate")
    listed = door.call("GET", "/v1/approvals").json
    assert (listed["count"], listed["approvals"][0]["id"]) == (1, asked["approval_id"])
    assert listed["approvals"][0]["token"] == asked["approval_id"]
    assert listed["approvals"][0]["message"] == "Send to user@example.com?"
    assert "sig=" not in json.dumps(listed)
    with dispatching.working():
        decided = decide(door, asked["approval_id"], key=door.key("operator"), note="seen")
    assert decided.status_code == 200, decided.text
    assert decided.json["status"] == "approved"
    assert decided.json["outcome"]["outcome"] == "executed"
    assert decided.json["outcome"]["response"]["body"] == {"sent": True}
    assert door.call("GET", "/v1/approvals").json["approvals"] == []
    shown = door.call("GET", f"/v1/approvals/{asked['approval_id']}").json
    assert (shown["status"], shown["note"], len(shown["votes"])) == ("approved", "seen", 1)


def test_a_rejected_dispatch_fails(door: Door) -> None:
    """Nothing goes out, and its record says so."""
    asked = ask(door, "asked")
    answer = decide(door, asked["approval_id"], "reject", key=door.key("operator"), note="a scanner")
    assert answer.json["status"] == "rejected"
    assert answer.json["outcome"]["error"]["code"] == "rejected"
    assert execution(asked["approval_id"]).attempt == 0
    assert_problem(decide(door, asked["approval_id"], key=door.key("operator")), 409)
    record = door.call("GET", f"/v1/audit/{execution(asked['approval_id']).id}").json
    assert (record["outcome"], record["verdict"], record["matched_rule"]) == ("failed", "require_approval", "asked")


def test_who_has_asked_may_not_approve(door: Door) -> None:
    """Neither by key nor by the links of the answer, which stand for the requester whatever key comes with them."""
    asked = ask(door, "asked")
    refused = assert_problem(decide(door, asked["approval_id"]), 403)
    assert refused["code"] == "requester_may_not_approve"
    assert follow(door, asked["approve_url"]).status_code == 403
    assert follow(door, asked["approve_url"], key=door.key("operator")).status_code == 403
    assert approval(asked["approval_id"]).status == "pending"
    assert follow(door, asked["reject_url"]).json["status"] == "rejected"


def test_a_link_decides_without_a_login(door: Door) -> None:
    """The vote is the recipient's; a second one finds it decided."""
    asked = ask(door)
    with dispatching.working():
        answer = follow(door, asked["approve_url"])
    assert answer.status_code == 200, answer.text
    assert answer.json["outcome"]["outcome"] == "executed"
    assert_problem(follow(door, asked["approve_url"]), 410)
    assert_problem(follow(door, asked["reject_url"]), 410)


def test_a_link_decides_nothing_once_its_recipient_is_revoked(door: Door) -> None:
    """That of a key, or of a user that is disabled or gone; that of a channel, or of an address, goes on."""
    asked, key = ask(door), door.key("operator")
    row = approval(asked["approval_id"])
    key_id = key.split("_")[1]
    door.user(username="kim")
    for recipient in (key_id, "kim", "user:kim", "user:nobody", "notify:mail", "sam@example.org"):
        answer = follow(door, approval_links.url(row, signing.REJECT, recipient), "GET")
        assert answer.status_code == (410 if recipient == "user:nobody" else 200), recipient
    with db.write() as connection:
        assert access.revoke_key(connection, "default", key_id, "test")
        kim = users.get(connection, "kim")
        assert kim is not None
        users.change(connection, kim, "test", disabled_at=db.now_ms())
    for recipient in (key_id, "kim", "user:kim"):
        for method in ("GET", "POST"):
            assert follow(door, approval_links.url(row, signing.REJECT, recipient), method).status_code == 410
    assert approval(row.id).status == "pending"
    foreign = {"name": "sam@example.org", "role": "viewer"}
    made = door.call("POST", "/api/keys", door.key(workspace="foe"), json=foreign).json["data"]["id"]
    assert door.call("DELETE", f"/api/keys/{made}", door.key(workspace="foe")).status_code == 204  # says nothing here
    assert follow(door, approval_links.url(row, signing.REJECT, "sam@example.org")).status_code == 200


def test_a_link_dies_with_a_key_that_lives_elsewhere(door: Door) -> None:
    """A parent's key that decides about its tenants is known by its name, too; one that covers others says nothing."""
    answer = send(door, body(action_type="mine", tenant="acme.eu"), key=door.key(grants=[{"tenants": ["*"]}]))
    row = approval(answer.json["approval_id"])
    assert row.workspace_id == "acme.eu"

    def lead(workspace: str, tenant: str) -> tuple[str, str]:
        with db.write() as connection:
            access.ensure_workspace(connection, workspace, workspace)
            grants = json.dumps([{"tenants": [tenant]}])
            more = {"role": "operator", "scopes": [], "expires_at": None, "actor": "test", "grants": grants}
            return workspace, access.create_key(connection, workspace_id=workspace, name="lead", **more)[0]

    def without(workspace: str, key_id: str) -> int:
        with db.write() as connection:
            assert access.revoke_key(connection, workspace, key_id, "test")
        return shown("lead")

    def shown(recipient: str) -> int:
        status: int = follow(door, approval_links.url(row, signing.REJECT, recipient), "GET").status_code
        return status

    assert without(*lead("acme-corp", "acme-corp")) == 200  # no parent of acme.eu
    keys = [lead("acme", "acme"), lead("default", "*"), lead("acme", "acme")]
    assert [without(*key) for key in keys] == [200, 200, 410]
    door.user(username="kim", workspace="acme", grants=[{"tenants": ["acme"]}])
    door.user(username="lee", workspace="acme-corp")
    assert (shown("kim"), shown("lee")) == (200, 200)
    with db.write() as connection:
        for name in ("kim", "lee"):
            found = users.get(connection, name)
            assert found is not None
            users.change(connection, found, "test", disabled_at=db.now_ms())
    assert (shown("kim"), shown("lee")) == (410, 200)
    assert follow(door, approval_links.url(row, signing.REJECT, "kim")).status_code == 410
    assert approval(row.id).status == "pending"


def test_a_refused_link_is_noted_once_in_a_while(door: Door) -> None:
    """However often somebody follows it, the trail gets one row a minute."""
    asked = ask(door, "asked")
    refused = [follow(door, asked["approve_url"]).status_code for _ in range(5)]
    assert refused == [403] * 5

    def noted() -> int:
        with db.read() as connection:
            found = connection.execute(audit.select().where(audit.c.event == "approval.refused")).all()
        return len(found)

    assert noted() == 1
    with db.write() as connection:
        connection.execute(approvals.approvals.update().values(refused_at=db.now_ms() - 60_001))
    assert_problem(follow(door, asked["approve_url"]), 403)
    assert noted() == 2


def test_the_tagged_form_says_pending_approval(door: Door) -> None:
    """Existing clients read the same members below the outcome's name."""
    answer = send(door, body(action_type="mine"), "/compat/v1/dispatch").json
    assert set(answer["PendingApproval"]) >= {"approval_id", "expires_at", "approve_url", "reject_url"}
    link = urlsplit(answer["PendingApproval"]["approve_url"])
    with dispatching.working():
        decided = door.call("POST", f"/compat{link.path}?{link.query}", key=None)
    assert "Executed" in decided.json["outcome"]


def test_the_same_id_again_answers_the_same_question(door: Door) -> None:
    """While it waits; once it is decided, with what became of it."""
    first = ask(door, id="once")
    again = send(door, body(action_type="mine", id="once"))
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json["approval_id"] == first["approval_id"]
    assert door.call("GET", f"/v1/dispatch/{execution(first['approval_id']).id}").json["approve_url"] == "[redacted]"
    with dispatching.working():
        decide(door, first["approval_id"])
    assert send(door, body(action_type="mine", id="once")).json["outcome"] == "executed"
    with db.read() as connection:
        kept = connection.exec_driver_sql("SELECT * FROM idempotency_keys").all()
    assert "sig=" not in str(kept)


def test_scanners_that_open_links_decide_nothing(door: Door) -> None:
    """GET and HEAD show what is asked, escaped, without a script, behind a strict policy."""
    asked = ask(door, "asked", payload={"to": "<script>alert(1)</script>"})
    for url in (asked["approve_url"], asked["reject_url"]):
        for method in ("GET", "HEAD", "GET"):
            answer = follow(door, url, method)
            assert answer.status_code == 200
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert answer.headers["Cache-Control"] == "no-store"
        assert answer.text.count("<button") == 1
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "default" in answer.text
    assert approval(asked["approval_id"]).status == "pending"
    assert execution(asked["approval_id"]).status == "waiting"


def test_a_browser_gets_a_page_for_its_button(door: Door) -> None:
    """The form's request is answered with a page; so is a link that comes too late."""
    asked = ask(door)
    options = {"headers": {"Accept": "text/html,application/xhtml+xml"}, "data": ""}
    with dispatching.working():
        answer = follow(door, asked["approve_url"], **options)
    assert (answer.status_code, "It is approved." in answer.text) == (200, True)
    late = follow(door, asked["approve_url"], **options)
    assert (late.status_code, "Nothing was decided" in late.text) == (410, True)
    assert follow(door, asked["approve_url"], "GET").status_code == 410


def test_wrong_links_are_answered_alike(door: Door) -> None:
    """Cut, doubled, altered, foreign, unknown: one body, whatever is wrong; nothing is decided."""
    asked, other = ask(door), ask(door)
    url, parts = asked["approve_url"], urlsplit(asked["approve_url"])
    query = dict(parse_qsl(parts.query))
    place = parts.path

    def at(path: str = place, **changed: str | None) -> str:
        made = {name: value for name, value in {**query, **changed}.items() if value is not None}
        return f"{path}?{urlencode(made)}"

    wrong = [
        at(sig=query["sig"][:-1]),
        at(sig=query["sig"].upper()),
        at(sig=""),
        at(sig="é" * 64),
        at(sig=dict(parse_qsl(urlsplit(other["approve_url"]).query))["sig"]),
        at(sig=dict(parse_qsl(urlsplit(asked["reject_url"]).query))["sig"]),
        at(sig=None),
        at(expires_at="253402300799"),
        at(expires_at="0" + query["expires_at"]),
        at(expires_at="+" + query["expires_at"]),
        at(expires_at="9" * 40),
        at(expires_at="soon"),
        at(expires_at=None),
        at(kid="00000000"),
        at(kid=""),
        at(recipient="kim"),
        at(recipient=None),
        at(extra="1"),
        f"{place}?{parts.query}&sig={query['sig']}",
        f"{place}?{parts.query}&{parts.query}",
        place,
        at(place.replace("/approve", "/reject")),
        at(place.replace("/approve", "/Approve")),
        at(place.replace("/approve", "/approved")),
        at(place.replace("/notifications/", "/elsewhere/")),
        at(place.replace("/default/", "/acme/")),
        at(place.replace(asked["approval_id"], other["approval_id"])),
        at(place.replace(asked["approval_id"], "apr-" + "0" * 32)),
        at(place.replace(asked["approval_id"], asked["approval_id"].upper())),
        at(place.replace(asked["approval_id"], "apr-%00")),
        at(place + "/approve"),
        at(place + "/"),
        at(place.replace("/approvals/", "/approvals//")),
        at(place.replace("/default/", "//default/")),
        at(place.replace("/approve", "//approve")),
    ]
    bodies = set()
    for one in wrong:
        for method in ("POST", "GET"):
            answer = door.call(method, one, key=None)
            assert answer.status_code == 404, f"{method} {one}: {answer.text}"
            bodies.add(json.dumps({**answer.json, "request_id": ""}))
    assert len(bodies) == 1
    assert approval(asked["approval_id"]).status == approval(other["approval_id"]).status == "pending"
    assert follow(door, url, "GET", headers={"Host": "elsewhere.example"}).status_code == 200


def test_links_outlive_a_rotation_of_keys(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that signed goes on verifying, by its name, as long as the ring has it; then the link is unknown."""
    first, second = "kT3q8Zr1Vb6Nw0Xs5Yd9Lg2Hj7Pf4Mc", "Qw8eR2tY6uI0oP4aS9dF3gH7jK1lZ5x"
    asked = ask(door)
    for ring in (f"{first}z", f"{second}z,{first}z"):
        monkeypatch.setenv("TOCSIN_APPROVAL_KEYS", ring)
        settings.cache_clear()
        assert follow(door, asked["approve_url"], "GET").status_code == 200
    newer = ask(door)
    assert f"kid={approval_links.ring()[0].kid}" in newer["approve_url"]
    monkeypatch.setenv("TOCSIN_APPROVAL_KEYS", f"{first}z")
    settings.cache_clear()
    assert follow(door, newer["approve_url"], "GET").status_code == 404
    monkeypatch.setenv("TOCSIN_SECRET_KEY", "")
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", f"{second}n,{settings().secret_key}")
    settings.cache_clear()
    with dispatching.working():
        assert follow(door, asked["approve_url"]).status_code == 200


def test_what_was_changed_after_the_approval_is_asked_again(door: Door) -> None:
    """Nothing of it goes out: the digest is compared when the attempt begins."""
    asked = ask(door)
    answer = door.call(
        "POST", f"/api/approvals/{asked['approval_id']}/approve", json={}, headers={"Prefer": "respond-async"}
    )
    assert answer.json["outcome"]["outcome"] == "accepted"
    row = execution(asked["approval_id"])
    changed = {**json.loads(row.input), "payload": {"to": "mallory@example.com"}}
    table = transitions.executions
    with db.write() as connection:
        connection.execute(table.update().where(table.c.id == row.id).values(input=json.dumps(changed)))
    ending = attempts.attempt(row.id)
    assert ending.status == "waiting"
    with db.read() as connection:
        again = approvals.pending_of(connection, row.id)
    assert again is not None
    assert again.id != asked["approval_id"]
    with dispatching.working():
        assert decide(door, again.id).json["outcome"]["outcome"] == "executed"


def test_a_rule_that_stops_by_now_wins(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rules are asked once more at the decision."""
    asked = ask(door)
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=LATER)
    answer = decide(door, asked["approval_id"])
    assert answer.json["outcome"]["outcome"] == "suppressed"
    assert answer.json["outcome"]["denied"] is True
    assert execution(asked["approval_id"]).attempt == 0


def test_what_exceeds_a_limit_needs_an_approval(door: Door) -> None:
    """The first goes out; the second is asked about, and goes out although the window is full."""
    with dispatching.working():
        assert send(door, body(action_type="few")).json["outcome"] == "executed"
        asked = ask(door, "few")
        assert approval(asked["approval_id"]).message == "More?"
        answer = decide(door, asked["approval_id"], key=door.key("operator"))
    assert answer.json["outcome"]["outcome"] == "executed"


def test_what_exceeds_a_limit_of_a_group_needs_an_approval(door: Door) -> None:
    """The first is gathered; the second is asked about, and goes out by itself."""
    with dispatching.working():
        assert send(door, body(action_type="gathered")).json["outcome"] == "grouped"
        asked = ask(door, "gathered")
        answer = decide(door, asked["approval_id"], key=door.key("operator"))
    assert answer.json["outcome"]["outcome"] == "executed"


def test_a_triggered_action_waits_and_goes_on(door: Door) -> None:
    """It shows the approval; by approval it becomes pending and is carried out."""
    door.create(id="act-isolate")
    answer = door.call("POST", "/api/actions/act-isolate/trigger", json={"parameters": {}})
    shown = answer.json["data"]
    assert (answer.status_code, shown["status"], shown["verdict"]) == (202, "waiting", "require_approval")
    found = door.call("GET", f"/api/actions/executions/{shown['execution_id']}").json["data"]
    assert (found["waiting_for"], found["approval_id"]) == ("gate", shown["approval_id"])
    headers = {"Prefer": "respond-async"}
    answer = door.call("POST", f"/api/approvals/{shown['approval_id']}/approve", json={}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert execution(shown["approval_id"]).status == "pending"
    assert attempts.attempt(shown["execution_id"]).status in ("failed", "waiting", "completed")


def test_one_of_many_decisions_wins(door: Door) -> None:
    """Approvals and rejections, by links and by key, at the same time: one 200, one effect."""
    asked = ask(door)
    key, results, lock = door.key("operator"), [], threading.Lock()
    start = threading.Barrier(16)

    def one(number: int) -> None:
        client = Door.__new__(Door)
        client.app, client.admin = door.app, door.admin
        client.client = door.app.test_client()
        client.client.environ_base["REMOTE_ADDR"] = f"fd00::{number:x}"
        headers = {"Prefer": "respond-async"}
        start.wait(30)
        for _ in range(4):
            decision = "approve" if number % 2 else "reject"
            if number % 4 < 2:
                answer = follow(client, asked[f"{decision}_url"], headers=headers)
            else:
                path = f"/api/approvals/{asked['approval_id']}/{decision}"
                answer = client.call("POST", path, key=key, json={}, headers=headers)
            with lock:
                results.append(answer.status_code)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 64
    assert results.count(200) == 1, results
    assert set(results) <= {200, 409, 410}
    row, settled = execution(asked["approval_id"]), approval(asked["approval_id"])
    assert (row.status, settled.status) in (("pending", "approved"), ("failed", "rejected"))
    with db.read() as connection:
        events = [one.event for one in connection.execute(audit.select().where(audit.c.subject == row.id))]
    assert events.count("approval.voted") == 1


def test_a_quorum_needs_as_many_voters(door: Door) -> None:
    """Each has one vote; two rejections reject, where the rule asks for two."""
    asked = ask(door, "two")
    first, second = door.key("operator"), door.key("operator")
    answer = decide(door, asked["approval_id"], key=first)
    assert (answer.status_code, answer.json["status"], answer.json["outcome"]) == (200, "pending", None)
    assert assert_problem(decide(door, asked["approval_id"], key=first), 409)["code"] == "already_voted"
    assert assert_problem(decide(door, asked["approval_id"], "reject", key=first), 409)["code"] == "already_voted"
    assert decide(door, asked["approval_id"], "reject", key=second).json["status"] == "pending"
    with dispatching.working():
        assert decide(door, asked["approval_id"], key=door.key("operator")).json["status"] == "approved"


def test_only_named_approvers_decide_each_with_one_vote(door: Door) -> None:
    """A user by session and by link is one voter; a link stands for its recipient."""
    asked = ask(door, "named")
    assert assert_problem(decide(door, asked["approval_id"], key=door.key()), 403)["code"] == "not_an_approver"
    door.user(username="kim", role="operator")
    kim = door.sign_in("kim").json["token"]
    assert decide(door, asked["approval_id"], key=kim).json["status"] == "pending"
    row = approval(asked["approval_id"])
    assert_problem(follow(door, approval_links.url(row, signing.APPROVE, "kim")), 409)
    with dispatching.working():
        answer = follow(door, approval_links.url(row, signing.APPROVE, "sam@example.org"), key=kim)
    assert answer.json["status"] == "approved"
    shown = door.call("GET", f"/v1/approvals/{asked['approval_id']}").json
    assert {vote["voter"] for vote in shown["votes"]} == {"kim", "sam@example.org"}


def test_a_role_that_is_named_decides(door: Door) -> None:
    """And no other."""
    asked = ask(door, "admins")
    assert_problem(decide(door, asked["approval_id"], key=door.key("operator")), 403)
    with dispatching.working():
        assert decide(door, asked["approval_id"]).json["status"] == "approved"


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("brief", "timeout", "approval_expired"), ("brief-no", "failed", "rejected")]
)
def test_what_is_not_decided_in_time_ends(door: Door, kind: str, status: str, code: str) -> None:
    """Its time is the execution's; the link is gone then."""
    asked = ask(door, kind)
    table = transitions.executions
    with db.write() as connection:
        early = table.update().where(table.c.waiting_for == "gate").values(due_at=db.now_ms() - 1)
        connection.execute(early)
    assert_problem(decide(door, asked["approval_id"], key=door.key("operator")), 409)
    assert handle_due(TimeSlice()) >= 1
    row = execution(asked["approval_id"])
    assert (row.status, json.loads(row.error)["code"]) == (status, code)
    assert approval(asked["approval_id"]).status == "expired"
    assert_problem(follow(door, asked["reject_url"]), 410)


def test_a_cancelled_execution_leaves_no_question(door: Door) -> None:
    """It is listed as cancelled, and no decision about it counts."""
    asked = ask(door)
    row = execution(asked["approval_id"])
    assert door.call("POST", f"/api/actions/executions/{row.id}/cancel").status_code == 200
    assert door.call("GET", "/v1/approvals").json["approvals"] == []
    listed = door.call("GET", "/v1/approvals?status=cancelled").json["approvals"]
    assert [one["id"] for one in listed] == [asked["approval_id"]]
    assert_problem(decide(door, asked["approval_id"]), 409)
    assert_problem(follow(door, asked["approve_url"]), 410)


def test_a_notice_is_a_dispatch_accepted_with_the_question(door: Door) -> None:
    """It has the origin approval; its links are filled in when it goes out, and stored nowhere."""
    asked = ask(door, "told")
    assert asked["notification_sent"] is True
    [notice] = notices()
    assert json.loads(notice.input)["payload"]["approve_url"] == "[redacted]"
    seen: list[dict[str, Any]] = []
    before = mock.perform

    def perform(call: Any) -> Any:
        seen.append(call.parameters["payload"])
        return {"got": (url := call.parameters["payload"]["approve_url"]), "quoted": url.replace("&", "&amp;")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mock, "perform", perform)
        assert attempts.attempt(notice.id).status == "completed"
        patch.setattr(mock, "perform", before)
        assert "recipient=notify%3Amail" in seen[0]["approve_url"]
        assert seen[0]["approve_url"] in seen[0]["text"]
        with db.read() as connection:
            row = transitions.get(connection, "default", notice.id)
        signature = dict(parse_qsl(urlsplit(seen[0]["approve_url"]).query))["sig"]
        assert signature not in f"{row.output}{row.input}{row.logs}{row.gate}"
        with dispatching.working():
            assert follow(door, seen[0]["approve_url"]).json["status"] == "approved"
    assert door.call("GET", f"/v1/audit/{notice.id}").json["origin"] == "approval"


def test_a_playbook_that_makes_an_approval_known_keeps_its_links_sealed(door: Door) -> None:
    """Its steps may send them; whoever may read the run cannot decide by it."""
    door.create_playbook(id="pb-escalate", steps=[{"id": "wait", "type": "delay", "seconds": 1}])
    ask(door, "escalated")
    [notice] = notices()
    assert attempts.attempt(notice.id).status == "completed"
    [run] = door.call("GET", "/api/playbooks/executions").json["data"]
    with db.read() as connection:
        row = transitions.get(connection, "default", run["execution_id"])
    assert json.loads(row.input)["approve_url"] == MASK
    assert row.sealed is not None
    assert "sig=" not in f"{row}"
    assert "sig=" not in door.call("GET", f"/api/playbooks/executions/{row.id}").text


def test_approvals_are_listed_by_status_and_tenant_in_parts(door: Door) -> None:
    """The newest first; a cursor goes on; foreign tenants are refused by name and absent by grants."""
    ids = [ask(door)["approval_id"] for _ in range(3)]
    first = door.call("GET", "/v1/approvals?limit=2").json
    rest = door.call("GET", f"/v1/approvals?limit=2&cursor={first['next_cursor']}").json
    assert {one["id"] for one in first["approvals"] + rest["approvals"]} == set(ids)
    assert (first["count"], rest["count"], rest["next_cursor"]) == (2, 1, None)
    assert door.call("GET", "/v1/approvals?namespace=elsewhere").json["approvals"] == []
    assert len(door.call("GET", "/api/approvals").json["data"]) == 3
    stranger = door.key(workspace="elsewhere")
    assert door.call("GET", "/v1/approvals", key=stranger).json["approvals"] == []
    assert_problem(door.call("GET", "/v1/approvals?tenant=default", key=stranger), 403)
    assert_problem(door.call("GET", f"/v1/approvals/{ids[0]}", key=stranger), 404)
    assert_problem(decide(door, ids[0], key=stranger), 404)
    assert_problem(door.call("GET", "/v1/approvals?status=maybe"), 400)


def test_steps_and_approval_actions_write_the_same_rows(door: Door) -> None:
    """The older paths decide them, and so do the new ones; both kinds show where they came from."""
    door.create(id="act-ask", name="Ask", type="approval", executor="approval", config={"message": "Shall we?"})
    waiting = door.trigger("act-ask")
    assert attempts.attempt(waiting).status == "waiting"
    [asked] = door.call("GET", "/v1/approvals").json["approvals"]
    assert (asked["origin"], asked["message"], asked["execution_id"]) == ("action", "Shall we?", waiting)
    answer = decide(door, asked["id"], note="yes")
    assert answer.json["status"] == "approved"
    assert answer.json["outcome"]["response"]["body"]["decision"] == "approved"
    other = door.trigger("act-ask")
    attempts.attempt(other)
    assert door.call("POST", f"/api/actions/executions/{other}/reject", json={}).json["data"]["status"] == "failed"
    listed = door.call("GET", "/v1/approvals?status=approved,rejected").json["approvals"]
    assert [one["status"] for one in listed] == ["rejected", "approved"]


def test_the_key_that_asked_is_known_by_its_name(door: Door) -> None:
    """A link for a key's name is no second person."""
    asked = ask(door, "named")
    row = approval(asked["approval_id"])
    with db.read() as connection:
        key = access.get_key(connection, "default", row.requested_by)
    assert key is not None
    forged = approval_links.url(row, signing.APPROVE, str(key.name))
    assert follow(door, forged).status_code == 403


def _of_elsewhere(name: str) -> str:
    """A key of another workspace, whose grant covers the tenant."""
    with db.write() as connection:
        access.ensure_workspace(connection, "elsewhere", "elsewhere")
        more: Any = {"workspace_id": "elsewhere", "scopes": [], "expires_at": None, "actor": "test"}
        grants = json.dumps([{"tenants": ["default"], "namespaces": ["*"], "providers": ["*"], "actions": ["*"]}])
        return access.create_key(connection, name=name, role="admin", grants=grants, **more)[1]


def test_a_key_of_another_workspace_is_one_voter_and_one_requester(door: Door) -> None:
    """Its name is known there too: it approves nothing of its own by a link, and has one vote on every path."""
    kim = _of_elsewhere("kim")
    own = send(door, body(action_type="kim"), key=kim).json
    link = approval_links.url(approval(own["approval_id"]), signing.APPROVE, "kim")
    assert follow(door, link).json["code"] == "requester_may_not_approve"
    asked = ask(door, "kim")
    assert decide(door, asked["approval_id"], key=kim).json["status"] == "pending"
    path = f"/api/actions/executions/{execution(asked['approval_id']).id}/approve"
    assert_problem(door.call("POST", path, key=kim, json={}), 409)


def _due(approval_id: str) -> None:
    """Let the time come at which the notice of an approval is looked after."""
    table = approvals.approvals
    with db.write() as connection:
        connection.execute(table.update().where(table.c.id == approval_id).values(notify_at=db.now_ms() - 1))


def test_a_notice_that_fails_is_sent_again_and_seen(door: Door) -> None:
    """The approval waits whatever becomes of it."""
    asked = ask(door, "untold")
    [first] = notices()
    error = json.dumps({"code": "mock_failure", "message": "it fails"})
    table = transitions.executions
    with db.write() as connection:
        ended = table.update().where(table.c.id == first.id).values(status="failed", error=error, due_at=None)
        connection.execute(ended)
    _due(asked["approval_id"])
    assert approval_notices.look_now(TimeSlice()) == 1
    assert len(notices()) == 2
    shown = door.call("GET", f"/v1/approvals/{asked['approval_id']}").json
    assert (shown["notices"], shown["notice_error"], shown["status"]) == (2, "its notice has failed", "pending")
    assert approval_notices.look_now(TimeSlice()) == 0
    with dispatching.working():
        assert decide(door, asked["approval_id"]).json["status"] == "approved"
    assert approval(asked["approval_id"]).notify_at is None


def test_a_provider_that_is_gone_keeps_nothing_from_waiting(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The answer says that no notice was sent; it goes out once the provider can be used."""
    off = PROVIDERS.replace("mail: {kind: mock,", "mail: {enabled: false, kind: mock,")
    dispatching.put_in_force(monkeypatch, tmp_path, providers=off, rules=RULES)
    asked = ask(door, "told")
    assert (asked["notification_sent"], notices()) == (False, [])
    assert "disabled" in approval(asked["approval_id"]).notice_error
    _due(asked["approval_id"])
    approval_notices.look_now(TimeSlice())
    assert approval(asked["approval_id"]).tries == 2
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    _due(asked["approval_id"])
    approval_notices.look_now(TimeSlice())
    assert len(notices()) == 1
    assert approval(asked["approval_id"]).notice_error is None


def test_reminders_follow_until_it_is_decided(door: Door) -> None:
    """Each is a further dispatch, of its own action type."""
    asked = ask(door, "told")
    for round_number in (1, 2):
        table = approvals.approvals
        with db.write() as connection:
            connection.execute(table.update().values(created_at=db.now_ms() - 60_000 * round_number - 1))
        _due(asked["approval_id"])
        approval_notices.look_now(TimeSlice())
        assert len(notices()) == 1 + round_number
    assert json.loads(notices()[-1].gate)["action_type"] == "approval_reminder"
    assert json.loads(notices()[-1].input)["payload"]["reminder"] == 2
    decide(door, asked["approval_id"], "reject")
    _due(asked["approval_id"])
    approval_notices.look_now(TimeSlice())
    assert len(notices()) == 3


def test_maintenance_settles_and_forgets_approvals(door: Door) -> None:
    """What waits no more is settled; what is old goes with its votes."""
    asked, other = ask(door), ask(door)
    row = execution(asked["approval_id"])
    door.call("POST", f"/api/actions/executions/{row.id}/cancel")
    decide(door, other["approval_id"], "reject")
    with db.write() as connection:
        assert waiting_approvals.settle_left(connection, before=db.now_ms() + 1) == 1
        assert approval(asked["approval_id"]).status in ("pending", "cancelled")
        assert approvals.forget(connection, before=db.now_ms() + 1) == 2
        assert approvals.votes(connection, other["approval_id"]) == []


@pytest.mark.parametrize("number", [1_000, pytest.param(5_000, marks=pytest.mark.gate)])
def test_altered_links_decide_nothing(door: Door, number: int) -> None:
    """None is accepted, and all are answered alike: in the process, as fast as they can be made."""
    asked = ask(door)
    url = urlsplit(asked["approve_url"])
    whole, chance = f"{url.path}?{url.query}", random.Random(16)
    place = len("/v1/approvals/")
    answers = set()
    for turn in range(number):
        text = list(whole)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(place, len(text))
            text[at] = chance.choice("0123456789abcdefghijklmnopqrstuvwxyzABCDEF-._")
        altered = "".join(text)
        if altered == whole or "?" not in altered or "/" not in altered.partition("?")[0][place:]:
            continue
        door.client.environ_base["REMOTE_ADDR"] = f"fd00:{turn:x}::7"
        answer = door.call("POST", altered, key=None)
        answers.add((answer.status_code, json.dumps({**answer.json, "request_id": ""})))
    assert len(answers) == 1, answers
    assert {status for status, _ in answers} == {404}
    assert approval(asked["approval_id"]).status == "pending"
