"""Ids that senders give to their dispatches: each makes a dispatch repeatable.

A dispatch that is sent again under the same id is answered with the outcome of the first; one that differs is refused.
A replay has no such id: the record that it does again is its key, for every caller. A throttled one leaves no trace:
to be sent again, under the same id, is what its answer asks for.
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


#: tenant, sender and key of what is made once; the sender is "" of a replay, which is anybody's
Key = tuple[str, str, str]
Known = Mapping[Key, Any]


def key_of(asked: Asked) -> Key | None:
    """The key under which a dispatch is made once; None for one that may be made again."""
    this = asked.dispatch
    if asked.replays is not None:
        return this.tenant, "", asked.replays.key
    return None if this.id is None else (this.tenant, asked.caller.key_id, _PREFIX + this.id)


def earlier(asked: Sequence[Asked]) -> Known:
    """What was accepted before, by key.

    Raises:
        Unavailable: the database is away.
    """
    keys = [key for one in asked if (key := key_of(one)) is not None]
    if not keys:
        return {}
    with db.read() as connection:
        return read(connection, keys)


def read(connection: Connection, keys: Sequence[Key]) -> Known:
    """What was made under these keys."""
    found = dict[Key, Any]()
    for tenant, actor in {key[:2] for key in keys}:
        mine = [key for *whose, key in keys if whose == [tenant, actor]]
        made = idempotency.earlier_of(connection, tenant, actor or idempotency.ANY_CALLER, mine)
        found |= {(tenant, actor, key): row for key, row in made.items()}
    return found


def replayed(known: Known, asked: Asked) -> Earlier | None:
    """What an earlier copy of a dispatch has made.

    Raises:
        Conflict: its id was used for another dispatch.
    """
    key = key_of(asked)
    row = known.get(key) if key is not None else None
    if row is None:
        return None
    if asked.replays is None and not idempotency.is_same(row, _parts(asked)):
        raise _other(asked)
    return Earlier(row.execution_id, _read(row.outcome, asked))


def refuse_other(first: Asked, asked: Asked) -> None:
    """Refuse a dispatch whose id another dispatch of the same batch has.

    Raises:
        Conflict: they differ.
    """
    if asked.replays is None and _parts(first) != _parts(asked):
        raise _other(asked)


def remember(connection: Connection, asked: Asked, subject: str, outcome: Outcome | None) -> None:
    """Store what a dispatch with an id has made.

    Raises:
        IntegrityError: a concurrent copy was faster.
    """
    if isinstance(outcome, Throttled):
        return
    tenant, actor = asked.dispatch.tenant, asked.caller.key_id
    if asked.replays is not None:
        idempotency.remember_replay(connection, tenant, actor, asked.replays, made=subject, outcome=_written(outcome))
        return
    idempotency.remember(
        connection,
        tenant,
        actor,
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
        if row is None or row.status != approvals.PENDING:
            return None
        mine = asked.replays is None or row.requested_by == asked.caller.key_id
        return notices.outcome(row, asked.caller.key_id if mine else None)  # its links stand for who has asked
    made: Outcome = getattr(outcomes, members.pop("kind"))(**members)
    return made
