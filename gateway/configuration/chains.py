"""The file ``chains.yaml``: chains of provider calls, each compiled to a playbook.

A step calls a provider, runs another chain or several steps at once; after it the first branch that holds says which
step follows. The playbook has a step for each step of the chain, and a condition for each branch. Its one parameter is
``origin``, the dispatch that started the chain; ``provider:NAME`` in ``action_ref`` names a provider, ``chain:NAME`` in
``playbook_ref`` another chain.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import Problem
from config.types import Json
from expressions.values import as_text
from gateway.configuration.chain_templates import Rewriting, spelled
from gateway.facts import CHAIN_PREFIX, PROVIDER_PREFIX
from playbooks.definitions.normalise import normalise
from playbooks.definitions.step_types import DEFAULT_TIMEOUT_MINUTES

#: ids of the steps that a chain does not name
GENERATED = "_chain_"
_PASSED_ON = ("namespace", "tenant")
_ORIGIN = {"name": "origin", "type": "object", "required": True, "description": "The dispatch that started the chain"}
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass
class CompiledChain:
    """A chain as a playbook, with the place in the chain of each of its steps."""

    definition: Json
    #: pointer of a playbook step → pointer of the chain's step
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def origin(dispatch: Mapping[str, Any]) -> Json:
    """The parameters of a chain that a dispatch starts."""
    members = ("namespace", "tenant", "provider", "action_type", "payload", "id", "status", "fingerprint", "dedup_key")
    return {"origin": {**{name: dispatch.get(name) for name in members}, "metadata": dispatch.get("labels") or {}}}


def compiled(chain: Mapping[str, Any]) -> CompiledChain:
    """The playbook of a chain whose members are free of faults; problems are those of its templates."""
    return _Compiler(chain).compiled()


class _Compiler:
    def __init__(self, chain: Mapping[str, Any]) -> None:
        self.chain = chain
        self.steps: list[Json] = chain["steps"]
        self.place = {step["name"]: number for number, step in enumerate(self.steps)}
        self.result = CompiledChain({})
        self.before = self._predecessors()
        #: whether a step reads the answer of any of several steps before it
        self.keeps_answer = any(len(names) > 1 for names in self.before.values())

    def compiled(self) -> CompiledChain:
        made: list[Json] = []
        for number, step in enumerate(self.steps):
            for one in self._written(number, step):
                self.result.places[f"/steps/{len(made)}"] = f"/steps/{number}"
                made.append(one)
        seconds = self.chain.get("timeout_seconds")
        self.result.definition = normalise(
            {
                "id": f"chain-{self.chain['name']}",
                "name": self.chain["name"],
                "description": self.chain.get("description") or "",
                "parameters": [dict(_ORIGIN)],
                "steps": made,
                "timeout_minutes": math.ceil(seconds / 60) if seconds else DEFAULT_TIMEOUT_MINUTES,
                "tags": ["chain"],
            }
        )
        return self.result

    def _predecessors(self) -> dict[str, set[str]]:
        """For each step the steps that it may follow."""
        found: dict[str, set[str]] = {step["name"]: set() for step in self.steps}
        for number, step in enumerate(self.steps):
            targets = [branch["target"] for branch in step.get("branches") or ()]
            following = step.get("default_next") or self._next(number)
            for target in (*targets, following):
                if target in found:
                    found[target].add(step["name"])
        return found

    def _next(self, number: int) -> str | None:
        return self.steps[number + 1]["name"] if number + 1 < len(self.steps) else None

    def _entry(self, name: str | None) -> str:
        """The id of the playbook step by which a step of the chain begins."""
        if name is None:
            return "end"
        step = self.steps[self.place[name]]
        waits = step.get("delay_seconds") and "provider" not in step
        return f"{GENERATED}delay_{self.place[name]}" if waits else name

    def _written(self, number: int, step: Json) -> Iterator[Json]:
        """The playbook steps of one step of the chain."""
        name, delay = step["name"], step.get("delay_seconds")
        branches = step.get("branches") or []
        following = self._entry(step.get("default_next") or self._next(number))
        conditions = [f"{GENERATED}branch_{number}_{index}" for index in range(len(branches))]
        links: Json = {"on_success": (conditions or [following])[0]}
        if step.get("on_failure") == "skip":
            links["on_failure"] = "continue"
        if delay and "provider" not in step:
            yield {"id": self._entry(name), "type": "delay", "seconds": delay, "on_success": name}
        yield {**self._call(step, self._rewriting(number, step), f"/steps/{number}"), **links}
        for index, branch in enumerate(branches):
            yield {
                "id": conditions[index],
                "type": "condition",
                "expression": _expression(name, branch),
                "on_true": self._entry(branch["target"]),
                "on_false": ([*conditions, following])[index + 1],
            }

    def _rewriting(self, number: int, step: Json) -> Rewriting:
        before = sorted(self.before[step["name"]])
        if len(before) == 1:
            return Rewriting(("steps", before[0], "output"), number)
        if not before:
            return Rewriting("the first step has no step before it: read {{ origin.* }}", number)
        if any("parallel" in self.steps[self.place[name]] for name in before):
            names = ", ".join(before)
            return Rewriting(
                f"several steps lead here ({names}): name the one that is meant, {{{{ steps.NAME }}}}", number
            )
        return Rewriting(("vars", "prev"), number)

    def _call(self, step: Json, rewriting: Rewriting, pointer: str) -> Json:
        """The playbook step that does what a step of the chain does."""
        if step.get("parallel"):
            return self._parallel(step, rewriting, pointer)
        payload = self._payload(step, rewriting, pointer)
        made: Json = {"id": step["name"]}
        if step.get("sub_chain"):
            made |= {"type": "playbook", "playbook_ref": CHAIN_PREFIX + step["sub_chain"]}
            whole = payload == "{{ origin.payload }}"
            made["parameters"] = {"origin": "{{ origin }}" if whole else _origin_with(payload)}
        else:
            made |= {"type": "action", "action_ref": PROVIDER_PREFIX + step["provider"]}
            made["parameters"] = {
                "payload": payload,
                "action_type": step["action_type"],
                **{name: f"{{{{ origin.{name} }}}}" for name in _PASSED_ON},
                "labels": "{{ origin.metadata }}",
            }
            if step.get("delay_seconds"):
                made["delay_seconds"] = step["delay_seconds"]
            if step.get("retry"):
                made["retry"] = _retry(step["retry"])
        if self.keeps_answer:
            made["outputs"] = {"prev": "{{ output }}"}
        return made

    def _payload(self, step: Json, rewriting: Rewriting, pointer: str) -> Any:
        template = step.get("payload_template")
        if template is None:
            return "{{ origin.payload }}"
        found = rewriting.value(json.loads(template) if isinstance(template, str) else template)
        place = f"{pointer}/payload_template"
        within = "" if isinstance(template, str) else None
        self.result.problems += [
            problem.under(place) if within is None else Problem(place, problem.detail) for problem in rewriting.problems
        ]
        rewriting.problems.clear()
        return found

    def _parallel(self, step: Json, rewriting: Rewriting, pointer: str) -> Json:
        group = step["parallel"]
        best_effort = group.get("on_failure") == "best_effort"
        branches = []
        for number, inner in enumerate(group["steps"]):
            call = self._call(inner, rewriting, f"{pointer}/parallel/steps/{number}")
            call.pop("outputs", None)
            if inner.get("on_failure") == "skip":
                call["on_failure"] = "continue"
            branches.append({"steps": [call], **({"on_failure": "continue"} if best_effort else {})})
        made: Json = {"id": step["name"], "type": "parallel", "branches": branches}
        if group.get("timeout_seconds"):
            made["timeout_seconds"] = group["timeout_seconds"]
        return made


def _origin_with(payload: Any) -> Json:
    members = ("namespace", "tenant", "provider", "action_type", "metadata", "id", "status", "fingerprint", "dedup_key")
    return {"payload": payload, **{name: f"{{{{ origin.{name} }}}}" for name in members}}


def _retry(retry: Mapping[str, Any]) -> Json:
    return {
        "max_attempts": retry.get("max_retries", 0) + 1,
        "backoff_seconds": retry.get("backoff_ms", 1000) / 1000,
        "jitter": bool(retry.get("jitter_ms")),
    }


def _expression(name: str, branch: Mapping[str, Any]) -> str:
    """The condition of a branch; a missing or unfit value is false, never an error."""
    operator, value = branch["operator"], branch.get("value")
    if branch["field"] == "success":
        wanted = bool(value) is (operator == "eq")
        return f"steps[{json.dumps(name)}].status {'==' if wanted else '!='} 'completed'"
    path = ("steps", name, "output", *branch["field"].split(".")[1:])
    found = f"{{{{ {spelled(path)} | default(none) }}}}"
    text, literal = isinstance(value, str), as_text(value)
    if text:
        literal = json.dumps(value)
    if operator == "exists":
        return f"{found} != null"
    if operator == "contains":
        return f"{_of_kind(found, value)} && {found}.contains({literal})"
    kind = _of_kind(found, value)
    if operator == "eq":
        return f"{found} == null" if value is None else f"{kind} && {found} == {literal}"
    if operator in ("ne", "neq"):
        return f"{found} != null" if value is None else f"!({kind} && {found} == {literal})"
    return f"{kind} && {found} {_COMPARISONS[operator]} {literal}"


def _of_kind(found: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"type({found}) == type(true)"
    if isinstance(value, str):
        return f"type({found}) == type('')"
    return f"(type({found}) == type(1) || type({found}) == type(1.5))"
