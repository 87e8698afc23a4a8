"""Who has done something: an id, what it is the id of, and a name; also where a decision comes too late."""

from typing import Any

import pytest

from store.engine import db
from store.gateway import approvals
from tests.support import runs
from tests.support.api import Door, assert_problem, carry_out

pytestmark = pytest.mark.on_both


@pytest.fixture
def everywhere(database: str, quick_passwords: None) -> Door:
    """The application on each kind of database."""
    return Door()


def id_of(key: str) -> str:
    """The id of a key."""
    return key.split("_")[1]


def test_runs_name_who_has_started_them(everywhere: Door) -> None:
    """A key by its name, revoked or not, a user, the system; in the list and in the run."""
    playbook_id = everywhere.create_playbook()["id"]
    key, name = everywhere.key(), everywhere.user()
    token = everywhere.sign_in(name).json["token"]
    ids = [
        everywhere.call("POST", f"/api/playbooks/{playbook_id}/run", json={}, key=who).json["execution_id"]
        for who in (key, token)
    ]
    assert everywhere.call("DELETE", f"/api/keys/{id_of(key)}").status_code == 204
    expected = [
        {"id": id_of(key), "kind": "key", "name": "a test"},
        {"id": f"user:{name}", "kind": "user", "name": name},
    ]
    listed = everywhere.call("GET", "/api/playbooks/executions?per_page=2").json["data"][::-1]
    whole = [everywhere.call("GET", f"/api/playbooks/executions/{run_id}").json for run_id in ids]
    for found in (listed, whole):
        assert [one["started_by_actor"] for one in found] == expected
        assert [one["started_by"] for one in found] == [one["id"] for one in expected]


def ask(execution_id: str, origin: str) -> None:
    """Write what is asked about an execution that waits, as the worker does that makes it wait."""
    now = db.now_ms()
    asked = approvals.Approval(
        id=approvals.new_id(),
        workspace_id="default",
        namespace="actions",
        provider="",
        action_type="ask",
        execution_id=execution_id,
        origin=origin,
        message="May it?",
        requested_by="system",
        created_at=now,
        expires_at=now + 60_000,
    )
    with db.write() as connection:
        approvals.add(connection, asked)


def waiting_execution(door: Door) -> str:
    """The address of an execution that waits for approval."""
    approval = {"name": "Ask", "type": "approval", "executor": "approval"}
    execution_id = door.trigger(door.create(config={}, **approval)["id"])
    carry_out(execution_id, "waiting", output={}, waiting_for="approval", due_at=db.now_ms() + 60_000)
    ask(execution_id, approvals.ACTION)
    return f"/api/actions/executions/{execution_id}"


def waiting_step(door: Door) -> str:
    """The address of a step that waits for approval."""
    playbook_id = door.create_playbook(steps=[{"id": "ask", "type": "approval"}])["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]
    runs.begin(run_id)
    row = runs.enter(run_id, "ask", "waiting", type="approval", waiting_for="approval", due_at=db.now_ms() + 60_000)
    ask(row, approvals.STEP)
    return f"/api/playbooks/executions/{run_id}/steps/ask"


@pytest.mark.parametrize("make", [waiting_execution, waiting_step])
@pytest.mark.parametrize("first", ["approve", "reject"])
def test_a_late_decision_is_told_who_was_first(everywhere: Door, make: Any, first: str) -> None:
    """Whichever it is, and whichever the first was."""
    path, decider = make(everywhere), everywhere.key()
    decided = everywhere.call("POST", f"{path}/{first}", key=decider)
    assert decided.status_code == 200, decided.text
    for late in ("approve", "reject"):
        refused = assert_problem(everywhere.call("POST", f"{path}/{late}"), 409)
        assert refused["code"] == "not_waiting"
        assert refused["decided_by"] == id_of(decider)
        assert refused["decided_by_actor"] == {"id": id_of(decider), "kind": "key", "name": "a test"}
        assert refused["decided_at"].endswith("Z")
        assert "was first" in refused["detail"]


def test_approvals_name_who_asked_and_who_decided(everywhere: Door) -> None:
    """In the list, and with the votes in the approval itself."""
    path, key = waiting_execution(everywhere), everywhere.key()
    assert everywhere.call("POST", f"{path}/approve", key=key).status_code == 200
    whole = everywhere.key(grants=[{"tenants": ["*"]}])
    [listed] = everywhere.call("GET", "/api/approvals?status=approved", key=whole).json["data"]
    one = everywhere.call("GET", f"/v1/approvals/{listed['id']}", key=whole).json
    decider = {"id": id_of(key), "kind": "key", "name": "a test"}
    for found in (listed, one):
        assert found["requested_by_actor"] == {"id": "system", "kind": "system", "name": "system"}
        assert (found["decided_by"], found["decided_by_actor"]) == (id_of(key), decider)
    assert [vote["voter_actor"] for vote in one["votes"]] == [decider]
