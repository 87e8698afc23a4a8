"""Circuit breakers: what becomes of a provider's breaker, as a pure state machine over its row.

Closed, calls go out, and consecutive retryable failures are counted. At the threshold it opens: nothing goes out until
the recovery time has passed. Then it is half open: exactly one call at a time goes out as a probe, under a lease;
enough successes close it, any failure opens it again. A function returns the new state, or None where nothing is to be
written: a closed breaker without failures costs no access before or after a call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from config.types import Json

State = Literal["closed", "open", "half_open"]
#: how a call ended: with an answer, with a failure that may pass, or with one that will not
End = Literal["success", "retryable", "final"]

#: how long a probe may take before another call may probe, where its call has no longer time limit
PROBE_LEASE_MS = 30_000


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """The configuration of a provider's breaker."""

    provider: str
    failure_threshold: int = 5
    success_threshold: int = 2
    recovery_timeout_seconds: int = 60
    fallback_provider: str | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """The row of a breaker; a provider without a row has a closed one.

    Moments are milliseconds since 1970. ``version`` guards every change.
    """

    state: State = "closed"
    failures: int = 0
    successes: int = 0
    opened_at: int | None = None
    recover_at: int | None = None
    probe_by: str | None = None
    probe_until: int | None = None
    forced_by: str | None = None
    version: int = 0


CLOSED = Breaker()


def is_idle(breaker: Breaker) -> bool:
    """Whether it is closed without failures, so that nothing needs to be known of it."""
    return breaker.state == "closed" and breaker.failures == 0


def lets_through(breaker: Breaker, now: int) -> Literal["call", "probe", "no"]:
    """Whether a call may go out now, and whether as a probe (``probing`` first)."""
    if breaker.state == "closed":
        return "call"
    if breaker.state == "open":
        return "probe" if breaker.recover_at is not None and now >= breaker.recover_at else "no"
    free = breaker.probe_until is None or now >= breaker.probe_until
    return "probe" if free else "no"


def probing(breaker: Breaker, execution_id: str, now: int, lease: int = PROBE_LEASE_MS) -> Breaker | None:
    """The breaker with this execution as its one probe; None when it may not probe."""
    if lets_through(breaker, now) != "probe":
        return None
    successes = breaker.successes if breaker.state == "half_open" else 0
    return _next(
        breaker,
        state="half_open",
        successes=successes,
        probe_by=execution_id,
        probe_until=now + lease,
        forced_by=None,
    )


def ended(breaker: Breaker, config: BreakerConfig, end: End, execution_id: str, now: int) -> Breaker | None:
    """The breaker after a call has ended; None when the end changes nothing.

    A call that began before the breaker opened, or whose probe's lease has passed to another, changes nothing.
    """
    if breaker.state == "closed":
        return _closed_end(breaker, config, end, now)
    if breaker.state == "half_open" and breaker.probe_by == execution_id:
        return _probe_end(breaker, config, end, now)
    return None


def _closed_end(breaker: Breaker, config: BreakerConfig, end: End, now: int) -> Breaker | None:
    if end == "success":
        return _next(breaker, failures=0) if breaker.failures else None
    if end == "final":  # the receiver answered: that is no sign of its state
        return None
    failures = breaker.failures + 1
    if failures < config.failure_threshold:
        return _next(breaker, failures=failures)
    return _opened(breaker, config, now, failures=failures)


def _probe_end(breaker: Breaker, config: BreakerConfig, end: End, now: int) -> Breaker:
    if end != "success":
        return _opened(breaker, config, now, failures=breaker.failures)
    successes = breaker.successes + 1
    if successes >= config.success_threshold:
        return replace(CLOSED, version=breaker.version + 1)
    return _next(breaker, successes=successes, probe_by=None, probe_until=None)


def released(breaker: Breaker, execution_id: str) -> Breaker | None:
    """The breaker after its probe was given up before it called; None when this was not its probe."""
    if breaker.state != "half_open" or breaker.probe_by != execution_id:
        return None
    return _next(breaker, probe_by=None, probe_until=None)


def tripped(breaker: Breaker, config: BreakerConfig, by: str, now: int) -> Breaker:
    """The breaker opened by a person; its recovery time begins now."""
    return _opened(breaker, config, now, failures=breaker.failures, forced_by=by)


def reset(breaker: Breaker) -> Breaker:
    """The breaker closed by a person."""
    return replace(CLOSED, version=breaker.version + 1)


def _opened(
    breaker: Breaker, config: BreakerConfig, now: int, *, failures: int, forced_by: str | None = None
) -> Breaker:
    return Breaker(
        state="open",
        failures=failures,
        opened_at=now,
        recover_at=now + config.recovery_timeout_seconds * 1000,
        forced_by=forced_by,
        version=breaker.version + 1,
    )


def _next(breaker: Breaker, **changes: object) -> Breaker:
    return replace(breaker, version=breaker.version + 1, **changes)  # type: ignore[arg-type]


class Route(NamedTuple):
    """The provider by which a call goes out.

    ``provider`` None: all breakers are open. ``tried`` are the providers passed over, in order. ``probe`` says that the
    provider's breaker must first grant a probe; when it does not, the walk goes on behind it.
    """

    provider: str | None
    tried: tuple[str, ...]
    probe: bool = False


def route(
    provider: str,
    configs: Mapping[str, BreakerConfig],
    breakers: Mapping[str, Breaker],
    now: int,
    refused: frozenset[str] = frozenset(),
) -> Route:
    """Walk the fallbacks of a provider to the first that lets a call through.

    ``refused`` are providers whose probe another call has taken meanwhile.
    """
    tried: list[str] = []
    current: str | None = provider
    while current is not None and current not in tried:
        config = configs.get(current)
        if config is None:
            return Route(current, tuple(tried))
        allowed = "no" if current in refused else lets_through(breakers.get(current, CLOSED), now)
        if allowed != "no":
            return Route(current, tuple(tried), probe=allowed == "probe")
        tried.append(current)
        current = config.fallback_provider
    return Route(None, tuple(tried))


def fallbacks(provider: str, configs: Mapping[str, BreakerConfig]) -> list[str]:
    """The providers that may take the place of one, in order."""
    found = [provider]
    while (following := configs[found[-1]].fallback_provider if found[-1] in configs else None) is not None:
        if following in found:
            break
        found.append(following)
    return found[1:]


def fallback_cycle(configs: Mapping[str, BreakerConfig], provider: str) -> list[str] | None:
    """The providers of a circle of fallbacks that begins and ends at this one, or None."""
    path = [provider]
    while (following := configs[path[-1]].fallback_provider if path[-1] in configs else None) is not None:
        if following == provider:
            return [*path, provider]
        if following in path:
            return None  # a circle further on, reported there
        path.append(following)
    return None


def decided(provider: str, breaker: Breaker) -> Json:
    """The answer to a person who has opened or closed a breaker."""
    word = "reset" if breaker.state == "closed" else "tripped"
    return {"provider": provider, "state": breaker.state, "message": f"circuit breaker {word}"}


def shown(config: BreakerConfig, breaker: Breaker) -> Json:
    """A breaker as the list of breakers shows it; an absent fallback is left out."""
    body: Json = {
        "provider": config.provider,
        "state": breaker.state,
        "failure_threshold": config.failure_threshold,
        "success_threshold": config.success_threshold,
        "recovery_timeout_seconds": config.recovery_timeout_seconds,
    }
    return body if config.fallback_provider is None else {**body, "fallback_provider": config.fallback_provider}
