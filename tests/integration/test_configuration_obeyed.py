"""Every process obeys a change after its answer: reload, switch and stop, frozen or cut off as it may be."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from config.settings import settings
from gateway import current
from store import redis
from store.engine import db
from store.engine.db import Connection
from store.gateway import configurations, news
from tasks.control import silences
from tasks.generations import changes, follow
from tasks.generations.changes import Author, NewGeneration
from tests.support.deciders import Decider
from tests.support.services import RedisServer
from tests.support.waiting import eventually

RULE = "rules:\n  - {{name: {name}, condition: {{field: action.provider, eq: mail}}, action: {{type: suppress}}}}\n"
#: where the kind of database makes no difference
on_sqlite = pytest.mark.parametrize("first_database", ["sqlite"], indirect=True)
ME = Author("test", "default")


@pytest.fixture
def folder(
    tmp_path: Path, first_database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A configuration folder with one rule, which is in force."""
    monkeypatch.setenv("TOCSIN_CONFIG_DIR", str(tmp_path))
    settings.cache_clear()
    redis.client().flushall()
    (tmp_path / "rules").mkdir()
    write(tmp_path, "r0")
    with monkeypatch.context() as nobody_else:  # decides yet: this load waits for none
        nobody_else.setattr(current, "FRESH", 0)
        changes.load(ME)
    yield tmp_path
    if not redis_server.running():
        redis_server.start()


@pytest.fixture
def deciders(folder: Path) -> Iterator[list[Decider]]:
    """Processes that have decided once."""
    made = [Decider() for _ in range(2)]
    try:
        for one in made:
            assert one.ask()["rules"] == ["r0"]
        yield made
    finally:
        for one in made:
            one.end()


def write(folder: Path, name: str) -> None:
    """Write the one rule under another name."""
    (folder / "rules/a.yaml").write_text(RULE.format(name=name))


def all_say(deciders: list[Decider], **expected: object) -> None:
    """The next decision of each process is by what is in force now."""
    for one in deciders:
        one.begin_asking()
    for one in deciders:
        shown = one.answer()
        assert {name: shown.get(name) for name in expected} == expected, shown


@pytest.mark.gate
def test_every_process_obeys_after_the_answer(folder: Path, deciders: list[Decider]) -> None:
    """Reloads, switches and stops in any order, Redis emptied at random in between; no process is ever behind."""
    chance = random.Random(4)
    for number in range(1, 13):
        if chance.random() < 0.3:
            redis.client().flushall()
        kind = chance.choice(("load", "switch", "stop"))
        if kind == "load":
            write(folder, f"r{number}")
            loading = changes.load(ME)
            assert loading.errors == []
            all_say(deciders, rules=[f"r{number}"], generation=loading.generation)
        elif kind == "switch":
            name = current.held().ruleset.rules[0].name
            changes.switch(name, enabled=False, author=ME)
            all_say(deciders, rules=[])
            changes.switch(name, enabled=True, author=ME)
            all_say(deciders, rules=[name])
        else:
            changes.stop("acme", f"because {number}", ME)
            all_say(deciders, stopped=f"because {number}")
            changes.lift("acme", ME)
            all_say(deciders, stopped=None)


@pytest.mark.gate
def test_every_process_obeys_a_silence_after_the_answer(folder: Path, deciders: list[Decider]) -> None:
    """Made, changed and ended; one that was frozen meanwhile looks before it decides."""
    new = {"matchers": [{"name": "severity", "value": "info"}], "duration_seconds": 600}
    made, _ = silences.create({**new, "comment": "one"}, ME, tenant="acme", exact=False, alongside=lambda *_: None)
    all_say(deciders, silences=["one"])
    silences.change(made.id, {**new, "comment": "two"}, ME)
    all_say(deciders, silences=["two"])
    deciders[0].freeze()
    deciders[0].begin_asking()
    silences.end(made.id, ME)
    all_say(deciders[1:], silences=[])
    deciders[0].thaw()
    assert deciders[0].answer()["silences"] == []


@on_sqlite
@pytest.mark.gate
def test_the_answer_says_who_has_it(folder: Path, deciders: list[Decider]) -> None:
    """It counts the processes that live; one that is gone is not waited for."""
    eventually(lambda: news.living(changes.db.now_ms())[1], 10, "Redis knows all processes")
    write(folder, "r1")
    assert changes.load(ME).applied == "2 of 2"
    deciders[0].end()
    time.sleep(news.SILENT / 1000 + 0.1)
    write(folder, "r2")
    assert changes.load(ME).applied == "1 of 1"
    all_say(deciders[1:], rules=["r2"])
    deciders[0] = Decider()
    assert deciders[0].ask()["rules"] == ["r2"]


@on_sqlite
@pytest.mark.gate
def test_a_process_that_was_frozen_obeys_when_it_wakes(folder: Path, deciders: list[Decider]) -> None:
    """The answer does not wait longer than a second for it; its first decision afterwards is by what is in force."""
    deciders[0].freeze()
    deciders[0].begin_asking()  # what it answers when it wakes
    asked = time.monotonic()
    changes.stop("acme", "while it was frozen", ME)
    assert time.monotonic() - asked < 10
    all_say(deciders[1:], stopped="while it was frozen")
    deciders[0].thaw()
    assert deciders[0].answer()["stopped"] == "while it was frozen"
    deciders[0].freeze()
    deciders[0].begin_asking()
    write(folder, "r1")
    changes.load(ME)
    time.sleep(5)
    deciders[0].thaw()
    assert deciders[0].answer()["rules"] == ["r1"]


@on_sqlite
@pytest.mark.gate
def test_without_redis_every_process_obeys(folder: Path, deciders: list[Decider], redis_server: RedisServer) -> None:
    """The database is asked instead; when Redis is back, answers name the processes again."""
    redis_server.stop()
    with pytest.raises(RedisError):
        redis.client().ping()
    write(folder, "r1")
    assert changes.load(ME).applied == changes.UNKNOWN
    all_say(deciders, rules=["r1"])
    changes.stop("*", "no Redis", ME)
    all_say(deciders, stopped="no Redis")
    redis_server.start()
    eventually(lambda: len(news.living(changes.db.now_ms())[0]) == 2, 20, "all processes have checked in")
    changes.lift("*", ME)
    all_say(deciders, stopped=None)


@on_sqlite
@pytest.mark.gate
def test_a_process_that_is_cut_off_from_redis_alone_obeys(folder: Path, deciders: list[Decider]) -> None:
    """It hears no news and is counted by none; it looks at the database before each decision."""
    alone = Decider(TOCSIN_REDIS_URL="redis://127.0.0.1:9/0")
    try:
        for number in range(1, 6):
            write(folder, f"r{number}")
            changes.load(ME)
            all_say([alone, *deciders], rules=[f"r{number}"])
            assert alone.ask()["rules"] == [f"r{number}"]
    finally:
        alone.end()


@on_sqlite
def test_a_process_that_cannot_use_the_configuration_decides_nothing(folder: Path, deciders: list[Decider]) -> None:
    """A rule of a later version is in force, written by a process of that version: this one does not pass it over."""
    with changes.db.write() as connection:
        changes.configurations.begin(connection)
        table = changes.configurations.configurations
        body = connection.execute(table.select()).first()
        assert body is not None
        later = body.body.replace('"suppress"', '"of a later version"')
        new = NewGeneration(body=later, digest="x", revisions={}, source="a later version", rules=1, loaded_by="test")
        edition = changes.configurations.end(connection, changes.configurations.add(connection, new))
    news.announce(edition)
    time.sleep(current.FRESH)
    for one in deciders:
        assert "cannot use generation 2" in one.ask()["unavailable"]
    write(folder, "mended")
    changes.load(ME)
    all_say(deciders, rules=["mended"])


@on_sqlite
@pytest.mark.gate
def test_a_database_from_a_backup_is_obeyed(folder: Path, deciders: list[Decider]) -> None:
    """A process that has a later edition than the database goes back to what the database says."""
    changes.stop("acme", "after the backup", ME)
    all_say(deciders, stopped="after the backup")
    with changes.db.write() as connection:
        connection.execute(changes.configurations.in_force.update().values(edition=1))
        connection.execute(changes.configurations.stops.delete())
    redis.client().delete(news.NUMBER)
    time.sleep(current.FRESH)
    eventually(lambda: all(one.ask()["stopped"] is None for one in deciders), 15, "the processes have gone back")


@on_sqlite
def test_decisions_that_come_together_share_a_look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions that wait for a look under way share the next one, which knows what was changed before they came."""
    one, looks, go_on = follow.Follower("test", checks_in=False), list[int](), threading.Event()
    askers = [threading.Thread(target=one.look) for _ in range(20)]
    edition = configurations.edition

    def slowly(connection: Connection) -> int:
        found = edition(connection)
        if threading.current_thread() in askers:
            looks.append(found)
            assert go_on.wait(30)
        return found

    monkeypatch.setattr(configurations, "edition", slowly)
    askers[0].start()
    eventually(lambda: looks, 30, "the first looks")
    write(folder, "r1")
    changes.load(ME)  # of which the look under way knows nothing
    current.forget()
    for asker in askers[1:]:
        asker.start()
    eventually(lambda: all(asker.is_alive() for asker in askers), 30, "all are there")
    time.sleep(0.2)
    go_on.set()
    for asker in askers:
        asker.join(30)
    assert [rule.name for rule in current.held().ruleset.rules] == ["r1"]
    assert len(looks) == 2


@pytest.fixture
def follower(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets this process follow for the length of a test; it has no connection open before."""
    monkeypatch.setattr(follow, "_follower", None)
    db.dispose()
    yield
    if follow._follower is not None:
        follow.end()
        if follow._follower.is_alive():
            follow._follower.join(10)
    current.forget()


def checked_in() -> dict[str, int]:
    return news.living(changes.db.now_ms())[0]


def test_a_process_that_may_never_decide_follows_from_its_first_decision(folder: Path, follower: None) -> None:
    """Until then it has no thread and no connection, and no change waits for it; then it obeys as all others do."""
    follow.begin("pool", at_once=False)
    time.sleep(follow.FIRST_AFTER + 0.1)
    assert not follow._follower.is_alive()
    assert (checked_in(), len(db._database().reading._free)) == ({}, 0)
    with db.write() as connection:  # as another process does: this one has not looked
        body = connection.execute(configurations.configurations.select()).first().body.replace("r0", "r1")
        configurations.begin(connection)
        new = NewGeneration(body=body, digest="x", revisions={}, source="another", rules=1, loaded_by="test")
        configurations.end(connection, configurations.add(connection, new))
    assert [rule.name for rule in current.current().ruleset.rules] == ["r1"]
    eventually(checked_in, 10, "it has checked in")
    write(folder, "r2")
    assert changes.load(ME).applied == "1 of 1"
    assert [rule.name for rule in current.held().ruleset.rules] == ["r2"]


def test_a_process_that_starts_needs_no_connection_for_following(folder: Path, follower: None) -> None:
    """The follower lets the first heartbeat go ahead, and uses its connection."""
    follow.begin("steps")
    with db.read() as connection:
        configurations.edition(connection)
        time.sleep(0.1)
    eventually(checked_in, 10, "it follows")
    eventually(lambda: current.held().number, 10, "it has looked")
    assert len(db._database().reading._free) == 1
