"""Writes the edits of an imported playbook back into its document.

The document is stored as it arrived. ``put`` takes the definition as imported and the present one, and writes each
difference that CACAO has a property for in its original place. If another tool would read an outdated workflow from the
patched document, the workflow is regenerated (``rewrite``). If the document still does not express all edits, the
definition goes into our extension. A changed document has a new ``modified`` and loses its signatures, which no longer
fit.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cacao.model.graph import member
from cacao.model.identity import EXTENSION
from cacao.reading.importer import convert
from cacao.reading.provenance import heads, sources
from cacao.writing.exporter import with_definition
from cacao.writing.rewrite import by_id, misleads, regenerated
from config.types import Json

Steps = Mapping[str, Mapping[str, Any]]
#: no content: these change with every import
_PASSING = ("version", "enabled")


def content(definition: Mapping[str, Any]) -> Json:
    """A definition without the members that change by themselves."""
    return {key: value for key, value in definition.items() if key not in (*_PASSING, "id")}


def put(
    document: Mapping[str, Any],
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    modified: str,
    workspace: str = "",
) -> Json:
    """The document with the differences between two normalised definitions.

    ``before`` is the result of the document's import; without differences the document comes back unchanged.
    ``workspace`` is that of the playbooks that steps name by a Tocsin id.
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
        return with_definition(regenerated(changed, before, now, workspace=workspace), now)
    known = EXTENSION in member(document, "playbook_extensions")
    if not known and content(convert(changed, now=modified).definition) == content(now):
        return changed
    return with_definition(changed, now)


def _workflow(document: Mapping[str, Any], before: Steps, now: Steps) -> Json:
    """The document's steps with the edits of those that still exist."""
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
    """Write a property; leave out an empty one, as the standard asks."""
    if value in (None, "", []):
        of.pop(property_, None)
    else:
        of[property_] = value


def _milliseconds(seconds: Any) -> int | None:
    return max(1, round(seconds * 1000)) if seconds else None
