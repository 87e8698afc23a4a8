"""Whether the objects that a CACAO document names exist.

Checks steps, agents, targets, markings and extensions; also that each identifier has the type its place asks for, that
steps have UUIDs of version 4, and that no UUID stands for two objects. All findings are warnings.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cacao.model.findings import Findings, below, shown
from cacao.model.graph import Graph, member
from cacao.model.vocabulary import IDENTIFIER

_DEFINITIONS = (
    "agent_definitions",
    "target_definitions",
    "authentication_info_definitions",
    "extension_definitions",
    "data_marking_definitions",
)
#: where the third group of a UUID, and with it its version, begins
_VERSION_AT = 14


def check_references(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    """Report missing objects, and identifiers of the wrong type or version."""
    _check_steps(document, graph, found)
    _check_agents(document, graph, found)
    _check_markings(document, found)
    for pointer, parent, name in _extended(document, graph):
        _check_extensions(document, pointer, parent, name, found)
    _check_types(document, graph, found)
    _check_uuids(document, graph, found)


def _check_steps(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    for name in ("workflow_start", "workflow_exception"):
        target = document.get(name)
        if isinstance(target, str) and target not in graph.steps:
            found.add("undefined_step", f"/{name}", _missing(target, "workflow"))
    start = graph.entries.get("workflow_start")
    if start is not None and graph.type_of(start) != "start":
        message = f"{shown(start)} is no start step: name the step of type start, or add one that leads there"
        found.add("start_is_no_start_step", "/workflow_start", message)
    for links in graph.links.values():
        for link in links:
            if link.target not in graph.steps:
                found.add("undefined_step", link.pointer, _missing(link.target, "workflow"))


def _check_agents(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    agents, targets = member(document, "agent_definitions"), member(document, "target_definitions")
    for name, step in graph.steps.items():
        if step.get("type") != "action":
            continue
        agent, pointer = step.get("agent"), below(graph.pointer(name), "targets")
        if isinstance(agent, str) and agent not in agents:
            found.add("undefined_agent", below(graph.pointer(name), "agent"), _missing(agent, "agent_definitions"))
        for index, target in _texts(step.get("targets")):
            if target not in targets:
                found.add("undefined_target", below(pointer, index), _missing(target, "target_definitions"))
    known = member(document, "authentication_info_definitions")
    for pointer, parent in _defined(document, ("agent_definitions", "target_definitions")):
        info = parent.get("authentication_info")
        if isinstance(info, str) and info not in known:
            place = below(pointer, "authentication_info")
            found.add("undefined_authentication_info", place, _missing(info, "authentication_info_definitions"))


def _check_markings(document: Mapping[str, Any], found: Findings) -> None:
    markings = member(document, "data_marking_definitions")
    for index, name in _texts(document.get("markings")):
        if name not in markings:
            found.add("undefined_marking", f"/markings/{index}", _missing(name, "data_marking_definitions"))
    for name, marking in markings.items():
        own = marking.get("id") if isinstance(marking, dict) else name
        if isinstance(own, str) and own != name:
            message = f"the 'id' differs from the key {shown(name)}: make them the same"
            found.add("marking_id_differs", below(below("/data_marking_definitions", name), "id"), message)


def _extended(document: Mapping[str, Any], graph: Graph) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Every object that can have extensions, and the member that holds them."""
    yield "", document, "playbook_extensions"
    for name, step in graph.steps.items():
        yield graph.pointer(name), step, "step_extensions"
    for pointer, parent in _defined(document, ("agent_definitions", "target_definitions")):
        yield pointer, parent, "agent_target_extensions"
    for pointer, parent in _defined(document, ("authentication_info_definitions",)):
        yield pointer, parent, "authentication_info_extensions"
    for pointer, parent in _defined(document, ("data_marking_definitions",)):
        yield pointer, parent, "marking_extensions"


def _check_extensions(
    document: Mapping[str, Any], pointer: str, parent: Mapping[str, Any], name: str, found: Findings
) -> None:
    definitions = member(document, "extension_definitions")
    for extension in member(parent, name):
        if extension not in definitions:
            place = below(below(pointer, name), extension)
            found.add("undefined_extension", place, _missing(extension, "extension_definitions"))


def _check_types(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    """Report identifiers whose type differs from what they name."""
    _check_type(document, "", "id", "playbook", found)
    for index, name in _texts(document.get("derived_from")):
        _check_type({index: name}, "/derived_from", index, "playbook", found)
    created = [("", document), *_defined(document, ("extension_definitions", "data_marking_definitions"))]
    for pointer, parent in created:
        _check_type(parent, pointer, "created_by", "identity", found)
    for name, step in graph.steps.items():
        _check_type(step, graph.pointer(name), "owner", "identity", found)
        if step.get("type") == "playbook-action":
            _check_type(step, graph.pointer(name), "playbook_id", "playbook", found)
    for pointer, parent in _defined(document, _DEFINITIONS[:3]):
        prefix, _, _ = pointer.rpartition("/")[2].rpartition("--")
        if prefix and isinstance(parent.get("type"), str) and parent["type"] != prefix:
            message = (
                f"the type is {shown(parent['type'])}, but the key begins with {shown(prefix)}: make them the same"
            )
            found.add("type_differs_from_id", pointer, message)


def _check_type(parent: Mapping[Any, Any], pointer: str, name: Any, wanted: str, found: Findings) -> None:
    value = parent.get(name)
    match = IDENTIFIER.fullmatch(value) if isinstance(value, str) else None
    if match and match[1] != wanted:
        message = f"this names an object of type {shown(match[1])}: write an identifier that begins with '{wanted}--'"
        found.add("wrong_type_of_id", below(pointer, name), message)


def _check_uuids(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    """Report steps without random UUIDs, and UUIDs that two objects share."""
    used: dict[str, str] = {}
    for pointer, name in _identified(document, graph):
        match = IDENTIFIER.fullmatch(name)
        if match is None:
            continue
        if name in graph.steps and match[2][_VERSION_AT] != "4":
            found.add("step_id_not_v4", pointer, f"{shown(name)} is no UUID of version 4: give the step a random UUID")
        if used.setdefault(match[2].lower(), name.lower()) != name.lower():
            message = f"the UUID of {shown(name)} stands for another object too: give one of them a new UUID"
            found.add("uuid_used_twice", pointer, message)


def _identified(document: Mapping[str, Any], graph: Graph) -> Iterator[tuple[str, str]]:
    if isinstance(document.get("id"), str):
        yield "/id", document["id"]
    for name in graph.steps:
        yield graph.pointer(name), name
    for section in _DEFINITIONS:
        for name in member(document, section):
            yield below(f"/{section}", name), str(name)


def _defined(document: Mapping[str, Any], sections: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects in these dictionaries, and their pointers."""
    for section in sections:
        for name, value in member(document, section).items():
            if isinstance(value, dict):
                yield below(f"/{section}", name), value


def _texts(items: Any) -> Iterator[tuple[int, str]]:
    """The texts of a list, and their indexes."""
    if isinstance(items, list):
        yield from ((index, item) for index, item in enumerate(items) if isinstance(item, str))


def _missing(name: Any, section: str) -> str:
    return f"{shown(name)} is not in '{section}': define it there or correct the name"
