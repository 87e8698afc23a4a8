"""The action steps of a CACAO workflow: one per command and target.

The base class of ``workflow`` also has what all steps share: their delay, their name, their links, and what our own
extension says about them. ``commands`` decides which action carries out a command; a step of type ``playbook-action``
runs another playbook.
"""

import math
from collections.abc import Mapping
from typing import Any

from cacao.model.identity import Own, own_of
from cacao.reading.blocks import (
    LONGEST_ID,
    BlockDraft,
    Blocks,
    PendingStep,
    Remark,
    TooLarge,
    listed,
    next_of,
    seconds_of,
)
from cacao.reading.commands import CommandContext, Translation, by_hand, translate
from cacao.reading.names import Names
from config.types import Json
from playbooks.checks.faults import below
from playbooks.definitions.step_types import MAX_STEPS

_MAX_NAME, _MAX_DESCRIPTION = 128, 1024
#: characters of commands, counted once for each target
_MAX_WORK = 4_000_000
#: variables that one step may set
_MAX_OUTPUTS = 100
_FOREIGN = "What the step does stands in an extension that was not written here: look at it, then enable the playbook."


class ActionSteps(Blocks):
    """Writes the steps that carry out commands or playbooks."""

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
        #: the variables that steps set, by their Tocsin names
        self.returned: set[str] = set()

    def _own(self, entry: PendingStep, step: Mapping[str, Any]) -> Own | None:
        """What our extension says of a step; foreign ones need a review."""
        ours = own_of(step)
        if ours is not None and ours.foreign:
            self.stuck = True
            self._remark("from_extension", entry, _FOREIGN, "step_extensions")
        return ours

    def _pointer(self, entry: PendingStep, member: str = "") -> str:
        pointer = below("/workflow", entry.cacao_id)
        return f"{pointer}/{member}" if member else pointer

    def _remark(self, code: str, entry: PendingStep, message: str, member: str = "") -> None:
        self.remarks.append(Remark(code, self._pointer(entry, member), message, entry.cacao_id))

    def _put(
        self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any], members: Json, *, pauses: bool = True
    ) -> None:
        """Write a step under its id, after its delay if any."""
        own, seconds = entry.native_id, seconds_of(step.get("delay"))
        if seconds and pauses and members["type"] == "action":
            members["delay_seconds"] = seconds
        elif seconds and pauses:
            own = self.new_id(f"{entry.native_id[:LONGEST_ID]}-do")
            block.steps.append({"id": entry.native_id, "type": "delay", "seconds": seconds, "on_success": own})
        said = {"name": line_of(step.get("name")), "description": _described(step.get("description"))}
        block.steps.append({"id": own, **{key: text for key, text in said.items() if text}, **members})

    def _links(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> Json:
        """The links after success and, if the step has one, after failure."""
        following = next_of(step)
        onward = entry.sequel if following is None else self.enter(block, following, entry.sequel, entry.failing)
        links = {"on_success": onward}
        if isinstance(step.get("on_failure"), str):
            links["on_failure"] = self.enter(block, step["on_failure"], entry.sequel, entry.failing)
        elif entry.failing:
            links["on_failure"] = entry.failing
        return links

    def _action(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        """Write one step for each command on each target, in sequence.

        The first that fails is the step's failure.
        """
        ours = self._own(entry, step)
        links, found = (
            self._links(block, entry, step),
            [Translation(step=ours.members)] if ours else self._translations(entry, step),
        )
        ids = self._numbered(entry, len(found))
        if len(found) > 1 and limit_of(step):
            self._remark("timeout_of_each", entry, "Each of its commands may take as long as the step may.", "timeout")
        for number, one in enumerate(found):
            members = {**one.step, **links, **limit_of(step)}
            if number + 1 < len(found):
                members["on_success"] = ids[number + 1]
            elif ours is None and one.step["type"] == "action" and (outputs := self._outputs(step)):
                members["outputs"] = outputs
                self.returned.update(outputs)
            if one.action is not None:
                self.actions[one.action["id"]] = one.action
            self._put(block, PendingStep(entry.cacao_id, ids[number], ""), step, members, pauses=number == 0)

    def _translations(self, entry: PendingStep, step: Mapping[str, Any]) -> list[Translation]:
        commands = [one for one in listed(step.get("commands")) if isinstance(one, dict)] or [{"type": "manual"}]
        self._work += sum(len(str(one)) for one in commands) * max(1, len(listed(step.get("targets"))))
        if self._work > _MAX_WORK or len(commands) * len(listed(step.get("targets"))) > MAX_STEPS:
            raise TooLarge
        targets = [self._defined("target_definitions", one, entry, "targets") for one in listed(step.get("targets"))]
        agent = self._defined("agent_definitions", step["agent"], entry, "agent") if "agent" in step else {}
        found = []
        for target in targets or [{}]:
            context = CommandContext(
                names=self.names.within(step),
                agent=agent or {},
                target=target or {},
                authentication=self._authentication(target or agent or {}),
                registered=self.registered,
                missing="its agent or target is not defined" if agent is None or target is None else "",
            )
            for number, command in enumerate(commands):
                one = translate(command, context)
                if one.action is not None and (reason := self.refused.get(one.action["id"])):
                    one = by_hand(command, context, reason)
                if one.asked:
                    self._remark("by_hand", entry, f"A person is asked to do it: {one.asked}.", f"commands/{number}")
                found.append(one)
        return found

    def _defined(self, members: str, reference: Any, entry: PendingStep, where: str) -> Json | None:
        """An agent or target; None where the document does not define it."""
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
        """Templates for what the last command returns.

        The member of its output with the variable's name, else the whole output.
        """
        returned = self._returned(step)
        return {name: f"{{{{ output.{name} | default(output.body) | default(output) }}}}" for name in returned}

    def _returned(self, step: Mapping[str, Any]) -> list[str]:
        """The variables that a step returns, by their Tocsin names."""
        given = [name for name in listed(step.get("out_args")) if isinstance(name, str)]
        return [self.names.native(name) for name in given if self.names.settable(name)][:_MAX_OUTPUTS]

    def _playbook(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
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
            self._put(block, entry, step, {**self._by_hand(step, f"{text} Run the playbook {reference[:80]}"), **links})
            return
        arguments = {names.native(name): names.argument(name) for name in given}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        members: Json = {"type": "playbook", "playbook_ref": reference, **limit_of(step)}
        members |= {"parameters": arguments} if arguments else {}
        outputs = {name: f"{{{{ output.{name} }}}}" for name in self._returned(step)}
        members |= {"outputs": outputs} if outputs else {}
        self.returned.update(outputs)
        if step.get("playbook_version"):
            text = "The playbook's present version runs, whichever is named."
            self._remark("version", entry, text, "playbook_version")
        self._put(block, entry, step, {**members, **links})

    def _by_hand(self, step: Mapping[str, Any], text: str) -> Json:
        return {"type": "approval", "message": self.names.within(step).message(f"{text} by hand, then approve.")}

    def _numbered(self, entry: PendingStep, count: int) -> list[str]:
        """Ids for the steps that one step of the document becomes."""
        more = range(2, count + 1)
        return [entry.native_id, *(self.new_id(f"{entry.native_id[:LONGEST_ID]}-{number}") for number in more)]


def limit_of(step: Mapping[str, Any]) -> Json:
    """The time-out of a step, if it has one."""
    seconds = _whole_seconds(step.get("timeout"))
    return {"timeout_seconds": seconds} if seconds else {}


def _whole_seconds(milliseconds: Any) -> int:
    return math.ceil(seconds_of(milliseconds))


def line_of(value: Any) -> str:
    """A name as Tocsin stores it: one line of printable characters."""
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in value)[:_MAX_NAME].strip()


def _described(value: Any) -> str:
    return value[:_MAX_DESCRIPTION] if isinstance(value, str) and value.strip() else ""
