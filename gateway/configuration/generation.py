"""The configuration in force as one value: stored as canonical JSON, compiled when it is read.

The JSON holds rules, circuit breakers, chains, state machines and calendars completely, and providers with their
credentials masked: those are sealed with the provider's revision. Two equal configurations have the same JSON, whatever
files they come from in which order, and the same digest under the same key. The digest covers the credentials too, so
that a changed password is a change.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.types import Json
from gateway.breakers import BreakerConfig
from gateway.configuration import circuits, machines, secrets
from gateway.machines import Machine
from gateway.rules.ruleset import Ruleset
from gateway.rules.written import calendars_of

__all__ = ["EMPTY", "Generation", "calendars_of", "read"]

_PARTS = ("rules", "providers", "circuit_breakers", "chains")
#: parts that a configuration need not have: one without them has the JSON and the digest that it always had
_MORE = ("state_machines", "time_intervals")


@dataclass(frozen=True)
class Generation:
    """Rules in their stored form; providers, circuit breakers, chains, state machines and calendars by name."""

    rules: list[Json] = field(default_factory=list)
    providers: dict[str, Json] = field(default_factory=dict)
    circuit_breakers: dict[str, Json] = field(default_factory=dict)
    chains: dict[str, Json] = field(default_factory=dict)
    state_machines: dict[str, Json] = field(default_factory=dict)
    time_intervals: dict[str, Json] = field(default_factory=dict)

    def text(self) -> str:
        """The canonical JSON; credentials are masked."""
        return _canonical({**self._parts(), "providers": secrets.masked(self.providers)})

    def digest(self, key: bytes) -> str:
        """What tells this configuration from others; without the key it reveals no credential."""
        return hmac.new(key, _canonical(self._parts()).encode(), hashlib.sha256).hexdigest()

    def ruleset(self, switches: Mapping[str, bool] | None = None) -> Ruleset:
        """The rules, compiled; ``switches`` enable and disable some by name."""
        return Ruleset(self.rules, switches)

    def breakers(self) -> dict[str, BreakerConfig]:
        """The circuit breakers by provider."""
        return {name: circuits.read(name, form) for name, form in self.circuit_breakers.items()}

    def machines(self) -> dict[str, Machine]:
        """The state machines by name."""
        return {name: machines.read(name, form) for name, form in self.state_machines.items()}

    def calendars_used(self) -> dict[str, str]:
        """The calendars that rules name, each with the first of these rules."""
        used: dict[str, str] = {}
        for rule in self.rules:
            for name in calendars_of(rule):
                used.setdefault(name, rule["name"])
        return used

    def _parts(self) -> Json:
        more = {part: value for part in _MORE if (value := getattr(self, part))}
        return {part: getattr(self, part) for part in _PARTS} | more


EMPTY = Generation()


def read(text: str) -> Generation:
    """The generation of its JSON."""
    parts: Json = json.loads(text)
    return Generation(
        **{part: parts[part] for part in _PARTS}, **{part: parts[part] for part in _MORE if part in parts}
    )


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
