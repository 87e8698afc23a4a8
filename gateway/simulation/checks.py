"""Deduplications and throttles, played in memory: as ``tasks.policy.checks`` makes them in the database.

All checks of an execution let it through, or none has counted it. What was kept and counted before the first arrival is
not known. Where a rule is as it is in force, and what is known here does not say otherwise, a refusal by it that is
recorded is taken over, which also tells where its windows begin.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from gateway.simulation.arrivals import DEDUPLICATED, THROTTLED, Arrival
from gateway.verdicts import Check, Deduplicate, Throttle

#: an arrival was decided up to this much later than the moment that its record tells, ms
SLACK = 1_000

_Undo = Callable[[], object]


@dataclass(slots=True)
class _Window:
    """A window of a throttle."""

    began: int
    #: whether it is known when it began
    sure: bool
    count: int = 0
    values: set[str] = field(default_factory=set)
    last: int = 0
    #: where the record tells that it was full: until when
    full_until: int | None = None


class Checks:
    """What rules remember, from nothing on."""

    def __init__(self, known_from: int | None, unchanged: Collection[str]) -> None:
        """``known_from`` is the time from which all is known, None: from the beginning of all.

        ``unchanged`` are the rules that are as they are in force.
        """
        self._known_from = known_from
        self._unchanged = unchanged
        #: (tenant, key) → its last holder, and until when
        self._keys: dict[tuple[str, str], tuple[str, int]] = {}
        self._windows: dict[tuple[str, str, str], _Window] = {}
        #: the next free slot, microseconds
        self._slots: dict[tuple[str, str, str], int] = {}
        #: when keys are freed: time, key, holder
        self._freed: list[tuple[int, tuple[str, str], str]] = []
        self._played: set[str] = set()
        #: when what was let through last goes out, ms; 0: at once
        self.slot = 0
        #: refusals that were taken over
        self.taken_over = 0

    def make(self, checks: Sequence[Check], arrival: Arrival) -> Check | None:
        """Make the checks of an arrival in their order; the one that refuses it."""
        self.slot = 0
        self._free(arrival.facts.at)
        undo: list[_Undo] = []
        for check in checks:
            is_key = isinstance(check.effect, Deduplicate)
            if self._once(check, arrival, undo) if is_key else self._counted(check, arrival, undo):
                for one in reversed(undo):
                    one()
                return check
        if arrival.frees:
            for check in checks:
                if isinstance(check.effect, Deduplicate):
                    heappush(self._freed, (arrival.ended_at, (arrival.facts.tenant, check.key), arrival.subject))
        return None

    def played(self, arrival: Arrival) -> None:
        """Note that what became of an arrival is known here."""
        self._played.add(arrival.subject)

    def _free(self, at: int) -> None:
        while self._freed and self._freed[0][0] <= at:
            _, key, holder = heappop(self._freed)
            if self._keys.get(key, ("", 0))[0] == holder:
                del self._keys[key]

    def _is_recorded(self, check: Check, arrival: Arrival, word: str) -> bool:
        """Whether this very check refused it then."""
        return arrival.before.decision == word and arrival.before.rule == check.rule and check.rule in self._unchanged

    def _passed(self, check: Check, arrival: Arrival) -> bool:
        """Whether this very check may have let it through then."""
        refused = arrival.before.decision in (DEDUPLICATED, THROTTLED) and arrival.before.rule == check.rule
        return check.rule in self._unchanged and not refused

    def _before_all(self, since: int) -> bool:
        """Whether something from before the first arrival may still count that began after ``since``."""
        return self._known_from is not None and since < self._known_from

    # deduplicate

    def _once(self, check: Check, arrival: Arrival, undo: list[_Undo]) -> bool:
        """Take a key; whether another one holds it."""
        assert isinstance(check.effect, Deduplicate)
        place, now = (arrival.facts.tenant, check.key), arrival.facts.at
        known = self._keys.get(place)
        holder, until = known or ("", 0)
        recorded = self._is_recorded(check, arrival, DEDUPLICATED)
        if until > now and holder != arrival.subject:
            return not (until - now < SLACK and self._passed(check, arrival))
        if recorded and (arrival.of not in self._played or (arrival.of == holder and now - until < SLACK)):
            self.taken_over += arrival.of not in self._played
            return True
        self._keys[place] = (arrival.subject, now + check.effect.ttl_seconds * 1000)
        undo.append(lambda: self._keys.pop(place, None) if known is None else self._keys.update({place: known}))
        return False

    # throttle

    def _counted(self, check: Check, arrival: Arrival, undo: list[_Undo]) -> bool:
        """Count one more; whether the limit is reached."""
        assert isinstance(check.effect, Throttle)
        place = (arrival.facts.tenant, check.rule, check.key)
        if check.effect.on_excess == "wait":
            return self._slot(check, check.effect, place, arrival, undo)
        now, length = arrival.facts.at, check.effect.window_seconds * 1000
        window = self._windows.get(place)
        if window is not None and window.full_until is not None:
            if self._is_recorded(check, arrival, THROTTLED):
                return True
            if now < window.full_until - SLACK and not self._passed(check, arrival):
                return True
            window = self._opened(place, now, undo, sure=True)
        elif window is None or now - window.began >= length:
            window = self._opened(place, now, undo, sure=self._is_sure(window, now - length))
        return self._within(check, check.effect, window, arrival, undo)

    def _is_sure(self, before: _Window | None, since: int) -> bool:
        """Whether nothing that passed earlier may have begun a window that goes on."""
        if before is not None:
            return before.sure or before.last <= since
        return not self._before_all(since)

    def _opened(self, place: tuple[str, str, str], now: int, undo: list[_Undo], *, sure: bool) -> _Window:
        before = self._windows.get(place)
        made = self._windows[place] = _Window(now, sure)
        undo.append(lambda: self._windows.pop(place, None) if before is None else self._windows.update({place: before}))
        return made

    def _within(self, check: Check, effect: Throttle, window: _Window, arrival: Arrival, undo: list[_Undo]) -> bool:
        now, length, value = arrival.facts.at, effect.window_seconds * 1000, check.value
        if value is not None and value in window.values:
            return False
        if window.count >= effect.max_count:
            if window.began + length - now < SLACK and self._passed(check, arrival):
                place = (arrival.facts.tenant, check.rule, check.key)
                window = self._opened(place, now, undo, sure=window.sure)
            else:
                return True
        elif not window.sure and self._is_recorded(check, arrival, THROTTLED):
            window.full_until = arrival.again_at or now
            self.taken_over += 1
            return True
        before = window.count, window.last
        window.count, window.last = window.count + 1, now
        if value is not None:
            window.values.add(value)

        def back() -> None:
            window.count, window.last = before
            if value is not None:
                window.values.discard(value)

        undo.append(back)
        return False

    def _slot(
        self, check: Check, effect: Throttle, place: tuple[str, str, str], arrival: Arrival, undo: list[_Undo]
    ) -> bool:
        now, most = arrival.facts.at, (effect.max_wait_seconds or 0) * 1000
        apart = -(-effect.window_seconds * 1_000_000 // effect.max_count)
        before = self._slots.get(place)
        free = before or 0
        if free > (now + most) * 1000:
            return True
        if self._before_all(now - most - effect.window_seconds * 1000) and self._is_recorded(check, arrival, THROTTLED):
            self.taken_over += 1
            return True
        begins = max(free, now * 1000)
        self._slots[place] = begins + apart
        self.slot = max(self.slot, -(-begins // 1000))
        undo.append(lambda: self._slots.pop(place, None) if before is None else self._slots.update({place: before}))
        return False
