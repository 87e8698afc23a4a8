"""Make the checks of a verdict: what rules must remember, exactly.

``make`` runs in the transaction that accepts the execution (of a step: in a small one of its own, right before the
call), so that what lets an execution through and the execution itself are there together or not at all. A window that
is full stays full until it ends: the process that has learned so answers alone until then (``full``, ``learn``).

A key may be freed at any moment, so the database is asked about each duplicate. But it needs no lock of the row: a
process that has lately found the key held reads it first, and takes it only where it is free.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.verdicts import Check, Deduplicate, Throttle
from store.engine import db
from store.engine.db import Connection
from store.engine.savepoints import undoable
from store.gateway import dedup, throttles

#: full windows, and held keys, that a process remembers at most
MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Passed:
    """All checks let the execution through, at once or at its slot.

    ``at`` is the slot, ms; None: now.
    """

    at: int | None = None


@dataclass(frozen=True)
class Refused:
    """One check does not let the execution through.

    ``of`` is the equal execution that did go out; ``until`` (ms) is when it is worth trying again. ``waits`` says that
    this step keeps its place and goes on then; ``slots`` has the place.
    """

    check: Check
    of: str | None = None
    until: int | None = None
    waits: bool = False
    slots: Mapping[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """A step, which is asked about at each attempt: it waits its turn instead of being refused.

    ``slots`` are those that earlier attempts have taken: rule → [time, the attempt that may use it].
    """

    attempt: int
    slots: Mapping[str, Sequence[int]] = field(default_factory=dict)


def make(
    connection: Connection, tenant: str, checks: Sequence[Check], execution_id: str, *, turn: Turn | None = None
) -> Passed | Refused:
    """Make the checks in their order; where one refuses, none has been made.

    A slot in the future is a way through for an execution that is decided once, and the next turn of a step.
    """
    at: int | None = None
    with undoable(connection, when=len(checks) > 1) as undo:
        for check in checks:
            made = _make(connection, tenant, check, execution_id, turn)
            if isinstance(made, Refused):
                undo()
                return _slot_again(connection, tenant, made, turn) if turn is not None and len(checks) > 1 else made
            if made.at is not None:
                at = max(at or 0, made.at)
    return Passed(at)


def _slot_again(connection: Connection, tenant: str, refused: Refused, turn: Turn) -> Refused:
    """The refusal of a step whose other checks have been undone: its slot is kept, if it has one."""
    if not refused.slots:
        return refused
    made = _make(connection, tenant, refused.check, "", turn)
    if isinstance(made, Refused):
        return made
    return _until(refused.check, db.now_ms(), turn)  # the slot has come meanwhile


def foretold(connection: Connection, tenant: str, checks: Iterable[Check], execution_id: str) -> Refused | None:
    """The refusal with which the checks would end now, read only."""
    now = db.now_ms()
    for check in checks:
        effect = check.effect
        if isinstance(effect, Deduplicate):
            holder = dedup.holder(connection, tenant, check.key, now=now)
            if holder is not None and holder != execution_id:
                return Refused(check, of=holder)
            continue
        window, place = effect.window_seconds * 1000, (tenant, check.rule, check.key)
        if effect.on_excess == "wait":
            until = throttles.next_slot(connection, place)
        else:
            until = throttles.full_until(connection, place, check.value, window=window, most=effect.max_count)
        if until is not None and until > now:
            return Refused(check, until=until, waits=True)
    return None


def _make(connection: Connection, tenant: str, check: Check, execution_id: str, turn: Turn | None) -> Passed | Refused:
    now = db.now_ms()
    if isinstance(check.effect, Deduplicate):
        return _once(connection, tenant, check, execution_id, now, now + check.effect.ttl_seconds * 1000)
    place = (tenant, check.rule, check.key)
    if check.effect.on_excess == "wait":
        return _slot(connection, place, check, check.effect, now, turn)
    window, most = check.effect.window_seconds * 1000, check.effect.max_count
    if check.value is None:
        until = throttles.count(connection, place, now=now, window=window, most=most)
    else:
        until = throttles.count_distinct(connection, place, check.value, now=now, window=window, most=most)
    return Passed() if until is None else Refused(check, until=until, waits=turn is not None)


def _once(
    connection: Connection, tenant: str, check: Check, execution_id: str, now: int, expires_at: int
) -> Passed | Refused:
    """Take a key, unless another execution holds it.

    Taking it locks its row until the end of the transaction, even in vain: all duplicates would queue for it. So a key
    that was found held is read first. A duplicate that sees it held comes before whatever frees it at that moment.
    """
    place = (tenant, check.key)
    if _held.end(place) is not None:
        holder = dedup.holder(connection, tenant, check.key, now=now)
        if holder is not None and holder != execution_id:
            return Refused(check, of=holder)
        _held.drop(place)
    holder = dedup.take(connection, tenant, check.key, execution_id, now=now, expires_at=expires_at)
    if holder is None:
        return Passed()
    _held.learn(place, expires_at)
    return Refused(check, of=holder)


def _slot(
    connection: Connection, place: throttles.Place, check: Check, effect: Throttle, now: int, turn: Turn | None
) -> Passed | Refused:
    if turn is not None and (mine := _mine(turn, check.rule)) is not None:
        return Passed() if mine <= now else _until(check, mine, turn)
    window, latest = effect.window_seconds * 1000, now + (effect.max_wait_seconds or 0) * 1000
    taken, at = throttles.take_slot(connection, place, now=now, window=window, most=effect.max_count, latest=latest)
    if not taken:
        return Refused(check, until=at)
    if at <= now:
        return Passed()
    if turn is None:
        return Passed(at)
    return _until(check, at, turn)


def _until(check: Check, at: int, turn: Turn) -> Refused:
    """A step waits for a slot, which is the next attempt's."""
    return Refused(check, until=at, waits=True, slots={check.rule: [at, turn.attempt + 1]})


def _mine(turn: Turn, rule: str) -> int | None:
    """The time of the slot that this attempt has, or None.

    A slot belongs to one attempt: if its worker dies, the call may have gone out, and the next one needs its own.
    """
    at, attempt = turn.slots.get(rule, (0, -1))
    return at if attempt == turn.attempt else None


class _Known:
    """What this process has found closed, each with the time until which that may last."""

    def __init__(self) -> None:
        self._ends: OrderedDict[Hashable, int] = OrderedDict()
        self._lock = threading.Lock()

    def learn(self, what: Hashable, until: int) -> None:
        with self._lock:
            self._ends[what] = until
            if len(self._ends) > MOST_KNOWN:
                self._ends.popitem(last=False)

    def end(self, what: Hashable) -> int | None:
        until = self._ends.get(what)
        return until if until is not None and until > db.now_ms() else None

    def drop(self, what: Hashable) -> None:
        with self._lock:
            self._ends.pop(what, None)


#: full windows, which stay full until then: (tenant, check)
_full = _Known()
#: keys that are worth a look before they are taken: (tenant, key)
_held = _Known()


def full(tenant: str, checks: Iterable[Check]) -> Refused | None:
    """The refusal that this process can answer alone.

    Only where the first check is a window that was full when this process last asked, and has not ended.
    """
    first = next(iter(checks), None)
    if first is None or (until := _full.end((tenant, first))) is None:
        return None
    return Refused(first, until=until)


def learn(tenant: str, refused: Refused) -> None:
    """Remember a full window; called after the commit, so that what was rolled back counts for nothing."""
    effect = refused.check.effect
    counts = isinstance(effect, Throttle) and effect.on_excess == "reject" and refused.check.value is None
    if counts and refused.until is not None:
        _full.learn((tenant, refused.check), refused.until)


def forget() -> None:
    """Forget all full windows and held keys; for tests that empty the database."""
    global _full, _held
    _full, _held = _Known(), _Known()
