"""Commands of a CACAO document: the action for each, its parameters, and questions to people."""

import json
import subprocess
from typing import Any

import pytest

from cacao.reading.commands import CommandContext, Translation, by_hand, translate
from cacao.reading.importer import Converted, convert
from cacao.reading.names import Names
from expressions.json_templates import render_json
from expressions.templates import render
from playbooks.checks import playbook
from playbooks.definitions import actions
from playbooks.definitions.parameters import resolve
from tests.support.cacao import NOW, Json, document, http, manual, sid

US = {"type": "organization", "name": "Us"}
VARIABLES: Json = {
    "__s__": {"type": "string", "external": True},
    "__n__": {"type": "integer", "external": True},
    "__b__": {"type": "bool", "value": "true"},
    "__o__": {"type": "dictionary", "value": '{"a": [1]}'},
    "__f__": {"type": "float", "value": "-1.5"},
    "__bad__": {"type": "integer", "value": "many"},
    "__none__": {"type": "string"},
    "__empty__": {"type": "string", "value": ""},
}
API = {"type": "http-api", "name": "Firewall", "address": {"dname": ["fw.example"]}}


def context(variables: Json | None = None, returned: Any = None, **members: Any) -> CommandContext:
    workflow = {"action--1": {"type": "action", "out_args": ["__told__"]}}
    given = {"playbook_variables": variables or VARIABLES, "workflow": workflow}
    members = {"agent": US, "target": {}, **members}
    return CommandContext(names=Names(given, returned), **members)


def carried_out(command: Json, **more: Any) -> Translation:
    """How a command is carried out; by a machine, with an action that could be kept and takes what it is given."""
    found = translate(command, context(**more))
    assert found.action is not None, found.asked
    assert actions.check(actions.normalise(found.action)) == []
    return found


def body(content: str, values: Json, headers: Json | None = None) -> str:
    """The body that is sent when the run has these parameters."""
    command = {"type": "http-api", "command": "POST https://a.example/", "content": content, "headers": headers or {}}
    found = carried_out(command)
    assert found.action is not None
    rendered = render(found.step["parameters"], {"parameters": values, "vars": {}})
    given, problems = resolve(found.action["parameters"], rendered)
    assert problems == []
    return render_json(found.action["config"]["body_template"], given)


def bash(script: str, **more: Any) -> Translation:
    return translate({"type": "bash", "command": script}, context(**more))


def ran(found: Translation, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the script of a command does."""
    assert found.action is not None, found.asked
    shell = ["/bin/bash", "--norc", "-c", found.action["config"]["script"]]
    room = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run(shell, env=room, capture_output=True, text=True, check=False)


def converted(steps: Json, **more: Any) -> Converted:
    """The document's playbook, which must be one that could be kept."""
    found = convert(document(steps, **more), now=NOW)
    known = {name: actions.normalise(one) for name, one in found.actions.items()}
    assert playbook.check(found.definition, known, set()) == []
    return found


def test_no_command_is_carried_out_without_its_value() -> None:
    """What a person returns, and what nothing gives, is never sent as nothing: a person carries the command out."""
    command = {"type": "http-api", "command": "DELETE https://fw.example/rules/__told__:value"}
    found = translate(command, context(returned=()))
    assert found.asked == "it needs a value that a person returns"
    assert "/rules/__told__:value" in found.step["message"]
    assert translate(command, context()).action is not None
    nothing = {"type": "http-api", "command": "DELETE https://fw.example/rules/__none__:value"}
    assert "__none__" in translate(nothing, context()).asked
    registered = {"cacao.ssh": frozenset({"command"})}
    ssh = {"type": "ssh", "command": "rm __none__:value"}
    assert "__none__" in translate(ssh, context(registered=registered)).asked


def test_an_empty_text_is_a_value() -> None:
    """A variable that was declared as an empty text is filled in as one, and its action wants nothing less."""
    found = carried_out({"type": "http-api", "command": "GET https://a.example/?q=__empty__:value"})
    assert found.step["parameters"] == {"empty": ""}
    assert found.action is not None
    assert found.action["parameters"] == [{"name": "empty", "type": "string", "required": True}]


def test_what_needs_a_value_that_people_return_makes_all_that_needs_its_own_wait_for_people() -> None:
    """A chain of steps each of which needs what the one before returned is done by people from the first of them on."""
    steps: Json = {"start.s": {"on_completion": "action.0"}, "end.e": {}}
    steps["action.0"] = manual(on_completion="action.1", out_args=["__v0__"])
    for number in range(1, 40):
        line = f"GET https://a.example/__v{number - 1}__:value"
        after = f"action.{number + 1}" if number < 39 else "end.e"
        steps[f"action.{number}"] = http(line, on_completion=after, out_args=[f"__v{number}__"])
    found = converted(steps)
    assert {step["type"] for step in found.definition["steps"]} == {"approval"}


def test_nobody_who_starts_a_run_says_where_its_credentials_go() -> None:
    """A host that is a variable of the playbook is no parameter of the run."""
    found = converted(
        {"start.s": {"on_completion": "action.a"}, "action.a": http("GET https://__host__:value/"), "end.e": {}},
        playbook_variables={"__host__": {"type": "string", "value": "api.example", "constant": True}},
    )
    assert found.definition["parameters"] == []
    assert found.definition["steps"][0]["parameters"] == {"host": "api.example"}


def test_a_value_that_is_too_long_is_for_a_person() -> None:
    """An action is given no more than a template holds."""
    long = {"__x__": {"type": "string", "value": "x" * 17_000}}
    command = {"type": "http-api", "command": "POST https://a.example/", "content": "__x__:value"}
    assert "too large" in translate(command, context(long)).asked


def test_the_first_hundred_external_variables_are_parameters() -> None:
    """Of more than a playbook may have, the first become parameters, and the rest is said."""
    many = {f"__v{number}__": {"type": "string", "external": True} for number in range(105)}
    found = converted({"start.s": {"on_completion": "action.a"}, "action.a": manual()}, playbook_variables=many)
    assert [one["name"] for one in found.definition["parameters"]] == [f"v{number}" for number in range(100)]
    assert [one.code for one in found.remarks] == ["too_many_variables"]
    assert found.remarks[0].message.startswith("5 variables, of __v100__ on,")


@pytest.mark.parametrize("kind", ["http-api", "bash", "ssh"])
def test_what_is_aimed_at_nothing_is_for_a_person(kind: str) -> None:
    """Where the step names a target or an agent that is not defined, no command is carried out somewhere else."""
    command = {"type": kind, "command": "GET https://a.example/"}
    missing = "the target it names is not defined"
    registered = {f"cacao.{kind}": frozenset({"command"})}
    for given in (context(agent=API, missing=missing), context(missing=missing, registered=registered)):
        found = translate(command, given)
        assert (found.step["type"], found.asked) == ("approval", missing)


def test_a_script_for_another_machine_does_not_run_here() -> None:
    """Bash runs in the sandbox only where the agent is no machine with an address of its own."""
    assert bash("uptime", agent=US).action is not None
    assert "another machine" in bash("uptime", agent=API).asked
    assert "another machine" in bash("uptime", target=API).asked
    registered = {"cacao.bash": frozenset({"command"})}
    assert bash("uptime", agent=API, registered=registered).step["action_ref"] == "cacao.bash"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"n": __n__:value, "s": "__s__:value"}', {"n": 5, "s": 'x","admin":"true'}),
        ('[__b__:value, "__b__:value", __o__:value, __f__:value]', [True, "true", {"a": [1]}, -1.5]),
        ('{"s": __s__:value, "__s__:value": 1}', {"s": 'x","admin":"true', 'x","admin":"true': 1}),
        ('{"a": "{__s__:value}"}', {"a": '{x","admin":"true}'}),
    ],
)
def test_a_value_cannot_change_what_a_json_body_means(content: str, expected: Any) -> None:
    """In quotes a value is text, escaped; outside of them it is a JSON value of the type that was declared."""
    sent = body(content, {"n": 5, "s": 'x","admin":"true'})
    assert json.loads(sent) == expected


def test_openc2_is_json() -> None:
    """A content type that says JSON is taken at its word, also where the whole content is one object."""
    kind = {"Content-Type": ["application/openc2+json;version=1.0"]}
    assert json.loads(body("__o__:value", {}, kind)) == {"a": [1]}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('{"n": 1__n__:value}', None),
        ('{"n": __bad__:value}', None),
        ("__s__:value", "application/json"),
    ],
)
def test_a_json_body_that_cannot_be_made_for_certain_is_for_a_person(content: str, kind: str | None) -> None:
    """A value that is glued to others, that is not of its type, or that may be JSON itself is not guessed at."""
    headers = {"Content-Type": [kind]} if kind else {}
    command = {"type": "http-api", "command": "POST https://a.example/", "content": content, "headers": headers}
    assert translate(command, context()).asked


def test_a_body_that_is_no_json_is_a_text() -> None:
    """What is no JSON even with its variables goes as text, as does one variable alone."""
    for content in ("ip=__s__:value", "__s__:value"):
        found = carried_out({"type": "http-api", "command": "POST https://a.example/", "content": content})
        assert found.action is not None
        assert found.action["config"]["headers"] == {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize(
    "script",
    [
        "echo __s__:value",
        'echo "<__s__:value>"',
        "echo 'it is' __s__:value \"isn't it\"",
        "# don't\necho __s__:value # won't",
        r"echo \' __s__:value \"",
        "echo $'it\\'s' __s__:value",
        'for x in 1 2; do echo "__s__:value"; done',
        "x=__s__:value; echo $x",
        "echo $(echo __s__:value) | grep -v '^x'",
        'grep -v "__s__:value" /dev/null; echo "__s__:value"',
    ],
)
def test_a_shell_fills_in_what_is_not_read_again(script: str) -> None:
    """Between words and in double quotes the value of the environment stands where the variable stood."""
    value = "'$(echo evil)`echo evil`"
    run = ran(bash(script), PARAM_S=value)
    assert value in run.stdout
    assert run.stderr == ""


def test_a_script_fails_without_its_value() -> None:
    """A value that the environment had no room for is not taken to be empty."""
    run = ran(bash("echo __s__:value"))
    assert (run.returncode != 0, run.stdout) == (True, "")


@pytest.mark.parametrize(
    "script",
    [
        "curl -d '__s__:value' x",
        "echo $'__s__:value'",
        "echo $((__s__:value + 1))",
        "(( x = __s__:value ))",
        "[[ __s__:value -eq 1 ]] && echo y",
        "echo $[__s__:value]",
        "let x=__s__:value",
        'eval "echo __s__:value"',
        "echo `echo __s__:value`",
        "cat <<'END'\n__s__:value\nEND",
        "cat <<< __s__:value",
        'bash -c "echo __s__:value"',
        '/bin/sh -c "echo __s__:value"',
        "python3 -c 'print(1)' __s__:value",
        "a[__s__:value]=1",
        "echo ${a[__s__:value]}",
        "echo ${x:__s__:value}",
        '[ -v "__s__:value" ]',
        'printf -v "__s__:value" x',
        'read "__s__:value"',
        'declare "__s__:value"=1',
        "echo \"$(echo '__s__:value')\"",
        "echo $__s__:value",
        r"echo \__s__:value",
        "__s__:value",
        'true; "__s__:value" x',
        "if __s__:value; then :; fi",
        "A=1 __s__:value",
        "echo __s__:value 'and no end",
    ],
)
def test_a_script_that_would_read_a_value_as_code_is_for_a_person(script: str) -> None:
    """Where bash would not fill the variable in, or would evaluate it, or might, a person is asked."""
    found = bash(script)
    assert found.action is None
    assert found.asked


def test_a_script_without_variables_runs_as_it_is() -> None:
    """Quotes and arithmetic matter only where a variable is filled in."""
    found = bash("echo $((1 + 1)) '$x'")
    assert found.action is not None
    assert found.action["config"]["script"] == "echo $((1 + 1)) '$x'"


def test_a_registered_action_is_told_of_its_target_and_no_secrets() -> None:
    """An action can have no parameter called target; it receives only the members that say where and what it is."""
    target = {**API, "authentication_info": "user-auth--1", "token": "secret", "port": "22"}
    names = frozenset({"command", "cacao_target", "cacao_agent"})
    given = context(registered={"cacao.ssh": names}, target=target, agent={**US, "contact": {"email": {"a": "b@c"}}})
    found = translate({"type": "ssh", "command": "{__s__:value}"}, given)
    assert found.step["parameters"] == {
        "command": "{{ '{' }}{{ parameters.s | string }}}",
        "cacao_target": {**API, "port": "22"},
        "cacao_agent": {**US, "contact": {"email": {"a": "b@c"}}},
    }


def test_who_does_it_by_hand_sees_the_whole_command_and_no_credentials() -> None:
    """The start line, each header and the content are there; what looks like a credential is masked."""
    command = {
        "type": "http-api",
        "command": "POST https://me:pass@fw.example/block HTTP/1.1",
        "headers": {"Host": ["fw.example"], "X-Api-Key": ["abc"], "Cookie": "d=e"},
        "content": '{"ip":"__s__:value","url":"https://u:p@x.example","mail":"a@b.example"}',
    }
    found = by_hand(command, context(target=API), "the header Host is ours")
    assert found.asked == "the header Host is ours"
    assert render(found.step["message"], {"parameters": {"s": "192.0.2.1"}}).splitlines() == [
        "Carry this out by hand on Firewall, then approve:",
        "POST https://***@fw.example/block HTTP/1.1",
        "Host: fw.example",
        "X-Api-Key: ***",
        "Cookie: ***",
        "",
        '{"ip":"192.0.2.1","url":"https://***@x.example","mail":"a@b.example"}',
    ]


def test_a_brace_before_a_variable_is_no_fault() -> None:
    """A document whose text has a brace next to a variable is imported like any other."""
    steps = {"start.s": {"on_completion": "action.a"}, "action.a": manual("Block {__s__:value}"), "end.e": {}}
    found = converted(steps, playbook_variables={"__s__": {"type": "string", "external": True}})
    message = found.definition["steps"][0]["message"]
    assert render(message, {"parameters": {"s": "it"}}) == "Block {it}"
    assert sid("action.a") == found.definition["steps"][0]["id"]
