"""Ids that senders give to their dispatches: each makes a dispatch repeatable.

A dispatch that is sent again under the same id is answered with the outcome of the first; one that differs is refused.
A throttled one leaves no trace: to be sent again, under the same id, is what its answer asks for.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from config.errors import Conflict
from gateway import outcomes
from gateway.outcomes import Outcome, PendingApproval, Throttled
from store.engine import db
from store.engine.db import Connection
from store.gateway import approvals
from tasks.intake import idempotency, notices
from tasks.intake.dispatches.rows import Asked

#: what ids of dispatches begin with among the keys of a caller
_PREFIX = "dispatch" + idempotency.SEPARATOR


class Earlier(NamedTuple):
    """What a dispatch under the same id has made."""

    subject: str
    outcome: Outcome | None


Known = Mapping[tuple[str, str, str], Any]


def earlier(asked: Sequence[Asked]) -> Known:
    """What was accepted before, by tenant, sender and id.

    Raises:
        Unavailable: the database is away.
    """
    named = [one for one in asked if one.dispatch.id is not None]
    found = dict[tuple[str, str, str], Any]()
    if not named:
        return found
    with db.read() as connection:
        return _earlier(connection, named)


def _earlier(connection: Connection, named: Sequence[Asked]) -> Known:
    found = {}
    for tenant, actor in {(one.dispatch.tenant, one.caller.key_id) for one in named}:
        keys = [
            _PREFIX + str(one.dispatch.id)
            for one in named
            if (one.dispatch.tenant, one.caller.key_id) == (tenant, actor)
        ]
        for key, row in idempotency.earlier_of(connection, tenant, actor, keys).items():
            found[tenant, actor, key.removeprefix(_PREFIX)] = row
    return found


def replayed(known: Known, asked: Asked) -> Earlier | None:
    """What an earlier copy of a dispatch has made.

    Raises:
        Conflict: its id was used for another dispatch.
    """
    row = known.get((asked.dispatch.tenant, asked.caller.key_id, asked.dispatch.id or ""))
    if row is None:
        return None
    if not idempotency.is_same(row, _parts(asked)):
        raise _other(asked)
    return Earlier(row.execution_id, _read(row.outcome, asked))


def refuse_other(first: Asked, asked: Asked) -> None:
    """Refuse a dispatch whose id another dispatch of the same batch has.

    Raises:
        Conflict: they differ.
    """
    if _parts(first) != _parts(asked):
        raise _other(asked)


def remember(connection: Connection, asked: Asked, subject: str, outcome: Outcome | None) -> None:
    """Store what a dispatch with an id has made.

    Raises:
        IntegrityError: a concurrent copy was faster.
    """
    if isinstance(outcome, Throttled):
        return
    idempotency.remember(
        connection,
        asked.dispatch.tenant,
        asked.caller.key_id,
        _PREFIX + str(asked.dispatch.id),
        _parts(asked),
        execution_id=subject,
        created_at=db.now_ms(),
        outcome=_written(outcome),
    )


def _other(asked: Asked) -> Conflict:
    return Conflict(
        f"The id {asked.dispatch.id!r} was used for a different dispatch; take a new one.", code="id_reused"
    )


def _parts(asked: Asked) -> list[Any]:
    return ["dispatch", asked.dispatch.members()]


def _written(outcome: Outcome | None) -> str | None:
    if isinstance(outcome, PendingApproval):  # its links are made again: they let their reader decide
        return json.dumps({"kind": type(outcome).__name__, "approval_id": outcome.approval_id})
    return None if outcome is None else json.dumps({"kind": type(outcome).__name__, **dataclasses.asdict(outcome)})


def _read(text: str | None, asked: Asked) -> Outcome | None:
    """The first outcome; None where the end of the execution is the outcome, or has become it."""
    if text is None:
        return None
    members = json.loads(text)
    if members["kind"] == PendingApproval.__name__:
        row = db.read_one(approvals.read, members["approval_id"])
        pending = row is not None and row.status == approvals.PENDING
        return notices.outcome(row, asked.caller.key_id) if pending else None
    made: Outcome = getattr(outcomes, members.pop("kind"))(**members)
    return made
