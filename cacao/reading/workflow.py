"""The steps of a CACAO workflow, each type in its own way.

``blocks`` groups steps and resolves links, ``action_steps`` writes those that carry out commands; this module has those
that decide, repeat and branch. A type that Tocsin does not have, blocks nested too deep, and commands that no action
can carry out become questions to a person.
"""

from collections.abc import Mapping
from typing import Any

from cacao.model.identity import own_of
from cacao.reading import branches, cel
from cacao.reading.action_steps import ActionSteps, limit_of, line_of
from cacao.reading.blocks import END, LONGEST_ID, BlockDraft, PendingStep, TooLarge, listed, next_of, seconds_of
from config.types import Json
from playbooks.definitions.step_types import MAX_BRANCHES, MAX_CASES, MAX_DEPTH, MAX_ITERATIONS

_JOINED = "The step that every branch leads to is carried out once, behind them all."
_SHARED = (
    "Some of the branches lead to the same steps, which are then carried out once for each of these branches: look "
    "whether that is meant, then enable the playbook."
)


class WorkflowReader(ActionSteps):
    """Reads the workflow of one document."""

    def write(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        """Write a step into its block."""
        write = {
            "action": self._action,
            "playbook-action": self._playbook,
            "if-condition": self._if,
            "while-condition": self._while,
            "switch-condition": self._switch,
            "parallel": self._parallel,
            "start": self._pause,
            "end": self._pause,
        }.get(str(step.get("type")), self._unknown)
        write(block, entry, step)

    def _pause(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        """Write a start or end that has a delay."""
        links = {"on_success": entry.sequel} if step.get("type") == "end" else self._links(block, entry, step)
        self._put(block, entry, step, {"type": "delay", "seconds": seconds_of(step["delay"]), **links}, pauses=False)

    def _unknown(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        kind = str(step.get("type"))[:64]
        text = f"There is no step of type '{kind}' here."
        self._remark("unknown_step_type", entry, text, "type")
        meant = line_of(step.get("name")) or entry.cacao_id
        message = self.names.within(step).message(f"{text} Do by hand what '{meant}' means.")
        self._put(block, entry, step, {"type": "approval", "message": message, **self._links(block, entry, step)})

    def _if(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        after, failing = links.pop("on_success"), links.get("on_failure", "")
        yes = self.enter(block, step.get("on_true"), after, failing) if "on_true" in step else after
        no = self.enter(block, step.get("on_false"), after, failing) if "on_false" in step else after
        condition = self._condition(entry, step, "expression")
        question = str(step.get("condition") or step.get("name") or "")
        if condition is not None:
            if "on_failure" not in step and cel.may_fail(condition):
                ask = self.new(
                    f"{entry.native_id[:LONGEST_ID]}-ask",
                    {**self._asking(step, question), "on_success": yes, "on_failure": no},
                )
                block.asked.append(ask)
                links["on_failure"] = ask["id"]
            branches = {"expression": condition, "on_true": yes, "on_false": no}
            self._put(block, entry, step, {"type": "condition", **branches, **links})
            return
        self._remark("asked", entry, f"A person is asked, because this is no condition: {question[:200]}", "condition")
        ask = {**self._asking(step, question), "on_success": yes, "on_failure": no, **_late(links)}
        self._put(block, entry, step, ask)

    def _condition(self, entry: PendingStep, step: Mapping[str, Any], member: str) -> str | None:
        """The condition in CEL, None where a person decides instead."""
        ours = self._own(entry, step)
        if ours is not None:
            return str(ours.members.get(member) or ours.members.get("items"))
        return cel.condition(step.get("condition"), self.names.within(step))

    def _asking(self, step: Mapping[str, Any], question: str) -> Json:
        return {
            "type": "approval",
            "message": self.names.within(step).message(f"Yes (approve) or no (reject)? {question}"),
        }

    def _while(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        if block.depth >= MAX_DEPTH:
            self._too_deep(block, entry, step, links)
            return
        body = self.block(block, step.get("on_true"), {*block.stops, entry.cacao_id})
        condition, ours = self._condition(entry, step, "while"), own_of(step)
        if ours is None and not cel.may_change(step.get("condition"), self.names.within(step)):
            condition = None  # the loop would never end
        if condition is None:
            question = str(step.get("condition") or step.get("name") or "")
            self._remark("asked", entry, f"A person is asked before each iteration: {question[:200]}", "condition")
            ask = self.new(f"{entry.native_id[:LONGEST_ID]}-ask", self._asking(step, question))
            ask |= {"on_success": body[0]["id"], "on_failure": END}
            body, condition = [ask, *body], f"index == 0 || steps.{ask['id']}.status == 'completed'"
        loop: Json = {"type": "loop", "while": condition, "max_iterations": MAX_ITERATIONS}
        members = {**(ours.members if ours else loop), **limit_of(step), "steps": body}
        self._put(block, entry, step, {**members, **links})

    def _switch(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        after, failing = links.pop("on_success"), links.get("on_failure", "")
        given = step.get("cases")
        listed_cases = list(given.items()) if isinstance(given, dict) else []
        cases = {str(case): self.enter(block, to, after, failing) for case, to in listed_cases}
        default = cases.pop("default", after)
        ours = self._own(entry, step)
        expression = ours.members.get("expression") if ours else cel.switch(step.get("switch"), self.names.within(step))
        if expression is not None and cases:
            self._switches(block, entry, step, {"type": "switch", "expression": expression, **links}, cases, default)
            return
        self._remark("asked", entry, "A person is asked which case it is: there is nothing to switch on.", "switch")
        self._ask_each(block, entry, step, cases, default, _late(links))

    def _switches(
        self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any], members: Json, cases: Json, default: str
    ) -> None:
        """Write as many switches as the cases need, chained by default."""
        every = list(cases.items())
        parts = [dict(every[start : start + MAX_CASES]) for start in range(0, len(every), MAX_CASES)]
        ids = self._numbered(entry, len(parts))
        for number, part in enumerate(parts):
            rest = ids[number + 1] if number + 1 < len(ids) else default
            one = {**members, "cases": part, "default": rest}
            self._put(block, PendingStep(entry.cacao_id, ids[number], ""), step, one, pauses=number == 0)

    def _ask_each(
        self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any], cases: Json, default: str, late: Json
    ) -> None:
        """Write one question per case; the default follows the last denial."""
        asked = list(cases.items()) or [("default", default)]
        ids = self._numbered(entry, len(asked))
        for number, (case, to) in enumerate(asked):
            question = f"{line_of(step.get('name')) or entry.cacao_id}: is it the case '{case}'?"
            no = ids[number + 1] if number + 1 < len(ids) else default
            members = {**self._asking(step, question), "on_success": to, "on_failure": no, **late}
            self._put(block, PendingStep(entry.cacao_id, ids[number], ""), step, members, pauses=number == 0)

    def _parallel(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        starts = [one for one in listed(step.get("next_steps")) if isinstance(one, str)]
        if len(starts) > MAX_BRANCHES:
            raise TooLarge
        shared = branches.shared(self, starts)
        meeting = branches.meeting(self, starts, shared)
        links = self._links(block, entry, step)
        if meeting is not None:
            self._remark("shared_by_branches", entry, _JOINED, "next_steps")
        if meeting is not None and next_of(step) != meeting:
            led_on = next_of(step) in branches.reached(self, meeting)
            after = entry.sequel if led_on else links["on_success"]
            links["on_success"] = self.enter(block, meeting, after, entry.failing)
        elif meeting is None and shared:
            self.stuck = True
            self._remark("shared_by_some", entry, _SHARED, "next_steps")
        if block.depth >= MAX_DEPTH:
            self._too_deep(block, entry, step, links)
            return
        stops = {*block.stops, *([] if meeting is None else [meeting])}
        made = [{"steps": self.block(block, start, stops)} for start in starts if start != meeting]
        made = made or [{"steps": [self.new("nothing", {"type": "delay", "seconds": 0, "on_success": END})]}]
        self._put(block, entry, step, {"type": "parallel", "branches": made, **limit_of(step), **links})

    def _too_deep(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any], links: Json) -> None:
        self.stuck = True
        text = f"Blocks may be nested at most {MAX_DEPTH} deep."
        self._remark("nested_too_deep", entry, text)
        self._put(block, entry, step, {"type": "approval", "message": f"{text} Do it by hand, then approve.", **links})


def _late(links: Mapping[str, str]) -> Json:
    """The link for an unanswered question: that for the step's failure."""
    return {"on_timeout": links["on_failure"]} if "on_failure" in links else {}
