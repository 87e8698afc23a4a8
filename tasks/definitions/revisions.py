"""A cache of revisions, which never change once masked."""

import functools
import time

from config.errors import Unavailable
from config.settings import settings
from event_loop import waiting
from playbooks import plan
from playbooks.plan import Plan
from playbooks.widths import Widths
from store.definitions import actions, playbooks
from store.definitions.actions import Revision
from store.engine import db


class _NotLasting(Exception):  # noqa: N818
    """Carries a revision past the cache."""


@functools.lru_cache(maxsize=1024)
def _lasting(revision_id: str) -> Revision:
    with db.read() as connection:
        revision = actions.revision(connection, revision_id)
    if not revision.lasting:
        raise _NotLasting(revision)
    return revision


def action(revision_id: str) -> Revision:
    """A revision of an action."""
    try:
        return _lasting(revision_id)
    except _NotLasting as passing:
        found: Revision = passing.args[0]
        return found


@functools.lru_cache(maxsize=256)
def playbook(revision_id: str) -> tuple[playbooks.Revision, Plan]:
    """A revision of a playbook, with its plan."""
    with db.read() as connection:
        revision = playbooks.revision(connection, revision_id)
    return revision, plan.compile(revision.definition)


@functools.lru_cache(maxsize=256)
def widths(revision_id: str, whole: int) -> Widths:
    """The share of ``whole`` that each block may have under way."""
    return Widths(playbook(revision_id)[1], whole)


def action_with_patience(revision_id: str) -> Revision:
    """The revision of an action, even after an outage."""
    give_up = time.monotonic() + settings().lease_seconds
    while True:
        try:
            return action(revision_id)
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            waiting.sleep(0.5)
