"""Rate limits: counted per key, shared through Redis, and no hindrance when Redis is away or frozen."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask import g
from werkzeug.exceptions import TooManyRequests

from api.http.rate_limits import Limiter
from config.settings import SettingsError, load, settings
from tests.support.api import Door, assert_problem
from tests.support.services import RedisServer

_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def limited(monkeypatch: pytest.MonkeyPatch, limit: str, patience: float = 60) -> Door:
    """The application under another limit, which waits ``patience`` seconds for Redis."""
    monkeypatch.setattr("api.http.rate_limits.PATIENCE", patience)
    monkeypatch.setenv("TOCSIN_RATE_LIMIT", limit)
    settings.cache_clear()
    return Door()


@pytest.fixture
def start_of_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands at the start of a window, so that no window ends within a test."""
    monkeypatch.setattr("api.http.rate_limits.time.time", lambda: 1_800_000_000.0)
    monkeypatch.setattr("api.http.rate_limits.PATIENCE", 60)


@pytest.mark.usefixtures("sqlite_database", "start_of_window")
def test_a_key_that_asks_too_often_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request after the last allowed one is 429 and says when to come back; another key is not affected."""
    door = limited(monkeypatch, "3/minute")
    left = [door.call("GET", "/api/actions").headers["X-RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = door.call("GET", "/api/actions")
    problem = assert_problem(refused, 429)
    assert (problem["code"], problem["retryable"]) == ("rate_limited", True)
    assert refused.headers["Retry-After"] == "60"
    assert refused.headers["X-RateLimit-Reset"] == str(1_800_000_060)
    assert door.call("GET", "/api/actions", key=door.key()).status_code == 200


@pytest.mark.usefixtures("sqlite_database")
def test_the_next_window_is_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the window is over the count begins again."""
    clock = [1_800_000_000.0]
    monkeypatch.setattr("api.http.rate_limits.time.time", lambda: clock[0])
    door = limited(monkeypatch, "1/minute")
    assert [door.call("GET", "/api/actions").status_code for _ in range(2)] == [200, 429]
    clock[0] += 60
    assert door.call("GET", "/api/actions").status_code == 200


def test_every_answer_under_api_says_where_the_caller_stands(door: Door) -> None:
    """The three headers are on successes and on errors alike."""
    for method, path, key in (
        ("GET", "/api/actions", ""),
        ("GET", "/api/v1/actions", ""),
        ("GET", "/api/nothing", ""),
        ("PUT", "/api/actions", ""),
        ("POST", "/api/actions", ""),
        ("GET", "/api/actions", None),
        ("GET", "/api/openapi.json", None),
        ("OPTIONS", "/api/actions", None),
    ):
        answer = door.call(method, path, key=key)
        assert all(answer.headers[name].isdecimal() for name in _HEADERS), f"{method} {path}"


@pytest.mark.usefixtures("start_of_window")
def test_guessing_keys_is_slowed_down_and_right_keys_are_not(door: Door) -> None:
    """After 30 wrong keys in a minute an address gets 429 for each further one; a right key still opens."""
    statuses = [door.call("GET", "/api/actions", key=f"tcn_000000000000_{guess}").status_code for guess in range(32)]
    assert statuses == [401] * 30 + [429] * 2
    assert door.call("GET", "/api/actions").status_code == 200


@pytest.fixture
def frozen(redis_server: RedisServer) -> Iterator[None]:
    """Redis, stopped in the middle of whatever it did."""
    redis_server.freeze()
    yield
    redis_server.thaw()


@pytest.mark.usefixtures("sqlite_database", "start_of_window", "redis_server")
def test_processes_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that share a Redis give out one limit between them."""
    door = limited(monkeypatch, "4/minute")
    other = Limiter()
    statuses = []
    for _ in range(3):
        statuses.append(door.call("GET", "/api/actions").status_code)
        mine, door.app.extensions["tocsin.limiter"] = door.app.extensions["tocsin.limiter"], other
        statuses.append(door.call("GET", "/api/actions").status_code)
        other, door.app.extensions["tocsin.limiter"] = door.app.extensions["tocsin.limiter"], mine
    assert statuses == [200] * 4 + [429] * 2


@pytest.mark.usefixtures("sqlite_database", "frozen")
def test_a_frozen_redis_costs_one_request_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request notices, the others go on at once, and the limit still holds within the process."""
    door = limited(monkeypatch, "5/minute", patience=0.25)
    monkeypatch.setattr("api.http.rate_limits.REST", 600)
    monkeypatch.setattr("api.http.rate_limits.time.time", lambda: 1_800_000_000.0)
    redis, asked = door.app.extensions["tocsin.limiter"]._redis, []
    count = redis.incr
    monkeypatch.setattr(redis, "incr", lambda *given, **more: asked.append(given) or count(*given, **more))
    assert [door.call("GET", "/api/actions").status_code for _ in range(6)] == [200] * 5 + [429]
    assert len(asked) == 1


@pytest.mark.parametrize("value", ["often", "", "-1/minute", "1/fortnight"])
def test_a_senseless_limit_stops_the_process_at_its_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The message names the variable."""
    settings()  # kept: what threads of earlier tests read meanwhile
    monkeypatch.setenv("TOCSIN_RATE_LIMIT", value)
    monkeypatch.setattr("api.http.rate_limits.settings", load)
    with pytest.raises(SettingsError, match="TOCSIN_RATE_LIMIT"):
        Limiter()


def granted(limiter: Limiter, who: str, callers: int, each: int, door: Door) -> int:
    """How many requests are let through when callers of one key each make ``each`` at the same time."""
    let_through = Counter[int]()
    together = threading.Barrier(callers)

    def call(number: int) -> None:
        with door.app.test_request_context():
            together.wait()
            for _ in range(each):
                try:
                    limiter.allow(who)
                    assert g.standing.remaining >= 0
                except TooManyRequests:
                    continue
                let_through[number] += 1
                time.sleep(0.0001)  # a request does something, while others take their place

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return let_through.total()


@pytest.mark.parametrize("callers", [1, 8, 32])
@pytest.mark.usefixtures("sqlite_database", "start_of_window", "redis_server")
def test_a_limit_is_what_it_says_however_many_call_at_once(monkeypatch: pytest.MonkeyPatch, callers: int) -> None:
    """One caller or many at the same time get exactly the limit between them, though Redis takes its time."""
    door = limited(monkeypatch, "1600/minute")
    limiter: Limiter = door.app.extensions["tocsin.limiter"]
    count = limiter._redis.incr

    def far_away(*given: Any, **more: Any) -> int:
        taken = count(*given, **more)
        time.sleep(0.005)
        return taken

    monkeypatch.setattr(limiter._redis, "incr", far_away)
    assert granted(limiter, f"key/{callers}", callers, 2400 // callers, door) == 1600


@pytest.mark.usefixtures("sqlite_database", "start_of_window", "redis_server")
def test_a_limit_is_what_it_says_over_a_rolling_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that stop give back what they have not used: a hundred restarts in a window cost no request."""
    door = limited(monkeypatch, "1600/minute")
    used = 0
    for _ in range(100):
        process = Limiter()
        used += granted(process, "key/restarted", 1, 10, door)
        assert process.drain(1)
    assert used == 1000
    assert granted(Limiter(), "key/restarted", 4, 400, door) == 600


@pytest.mark.usefixtures("sqlite_database", "start_of_window", "redis_server")
def test_processes_that_share_a_limit_leave_each_other_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process holds back while the others are refused is a fraction of the limit, and can still be had."""
    door = limited(monkeypatch, "1600/minute")
    one, other = Limiter(), Limiter()
    assert granted(one, "key/shared", 1, 3, door) == 3
    assert granted(other, "key/shared", 8, 400, door) > 1600 - 3 - 16
    assert granted(one, "key/shared", 1, 20, door) > 0


@pytest.mark.usefixtures("sqlite_database", "start_of_window", "redis_server")
def test_a_flood_above_its_limit_does_not_ask_redis_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a limit is used up is remembered for a moment: refusing costs next to nothing."""
    monkeypatch.setattr("api.http.rate_limits.USED_UP", 600)
    door = limited(monkeypatch, "10/minute")
    limiter: Limiter = door.app.extensions["tocsin.limiter"]
    assert granted(limiter, "key/flood", 1, 20, door) == 10
    asked: list[str] = []
    monkeypatch.setattr(limiter._redis, "incr", lambda *_given, **_more: asked.append("asked"))
    assert granted(limiter, "key/flood", 4, 100, door) == 0
    assert not asked
