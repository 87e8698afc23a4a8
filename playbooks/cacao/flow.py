"""The workflow of a CACAO document as steps of ours, each type of step in its own way.

``blocks`` says which steps belong together and where they lead; here each is written. What we do not have, what is
nested deeper than we nest, and what no action can do becomes a question to a person.
"""

import math
from collections.abc import Mapping
from typing import Any

from playbooks.cacao import branches, decisions
from playbooks.cacao.blocks import (
    END,
    LONGEST_ID,
    Block,
    Blocks,
    Entry,
    Json,
    Remark,
    TooLarge,
    listed,
    next_of,
    seconds_of,
)
from playbooks.cacao.commands import Context, Doing, by_hand, doing
from playbooks.cacao.identity import Own, own_of
from playbooks.cacao.names import Names
from playbooks.faults import below
from playbooks.step_types import MAX_BRANCHES, MAX_CASES, MAX_DEPTH, MAX_ITERATIONS, MAX_STEPS

_MAX_NAME, _MAX_DESCRIPTION = 128, 1024
#: characters of commands, counted once for each target that they are for
_MAX_WORK = 4_000_000
#: variables that one step may set
_MAX_OUTPUTS = 100
_JOINED = "The step that every branch leads to is carried out once, behind them all."
_SHARED = (
    "Some of the branches lead to the same steps, which are then carried out once for each of these branches: look "
    "whether that is meant, then enable the playbook."
)
_FOREIGN = "What the step does stands in an extension that was not written here: look at it, then enable the playbook."


class Flow(Blocks):
    """Reads the workflow of one document."""

    def __init__(
        self,
        document: Mapping[str, Any],
        names: Names,
        registered: Mapping[str, frozenset[str]],
        refused: Mapping[str, str],
    ) -> None:
        workflow = document.get("workflow")
        super().__init__(workflow if isinstance(workflow, dict) else {}, names)
        self.document, self.registered, self.refused = document, registered, refused
        self.actions: dict[str, Json] = {}
        self._work = 0
        #: the variables, by our names, that steps set
        self.returned: set[str] = set()

    def write(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
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

    def _own(self, entry: Entry, step: Mapping[str, Any]) -> Own | None:
        """What a step is here, where our extension says so; what somebody else has written there is to be looked at."""
        ours = own_of(step)
        if ours is not None and ours.foreign:
            self.stuck = True
            self._remark("from_extension", entry, _FOREIGN, "step_extensions")
        return ours

    def _pointer(self, entry: Entry, member: str = "") -> str:
        pointer = below("/workflow", entry.cacao_id)
        return f"{pointer}/{member}" if member else pointer

    def _remark(self, code: str, entry: Entry, message: str, member: str = "") -> None:
        self.remarks.append(Remark(code, self._pointer(entry, member), message, entry.cacao_id))

    def _put(self, block: Block, entry: Entry, step: Mapping[str, Any], members: Json, *, pauses: bool = True) -> None:
        """Write a step under its id, after the pause that it may ask for."""
        own, seconds = entry.native_id, seconds_of(step.get("delay"))
        if seconds and pauses and members["type"] == "action":
            members["delay_seconds"] = seconds
        elif seconds and pauses:
            own = self.new_id(f"{entry.native_id[:LONGEST_ID]}-do")
            block.steps.append({"id": entry.native_id, "type": "delay", "seconds": seconds, "on_success": own})
        said = {"name": _line(step.get("name")), "description": _described(step.get("description"))}
        block.steps.append({"id": own, **{key: text for key, text in said.items() if text}, **members})

    def _links(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> Json:
        """Where a step leads to after success, and after failure if it says so."""
        following = next_of(step)
        onward = entry.sequel if following is None else self.enter(block, following, entry.sequel, entry.failing)
        links = {"on_success": onward}
        if isinstance(step.get("on_failure"), str):
            links["on_failure"] = self.enter(block, step["on_failure"], entry.sequel, entry.failing)
        elif entry.failing:
            links["on_failure"] = entry.failing
        return links

    def _pause(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        """A start or an end that waits."""
        links = {"on_success": entry.sequel} if step.get("type") == "end" else self._links(block, entry, step)
        self._put(block, entry, step, {"type": "delay", "seconds": seconds_of(step["delay"]), **links}, pauses=False)

    def _unknown(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        kind = str(step.get("type"))[:64]
        text = f"There is no step of type '{kind}' here."
        self._remark("unknown_step_type", entry, text, "type")
        message = self.names.message(f"{text} Do by hand what '{_line(step.get('name')) or entry.cacao_id}' means.")
        self._put(block, entry, step, {"type": "approval", "message": message, **self._links(block, entry, step)})

    def _action(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        """A step for each command on each target, one behind the other; the first that fails is the step's failure."""
        ours = self._own(entry, step)
        links, found = (
            self._links(block, entry, step),
            [Doing(step=ours.members)] if ours else self._doings(entry, step),
        )
        ids = self._numbered(entry, len(found))
        if len(found) > 1 and _limit(step):
            self._remark("timeout_of_each", entry, "Each of its commands may take as long as the step may.", "timeout")
        for number, one in enumerate(found):
            members = {**one.step, **links, **_limit(step)}
            if number + 1 < len(found):
                members["on_success"] = ids[number + 1]
            elif ours is None and one.step["type"] == "action" and (outputs := self._outputs(step)):
                members["outputs"] = outputs
                self.returned.update(outputs)
            if one.action is not None:
                self.actions[one.action["id"]] = one.action
            self._put(block, Entry(entry.cacao_id, ids[number], ""), step, members, pauses=number == 0)

    def _doings(self, entry: Entry, step: Mapping[str, Any]) -> list[Doing]:
        commands = [one for one in listed(step.get("commands")) if isinstance(one, dict)] or [{"type": "manual"}]
        self._work += sum(len(str(one)) for one in commands) * max(1, len(listed(step.get("targets"))))
        if self._work > _MAX_WORK or len(commands) * len(listed(step.get("targets"))) > MAX_STEPS:
            raise TooLarge
        targets = [self._defined("target_definitions", one, entry, "targets") for one in listed(step.get("targets"))]
        agent = self._defined("agent_definitions", step["agent"], entry, "agent") if "agent" in step else {}
        found = []
        for target in targets or [{}]:
            context = Context(
                names=self.names.within(step),
                agent=agent or {},
                target=target or {},
                authentication=self._authentication(target or agent or {}),
                registered=self.registered,
                missing="its agent or target is not defined" if agent is None or target is None else "",
            )
            for number, command in enumerate(commands):
                one = doing(command, context)
                if one.action is not None and (reason := self.refused.get(one.action["id"])):
                    one = by_hand(command, context, reason)
                if one.asked:
                    self._remark("by_hand", entry, f"A person is asked to do it: {one.asked}.", f"commands/{number}")
                found.append(one)
        return found

    def _defined(self, members: str, reference: Any, entry: Entry, where: str) -> Json | None:
        """An agent or a target; None where the document names one that it does not have."""
        definitions = self.document.get(members)
        found = definitions.get(reference) if isinstance(definitions, dict) and isinstance(reference, str) else None
        if isinstance(found, dict):
            return found
        self._remark("undefined", entry, f"{str(reference)[:80]} is not among the {members}.", where)
        return None

    def _authentication(self, of: Mapping[str, Any]) -> Json:
        infos, reference = self.document.get("authentication_info_definitions"), of.get("authentication_info")
        found = infos.get(reference) if isinstance(infos, dict) and isinstance(reference, str) else None
        return found if isinstance(found, dict) else {}

    def _outputs(self, step: Mapping[str, Any]) -> Json:
        """What the last command returns: the member of its output called like the variable, else all of it."""
        returned = self._returned(step)
        return {name: f"{{{{ output.{name} | default(output.body) | default(output) }}}}" for name in returned}

    def _returned(self, step: Mapping[str, Any]) -> list[str]:
        """What a step returns, by our names."""
        given = [name for name in listed(step.get("out_args")) if isinstance(name, str)]
        return [self.names.native(name) for name in given if self.names.settable(name)][:_MAX_OUTPUTS]

    def _playbook(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        links, ours = self._links(block, entry, step), self._own(entry, step)
        if ours is not None:
            self._put(block, entry, step, {**ours.members, **links})
            return
        names, reference = self.names.within(step), str(step.get("playbook_id") or "none")
        given = [name for name in listed(step.get("in_args")) if isinstance(name, str) and names.known(name)]
        unreadable = [name for name in given if not names.readable(name)]
        if unreadable:
            text = f"The value of {unreadable[0][:80]} is not known here, or is too large."
            self._remark("by_hand", entry, f"A person is asked to do it: {text}", "in_args")
            self._put(block, entry, step, {**self._by_hand(f"{text} Run the playbook {reference[:80]}"), **links})
            return
        arguments = {names.native(name): names.argument(name) for name in given}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        members: Json = {"type": "playbook", "playbook_ref": reference, **_limit(step)}
        members |= {"parameters": arguments} if arguments else {}
        outputs = {name: f"{{{{ output.{name} }}}}" for name in self._returned(step)}
        members |= {"outputs": outputs} if outputs else {}
        self.returned.update(outputs)
        if step.get("playbook_version"):
            text = "The playbook's present version runs, whichever is named."
            self._remark("version", entry, text, "playbook_version")
        self._put(block, entry, step, {**members, **links})

    def _by_hand(self, text: str) -> Json:
        return {"type": "approval", "message": self.names.message(f"{text} by hand, then approve.")}

    def _if(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        after, failing = links.pop("on_success"), links.get("on_failure", "")
        yes = self.enter(block, step.get("on_true"), after, failing) if "on_true" in step else after
        no = self.enter(block, step.get("on_false"), after, failing) if "on_false" in step else after
        condition = self._condition(entry, step, "expression")
        question = str(step.get("condition") or step.get("name") or "")
        if condition is not None:
            if "on_failure" not in step and decisions.may_fail(condition):
                ask = self.new(
                    f"{entry.native_id[:LONGEST_ID]}-ask",
                    {**self._asking(question), "on_success": yes, "on_failure": no},
                )
                block.asked.append(ask)
                links["on_failure"] = ask["id"]
            branches = {"expression": condition, "on_true": yes, "on_false": no}
            self._put(block, entry, step, {"type": "condition", **branches, **links})
            return
        self._remark("asked", entry, f"A person is asked, because this is no condition: {question[:200]}", "condition")
        self._put(block, entry, step, {**self._asking(question), "on_success": yes, "on_failure": no, **_late(links)})

    def _condition(self, entry: Entry, step: Mapping[str, Any], member: str) -> str | None:
        """The condition of a step in our words; None where a person has to be asked."""
        ours = self._own(entry, step)
        if ours is not None:
            return str(ours.members.get(member) or ours.members.get("items"))
        return decisions.condition(step.get("condition"), self.names.within(step))

    def _asking(self, question: str) -> Json:
        return {
            "type": "approval",
            "message": self.names.message(f"Yes (approve) or no (reject)? {question}"),
        }

    def _while(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        if block.depth >= MAX_DEPTH:
            self._too_deep(block, entry, step, links)
            return
        body = self.block(block, step.get("on_true"), {*block.stops, entry.cacao_id})
        condition, ours = self._condition(entry, step, "while"), own_of(step)
        if ours is None and not decisions.may_change(step.get("condition"), self.names.within(step)):
            condition = None  # it would go on for ever
        if condition is None:
            question = str(step.get("condition") or step.get("name") or "")
            self._remark("asked", entry, f"A person is asked before each pass: {question[:200]}", "condition")
            ask = self.new(f"{entry.native_id[:LONGEST_ID]}-ask", self._asking(question))
            ask |= {"on_success": body[0]["id"], "on_failure": END}
            body, condition = [ask, *body], f"index == 0 || steps.{ask['id']}.status == 'completed'"
        passes: Json = {"type": "loop", "while": condition, "max_iterations": MAX_ITERATIONS}
        members = {**(ours.members if ours else passes), **_limit(step), "steps": body}
        self._put(block, entry, step, {**members, **links})

    def _switch(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        after, failing = links.pop("on_success"), links.get("on_failure", "")
        given = step.get("cases")
        listed_cases = list(given.items()) if isinstance(given, dict) else []
        cases = {str(case): self.enter(block, to, after, failing) for case, to in listed_cases}
        default = cases.pop("default", after)
        ours = self._own(entry, step)
        expression = (
            ours.members.get("expression") if ours else decisions.switch(step.get("switch"), self.names.within(step))
        )
        if expression is not None and cases:
            self._switches(block, entry, step, {"type": "switch", "expression": expression, **links}, cases, default)
            return
        self._remark("asked", entry, "A person is asked which case it is: there is nothing to switch on.", "switch")
        self._ask_each(block, entry, step, cases, default, _late(links))

    def _switches(
        self, block: Block, entry: Entry, step: Mapping[str, Any], members: Json, cases: Json, default: str
    ) -> None:
        """As many switches one behind the other as the cases need, each the default of the one before it."""
        every = list(cases.items())
        parts = [dict(every[start : start + MAX_CASES]) for start in range(0, len(every), MAX_CASES)]
        ids = self._numbered(entry, len(parts))
        for number, part in enumerate(parts):
            rest = ids[number + 1] if number + 1 < len(ids) else default
            one = {**members, "cases": part, "default": rest}
            self._put(block, Entry(entry.cacao_id, ids[number], ""), step, one, pauses=number == 0)

    def _numbered(self, entry: Entry, count: int) -> list[str]:
        """The ids of the steps here that one step of the document becomes."""
        more = range(2, count + 1)
        return [entry.native_id, *(self.new_id(f"{entry.native_id[:LONGEST_ID]}-{number}") for number in more)]

    def _ask_each(
        self, block: Block, entry: Entry, step: Mapping[str, Any], cases: Json, default: str, late: Json
    ) -> None:
        """One question for each case; the default when all were answered with no."""
        asked = list(cases.items()) or [("default", default)]
        ids = self._numbered(entry, len(asked))
        for number, (case, to) in enumerate(asked):
            question = f"{_line(step.get('name')) or entry.cacao_id}: is it the case '{case}'?"
            no = ids[number + 1] if number + 1 < len(ids) else default
            members = {**self._asking(question), "on_success": to, "on_failure": no, **late}
            self._put(block, Entry(entry.cacao_id, ids[number], ""), step, members, pauses=number == 0)

    def _parallel(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
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
        self._put(block, entry, step, {"type": "parallel", "branches": made, **_limit(step), **links})

    def _too_deep(self, block: Block, entry: Entry, step: Mapping[str, Any], links: Json) -> None:
        self.stuck = True
        text = f"Blocks may be nested at most {MAX_DEPTH} deep."
        self._remark("nested_too_deep", entry, text)
        self._put(block, entry, step, {"type": "approval", "message": f"{text} Do it by hand, then approve.", **links})


def _late(links: Mapping[str, str]) -> Json:
    """Where a question leads that nobody answers: what the step says about its failure."""
    return {"on_timeout": links["on_failure"]} if "on_failure" in links else {}


def _limit(step: Mapping[str, Any]) -> Json:
    """How long a step may take, if it says so."""
    seconds = _wholeseconds_of(step.get("timeout"))
    return {"timeout_seconds": seconds} if seconds else {}


def _wholeseconds_of(milliseconds: Any) -> int:
    return math.ceil(seconds_of(milliseconds))


def _line(value: Any) -> str:
    """A name as we keep it: one line of characters that can be seen."""
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in value)[:_MAX_NAME].strip()


def _described(value: Any) -> str:
    return value[:_MAX_DESCRIPTION] if isinstance(value, str) and value.strip() else ""
