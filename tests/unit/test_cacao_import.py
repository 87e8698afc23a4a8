"""What a CACAO document becomes here: its steps, their order, who carries them out, and what is asked of people."""

import base64
from typing import Any

import pytest

from playbooks import actions, checks
from playbooks.cacao.blocks import TooLarge
from playbooks.cacao.identity import EXTENSION, with_own
from playbooks.cacao.inward import Converted, convert
from tests.support.cacao import NOW, Json, document, http, manual, sid


def converted(steps: Json, **more: Any) -> Converted:
    """The document's playbook, which must be one that could be kept."""
    found = convert(document(steps, **more), now=NOW)
    assert faults(found) == []
    return found


def faults(found: Converted) -> list[str]:
    known = {name: actions.normalise(one) for name, one in found.actions.items()}
    playbooks = {str(step.get("playbook_ref")) for step in every(found.definition["steps"])}
    return [f"{one.pointer} {one.detail}" for one in checks.check(found.definition, known, playbooks)]


def every(steps: list[Json]) -> list[Json]:
    inner = [one for step in steps for block in [*step.get("branches", []), step] for one in block.get("steps", [])]
    return [*steps, *(every(inner) if inner else [])]


def by_id(found: Converted) -> dict[str, Json]:
    return {step["id"]: step for step in every(found.definition["steps"])}


def codes(found: Converted) -> list[str]:
    return [one.code for one in found.remarks]


def test_a_sequence_keeps_its_order() -> None:
    """Start and end are no steps here; the others follow each other under their own ids."""
    steps = {
        "start.s": {"on_completion": "action.a"},
        "action.b": manual("B", on_completion="end.e"),
        "action.a": manual("A", on_completion="action.b"),
        "end.e": {},
    }
    found = converted(steps)
    assert [(step["id"], step["on_success"]) for step in found.definition["steps"]] == [
        (sid("action.a"), sid("action.b")),
        (sid("action.b"), "end"),
    ]
    assert found.definition["enabled"]


def test_the_end_of_a_branch_leads_on_behind_its_condition() -> None:
    """An end inside a branch is a return: what follows is what the condition says."""
    steps = {
        "start.s": {"on_completion": "if-condition.c"},
        "if-condition.c": {
            "condition": "__x__:value == 'a'",
            "on_true": "action.yes",
            "on_false": "action.no",
            "on_completion": "action.after",
        },
        "action.yes": manual(on_completion="end.yes"),
        "action.no": manual(on_completion="end.no"),
        "end.yes": {},
        "end.no": {},
        "action.after": manual(on_completion="end.e"),
        "end.e": {},
    }
    found = by_id(converted(steps, playbook_variables={"__x__": {"type": "string", "external": True}}))
    condition = found[sid("if-condition.c")]
    assert (condition["on_true"], condition["on_false"]) == (sid("action.yes"), sid("action.no"))
    assert found[sid("action.yes")]["on_success"] == found[sid("action.no")]["on_success"] == sid("action.after")
    assert found[sid("action.after")]["on_success"] == "end"


def test_a_step_with_two_sequels_stands_twice() -> None:
    """A step that two conditions share returns to each of them, so it is written once for each."""
    steps: Json = {
        "start.s": {"on_completion": "if-condition.one"},
        "action.shared": manual(on_completion="end.e"),
        "end.e": {},
    }
    for name, after in (("one", "if-condition.two"), ("two", "end.e")):
        steps[f"if-condition.{name}"] = {
            "condition": "__x__:value == 'a'",
            "on_true": "action.shared",
            "on_completion": after,
        }
    found = by_id(converted(steps, playbook_variables={"__x__": {"type": "string", "value": "a"}}))
    shared = sid("action.shared")
    assert found[shared]["on_success"] == sid("if-condition.two")
    assert found[f"{shared}_2"]["on_success"] == "end"


def test_branches_run_beside_each_other_and_what_they_share_runs_once() -> None:
    """A step that several branches lead to comes after all of them, and is said to."""
    steps = {
        "start.s": {"on_completion": "parallel.p"},
        "parallel.p": {"next_steps": ["action.a", "action.b"], "on_completion": "action.after"},
        "action.a": manual(on_completion="action.both"),
        "action.b": manual(on_completion="action.both"),
        "action.both": manual(on_completion="end.e"),
        "action.after": manual(on_completion="end.e"),
        "end.e": {},
    }
    result = converted(steps)
    found = by_id(result)
    branches = [[step["id"] for step in branch["steps"]] for branch in found[sid("parallel.p")]["branches"]]
    assert branches == [[sid("action.a")], [sid("action.b")]]
    assert found[sid("parallel.p")]["on_success"] == sid("action.both")
    assert found[sid("action.both")]["on_success"] == sid("action.after")
    assert codes(result) == ["shared_by_branches"]


def test_a_loop_holds_its_body_also_when_that_leads_back() -> None:
    """The body of a loop ends at an end, or where it leads back to the loop itself."""
    steps = {
        "start.s": {"on_completion": "while-condition.w"},
        "while-condition.w": {
            "condition": "__n__:value != 'done'",
            "on_true": "action.body",
            "on_completion": "end.e",
        },
        "action.body": http("GET https://example.org/", on_completion="while-condition.w", out_args=["__n__"]),
        "end.e": {},
    }
    loop = by_id(converted(steps, playbook_variables={"__n__": {"type": "string", "value": ""}}))[
        sid("while-condition.w")
    ]
    assert loop["type"] == "loop"
    assert [(step["id"], step["on_success"]) for step in loop["steps"]] == [(sid("action.body"), "end")]
    assert loop["steps"][0]["outputs"] == {"n": "{{ output.n | default(output.body) | default(output) }}"}
    assert 'vars.n | default("")' in loop["while"]


def test_what_is_no_condition_is_asked() -> None:
    """A sentence becomes a question whose yes and no lead where true and false would, in a loop before each pass."""
    steps = {
        "start.s": {"on_completion": "if-condition.c"},
        "if-condition.c": {"condition": "Is it urgent?", "on_true": "while-condition.w", "on_completion": "end.e"},
        "while-condition.w": {"condition": "More to do", "on_true": "action.a", "on_completion": "end.e"},
        "action.a": manual(on_completion="end.e"),
        "end.e": {},
    }
    result = converted(steps)
    found = by_id(result)
    question = found[sid("if-condition.c")]
    assert (question["type"], question["on_success"], question["on_failure"]) == (
        "approval",
        sid("while-condition.w"),
        "end",
    )
    assert "Is it urgent?" in question["message"]
    loop = found[sid("while-condition.w")]
    assert [step["type"] for step in loop["steps"]] == ["approval", "approval"]
    assert loop["steps"][0]["on_failure"] == "end"
    assert codes(result) == ["asked", "asked"]


def test_a_condition_that_may_have_no_answer_ends_with_a_person() -> None:
    """When a number is held against a word at run time, the question goes to a person instead of failing the run."""
    steps = {
        "start.s": {"on_completion": "if-condition.c"},
        "if-condition.c": {"condition": "__x__:value > 5", "on_true": "action.a", "on_completion": "end.e"},
        "action.a": manual(on_completion="end.e"),
        "end.e": {},
    }
    found = by_id(converted(steps, playbook_variables={"__x__": {"type": "string", "external": True}}))
    ask = found[found[sid("if-condition.c")]["on_failure"]]
    assert (ask["type"], ask["on_success"], ask["on_failure"]) == ("approval", sid("action.a"), "end")


def test_a_switch_leads_to_its_cases() -> None:
    """Each case is entered by its text, all others by the default."""
    steps = {
        "start.s": {"on_completion": "switch-condition.c"},
        "switch-condition.c": {
            "switch": "__x__:value",
            "cases": {"1": "action.one", "default": "action.other"},
            "on_completion": "end.e",
        },
        "action.one": manual(on_completion="end.e"),
        "action.other": manual(on_completion="end.e"),
        "end.e": {},
    }
    found = by_id(converted(steps, playbook_variables={"__x__": {"type": "string", "value": "1"}}))
    switch = found[sid("switch-condition.c")]
    assert (switch["cases"], switch["default"]) == ({"1": sid("action.one")}, sid("action.other"))


def test_every_command_on_every_target_is_carried_out() -> None:
    """Two commands and two targets are four requests, one behind the other; a failure of any is the step's."""
    targets = {
        sid(f"http-api.{name}"): {
            "type": "http-api",
            "name": name,
            "address": {"dname": [f"{name}.example"]},
            "port": "8443",
        }
        for name in ("a", "b")
    }
    step = http("POST /one HTTP/1.1", on_success="end.e", on_failure="action.help")
    step["commands"].append({"type": "http-api", "command": "DELETE /two HTTP/1.1"})
    step["targets"] = list(targets)
    steps = {"start.s": {"on_completion": "action.x"}, "action.x": step, "action.help": manual(), "end.e": {}}
    result = converted(steps, target_definitions=targets)
    urls = [one["config"]["method"] + " " + one["config"]["url"] for one in result.actions.values()]
    assert sorted(urls) == sorted(
        f"{method} https://{host}.example:8443/{path}"
        for host in "ab"
        for method, path in (("POST", "one"), ("DELETE", "two"))
    )
    own = [step for step in result.definition["steps"] if step["type"] == "action"]
    assert [step["on_success"] for step in own] == [*(step["id"] for step in own[1:]), "end"]
    assert {step["on_failure"] for step in own} == {sid("action.help")}


def test_a_request_carries_its_variables_and_its_credentials() -> None:
    """Variables become parameters of the action, content and headers go along, a password becomes a sealed header."""
    info = {"type": "http-basic", "user_id": "me", "password": "secret"}
    target = {
        "type": "http-api",
        "name": "A",
        "address": {"ipv4": ["192.0.2.1"]},
        "port": "80",
        "authentication_info": sid("http-basic.i"),
    }
    content = base64.b64encode(b'{"ip": "__ip__:value", "note": "{{ x }}"}').decode()
    step = http("POST /block/__ip__:value", "http-api.a", content_b64=content, headers={"X-A": ["1", "2"]})
    found = converted(
        {"start.s": {"on_completion": "action.x"}, "action.x": step},
        target_definitions={sid("http-api.a"): target},
        authentication_info_definitions={sid("http-basic.i"): info},
        playbook_variables={"__ip__": {"type": "ipv4-addr", "external": True}},
    )
    (action,) = found.actions.values()
    assert action["config"] == {
        "method": "POST",
        "url": "http://192.0.2.1:80/block/{{ ip }}",
        "body_template": '{"ip": "{{ ip }}", "note": "{{ \'{{\' }} x }}"}',
        "headers": {"X-A": "1, 2", "Authorization": "Basic bWU6c2VjcmV0"},
    }
    assert found.definition["steps"][0]["parameters"] == {"ip": "{{ parameters.ip | string }}"}
    assert found.definition["parameters"][0]["required"]


def test_a_script_gets_its_variables_as_environment() -> None:
    """A bash command runs in the sandbox; the value of a variable cannot become code."""
    step = {"commands": [{"type": "bash", "command": "ping -c 1 __ip__:value"}], "agent": sid("organization.us")}
    found = converted(
        {"start.s": {"on_completion": "action.x"}, "action.x": step},
        playbook_variables={"__ip__": {"type": "ipv4-addr", "value": "192.0.2.1"}},
    )
    (action,) = found.actions.values()
    assert action["config"] == {"interpreter": "bash", "script": "ping -c 1 ${PARAM_IP?}"}


@pytest.mark.parametrize("kind", ["ssh", "powershell", "caldera-cmd", "jupyter", "pong"])
def test_no_command_is_passed_over(kind: str) -> None:
    """A command that nothing here can carry out is given to a person, and said to be."""
    step = {"commands": [{"type": kind, "command": "reboot __x__:value"}], "agent": sid("organization.us")}
    result = converted({"start.s": {"on_completion": "action.x"}, "action.x": step})
    assert result.definition["steps"][0]["type"] == "approval"
    assert "reboot" in result.definition["steps"][0]["message"]
    assert [(one.code, one.step_id) for one in result.remarks] == [("by_hand", sid("action.x"))]


def test_an_action_registered_for_a_type_carries_it_out() -> None:
    """An action called cacao.<type> gets of the command what it declares."""
    step = {"commands": [{"type": "ssh", "command": "reboot"}], "agent": sid("organization.us")}
    registered = {"cacao.ssh": frozenset({"command", "agent"})}
    given = document({"start.s": {"on_completion": "action.x"}, "action.x": step})
    found = convert(given, now=NOW, registered=registered).definition["steps"][0]
    assert (found["type"], found["action_ref"]) == ("action", "cacao.ssh")
    assert found["parameters"] == {"command": "reboot", "agent": {"type": "organization", "name": "Us"}}


@pytest.mark.parametrize(
    "steps", [{}, {"start.s": {"on_completion": "action.gone"}}, {"start.s": {"on_completion": "start.s"}}]
)
def test_what_leads_nowhere_is_asked_and_the_playbook_disabled(steps: Json) -> None:
    """A step that does not exist is a question, so nothing is skipped in silence, and nobody starts it by mistake."""
    result = converted(steps)
    assert [step["type"] for step in result.definition["steps"]] == ["approval"]
    assert not result.definition["enabled"]
    assert codes(result) == ["missing_step"]


def test_a_circle_is_cut_and_the_playbook_disabled() -> None:
    """Steps that lead back to each other end in a question."""
    steps = {
        "start.s": {"on_completion": "action.a"},
        "action.a": manual(on_completion="action.b"),
        "action.b": manual(on_completion="action.a"),
    }
    result = converted(steps)
    assert not result.definition["enabled"]
    assert codes(result) == ["circle"]


def test_delays_and_times_are_in_seconds() -> None:
    """A CACAO length of time is in milliseconds; a pause before a question or an end is a step of its own."""
    steps = {
        "start.s": {"on_completion": "action.x", "delay": 1500},
        "action.x": {**http("GET https://example.org/", on_completion="action.y"), "delay": 2000, "timeout": 1},
        "action.y": {**manual(on_completion="end.e"), "delay": 3000, "timeout": 60_000},
        "end.e": {"delay": 500},
    }
    found = by_id(converted(steps))
    assert (found[sid("start.s")]["type"], found[sid("start.s")]["seconds"]) == ("delay", 1.5)
    assert (found[sid("action.x")]["delay_seconds"], found[sid("action.x")]["timeout_seconds"]) == (2, 1)
    assert (found[sid("action.y")]["type"], found[sid("action.y")]["seconds"]) == ("delay", 3)
    assert found[f"{sid('action.y')}-do"]["timeout_seconds"] == 60
    assert found[sid("end.e")]["seconds"] == 0.5


@pytest.mark.parametrize(
    ("members", "enabled"),
    [
        ({"revoked": True}, False),
        ({"valid_until": "2026-11-22T00:00:00.000Z"}, False),
        ({"valid_from": "2026-11-24T00:00:00.000Z"}, False),
        ({"valid_from": "2026-11-22T00:00:00.000Z", "valid_until": "2026-11-24T00:00:00.000Z"}, True),
    ],
)
def test_only_what_is_in_force_is_enabled(members: Json, enabled: bool) -> None:
    """A revoked document, and one outside of the time for which it is valid, is imported disabled."""
    steps = {"start.s": {"on_completion": "action.a"}, "action.a": manual()}
    assert converted(steps, **members).definition["enabled"] is enabled


def test_bombs_are_refused_or_cut() -> None:
    """Diamonds that would double with each step, and branches deeper than we nest, cost no more than they may."""
    steps: Json = {
        "start.s": {"on_completion": "if-condition.0"},
        "end.e": {},
        "action.x": manual(on_completion="end.e"),
    }
    for number in range(40):
        inner = f"if-condition.{number + 1}" if number < 39 else "action.x"
        steps[f"if-condition.{number}"] = {
            "condition": "__x__:value",
            "on_true": inner,
            "on_false": inner,
            "on_completion": inner,
        }
    with pytest.raises(TooLarge):
        convert(document(steps, playbook_variables={"__x__": {"type": "bool", "value": "true"}}), now=NOW)
    deep: Json = {"start.s": {"on_completion": "while-condition.0"}, "end.e": {}}
    for number in range(50):
        deep[f"while-condition.{number}"] = {"condition": "true", "on_true": f"while-condition.{number + 1}"}
    deep["while-condition.50"] = {"condition": "true", "on_true": "end.e"}
    assert "nested_too_deep" in codes(converted(deep))


@pytest.mark.parametrize("members", [{}, {"type": 5}, {"type": "parallel"}, {"type": "action", "id": "x"}, "x"])
def test_what_stands_in_our_extension_is_not_believed(members: Any) -> None:
    """Members that Tocsin would not have put there are passed over, or named as faults; nothing breaks."""
    step = manual(on_completion="end.e")
    ours = with_own({"type": "action", **step}, "mine", {})["step_extensions"][EXTENSION]
    step["step_extensions"] = {EXTENSION: {**ours, "step": members}}
    found = convert(document({"start.s": {"on_completion": "action.a"}, "action.a": step, "end.e": {}}), now=NOW)
    assert found.definition["steps"]
    assert isinstance(faults(found), list)
