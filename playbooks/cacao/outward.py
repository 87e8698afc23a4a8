"""From a playbook of ours to a CACAO document.

``export`` writes the playbook's graph in the words of the standard, so that other tools can show it and carry it out,
and puts the definition as we keep it into an extension: what CACAO has no property for (retries, triggers, templates
over events) is there, and comes back when the document is imported. A step that is an action of ours is a request to
this API; an approval is a manual command.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from playbooks import plan as plans
from playbooks.cacao.blocks import successors
from playbooks.cacao.graph import member
from playbooks.cacao.identity import DEFINITION, EXTENSION, identifier, with_own
from playbooks.cacao.inward import seal_of
from playbooks.cacao.regions import regions
from playbooks.plan import END, Node, Plan
from playbooks.step_types import LINKS

Json = dict[str, Any]
#: the type of a parameter → that of a CACAO variable; every other is a string
_TYPES = {"boolean": "bool", "integer": "integer", "number": "float", "object": "dictionary"}
_READ = re.compile(r"\{\{\s*(?:parameters\.)?([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
#: members of our steps that say where a step is, or that CACAO has properties for
_PLACE = frozenset(
    {"id", "name", "description", "when", "continue_on_error", "delay_seconds", "timeout_seconds", *LINKS}
)
_HELD = frozenset({"cases", "branches", "steps"})
_KINDS = {
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


def export(
    definition: Mapping[str, Any], *, playbook_id: str, workspace: str, identity: str, created: str, modified: str
) -> Json:
    """The document of a playbook; ``definition`` is normalised and free of faults, times are RFC 3339 with ms."""
    return _Writer(definition, playbook_id, workspace, identity).document(created, modified)


def playbook_identifier(workspace: str, playbook_id: str) -> str:
    """The CACAO identifier of a playbook: its own id where that is one."""
    return playbook_id if playbook_id.startswith("playbook--") else identifier("playbook", workspace, playbook_id)


def with_definition(document: Mapping[str, Any], definition: Mapping[str, Any]) -> Json:
    """The document with the definition in our extension; what stands there and is no object makes room for it."""
    extensions = {key: one for key, one in member(document, "playbook_extensions").items() if key != EXTENSION}
    defined = {**member(document, "extension_definitions"), EXTENSION: DEFINITION}
    whole = {**document, "extension_definitions": defined}
    ours = {"definition": dict(definition), "digest": seal_of(whole)}
    return {**whole, "playbook_extensions": {**extensions, EXTENSION: ours}}


class _Writer:
    def __init__(self, definition: Mapping[str, Any], playbook_id: str, workspace: str, identity: str) -> None:
        self.definition, self.workspace, self.identity = definition, workspace, identity
        self.id = playbook_identifier(workspace, playbook_id)
        self.native_id = playbook_id
        self.plan: Plan = plans.compile(definition)
        self.declared = {one["name"] for one in definition["parameters"]}
        self.workflow: Json = {}
        self.agents: Json = {}
        exceptional = [self.plan.exception_step] if self.plan.exception_step else []
        self.regions = {
            block_id: regions(block, self.plan.nodes, [block.first, *(exceptional if not block_id else [])])
            for block_id, block in self.plan.blocks.items()
        }

    def document(self, created: str, modified: str) -> Json:
        start = identifier("start", self.id)
        first = self._entry(self.plan.blocks[""].first, start)
        self.workflow[start] = {"type": "start", "on_completion": first}
        for node in self.plan.nodes.values():
            self._write(node)
        exception = self._entry(self.plan.exception_step, start) if self.plan.exception_step else start
        reached = _reached(self.workflow, [start, exception])  # CACAO has no link for an approval that has expired
        document: Json = {
            "type": "playbook",
            "spec_version": "cacao-2.0",
            "id": self.id,
            "name": self.definition["name"],
            "created_by": self.identity,
            "created": created,
            "modified": modified,
            "workflow_start": start,
            "workflow": {own: step for own, step in self.workflow.items() if own in reached},
        }
        if self.definition["description"]:
            document["description"] = self.definition["description"]
        if self.definition["tags"]:
            document["labels"] = list(self.definition["tags"])
        if self.definition["parameters"]:
            document["playbook_variables"] = dict(map(_variable, self.definition["parameters"]))
        if self.plan.exception_step:
            document["workflow_exception"] = exception
        if self.agents:
            document["agent_definitions"] = self.agents
        return with_definition(document, {"id": self.native_id, **self.definition})

    def _own(self, node: Node) -> str:
        return identifier(_KINDS[node.type], self.id, node.id)

    def _entry(self, link: str, source: str) -> str:
        """The identifier of what a link leads to; each link to the end of a block has an end step of its own."""
        if link == END:
            end = identifier("end", self.id, source)
            self.workflow[end] = {"type": "end"}
            return end
        node = self.plan.nodes[link]
        return identifier("if-condition", self.id, node.id, "when") if "when" in node.step else self._own(node)

    def _led(self, node: Node, link: str, source: str) -> str:
        """The same for a link of a step, which may lead to the end of the branch that the step is in."""
        return self._entry(END if self.regions[node.block].ends(node.id, link) else link, source)

    def _write(self, node: Node) -> None:
        own = self._own(node)
        step: Json = {"type": _KINDS[node.type], "name": node.name}
        if node.step.get("description"):
            step["description"] = node.step["description"]
        for member, property_ in (("delay_seconds", "delay"), ("timeout_seconds", "timeout")):
            if node.step.get(member):
                step[property_] = max(1, round(node.step[member] * 1000))
        step |= getattr(self, f"_{node.type}")(node, own)
        members = {key: one for key, one in node.step.items() if key not in _PLACE | _HELD}
        self.workflow[own] = with_own(step, node.id, members)
        if "when" in node.step:
            self._write_when(node, own)

    def _write_when(self, node: Node, own: str) -> None:
        """The condition in front of a step that is carried out only where it holds."""
        wrapper = identifier("if-condition", self.id, node.id, "when")
        links = {"on_true": own, "on_completion": self._led(node, node.on_success, f"{wrapper} behind")}
        if not _is_alone(node):  # both branches go on by themselves, and the standard wants a successor all the same
            links |= {"on_false": links["on_completion"], "on_completion": self._entry(END, f"{wrapper} completion")}
        asked = {"type": "if-condition", "condition": self._text(node.step["when"]), **links}
        members = {"type": "condition", "expression": node.step["when"]}
        self.workflow[wrapper] = with_own(asked, f"{node.id[:59]}-when", members)

    def _links(self, node: Node, own: str) -> Json:
        success = END if _is_alone(node) else node.on_success
        links = {"on_success": self._led(node, success, f"{own} success")}
        if node.on_failure is not None:
            links["on_failure"] = self._led(node, END if _is_alone(node) else node.on_failure, f"{own} failure")
        return links

    def _failure(self, node: Node, own: str) -> Json:
        """Where a step leads to behind its branches."""
        behind = self._led(node, self.regions[node.block].joins[node.id], f"{own} completion")
        if node.on_failure is None:
            return {"on_completion": behind}
        return {"on_success": behind, "on_failure": self._led(node, node.on_failure, f"{own} failure")}

    def _branch(self, node: Node, link: str, source: str) -> str:
        """The identifier of the first step of a branch, or an end where it holds none."""
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
        approvers = node.step.get("approvers") or []
        agent = self._agent("group", ", ".join(approvers)) if approvers else self._agent("organization", "Tocsin")
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
        if len(starts) == 1:  # the standard wants two
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
        """A text with what it reads of the parameters in the words of the standard; all else stays as it stands."""

        def one(found: re.Match[str]) -> str:
            return f"__{found[1]}__:value" if found[1] in self.declared else found[0]

        return _READ.sub(one, text)


def _reached(workflow: Mapping[str, Any], starts: list[str]) -> set[str]:
    """The steps that others lead to."""
    found: set[str] = set()
    ahead = list(starts)
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += successors(workflow[one])
    return found


def _is_alone(node: Node) -> bool:
    """Whether a step is all that the condition in front of it holds: after it things go on as without it."""
    plain = node.type not in ("condition", "switch")
    return "when" in node.step and plain and node.on_failure in (None, node.on_success)


def _variable(parameter: Mapping[str, Any]) -> tuple[str, Json]:
    """The variable that a parameter is; a secret never shows its default."""
    variable: Json = {"type": _TYPES.get(parameter["type"], "string"), "external": True}
    if parameter.get("description"):
        variable["description"] = parameter["description"]
    default = parameter.get("default")
    if default is not None and parameter["type"] != "secret":
        variable["value"] = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return f"__{parameter['name']}__", variable
