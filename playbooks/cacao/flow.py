"""The workflow of a CACAO document as steps of ours, each type of step in its own way.

``blocks`` says which steps belong together and where they lead; here each is written. What we do not have, what is
nested deeper than we nest, and what no action can do becomes a question to a person.
"""

import math
from collections.abc import Mapping
from typing import Any

from playbooks.cacao import decisions
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
from playbooks.cacao.commands import Context, Doing, doing
from playbooks.cacao.identity import own_of
from playbooks.cacao.names import Names
from playbooks.faults import below
from playbooks.step_types import MAX_BRANCHES, MAX_CASES, MAX_DEPTH, MAX_ITERATIONS, MAX_STEPS

_MAX_NAME, _MAX_DESCRIPTION = 128, 1024


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
        links = {"on_success": entry.sequel if following is None else self.enter(block, following, entry.sequel)}
        if isinstance(step.get("on_failure"), str):
            links["on_failure"] = self.enter(block, step["on_failure"], entry.sequel)
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
        ours = own_of(step)
        links, found = self._links(block, entry, step), [Doing(step=ours[1])] if ours else self._doings(entry, step)
        timeout = _wholeseconds_of(step.get("timeout"))
        ids = self._numbered(entry, len(found))
        for number, one in enumerate(found):
            members = {**one.step, **links, **({"timeout_seconds": timeout} if timeout else {})}
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
        if len(commands) * len(listed(step.get("targets"))) > MAX_STEPS:
            raise TooLarge
        targets = [self._defined("target_definitions", one, entry, "targets") for one in listed(step.get("targets"))]
        agent = self._defined("agent_definitions", step["agent"], entry, "agent") if "agent" in step else {}
        found = []
        for target in targets or [{}]:
            context = Context(
                names=self.names,
                agent=agent,
                target=target,
                authentication=self._authentication(target or agent),
                registered=self.registered,
            )
            for number, command in enumerate(commands):
                one = doing(command, context)
                if one.action is not None and (reason := self.refused.get(one.action["id"])):
                    one = doing({**command, "type": "manual"}, context)
                    one = Doing(step=one.step, asked=reason)
                if one.asked:
                    self._remark("by_hand", entry, f"A person is asked to do it: {one.asked}.", f"commands/{number}")
                found.append(one)
        return found

    def _defined(self, members: str, reference: Any, entry: Entry, where: str) -> Json:
        definitions = self.document.get(members)
        found = definitions.get(reference) if isinstance(definitions, dict) and isinstance(reference, str) else None
        if isinstance(found, dict):
            return found
        self._remark("undefined", entry, f"{str(reference)[:80]} is not among the {members}.", where)
        return {}

    def _authentication(self, of: Mapping[str, Any]) -> Json:
        infos, reference = self.document.get("authentication_info_definitions"), of.get("authentication_info")
        found = infos.get(reference) if isinstance(infos, dict) and isinstance(reference, str) else None
        return found if isinstance(found, dict) else {}

    def _outputs(self, step: Mapping[str, Any]) -> Json:
        """What the last command returns: the member of its output called like the variable, else all of it."""
        returned = [name for name in listed(step.get("out_args")) if isinstance(name, str) and self.names.known(name)]
        native = [self.names.native(name) for name in returned][:100]
        return {name: f"{{{{ output.{name} | default(output.body) | default(output) }}}}" for name in native}

    def _playbook(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        ours = own_of(step)
        if ours is not None:
            self._put(block, entry, step, {**ours[1], **self._links(block, entry, step)})
            return
        given = {
            self.names.native(name): f"{{{{ {self.names.read(name)} }}}}"
            for name in listed(step.get("in_args"))
            if isinstance(name, str) and self.names.known(name)
        }
        members: Json = {"type": "playbook", "playbook_ref": str(step.get("playbook_id") or "none")}
        members |= {"parameters": given} if given else {}
        timeout = _wholeseconds_of(step.get("timeout"))
        members |= {"timeout_seconds": timeout} if timeout else {}
        returned = [name for name in listed(step.get("out_args")) if isinstance(name, str) and self.names.known(name)]
        outputs = {self.names.native(name): f"{{{{ output.{self.names.native(name)} }}}}" for name in returned[:100]}
        members |= {"outputs": outputs} if outputs else {}
        self.returned.update(outputs)
        if step.get("playbook_version"):
            self._remark(
                "version", entry, "The playbook's present version runs, whichever is named.", "playbook_version"
            )
        self._put(block, entry, step, {**members, **self._links(block, entry, step)})

    def _if(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        after = links.pop("on_success")
        yes = self.enter(block, step.get("on_true"), after) if "on_true" in step else after
        no = self.enter(block, step.get("on_false"), after) if "on_false" in step else after
        condition = self._condition(step, "expression")
        question = str(step.get("condition") or step.get("name") or "")
        if condition is not None:
            if "on_failure" not in links and decisions.may_fail(condition):
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

    def _condition(self, step: Mapping[str, Any], member: str) -> str | None:
        """The condition of a step in our words; None where a person has to be asked."""
        ours = own_of(step)
        if ours is not None:
            return str(ours[1].get(member) or ours[1].get("items"))
        return decisions.condition(step.get("condition"), self.names)

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
        condition = self._condition(step, "while")
        if own_of(step) is None and not decisions.may_change(step.get("condition"), self.names):
            condition = None  # it would go on for ever
        if condition is None:
            question = str(step.get("condition") or step.get("name") or "")
            self._remark("asked", entry, f"A person is asked before each pass: {question[:200]}", "condition")
            ask = self.new(f"{entry.native_id[:LONGEST_ID]}-ask", self._asking(question))
            ask |= {"on_success": body[0]["id"], "on_failure": END}
            body, condition = [ask, *body], f"index == 0 || steps.{ask['id']}.status == 'completed'"
        ours = own_of(step)
        passes: Json = {"type": "loop", "while": condition, "max_iterations": MAX_ITERATIONS}
        members = {**(ours[1] if ours else passes), "steps": body}
        self._put(block, entry, step, {**members, **links})

    def _switch(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        links = self._links(block, entry, step)
        after = links.pop("on_success")
        given = step.get("cases")
        listed_cases = list(given.items()) if isinstance(given, dict) else []
        cases = {str(case): self.enter(block, to, after) for case, to in listed_cases}
        default = cases.pop("default", after)
        ours = own_of(step)
        expression = ours[1].get("expression") if ours else decisions.switch(step.get("switch"), self.names)
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
        shared = self.shared(starts)
        links = self._links(block, entry, step)
        if shared:
            self._remark(
                "shared_by_branches", entry, "Steps that several branches lead to run once, after all.", "next_steps"
            )
            if next_of(step) != shared[0]:
                led_on = next_of(step) in self.reached(shared[0])
                after = entry.sequel if led_on else links["on_success"]
                links["on_success"] = self.enter(block, shared[0], after)
        if block.depth >= MAX_DEPTH:
            self._too_deep(block, entry, step, links)
            return
        stops = {*block.stops, *shared}
        branches = [{"steps": self.block(block, start, stops)} for start in starts if start not in shared]
        branches = branches or [{"steps": [self.new("nothing", {"type": "delay", "seconds": 0, "on_success": END})]}]
        self._put(block, entry, step, {"type": "parallel", "branches": branches, **links})

    def _too_deep(self, block: Block, entry: Entry, step: Mapping[str, Any], links: Json) -> None:
        self.stuck = True
        text = f"Blocks may be nested at most {MAX_DEPTH} deep."
        self._remark("nested_too_deep", entry, text)
        self._put(block, entry, step, {"type": "approval", "message": f"{text} Do it by hand, then approve.", **links})


def _late(links: Mapping[str, str]) -> Json:
    """Where a question leads that nobody answers: what the step says about its failure."""
    return {"on_timeout": links["on_failure"]} if "on_failure" in links else {}


def _wholeseconds_of(milliseconds: Any) -> int:
    return math.ceil(seconds_of(milliseconds))


def _line(value: Any) -> str:
    """A name as we keep it: one line of characters that can be seen."""
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in value)[:_MAX_NAME].strip()


def _described(value: Any) -> str:
    return value[:_MAX_DESCRIPTION] if isinstance(value, str) and value.strip() else ""
