"""Register a collection of actions and playbooks: all of it, or nothing.

The definitions of a collection name each other, so half of one is worth less than none: a playbook without its action
fails when it is needed. In order of time: each definition is compared with the stored one of its id and checked, the
actions before the playbooks, which may name actions and playbooks of the collection; if none has a fault, all changes
are written in one transaction. Another caller's change meanwhile makes that transaction fail as a whole.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.errors import InvalidRequest, Problem
from config.types import Json
from playbooks.definitions import actions as action_meaning
from playbooks.definitions import normalise as playbook_meaning
from playbooks.definitions import parameters, versions
from store.access import Caller
from store.definitions import actions, playbooks
from store.definitions.versioned import Definition
from store.engine import db
from tasks.definitions import actions as catalogue
from tasks.definitions import playbooks as library
from tasks.definitions import versioned
from tasks.definitions.playbooks import Expected
from tasks.definitions.versioned import Change

#: the words for what becomes of a definition
NEW, REVISED, UNCHANGED, REFUSED = "new", "revised", "unchanged", "refused"


@dataclass(kw_only=True)
class Member:
    """A definition of a collection, and what becomes of it."""

    noun: str
    definition: Json
    #: its faults; those that are known beforehand come first
    problems: list[Problem] = field(default_factory=list)
    outcome: str = REFUSED
    #: the version that is stored, and the one that it leads to
    before: str | None = None
    version: str | None = None
    change: Change[Any] | None = None
    #: what the steps that name it may know of it
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id that it names, else the one that is made of its name."""
        slug = {"action": action_meaning.slug, "playbook": playbook_meaning.slug}[self.noun]
        return str(self.definition.get("id") or slug(str(self.definition.get("name", ""))))


def register(caller: Caller, members: Sequence[Member], *, dry_run: bool = False) -> bool:
    """Check every member, and write all changes unless one has a fault.

    The members say what becomes of them. Returns whether none was refused.

    Raises:
        Conflict: another caller changed one meanwhile; nothing was written. Unavailable: the database is away.
    """
    _name_repeated(members)
    of_kind = {noun: [member for member in members if member.noun == noun] for noun in ("action", "playbook")}
    _check_actions(caller, of_kind["action"])
    _check_playbooks(caller, of_kind["playbook"], of_kind["action"])
    if any(member.problems for member in members):
        return False
    # by id, as every other collection: two that are registered at once wait for each other and not crosswise
    changes = [
        member.change
        for members_ in of_kind.values()
        for member in sorted(members_, key=lambda one: one.id)
        if member.change is not None
    ]
    if changes and not dry_run:
        db.change(lambda connection: [change.write(connection) for change in changes])
    return True


def _name_repeated(members: Sequence[Member]) -> None:
    numbers = Counter((member.noun, member.id) for member in members)
    for member in members:
        if numbers[member.noun, member.id] > 1:
            member.problems.append(Problem("/id", f"the collection has another {member.noun} {member.id!r}"))


def _check_actions(caller: Caller, members: Sequence[Member]) -> None:
    with db.read() as connection:
        kept = actions.several(connection, caller.workspace_id, [member.id for member in members])
    for member in members:
        present = kept.get(member.id)
        given = _with_version(member, present)
        try:
            if present is None:
                member.change = catalogue.creation(caller, given)
            else:
                member.change = catalogue.revision(caller, present, given, whole=True)
        except InvalidRequest as error:
            _refuse(member, error)
        else:
            _settle(member, present)


def _check_playbooks(caller: Caller, members: Sequence[Member], performed: Sequence[Member]) -> None:
    with db.read() as connection:
        kept = playbooks.several(connection, caller.workspace_id, [member.id for member in members])
    expected = Expected(
        actions={member.id: member.facts for member in performed},
        playbooks={member.id: _declared(member.definition) for member in members},
        replacing=True,
    )
    for member in members:
        present = kept.get(member.id)
        given = _with_version(member, present)
        try:
            if present is None:
                member.change = library.creation(caller, given, expected=expected)
            else:
                member.change = library.revision(caller, present, given, whole=True, expected=expected)
        except InvalidRequest as error:
            _refuse(member, error)
        else:
            _settle(member, present)


def _with_version(member: Member, present: Definition | None) -> Json:
    """The definition without a version that is not higher than the stored one.

    The version of a changed definition goes up by itself, so a later look at the same definition names a lower one.
    """
    member.before = present.revision.version if present is not None else None
    given = {name: value for name, value in member.definition.items() if value is not None}
    wanted = given.get("version")
    if present is None or not versions.is_version(wanted) or versions.is_higher(str(wanted), str(member.before)):
        return given
    return {name: value for name, value in given.items() if name != "version"}


def _settle(member: Member, present: Definition | None) -> None:
    """Record what an accepted change leads to."""
    change = member.change
    if present is None:
        member.outcome = NEW
    elif change is None or change.definition == versioned.as_kept(present):
        member.outcome, member.change = UNCHANGED, None
    else:
        member.outcome = REVISED
    member.version = str(change.definition["version"]) if change is not None else member.before
    member.facts = change.definition if change is not None else versioned.as_kept(present) if present else {}
    if member.problems:
        member.outcome, member.change = REFUSED, None


def _refuse(member: Member, error: InvalidRequest) -> None:
    member.facts = _declared(member.definition)
    member.problems += [problem for problem in error.problems if problem not in member.problems]
    if not member.problems:
        member.problems.append(Problem("", str(error)))


def _declared(definition: Json) -> Json:
    """The parameters that a definition declares, if they are sound."""
    declared = playbook_meaning.normalise({"parameters": definition.get("parameters")})["parameters"]
    return {} if parameters.check_definitions(declared) else {"parameters": declared}
