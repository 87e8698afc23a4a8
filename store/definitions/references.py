"""The actions and playbooks that the steps of each playbook name.

They are written in the transaction that gives a playbook its present revision, and go with the playbook. So an index
finds the users of an action, however many playbooks there are and however large they are. Only present revisions count:
a run keeps what it has pinned.

Who writes a playbook holds what it names, who deletes or disables something locks it first and then looks for users. So
whichever comes second sees what the first has written.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from playbooks.definitions.places import places
from store.engine.db import Connection, metadata

references = sa.Table(
    "playbook_references",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    #: what is named: an action or a playbook
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    #: the playbook that names it
    sa.Column("playbook_id", sa.Text, primary_key=True),
    #: the first steps that name it, as JSON: pointer and id of each
    sa.Column("places", sa.Text, nullable=False),
    sa.Index("ix_playbook_references_playbook", "workspace_id", "playbook_id"),
)

#: kind → the member of a step that names one
MEMBERS = {"action": "action_ref", "playbook": "playbook_ref"}
#: what an ``action_ref`` begins with that names a provider of the gateway
_PROVIDER = "provider:"
#: steps of one playbook that are kept for each thing they name
MOST_PLACES = 20
#: ids in one query
_MOST_HELD = 500


class Naming(NamedTuple):
    """A step names an action, a provider or a playbook, in the member at ``pointer``."""

    noun: str
    name: str
    pointer: str
    step_id: str


def namings(definition: Mapping[str, Any]) -> Iterator[Naming]:
    """Every naming in a definition, in reading order."""
    for place in places(definition):
        kind = str(place.step.get("type"))
        member = MEMBERS.get(kind)
        if member is not None:
            name = str(place.step[member])
            noun = "provider" if name.startswith(_PROVIDER) else kind
            yield Naming(noun, name, f"{place.pointer}/{member}", str(place.step["id"]))
        elif kind == "approval" and "notify" in place.step:
            name = f"{_PROVIDER}{place.step['notify']}"
            yield Naming("provider", name, f"{place.pointer}/notify", str(place.step["id"]))


def record(db: Connection, workspace_id: str, playbook_id: str, definition: Mapping[str, Any]) -> None:
    """Replace what is recorded of a playbook by what this definition names."""
    forget(db, workspace_id, playbook_id)
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one in namings(definition):
        kept = found.setdefault((one.noun, one.name), [])
        if len(kept) < MOST_PLACES:
            kept.append((one.pointer, one.step_id))
    own = {"workspace_id": workspace_id, "playbook_id": playbook_id}
    rows = [{**own, "kind": kind, "name": name, "places": json.dumps(kept)} for (kind, name), kept in found.items()]
    if rows:
        db.execute(sa.insert(references), rows)


def forget(db: Connection, workspace_id: str, playbook_id: str) -> None:
    """Remove what is recorded of a playbook."""
    mine = sa.and_(references.c.workspace_id == workspace_id, references.c.playbook_id == playbook_id)
    db.execute(sa.delete(references).where(mine))


def lock(db: Connection, heads: sa.Table, workspace_id: str, name: str) -> bool:
    """Keep a definition from being held by another transaction until this one ends.

    False if there is none of that id.
    """
    mine = sa.and_(heads.c.workspace_id == workspace_id, heads.c.id == name)
    return db.execute(sa.select(heads.c.id).where(mine).with_for_update()).first() is not None


def hold(db: Connection, heads: sa.Table, workspace_id: str, wanted: Iterable[str]) -> set[str]:
    """Keep the definitions wanted from being locked until this transaction ends.

    Returns those that exist. Several transactions may hold one.
    """
    found, ids = set(), sorted(set(wanted))
    for start in range(0, len(ids), _MOST_HELD):
        mine = sa.and_(heads.c.workspace_id == workspace_id, heads.c.id.in_(ids[start : start + _MOST_HELD]))
        query = sa.select(heads.c.id).where(mine).order_by(heads.c.id)
        found |= {row.id for row in db.execute(query.with_for_update(read=True, key_share=True))}
    return found
