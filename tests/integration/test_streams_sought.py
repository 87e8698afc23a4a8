"""The rows that streams read: none that may concern a client is passed over, whatever clients ask for together."""

import random
from typing import Any

import pytest

from api.stream import follow, reading, seeking, types
from api.stream.follow import Client, Reader
from api.stream.message import Message, Wanted
from api.stream.seeking import EVERYTHING, Seeking
from gateway.grants import Grant
from store import audit
from store.engine import db
from store.executions import transitions
from store.trail import Position
from tests.integration.test_streams import note
from tests.support.waiting import eventually

pytestmark = pytest.mark.on_both

TENANTS = ("default", "acme", "acme.eu", "acme-corp")
NAMESPACES, ACTIONS = ("alerts", "soc", "playbooks", None), ("send", "block", None)
OUTCOMES = ("executed", "failed", "suppressed", "chain_started")
RUNS = ("pexec-1", "pexec-2", "pexec-3")
SUBJECTS = (*RUNS, *(f"{run}.{step}" for run in RUNS for step in ("a", "b.1")), "disp-1", "exec-1", "odd")
WORDS = ("accepted", "running", "completed", "failed", "carried", "skipped")
OTHERS = ("approval.requested", "approval.voted", "group.flushed", "event.timeout", "breaker.opened", "silence.ended")
GRANTS = (
    (Grant(),),
    (Grant(tenants=("acme",)),),
    (Grant(tenants=("acme",), exact=True), Grant(tenants=("default",), namespaces=("soc",))),
    (Grant(tenants=("acme.eu", "default")),),
)


def _run(run_id: str, action_id: str) -> dict[str, Any]:
    row = {"id": run_id, "workspace_id": "acme", "kind": "playbook", "action_id": action_id, "revision_id": ""}
    row |= {"status": "running", "queue": "steps", "mode": "live", "idempotent": True, "timeout_ms": 1000, "attempt": 0}
    row |= dict.fromkeys(("failures", "lapses", "publishes"), 0) | {"created_by": "key", "created_at": db.now_ms()}
    origin = '{"origin": {"namespace": "soc", "provider": "email", "action_type": "send"}}'
    return {**row, "input": origin, "due_at": db.now_ms() + 60_000}


def _rows(dice: random.Random, number: int) -> None:
    """Rows of every kind: records and others, of runs that are there or are not, one of them of a chain."""
    with db.write() as connection:
        transitions.add(connection, [_run("pexec-1", "chain:look"), _run("pexec-2", "pb-look")], "me")
    entries = []
    for _ in range(number):
        subject = dice.choice(SUBJECTS)
        event = dice.choice(OTHERS) if dice.random() < 0.2 else f"execution.{dice.choice(WORDS)}"
        details = {"chain_id": dice.choice(RUNS)} if dice.random() < 0.5 else {"tenant": dice.choice(TENANTS)}
        row = audit.entry(dice.choice(TENANTS), "me", event, subject, **details) | audit.NO_RECORD
        if dice.random() < 0.6:
            row |= {"outcome": dice.choice(OUTCOMES), "namespace": dice.choice(NAMESPACES), "provider": "email"}
            row |= {"action_type": dice.choice(ACTIONS), "origin": "dispatch", "given_id": dice.choice(("mine", None))}
        if row["outcome"] != "chain_started":  # of records only this one names a run among its details
            row["details"] = None if row["outcome"] else row["details"]
        entries.append(row)
    for first in range(0, number, 10):
        with db.write() as connection:
            audit.record_ends(connection, entries[first : first + 10])


def _asked(dice: random.Random) -> Wanted:
    """What a client may ask for."""

    def perhaps(values: tuple[Any, ...], share: float = 0.25) -> Any:
        return dice.choice(values) if dice.random() < share else None

    every = (*types.USUAL, *types.NAMED)
    outcomes = perhaps((("failed",), ("executed", "failed"), ("suppressed", "chain_started")))
    usual = frozenset(types.USUAL) if dice.random() < 0.4 else frozenset(dice.sample(every, dice.randint(1, 4)))
    return Wanted(
        types=usual if outcomes is None else usual | {types.DISPATCHED},
        grants=dice.choice(GRANTS),
        outcomes=None if outcomes is None else frozenset(outcomes),
        tenant=perhaps(TENANTS),
        namespace=perhaps(NAMESPACES[:2], 0.4),
        action_type=perhaps(ACTIONS),
        chain_id=perhaps(RUNS, 0.15),
        action_id=perhaps((*SUBJECTS, "mine"), 0.15),
        run_id=perhaps(RUNS, 0.15),
    )


def _taken(wanted: Wanted, asked: Seeking, limit: int, most: int) -> list[tuple[int, int, str]]:
    """What a client is sent of the whole trail, read bite by bite for what is asked."""
    found: list[tuple[int, int, str]] = []
    place, is_last = Position(), False
    while not is_last:
        bite = reading.read_on(place, asked, limit, most=most)
        assert bite.place > place or bite.is_last
        found += [(one.position.id, one.number, one.type) for one in bite.messages if wanted.takes(one)]
        place, is_last = bite.place, bite.is_last
    return found


@pytest.mark.parametrize("seed", range(2))
def test_no_row_is_passed_over_that_may_concern_a_client(database: str, seed: int) -> None:
    """Whatever clients ask for, alone and together with others: each is sent what it is sent of all rows."""
    dice = random.Random(seed)
    _rows(dice, 400)
    clients = [_asked(dice) for _ in range(60)]
    expected = [_taken(one, EVERYTHING, 250, 250) for one in clients]
    assert sum(map(bool, expected)) > 30
    for number, wanted in enumerate(clients):
        alone = seeking.of([wanted])
        limit, most = dice.choice(((100, 2_000), (7, 50), (1, 1), (250, 250)))
        assert _taken(wanted, alone, limit, most) == expected[number], wanted
        others = seeking.of([wanted, *dice.sample(clients, 5)])
        assert others.covers(alone)
        assert _taken(wanted, others, limit, most) == expected[number], wanted


def test_rows_that_concern_no_client_are_not_read(database: str) -> None:
    """Many of them are passed at once; what does concern a client is found among them, and the place moves on."""
    note(*(f"n-{number}" for number in range(300)), at_once=True)
    note("mine", namespace="elsewhere")
    note(*(f"m-{number}" for number in range(300)), at_once=True)
    asked = seeking.of([Wanted(grants=(Grant(),), namespace="elsewhere")])
    bite = reading.read_on(Position(), asked, 10, most=500)
    assert [message.action_ids[0] for message in bite.messages] == ["mine"]
    assert (bite.rows, bite.is_last, bite.place.id) == (500, False, bite.messages[0].position.id + 199)
    rest = reading.read_on(bite.place, asked, 10, most=500)
    assert (rest.messages, rest.rows, rest.is_last, rest.place) == ([], 101, True, reading.last())


def test_of_rows_that_do_concern_a_client_not_too_many_are_read_at_once(database: str) -> None:
    """Then the place is that of the last one, not the end of what was looked at."""
    note(*(f"n-{number}" for number in range(30)), at_once=True)
    asked = seeking.of([Wanted(grants=(Grant(),))])
    bite = reading.read_on(Position(), asked, 10, most=500)
    assert (len(bite.messages), bite.is_last, bite.place) == (10, False, bite.messages[-1].position)
    upto = bite.messages[4].position
    short = reading.read_on(Position(), asked, 10, upto)
    assert (len(short.messages), short.is_last, short.place) == (5, True, upto)


def test_a_client_that_joins_while_rows_are_read_misses_none(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read again for what it wants too; however many join, the reader gets on."""
    monkeypatch.setattr(follow, "EVERY", 0.02)
    reader, late = Reader(), list[Client]()
    first = Client(Wanted(grants=(Grant(),), namespace="soc"), "key", None)
    asked: list[Seeking] = []
    read_on = reading.read_on

    def joined_meanwhile(place: Position, seeks: Seeking, *given: Any, **more: Any) -> Any:
        bite = read_on(place, seeks, *given, **more)
        if bite.rows:  # each time one that wants something new
            asked.append(seeks)
            late.append(Client(Wanted(grants=(Grant(),), namespace=f"late-{len(late)}"), "key", None))
            assert reader.join(late[-1]) == place
        return bite

    reader.join(first)
    monkeypatch.setattr(reading, "read_on", joined_meanwhile)
    note("late", namespace="late-0")
    note("soc", namespace="soc")
    heard: dict[int, list[Message]] = {0: [], 1: []}

    def hear() -> bool:
        for number, client in enumerate([first, *late[:1]]):
            heard[number] += client.take(0.01).messages
        return all(heard.values())

    eventually(hear, 20, "both have what they want")
    assert [message.action_ids for one in heard.values() for message in one] == [
        heard[0][0].action_ids,
        heard[1][0].action_ids,
    ]
    assert ("soc" in heard[0][0].action_ids, "late" in heard[1][0].action_ids) == (True, True)
    assert asked[0] is not EVERYTHING
    assert asked[1] is EVERYTHING
    for client in (first, *late):
        reader.leave(client)
    assert reader.drain(20)
