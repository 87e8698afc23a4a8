"""Secrets in an action's config: sealed, masked, kept when sent back masked, and never shown or led elsewhere."""

from pathlib import Path

import pytest

from config.errors import Conflict, InvalidRequest
from config.settings import settings
from store import access
from store.definitions import actions
from store.engine import db
from tasks.definitions import actions as catalogue
from tasks.secrets.sealing import opened_config

TOKEN = "Bearer a-token-nobody-may-see"
HOOK = {
    "name": "Hook",
    "type": "webhook",
    "executor": "webhook",
    "config": {"url": "https://hooks.example.com/a", "headers": {"Authorization": TOKEN}, "body": {"a": 1}},
}


@pytest.fixture
def caller(sqlite_database: str) -> access.Caller:
    """A caller who may write actions."""
    with db.write() as connection:
        access.ensure_workspace(connection, "w", "W")
    return access.Caller(key_id="k", workspace_id="w", role="operator", permissions=access.ROLES["operator"])


def test_a_secret_is_sealed_and_masked(caller):
    """The stored definition holds the mask; the secret is in the sealed part only."""
    action = catalogue.create(caller, HOOK)
    assert TOKEN not in str(action.revision.definition)
    assert opened_config(caller.workspace_id, action.revision) == {"headers/Authorization": TOKEN}


def test_what_was_read_may_be_sent_back(caller):
    """A change of the body with the masked header keeps the secret, however the header's name is written."""
    action = catalogue.create(caller, HOOK)
    read = dict(action.revision.definition["config"])
    changed = catalogue.revise(
        caller, action.id, {"config": {**read, "headers": {"authorization": "********"}, "body": {"a": 2}}}, whole=False
    )
    assert list(opened_config(caller.workspace_id, changed.revision).values()) == [TOKEN]
    assert changed.revision.version == "1.1.0"


@pytest.mark.parametrize(
    "change",
    [
        {"executor": "opservant"},
        {
            "executor": "notification",
            "config": {"kind": "webhook", **HOOK["config"], "headers": {"Authorization": "********"}},
        },
        {"config": {**HOOK["config"], "url": "https://evil.example.com/", "headers": {"Authorization": "********"}}},
        {"config": {**HOOK["config"], "url": "https://{{ host }}/", "headers": {"Authorization": "********"}}},
        {"config": {**HOOK["config"], "headers": {"X-Api-Key": "********"}}},
    ],
    ids=["other executor", "other channel", "other receiver", "templated receiver", "other place"],
)
def test_a_masked_secret_goes_nowhere_else(caller, change):
    """A change of where or how an action sends needs the secret; its mask is refused with the reason."""
    action = catalogue.create(caller, {**HOOK, "parameters": [{"name": "host", "type": "string"}]})
    with pytest.raises(InvalidRequest) as refused:
        catalogue.revise(caller, action.id, change, whole=False)
    assert refused.value.code == "secret_needed"
    assert all(problem.pointer.startswith("/config/headers/") for problem in refused.value.problems)
    assert TOKEN not in str(refused.value.problems)


def test_a_new_action_cannot_have_a_mask_for_a_secret(caller):
    """The mask itself is no secret."""
    with pytest.raises(InvalidRequest):
        catalogue.create(caller, {**HOOK, "config": {**HOOK["config"], "headers": {"Authorization": "********"}}})


def test_a_switch_that_was_turned_meanwhile_is_not_turned_back(caller, monkeypatch):
    """An action that is disabled during an edit stays disabled; the edit is refused."""
    action = catalogue.create(caller, HOOK)
    real = actions.revise

    def late(connection, *values):
        actions.set_enabled(connection, action, enabled=False, actor="other")
        return real(connection, *values)

    monkeypatch.setattr(catalogue.catalogue, "revise", late)
    with pytest.raises(Conflict):
        catalogue.revise(caller, action.id, {"description": "new"}, whole=False)


@pytest.fixture
def example_functions(monkeypatch):
    """The functions of examples/actions, and no others."""

    def forget():
        settings.cache_clear()

    monkeypatch.setenv("TOCSIN_ACTIONS_DIR", str(Path(__file__).parents[2] / "examples/actions"))
    forget()
    yield
    forget()


def test_a_python_function_brings_its_own_parameters(caller, example_functions):
    """An action of a handler that declares no parameters takes the function's."""
    wanted = {"name": "Block", "type": "remediation", "executor": "local", "config": {"handler": "block_ip"}}
    action = catalogue.create(caller, wanted)
    assert [one["name"] for one in action.revision.definition["parameters"]] == ["ip", "duration_hours", "reason"]


def test_several_signing_secrets_are_sealed_as_one(caller):
    """A list of secrets, given while a receiver changes its own, is masked and sealed as a whole."""
    wanted = ["first-secret-of-a-receiver", "second-secret-of-a-receiver"]
    config = {"target": "https://hooks.example.com/", "secret": wanted}
    action = catalogue.create(caller, {"name": "Tell", "type": "webhook", "executor": "remote", "config": config})
    assert "secret-of-a-receiver" not in str(action.revision.definition)
    assert opened_config(caller.workspace_id, action.revision) == {"secret": wanted}
