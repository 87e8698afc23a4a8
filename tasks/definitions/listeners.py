"""Whether a playbook listens for what Tocsin emits itself.

It is looked up at most every two seconds for each workspace, so that a workspace in which no playbook listens pays
nothing for it.
"""

import time
from collections.abc import Mapping
from typing import Any

from config.errors import Unavailable
from playbooks.definitions.events import EMITTED, may_follow, names
from playbooks.states import Mode
from store.definitions import playbooks
from store.engine import db
from store.engine.db import Connection

#: how long a look-up of listening playbooks is used, seconds
FRESH = 2.0

#: the names and wildcards of triggers by which a playbook may listen
_TRIGGERS = tuple(sorted({name for event in EMITTED for name in names(event)}))
#: workspace → until when the look-up is used, and the events for which a playbook listens
_remembered: dict[str, tuple[float, frozenset[str]]] = {}


def awaited(workspace_id: str, connection: Connection | None = None) -> frozenset[str]:
    """The events that Tocsin emits and a playbook of the workspace listens for.

    Who holds a ``connection`` gives it: it is looked up over that one.
    """
    asked, (until, known) = time.monotonic(), _remembered.get(workspace_id, (0.0, frozenset[str]()))
    if asked < until:
        return known
    try:
        if connection is not None:
            found = playbooks.awaited(connection, workspace_id, _TRIGGERS)
        else:
            found = db.read_one(playbooks.awaited, workspace_id, _TRIGGERS)
    except Unavailable:
        return frozenset(EMITTED)  # a needless mark does no harm
    known = frozenset(event for event in EMITTED if found.intersection(names(event)))
    _remembered[workspace_id] = asked + FRESH, known
    return known


def source(context: Mapping[str, Any]) -> str | None:
    """The event that has led to a run, from its context.

    A run may be in the place of a step of another one: then it is that one's event.
    """
    own: Mapping[str, Any] | None = context["event"]
    led_by: str | None = own["event"] if own else context.get("led_by")
    return led_by


def emits(
    workspace_id: str,
    mode: str,
    event: str,
    before: str | None = None,
    connection: Connection | None = None,
) -> bool:
    """Whether an event is to be announced; ``before`` is the one that has led to it, if one has."""
    awaits = mode == Mode.LIVE and event in awaited(workspace_id, connection)
    return awaits and may_follow(event, before)


def ends(
    workspace_id: str,
    mode: str,
    parent_id: str | None,
    before: str | None,
    connection: Connection | None = None,
) -> frozenset[str]:
    """The ends of a run that are to be announced; none of a run that a step has started."""
    if mode != Mode.LIVE or parent_id is not None:
        return frozenset()
    return frozenset(event for event in awaited(workspace_id, connection) if may_follow(event, before))
