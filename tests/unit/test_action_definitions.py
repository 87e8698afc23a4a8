"""Action definitions: the forms users write, the form that is stored, and the faults that are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Problem
from playbooks.definitions.actions import check, known_names, next_version, normalise, slug

SLACK = {
    "name": "Send Slack Alert",
    "type": "notification",
    "description": "Send a notification to a Slack channel.",
    "executor": "webhook",
    "parameters": [
        {"name": "channel", "type": "string", "required": True},
        {"name": "message", "type": "string", "required": True},
    ],
    "config": {
        "url": "https://hooks.slack.com/services/T00/B00/xxx",
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "body_template": '{"channel": "{{ channel }}", "text": "{{ message }}"}',
    },
}
BLOCK_IP = {
    "id": "act-block-ip",
    "name": "Block IP Address",
    "version": "1.2.0",
    "type": "remediation",
    "description": "Block a malicious IP address on the firewall.",
    "parameters": [
        {"name": "ip_address", "type": "string", "required": True},
        {"name": "duration_hours", "type": "integer", "default": 24, "validation": {"min": 1, "max": 720}},
        {"name": "fw_api_key", "type": "secret", "required": True},
    ],
    "executor": {"type": "remote", "target": "https://fw.example.com/block", "method": "POST"},
    "timeout_seconds": 30,
    "retry": {"max_attempts": 2, "backoff_seconds": 5},
}


def with_(**changes):
    return {**SLACK, **changes}


def test_the_documented_action_is_accepted_and_gets_the_documented_defaults():
    """An action of the REST documentation needs no change and starts at version 1.0.0."""
    assert check(SLACK) == []
    form = normalise(SLACK)
    assert form["version"] == "1.0.0"
    assert form["timeout_seconds"] == 300
    assert form["retry"] == {"max_attempts": 1, "backoff_seconds": 5, "jitter": True}
    assert (form["idempotent"], form["enabled"], form["tags"]) == (True, True, [])
    assert form["config"] == SLACK["config"]


def test_an_executor_given_as_an_object_becomes_a_name_and_configuration():
    """The form of the developer documentation is stored like the other one."""
    assert check(BLOCK_IP) == []
    form = normalise(BLOCK_IP)
    assert form["executor"] == "remote"
    assert form["config"] == {"target": "https://fw.example.com/block", "method": "POST"}
    assert form["retry"] == {"max_attempts": 2, "backoff_seconds": 5, "jitter": True}
    assert form["version"] == "1.2.0"


def test_config_wins_over_members_of_the_executor_object():
    """Where both say something, the explicit configuration is meant."""
    form = normalise(with_(executor={"type": "webhook", "method": "PUT", "verify": True}))
    assert form["config"]["method"] == "POST"
    assert form["config"]["verify"] is True


@pytest.mark.parametrize("definition", [SLACK, BLOCK_IP, {"name": "Ask", "type": "approval"}])
def test_normalising_twice_changes_nothing_and_never_touches_the_input(definition):
    """The stored form can be sent back as it is."""
    before = repr(definition)
    form = normalise(definition)
    assert normalise(form) == form
    assert check(form) == []
    assert repr(definition) == before


def test_asking_a_person_needs_no_program():
    """An approval that names the executor local, or none, is carried out by the approval executor."""
    assert normalise({"name": "Ask", "type": "approval", "executor": "local"})["executor"] == "approval"
    assert normalise({"name": "Ask", "type": "approval"})["executor"] == "approval"
    own = {"name": "Ask", "type": "approval", "executor": "local", "config": {"handler": "ask"}}
    assert normalise(own)["executor"] == "local"
    problems = check(with_(executor="approval"))
    assert [problem.pointer for problem in problems] == ["/executor"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": None}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "a" * 129}, "/name"),
        ({"name": 5}, "/name"),
        ({"id": "-a"}, "/id"),
        ({"id": "a/b"}, "/id"),
        ({"id": "a" * 129}, "/id"),
        ({"id": 7}, "/id"),
        ({"type": None}, "/type"),
        ({"type": ["webhook"]}, "/type"),
        ({"executor": None}, "/executor"),
        ({"executor": {}}, "/executor"),
        ({"executor": {"type": "ssh"}}, "/executor"),
        ({"version": "1.0"}, "/version"),
        ({"version": "01.0.0"}, "/version"),
        ({"version": "1.0.0-beta"}, "/version"),
        ({"version": "1.0.0\n"}, "/version"),
        ({"version": 1}, "/version"),
        ({"description": "a" * 1025}, "/description"),
        ({"description": "\ud800"}, "/description"),
        ({"tags": "blue"}, "/tags"),
        ({"tags": ["a"] * 51}, "/tags"),
        ({"tags": ["a", "b" * 65]}, "/tags/1"),
        ({"tags": [""]}, "/tags/0"),
        ({"timeout_seconds": 0}, "/timeout_seconds"),
        ({"timeout_seconds": 86_401}, "/timeout_seconds"),
        ({"timeout_seconds": True}, "/timeout_seconds"),
        ({"timeout_seconds": 1.5}, "/timeout_seconds"),
        ({"retry": 3}, "/retry"),
        ({"retry": {"attempts": 3}}, "/retry/attempts"),
        ({"retry": {"max_attempts": 0}}, "/retry/max_attempts"),
        ({"retry": {"max_attempts": 11}}, "/retry/max_attempts"),
        ({"retry": {"backoff_seconds": -1}}, "/retry/backoff_seconds"),
        ({"retry": {"backoff_seconds": 3601}}, "/retry/backoff_seconds"),
        ({"retry": {"backoff_seconds": float("nan")}}, "/retry/backoff_seconds"),
        ({"retry": {"jitter": 1}}, "/retry/jitter"),
        ({"idempotent": "no"}, "/idempotent"),
        ({"enabled": 1}, "/enabled"),
        ({"config": []}, "/config"),
        ({"parameters": {}}, "/parameters"),
        ({"parameters": [{"name": "p", "type": "text"}]}, "/parameters/0/type"),
    ],
)
def test_each_fault_is_named_at_its_place(changes, pointer):
    """One thing wrong, one problem, with its pointer into the definition."""
    assert [problem.pointer for problem in check(with_(**changes))] == [pointer]


def test_every_fault_is_named_at_once():
    """A definition with several faults is corrected in one round."""
    problems = check({"type": "remediaton", "executor": "web-hook", "timeout_seconds": 0, "tags": 1})
    assert [problem.pointer for problem in problems] == [
        "/name",
        "/type",
        "/executor",
        "/tags",
        "/timeout_seconds",
    ]
    assert problems[1].detail.endswith("did you mean 'remediation'?")
    assert problems[2].detail.endswith("did you mean 'webhook'?")


def test_a_parameter_type_is_refused_in_the_documented_words():
    """The documented validation failure: pointer and message."""
    assert check(with_(parameters=[{"name": "channel", "type": "text"}])) == [
        Problem(
            "/parameters/0/type",
            "Invalid parameter type 'text'. Allowed: string, integer, number, boolean, enum, object, array, secret.",
        )
    ]


@given(
    st.dictionaries(
        st.sampled_from([*normalise(SLACK), "id"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["type", "name", "max_attempts", "options"]), inner)
            ),
            max_leaves=6,
        ),
    )
)
def test_no_definition_breaks_the_check(definition):
    """Any JSON object is either accepted or answered with its faults."""
    assert check(definition) or {"name", "type"} <= set(definition)
    known_names(definition)


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("Send Slack Alert", "act-send-slack-alert"),
        ("  Block  IP/Address! ", "act-block-ip-address"),
        ("Überprüfung", "act-uberprufung"),
        ("封锁", "act-action"),
        ("a" * 200, "act-" + "a" * 76),
        ("a" * 75 + " bc", "act-" + "a" * 75),
    ],
)
def test_the_id_of_an_action_comes_from_its_name(name, identifier):
    """Lower-case ASCII words with dashes, never empty, never over 80 characters, always a valid id."""
    assert slug(name) == identifier
    assert check(with_(id=slug(name))) == []


def test_a_change_of_behaviour_raises_the_minor_and_a_change_of_words_the_patch_number():
    """Running executions keep the version they began with, so the number says what a change means."""
    old = normalise(with_(version="1.2.3"))
    assert next_version(old, old) == "1.2.3"
    assert next_version(old, {**old, "description": "new"}) == "1.2.4"
    assert next_version(old, {**old, "enabled": False, "tags": ["a"]}) == "1.2.4"
    assert next_version(old, {**old, "timeout_seconds": 5}) == "1.3.0"
    assert next_version(old, {**old, "config": {}, "name": "new"}) == "1.3.0"
    assert next_version(old, {**old, "updated_at": "2026-04-28T12:00:00Z"}) == "1.2.3"


def test_templates_of_an_action_may_use_its_parameters_and_four_fixed_names():
    """The roots known when a template of the action is checked."""
    assert known_names(normalise(SLACK)) == {
        "channel",
        "message",
        "parameters",
        "target",
        "execution",
        "action",
    }
