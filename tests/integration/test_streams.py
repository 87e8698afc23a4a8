"""Streams: a client that was cut off goes on without a gap, a slow one is told how much it has missed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.stream import follow, missed, places, sending, types
from api.stream.follow import MOST_WAITING, Client, Reader
from api.stream.message import Message, Wanted
from config.settings import settings
from gateway.grants import Grant
from store import audit, redis
from store.engine import db
from store.gateway import events
from store.records import notes
from store.records.notes import Note
from store.streams import ids
from store.streams import places as counted
from store.streams.ids import Mark
from store.trail import Position
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import timeouts
from tests.support import dispatching, runs
from tests.support.api import PASSWORD, Door, assert_problem
from tests.support.driven import drive
from tests.support.sse import Listener, listen
from tests.support.waiting import eventually

PROVIDERS = "providers:\n  drill: {kind: mock}\n"
RULES = """\
rules:
  - {name: move, condition: {field: action.action_type, eq: alert},
     action: {type: state_machine, state_machine: alert}}
"""
MACHINES = """\
state_machines:
  - name: alert
    initial_state: open
    states: [open, firing, stale]
    transitions: [{from: open, to: firing}]
    timeouts: [{state: firing, after_seconds: 60, transition_to: stale}]
"""
EVERYTHING = Wanted(grants=(Grant(),))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that leave are noticed soon."""
    monkeypatch.setattr(follow, "LOOK", 0.02)
    monkeypatch.setattr(follow, "EVERY", 0.02)


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each kind of database."""
    yield Door()
    dispatching.forget()


def note(*names: str, tenant: str = "default", at_once: bool = False, **more: Any) -> None:
    """Record dispatches of these ids, each in a transaction of its own unless ``at_once``."""
    made = [
        Note(
            workspace_id=tenant,
            caller="key",
            outcome=more.get("outcome", "suppressed"),
            namespace=more.get("namespace", "alerts"),
            provider="email",
            action_type="send_email",
            payload={},
            began_at=db.now_ms(),
            given_id=name,
        )
        for name in names
    ]
    for part in [made] if at_once else [[one] for one in made]:
        with db.write() as connection:
            notes.note(connection, *part)


def rest(door: Door) -> None:
    """Wait until the reader has ended: the next client joins at the end of the trail."""
    eventually(lambda: door.app.extensions["tocsin.streams"]._thread is None, 10, "nothing reads any more")


def named(stream: Listener) -> list[str]:
    """The action ids of the events that have come."""
    return [str(event.json.get("action_id")) for event in list(stream.events)]


# going on


def test_a_client_that_was_cut_off_goes_on_where_it_was(door: Door) -> None:
    """Each event once and in order, also before the first one, and by another process with another reader."""
    note("before")
    seen: list[str] = []
    last_id = ""
    for turn in range(4):
        with listen(door, last_id=last_id) as stream:
            if turn % 2:  # else it is cut off before anything comes
                note(f"live-{turn}")
                eventually(lambda stream=stream, turn=turn: f"live-{turn}" in named(stream), 20, "it comes")
            else:
                eventually(lambda stream=stream: stream.last_id, 10, "the beginning has come")
        seen += named(stream)
        last_id = stream.last_id
        note(f"gap-{turn}.1", f"gap-{turn}.2")
        door.app.extensions["tocsin.streams"].drain(20)
        door.app.extensions["tocsin.streams"] = Reader()
    with listen(door, last_id=last_id) as stream:
        note("end")
        stream.wait(3)
    seen += named(stream)
    gaps = [[f"gap-{turn}.1", f"gap-{turn}.2"] for turn in range(4)]
    assert seen == [*gaps[0], "live-1", *gaps[1], *gaps[2], "live-3", *gaps[3], "end"]


def test_what_comes_while_the_gap_is_read_comes_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers go on while the trail is read: behind the gap the client has every event, once, in order."""
    note("first")
    with listen(door) as stream:
        eventually(lambda: stream.last_id, 10, "the beginning has come")
    names = [f"n-{number}" for number in range(60)]
    note(*names[:30])
    gather = missed.gather

    def slowly(*given: Any) -> Any:
        yield from gather(*given)
        note(*names[30:45])

    monkeypatch.setattr(missed, "gather", slowly)
    with listen(door, last_id=stream.last_id) as again:
        again.wait(45)
        note(*names[45:])
        again.wait(60)
    assert named(again) == names


def test_of_a_row_with_two_events_the_second_is_not_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A step of a chain has its outcome and the chain's progress: a client that had the first is sent the second."""
    dispatching.put_in_force(monkeypatch, tmp_path, **dispatching.CHAINED)
    with listen(door) as stream:
        answer = dispatching.send(door, dispatching.body(payload={"chain": True}))
        run_id = answer.json["chain_id"]
        assert drive(run_id) == "completed"
        events = stream.wait(3)
    assert [event.type for event in events] == ["action_dispatched", "action_dispatched", "chain_advanced"]
    started, step, advanced = (event.json for event in events)
    assert started["outcome"] == {"outcome": "chain_started", "chain_id": run_id, "chain_name": "one"}
    assert (step["origin"], step["chain_id"], step["action_id"]) == ("chain", run_id, f"{run_id}.look")
    expected = {"chain_id": run_id, "chain": "one", "step": "look", "status": "completed"}
    assert {name: advanced[name] for name in expected} == expected
    for event, more in zip(events, (2, 1, 0), strict=True):
        with listen(door, last_id=event.last_id) as again:
            note("next")
            again.wait(more + 1)
        assert [one.type for one in again.events][:more] == [one.type for one in events[3 - more :]]
        assert named(again)[more] == "next"
    with (
        listen(door, path=f"/v1/stream?chain_id={run_id}") as mute,
        listen(
            door, path=f"/v1/stream?event_type=chain_advanced&chain_id={run_id}", last_id=events[0].last_id
        ) as again,
    ):
        again.wait(1)
    assert (mute.events, again.of("chain_advanced")) == ([], [advanced])


def test_more_than_is_sent_again_is_counted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many, or too old, the newest come behind ``lagged``; rows that are too many are not even counted."""
    with listen(door) as stream:
        note("first")
        stream.wait(1)
    note(*(f"n-{number}" for number in range(8)))

    def again(name: str) -> list[Any]:
        rest(door)
        with listen(door, last_id=stream.last_id) as one:
            one.wait(1)
            note(name)
            eventually(lambda: name in named(one), 20, "what comes has come")
        return [event.json.get("action_id") or event.json for event in one.events]

    monkeypatch.setattr(missed, "MOST", 5)
    assert again("one") == [{"skipped": 3}, *(f"n-{number}" for number in range(3, 8)), "one"]
    monkeypatch.setattr(missed, "MOST", 100)
    monkeypatch.setattr(missed, "OLDEST", -10_000)
    assert again("two") == [{"skipped": 9}, "two"]
    monkeypatch.setattr(missed, "OLDEST", 10_000_000)
    monkeypatch.setattr(missed, "MOST_ROWS", 2)
    assert again("three") == [{"skipped": 0, "exact": False}, "n-7", "one", "two", "three"]


@pytest.mark.parametrize("text", ["x", "0199f3c2-a1b4-7d0e-8f2c-41d0e8f2c41d", "altered", "%", "'--"])
def test_what_is_no_id_of_an_event_is_refused(door: Door, text: str) -> None:
    """Altered, of another server, and any other text: 400 that names the header."""
    if text == "altered":
        text = ids.of(Mark(db.now_ms(), 1, 0))
        text = ("1" if text[0] == "0" else "0") + text[1:]
    for path in ("/v1/stream", "/compat/v1/stream"):
        problem = assert_problem(door.call("GET", path, headers={"Last-Event-ID": text}), 400)
        assert problem["errors"][0]["pointer"] == "/headers/Last-Event-ID"


def test_an_id_that_the_trail_does_not_have_yet_says_so(door: Door) -> None:
    """The database was restored from a backup: something is missing, and what comes now comes."""
    note("one")
    with listen(door, last_id=ids.of(Mark(db.now_ms(), 999_999, 0))) as stream:
        stream.wait(1)
        note("two")
        stream.wait(2)
    assert [event.json.get("action_id") or event.json for event in stream.events] == [
        {"skipped": 0, "exact": False},
        "two",
    ]


def test_an_id_of_a_foreign_event_shows_nothing_of_it(door: Door) -> None:
    """It is a place in the trail: what follows is sent as far as it is the caller's."""
    theirs, mine = door.key(workspace="theirs"), door.key(workspace="mine")
    with listen(door, theirs) as stream:
        note("theirs", tenant="theirs")
        stream.wait(1)
    note("mine", tenant="mine")
    note("theirs-2", tenant="theirs")
    with listen(door, mine, last_id=stream.last_id) as other:
        note("mine-2", tenant="mine")
        other.wait(2)
    assert named(other) == ["mine", "mine-2"]


# slow clients


def test_a_client_that_does_not_keep_up_is_told_how_much_it_has_missed(database: str) -> None:
    """256 events wait for it; then the rest is counted, and what comes behind comes again."""
    reader = Reader()
    slow, quick = (Client(EVERYTHING, "key", None) for _ in range(2))
    place = reader.join(slow)
    assert reader.join(quick) == place
    names = [f"n-{number}" for number in range(MOST_WAITING + 44)]
    heard: list[Any] = []

    def hear(number: int) -> bool:
        heard.extend(quick.take(0.1).messages)
        return len(heard) >= number

    for number in (200, len(names)):
        note(*names[len(heard) : number], at_once=True)
        eventually(lambda number=number: hear(number), 20, "the quick one has all")
    taken = slow.take(1)
    assert [message.action_ids[0] for message in taken.messages] == names[:MOST_WAITING]
    assert taken.skipped == 44
    note("next")
    again = eventually(lambda: slow.take(0.1).messages, 20, "what follows comes")
    assert [message.action_ids[0] for message in again] == ["next"]
    assert heard[0].text(tagged=False) is heard[0].text(tagged=False)
    for client in (slow, quick):
        reader.leave(client)
    assert reader.drain(20)


def test_the_end_of_a_run_is_never_left_out() -> None:
    """A client of a run's stream that does not keep up has the end all the same, and with it the end of the stream."""
    said = [
        Message(
            type="run_changed",
            position=Position(number),
            number=number,
            at=0,
            tenant="default",
            run_id="run",
            ends=number == 300,
            members={},
        )
        for number in range(301)
    ]
    client = Client(Wanted(types=frozenset(types.OF_RUN), grants=(), run_id="run"), "key", None)
    client.put(said, Position(300))
    taken = client.take(1)
    assert ([message.number for message in taken.messages], taken.skipped) == ([*range(MOST_WAITING), 300], 44)


def test_nothing_is_read_without_clients(door: Door) -> None:
    """The reader begins with the first client, and ends after the last."""
    reader = door.app.extensions["tocsin.streams"]
    assert reader._thread is None
    with listen(door), listen(door):
        assert reader._thread.is_alive()
    rest(door)


def test_an_idle_stream_shows_that_it_lives(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment, and the id of the place that it has come to; also where nothing concerns the client."""
    monkeypatch.setattr(sending, "ALIVE", 0.2)
    with listen(door, path="/v1/stream?namespace=quiet") as stream:
        first = eventually(lambda: stream.last_id, 10, "the beginning has come")
        note("of-another-namespace")
        eventually(lambda: stream.parser.comments > 2, 10, "comments come")
        assert stream.last_id != first
    assert stream.events == []
    mark = ids.read(stream.last_id)
    assert mark is not None
    with db.read() as connection:
        assert mark.row == connection.execute(sa.select(sa.func.max(audit.audit.c.id))).scalar()


def test_an_odd_row_does_not_end_the_stream(door: Door) -> None:
    """Rows that an intruder has written are left out, or shown as far as they can be."""
    with listen(door) as stream:
        with db.write() as connection:
            for event, subject in (("approval.requested", "x"), ("event.timeout", "y"), ("group.flushed", "z")):
                audit.record(connection, "default", "me", event, subject)
            odd = audit.entry("default", "me", "approval.requested", "exec-odd")
            audit.record_all(connection, [{**odd, "details": "[1"}])
            odd = audit.entry("default", "me", "execution.failed", "exec-gone")
            odd |= {"details": "[1", **audit.NO_RECORD, "outcome": "unheard-of"}
            audit.record_ends(connection, [odd])
        note("next")
        eventually(lambda: "next" in named(stream), 10, "it goes on")


# who may


def test_a_stream_ends_with_the_key(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revoked, in whatever process; a user who is disabled, or signs out; the others go on."""
    monkeypatch.setattr(follow, "LOOK", 60)
    key, token, other = door.key("operator"), door.token("viewer"), door.key()
    with listen(door, key) as stream, listen(door, token) as session, listen(door, other) as stays:
        key_id = key.split("_")[1]
        assert door.call("DELETE", f"/api/keys/{key_id}").status_code == 204
        assert stream.is_over.wait(10)
        assert door.call("POST", "/v1/auth/logout", token).status_code == 200
        assert session.is_over.wait(10)
        note("next")
        stays.wait(1)
        monkeypatch.setattr(follow, "LOOK", 0.02)
    assert PASSWORD


def test_a_revoked_key_reads_no_more_of_what_it_missed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is looked up again before each part of a gap."""
    monkeypatch.setattr(sending, "CHECK", 0.0)
    monkeypatch.setattr(missed, "BITE", 1)
    with listen(door) as stream:
        eventually(lambda: stream.last_id, 10, "the beginning has come")
    note(*(f"gap-{number}" for number in range(5)), at_once=True)
    rest(door)
    key = door.key("operator")

    def revoked(_self: Any, messages: list[Message], *_: Any, **__: Any) -> bytes:
        if messages and door.call("DELETE", f"/api/keys/{key.split('_')[1]}").status_code == 204:
            parts.extend(messages)
        return b""

    parts: list[Message] = []
    monkeypatch.setattr(sending.Sending, "_piece", revoked)
    with listen(door, key, last_id=stream.last_id) as again:
        assert again.is_over.wait(20)
    assert len(parts) == 1


def test_a_key_that_expires_ends_its_stream(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written then: the caller is looked up again now and then."""
    monkeypatch.setattr(sending, "CHECK", 0.1)
    monkeypatch.setattr(sending, "ALIVE", 0.3)
    with listen(door, door.key(expires_at=db.now_ms() + 2_000)) as stream:
        assert stream.is_over.wait(20)


def test_other_types_come_when_they_are_named(door: Door) -> None:
    """Silences and steps; breakers only to a caller of all tenants, in any case only when asked for."""
    mine, all_tenants = door.key(workspace="acme"), door.key(grants=[{"tenants": ["*"]}])
    path = f"/v1/stream?event_type={','.join(types.NAMED)}"
    with listen(door, mine, path) as own, listen(door, all_tenants, path) as whole, listen(door, all_tenants) as usual:
        with db.write() as connection:
            audit.record(connection, "", audit.SYSTEM, "breaker.opened", "email", failures=5)
            audit.record(connection, "acme", "me", "silence.created", "sil-1", tenant="acme", after="drop")
            audit.record(connection, "default", "me", "silence.created", "sil-2", tenant="*", after="drop")
            audit.record(connection, "other", "me", "silence.ended", "sil-3", tenant="other", after="drop")
        note("last", tenant="acme")
        whole.wait(4)
        own.wait(1)
        usual.wait(1)
    shown = [
        (event.type, event.json.get("provider") or event.json["silence_id"], event.json["change"])
        for event in whole.events
    ]
    assert shown == [
        ("breaker_changed", "email", "opened"),
        ("silence_changed", "sil-1", "created"),
        ("silence_changed", "sil-2", "created"),
        ("silence_changed", "sil-3", "ended"),
    ]
    assert [event.json["silence_id"] for event in own.events] == ["sil-1"]
    assert named(usual) == ["last"]


def test_filters_that_no_event_can_match_are_refused(door: Door) -> None:
    """An outcome, and no type that has one."""
    answer = door.call("GET", "/v1/stream?outcome=failed&event_type=timeout")
    assert assert_problem(answer, 400)["errors"][0]["pointer"] == "/query/outcome"
    with listen(door, path="/v1/stream?namespace=*") as mute:  # no wildcard
        note("one")
        with listen(door, path="/v1/stream?action_id=two") as one:
            note("two", "three")
            one.wait(1)
    assert (mute.events, named(one)) == ([], ["two"])


def test_a_time_out_is_told_of_its_event(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its machine and both states, under the tenant, the namespace and the type of the event."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES, state_machines=MACHINES)
    given = dispatching.body(action_type="alert", fingerprint="disk", status="firing")
    assert dispatching.send(door, given).json["outcome"] == "state_changed"
    limited = door.key(grants=[{"tenants": ["default"], "providers": ["other"]}])
    with listen(door) as stream, listen(door, limited) as mute:
        with db.write() as connection:
            connection.execute(sa.update(events.events).values(timeout_at=1))
        assert timeouts.move_late(TimeSlice()) == 1
        [event] = stream.wait(1)
    expected = {"type": "timeout", "fingerprint": "disk", "state_machine": "alert", "previous_state": "firing"}
    expected |= {"new_state": "stale", "namespace": "notifications", "tenant": "default", "action_type": "alert"}
    assert {name: event.json[name] for name in expected} == expected
    assert mute.events == []


# places


@pytest.mark.usefixtures("redis_server")
def test_places_outlive_redis_and_not_their_process(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there again in a Redis that was emptied; those of a process that has vanished lapse."""
    monkeypatch.setattr(places, "EVERY", 0.05)
    monkeypatch.setattr(counted, "LEASE", 400)
    monkeypatch.setenv("TOCSIN_STREAMS", "2")
    settings.cache_clear()
    assert counted.take("tenant/default", "of-a-process-that-vanishes", 2)
    with listen(door):
        assert_problem(door.call("GET", "/v1/stream"), 429)
        time.sleep(0.6)
        with listen(door):
            redis.client().flushall()
            time.sleep(0.3)
            assert not counted.take("tenant/default", "another", 2)
    eventually(lambda: counted.take("tenant/default", "another", 2), 5, "there is room again")
    redis.client().flushall()


def test_without_redis_a_process_counts_its_own(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds in each process."""
    monkeypatch.setenv("TOCSIN_STREAMS", "1")
    settings.cache_clear()
    with listen(door):
        assert_problem(door.call("GET", "/v1/stream"), 429)
    eventually(lambda: not door.app.extensions["tocsin.places"]._mine, 10, "its place is free")
    listen(door).end()


def test_head_takes_no_place(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered at once, without a body."""
    monkeypatch.setenv("TOCSIN_STREAMS", "1")
    settings.cache_clear()
    for _ in range(3):
        answer = door.call("HEAD", "/v1/stream")
        assert (answer.status_code, answer.data) == (200, b"")
    assert not door.app.extensions["tocsin.places"]._mine


# runs


def test_a_run_is_followed_to_its_end(door: Door) -> None:
    """First what has happened, then what happens; a client that was cut off goes on; afterwards it ends at once."""
    playbook = door.create_playbook(steps=[{"id": one, "type": "delay", "seconds": 60} for one in ("first", "second")])
    answer = door.call("POST", f"/api/playbooks/{playbook['id']}/run", json={})
    run_id = answer.json["data"]["execution_id"]
    path = f"/api/playbooks/executions/{run_id}/events"
    runs.begin(run_id)
    first = runs.enter(run_id, "first")
    with listen(door, path=path) as stream:
        stream.wait(3)
        runs.end(first)
        stream.wait(4)
    second = runs.enter(run_id, "second")
    with listen(door, path=path, last_id=stream.last_id) as again:
        again.wait(1)
        runs.end(second, "failed", error={"code": "c", "message": "m"})
        runs.end_run(run_id, "failed")
        assert again.is_over.wait(10)
    told = [(event.json.get("step"), event.json["status"]) for event in stream.events + again.events]
    assert told == [
        (None, "pending"),
        (None, "running"),
        ("first", "running"),
        ("first", "completed"),
        ("second", "running"),
        ("second", "failed"),
        (None, "failed"),
    ]
    whole = listen(door, path=path)
    assert whole.is_over.wait(10)
    assert [event.data for event in whole.events] == [event.data for event in stream.events + again.events]
    assert door.call("GET", path, headers={"Last-Event-ID": again.last_id}).status_code == 204
    assert_problem(door.call("GET", path, door.key(workspace="elsewhere")), 404)
    assert_problem(door.call("GET", f"{path}?wait=1"), 400)
