"""The document of a playbook that was imported, with what was changed here since, and nothing else.

The document is kept as it came. ``put`` takes the definition as it was when it came and as it is now: what CACAO has a
property for is written there, in the place it came from, and only what differs. Where others would then still read in
its workflow what is no longer done here, or not what is, the workflow is written anew (``anew``). When all that does
not tell all of what was changed, the definition goes along in our extension. A document that was changed has a new
``modified`` and loses its signatures, which no longer fit it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cacao.model.graph import member
from cacao.model.identity import EXTENSION
from cacao.reading.importer import convert
from cacao.reading.provenance import heads, sources
from cacao.writing.exporter import with_definition
from cacao.writing.rewrite import anew, by_id, misleads
from config.types import Json

Steps = Mapping[str, Mapping[str, Any]]
#: a version and a switch are no content: they change with every import
_PASSING = ("version", "enabled")


def content(definition: Mapping[str, Any]) -> Json:
    """A definition without what changes by itself."""
    return {key: value for key, value in definition.items() if key not in (*_PASSING, "id")}


def put(
    document: Mapping[str, Any],
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    modified: str,
    workspace: str = "",
) -> Json:
    """The document with the differences between two normalised definitions written into it.

    ``before`` is what the document was converted to; where nothing has changed the document comes back as it is.
    ``workspace`` is where the playbooks are that a step names by an id of ours.
    """
    if content(before) == content(now):
        return dict(document)
    changed: Json = {key: value for key, value in document.items() if key != "signatures"}
    changed["modified"] = modified
    for own, property_ in (("name", "name"), ("description", "description"), ("tags", "labels")):
        if before[own] != now[own]:
            _set(changed, property_, now[own])
    if before["steps"] != now["steps"]:
        changed["workflow"] = _workflow(document, by_id(before), by_id(now))
    if misleads(document, changed, before, now):
        return with_definition(anew(changed, before, now, workspace=workspace), now)
    known = EXTENSION in member(document, "playbook_extensions")
    if not known and content(convert(changed, now=modified).definition) == content(now):
        return changed
    return with_definition(changed, now)


def _workflow(document: Mapping[str, Any], before: Steps, now: Steps) -> Json:
    """The steps of the document with what was changed of steps that are still there."""
    found = dict(member(document, "workflow"))
    for step_id, source in heads(sources(document)).items():
        if step_id in before and step_id in now:
            old, new, step = before[step_id], now[step_id], dict(found[source])
            for own, property_, value in _properties(old, new):
                if old.get(own) != new.get(own):
                    _set(step, property_, value)
            found[source] = step
    return found


def _properties(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    yield "name", "name", new.get("name")
    yield "description", "description", new.get("description")
    if old["type"] == new["type"] == "action":
        yield "delay_seconds", "delay", _milliseconds(new.get("delay_seconds"))
    yield "timeout_seconds", "timeout", _milliseconds(new.get("timeout_seconds"))


def _set(of: Json, property_: str, value: Any) -> None:
    """Write a property; what is empty is left out, as the standard wants it."""
    if value in (None, "", []):
        of.pop(property_, None)
    else:
        of[property_] = value


def _milliseconds(seconds: Any) -> int | None:
    return max(1, round(seconds * 1000)) if seconds else None
