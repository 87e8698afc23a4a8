"""Rate limits: a fixed window per key; per address for wrong keys.

The count is kept in Redis, so that all processes share it. A window is named by its number (time divided by its
length), and a process reserves a lot of places at a time, so that most requests need no call to Redis: few at first,
then up to a hundredth of the limit, and fewer again as the limit comes near. One request at a time reserves a lot, and
a process that stops gives back what it has not used, so that a limit holds for one caller or many and over a restart.
Few and costly requests are counted one by one, each with its time. When
Redis fails or is slow this process counts alone for a few seconds; a dead Redis costs one request a quarter second
now and then.
"""

import contextlib
import hashlib
import itertools
import math
import operator
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from flask import g
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from api.http import errors
from config import logs
from config.networks import network
from config.settings import SettingsError, settings

#: wrong or missing keys that one network may present, and sign-ins of it that may fail
FAILURES = parse("30/minute")
#: attempts to sign in as one user from one network (``config.networks``)
SIGN_INS = parse("5/minute")
#: similarities that one caller may have computed, in any minute
SIMILARITIES = parse("5/minute")
#: how long Redis may take, and for how long it is not asked after it failed, seconds
PATIENCE = 0.25
REST = 5.0
#: a process reserves at most this part of a limit at a time, and hands it out without asking again; it begins with
#: ``FIRST`` places, and leaves this part of the rest to others
LOTS, FIRST, LEFT = 100, 8, 8
#: how long a limit that was used up counts as used up, seconds
USED_UP = 1.0
#: the prefixes of the counts of a network that presents wrong keys, and of one that guesses passwords
_WRONG, _GUESSED = "wrong-key/", "wrong-password/"
#: callers that a process remembers
MOST_REMEMBERED = 10_000


class Lot(NamedTuple):
    """Places in the count of a window that this process hands out."""

    window: int
    #: an iterator: safe among threads
    places: Iterator[int]
    #: how many places the lot began with
    size: int = 0
    #: the count when the lot had been reserved
    taken: int = 0
    #: until when no place is available (monotonic), where the limit was used up
    none_until: float = 0.0


_NO_LOT = Lot(-1, iter(()))

log = logs.logger(__name__)


class Standing(NamedTuple):
    """A caller's standing in the present window.

    ``reset`` is the end of the window, Unix seconds.
    """

    limit: int
    remaining: int
    reset: int


class _Storage(RedisStorage):
    """The library's storage, without the client of another server, which it would import too."""

    DEPENDENCIES = {"redis": RedisStorage.DEPENDENCIES["redis"]}  # noqa: RUF012 - as the library declares it


class Limiter:
    """The limiter that counts requests; one per process."""

    def __init__(self) -> None:
        self.item = _configured()
        self._refusal = f"This key may ask {self.item}; slow down."
        self._redis = _Storage(
            settings().redis_url,
            key_prefix="tocsin:rate",
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # passed on to the client as it is
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
        )
        self._sliding = MovingWindowRateLimiter(self._redis)
        self._sliding_alone = MovingWindowRateLimiter(MemoryStorage())
        self._failing, self._alone_until = False, 0.0
        self._renewing = threading.Lock()
        self._lots: dict[str, Lot] = {}
        self._alone: dict[str, Lot] = {}

    def allow(self, who: str) -> None:
        """Count a request of ``who``.

        Raises:
            TooManyRequests: it was one too many.
        """
        self._note(self.item, who, self._refusal)

    def charge(self, who: str, count: int) -> None:
        """Count ``count`` further requests of ``who``.

        They are for one request that cost as much, which is answered all the same.
        """
        length = self.item.get_expiry()
        window = int(time.time()) // length
        if self._may_ask():
            with contextlib.suppress(RedisError, OSError):  # the next request that asks notes that it is away
                self._redis.incr(f"{who}/{window}", length, amount=count)
                return
        for _ in range(count):
            self._count_alone(who, window)

    def allow_exactly(self, item: RateLimitItem, who: str, refusal: str) -> None:
        """Count a costly request of ``who``: whenever a minute begins, ``item`` has its requests in it and no more.

        While Redis is away this process counts alone.

        Raises:
            TooManyRequests: it was one too many; that one is not counted.
        """
        strategies = (self._sliding, self._sliding_alone) if self._may_ask() else (self._sliding_alone,)
        for strategy in strategies:
            try:
                allowed = strategy.hit(item, who)
                reset, remaining = strategy.get_window_stats(item, who)
            except (RedisError, OSError):
                self._failing, self._alone_until = True, time.monotonic() + REST
                continue
            g.standing = Standing(item.amount, remaining, math.ceil(reset))
            if not allowed:
                raise errors.too_many(refusal, max(1, math.ceil(reset - time.time())))
            return

    def refuse_guessing(self, address: str) -> None:
        """Count a wrong key presented by ``address``.

        Raises:
            TooManyRequests: it was one too many. Right keys are never refused for it.
        """
        self._note(FAILURES, _WRONG + network(address), "Too many requests without a valid key from this address.")

    @contextlib.contextmanager
    def guessing(self, address: str) -> Iterator[None]:
        """Count the check of a password for ``address``, for good unless what is done with it succeeds.

        It is counted first, so that no more passwords are checked than may be wrong, and apart from wrong keys: a page
        that goes on asking with a token that is over must not keep its user from signing in. While Redis is away a
        right one stays counted.

        Raises:
            TooManyRequests: it was one too many, whether the password is right or not.
        """
        window, who = int(time.time()) // FAILURES.get_expiry(), _GUESSED + network(address)
        self._note(FAILURES, who, "Too many sign-ins from this address have failed; wait a minute.")
        yield
        if self._may_ask():
            with contextlib.suppress(RedisError, OSError):
                self._redis.incr(f"{who}/{window}", FAILURES.get_expiry(), amount=-1)

    def allow_sign_in(self, username: str, address: str) -> None:
        """Count an attempt to sign in, right or wrong.

        Raises:
            TooManyRequests: it was one too many for this user from this address.
        """
        who = hashlib.sha256(f"{username}/{network(address)}".encode(errors="replace")).hexdigest()[:32]
        self._note(SIGN_INS, f"sign-in/{who}", "Too many attempts to sign in as this user; wait a minute.")

    def _note(self, item: RateLimitItem, who: str, refusal: str) -> None:
        now, length = int(time.time()), item.get_expiry()
        window = now // length
        place = self._place(item, who, window)
        reset = (window + 1) * length
        g.standing = Standing(item.amount, max(0, item.amount - place), reset)
        if place > item.amount:
            raise errors.too_many(refusal, max(1, reset - now))

    def _place(self, item: RateLimitItem, who: str, window: int) -> int:
        """The place of this request in its window's count, from 1."""
        if place := _next(self._lots.get(who), window):
            return place
        with self._renewing:
            lot = self._lots.get(who, _NO_LOT)
            if place := _next(lot, window):
                return place  # another request has reserved a lot meanwhile
            if lot.window == window and time.monotonic() < lot.none_until:
                return item.amount + 1
            return self._renew(item, who, window, lot)

    def _renew(self, item: RateLimitItem, who: str, window: int, before: Lot) -> int:
        """Reserve a lot and return its first place."""
        if not self._may_ask():
            return self._count_alone(who, window)
        size, key = _size(item.amount, before if before.window == window else _NO_LOT), f"{who}/{window}"
        try:
            count = self._redis.incr(key, item.get_expiry(), amount=size)
            if used_up := count - size >= item.amount:
                self._redis.incr(key, item.get_expiry(), amount=-size)
        except (RedisError, OSError) as error:
            if not self._failing:
                log.warning("Redis unavailable: this process counts requests by itself", reason=str(error))
            self._failing, self._alone_until = True, time.monotonic() + REST
            return self._count_alone(who, window)
        self._failing, self._alone_until = False, 0.0
        if used_up:
            _put(self._lots, who, Lot(window, iter(()), none_until=time.monotonic() + USED_UP))
            return item.amount + 1
        places = iter(range(count - size + 1, count + 1))
        _put(self._lots, who, Lot(window, places, size, count))
        return next(places)

    def drain(self, _seconds: float) -> bool:
        """Give back the places that this process has not handed out.

        Call it after the last request.
        """
        lots, self._lots = self._lots, {}
        for who, lot in lots.items():
            item = FAILURES if who.startswith((_WRONG, _GUESSED)) else self.item
            left = operator.length_hint(lot.places)
            if left and lot.window == int(time.time()) // item.get_expiry() and self._may_ask():
                try:
                    self._redis.incr(f"{who}/{lot.window}", item.get_expiry(), amount=-left)
                except (RedisError, OSError):
                    break
        return True

    def _may_ask(self) -> bool:
        now = time.monotonic()
        if now < self._alone_until:
            return False
        if self._failing:
            self._alone_until = now + REST  # this request asks whether Redis is back, the others do not wait with it
        return True

    def _count_alone(self, who: str, window: int) -> int:
        lot = self._alone.get(who, _NO_LOT)
        if lot.window != window:
            lot = Lot(window, itertools.count(1))
            _put(self._alone, who, lot)
        return next(lot.places)


def _next(lot: Lot | None, window: int) -> int:
    """The next place of a lot; 0 when there is none."""
    return 0 if lot is None or lot.window != window else next(lot.places, 0)


def _size(amount: int, before: Lot) -> int:
    """How many places to reserve, after this lot of the same window."""
    wanted = before.size * 2 or FIRST
    return max(1, min(wanted, amount // LOTS, (amount - before.taken) // LEFT))


def _put(lots: dict[str, Lot], who: str, lot: Lot) -> None:
    if len(lots) >= MOST_REMEMBERED:
        lots.clear()
    lots[who] = lot


def _configured() -> RateLimitItem:
    try:
        return parse(settings().rate_limit)
    except ValueError as error:
        raise SettingsError(f"TOCSIN_RATE_LIMIT: {error}; write for example 6000/minute") from error


def standing() -> list[tuple[str, str]]:
    """The headers with the caller's standing.

    None where its requests were not counted.
    """
    counted: Standing | None = g.get("standing")
    if counted is None:
        return []
    return [
        ("X-RateLimit-Limit", str(counted.limit)),
        ("X-RateLimit-Remaining", str(counted.remaining)),
        ("X-RateLimit-Reset", str(counted.reset)),
    ]
