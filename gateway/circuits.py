"""What this process knows of the circuit breakers of all processes.

The rows in the database are what counts; these are copies, which news and loads of the configuration keep up to date. A
provider that is not here has a closed breaker without failures. A copy is replaced by a later one only, so that what
arrives late changes nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.breakers import Breaker

_known: dict[str, Breaker] = {}


def known() -> Mapping[str, Breaker]:
    """The breakers by provider."""
    return MappingProxyType(_known)


def put(found: Mapping[str, Breaker]) -> None:
    """Take over rows that were read or written."""
    for provider, breaker in found.items():
        held = _known.get(provider)
        if held is None or breaker.version > held.version:
            _known[provider] = breaker


def replace(found: Mapping[str, Breaker]) -> None:
    """Take over all rows, even earlier ones, and forget the others: the database was restored from a backup."""
    global _known  # noqa: PLW0603 - swapped as a whole: no reader sees a moment in which none is open
    _known = dict(found)


def forget() -> None:
    """Forget all: in a child process."""
    _known.clear()
