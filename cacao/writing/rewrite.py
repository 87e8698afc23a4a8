"""Regenerates the workflow of an imported document after edits of the playbook.

First ``misleads`` checks whether the document still describes the playbook, as far as CACAO can express it. If it does
not, ``regenerated`` exports the playbook; then each step that does the same as before gets back what the document says
of it (its commands, its agent, the data of other tools); the result replaces the workflow in the document, and
everything else stays.
"""

from collections.abc import Mapping
from typing import Any

from cacao.model.graph import member
from cacao.model.identity import EXTENSION, own_of
from cacao.reading.importer import convert
from cacao.reading.names import Names
from cacao.reading.provenance import chains, heads, part, sources
from cacao.writing.exporter import variable, with_ours
from cacao.writing.restore import behaviour, restored
from cacao.writing.summary import summary
from cacao.writing.workflow import KINDS, WrittenWorkflow, reached, write
from config.types import Json
from playbooks.plan import every_step

#: properties that a regenerated step does not take from the document → Tocsin's member for each
_SAID = {"name": "name", "description": "description", "delay": "delay_seconds", "timeout": "timeout_seconds"}
#: members of a definition that a workflow describes
_WORKFLOW = ("steps", "exception_step", "on_failure", "parameters")
_LINKS = ("on_completion", "on_success", "on_failure", "on_true", "on_false", "next_steps", "cases")


def misleads(
    document: Mapping[str, Any], changed: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]
) -> bool:
    """Whether another tool would read an outdated workflow from the changed document.

    ``before`` is the result of the document's import. Where the document alone gives another result (actions of the
    workspace had a part in it), parts that are unchanged on both sides do not count.
    """
    if all(before.get(name) == now.get(name) for name in _WORKFLOW):
        return False
    wanted, was = _words(document, now), _words(document, before)
    if wanted == was:
        return False
    described = _words(document, _read(changed))
    differing = [one for one in wanted.keys() | described.keys() if wanted.get(one) != described.get(one)]
    if not differing:
        return False
    came = _words(document, _read(document))
    return any(wanted.get(one) != was.get(one) or described.get(one) != came.get(one) for one in differing)


def regenerated(
    document: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any], *, workspace: str
) -> Json:
    """The document with a workflow regenerated from the playbook."""
    made = _Regeneration(document, before, now, workspace)
    return _with_workflow(document, made.written, made.steps(), _missing(document, now, made.variables))


class _Regeneration:
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
        original = restored(now, before, self.types, pauses, self.chains)
        self.left = by_id(original)
        #: the steps that are exported with the type of their source
        self.alike = {
            one: source
            for one, source in self.sources.items()
            if one in self.left and KINDS[self.left[one]["type"]] == self.types[one]
        }
        self.written = write(
            original,
            playbook_id=str(document.get("id")),
            workspace=workspace,
            ids=heads(self.alike),
            variables=self.variables,
        )

    def steps(self) -> Json:
        """The exported steps, restored from the document where they do the same."""
        made = {own: with_ours(step, own, self.written) for own, step in self.written.steps.items()}
        for one in self.alike.keys() & self.olds.keys():
            if behaviour(self.olds[one]) == behaviour(self.news[one]) and not self._asks(one):
                own, original = self.written.ids[one], self._original(one)
                step = _restored(original, self.written.steps[own], self._kept(one))
                made[own] = with_ours(step, own, self.written) if own_of(original) is not None else step
        return made

    def _asks(self, one: str) -> bool:
        """Whether a loop kept its question.

        Its condition must not ask again then.
        """
        old = self.olds[one]
        first = old["steps"][0]["id"] if old["type"] == "loop" else None
        return first in self.left and first not in self.types

    def _original(self, one: str) -> Json:
        """The document's version of a step, whole if restored to one step."""
        source = self.alike[one]
        rest = self.chains.get(one, [])
        together = bool(rest) and rest[0] in self.news and rest[0] not in self.left
        step = self.workflow[source.step_id]
        return dict(step) if together else part(step, source.number)

    def _kept(self, one: str) -> set[str]:
        """The properties that a step keeps to the letter."""
        source, old, new = self.alike[one], self.olds[one], self.news[one]
        same = {property_ for property_, own in _SAID.items() if old.get(own) == new.get(own)}
        elsewhere = bool(source.pause) and (source.pause in self.left or source.pause not in self.news)
        return same - {"delay"} if source.number or elsewhere else same  # only the first of several steps has the delay


def _restored(original: Mapping[str, Any], written: Mapping[str, Any], kept: set[str]) -> Json:
    """A step that does what its source does, in its present place."""
    replaced = {*_LINKS, *(_SAID.keys() - kept)}
    mine = {name: value for name, value in original.items() if name not in replaced}
    return mine | {name: value for name, value in written.items() if name in replaced}


def _with_workflow(document: Mapping[str, Any], written: WrittenWorkflow, steps: Json, variables: Json) -> Json:
    """The document with other steps, and the definitions they need."""
    left = reached(steps, (written.start, written.exception))
    changed = {name: value for name, value in document.items() if name != "workflow_exception"}
    changed |= {"workflow_start": written.start, "workflow": left}
    if written.exception is not None:
        changed["workflow_exception"] = written.exception
    for name, more in (("agent_definitions", written.agents_of(left)), ("playbook_variables", variables)):
        if more:
            changed[name] = {**more, **member(document, name)}
    if isinstance(changed.get("playbook_processing_summary"), dict):
        changed["playbook_processing_summary"] = summary(changed)
    return changed


def _missing(document: Mapping[str, Any], now: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    """The variables for parameters that the document does not declare."""
    wanted = {names.get(one["name"], f"__{one['name']}__"): one for one in now["parameters"]}
    declared = member(document, "playbook_variables")
    return {name: variable(one) for name, one in wanted.items() if name not in declared}


def _words(document: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """What CACAO can express of a definition, without names and descriptions.

    Those do not change what other tools carry out.
    """
    written = write(definition, playbook_id=str(document.get("id")), workspace="")
    steps = {
        own: {name: value for name, value in step.items() if name not in ("name", "description")}
        for own, step in written.steps.items()
    }
    return {**steps, "exception": written.exception}


def _read(document: Mapping[str, Any]) -> Json:
    """The playbook that a document describes without our extension."""
    extensions = {name: one for name, one in member(document, "playbook_extensions").items() if name != EXTENSION}
    return convert({**document, "playbook_extensions": extensions}, now="").definition


def by_id(definition: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The steps of all blocks of a definition, by id."""
    return {step["id"]: step for step in every_step(definition["steps"])}
