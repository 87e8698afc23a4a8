"""Store an imported playbook, revise an earlier import, or refuse it.

In order of time: the playbook of the same id and the document that was sent decide; a definition with faults is refused
before anything is created; the actions that its steps need are created; the playbook is created or revised, and the
document is stored in the same transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cacao.model.findings import Finding
from cacao.model.identity import fingerprint, identifier, is_fingerprint
from cacao.model.values import moment
from cacao.reading.importer import Converted
from cacao.writing import update
from config.errors import Conflict, Forbidden, InvalidRequest, Problem
from config.types import Json
from playbooks.definitions import normalise as meaning
from store import audit
from store.access import Caller
from store.definitions import actions, documents, playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from tasks.definitions import actions as catalogue
from tasks.definitions import exports
from tasks.definitions import playbooks as library
from tasks.definitions.playbooks import Alongside, Expected


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """The options of an import."""

    dry_run: bool = False
    lenient: bool = False
    on_conflict: str = "refuse"
    #: ids that no playbook may have
    reserved: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The result of an import: created, revised or unchanged.

    ``playbook`` is None in a dry run.
    """

    definition: Json
    playbook: Playbook | None
    outcome: str
    conformance: str = "valid"
    warnings: list[Finding] = field(default_factory=list)
    unsupported: list[Json] = field(default_factory=list)


def keep(
    caller: Caller,
    converted: Converted,
    document: Json | None,
    options: ImportOptions,
    expected: Expected,
    alongside: Alongside,
) -> Imported:
    """Create or revise the playbook, unless it is a dry run, and write more ``alongside`` it."""
    definition = {**converted.definition}
    if not definition.get("id"):  # the document may have been changed after its export
        definition["id"] = str((document or {}).get("id") or meaning.slug(definition["name"]))
    own = str(definition["id"])
    if own in options.reserved:
        problem = Problem("/id", f"{own!r} is a word of this API's own paths.")
        raise InvalidRequest("The playbook's id cannot be had.", code="invalid_playbook", problems=[problem])
    existing = _existing(caller, own)
    outcome = _outcome(caller, existing, definition, document, options)
    if outcome == "new_id":
        definition["id"], document, existing, outcome = *_copied(caller, own, document), None, "created"
    _refuse_faults(caller, definition, expected)
    others = _others(caller, converted.actions)
    definition["enabled"] = definition["enabled"] and not others
    imported = Imported(definition=definition, playbook=None, outcome=outcome, warnings=others)
    if options.dry_run:
        return imported
    if existing is not None and outcome == "unchanged":
        return replace(imported, playbook=existing.playbook)
    library.refuse_untriggerable(caller, definition)
    _ensure(caller, converted.actions)
    try:
        playbook = _written(caller, definition, document, expected, alongside, new=existing is None)
    except Conflict:
        if existing is not None or _existing(caller, definition["id"]) is None:
            raise
        return keep(caller, converted, document, options, expected, alongside)  # another caller has just imported it
    return replace(imported, definition={"id": playbook.id, **playbook.revision.definition}, playbook=playbook)


def _written(
    caller: Caller,
    definition: Json,
    document: Json | None,
    expected: Expected,
    alongside: Alongside,
    *,
    new: bool,
) -> Playbook:
    def keep_document(connection: db.Connection, playbook: Playbook) -> None:
        if document is not None:
            kept = documents.ImportedDocument(
                revision_id=playbook.revision.id,
                modified=str(document.get("modified")),
                digest=fingerprint(document),
                document=document,
            )
            documents.keep(connection, caller.workspace_id, playbook.uid, kept)
        audit.record(connection, caller.workspace_id, caller.key_id, "playbook.imported", playbook.id)
        alongside(connection, playbook)

    if new:
        return library.create(caller, definition, expected=expected, alongside=keep_document)
    given = {name: value for name, value in definition.items() if name != "version"}
    return library.revise(caller, definition["id"], given, whole=True, expected=expected, alongside=keep_document)


def _copied(caller: Caller, own: str, document: Json | None) -> tuple[str, Json | None]:
    """Give the playbook and its document another id, which voids signatures."""
    copy = identifier("playbook", own, exports.now(), caller.key_id)
    if document is None:
        return f"{own[:50]}-{copy[10:18]}", None
    kept = {key: value for key, value in document.items() if key != "signatures"}
    return copy, {**kept, "id": copy, "derived_from": [own]}


def _refuse_faults(caller: Caller, definition: Json, expected: Expected) -> None:
    problems, _ = library.validate(caller, definition, expected)
    if problems:
        raise InvalidRequest("The playbook's definition has faults.", code="invalid_playbook", problems=problems)


@dataclass(frozen=True)
class _Existing:
    """The playbook of the id, and the document that it came from."""

    playbook: Playbook
    kept: documents.ImportedDocument | None
    before: Json | None

    def changed_here(self) -> bool:
        """Whether the playbook was changed after its import."""
        return self.before is None or update.content(self.before) != update.content(self.playbook.revision.definition)


def _existing(caller: Caller, playbook_id: str) -> _Existing | None:
    with db.read() as connection:
        if not playbooks.heads(connection, caller.workspace_id, [playbook_id]):
            return None
        playbook = playbooks.get(connection, caller.workspace_id, playbook_id)
        kept = documents.of(connection, caller.workspace_id, playbook.uid)
        before = playbooks.revision(connection, kept.revision_id) if kept is not None else None
    return _Existing(playbook, kept, dict(before.definition) if before is not None else None)


def _outcome(
    caller: Caller, existing: _Existing | None, definition: Json, document: Json | None, options: ImportOptions
) -> str:
    """created, revised, unchanged or new_id.

    Raises:
        Conflict: another playbook has the id, or it was changed here, and the options do not allow for that.
    """
    if existing is None:
        return "created"
    kept = existing.kept
    if document is not None and kept is not None and is_fingerprint(kept.digest, document):
        return "unchanged"
    if (document is None or kept is None) and update.content(definition) == update.content(
        existing.playbook.revision.definition
    ):
        return "unchanged"
    if document is not None and kept is not None and exports.is_own(caller, existing.playbook, document):
        return "unchanged"
    if document is not None and kept is not None and _is_later(document, kept) and not existing.changed_here():
        return "revised"
    if options.on_conflict == "refuse":
        text = f"There is another playbook {existing.playbook.id!r}, or it was changed here since it was imported; "
        text += "on_conflict=replace makes this its next version, new_id keeps both."
        raise Conflict(text, code="already_exists")
    return "new_id" if options.on_conflict == "new_id" else "revised"


def _is_later(document: Json, kept: documents.ImportedDocument) -> bool:
    """Whether a document is later than the imported one.

    One without a time is not.
    """
    given, known = moment(str(document.get("modified"))), moment(kept.modified)
    return given is not None and known is not None and given > known


def _others(caller: Caller, wanted: Mapping[str, Json]) -> list[Finding]:
    """A warning for each needed action that exists and differs."""
    with db.read() as connection:
        there = actions.several(connection, caller.workspace_id, set(wanted))
    text = "was changed here and does not do what the document says: look at it, then enable the playbook."
    return [
        Finding("action_changed", "", f"The action {name} {text}", error=False)
        for name, action in there.items()
        if not catalogue.does(caller, action, wanted[name])
    ]


def _ensure(caller: Caller, wanted: Mapping[str, Json]) -> None:
    """Create the missing actions, whose ids are made from their content.

    Raises:
        Forbidden: the caller may not make actions.
    """
    with db.read() as connection:
        there = actions.several(connection, caller.workspace_id, set(wanted))
    missing = [action for name, action in wanted.items() if name not in there]
    if missing and not caller.may("write:actions"):
        raise Forbidden(f"The document needs the action {missing[0]['id']}, and the key does not carry write:actions.")
    for action in missing:
        try:
            catalogue.create(caller, action)
        except Conflict as error:
            if error.code != "already_exists":  # made by a concurrent import meanwhile
                raise
