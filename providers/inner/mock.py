"""Executor ``mock``: a provider for drills, which makes no outside call.

``config``: ``behaviour`` (``ok``; ``fail``, a failure that could pass; ``slow``, an answer after ``seconds``;
``answer``, the object ``answer``). With ``first`` only the first calls behave so, with ``every`` each n-th; the others
are ok. Calls are counted over all processes.
"""

import time
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.types import Json
from event_loop import waiting
from providers.base import Abandoned, Call, ProviderError, TimedOut

SECRETS: tuple[str, ...] = ()
ON_LOOP = True
DEFAULT_SECONDS = 1.0
#: between two looks at whether the call is still wanted, seconds
_LOOK = 0.1


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:  # noqa: ARG001 - the protocol's shape
    """Returns no faults: the kind of provider has checked its members."""
    return []


def plan(call: Call) -> Json:
    """How it would behave."""
    return {"executor": "mock", "config": dict(call.config)}


def perform(call: Call) -> Any:
    """Behave as the config says.

    Raises:
        ProviderError: ``mock_failure``, when it is to fail. TimedOut. Abandoned.
    """
    call.checkpoint()
    behaviour = str(call.config.get("behaviour") or "ok") if _is_its_turn(call) else "ok"
    if behaviour == "fail":
        raise ProviderError("mock_failure", "The mock provider fails, as it is told to.", retryable=True)
    if behaviour == "slow":
        _sleep(call, float(call.config.get("seconds") or DEFAULT_SECONDS))
    if behaviour == "answer":
        return dict(call.config.get("answer") or {})
    return {"ok": True}


def _is_its_turn(call: Call) -> bool:
    first, every = call.config.get("first"), call.config.get("every")
    if not first and not every:
        return True
    number = call.number()
    return not (first and number > first) and not (every and number % every)


def _sleep(call: Call, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := min(until, call.expires_at) - time.monotonic()) > 0:
        if call.aborted():
            raise Abandoned
        waiting.sleep(min(left, _LOOK))
    if until > call.expires_at:
        raise TimedOut
