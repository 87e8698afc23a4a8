"""The most expensive bodies known, one function per family: size → body.

Each fills its size with as much as possible of one kind of work: expressions with long paths, conditions, lists of
nothing, words of YAML, steps of CACAO. Names never repeat where a cache would help.
"""

import json
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

JSON, YAML = "application/json", "application/yaml"


class Family(NamedTuple):
    """A kind of body: its format, and the maker by size."""

    name: str
    kind: str
    make: Callable[[int], bytes]


def _texts(expression: str, each: int = 200) -> Callable[[int], bytes]:
    """Steps with texts full of an expression; ``N`` is fresh each time."""
    numbers = count()

    def text(most: int) -> str:
        parts: list[str] = []
        length = 0
        while len(parts) < most and length + len(expression) + 12 < 16_000:
            parts.append(expression.replace("N", str(next(numbers))))
            length += len(parts[-1])
        return "".join(parts)

    return lambda size: _filled(size, lambda: _action(parameters={"m": text(each)}))


def _conditions(condition: str) -> Callable[[int], bytes]:
    numbers = count()

    def step() -> dict[str, Any]:
        more = " " * 180 if len(condition) < 60 else ""
        return {"type": "condition", "expression": condition.replace("N", str(next(numbers))) + more}

    return lambda size: _filled(size, step)


def _action(**more: Any) -> dict[str, Any]:
    return {"type": "action", "action_ref": "a", **more}


def _filled(size: int, step: Callable[[], dict[str, Any]]) -> bytes:
    steps: list[str] = []
    length = 40
    for number in count():
        steps.append(json.dumps({"id": f"s{number}", **step()}, separators=(",", ":")))
        length += len(steps[-1]) + 1
        if length > size:
            break
    return f'{{"name":"Heavy","steps":[{",".join(steps[:-1])}]}}'.encode()


def _repeated(head: str, item: str, tail: str) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        number = max(1, (size - len(head) - len(tail)) // (len(item) + 1))
        return (head + ",".join([item] * number) + tail).encode()

    return make


def _unknown(size: int) -> bytes:
    numbers = count()
    return _filled(size, lambda: {"type": "action", "action_ref": f"act-no-such-thing-{next(numbers):0200d}"})


def _linked(size: int) -> bytes:
    """Steps that each lead to the step after the next."""
    numbers = count(2)
    return _filled(size, lambda: {"type": "delay", "seconds": 1, "name": "x" * 120, "on_success": f"s{next(numbers)}"})


def _reading(size: int) -> bytes:
    """Steps that each read all of some two hundred before them."""
    numbers = count()

    def step() -> dict[str, Any]:
        number = next(numbers)
        return _action(
            parameters={"m": "".join(f"{{{{steps.s{one}.output}}}}" for one in range(number - 200, number) if one >= 0)}
        )

    return _filled(size, step)


def _cacao(size: int) -> bytes:
    ids = (f"action--{number:08x}-0000-4000-8000-000000000000" for number in count())
    first = next(ids)
    start = "start--00000000-0000-4000-8000-000000000000"
    end = "end--00000000-0000-4000-8000-000000000000"
    workflow: dict[str, Any] = {start: {"type": "start", "on_completion": first}, end: {"type": "end"}}
    length = 800
    for following in ids:
        step = {"type": "action", "on_completion": following, "commands": [{"type": "manual", "command": "Look"}]}
        length += len(first) + len(json.dumps(step)) + 5
        if length > size:
            break
        workflow[first] = step
        first = following
    workflow[first] = {"type": "action", "on_completion": end, "commands": [{"type": "manual", "command": "Look"}]}
    return json.dumps(_document(workflow, start), separators=(",", ":")).encode()


def _document(workflow: dict[str, Any], start: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": "playbook--00000000-0000-4000-8000-000000000000",
        "name": "Heavy",
        "created_by": "identity--00000000-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "workflow_start": start,
        "workflow": workflow,
        **more,
    }


def _cacao_variables(size: int) -> bytes:
    start, end = "start--00000000-0000-4000-8000-000000000000", "end--00000000-0000-4000-8000-000000000000"
    variables = {
        f"__v{number}__": {"type": "string", "value": f"__v{number + 1}__:value"} for number in range(size // 62)
    }
    workflow = {start: {"type": "start", "on_completion": end}, end: {"type": "end"}}
    return json.dumps(_document(workflow, start, playbook_variables=variables), separators=(",", ":")).encode()


def _cacao_commands(size: int) -> bytes:
    start, end = "start--00000000-0000-4000-8000-000000000000", "end--00000000-0000-4000-8000-000000000000"
    action = "action--00000000-0000-4000-8000-000000000000"
    commands = [{"type": "bash", "command": f"echo {number}"} for number in range(size // 40)]
    workflow = {
        start: {"type": "start", "on_completion": action},
        action: {"type": "action", "on_completion": end, "commands": commands},
        end: {"type": "end"},
    }
    return json.dumps(_document(workflow, start), separators=(",", ":")).encode()


def _cacao_texts(size: int) -> bytes:
    """Texts that ask for variables as often as they can."""
    start, end = "start--00000000-0000-4000-8000-000000000000", "end--00000000-0000-4000-8000-000000000000"
    action = "action--00000000-0000-4000-8000-000000000000"
    commands = [{"type": "bash", "command": "__a__:value" * 1000} for _ in range(max(1, size // 11_100))]
    workflow = {
        start: {"type": "start", "on_completion": action},
        action: {"type": "action", "on_completion": end, "commands": commands},
        end: {"type": "end"},
    }
    return json.dumps(
        _document(workflow, start, playbook_variables={"__a__": {"type": "string", "value": "b"}})
    ).encode()


def _cacao_conditions(size: int) -> bytes:
    start, end = "start--00000000-0000-4000-8000-000000000000", "end--00000000-0000-4000-8000-000000000000"
    names = [f"if-condition--{number:08x}-0000-4000-8000-000000000000" for number in range(max(1, size // 280))]
    workflow: dict[str, Any] = {start: {"type": "start", "on_completion": names[0]}, end: {"type": "end"}}
    for number, (name, following) in enumerate(zip(names, [*names[1:], end], strict=True)):
        workflow[name] = {
            "type": "if-condition",
            "condition": f"__a__:value = '{number}' AND __b__:value != 'x'",
            "on_true": end,
            "on_completion": following,
        }
    variables = {name: {"type": "string"} for name in ("__a__", "__b__")}
    return json.dumps(_document(workflow, start, playbook_variables=variables), separators=(",", ":")).encode()


_A_STEP = '{"name":"Heavy","steps":[{"id":"a","type":"action","action_ref":"a","parameters":{"m":['
_DEEP = "{{" + "a" + "|default(b" * 9 + ")" * 9 + "}}"

FAMILIES = (
    Family("template_indexes", JSON, _texts("{{aN[0][1][2][3][4][5][6][7]}}")),
    Family("template_long_paths", JSON, _texts("{{aN" + ".b" * 18 + "}}")),
    Family("template_short_paths", JSON, _texts("{{aN.b}}")),
    Family("template_filters", JSON, _texts("{{aN|upper|lower|trim|upper}}")),
    Family("template_arguments", JSON, _texts("{{aN" + "|replace(1,2)" * 10 + "}}")),
    Family("template_defaults", JSON, _texts(_DEEP.replace("a|", "aN|", 1))),
    Family("template_dashes", JSON, _texts("{{steps.a-N.output.b.c}}")),
    Family("template_comments", JSON, _texts("{##}" * 100 + "{{aN}}")),
    Family("template_refused", JSON, _texts("{{N" + "+1" * 7_900 + "}}")),
    Family("template_texts", JSON, _texts("{{aN}}" + " " * 250, 1)),
    Family("template_raw", JSON, _texts("{%raw%}{%endraw%}" * 900)),
    Family("condition_short", JSON, _conditions("aN==1")),
    Family("condition_long", JSON, _conditions("aN==1" + "&&a.b==1" * 70)),
    Family("condition_matches", JSON, _conditions("a.matches('^[a-z]{1,20}N$')")),
    Family("condition_templates", JSON, _conditions("{{aN.b.c}}==1" + "&&{{a.b.c}}==1" * 30)),
    Family("steps_empty_lists", JSON, _repeated('{"name":"Heavy","steps":[', "[]", "]}")),
    Family("steps_empty_objects", JSON, _repeated('{"name":"Heavy","steps":[', "{}", "]}")),
    Family("steps_numbers", JSON, _repeated('{"name":"Heavy","steps":[', "1", "]}")),
    Family(
        "steps_branches",
        JSON,
        _repeated('{"name":"Heavy","steps":[{"id":"a","type":"parallel","branches":[', "[]", "]}]}"),
    ),
    Family(
        "steps_branch_steps",
        JSON,
        _repeated('{"name":"Heavy","steps":[{"id":"a","type":"parallel","steps":[', "[]", "]}]}"),
    ),
    Family("parameters_lists", JSON, _repeated(_A_STEP, "[]", "]}}]}")),
    Family("parameters_texts", JSON, _repeated(_A_STEP, '"{{"', "]}}]}")),
    Family(
        "parameters_declared",
        JSON,
        _repeated('{"name":"Heavy","steps":[],"parameters":[', '{"name":"a","type":"string"}', "]}"),
    ),
    Family(
        "trigger_conditions",
        JSON,
        _repeated('{"name":"Heavy","steps":[],"trigger":{"event":"a","conditions":{"a":[', "[]", "]}}}"),
    ),
    Family("tags", JSON, _repeated('{"name":"Heavy","steps":[],"tags":[', "1", "]}")),
    Family("unknown_actions", JSON, _unknown),
    Family("links", JSON, _linked),
    Family("references", JSON, _reading),
    Family(
        "unknown_members",
        JSON,
        lambda size: json.dumps({"steps": [], **{f"a{n}": 1 for n in range(size // 14)}}).encode(),
    ),
    Family("yaml_flow", YAML, _repeated("name: Heavy\nsteps: [", "a", "]")),
    Family("yaml_flow_lists", YAML, _repeated("name: Heavy\nsteps: [", "[]", "]")),
    Family("yaml_block", YAML, lambda size: b"name: Heavy\nsteps:\n" + b"- a\n" * (size // 4)),
    Family("yaml_mapping", YAML, lambda size: b"name: Heavy\n" + b"".join(b"a%d:\n" % n for n in range(size // 8))),
    Family("bundle_objects", JSON, _repeated('{"type":"bundle","objects":[', '{"playbook_bin":"e30="}', "]}")),
    Family("bundle_nested", JSON, _repeated('{"type":"bundle","objects":[{"a":[', '{"a":{}}', "]}]}")),
    Family("bundle_texts", JSON, _repeated('{"type":"bundle","objects":[{"a":[', '{"playbook_bin":"e30="}', "]}]}")),
    Family("cacao_steps", JSON, _cacao),
    Family("cacao_variables", JSON, _cacao_variables),
    Family("cacao_commands", JSON, _cacao_commands),
    Family("cacao_texts", JSON, _cacao_texts),
    Family("cacao_conditions", JSON, _cacao_conditions),
)


def action_bodies(size: int) -> dict[str, bytes]:
    """The most expensive bodies of actions by kind, of about ``size`` bytes."""
    texts = json.loads(_texts("{{aN[0][1][2][3][4][5][6][7]}}")(size - 200))["steps"]
    prose = [step["parameters"]["m"] for step in texts]
    declared = [{"name": f"p{number}", "type": "string"} for number in range(size // 40)]
    webhook = {"url": "https://a.example/", "method": "POST"}
    configs: dict[str, Any] = {
        "templates": {**webhook, "body": prose},
        "values": {**webhook, "body": [{"a": [1, "b"]}] * (size // 17)},
        "headers": {**webhook, "headers": {f"X-{number}": "a" for number in range(size // 18)}},
        "members": {f"m{number}": 1 for number in range(size // 14)},
        "fields": {"kind": "slack", "url": "https://a.example/", "text": "".join(prose[:1]), "channel": prose},
    }
    head = {"name": "Heavy", "type": "webhook", "executor": "webhook"}
    bodies = {name: {**head, "config": config} for name, config in configs.items()}
    bodies["fields"] |= {"type": "notification", "executor": "notification"}
    bodies["parameters"] = {**head, "config": webhook, "parameters": declared}
    return {name: json.dumps(body, separators=(",", ":")).encode()[: 1024 * 1024] for name, body in bodies.items()}
