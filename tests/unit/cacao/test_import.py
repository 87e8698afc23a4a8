"""An imported CACAO document: its steps, their order, their actions, and questions to people."""

import base64
import copy
from typing import Any

import pytest

from cacao.model.identity import EXTENSION, with_own
from cacao.reading.blocks import TooLarge
from cacao.reading.importer import Converted, convert
from cacao.writing.exporter import with_definition
from playbooks.checks import playbook
from playbooks.definitions import actions
from tests.support.cacao import NOW, Json, document, http, manual, sid


def converted(steps: Json, **more: Any) -> Converted:
    """The document's playbook, which must be one that could be kept."""
    found = convert(document(steps, **more), now=NOW)
    assert faults(found) == []
    return found


def faults(found: Converted) -> list[str]:
    known = {name: actions.normalise(one) for name, one in found.actions.items()}
    playbooks = {str(step.get("playbook_ref")) for step in every(found.definition["steps"])}
    return [f"{one.pointer} {one.detail}" for one in playbook.check(found.definition, known, playbooks)]


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


def test_steps_that_only_some_branches_share_belong_to_each_of_them() -> None:
    """Nothing is passed over and nothing moved: two pairs of branches have a step each; to be looked at first."""
    steps = {
        "start.s": {"on_completion": "parallel.p"},
        "parallel.p": {"next_steps": [f"action.{name}" for name in "abcd"], "on_completion": "end.e"},
        "action.a": manual(on_completion="action.x"),
        "action.b": manual(on_completion="action.x"),
        "action.c": manual(on_completion="action.y"),
        "action.d": manual(on_completion="action.y"),
        "action.x": manual(on_completion="end.e"),
        "action.y": manual(on_completion="end.e"),
        "end.e": {},
    }
    result = converted(steps)
    (parallel,) = result.definition["steps"]
    branches = [[step["id"][:44] for step in branch["steps"]] for branch in parallel["branches"]]
    x, y = sid("action.x"), sid("action.y")
    assert branches == [[sid("action.a"), x], [sid("action.b"), x], [sid("action.c"), y], [sid("action.d"), y]]
    assert (codes(result), result.definition["enabled"]) == (["shared_by_some"], False)


def test_a_step_under_conditions_stays_under_them() -> None:
    """Two branches that lead to the same step if something holds: it is carried out only where it holds."""
    steps = {
        "start.s": {"on_completion": "parallel.p"},
        "parallel.p": {"next_steps": ["if-condition.a", "if-condition.b"], "on_completion": "end.e"},
        "if-condition.a": {"condition": "__a__:value = '1'", "on_true": "action.x"},
        "if-condition.b": {"condition": "__a__:value = '2'", "on_true": "action.x"},
        "action.x": manual(on_completion="end.e"),
        "end.e": {},
    }
    result = converted(steps, playbook_variables={"__a__": {"type": "string", "external": True}})
    (parallel,) = result.definition["steps"]
    assert [[step["type"] for step in branch["steps"]] for branch in parallel["branches"]] == [
        ["condition", "approval"],
        ["condition", "approval"],
    ]
    assert (codes(result), result.definition["enabled"]) == (["shared_by_some"], False)


def test_conditions_on_the_way_to_where_branches_meet_are_no_obstacle() -> None:
    """Every way of every branch leads there, whichever answers the conditions have."""
    steps = {
        "start.s": {"on_completion": "parallel.p"},
        "parallel.p": {"next_steps": ["if-condition.a", "action.b"]},
        "if-condition.a": {"condition": "__a__:value = '1'", "on_true": "action.c", "on_completion": "action.x"},
        "action.c": manual(on_completion="end.c"),
        "action.b": manual(on_completion="action.x"),
        "action.x": manual(on_completion="end.e"),
        "end.e": {},
        "end.c": {},
    }
    result = converted(steps, playbook_variables={"__a__": {"type": "string", "external": True}})
    found = by_id(result)
    assert found[sid("parallel.p")]["on_success"] == sid("action.x")
    assert [step["id"] for step in result.definition["steps"]] == [sid("parallel.p"), sid("action.x")]


def test_a_condition_says_where_its_branches_lead_when_they_fail() -> None:
    """A step in a branch that does not say so itself leads to where the condition does; one behind it does not."""
    steps = {
        "start.s": {"on_completion": "if-condition.c"},
        "if-condition.c": {
            "condition": "__a__:value = '1'",
            "on_true": "action.in",
            "on_success": "action.after",
            "on_failure": "action.mend",
        },
        "action.in": manual(on_success="action.own"),
        "action.own": manual(on_success="end.e", on_failure="action.other"),
        "action.other": manual(on_completion="end.e"),
        "action.after": manual(on_completion="end.e"),
        "action.mend": manual(on_completion="end.e"),
        "end.e": {},
    }
    found = by_id(converted(steps, playbook_variables={"__a__": {"type": "string", "external": True}}))
    failing = {name: found[sid(f"action.{name}")].get("on_failure") for name in ("in", "own", "after", "mend")}
    assert failing == {"in": sid("action.mend"), "own": sid("action.other"), "after": None, "mend": None}


def test_each_step_reads_what_it_declares_itself() -> None:
    """Two steps that call a value of their own by the same name do not get each other's."""
    steps = {
        "start.s": {"on_completion": "action.a"},
        "action.a": {
            **http("GET https://example.org/__x__:value", on_completion="action.b"),
            "step_variables": {"__x__": {"type": "string", "value": "one"}},
        },
        "action.b": {
            **http("GET https://example.org/__x__:value", on_completion="end.e"),
            "step_variables": {"__x__": {"type": "string", "value": "two"}},
        },
        "end.e": {},
    }
    found = by_id(converted(steps, playbook_variables={"__x__": {"type": "string", "external": True}}))
    assert [found[sid(f"action.{name}")]["parameters"] for name in "ab"] == [{"x": "one"}, {"x": "two"}]


@pytest.mark.parametrize("command", ["http-api", "bash"])
@pytest.mark.parametrize("missing", ["target", "agent"])
def test_what_is_for_somewhere_that_is_not_defined_is_done_nowhere_else(command: str, missing: str) -> None:
    """Neither the agent's own address nor the sandbox here stand in for it."""
    one = {"type": command, "command": "POST /wipe HTTP/1.1" if command == "http-api" else "rm -r /"}
    steps = {
        "start.s": {"on_completion": "action.a"},
        "action.a": {"commands": [one], "agent": sid("http-api.agent"), "on_completion": "end.e"},
        "end.e": {},
    }
    agent = {"type": "http-api", "name": "Agent", "address": {"dname": ["agent.example.org"]}}
    if missing == "target":
        steps["action.a"]["targets"] = [sid("http-api.nowhere")]
    agents = {sid("http-api.agent"): agent} if missing == "target" else {}
    result = converted(steps, agent_definitions=agents)
    (step,) = result.definition["steps"]
    assert (step["type"], result.actions) == ("approval", {})
    assert codes(result) == ["undefined", "by_hand"]


def test_what_a_refused_action_would_have_sent_is_told_to_who_does_it() -> None:
    """With its body and its headers, of which credentials are masked."""
    steps = {
        "start.s": {"on_completion": "action.a"},
        "action.a": http(
            "POST https://example.org/a HTTP/1.1",
            content='{"a": 1}',
            headers={"Host": ["other"], "Authorization": ["Bearer hidden"]},
            on_completion="end.e",
        ),
        "end.e": {},
    }
    given = document(steps)
    (action,) = convert(given, now=NOW).actions
    (step,) = convert(given, now=NOW, refused={action: "the header is not allowed"}).definition["steps"]
    assert step["type"] == "approval"
    assert all(word in step["message"] for word in ("by hand", "POST https://example.org/a", '{"a": 1}', "Host"))
    assert "hidden" not in step["message"]


def test_blocks_have_their_limits_of_time() -> None:
    """What a parallel or a loop may take as a whole; of several commands each may take it, which is said."""
    steps = {
        "start.s": {"on_completion": "parallel.p"},
        "parallel.p": {"next_steps": ["action.a", "action.b"], "on_completion": "while-condition.w", "timeout": 1500},
        "while-condition.w": {"condition": "what?", "on_true": "action.c", "on_completion": "end.e", "timeout": 9000},
        "action.a": {**manual(on_completion="end.e"), "commands": [{"type": "manual"}] * 2, "timeout": 3000},
        "action.b": manual(on_completion="end.e"),
        "action.c": manual(on_completion="end.e"),
        "end.e": {},
    }
    result = converted(steps)
    found = by_id(result)
    assert [found[sid(one)]["timeout_seconds"] for one in ("parallel.p", "while-condition.w")] == [2, 9]
    assert "timeout_of_each" in codes(result)


@pytest.mark.parametrize(
    "steps",
    [
        {
            "start.s": {"on_completion": "action.a"},
            "action.a": {
                **manual("x" * 60_000, on_completion="end.e"),
                "targets": [sid(f"linux.{n}") for n in range(4000)],
            },
            "end.e": {},
        },
        {
            "start.s": {"on_completion": "action.0"},
            **{f"action.{n}": manual(on_success=f"action.{n + 1}", on_failure="start.0") for n in range(1000)},
            **{f"start.{n}": {"on_completion": f"start.{n + 1}"} for n in range(3000)},
            "action.1000": manual(on_completion="end.e"),
            "end.e": {},
        },
    ],
    ids=["targets", "starts"],
)
def test_what_multiplies_is_refused(steps: Json) -> None:
    """A text for thousands of targets, a long way gone thousands of times."""
    with pytest.raises(TooLarge):
        converted(steps)


def test_what_somebody_else_has_put_into_our_extension_is_looked_at_first() -> None:
    """A step that shows one thing and does another is imported disabled, and so is a whole definition."""
    shown: Json = {
        "start.s": {"on_completion": "action.a"},
        "action.a": manual("Harmless", on_completion="end.e"),
        "end.e": {},
    }
    given = document(shown)
    own = with_own(given["workflow"][sid("action.a")], "a", {"type": "action", "action_ref": "act-other"})
    for seal in ("0" * 64, None, []):
        forged = copy.deepcopy(own)
        forged["step_extensions"][EXTENSION]["seal"] = seal
        result = convert({**given, "workflow": {**given["workflow"], sid("action.a"): forged}}, now=NOW)
        assert (codes(result), result.definition["enabled"]) == (["from_extension"], False)
    ours = convert({**given, "workflow": {**given["workflow"], sid("action.a"): own}}, now=NOW)
    assert (codes(ours), ours.definition["enabled"]) == ([], True)

    whole = with_definition(given, {**convert(given, now=NOW).definition, "name": "Hidden"})
    assert (codes(convert(whole, now=NOW)), convert(whole, now=NOW).definition["enabled"]) == ([], True)
    whole["playbook_extensions"][EXTENSION]["definition"]["name"] = "Other"
    result = convert(whole, now=NOW)
    assert (codes(result), result.definition["enabled"], result.definition["name"]) == (
        ["from_extension"],
        False,
        "Other",
    )
    expired = with_definition({**given, "valid_until": "2026-01-02T00:00:00.000Z"}, convert(given, now=NOW).definition)
    assert convert(expired, now=NOW).definition["enabled"] is False


def test_what_another_installation_has_made_is_read_as_it_is_shown() -> None:
    """Actions that an import made elsewhere have names that mean nothing here."""
    shown: Json = {
        "start.s": {"on_completion": "action.a"},
        "action.a": http("GET https://example.org/", on_completion="end.e"),
        "end.e": {},
    }
    given = document(shown)
    own = with_own(given["workflow"][sid("action.a")], "a", {"type": "action", "action_ref": "cacao.webhook.elsewhere"})
    own["step_extensions"][EXTENSION]["seal"] = "0" * 64
    result = convert({**given, "workflow": {**given["workflow"], sid("action.a"): own}}, now=NOW)
    assert result.definition == convert(given, now=NOW).definition


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
    """A sentence becomes a question whose answers lead where true and false would, in a loop before each iteration."""
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


def test_a_question_shows_what_its_own_step_declares() -> None:
    """Two steps call different things by one name: each person is asked about what is meant there."""
    own = {"__host__": {"type": "string", "value": "db-1"}}
    steps = {
        "start.s": {"on_completion": "if-condition.i"},
        "if-condition.i": {"condition": "Is __host__:value sick?", "step_variables": own, "on_true": "action.a"},
        "action.a": manual("Look at __host__:value", step_variables={"__host__": {"type": "string", "value": "web-1"}}),
    }
    asked = by_id(converted(steps))
    assert "db-1" in asked[sid("if-condition.i")]["message"]
    assert "web-1" in asked[sid("action.a")]["message"]


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
    """A step that does not exist is a question, so nothing is skipped in silence, and no run starts it by mistake."""
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
