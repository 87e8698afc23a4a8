"""Comparing texts by meaning in the application: the endpoint, rules that decide by it, and a provider that fails."""

import logging
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import g
from werkzeug.exceptions import TooManyRequests

from api.http import rate_limits
from api.http.rate_limits import SIMILARITIES, Limiter
from store.audit import audit
from store.engine import db
from store.gateway.payloads import payloads
from tasks.attempts import action as attempts
from tasks.policy import meaning
from tests.support import dispatching, embeddings, numbers
from tests.support.api import Door, assert_problem
from tests.support.dispatching import AT_ONCE, body, send
from tests.support.embeddings import Server

PATH = "/v1/embeddings/similarity"
PROVIDERS = "providers:\n  drill: {kind: mock}\n"
RULES = """\
rules:
  - name: no-phishing
    condition:
      all:
        - semantic_match: {topic: phishing mail, threshold: 0.6, text_field: action.payload.subject}
        - {field: action.action_type, eq: send_email}
    action: {type: suppress, reason: reported elsewhere}
  - name: safe
    condition: {semantic_match: lost laptop, text_field: payload.subject, on_error: match}
    origins: [dispatch]
    action: {type: deny}
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A provider of embeddings, which has 300 ms."""
    with pytest.MonkeyPatch.context() as patch, embeddings.serving(patch, TOCSIN_EMBEDDINGS_TIMEOUT_MS="300") as made:
        yield made


@pytest.fixture
def door(database: str, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules that compare by meaning."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    yield made
    dispatching.forget()


def dispatch(door: Door, subject: Any, **more: Any) -> dict[str, Any]:
    """The answer to a dispatch with this subject, for which nobody waits."""
    answer = send(door, body(payload={"subject": subject}, **more), headers=AT_ONCE)
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json)


# the endpoint


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"topic": "disk"}, "/text"),
        ({"text": "disk"}, "/topic"),
        ({"text": "", "topic": "disk"}, "/text"),
        ({"text": "  \n", "topic": "disk"}, "/text"),
        ({"text": "?! …", "topic": "disk"}, "/text"),
        ({"text": "x" * 4097, "topic": "disk"}, "/text"),
        ({"text": "x" * ((1 << 20) - 100), "topic": "disk"}, "/text"),
        ({"text": "disk", "topic": "x" * 501}, "/topic"),
        ({"text": "disk", "topic": "…"}, "/topic"),
        ({"text": 7, "topic": "disk"}, "/text"),
        ({"text": None, "topic": "disk"}, "/text"),
        ({"text": ["disk"], "topic": "disk"}, "/text"),
        ({"text": "disk", "topic": "disk", "model": "x"}, "/model"),
    ],
)
def test_a_body_that_means_nothing_is_refused(door: Door, server: Server, given: Any, pointer: str) -> None:
    """The fault names the member; nothing is computed, and nothing counts towards the limit."""
    problem = assert_problem(door.call("POST", PATH, json=given), 400)
    assert [one["pointer"] for one in problem["errors"]] == [pointer]
    assert server.texts == []


@pytest.mark.parametrize("text", ["磁盘已满", "диск заполнен", "القرص ممتلئ", "💾 1", "x" * 4096, "a\u0301" * 2000])
def test_texts_of_any_script_are_compared(door: Door, text: str) -> None:
    """A letter or digit of any script is a word."""
    answer = door.call("POST", PATH, json={"text": text, "topic": text[:500]})
    assert answer.status_code == 200, answer.text
    assert -1 <= answer.json["similarity"] <= 1


@pytest.mark.usefixtures("redis_server")
def test_the_sixth_of_a_minute_is_one_too_many_in_any_process(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly five in any minute, wherever the minute begins, counted over processes; the next when it may."""
    clock, who = [1_800_000_042.0], f"{secrets.token_hex(4)}"
    monkeypatch.setattr(time, "time", lambda: clock[0])
    monkeypatch.setattr(rate_limits, "PATIENCE", 60)
    with door.app.test_request_context():
        processes = [Limiter(), Limiter()]

        def allowed(number: int, more: str = "") -> bool:
            try:
                processes[number].allow_exactly(SIMILARITIES, who + more, "too many")
            except TooManyRequests:
                return False
            return True

        taken = []
        for number in range(5):
            taken.append(allowed(number % 2))
            clock[0] += 10
        assert taken == [True] * 5
        assert g.standing.remaining == 0
        assert [allowed(0), allowed(1), allowed(1, "another")] == [False, False, True]
        clock[0] += 11  # a minute after the first: its place is free again, and no other
        assert [allowed(1), allowed(0)] == [True, False]


def test_without_redis_a_process_counts_alone(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five all the same."""
    monkeypatch.setenv("TOCSIN_REDIS_URL", "redis://127.0.0.1:1/0")
    embeddings.settings.cache_clear()
    with door.app.test_request_context():
        limiter = Limiter()
        for _ in range(5):
            limiter.allow_exactly(SIMILARITIES, "key", "too many")
        with pytest.raises(TooManyRequests):
            limiter.allow_exactly(SIMILARITIES, "key", "too many")


@pytest.mark.parametrize(
    "answer", [[], {}, {"data": []}, {"data": [{"embedding": []}]}, {"data": [{"embedding": [1, "x"]}]}]
)
def test_an_answer_without_a_vector_is_a_failure(door: Door, server: Server, answer: Any) -> None:
    """500, not retryable: the server is none of this interface."""
    server.answer = answer
    problem = assert_problem(door.call("POST", PATH, json={"text": "a", "topic": "b"}), 500)
    assert (problem["code"], problem["retryable"]) == ("embedding_failed", False)


# rules


def test_a_rule_decides_by_meaning(door: Door, server: Server) -> None:
    """The record and its why name topic, similarity and threshold; the same text is computed once."""
    server.texts.clear()
    assert dispatch(door, "a phishing mail came", id="d-1")["rule"] == "no-phishing"
    assert dispatch(door, "a phishing mail came")["outcome"] == "suppressed"
    assert dispatch(door, "disk is full")["outcome"] == "accepted"
    assert sorted(server.texts) == ["a phishing mail came", "disk is full", "lost laptop", "phishing mail"]
    told = door.call("GET", "/v1/audit/d-1/why").json
    assert "similarity 0.7071 with" in told["sentences"][0]
    assert '"phishing mail", threshold 0.6' in told["sentences"][0]


def test_other_action_types_are_not_compared(door: Door, server: Server) -> None:
    """What a cheap part of a condition excludes is embedded for that rule no more."""
    server.texts.clear()
    dispatch(door, 7, action_type="other")
    assert server.texts == []


def test_a_trigger_is_compared_with_its_secrets_masked(door: Door, server: Server) -> None:
    """A secret parameter reaches no provider of embeddings."""
    everything = {"name": "all", "condition": {"semantic_match": "phishing mail"}, "action": {"type": "deny"}}
    with embeddings.rules(everything):
        declared = [{"name": "m"}, {"name": "token", "type": "secret"}]
        action = door.create(parameters=declared)["id"]
        given = {"parameters": {"m": "phishing mail", "token": "hunter2-and-more"}}
        answer = door.call("POST", f"/api/actions/{action}/trigger", json=given)
    assert answer.json["data"]["verdict"] == "deny"
    assert "phishing mail" in server.texts
    assert "hunter2" not in str(server.texts)


def test_a_provider_that_fails_or_is_slow_holds_up_no_dispatch(door: Door, server: Server) -> None:
    """The first waits for as long as the provider may take; while it rests the others do not wait; on_error decides."""
    server.delay = 5.0
    began = time.monotonic()
    first = dispatch(door, "a phishing mail came", id="d-1")
    waited = time.monotonic() - began
    assert (first["outcome"], first["rule"]) == ("suppressed", "safe")
    began = time.monotonic()
    for number in range(3):
        assert dispatch(door, f"another {number}")["rule"] == "safe"
    assert time.monotonic() - began < waited + 5
    assert server.texts == ["phishing mail"]
    told = door.call("GET", "/v1/audit/d-1/why").json["sentences"]
    assert any("'no-phishing' could not be decided, and did not match" in one and "0.3 s" in one for one in told), told
    assert any("'safe' could not be decided, and matched all the same" in one for one in told), told


def test_the_key_is_nowhere_but_in_the_request(door: Door, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in what is logged and answered, nor in any row, when all goes well and when it fails."""
    caplog.set_level(logging.DEBUG)
    answers = [dispatch(door, "a phishing mail came"), door.call("POST", PATH, json={"text": "a", "topic": "b"}).text]
    server.status, server.answer = 401, {"error": embeddings.KEY}
    answers += [dispatch(door, "a phishing mail went"), door.call("POST", PATH, json={"text": "c", "topic": "d"}).text]
    assert {one["Authorization"] for one in server.headers} == {f"Bearer {embeddings.KEY}"}
    assert {one["path"] for one in server.headers} == {"/v1/embeddings"}
    with db.read() as connection:
        rows = [str(list(connection.execute(sa.select(table)))) for table in (audit, payloads)]
    for place in (caplog.text, str(answers), *rows):
        assert "hunter2" not in place


def test_evaluate_shows_the_similarity(door: Door) -> None:
    """Of each comparison, with its topic and threshold; nothing is counted."""
    meaning.tell()
    given = {**body(payload={"subject": "a phishing mail came"}), "evaluate_all": True}
    answer = door.call("POST", "/v1/rules/evaluate", json=given)
    assert answer.status_code == 200, answer.text
    first, second = answer.json["trace"]
    compared = first["condition"]["parts"][-1]
    assert (compared["similarity"], compared["threshold"], compared["topic"]) == (0.7071, 0.6, "phishing mail")
    assert (second["result"], second["condition"]["similarity"], second["condition"]["threshold"]) == (
        "not_matched",
        0.0,
        0.5,
    )
    assert not meaning._counts._numbers.keys() & {meaning.Series(meaning.COMPARISONS, labels=("matched",))}


def test_comparisons_are_counted(door: Door, server: Server) -> None:
    """Conditions by their result, texts by whether they were computed; exact, once they have been added."""
    meaning.tell()
    before = numbers.samples(door.call("GET", "/metrics/prometheus").text)
    dispatch(door, "a phishing mail came")
    dispatch(door, "a phishing mail came")
    dispatch(door, "disk is full")
    server.status = 503
    dispatch(door, "never heard")
    meaning.tell()
    time.sleep(1.1)  # the numbers of a workspace are kept for a second
    after = numbers.samples(door.call("GET", "/metrics/prometheus").text)
    grown = {
        (name, *labels): after[name, labels] - before[name, labels]
        for name, labels in after
        if name in ("tocsin_semantic_comparisons_total", "tocsin_embeddings_total")
    }
    assert grown == {
        ("tocsin_semantic_comparisons_total", ("result", "matched")): 2,
        ("tocsin_semantic_comparisons_total", ("result", "not_matched")): 2,
        ("tocsin_semantic_comparisons_total", ("result", "failed")): 2,
        ("tocsin_embeddings_total", ("outcome", "computed")): 4,
        ("tocsin_embeddings_total", ("outcome", "failed")): 1,
    }


def test_numbers_wait_for_the_database(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be added is kept."""
    meaning.tell()
    meaning.HERE.note("matched")
    monkeypatch.setattr(db, "write", lambda: (_ for _ in ()).throw(meaning.EmbeddingFailed("away")))
    with pytest.raises(meaning.EmbeddingFailed):
        meaning.tell()
    monkeypatch.undo()
    assert meaning._counts._numbers == {meaning.Series(meaning.COMPARISONS, labels=("matched",)): 1}
    meaning._counts._numbers.clear()


def test_a_simulation_names_what_it_does_not_ask_a_server(door: Door) -> None:
    """What a comparison decides is unknown where each would be a request; what is decided before it is played."""
    answers = [dispatch(door, "a phishing mail came"), dispatch(door, "disk is full"), dispatch(door, 7)]
    for answer in answers[1:]:
        attempts.attempt(answer["execution_id"])
    found = door.call("POST", "/v1/rules/simulate", json={}).json
    assert {one["code"]: one["count"] for one in found["undecided"]} == {"meaning_unknown": 2}
    assert found["decided"] == 1


def test_a_load_warns_where_nothing_can_compare(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rules with semantic_match load without a provider, and the answer says that on_error decides."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    answer = made.call("POST", "/v1/rules/reload", made.key(grants=[{"tenants": ["*"]}]))
    assert [one for one in answer.json["warnings"] if "TOCSIN_EMBEDDINGS_PROVIDER" in one]
    dispatching.forget()
