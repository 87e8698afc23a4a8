"""Playbooks in: importing what others have written, and what was exported here.

In order: what was sent is recognised; a CACAO document of a draft is brought to the present form; it is
checked and converted; the actions that its steps need are made; the playbook is created or revised, and in the
same transaction the document is kept beside it. Nothing is fetched and nothing carried out. A dry run stops before
anything is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from config.errors import Conflict, Forbidden, InvalidRequest, Problem, Unprocessable
from playbooks import definitions as meaning
from playbooks.cacao import inward, lens
from playbooks.cacao.blocks import TooLarge, listed
from playbooks.cacao.check import check
from playbooks.cacao.drafts import upgraded
from playbooks.cacao.findings import Finding
from playbooks.cacao.identity import digest, identifier
from playbooks.cacao.inward import Converted
from playbooks.cacao.recognise import NotRecognised, recognise
from playbooks.cacao.signatures import verified
from playbooks.places import places
from playbooks.step_types import MAX_STEPS
from store import actions, audit, db, documents, playbooks
from store.access import Caller
from store.playbooks import Playbook
from tasks import catalogue, exporting, library
from tasks.library import Expected

CONFLICTS = ("refuse", "new_id", "replace")
#: different actions that one document may need
MOST_ACTIONS = 500
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How something is to be imported."""

    dry_run: bool = False
    lenient: bool = False
    on_conflict: str = "refuse"
    #: ids that no playbook may have
    reserved: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What has become of what was sent: created, revised or unchanged; ``playbook`` is None in a dry run."""

    definition: Json
    playbook: Playbook | None
    outcome: str
    conformance: str = "valid"
    warnings: list[Finding] = field(default_factory=list)
    unsupported: list[Json] = field(default_factory=list)


def take(caller: Caller, body: Mapping[str, Any], wish: Wish) -> Imported:
    """Import what was sent.

    Raises:
        InvalidRequest: it is nothing that could be imported, or a definition with faults. Unprocessable: a CACAO
        document with faults, each with its pointer. Conflict: there is another one of that id. Forbidden: it needs new
        actions, and the caller may not make them.
    """
    try:
        sent = recognise(body)
    except NotRecognised as error:
        raise InvalidRequest(str(error), code="not_recognised") from error
    wish = _options(sent.options, wish)
    return (
        _take_document(caller, sent.document, wish) if sent.is_cacao else _take_definition(caller, sent.document, wish)
    )


def verdict(caller: Caller, given: Mapping[str, Any]) -> tuple[list[Problem], list[Problem]]:
    """The faults of a CACAO document or a definition, and what is doubtful."""
    try:
        sent = recognise(given)
    except NotRecognised:
        return library.verdict(caller, library.written(given))
    if not sent.is_cacao:
        return library.verdict(caller, library.written(sent.document))
    present, upgrades = upgraded(sent.document)
    found = [*upgrades, *check(present), *verified(sent.document)]
    problems = [(one.error, Problem(one.pointer, one.message)) for one in found]
    return [one for error, one in problems if error], [one for error, one in problems if not error]


def _options(given: Mapping[str, Any], wish: Wish) -> Wish:
    """What the body asks for besides what the query does."""
    problems = [
        Problem(f"/{name}", "must be true or false") for name in ("dry_run", "lenient") if not _flag(given, name)
    ]
    if given.get("on_conflict", "refuse") not in CONFLICTS:
        problems.append(Problem("/on_conflict", f"must be one of {', '.join(CONFLICTS)}"))
    if problems:
        raise InvalidRequest("The options of the import have faults.", problems=problems)
    return Wish(
        dry_run=wish.dry_run or given.get("dry_run", False),
        lenient=wish.lenient or given.get("lenient", False),
        on_conflict=wish.on_conflict if wish.on_conflict != "refuse" else given.get("on_conflict", "refuse"),
        reserved=wish.reserved,
    )


def _flag(given: Mapping[str, Any], name: str) -> bool:
    return isinstance(given.get(name, False), bool)


def _take_definition(caller: Caller, definition: Json, wish: Wish) -> Imported:
    """A playbook in our own form, as it was exported or written."""
    definition = {name: value for name, value in library.written(definition).items() if value is not None}
    problems, warnings = library.verdict(caller, definition)
    if problems:
        raise InvalidRequest("The playbook's definition has faults.", code="invalid_playbook", problems=problems)
    whole = meaning.normalise(definition)
    whole["id"] = whole.get("id") or meaning.slug(whole["name"])
    found = [Finding("doubtful", one.pointer, one.detail, error=False) for one in warnings]
    imported = _keep(caller, Converted(definition=whole), None, wish, Expected())
    return replace(imported, conformance="warnings" if found else "valid", warnings=found)


def _take_document(caller: Caller, document: Json, wish: Wish) -> Imported:
    present, upgrades = upgraded(document)
    found = [*upgrades, *check(present), *verified(document)]
    errors = [one for one in found if one.error]
    if errors and (not wish.lenient or not isinstance(present.get("workflow"), dict)):
        problems = [Problem(one.pointer, one.message) for one in errors]
        text = "The CACAO document has faults; lenient=true imports it as far as it goes."
        raise Unprocessable(text, code="invalid_cacao", problems=problems)
    converted, expected = _converted(caller, present)
    remarks = [Finding(one.code, one.pointer, one.message, error=False) for one in converted.remarks]
    imported = _keep(caller, converted, present, wish, expected)
    by_hand = [{"step_id": one.step_id, "reason": one.message} for one in converted.remarks if one.step_id]
    conformance = "nonconformant" if errors else "warnings" if found else "valid"
    return replace(imported, conformance=conformance, warnings=[*found, *remarks], unsupported=by_hand)


def _converted(caller: Caller, document: Json) -> tuple[Converted, Expected]:
    """The playbook that a document is, with questions to a person for what no action of ours could do."""
    registered = _registered(caller, document)
    try:
        converted = inward.convert(document, now=_now(), registered=registered)
        refused = {
            action_id: "; ".join(problem.detail for problem in problems)
            for action_id, action in converted.actions.items()
            if (problems := catalogue.problems_of(action))
        }
        if refused:
            converted = inward.convert(document, now=_now(), registered=registered, refused=refused)
    except TooLarge as error:
        raise Unprocessable("The document unfolds into too many steps.", code="too_large") from error
    needed = {one: {**action, "enabled": True} for one, action in converted.actions.items()}
    if len(needed) > MOST_ACTIONS:
        raise Unprocessable(f"The document needs more than {MOST_ACTIONS} different actions.", code="too_large")
    found = islice(places(converted.definition), MAX_STEPS)
    others = {str(place.step.get("playbook_ref")) for place in found if place.step.get("type") == "playbook"}
    return converted, Expected(actions=needed, playbooks=frozenset(others))


def _registered(caller: Caller, document: Json) -> dict[str, frozenset[str]]:
    """The actions for types of commands that the workspace has, with the parameters each takes."""
    steps = [one for one in document["workflow"].values() if isinstance(one, dict)]
    lists = [listed(one.get("commands")) for one in steps]
    kinds = {f"cacao.{one.get('type')}" for commands in lists for one in commands if isinstance(one, dict)}
    with db.read() as connection:
        found = actions.definitions(connection, caller.workspace_id, set(sorted(kinds)[:MOST_ACTIONS]))
    return {
        name: frozenset(one["name"] for one in action.revision.definition["parameters"])
        for name, action in found.items()
    }


def _keep(caller: Caller, converted: Converted, document: Json | None, wish: Wish, expected: Expected) -> Imported:
    """Create or revise the playbook, unless it is a dry run."""
    definition = {**converted.definition}
    own = definition["id"] = str(definition.get("id") or (document or {}).get("id"))
    if own in wish.reserved:
        problem = Problem("/id", f"{own!r} is a word of this API's own paths.")
        raise InvalidRequest("The playbook's id cannot be had.", code="invalid_playbook", problems=[problem])
    existing, kept = _existing(caller, own)
    outcome = _outcome(own, existing, kept, definition, document, wish)
    if outcome == "new_id":
        own, outcome = f"{own}-{identifier('x', _now(), caller.key_id)[3:11]}", "created"
        definition["id"] = own
    if wish.dry_run or outcome == "unchanged":
        _refuse_faults(caller, definition, expected)
        return Imported(definition=definition, playbook=None if wish.dry_run else existing, outcome=outcome)
    _ensure(caller, converted.actions)

    def beside(connection: db.Connection, playbook: Playbook) -> None:
        if document is not None:
            kept = documents.Kept(
                revision_id=playbook.revision.id,
                modified=str(document.get("modified")),
                digest=digest(document),
                document=document,
            )
            documents.keep(connection, playbook.uid, kept)
        audit.record(connection, caller.workspace_id, caller.key_id, "playbook.imported", playbook.id)

    if outcome == "created":
        playbook = library.create(caller, definition, expected=expected, beside=beside)
    else:
        given = {name: value for name, value in definition.items() if name != "version"}
        playbook = library.revise(caller, own, given, whole=True, expected=expected, beside=beside)
    shown = {"id": playbook.id, **playbook.revision.definition}
    return Imported(definition=shown, playbook=playbook, outcome=outcome)


def _refuse_faults(caller: Caller, definition: Json, expected: Expected) -> None:
    problems, _ = library.verdict(caller, definition, expected)
    if problems:
        raise InvalidRequest("The playbook's definition has faults.", code="invalid_playbook", problems=problems)


def _existing(caller: Caller, playbook_id: str) -> tuple[Playbook | None, documents.Kept | None]:
    with db.read() as connection:
        if not playbooks.known(connection, caller.workspace_id, [playbook_id]):
            return None, None
        playbook = playbooks.get(connection, caller.workspace_id, playbook_id)
        return playbook, documents.of(connection, playbook.uid)


def _outcome(
    own: str,
    existing: Playbook | None,
    kept: documents.Kept | None,
    definition: Json,
    document: Json | None,
    wish: Wish,
) -> str:
    """created, revised, unchanged or new_id.

    Raises:
        Conflict: another playbook has the id, and nothing was said about that.
    """
    if existing is None:
        return "created"
    if document is not None and kept is not None and kept.digest == digest(document):
        return "unchanged"
    if document is None and lens.content(definition) == lens.content(existing.revision.definition):
        return "unchanged"
    if document is not None and kept is not None and str(document.get("modified")) > kept.modified:
        return "revised"
    if wish.on_conflict == "refuse":
        text = f"There is another playbook {own!r}; on_conflict=replace makes this its next version, new_id keeps both."
        raise Conflict(text, code="already_exists")
    return "new_id" if wish.on_conflict == "new_id" else "revised"


def _ensure(caller: Caller, wanted: Mapping[str, Json]) -> None:
    """Make the actions that are not there yet; the id of each tells its content.

    Raises:
        Forbidden: the caller may not make actions.
    """
    with db.read() as connection:
        there = actions.definitions(connection, caller.workspace_id, set(wanted))
    missing = [action for name, action in wanted.items() if name not in there]
    if missing and not caller.may("write:actions"):
        raise Forbidden(f"The document needs the action {missing[0]['id']}, and the key does not carry write:actions.")
    for action in missing:
        try:
            catalogue.create(caller, action)
        except Conflict as error:
            if error.code != "already_exists":  # made by a concurrent import meanwhile
                raise


def _now() -> str:
    return exporting.stamp(db.now_ms())
