"""Providers as people see them: what each is, and how its calls have ended lately."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from config.times import stamp
from config.types import Json
from gateway import breakers as machine
from gateway import current, grants
from gateway.breakers import CLOSED
from gateway.grants import Grant
from store.engine import db
from store.gateway import breakers, providers
from store.records import provider_ends
from tasks.generations import breaker_rows, follow

#: what counts as lately, ms
LATELY = 86_400_000


def listed(own: Sequence[Grant]) -> list[Json]:
    """The providers that grants cover, by name.

    Raises:
        Unavailable: the database is away.
    """
    follow.look()
    held = current.held()
    with db.read() as connection:
        rows = providers.listed(connection)
        states = _states(connection)
    return [
        {**_shown(row, held.generation.providers[row.name]), "circuit_breaker": states.get(row.name)}
        for row in rows
        if row.name in held.generation.providers and grants.covers_provider(own, row.name)
    ]


def health(own: Sequence[Grant]) -> Json:
    """How the calls of these providers have ended in the last day.

    Raises:
        Unavailable: the database is away.
    """
    follow.look()
    since = db.now_ms() - LATELY
    with db.read() as connection:
        rows = provider_ends.latest(connection, own, since)
        states = _states(connection)
    names = [name for name in sorted(current.held().generation.providers) if grants.covers_provider(own, name)]
    ended: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        if row.provider in ended:
            ended[row.provider].append(row)
    shown = [{**_ended(name, ended[name]), "circuit_breaker": states.get(name)} for name in names]
    return {"providers": shown, "since": stamp(since)}


def _states(connection: db.Connection) -> dict[str, str]:
    configs = current.held().breakers
    rows = breaker_rows.read(breakers.listed(connection)) if configs else {}
    return {name: str(machine.shown(configs[name], rows.get(name, CLOSED))["state"]) for name in configs}


def _shown(row: Any, entry: Json) -> Json:
    definition = entry["definition"]
    return {
        "name": row.name,
        "kind": entry["kind"],
        "description": definition["description"],
        "enabled": bool(row.enabled),
        "timeout_seconds": float(definition["timeout_seconds"]),
        "idempotent": definition["idempotent"],
        "source": row.source,
        "updated_at": stamp(row.updated_at),
    }


def _ended(name: str, rows: Sequence[Any]) -> Json:
    took = sorted(max(0, row.took) for row in rows)
    failures = sum(row.outcome == "failed" for row in rows)
    return {"provider": name, "calls": len(rows), "failures": failures} | {
        f"p{part}_ms": _percentile(took, part) for part in (50, 95)
    }


def _percentile(took: Sequence[int], part: int) -> int | None:
    return took[max(0, ceil(len(took) * part / 100) - 1)] if took else None
