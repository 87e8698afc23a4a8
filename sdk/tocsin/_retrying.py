"""Whether and when a call is sent again.

In order of time: a call that fails is looked at (``lost`` where there is no answer, ``refused`` where there is one);
``Tries`` says how many seconds to wait before the next try, or None to give up. The waits grow and are drawn at random
between nothing and their bound (full jitter), so that clients cut off together do not come back together;
``Retry-After`` of the server wins over them, up to a minute.

A connection that is refused reaches no server. Where one has answered before it means a restart, so it is tried again
for half a minute, and these tries do not count.
"""

from __future__ import annotations

import random
from time import monotonic
from typing import Optional

_FIRST, _LONGEST = 0.25, 8.0
#: the longest ``Retry-After`` that is obeyed, and how long a request under way with the same key is waited for
_PATIENCE = 60.0
#: how long a server that has answered before is expected back
RESTART = 30.0
_STATUSES = frozenset({429, 502, 503, 504})
#: nothing was done where a server or its proxy says this
_REFUSALS = frozenset({429, 503})


class Tries:
    """The tries of one logical call."""

    def __init__(
        self, most: int, *, repeatable: bool, refusals: bool, expected: bool, deadline: Optional[float] = None
    ) -> None:
        self.made = 1
        self._most = most
        #: whether it may be repeated where it may have been carried out, and where it was not
        self._repeatable, self._refusals = repeatable, refusals or repeatable
        self._expected = expected
        self._deadline = deadline
        self._away_since: Optional[float] = None
        self._in_flight_since: Optional[float] = None

    def lost(self, *, connected: bool) -> Optional[float]:
        """After a try without an answer: seconds to wait, or None; ``connected`` where the server was reached."""
        if connected:
            self._away_since = None
            return self._again() if self._repeatable else None
        if not self._refusals:
            return None
        now = monotonic()
        self._away_since = self._away_since or now
        if self._expected and now - self._away_since < RESTART:
            return self._in_time(random.uniform(0.1, 1.0))  # noqa: S311 - no secret
        return self._again()

    def refused(self, status: int, code: str, retry_after: Optional[float]) -> Optional[float]:
        """After an answer that is an error: seconds to wait, or None."""
        self._away_since = None
        if code == "idempotency_in_flight":
            return self._until_done(retry_after)
        if status not in _STATUSES or not (self._refusals if status in _REFUSALS else self._repeatable):
            return None
        if retry_after is not None and retry_after > _PATIENCE:
            return None
        return self._again(retry_after)

    def _until_done(self, retry_after: Optional[float]) -> Optional[float]:
        """The same request is under way: it is waited for, which is not one more try."""
        now = monotonic()
        self._in_flight_since = self._in_flight_since or now
        if now - self._in_flight_since > _PATIENCE:
            return None
        return self._in_time(max(min(retry_after or 0.0, 5.0), random.uniform(0.1, 1.0)))  # noqa: S311 - no secret

    def _again(self, told: Optional[float] = None) -> Optional[float]:
        if self.made >= self._most:
            return None
        bound = min(_LONGEST, _FIRST * 2 ** (self.made - 1))
        self.made += 1
        return self._in_time(told if told is not None else random.uniform(0.0, bound))  # noqa: S311 - no secret

    def _in_time(self, seconds: float) -> Optional[float]:
        if self._deadline is not None and monotonic() + seconds > self._deadline:
            return None
        return seconds
