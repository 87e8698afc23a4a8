"""The questions to people that reading a document has put into a playbook, taken back before it is written again.

A condition that we cannot evaluate is asked of a person here: an ``if-condition`` as an approval, a ``while-condition``
in front of each pass, and a comparison that has no answer once it has failed. The document knows none of this. So where
none of it was changed, the playbook is written as if it had the condition itself; whoever reads it asks again.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from playbooks import plan as plans
from playbooks.cacao.writing import HELD, PLACE
from playbooks.plan import END, Node, Plan, every_step

Json = dict[str, Any]
#: members of our steps that change nothing of what a step of a document says
_UNSAID = frozenset({"retry", "max_iterations", "interval_seconds", "max_concurrency"})


def unasked(now: Mapping[str, Any], before: Mapping[str, Any], kinds: Mapping[str, str]) -> Json:
    """A definition without the questions; ``kinds`` are, by ids of ours, the types of the steps of the document."""
    return _Taking(now, before, kinds).definition()


def doing(step: Mapping[str, Any]) -> Json:
    """What a step of ours does, wherever it stands."""
    return {name: value for name, value in step.items() if name not in PLACE | HELD | _UNSAID}


class _Taking:
    def __init__(self, now: Mapping[str, Any], before: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
        self.now, self.kinds = now, kinds
        self.plan: Plan = plans.compile(now)
        was = {step["id"]: doing(step) for step in every_step(before["steps"])}
        nodes = self.plan.nodes.values()
        self.same = {node.id for node in nodes if node.id in was and doing(node.step) == was[node.id]}
        self.ways = Counter(link for node in nodes for link in node.links())
        found = {self._question(node) for node in nodes if node.id in self.same}
        self.questions = {one for one in found if one in self.same and one not in kinds and self._is(one, "approval")}

    def _is(self, step_id: str, kind: str) -> bool:
        return self.plan.nodes[step_id].type == kind

    def _question(self, node: Node) -> str | None:
        """The step that may be a question for a step: it leads where this one does, and nothing else leads to it."""
        kind = self.kinds.get(node.id)
        if kind == "if-condition" and node.type == "condition" and node.on_failure not in (None, END):
            asked, links = str(node.on_failure), (node.on_true, node.on_false)
            ways = 1
        elif kind == "while-condition" and node.type == "loop" and len(self.plan.blocks[node.id].steps) > 1:
            asked, following = self.plan.blocks[node.id].steps[:2]
            links, ways = (following, END), 0
        else:
            return None
        step = self.plan.nodes[asked]
        return asked if (step.on_success, step.on_failure) == links and self.ways[asked] == ways else None

    def definition(self) -> Json:
        """The definition, in which every link is written down."""
        return {**self.now, "steps": self._block(self.now["steps"])}

    def _block(self, steps: list[Json]) -> list[Json]:
        return [self._step(step) for step in steps if step["id"] not in self.questions]

    def _step(self, step: Mapping[str, Any]) -> Json:
        node = self.plan.nodes[step["id"]]
        failure = "abort" if node.on_failure is None or node.on_failure in self.questions else node.on_failure
        made = {**step, "on_success": node.on_success, "on_failure": failure}
        if node.type == "condition":
            made |= {"on_true": node.on_true, "on_false": node.on_false}
        elif node.type == "switch":
            made |= {"cases": dict(node.cases), "default": node.default}
        elif node.type == "approval":
            made |= self._asked(node, failure)
        elif "branches" in step:
            made["branches"] = [{**branch, "steps": self._block(branch["steps"])} for branch in step["branches"]]
        elif "steps" in step:
            made["steps"] = self._block(step["steps"])
        return made

    def _asked(self, node: Node, no: str) -> Json:
        """A question as the condition that it is in the document, if it is one."""
        late = "abort" if node.on_timeout is None else node.on_timeout
        if node.id not in self.same or self.kinds.get(node.id) != "if-condition" or no == "abort":
            return {"on_timeout": late}
        failure = late if "on_timeout" in node.step else "abort"
        links = {"on_true": node.on_success, "on_false": no, "on_failure": failure}
        return {"type": "condition", "expression": "true", **links}
