"""What a stream's client has missed: read in turns, sent while it is read, at the cost of a bite of memory."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from api.stream import follow, missed, reading, sending
from api.stream.message import Message, Wanted
from api.stream.missed import Gap, Part
from api.stream.reading import Start
from config.settings import settings
from gateway.grants import Grant
from store import audit
from store.engine import db
from store.trail import Position
from tests.integration.test_streams import named, note, rest
from tests.support import dispatching, runs
from tests.support.api import Door
from tests.support.sse import listen
from tests.support.waiting import eventually

EVERYTHING, START = Wanted(grants=(Grant(),)), Start(Position())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that leave are noticed soon."""
    monkeypatch.setattr(follow, "LOOK", 0.02)
    monkeypatch.setattr(follow, "EVERY", 0.02)
    monkeypatch.setattr(missed, "LOOK", 0.02)


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each kind of database."""
    yield Door()
    dispatching.forget()


def gap(owner: str = "tenant/default", start: Start = START, wanted: Wanted = EVERYTHING) -> Gap:
    """All that there is behind a start."""
    return Gap(start=start, upto=reading.last(), wanted=wanted, owner=owner)


def told(parts: list[Part]) -> list[Any]:
    """What parts say."""
    said: list[Any] = []
    for part in parts:
        if part.skipped or not part.exact:
            said.append((part.skipped, part.exact))
        said += [message.action_ids[0] for message in part.messages]
    return said


def test_the_newest_are_sent_however_they_are_read(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent while they are read, or counted first, in bites of any size: each once, in order, the others counted."""
    names = [f"n-{number}" for number in range(12)]
    note(*names, at_once=True)
    for bite in (250, 7, 2, 1):
        for most in (1, 3, 10, 12, 100):
            monkeypatch.setattr(missed, "BITE", bite)
            monkeypatch.setattr(missed, "MOST", most)
            left_out = max(0, len(names) - most)
            assert told(list(missed.gather(gap()))) == ([(left_out, True)] if left_out else []) + names[left_out:]


def test_clients_that_stand_still_midway_hold_no_events(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many, and however much they have missed; each of them has all of it once it goes on."""
    monkeypatch.setattr(missed, "BITE", 20)
    monkeypatch.setattr(missed, "MOST", 800)
    names = [f"n-{number}" for number in range(300)]
    note(*names, at_once=True)
    clients = [missed.gather(gap(f"owner-{number}")) for number in range(10)]
    seen = [[next(client) for _ in range(number)] for number, client in enumerate(clients, 1)]  # while it is counted
    assert _alive() == 0
    for number, client in enumerate(clients):
        seen[number] = [message.action_ids[0] for part in seen[number] for message in part.messages]
        while len(seen[number]) < 20 * (1 + number):
            seen[number] += [message.action_ids[0] for message in next(client).messages]
    assert _alive() == 0
    for number, client in enumerate(clients):
        assert seen[number] + told(list(client)) == names


def _alive() -> int:
    gc.collect()
    return sum(isinstance(one, Message) for one in gc.get_objects())


def test_a_long_gap_holds_up_no_short_one(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client is served between two bites, also of the same owner; of those with much two count at a time."""
    monkeypatch.setattr(missed, "BITE", 1)
    monkeypatch.setattr(missed, "AT_ONCE", 2)
    monkeypatch.setattr(missed, "MOST", 30)
    note(*(f"n-{number}" for number in range(20)), at_once=True)
    short = Start(reading.last())
    note("last")
    read: list[str] = []
    read_on = reading.read_on

    def noted(after: Position, *given: Any) -> Any:
        read.append(str(after.id))
        return read_on(after, *given)

    monkeypatch.setattr(reading, "read_on", noted)
    long = [missed.gather(gap()) for _ in range(2)]
    for _ in range(6):
        assert not any(next(client).messages for client in long)
    for owner in ("tenant/default", "tenant/other"):
        assert told(list(missed.gather(gap(owner, start=short)))) == ["last"]
    assert len(told(list(missed.gather(gap("tenant/other"))))) == 21
    third, before = missed.gather(gap()), len(read)
    assert not any(next(third).messages for _ in range(10))
    assert len(read) == before + 3
    long.pop().close()
    assert len(told(list(third))) == 21
    assert len(told(list(long[0]))) == 21


def test_a_client_that_is_cut_off_at_once_gets_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection brings it something, however short it is: the first part comes before all is read."""
    monkeypatch.setattr(missed, "BITE", 4)
    names = [f"n-{number}" for number in range(20)]
    note(*names, at_once=True)
    seen: list[str] = []
    start = Start(Position())
    while len(seen) < len(names):
        parts = missed.gather(gap(start=start))
        messages = next(parts).messages
        parts.close()
        seen += told([Part(messages)])
        start = Start(messages[-1].position)
    assert seen == names


def test_what_is_too_old_is_counted_before_the_rest(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows may be of many days."""
    note("old", "older", at_once=True)
    with db.read() as connection:
        at = connection.execute(sa.select(sa.func.max(audit.audit.c.at))).scalar_one()
    eventually(lambda: db.now_ms() > at + 1, 10, "time goes on")
    note("new")
    with db.read() as connection:
        now = connection.execute(sa.select(sa.func.max(audit.audit.c.at))).scalar_one()
    monkeypatch.setattr(missed, "now_ms", lambda: now)
    monkeypatch.setattr(missed, "OLDEST", 0)
    assert told(list(missed.gather(gap()))) == [(2, True), "new"]


def test_signs_of_life_come_while_the_trail_is_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the place reached as long as nothing concerns the client, which may so be cut off at any time."""
    monkeypatch.setattr(sending, "ALIVE_READING", 0.0)
    monkeypatch.setattr(missed, "BITE", 1)
    note("first")
    with listen(door) as stream:
        eventually(lambda: stream.last_id, 10, "the beginning has come")
    note(*(f"n-{number}" for number in range(20)), at_once=True)
    rest(door)
    parts = list(missed.gather(gap(wanted=Wanted(grants=(Grant(),), namespace="other"))))
    assert len({part.place for part in parts}) == len(parts) > 20
    with listen(door, path="/v1/stream?namespace=other", last_id=stream.last_id) as mute:
        eventually(lambda: mute.parser.comments >= 20, 20, "comments come")
        eventually(lambda: mute.last_id != stream.last_id, 20, "the place reached comes")
    with listen(door, last_id=mute.last_id) as again:
        note("next")
        again.wait(1)
    assert (mute.events, named(again)) == ([], ["next"])


def test_more_comes_than_waits_while_the_gap_is_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is read from the trail too; where it never ends, what waits comes and the others are counted, exactly."""
    monkeypatch.setattr(follow, "MOST_WAITING", 2)
    note("first")
    with listen(door) as stream:
        eventually(lambda: stream.last_id, 10, "the beginning has come")
    note("gap")
    gather, turns = missed.gather, []

    def slowly(asked: Gap) -> Any:
        yield from gather(asked)
        if len(turns) < rounds:
            turns.append([f"{len(turns)}-{number}" for number in range(5)])
            note(*turns[-1], at_once=True)
            [[client]] = door.app.extensions["tocsin.streams"]._clients.values()
            eventually(lambda: client._skipped == 3, 20, "the reader has left out some")

    monkeypatch.setattr(missed, "gather", slowly)
    for rounds in (2, sending.ROUNDS):
        turns.clear()
        rest(door)
        with listen(door, last_id=stream.last_id) as again:
            eventually(lambda rounds=rounds: len(turns) == rounds, 20, "it was slow so often")
            again.wait(1 + 5 * rounds - (2 if rounds == sending.ROUNDS else 0))
            note("live")
            eventually(lambda again=again: "live" in named(again), 20, "what comes has come")
        said = [event.json.get("action_id") or event.json for event in again.events]
        expected = ["gap", *(name for turn in turns for name in turn)]
        if rounds == sending.ROUNDS:
            expected[-3:] = [{"skipped": 3}]
        assert said == [*expected, "live"]
        stream = again
        note("gap")


# runs


@pytest.fixture
def run(door: Door) -> str:
    """A run whose step has begun."""
    playbook = door.create_playbook(steps=[{"id": one, "type": "delay", "seconds": 60} for one in ("one", "two")])
    run_id = str(door.call("POST", f"/api/playbooks/{playbook['id']}/run", json={}).json["data"]["execution_id"])
    runs.begin(run_id)
    runs.enter(run_id, "one")
    runs.enter(run_id, "two")
    return run_id


def _said(events: Any) -> list[Any]:
    return [(event.json.get("step"), event.json["status"]) for event in events]


@pytest.mark.on_both
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_end_of_a_run_is_waited_for_until_it_is_settled(door: Door, run: str) -> None:
    """Another transaction is open: 204 would lose the end, and a stream that ends early too."""
    path = f"/api/playbooks/executions/{run}/events"
    with listen(door, path=path) as stream:
        stream.wait(4)
    engine = sa.create_engine(settings().database_url, poolclass=sa.NullPool)
    with engine.connect() as held:
        held.begin()
        audit.record(held, "w", "me", "held", "open")
        for step in ("one", "two"):
            runs.end(f"{run}.{step}")
        runs.end_run(run)
        answers = [listen(door, path=path, last_id=last_id) for last_id in (stream.last_id, "")]
        assert not any(answer.is_over.wait(0.5) for answer in answers)
        held.commit()
    engine.dispose()
    for answer in answers:
        assert answer.is_over.wait(20)
    tail = [("one", "completed"), ("two", "completed"), (None, "completed")]
    assert [_said(answer.events)[-3:] for answer in answers] == [tail, tail]
    assert (len(answers[0].events), len(answers[1].events)) == (3, 7)
    last_id = answers[0].last_id
    assert door.call("GET", path, headers={"Last-Event-ID": last_id}).status_code == 204


@pytest.mark.on_both
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_is_settled_behind_the_end_of_a_run_comes_too(door: Door, run: str) -> None:
    """The transaction that ends a run may have begun before that of another step: the stream ends behind both."""
    path = f"/api/playbooks/executions/{run}/events"
    engine = sa.create_engine(settings().database_url, poolclass=sa.NullPool)
    with listen(door, path=path) as stream, engine.connect() as held:
        stream.wait(4)
        held.begin()
        audit.record(held, "w", "me", "held", "open")  # the transaction of the run's end, the older one
        runs.end(f"{run}.one")
        with engine.connect() as younger:
            younger.begin()
            audit.record(younger, "w", "me", "younger", "open")
            runs.end(f"{run}.two")
            entry = audit.entry("default", "worker", "execution.completed", run)
            audit.record_ends(held, [{**entry, **audit.NO_RECORD}])
            held.commit()
            stream.wait(6)
            assert not stream.is_over.wait(0.3)
            younger.commit()
        assert stream.is_over.wait(20)
    engine.dispose()
    assert _said(stream.events)[-3:] == [(None, "completed"), ("one", "completed"), ("two", "completed")]


def test_a_run_whose_rows_are_gone_ends_its_stream(door: Door, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is over and of which the trail has nothing any more is told at once: nothing."""
    for step in ("one", "two"):
        runs.end(f"{run}.{step}")
    runs.end_run(run)
    with db.read() as connection:
        assert connection.execute(sa.select(audit.audit.c.id)).first()
    monkeypatch.setattr("store.streams.of_run._rows", lambda *_: iter(()))
    stream = listen(door, path=f"/api/playbooks/executions/{run}/events")
    assert stream.is_over.wait(20)
    assert stream.events == []
