"""The writer of a playbook's workflow in terms of CACAO.

Each step gets an identifier derived from what it names; each link to the end of a block, or to where the branches of a
condition join, leads to an end step of its own. An action step becomes a request to this API, an approval a manual
command. Whatever CACAO cannot express is returned separately (``ours``); the exporter seals it into extensions. Last,
steps that no CACAO link reaches (those after an expired approval) are left out.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cacao.model.identity import identifier
from cacao.reading.blocks import successors
from cacao.writing.regions import regions
from config.types import Json
from playbooks import plan as plans
from playbooks.definitions.step_types import LINKS
from playbooks.plan import END, Node, Plan

_READ = re.compile(r"\{\{\s*(?:parameters\.)?([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
#: members of Tocsin's steps about their place, or with a CACAO property
PLACE = frozenset(
    {"id", "name", "description", "when", "continue_on_error", "delay_seconds", "timeout_seconds", *LINKS}
)
HELD = frozenset({"cases", "branches", "steps"})
KINDS = {
    "action": "action",
    "approval": "action",
    "delay": "action",
    "condition": "if-condition",
    "switch": "switch-condition",
    "parallel": "parallel",
    "loop": "while-condition",
    "for_each": "while-condition",
    "playbook": "playbook-action",
}
#: name of a parameter → name of its variable
Variables = Mapping[str, str]


@dataclass(frozen=True)
class WrittenWorkflow:
    """A workflow, with what CACAO cannot express of its steps.

    ``ids``: id of a Tocsin step → identifier; ``ours``: identifier → the step's id and members.
    """

    start: str
    exception: str | None
    steps: Json
    ids: Mapping[str, str]
    ours: Mapping[str, tuple[str, Json]]
    agents: Json

    def agents_of(self, steps: Mapping[str, Mapping[str, Any]]) -> Json:
        """The definitions of the agents that these steps name."""
        named = {step["agent"] for step in steps.values() if isinstance(step.get("agent"), str)}
        return {name: agent for name, agent in self.agents.items() if name in named}


def write(
    definition: Mapping[str, Any],
    *,
    playbook_id: str,
    workspace: str,
    ids: Mapping[str, str] | None = None,
    variables: Variables | None = None,
) -> WrittenWorkflow:
    """The workflow of a normalised definition that is free of faults.

    ``playbook_id`` is its CACAO identifier. ``ids`` are the identifiers that some steps keep, ``variables`` the names
    of the variables for parameters whose names differ.
    """
    called = {one["name"]: f"__{one['name']}__" for one in definition["parameters"]} | dict(variables or {})
    return _WorkflowWriter(definition, playbook_id, workspace, ids or {}, called).written()


def playbook_identifier(workspace: str, playbook_id: str) -> str:
    """The CACAO identifier of a playbook: its id where that is one."""
    return playbook_id if playbook_id.startswith("playbook--") else identifier("playbook", workspace, playbook_id)


class _WorkflowWriter:
    def __init__(
        self, definition: Mapping[str, Any], id_: str, workspace: str, ids: Mapping[str, str], variables: Variables
    ) -> None:
        self.id, self.workspace, self.variables = id_, workspace, variables
        self.plan: Plan = plans.compile(definition)
        self.workflow: Json = {}
        self.agents: Json = {}
        self.ours: dict[str, tuple[str, Json]] = {}
        self._taken = frozenset(ids.values())
        nodes = self.plan.nodes.values()
        self.own = {node.id: ids.get(node.id) or self._new(KINDS[node.type], node.id) for node in nodes}
        exceptional = [self.plan.exception_step] if self.plan.exception_step else []
        self.regions = {
            block_id: regions(block, self.plan.nodes, [block.first, *(exceptional if not block_id else [])])
            for block_id, block in self.plan.blocks.items()
        }

    def written(self) -> WrittenWorkflow:
        """The whole workflow."""
        start = self._new("start")
        first = self._entry(self.plan.blocks[""].first, start)
        self.workflow[start] = {"type": "start", "on_completion": first}
        for node in self.plan.nodes.values():
            self._write(node)
        exception = self._entry(self.plan.exception_step, start) if self.plan.exception_step else None
        return WrittenWorkflow(start, exception, self.workflow, self.own, self.ours, self.agents)

    def _new(self, kind: str, *names: str) -> str:
        """An identifier that is not among those in use."""
        made = identifier(kind, self.id, *names)
        return made if made not in self._taken else self._new(kind, *names, "new")

    def _entry(self, link: str, source: str) -> str:
        """The identifier of a link's target.

        Each link to the end of a block gets an end step of its own.
        """
        if link == END:
            end = self._new("end", source)
            self.workflow[end] = {"type": "end"}
            return end
        node = self.plan.nodes[link]
        return self._wrapper(node) if "when" in node.step else self.own[node.id]

    def _wrapper(self, node: Node) -> str:
        return self._new("if-condition", node.id, "when")

    def _led(self, node: Node, link: str, source: str) -> str:
        """The same for a link that may lead to its branch's end."""
        return self._entry(END if self.regions[node.block].ends(node.id, link) else link, source)

    def _write(self, node: Node) -> None:
        own = self.own[node.id]
        step: Json = {"type": KINDS[node.type], "name": node.name}
        if node.step.get("description"):
            step["description"] = node.step["description"]
        for seconds, property_ in (("delay_seconds", "delay"), ("timeout_seconds", "timeout")):
            if node.step.get(seconds):
                step[property_] = max(1, round(node.step[seconds] * 1000))
        step |= getattr(self, f"_{node.type}")(node, own)
        self.workflow[own] = step
        self.ours[own] = node.id, {key: one for key, one in node.step.items() if key not in PLACE | HELD}
        if "when" in node.step:
            self._write_when(node, own)

    def _write_when(self, node: Node, own: str) -> None:
        """Write the condition in front of a step that has ``when``."""
        wrapper = self._wrapper(node)
        links = {"on_true": own, "on_completion": self._led(node, node.on_success, f"{wrapper} behind")}
        if not _is_alone(node):  # both branches have successors, and the standard requires one here too
            links |= {"on_false": links["on_completion"], "on_completion": self._entry(END, f"{wrapper} completion")}
        self.workflow[wrapper] = {"type": "if-condition", "condition": self._text(node.step["when"]), **links}
        self.ours[wrapper] = f"{node.id[:59]}-when", {"type": "condition", "expression": node.step["when"]}

    def _links(self, node: Node, own: str) -> Json:
        success = END if _is_alone(node) else node.on_success
        links = {"on_success": self._led(node, success, f"{own} success")}
        if node.on_failure is not None:
            links["on_failure"] = self._led(node, END if _is_alone(node) else node.on_failure, f"{own} failure")
        return links

    def _failure(self, node: Node, own: str) -> Json:
        """The links of a condition, after its branches."""
        behind = self._led(node, self.regions[node.block].joins[node.id], f"{own} completion")
        if node.on_failure is None:
            return {"on_completion": behind}
        return {"on_success": behind, "on_failure": self._led(node, node.on_failure, f"{own} failure")}

    def _branch(self, node: Node, link: str, source: str) -> str:
        """The identifier of a branch's first step, or of an end."""
        return self._entry(END if link == self.regions[node.block].joins[node.id] else link, source)

    def _action(self, node: Node, own: str) -> Json:
        reference = node.step["action_ref"]
        body: Json = {"parameters": node.step.get("parameters", {})}
        body |= {"target": node.step["target"]} if node.step.get("target") else {}
        command = {
            "type": "http-api",
            "command": f"POST /api/actions/{reference}/trigger HTTP/1.1",
            "headers": {"Content-Type": ["application/json"]},
            "content": self._text(json.dumps(body, ensure_ascii=False)),
        }
        return {"commands": [command], "agent": self._agent("organization", "Tocsin"), **self._links(node, own)}

    def _approval(self, node: Node, own: str) -> Json:
        people = sorted({*node.step.get("approvers", ()), *node.step.get("audience", ())})
        agent = self._agent("group", ", ".join(people)) if people else self._agent("organization", "Tocsin")
        command = {"type": "manual", "command": self._text(node.step.get("message") or node.name)}
        return {"commands": [command], "agent": agent, **self._links(node, own)}

    def _delay(self, node: Node, own: str) -> Json:
        command = {"type": "bash", "command": f"sleep {node.step['seconds']}"}
        return {"commands": [command], "agent": self._agent("organization", "Tocsin"), **self._links(node, own)}

    def _condition(self, node: Node, own: str) -> Json:
        links = {
            "on_true": self._branch(node, node.on_true, f"{own} true"),
            "on_false": self._branch(node, node.on_false, f"{own} false"),
        }
        return {"condition": self._text(node.step["expression"]), **links, **self._failure(node, own)}

    def _switch(self, node: Node, own: str) -> Json:
        cases = {case: self._branch(node, to, f"{own} case {case}") for case, to in node.cases.items()}
        cases["default"] = self._branch(node, node.default, f"{own} default")
        return {"switch": self._text(node.step["expression"]), "cases": cases, **self._failure(node, own)}

    def _parallel(self, node: Node, own: str) -> Json:
        starts = [self._entry(block.first, f"{own} branch {block.id}") for block in self.plan.branches(node.id)]
        if len(starts) == 1:  # the standard requires two
            starts.append(self._entry(END, f"{own} nothing"))
        return {"next_steps": starts, **self._links(node, own)}

    def _loop(self, node: Node, own: str) -> Json:
        body = self._entry(self.plan.blocks[node.id].first, f"{own} body")
        return {"condition": self._text(node.step["while"]), "on_true": body, **self._links(node, own)}

    def _for_each(self, node: Node, own: str) -> Json:
        items = node.step["items"]
        what = items if isinstance(items, str) else json.dumps(items, ensure_ascii=False)
        body = self._entry(self.plan.blocks[node.id].first, f"{own} body")
        return {"condition": self._text(f"There is one more of {what}"), "on_true": body, **self._links(node, own)}

    def _playbook(self, node: Node, own: str) -> Json:
        reference = playbook_identifier(self.workspace, node.step["playbook_ref"])
        return {"playbook_id": reference, **self._links(node, own)}

    def _agent(self, kind: str, name: str) -> str:
        own = identifier(kind, self.id, name)
        self.agents[own] = {"type": kind, "name": name}
        return own

    def _text(self, text: str) -> str:
        """A text with its uses of parameters in CACAO's form.

        All other text stays unchanged.
        """

        def one(found: re.Match[str]) -> str:
            return f"{self.variables[found[1]]}:value" if found[1] in self.variables else found[0]

        return _READ.sub(one, text)


def reached(workflow: Mapping[str, Any], starts: Iterable[str | None]) -> Json:
    """The steps of a workflow that can be reached from some."""
    found: set[str] = set()
    ahead = [start for start in starts if start is not None]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += successors(workflow[one])
    return {own: step for own, step in workflow.items() if own in found}


def _is_alone(node: Node) -> bool:
    """Whether a step is all that its ``when`` guards.

    With or without it, the run continues in the same place.
    """
    plain = node.type not in ("condition", "switch")
    return "when" in node.step and plain and node.on_failure in (None, node.on_success)
