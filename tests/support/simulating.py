"""Dispatches at given moments, carried out at once; random rules; and what a simulation makes of each dispatch."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import sqlalchemy as sa

from gateway import grants
from gateway.outcomes import PendingApproval, Scheduled
from gateway.requests import Dispatch
from gateway.simulation.tally import Tally
from store import access
from store.access import Caller
from store.audit import audit
from store.engine import db
from store.executions.transitions import executions
from tasks.attempts import action
from tasks.intake.dispatches import accept
from tasks.intake.dispatches.rows import Asked
from tasks.simulation import simulate

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  other: {kind: mock}
  broken: {kind: mock, behaviour: fail}
"""
MACHINES = """\
state_machines:
  - name: alert
    initial_state: firing
    states: [firing, stale, resolved]
    transitions: [{from: [firing, stale], to: resolved}, {from: resolved, to: firing}]
    timeouts: [{state: firing, after_seconds: 40, transition_to: stale}]
"""
CHAINS = """\
chains:
  - name: one
    steps: [{name: look, provider: drill, action_type: look}]
"""
TYPES, HOSTS = ("ping", "page", "alert", "down"), ("a", "b", "c")
#: what random arrivals are recorded under: nothing in it waits, and nothing changes a payload
BASE: list[dict[str, Any]] = [
    {
        "name": "few",
        "condition": {"field": "action.action_type", "eq": "page"},
        "action": {"type": "throttle", "max_count": 2, "window_seconds": 20, "by": ["action.payload.host"]},
    },
    {
        "name": "once",
        "condition": {"field": "action.action_type", "eq": "alert"},
        "action": {"type": "deduplicate", "ttl_seconds": 15, "key_fields": ["action.payload.host"]},
    },
    {
        "name": "moves",
        "condition": {"field": "action.action_type", "eq": "down"},
        "action": {"type": "state_machine", "state_machine": "alert", "fingerprint_fields": ["action.payload.host"]},
    },
    {"name": "low", "condition": {"field": "action.payload.score", "lt": 2}, "action": {"type": "suppress"}},
]


def workspace(tenant: str) -> Caller:
    """An operator of a tenant, whose workspace is made."""
    with db.write() as connection:
        access.make_workspace(connection, tenant, "test")
    return Caller(key_id="test", workspace_id=tenant, role="operator", permissions=frozenset({"dispatch"}))


def arrivals(rng: random.Random, number: int, begin: int) -> list[tuple[int, dict[str, Any]]]:
    """Random dispatches, each with its moment (ms), some at the same one or long after the last."""
    at, found = begin, []
    for place in range(number):
        at += rng.choice((0, 1, 1_000, 3_000, 7_000, 30_000))
        found.append((at, arrival(rng, place)))
    return found


def arrival(rng: random.Random, place: int) -> dict[str, Any]:
    """A random dispatch, without its tenant."""
    given: dict[str, Any] = {
        "namespace": rng.choice(("soc", "it")),
        "provider": rng.choice(("drill", "other")),
        "action_type": rng.choice(TYPES),
        "payload": {"host": rng.choice(HOSTS), "score": rng.randrange(10)},
        "labels": {"team": rng.choice(("red", "blue"))},
        "id": f"d-{place}",
    }
    if given["action_type"] == "down":
        given["status"] = rng.choice(("firing", "resolved"))
    if rng.random() < 0.3:
        given["dedup_key"] = rng.choice(("k1", "k2"))
    return given


def changed(rng: random.Random, rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules with one random change or several: some gone, some others, some new ones."""
    found = [dict(rule) for rule in rules if rng.random() > 0.2]
    for rule in found:
        if rng.random() < 0.5:
            rule["action"] = _action(rng)
            rule.pop("continue", None)
    found += [
        {
            "name": f"new-{number}",
            "priority": rng.choice((-1, 0, 1)),
            "condition": _condition(rng),
            "action": _action(rng),
            "mode": "shadow" if rng.random() < 0.1 else "enforce",
        }
        for number in range(rng.randrange(4))
    ]
    for rule in found:
        if rule["action"]["type"] in ("deduplicate", "throttle", "modify") and rng.random() < 0.5:
            rule["continue"] = True
    rng.shuffle(found)
    return found


def _condition(rng: random.Random) -> dict[str, Any]:
    made: Sequence[Callable[[], dict[str, Any]]] = (
        lambda: {"field": "action.action_type", "eq": rng.choice(TYPES)},
        lambda: {"field": "action.payload.score", "gte": rng.randrange(10)},
        lambda: {"field": "action.metadata.team", "eq": "red"},
        lambda: {"field": "action.provider", "eq": "other"},
        lambda: {"field": "time.minute", "lt": 30},
        lambda: {"state_seen": rng.choice(TYPES), "within_seconds": rng.choice((5, 60))},
        lambda: {
            "state_counter": {"action_type": rng.choice(TYPES), "outcome": rng.choice(("executed", "suppressed"))},
            "within_seconds": 60,
            "gte": rng.randrange(1, 4),
        },
        lambda: {"has_active_event": "down"},
        lambda: {"all": [_condition(rng), _condition(rng)]},
        lambda: {"not": _condition(rng)},
    )
    return rng.choice(made)()


def _action(rng: random.Random) -> dict[str, Any]:
    made: Sequence[dict[str, Any]] = (
        {"type": "allow"},
        {"type": "deny"},
        {"type": "suppress"},
        {"type": "deduplicate", "ttl_seconds": rng.choice((2, 20))},
        {"type": "deduplicate", "ttl_seconds": 10, "key_fields": ["action.payload.host"]},
        {"type": "throttle", "max_count": rng.randrange(1, 4), "window_seconds": rng.choice((5, 30))},
        {"type": "throttle", "max_count": 2, "window_seconds": 30, "distinct": "action.payload.host"},
        {
            "type": "throttle",
            "max_count": 1,
            "window_seconds": 4,
            "on_excess": "wait",
            "max_wait_seconds": rng.choice((4, 9)),
        },
        {"type": "throttle", "max_count": 1, "window_seconds": 20, "on_excess": "require_approval"},
        {"type": "reroute", "target_provider": rng.choice(("drill", "other"))},
        {"type": "modify", "changes": {"score": rng.randrange(10)}},
        {"type": "chain", "chain_name": "one"},
        {"type": "schedule", "delay_seconds": 100_000},
        {"type": "require_approval"},
        {"type": "group", "group_by": ["action.payload.host"]},
        {"type": "state_machine", "state_machine": "alert", "fingerprint_fields": ["action.payload.host"]},
    )
    return dict(rng.choice(made))


def sent(caller: Caller, given: dict[str, Any]) -> str:
    """Dispatch, and carry out at once what goes out; what became of it, in the words of simulations."""
    [taken] = accept.accept([Asked(caller=caller, dispatch=Dispatch(tenant=caller.workspace_id, **given))])
    assert not isinstance(taken, Exception), taken
    if isinstance(taken.outcome, PendingApproval):
        return "require_approval"
    if isinstance(taken.outcome, Scheduled):
        return "schedule"
    action.attempt(taken.subject)
    return recorded(caller.workspace_id, str(given["id"]), taken.subject)


def batch(caller: Caller, given: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Dispatch many at once, and carry out what goes out; what became of each by its id."""
    asked = [Asked(caller=caller, dispatch=Dispatch(tenant=caller.workspace_id, **one)) for one in given]
    taken = accept.accept(asked)
    for one in taken:
        assert not isinstance(one, Exception), one
        if one.outcome is None:
            action.attempt(one.subject)
    mine = audit.c.workspace_id == caller.workspace_id, audit.c.given_id.in_([one["id"] for one in given])
    with db.read() as connection:
        rows = connection.execute(sa.select(audit.c.given_id, audit.c.outcome, audit.c.verdict).where(*mine))
        return {row.given_id: _decision(row) for row in rows}


def others(number: int) -> list[dict[str, Any]]:
    """Rules that are asked about everything and match little."""
    return [
        {
            "name": f"other-{place}",
            "priority": -1,
            "condition": {
                "all": [
                    {"field": "action.payload.host", "eq": f"host-{place}"},
                    {"field": "action.payload.score", "gt": place % 10},
                ]
            },
            "action": {"type": "suppress"},
        }
        for place in range(number)
    ]


def recorded(tenant: str, given_id: str, subject: str) -> str:
    """What became of a dispatch, by its record; of what waits, by its execution."""
    mine = (audit.c.workspace_id == tenant, audit.c.given_id == given_id)
    with db.read() as connection:
        row = connection.execute(sa.select(audit.c.outcome, audit.c.verdict).where(*mine)).first()
        if row is None:
            text = sa.select(executions.c.gate).where(executions.c.id == subject)
            return str(json.loads(connection.execute(text).scalar_one())["verdict"])
    return _decision(row)


def _decision(row: Any) -> str:
    return str(row.outcome if row.outcome in ("deduplicated", "throttled", "muted") else row.verdict or "allow")


def simulated(tenant: str, since: int, until: int, **more: Any) -> tuple[simulate.Simulated, dict[str, str]]:
    """A simulation, and what becomes of each dispatch by its id."""
    found: dict[str, str] = {}
    add = Tally.add

    def noted(self: Tally, arrival: Any, after: Any, matched: Any) -> None:
        found[arrival.action_id] = after.decision
        add(self, arrival, after, matched)

    given = {"grants": grants.own(tenant), "since": since, "until": until, "limit": 50_000, **more}
    with mock.patch.object(Tally, "add", noted):
        return simulate.simulate(simulate.Asked(**given), db.read_aside, lambda _: None), found
