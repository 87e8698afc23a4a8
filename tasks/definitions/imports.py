"""Import playbooks: CACAO documents of other tools, and Tocsin's own exports.

In order of time: the form of the body is recognised; a CACAO document of a draft is brought to the present form; it is
checked and converted; then ``import_conflicts`` stores it. Nothing is fetched and nothing carried out. A dry run stops
before anything is created.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from cacao.model.findings import Finding
from cacao.reading import importer
from cacao.reading.blocks import TooLarge, listed
from cacao.reading.detect import NotRecognised, recognise
from cacao.reading.examine import BROKEN, examined
from cacao.reading.importer import Converted
from config.errors import InvalidRequest, Problem, Unprocessable
from config.types import Json
from playbooks.checks.size import size
from playbooks.definitions import normalise as meaning
from playbooks.definitions.places import places
from playbooks.definitions.step_types import MAX_STEPS
from store.access import Caller
from store.definitions import actions
from store.engine import db
from tasks.definitions import actions as catalogue
from tasks.definitions import exports, import_conflicts, playbooks
from tasks.definitions.import_conflicts import Imported, ImportOptions
from tasks.definitions.playbooks import Alongside, Expected
from tasks.offload import pool

CONFLICTS = ("refuse", "new_id", "replace")
#: different actions that one document may need
MOST_ACTIONS = 500


def import_playbook(
    caller: Caller, body: Mapping[str, Any], options: ImportOptions, alongside: Alongside = playbooks.nothing
) -> Imported:
    """Import the playbook in a body, and write more ``alongside`` it.

    Raises:
        InvalidRequest: the body is not recognised, or is a definition with faults. Unprocessable: a CACAO
        document with faults, each with its pointer. Conflict: there is another one of that id. Forbidden: it needs new
        actions, and the caller may not make them.
    """
    try:
        sent = recognise(body)
    except NotRecognised as error:
        raise InvalidRequest(str(error), code="not_recognised") from error
    options = _options_of(sent.options, options)
    return (
        _take_document(caller, sent.document, options, alongside)
        if sent.is_cacao
        else _take_definition(caller, sent.document, options, alongside)
    )


def validate(caller: Caller, given: Mapping[str, Any]) -> tuple[list[Problem], list[Problem]]:
    """The faults and the warnings of a CACAO document or a definition."""
    try:
        sent = recognise(given)
    except NotRecognised:
        return playbooks.validate(caller, playbooks.written(given))
    if not sent.is_cacao:
        return playbooks.validate(caller, playbooks.written(sent.document))
    counted = size(sent.document)
    if counted.fault:
        return [Problem("", counted.fault)], []
    _, found = pool.way(counted.milliseconds)(examined, sent.document, exports.now())
    problems = [(one.error, Problem(one.pointer, one.message)) for one in found]
    return [one for error, one in problems if error], [one for error, one in problems if not error]


def _options_of(given: Mapping[str, Any], options: ImportOptions) -> ImportOptions:
    """The options of the body and the query together."""
    problems = [
        Problem(f"/{name}", "must be true or false") for name in ("dry_run", "lenient") if not _flag(given, name)
    ]
    if given.get("on_conflict", "refuse") not in CONFLICTS:
        problems.append(Problem("/on_conflict", f"must be one of {', '.join(CONFLICTS)}"))
    if problems:
        raise InvalidRequest("The options of the import have faults.", problems=problems)
    return ImportOptions(
        dry_run=options.dry_run or given.get("dry_run", False),
        lenient=options.lenient or given.get("lenient", False),
        on_conflict=options.on_conflict if options.on_conflict != "refuse" else given.get("on_conflict", "refuse"),
        reserved=options.reserved,
    )


def _flag(given: Mapping[str, Any], name: str) -> bool:
    return isinstance(given.get(name, False), bool)


def _take_definition(caller: Caller, definition: Json, options: ImportOptions, alongside: Alongside) -> Imported:
    """Import a playbook in Tocsin's own form, exported or written by hand."""
    definition = {name: value for name, value in playbooks.written(definition).items() if value is not None}
    problems, warnings = playbooks.validate(caller, definition)
    if problems:
        raise InvalidRequest("The playbook's definition has faults.", code="invalid_playbook", problems=problems)
    whole = meaning.normalise(definition)
    whole["id"] = whole.get("id") or meaning.slug(whole["name"])
    found = [Finding("doubtful", one.pointer, one.detail, error=False) for one in warnings]
    imported = import_conflicts.keep(caller, Converted(definition=whole), None, options, Expected(), alongside)
    return replace(imported, conformance="warnings" if found else "valid", warnings=found)


def _take_document(caller: Caller, document: Json, options: ImportOptions, alongside: Alongside) -> Imported:
    counted = size(document)
    if counted.fault:
        raise Unprocessable(counted.fault, code="too_large")
    way = pool.way(counted.milliseconds)
    present, found = way(examined, document, exports.now())
    errors = [one for one in found if one.error]
    if errors and not (
        options.lenient and isinstance(present.get("workflow"), dict) and isinstance(present.get("id"), str)
    ):
        problems = [Problem(one.pointer, one.message) for one in errors]
        text = (
            "The CACAO document has faults; lenient=true imports one that has an id and a workflow as far as it goes."
        )
        raise Unprocessable(text, code="invalid_cacao", problems=problems)
    converted, expected = _converted(caller, present, way)
    if any(one.code in BROKEN for one in errors):
        converted = replace(converted, definition={**converted.definition, "enabled": False}, stuck=True)
    remarks = [Finding(one.code, one.pointer, one.message, error=False) for one in converted.remarks]
    imported = import_conflicts.keep(caller, converted, present, options, expected, alongside)
    by_hand = [{"step_id": one.step_id, "reason": one.message} for one in converted.remarks if one.step_id]
    conformance = "nonconformant" if errors else "warnings" if found else "valid"
    warnings = [*found, *remarks, *imported.warnings]
    return replace(imported, conformance=conformance, warnings=warnings, unsupported=by_hand)


def _converted(caller: Caller, document: Json, way: Callable[..., Any]) -> tuple[Converted, Expected]:
    """The playbook of a document; commands without an action become approvals."""
    registered = _registered(caller, document)
    try:
        converted: Converted = way(importer.convert, document, now=exports.now(), registered=registered)
        _bounded(converted.actions)
        refused = {
            action_id: "; ".join(problem.detail for problem in problems)
            for action_id, action in converted.actions.items()
            if (problems := catalogue.problems_of(action))
        }
        if refused:
            converted = way(importer.convert, document, now=exports.now(), registered=registered, refused=refused)
    except TooLarge as error:
        raise Unprocessable("The document unfolds into too many steps.", code="too_large") from error
    needed = {one: {**action, "enabled": True} for one, action in converted.actions.items()}
    _bounded(needed)
    found = islice(places(converted.definition), MAX_STEPS)
    others = {str(place.step.get("playbook_ref")) for place in found if place.step.get("type") == "playbook"}
    return converted, Expected(actions=needed, playbooks={name: {} for name in others})


def _bounded(needed: Mapping[str, Json]) -> None:
    if len(needed) > MOST_ACTIONS:
        raise Unprocessable(f"The document needs more than {MOST_ACTIONS} different actions.", code="too_large")


def _registered(caller: Caller, document: Json) -> dict[str, frozenset[str]]:
    """The actions of the workspace for types of commands."""
    steps = [one for one in document["workflow"].values() if isinstance(one, dict)]
    lists = [listed(one.get("commands")) for one in steps]
    kinds = {f"cacao.{one.get('type')}" for commands in lists for one in commands if isinstance(one, dict)}
    with db.read() as connection:
        found = actions.several(connection, caller.workspace_id, set(sorted(kinds)[:MOST_ACTIONS]))
    return {
        name: frozenset(one["name"] for one in action.revision.definition["parameters"])
        for name, action in found.items()
    }
