"""The fingerprint of the event that a dispatch is about: its own, or one made of fields that a rule names."""

import functools
import hashlib
import json
from datetime import UTC

from gateway.facts import Facts
from gateway.rules import fields
from gateway.verdicts import StateMachine


def of(effect: StateMachine, facts: Facts) -> str | None:
    """The fingerprint; None where the dispatch has none and the rule names no fields.

    Equal values of the same fields make the same fingerprint, in whatever rule they stand.
    """
    if facts.fingerprint is not None or not effect.fingerprint_fields:
        return facts.fingerprint
    values = [[path, read(facts)] for path, read in _readers(effect.fingerprint_fields)]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@functools.lru_cache(maxsize=1_000)
def _readers(paths: tuple[str, ...]) -> tuple[tuple[str, fields.Reader], ...]:
    return tuple((path, fields.reader(fields.parse(path), UTC)) for path in sorted(set(paths)))
