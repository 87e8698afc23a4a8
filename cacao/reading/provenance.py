"""The provenance of imported steps: the document's step of each.

The document is read again as on import, noting the source of every step that is written. One step may become several,
and appear twice; a step added before or after it (a question) has no source.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cacao.model.identity import own_of
from cacao.reading.blocks import BlockDraft, PendingStep, listed
from cacao.reading.names import Names
from cacao.reading.workflow import WorkflowReader
from config.types import Json


@dataclass(frozen=True)
class Source:
    """The step of the document that a step is from.

    ``number`` counts the steps that it became. ``pause`` is the step that its delay became, if that is a step of its
    own: such a step has no source.
    """

    step_id: str
    number: int
    pause: str = ""


def sources(document: Mapping[str, Any]) -> dict[str, Source]:
    """The source of each step, by id."""
    reader = _Noting(document)
    reader.top(str(document.get("workflow_start")), str(document.get("workflow_exception")))
    return reader.sources


def heads(origins: Mapping[str, Source]) -> dict[str, str]:
    """The first step from each source, with the source's id."""
    first = {source.step_id: step_id for step_id, source in reversed(list(origins.items()))}
    return {step_id: name for name, step_id in first.items()}


def chains(origins: Mapping[str, Source]) -> dict[str, list[str]]:
    """The first step of each source, with the other steps from it."""
    found: dict[str, list[str]] = {}
    first = ""
    for step_id, source in origins.items():  # steps of one source are adjacent
        first = first if source.number else step_id
        found.setdefault(first, []).extend([step_id] if source.number else [])
    return found


def part(step: Mapping[str, Any], number: int) -> Json:
    """The part of a document's step that one step carries out.

    That is one command on one target.
    """
    commands = [one for one in listed(step.get("commands")) if isinstance(one, dict)]
    targets = listed(step.get("targets"))
    count = len(commands) * max(1, len(targets))
    if step.get("type") != "action" or count < 2 or own_of(step) is not None:  # noqa: PLR2004 - more than one
        return dict(step)
    target, command = divmod(number, len(commands))
    found = {**step, "commands": [commands[command]]}
    if targets:
        found["targets"] = [targets[target]]
    if number + 1 < count:  # only the last command's output counts
        found.pop("out_args", None)
    return found


class _Noting(WorkflowReader):
    """Reads a workflow and notes the source of each step."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document, Names(document), {}, {})
        self.sources: dict[str, Source] = {}

    def write(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        """Write a step into its block."""
        before = len(block.steps)
        super().write(block, entry, step)
        self.sources.update(_noted(entry, block.steps[before:]))


def _noted(entry: PendingStep, made: list[Json]) -> Iterator[tuple[str, Source]]:
    pause = str(made[0]["id"]) if len(made) > 1 and made[0]["type"] == "delay" else ""
    for number, one in enumerate(made[1:] if pause else made):
        yield str(one["id"]), Source(entry.cacao_id, number, pause)
