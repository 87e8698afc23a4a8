"""No body of any route blocks the event loop: a costly one is refused unread or offloaded."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from limits import RateLimitItemPerHour

from api.http.rate_limits import Limiter
from tasks.offload import pool
from tests.support.api import Door
from tests.support.heavy_bodies import FAMILIES, JSON, Family, action_bodies
from tests.support.waiting import eventually
from tests.support.weighing import seconds

#: of the event loop, for any request, seconds
MOST = 0.3
LARGEST = 1024 * 1024 - 1
SIZES = (8_000, 48_000, LARGEST)
ROUTES = (
    ("POST", "/api/playbooks/validate"),
    ("POST", "/api/playbooks"),
    ("POST", "/api/playbooks/import?lenient=true"),
)
OTHERS = (
    ("POST", "/api/actions/validate"),
    ("PUT", "/api/playbooks/pb-there"),
    ("POST", "/api/actions"),
    ("POST", "/api/actions/a/trigger"),
    ("POST", "/api/playbooks/pb-there/run"),
    ("POST", "/api/events"),
    ("POST", "/api/keys"),
)


@pytest.fixture(autouse=True, scope="module")
def no_processes_left() -> Iterator[None]:
    """The offload processes end with the tests."""
    yield
    pool.end()


@pytest.fixture
def stocked(door: Door) -> Door:
    """An action and a playbook that bodies may name."""
    door.create(id="a", name="A", parameters=[{"name": "m", "type": "string", "required": False}])
    steps = [{"id": "s", "type": "delay", "seconds": 1}]
    assert (
        door.call("POST", "/api/playbooks", json={"id": "pb-there", "name": "There", "steps": steps}).status_code == 201
    )
    return door


def loop_time(door: Door, route: tuple[str, str], body: bytes, kind: str) -> float:
    """The seconds that a body keeps the event loop."""

    def work() -> None:
        assert door.call(*route, data=body, headers={"Content-Type": kind}).status_code < 500

    return seconds(work, MOST)


@pytest.mark.parametrize("route", OTHERS[2:])
@pytest.mark.gate
def test_unknown_members_are_not_all_named(stocked: Door, route: tuple[str, str]) -> None:
    """Some are, and how many there are: a schema would name each of very many."""
    [family] = [one for one in FAMILIES if one.name == "unknown_members"]
    assert loop_time(stocked, route, family.make(LARGEST), JSON) <= MOST
    answer = stocked.call(route[0], route[1], json={f"a{number}": 1 for number in range(500)})
    assert answer.status_code == 400
    assert len(answer.json["errors"]) < 30
    assert "480 more" in answer.text


@pytest.mark.parametrize("name", sorted(action_bodies(1000)))
@pytest.mark.gate
def test_the_largest_actions_do_not_keep_the_loop(stocked: Door, name: str) -> None:
    """Actions are checked at once, so they may hold less."""
    assert loop_time(stocked, OTHERS[0], action_bodies(LARGEST)[name], JSON) <= MOST


@pytest.mark.wide
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_body_of_any_size_keeps_the_loop_on_any_route(stocked: Door, family: Family) -> None:
    """Neither a body just small enough for the loop nor an offloaded one."""
    worst = {
        (size, route): loop_time(stocked, route, family.make(size), family.kind)
        for size in SIZES
        for route in (ROUTES if size == LARGEST else ROUTES[:1])  # which all check alike
    }
    if family.kind == JSON:
        worst |= {(LARGEST, route): loop_time(stocked, route, family.make(LARGEST), JSON) for route in OTHERS}
    assert not {where: taken for where, taken in worst.items() if taken > MOST}


@pytest.mark.wide
@pytest.mark.parametrize("route", OTHERS[3:])
def test_no_value_of_any_size_keeps_the_loop(stocked: Door, route: tuple[str, str]) -> None:
    """What runs, actions and events are given, instead of what they are."""
    for family in (one for one in FAMILIES if one.kind == JSON):
        given = json.loads(family.make(LARGEST - 200))
        members = {"event": "finding.new", "data": given} if route[1] == "/api/events" else {"parameters": {"m": given}}
        body = json.dumps(members, separators=(",", ":")).encode()
        assert loop_time(stocked, route, body, JSON) <= MOST, family.name


@pytest.mark.wide
def test_what_was_accepted_is_given_back_off_the_loop(stocked: Door) -> None:
    """The largest playbook that is accepted, in every form, and what has changed between two of its versions."""
    for family in FAMILIES:
        body = json.loads(family.make(900_000)) if family.kind == JSON else {}
        if "workflow" in body or stocked.call("PUT", "/api/playbooks/pb-there", json=body).status_code != 200:
            continue
        for form in ("native", "yaml", "cacao_v2"):
            path = f"/api/playbooks/pb-there/export?format={form}"
            assert seconds(lambda path=path: stocked.call("GET", path), MOST) <= MOST, (family.name, form)


def test_a_small_change_of_a_large_playbook_is_checked_off_the_loop(stocked: Door) -> None:
    """What is looked into is the whole definition, so its size decides, not that of the body."""
    [family] = [one for one in FAMILIES if one.name == "condition_short"]
    assert (
        stocked.call("PUT", "/api/playbooks/pb-there", data=family.make(LARGEST), headers=as_json()).status_code == 200
    )

    def change() -> None:
        assert stocked.call("PATCH", "/api/playbooks/pb-there", json={"on_failure": "continue"}).status_code == 200

    assert seconds(change, MOST) <= MOST


def as_json() -> dict[str, str]:
    """The header of a body that is written out."""
    return {"Content-Type": JSON}


def costly() -> bytes:
    """A body that takes long to check, and is accepted."""
    [family] = [one for one in FAMILIES if one.name == "template_indexes"]
    return family.make(150_000)


@pytest.mark.gate
def test_beyond_a_short_queue_large_definitions_are_answered_503(stocked: Door) -> None:
    """Of twenty at once few are taken in; the others hear when to come back, and small ones are not concerned."""
    body, answers = costly(), []

    def ask() -> None:
        answers.append(Door.call(stocked, "POST", "/api/playbooks/validate", data=body, headers=as_json()))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: any(one.status_code == 503 for one in answers), 60, "one is sent away")
    small = {"name": "Small", "steps": [{"id": "s", "type": "delay", "seconds": 1}]}
    assert stocked.call("POST", "/api/playbooks/validate", json=small).json["valid"]
    for thread in threads:
        thread.join()
    refused = [one for one in answers if one.status_code == 503]
    assert {one.status_code for one in answers} == {200, 503}
    assert len(answers) - len(refused) >= pool.OF_ONE
    assert {(one.json["code"], one.json["retryable"]) for one in refused} == {("busy", True)}
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)


@pytest.mark.gate
def test_a_costly_request_is_charged_for_what_it_took(stocked: Door, redis_server: Any) -> None:
    """It counts as one request for each hundredth of a second, in every process; a small one counts as one."""
    key, counted = stocked.key("viewer"), []
    for body in (b"{}", b"{}", costly(), b"{}"):
        stocked.app.extensions["tocsin.limiter"] = limiter = Limiter()  # as in another process
        limiter.item = RateLimitItemPerHour(100)
        answer = stocked.call("POST", "/api/playbooks/validate", key, data=body, headers=as_json())
        counted.append(100 - int(answer.headers["X-RateLimit-Remaining"]))
    assert counted[:3] == [1, 2, 3]
    assert counted[3] >= 4 + 10
