"""The circuit breakers of ``providers.yaml``: one for each provider that has one."""

from collections.abc import Collection, Mapping
from typing import Any

from config.types import Json
from gateway.breakers import BreakerConfig, fallback_cycle
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import is_whole

_BOUNDS = {
    "failure_threshold": (1, 1000, "calls"),
    "success_threshold": (1, 1000, "calls"),
    "recovery_timeout_seconds": (1, 86_400, "seconds"),
}
MEMBERS = (*_BOUNDS, "fallback_provider")


def check(circuits: Any, pointer: str, providers: Collection[str], faults: Faults) -> None:
    """Report every fault of all circuit breakers."""
    if not isinstance(circuits, dict):
        faults.add(pointer, "must be an object of providers and their circuit breakers")
        return
    for name, entry in circuits.items():
        if faults.full:
            return
        place = below(pointer, shown(name))
        if not _is_one(name, providers):
            faults.add(place, f"there is no provider '{shown(name)}'{faults.hint(name, providers)}")
        if entry is None:
            continue  # all defaults
        if isinstance(entry, dict):
            _check_entry(entry, place, providers, faults)
        else:
            faults.add(place, f"must be an object with some of {', '.join(MEMBERS)}")
    _check_cycles(circuits, pointer, faults)


def _check_entry(entry: Mapping[str, Any], pointer: str, providers: Collection[str], faults: Faults) -> None:
    for member, value in entry.items():
        place = below(pointer, shown(member))
        if member not in MEMBERS:
            hint = faults.hint(member, MEMBERS)
            faults.add(place, f"'{shown(member)}' is no member of a circuit breaker{hint}")
        elif member in _BOUNDS and value is not None:
            least, most, unit = _BOUNDS[member]
            if not is_whole(value, least, most):
                faults.add(place, f"must be a whole number of {unit} from {least} to {most}")
        elif member == "fallback_provider" and value is not None and not _is_one(value, providers):
            faults.add(place, f"there is no provider '{shown(value)}'{faults.hint(value, providers)}")


def _is_one(name: Any, providers: Collection[str]) -> bool:
    return isinstance(name, str) and name in providers


def _check_cycles(circuits: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    links = {
        name: BreakerConfig(name, fallback_provider=entry["fallback_provider"])
        for name, entry in circuits.items()
        if isinstance(entry, dict) and isinstance(entry.get("fallback_provider"), str)
    }
    reported: set[str] = set()
    for name in links:
        cycle = fallback_cycle(links, name) if name not in reported else None
        if cycle:
            reported.update(cycle)
            place = below(below(pointer, shown(name)), "fallback_provider")
            faults.add(place, f"the fallbacks lead in a circle: {' → '.join(map(shown, cycle))}")


def stored(name: str, entry: Mapping[str, Any] | None) -> Json:
    """A circuit breaker as the generation stores it."""
    given = {member: value for member, value in (entry or {}).items() if value is not None}
    config = BreakerConfig(name, **given)
    return {member: getattr(config, member) for member in MEMBERS}


def read(name: str, form: Mapping[str, Any]) -> BreakerConfig:
    """The circuit breaker of a stored form."""
    return BreakerConfig(name, **form)
