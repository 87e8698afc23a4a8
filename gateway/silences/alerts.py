"""Whether an execution says that an alert is over, and which alert it is about.

A silence that has kept an alert from going out keeps back that it is over, too; one that began later lets that pass,
so that no receiver waits for an end that has come.
"""

import hashlib
import json
from typing import Any

from gateway.facts import Facts

RESOLVED = "resolved"
#: the origins of what may be an alert
_ORIGINS = frozenset({"dispatch", "trigger", "event", "group"})
_STATUS = "status"


def is_resolved(facts: Facts) -> bool:
    """Whether status, payload or labels say that an alert is over."""
    if facts.origin not in _ORIGINS:
        return False
    said = (facts.status, facts.payload.get(_STATUS), facts.metadata.get(_STATUS))
    return any(isinstance(one, str) and one.lower() == RESOLVED for one in said)


def identity(facts: Facts) -> str | None:
    """What makes two executions the same alert: its fingerprint, else its labels; None for what is none."""
    if facts.origin not in _ORIGINS:
        return None
    labels = {name: value for name, value in facts.metadata.items() if name != _STATUS and value is not None}
    if facts.fingerprint is None and not labels and facts.status is None:
        return None
    parts: list[Any] = [facts.namespace, facts.fingerprint]
    if facts.fingerprint is None:
        parts += [facts.provider, facts.action_type, labels]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
