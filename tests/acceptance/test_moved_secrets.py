"""A sealed secret opens in its own row only."""

import secrets
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.support.client import Api
from tests.support.stack import Stack
from tests.support.waiting import eventually

TOKEN = [{"name": "token", "type": "secret", "required": True}]


class Attack:
    """An attacker with the database's password, and the effects of the attack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.canary = secrets.token_hex(16)
        self.path = f"/echo/{uuid.uuid4().hex}"
        made = ["python", "-m", "launcher.key", "--workspace", "elsewhere", "--role", "operator"]
        self.elsewhere = Api(stack.url, stack.run_once("elsewhere", made).strip().splitlines()[-1])
        self.answers: list[str] = []
        for api in (stack.api, self.elsewhere):
            api.http.event_hooks = {"response": [self._note]}

    def end(self) -> None:
        """Listen to the product's answers no more."""
        self.elsewhere.close()
        self.stack.api.http.event_hooks = {}

    def _note(self, response: httpx.Response) -> None:
        self.answers.append(f"{response.headers}{response.read().decode()}")

    def hook(self, api: Api) -> str:
        """An action that has the canary in its config; returns its id."""
        headers = {"Authorization": f"Bearer {self.canary}"}
        return api.create_action(config={"url": f"{self.stack.sink.url}{self.path}", "headers": headers})

    def teller(self, api: Api) -> str:
        """An action that sends its secret parameter."""
        config = {"url": f"{self.stack.sink.url}{self.path}", "body": {"token": "{{ token }}"}}
        return api.create_action(config=config, parameters=TOKEN)

    def revision(self, action_id: str) -> str:
        """The id of an action's present revision."""
        found = self.stack.rows("SELECT revision_id FROM actions WHERE id = :id", id=action_id)
        return str(found[0]["revision_id"])

    def swap(self, table: str, one: str, other: str) -> None:
        """Exchange what two rows hold sealed."""
        held = {row["id"]: row["sealed"] for row in self.stack.rows(f"SELECT id, sealed FROM {table}")}
        for to, of in ((one, other), (other, one)):
            assert held[of]
            self.stack.change(f"UPDATE {table} SET sealed = :sealed WHERE id = :id", sealed=held[of], id=to)

    def refused(self, api: Api, execution_id: str) -> bool:
        """Whether the execution ended because of the seal, at its first attempt."""
        ended = api.ended(execution_id)
        return (ended["status"], ended["error"]["code"]) == ("failed", "sealed")

    def nothing_came_of_it(self) -> bool:
        """Whether no call arrived and no trace shows the canary."""
        stack = self.stack
        files = [path for path in stack.directory.rglob("*") if path.is_file()]
        places = {"answers": "".join(self.answers)}
        places |= {str(path): path.read_bytes().decode("latin-1") for path in files}
        tables = "executions actions action_revisions audit playbook_documents playbook_revisions idempotency_keys"
        places |= {name: str(stack.rows(f"SELECT * FROM {name}")) for name in tables.split()}
        found = [name for name, text in places.items() if self.canary in text]
        assert found == []
        return stack.sink.arrivals(self.path) == []


@pytest.fixture
def attack(first_stack: Stack) -> Iterator[Attack]:
    """An attack on a product that runs."""
    attack = Attack(first_stack)
    yield attack
    attack.end()


def test_the_secrets_of_a_config_open_for_their_action_only(attack: Attack) -> None:
    """A secret opens with no other action, workspace or changed URL."""
    stack, api = attack.stack, attack.stack.api
    one, other, foreign, moved = (attack.hook(where) for where in (api, api, attack.elsewhere, api))
    attack.swap("action_revisions", attack.revision(one), attack.revision(other))
    victim = attack.hook(api)
    steal = (
        "UPDATE action_revisions SET sealed = (SELECT v.sealed FROM action_revisions v WHERE v.id = :v) WHERE id = :id"
    )
    stack.change(steal, v=attack.revision(victim), id=attack.revision(foreign))
    lead_away = "UPDATE action_revisions SET definition = replace(definition, :old, :new) WHERE id = :id"
    stack.change(lead_away, old=attack.path, new=f"{attack.path}/evil", id=attack.revision(moved))
    adopted = attack.hook(attack.elsewhere)
    adopt = "UPDATE actions SET revision_id = :v WHERE id = :id AND workspace_id = 'elsewhere'"
    stack.change(adopt, v=attack.revision(attack.hook(api)), id=adopted)
    for owner, action_id in ((api, one), (api, other), (attack.elsewhere, foreign), (api, moved)):
        assert attack.refused(owner, owner.trigger(action_id))
    assert attack.refused(attack.elsewhere, attack.elsewhere.trigger(adopted))
    assert attack.nothing_came_of_it()
    assert api.ended(api.trigger(victim))["status"] == "completed", "what was left alone goes on"


def test_a_broken_seal_is_mended_by_giving_the_secret_again(attack: Attack) -> None:
    """A broken seal's mask is refused; with the secret the action works."""
    api = attack.stack.api
    one, other = attack.hook(api), attack.hook(api)
    attack.swap("action_revisions", attack.revision(one), attack.revision(other))
    shown = api.http.get(f"/api/actions/{one}").json()["data"]["config"]
    kept = api.http.patch(f"/api/actions/{one}", json={"config": shown})
    assert (kept.status_code, kept.json()["code"]) == (400, "secret_needed")
    again = {**shown, "headers": {"Authorization": "Bearer another"}}
    assert api.http.patch(f"/api/actions/{one}", json={"config": again}).status_code == 200
    assert api.ended(api.trigger(one))["status"] == "completed"


def test_secret_parameters_open_for_their_execution_only(attack: Attack) -> None:
    """Swapped secrets of waiting executions do not open, in any workspace."""
    stack, api = attack.stack, attack.stack.api
    here, there = attack.teller(api), attack.teller(attack.elsewhere)
    owners = (api, api, api, attack.elsewhere, api)
    stack.freeze("worker")
    try:
        waiting = [
            owner.trigger(here if owner is api else there, {"token": f"{attack.canary}{number}"})
            for number, owner in enumerate(owners)
        ]
        attack.swap("executions", waiting[0], waiting[1])
        attack.swap("executions", waiting[2], waiting[3])
        lead = "UPDATE executions SET revision_id = :revision WHERE id = :id"
        stack.change(lead, revision=attack.revision(attack.teller(api)), id=waiting[4])
    finally:
        stack.thaw("worker")
    assert all(attack.refused(owner, each) for owner, each in zip(owners, waiting, strict=True))
    assert attack.nothing_came_of_it()


def test_the_secrets_of_a_run_open_for_that_run_only(attack: Attack) -> None:
    """Swapped secrets end waiting runs with the reason, retries too."""
    api = attack.stack.api
    step = {"id": "tell", "type": "action", "action_ref": attack.teller(api), "parameters": {"token": "{{ token }}"}}
    ask = {"id": "ask", "type": "approval", "on_success": "tell"}
    playbook = api.create_playbook(steps=[ask, step], parameters=TOKEN)
    runs = [api.run(playbook, {"token": f"{attack.canary}{number}"}) for number in range(2)]
    for run in runs:
        eventually(lambda run=run: [step for step in api.steps(run) if step["status"] == "waiting"], 60, "it waits")
    attack.swap("executions", *runs)
    for run in runs:
        assert api.decide_step(run, "ask", "approve").status_code == 200
        api.run_ended(run)
        ended = api.run_row(run)  # on PostgreSQL a view is made of several looks, and the end may come between them
        assert (ended["status"], ended["error"]["code"]) == ("failed", "sealed")
        again = api.post_to_run(run, "retry")
        assert (again.status_code, again.json()["code"]) == (409, "secret_needed")
    assert attack.nothing_came_of_it()
