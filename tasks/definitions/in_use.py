"""Whether playbooks need an action or a playbook.

In order of time, in one transaction: the definition is locked, the playbooks that name it are looked up, and a deletion
or a switch-off that would break one of them is refused, unless the caller forces it. A playbook that is written at the
same moment holds what it names (``hold``): either it is found here, or it finds out itself that the definition is gone.
"""

import functools
import json
from collections.abc import Collection, Mapping
from typing import Any

from config import times
from config.errors import Conflict, InUse, Problem
from playbooks.definitions.events import MANUAL, SCHEDULE
from store.access import Caller
from store.definitions import actions, playbooks, references
from store.engine import db
from store.engine.db import Connection, Row

#: users that a refusal names in its body, and in its sentence
MOST_USERS, MOST_SAID = 50, 5
#: playbooks written by the release before whose references are recorded in one transaction
BATCH = 100

_HEADS = {"action": actions.actions, "playbook": playbooks.playbooks}


def refuse(connection: Connection, caller: Caller, noun: str, name: str, *, verb: str, force: bool) -> dict[str, Any]:
    """Refuse to take away what playbooks need.

    ``verb`` says what the caller wants. With ``force`` the result is what the audit trail notes: the users.

    Raises:
        InUse: playbooks name it.
    """
    if not references.lock(connection, _HEADS[noun], caller.workspace_id, name):
        return {}
    playbooks.record_references(connection, caller.workspace_id, BATCH)
    found = playbooks.users(connection, caller.workspace_id, noun, name, MOST_USERS + 1)
    if not found:
        return {}
    if force:
        return {"forced": True, "used_by": [row.id for row in found[:MOST_USERS]]}
    raise _in_use(noun, name, verb, found)


def catch_up(caller: Caller) -> None:
    """Record what the playbooks name that the release before has written."""
    some = functools.partial(playbooks.record_references, workspace_id=caller.workspace_id, limit=BATCH)
    while db.change(some) == BATCH:
        pass


def hold(
    connection: Connection, caller: Caller, definition: Mapping[str, Any], awaited: Collection[str] = frozenset()
) -> None:
    """Keep what a playbook names until it is written.

    ``awaited`` are playbooks that need not exist yet.

    Raises:
        Conflict: something that it names was deleted after the definition was checked.
    """
    namings = list(references.namings(definition))
    for noun, heads in _HEADS.items():
        wanted = {one.name for one in namings if one.noun == noun}
        gone = wanted - references.hold(connection, heads, caller.workspace_id, wanted) - set(awaited)
        if gone:
            problems = [Problem(one.pointer, f"the {noun} {one.name!r} is gone") for one in namings if one.name in gone]
            raise Conflict("The playbook names what was deleted meanwhile.", code="changed", problems=problems)


def _in_use(noun: str, name: str, verb: str, found: list[Row]) -> InUse:
    users = [_user(row) for row in found[:MOST_USERS]]
    said = [_words(user) for user in users[:MOST_SAID]]
    more = f", and {'more than ' if len(found) > MOST_USERS else ''}{len(users) - len(said)} others"
    text = f"The {noun} {name!r} is in use: {'; '.join(said)}{more if len(users) > len(said) else ''}. "
    return InUse(f"{text}Change these playbooks first, or {verb} it all the same with ?force=true.", used_by=users)


def _user(row: Row) -> dict[str, Any]:
    return {
        "playbook_id": row.id,
        "name": row.name,
        "enabled": bool(row.enabled),
        "trigger": row.trigger_event,
        "scheduled": row.trigger_event == SCHEDULE,
        "next_run_at": None if row.fire_at is None else times.stamp(row.fire_at),
        "steps": [{"pointer": pointer, "step_id": step_id} for pointer, step_id in json.loads(row.places)],
    }


def _words(user: Mapping[str, Any]) -> str:
    steps = ", ".join(repr(step["step_id"]) for step in user["steps"][:MOST_SAID])
    states = [] if user["enabled"] else ["disabled"]
    if user["trigger"] != MANUAL:
        when = f", next at {user['next_run_at']}" if user["next_run_at"] else ""
        states.append(f"runs on a schedule{when}" if user["scheduled"] else f"starts on {user['trigger']}")
    about = f" ({'; '.join(states)})" if states else ""
    return f"the playbook {user['playbook_id']!r}{about} in step {steps}"
