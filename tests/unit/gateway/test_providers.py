"""Providers: each kind becomes an action that the executors take, with its credentials marked."""

import pytest

from gateway.configuration import environment, secrets
from gateway.configuration.provider_kinds import EXECUTORS, KINDS
from gateway.configuration.providers import check, definition
from playbooks.checks.faults import Faults
from playbooks.definitions import actions, parameters
from providers import registry
from providers.base import Call
from tests.support.gateway_folder import AROUND, ENVIRONMENT

ENTRIES = {
    "http": {"kind": "http", "url": "https://x.org/in"},
    "email": {"kind": "email", "host": "mail.x.org", "from": "a@x.org"},
    "slack": {"kind": "slack", "url": "https://hooks.slack.com/services/T0/B0/abcdefgh"},
    "pagerduty": {"kind": "pagerduty", "routing_key": "R0123456789012345678901234567890"},
    "teams": {"kind": "teams", "url": "https://x.webhook.office.com/webhookb2/abc", "title": "t"},
    "apprise": {"kind": "apprise", "url": "json://x.org/in"},
    "script": {"kind": "script", "interpreter": "bash", "script": "echo '{}'"},
    "action": {"kind": "action", "action": "act-x"},
    "playbook": {"kind": "playbook", "playbook": "pb-x"},
    "log": {"kind": "log"},
    "mock": {"kind": "mock", "behaviour": "answer", "every": 3, "answer": {"ok": True}},
}
DISPATCH = {"payload": {"to": "b@x.org", "message": "hello"}, "action_type": "send", "namespace": "n", "tenant": "t"}


def test_every_kind_is_tried():
    """The entries of this file have every kind."""
    assert set(ENTRIES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_provider_is_an_action(kind):
    """The definition has the shape of an action without faults, and takes the members of a dispatch."""
    if kind == "apprise":
        pytest.importorskip("apprise", reason="the extra of that name is not installed")
    faults = Faults()
    made = check({kind: ENTRIES[kind]}, "", AROUND, faults)[kind]
    assert faults.listed() == []
    assert actions.check(made, executors=(*actions.EXECUTORS, *EXECUTORS)) == []
    assert actions.normalise(made) == made
    values, problems = parameters.resolve(made["parameters"], DISPATCH)
    assert problems == []
    assert values["payload"] == DISPATCH["payload"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].executor in actions.EXECUTORS])
def test_the_defaults_of_a_kind_render(kind):
    """What a kind fills in where the entry says nothing renders for a dispatch of every shape."""
    made = definition(kind, ENTRIES[kind])
    config = secrets.plain(made["config"])
    for payload in (DISPATCH["payload"], {"to": "b@x.org"}, {"to": "b@x.org", "severity": "high", "text": "x"}):
        values, _ = parameters.resolve(made["parameters"], {**DISPATCH, "payload": payload})
        call = Call(execution_id="e", idempotency_key="k", config=config, parameters=values, context=values)
        assert registry.executor(made["executor"]).plan(call)


def test_the_message_of_a_payload_is_found():
    """Chat and mail send ``text``, ``message`` or ``body`` of the payload, else the payload as JSON."""
    made = definition("slack", ENTRIES["slack"])
    texts = []
    for payload in ({"text": "a", "message": "b"}, {"message": "b"}, {"body": "c"}, {"n": 1}):
        values, _ = parameters.resolve(made["parameters"], {**DISPATCH, "payload": payload})
        call = Call(
            execution_id="e",
            idempotency_key="k",
            config=secrets.plain(made["config"]),
            parameters=values,
            context=values,
        )
        texts.append(str(registry.executor("notification").plan(call)))
    for text, expected in zip(texts, ["'a'", "'b'", "'c'", '"n"'], strict=True):
        assert expected.strip("'") in text


def test_credentials_are_marked_and_references_are_not():
    """Passwords, tokens and addresses that are credentials are marked; ``${NAME}`` and templates stay."""
    entry = {
        "kind": "http",
        "url": "https://user:hunter2@x.org/?token=abc",
        "headers": {"Authorization": "Bearer sesame", "X-Api-Key": "${TOKEN}", "Accept": "text/plain"},
        "body": {"password": "sesame", "token": "{{ payload.token }}", "text": "x"},
    }
    config = definition("p", entry)["config"]
    assert secrets.is_marked(config["url"])
    assert secrets.is_marked(config["headers"]["Authorization"])
    assert config["headers"]["X-Api-Key"] == "${TOKEN}"
    assert config["headers"]["Accept"] == "text/plain"
    assert secrets.is_marked(config["body"]["password"])
    assert config["body"]["token"] == "{{ payload.token }}"
    assert "sesame" not in str(secrets.masked(config))
    assert secrets.plain(config)["headers"] == entry["headers"]
    assert secrets.is_marked(definition("s", ENTRIES["slack"])["config"]["url"])
    assert definition("s", {**ENTRIES["slack"], "url": "${SLACK_URL}"})["config"]["url"] == "${SLACK_URL}"


def test_references_are_found_and_filled_in():
    """References are read from every text, and a missing one is named."""
    value = {"a": ["x ${TOKEN} y", {"b": "${SLACK_URL}"}], "c": "${{ payload.x }}"}
    assert environment.references(value) == {"TOKEN", "SLACK_URL"}
    assert environment.filled_in(value, ENVIRONMENT)["a"][0] == "x t0ken y"
    assert environment.check(value, ENVIRONMENT) == []
    [problem] = environment.check({"a": "${TOKENS}"}, ENVIRONMENT)
    assert (problem.pointer, problem.detail) == ("/a", "the environment has no TOKENS; did you mean 'TOKEN'?")


def test_what_may_not_be_repeated_says_so():
    """Mail and chat do not recognise repetitions; what does is idempotent unless the entry says otherwise."""
    assert definition("e", ENTRIES["email"])["idempotent"] is False
    assert definition("e", {**ENTRIES["email"], "idempotent": True})["idempotent"] is True
    assert definition("p", ENTRIES["pagerduty"])["idempotent"] is True
