"""Simulations as answers show them."""

from collections.abc import Sequence
from typing import Any

from api.http.times import stamp
from gateway import grants
from gateway.grants import Grant
from gateway.simulation.tally import Row, Tally
from tasks.simulation import assumptions
from tasks.simulation.simulate import Asked, Simulated

#: rules and combinations that an answer shows
MOST = 1_000


def _looked(asked: Asked, found: Simulated) -> dict[str, Any]:
    return {
        "since": stamp(asked.since),
        "until": stamp(asked.until),
        "records": found.records,
        "decided": found.tally.decided,
        "complete": found.ended_at is None,
        "ended_at": None if found.ended_at is None else stamp(found.ended_at),
        "generation": found.generation,
    }


def simulation(asked: Asked, found: Simulated) -> dict[str, Any]:
    """What a simulation has come to."""
    tally = found.tally
    return {
        **_looked(asked, found),
        "rules_tried": len(found.trial.ruleset.in_force),
        "changed": tally.changed,
        "by_another_rule": tally.by_another_rule,
        "changes": [_change(row) for row in tally.rows],
        "rules": _rules(tally),
        "undecided": _undecided(tally),
        "assumptions": [{"code": one.code, "message": one.text, "count": one.count} for one in assumptions.of(found)],
        "warnings": list(found.trial.warnings),
    }


def _change(row: Row) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in ("before", "before_to", "after", "after_to", "changed", "count")}
    return {**named, "examples": [{**one._asdict(), "at": stamp(one.at)} for one in row.examples]}


def _rules(tally: Tally) -> list[dict[str, Any]]:
    counts = (tally.matched, tally.decides, tally.decided_before)
    names = sorted({name for one in counts for name in one}, key=lambda name: (-tally.matched[name], name))
    words = ("matched", "decides", "decided_before")
    return [
        {"name": name, **{word: one[name] for word, one in zip(words, counts, strict=True)}} for name in names[:MOST]
    ]


def _undecided(tally: Tally) -> list[dict[str, Any]]:
    return [
        {"code": why, "message": assumptions.REASONS[why], "count": count, "examples": tally.undecided_examples[why]}
        for why, count in tally.undecided.most_common()
    ]


def coverage(asked: Asked, found: Simulated, own: Sequence[Grant]) -> dict[str, Any]:
    """What the rules in force concern of what came."""
    tally, rules = found.tally, found.trial.ruleset.in_force
    never = [one.name for one in rules if not tally.matched[one.name] and grants.may_concern(own, one.tenants)]
    shown = [_combination(key, *counts) for key, counts in found.seen.items()]
    shown.sort(key=lambda one: (one["matched"] / one["count"], -one["count"], *map(str, one.values())))
    return {
        **_looked(asked, found),
        "combinations": shown[:MOST],
        "combinations_total": len(shown),
        "never_matched": never[:MOST],
        "undecided": _undecided(tally),
    }


def _combination(key: tuple[str, str, str, str], count: int, matched: int) -> dict[str, Any]:
    namespace, tenant, provider, action_type = key
    return {
        "namespace": namespace,
        "tenant": tenant,
        "provider": provider,
        "action_type": action_type,
        "count": count,
        "matched": matched,
        "covered": "none" if not matched else "all" if matched == count else "partly",
    }
