"""The workflow of an imported document written anew, after steps, links or what a step does were changed here.

First it is asked whether that is needed: whether the document, as others read it, tells of the playbook as it is now in
all that CACAO has words for. If it does not, the playbook is written in these words; then each step that does what it
did gets back what the document says of it (its commands, its agent, what other tools keep in it); and all this takes
the place of the workflow in the document, in which everything else stays.
"""

from collections.abc import Mapping
from typing import Any

from cacao.model.graph import member
from cacao.model.identity import EXTENSION, own_of
from cacao.reading.importer import convert
from cacao.reading.names import Names
from cacao.reading.provenance import chains, heads, part, sources
from cacao.writing.exporter import variable, with_ours
from cacao.writing.restore import doing, unasked
from cacao.writing.summary import summary
from cacao.writing.workflow import KINDS, Written, reached, write
from config.types import Json
from playbooks.plan import every_step

#: properties of a document's step that a step written anew has in its own way; our member for each
_SAID = {"name": "name", "description": "description", "delay": "delay_seconds", "timeout": "timeout_seconds"}
#: members of a definition that a workflow tells of
_WORKFLOW = ("steps", "exception_step", "on_failure", "parameters")
_LINKS = ("on_completion", "on_success", "on_failure", "on_true", "on_false", "next_steps", "cases")


def misleads(
    document: Mapping[str, Any], changed: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]
) -> bool:
    """Whether others would read the changed document otherwise than the playbook is now.

    ``before`` is what the document was converted to. Where that is not what is read of the document itself (actions of
    the workspace had a part in it), what was changed neither here nor there does not count.
    """
    if all(before.get(name) == now.get(name) for name in _WORKFLOW):
        return False
    wanted, was = _words(document, now), _words(document, before)
    if wanted == was:
        return False
    told = _words(document, _read(changed))
    differing = [one for one in wanted.keys() | told.keys() if wanted.get(one) != told.get(one)]
    if not differing:
        return False
    came = _words(document, _read(document))
    return any(wanted.get(one) != was.get(one) or told.get(one) != came.get(one) for one in differing)


def anew(document: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any], *, workspace: str) -> Json:
    """The document with the workflow of the playbook as it is now."""
    made = _Anew(document, before, now, workspace)
    return _with_workflow(document, made.written, made.steps(), _missing(document, now, made.variables))


class _Anew:
    def __init__(
        self, document: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any], workspace: str
    ) -> None:
        names = Names(document)
        self.variables = {names.native(name): name for name in names.parameters}
        self.workflow = member(document, "workflow")
        self.olds, self.news, self.sources = by_id(before), by_id(now), sources(document)
        self.types = {one: str(self.workflow[source.step_id].get("type")) for one, source in self.sources.items()}
        self.chains = {one: rest for one, rest in chains(self.sources).items() if self.types[one] == "action"}
        pauses = {source.pause: one for one, source in self.sources.items() if source.pause and not source.number}
        whole = unasked(now, before, self.types, pauses, self.chains)
        self.left = by_id(whole)
        #: the steps that are written as steps of the type that they had
        self.alike = {
            one: source
            for one, source in self.sources.items()
            if one in self.left and KINDS[self.left[one]["type"]] == self.types[one]
        }
        self.written = write(
            whole,
            playbook_id=str(document.get("id")),
            workspace=workspace,
            ids=heads(self.alike),
            variables=self.variables,
        )

    def steps(self) -> Json:
        """The steps as they were written, and as the document had them where they do what they did."""
        made = {own: with_ours(step, own, self.written) for own, step in self.written.steps.items()}
        for one in self.alike.keys() & self.olds.keys():
            if doing(self.olds[one]) == doing(self.news[one]) and not self._asks(one):
                own, original = self.written.ids[one], self._original(one)
                restored = _restored(original, self.written.steps[own], self._kept(one))
                made[own] = with_ours(restored, own, self.written) if own_of(original) is not None else restored
        return made

    def _asks(self, one: str) -> bool:
        """Whether a loop has kept the question in front of its passes: then its condition must not ask once more."""
        old = self.olds[one]
        first = old["steps"][0]["id"] if old["type"] == "loop" else None
        return first in self.left and first not in self.types

    def _original(self, one: str) -> Json:
        """What the document says of a step: all, where nothing else is left of it here."""
        source = self.alike[one]
        rest = self.chains.get(one, [])
        together = bool(rest) and rest[0] in self.news and rest[0] not in self.left
        step = self.workflow[source.step_id]
        return dict(step) if together else part(step, source.number)

    def _kept(self, one: str) -> set[str]:
        """The properties that a step keeps as the document has them, to the letter."""
        source, old, new = self.alike[one], self.olds[one], self.news[one]
        same = {property_ for property_, own in _SAID.items() if old.get(own) == new.get(own)}
        elsewhere = bool(source.pause) and (source.pause in self.left or source.pause not in self.news)
        return same - {"delay"} if source.number or elsewhere else same  # only the first of several waits


def _restored(original: Mapping[str, Any], written: Mapping[str, Any], kept: set[str]) -> Json:
    """A step with the doing of its source and the place that it has now."""
    anew = {*_LINKS, *(_SAID.keys() - kept)}
    mine = {name: value for name, value in original.items() if name not in anew}
    return mine | {name: value for name, value in written.items() if name in anew}


def _with_workflow(document: Mapping[str, Any], written: Written, steps: Json, variables: Json) -> Json:
    """The document with other steps, and what these need."""
    left = reached(steps, (written.start, written.exception))
    whole = {name: value for name, value in document.items() if name != "workflow_exception"}
    whole |= {"workflow_start": written.start, "workflow": left}
    if written.exception is not None:
        whole["workflow_exception"] = written.exception
    for name, more in (("agent_definitions", written.agents_of(left)), ("playbook_variables", variables)):
        if more:
            whole[name] = {**more, **member(document, name)}
    if isinstance(whole.get("playbook_processing_summary"), dict):
        whole["playbook_processing_summary"] = summary(whole)
    return whole


def _missing(document: Mapping[str, Any], now: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    """The variables that the parameters are which the document does not have."""
    wanted = {names.get(one["name"], f"__{one['name']}__"): one for one in now["parameters"]}
    declared = member(document, "playbook_variables")
    return {name: variable(one) for name, one in wanted.items() if name not in declared}


def _words(document: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """What CACAO has words for, but the names: in a workflow that others read, these tell of nothing that is done."""
    written = write(definition, playbook_id=str(document.get("id")), workspace="")
    steps = {
        own: {name: value for name, value in step.items() if name not in ("name", "description")}
        for own, step in written.steps.items()
    }
    return {**steps, "exception": written.exception}


def _read(document: Mapping[str, Any]) -> Json:
    """The playbook that a document tells of by the words of the standard."""
    extensions = {name: one for name, one in member(document, "playbook_extensions").items() if name != EXTENSION}
    return convert({**document, "playbook_extensions": extensions}, now="").definition


def by_id(definition: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The steps of a definition, of all its blocks."""
    return {step["id"]: step for step in every_step(definition["steps"])}
