"""Comparing texts by meaning: vectors and who waits for them, texts of payloads, conditions."""

import math
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from event_loop import loop, waiting
from gateway import why
from gateway.configuration.rule_lists import Lists
from gateway.rules.conditions import Evaluation
from gateway.rules.decide import decide
from gateway.rules.effects import Names
from gateway.rules.recorded import NothingRecorded
from gateway.rules.trace import Options, trace
from gateway.semantics import similarity, texts
from gateway.semantics.similarity import MAX_TEXTS, EmbeddingFailed, Similarities, Topic, unit
from gateway.why import Known
from playbooks.checks.faults import Faults
from playbooks.credentials import MASK
from tests.support.embeddings import vector
from tests.support.rules import Records, facts, ruleset

PATIENCE = 20.0
TOPIC = "disk full"


def similarities(embed: Any = vector, **more: Any) -> Similarities:
    return Similarities(embed, **{"patience": PATIENCE, **more})


# vectors


def test_equal_texts_are_alike_and_others_are_not():
    """1 for the same words, 0 without a common one, between them for some; a vector's length does not count."""
    found = similarities()
    assert found.similarity(Topic("disk full"), "full disk") == 1
    assert found.similarity(Topic("disk full"), "phishing mail") == 0
    assert 0.3 < found.similarity(Topic("disk full"), "the disk is slow") < 0.5
    assert unit([3, 4]).tolist() == pytest.approx([0.6, 0.8])


def test_a_topic_is_embedded_once_and_texts_are_kept():
    """A topic keeps its vector; of the texts the thousand used last are kept."""
    asked = Counter[str]()

    def embed(text: str) -> list[float]:
        asked[text] += 1
        return vector(text)

    found, topic = similarities(embed), Topic(TOPIC)
    for number in range(MAX_TEXTS + 1):
        found.similarity(topic, f"text {number}")
    found.similarity(topic, f"text {MAX_TEXTS}")
    found.similarity(topic, "text 0")  # gone: more than a thousand came after it
    assert asked[TOPIC] == 1
    assert asked[f"text {MAX_TEXTS}"] == 1
    assert asked["text 0"] == 2
    assert len(found._kept) == MAX_TEXTS


def held_up(asked: Counter[str], go_on: threading.Event) -> Callable[[str], list[float]]:
    """A provider that counts what it is asked, and answers for any text but the topic when it may go on."""

    def embed(text: str) -> list[float]:
        asked[text] += 1
        if text != TOPIC:
            assert go_on.wait(PATIENCE)
        return vector(text)

    return embed


def test_64_callers_with_one_text_make_one_call():
    """Who comes while a vector is computed waits for that one."""
    asked, come, go_on = Counter[str](), threading.Semaphore(0), threading.Event()
    found, topic = similarities(held_up(asked, go_on)), Topic(TOPIC)
    found.similarity(topic, TOPIC)

    def ask() -> float:
        come.release()
        return found.similarity(topic, "the disk is full")

    with ThreadPoolExecutor(64) as callers:
        answers = [callers.submit(ask) for _ in range(64)]
        for _ in answers:
            assert come.acquire(timeout=PATIENCE)
        go_on.set()
        assert len({one.result(PATIENCE) for one in answers}) == 1
    assert asked == {TOPIC: 1, "the disk is full": 1}


def test_64_greenlets_with_one_text_make_one_call():
    """On the event loop of a worker, too: who waits for the vector lets the others go on."""
    asked, come, go_on = Counter[str](), threading.Semaphore(0), waiting.Event()
    found, topic = similarities(held_up(asked, go_on)), Topic(TOPIC)
    found.similarity(topic, TOPIC)
    answers: list[float] = []
    ended = threading.Semaphore(0)

    def ask() -> None:
        come.release()
        answers.append(found.similarity(topic, "the disk is full"))
        ended.release()

    for _ in range(64):
        loop.of_process().spawn(ask)
    for _ in range(64):
        assert come.acquire(timeout=PATIENCE)
    go_on.set()
    for _ in range(64):
        assert ended.acquire(timeout=PATIENCE)
    assert len(set(answers)) == 1
    assert asked == {TOPIC: 1, "the disk is full": 1}


def test_64_callers_share_a_failure_too():
    """One call fails, all of its callers hear it, and who comes later finds the provider at rest."""
    asked, come, go_on = [], threading.Semaphore(0), threading.Event()

    def embed(text: str) -> list[float]:
        asked.append(text)
        assert go_on.wait(PATIENCE)
        raise EmbeddingFailed("away", retryable=True)

    found = similarities(embed)

    def ask() -> str:
        come.release()
        with pytest.raises(EmbeddingFailed) as raised:
            found.similarity(Topic(TOPIC), "a text")
        assert raised.value.retryable
        return str(raised.value)

    with ThreadPoolExecutor(64) as callers:
        answers = [callers.submit(ask) for _ in range(64)]
        for _ in answers:
            assert come.acquire(timeout=PATIENCE)
        go_on.set()
        assert {one.result(PATIENCE) for one in answers} == {"away"}
    assert asked == [TOPIC]


def test_a_provider_that_fails_rests_and_is_tried_by_one(monkeypatch):
    """While it rests everyone fails at once; then one call finds out, and it is asked as before."""
    clock, well, asked = [100.0], [False], []
    monkeypatch.setattr(similarity.time, "monotonic", lambda: clock[0])

    def embed(text: str) -> list[float]:
        asked.append(text)
        if not well[0]:
            raise EmbeddingFailed("away", retryable=True)
        return vector(text)

    found = similarities(embed)

    def fails(text: str) -> bool:
        try:
            found.similarity(Topic(text), text)
        except EmbeddingFailed:
            return True
        return False

    assert [fails(text) for text in "abc"] == [True] * 3
    assert asked == ["a"]
    clock[0] += similarity.REST + 0.1
    assert [fails(text) for text in "def"] == [True] * 3
    assert asked == ["a", "d"]
    clock[0] += similarity.REST + 0.1
    well[0] = True
    assert [fails(text) for text in "ghi"] == [False] * 3


def test_a_text_that_is_refused_stops_no_other():
    """A provider that refuses one text is asked about the next."""

    def embed(text: str) -> list[float]:
        if text == "odd":
            raise EmbeddingFailed("refused", of_text=True)
        return vector(text)

    found = similarities(embed)
    with pytest.raises(EmbeddingFailed):
        found.similarity(Topic(TOPIC), "odd")
    assert found.similarity(Topic(TOPIC), TOPIC) == 1


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [math.nan, 1.0], [math.inf], [1e39], [10**400]])
def test_what_is_no_direction_is_no_vector(values):
    """Nothing, zero, and what no number of 32 bits holds or can be measured."""
    with pytest.raises(EmbeddingFailed):
        similarities(lambda _text: values).similarity(Topic("a"), "b")


def test_vectors_of_different_models_do_not_fit():
    """A server whose model was replaced between topic and text gives no similarity."""
    sizes = iter([3, 4])
    with pytest.raises(EmbeddingFailed, match="3 and of 4"):
        similarities(lambda _text: [1.0] * next(sizes)).similarity(Topic("a"), "b")


# texts


def test_the_texts_of_a_payload():
    """All texts at any depth in their order, without names, numbers and what is named like a credential."""
    payload = {
        "title": "Disk",
        "n": 3,
        "more": {"password": "hunter2", "list": ["is", {"x": "full"}, True]},
        "y": "now",
    }
    assert texts.of(payload) == "Disk is full now"
    assert texts.of(7) == texts.of(None) == texts.of({"n": [1, 2]}) == ""


def test_credentials_in_a_text_are_masked():
    """A provider of embeddings may be another system."""
    found = texts.of({"url": "see https://user:hunter2@example.org/x"})
    assert "hunter2" not in found
    assert MASK in found


@pytest.mark.parametrize(
    "value", ["x" * (1 << 20), ["x"] * 200_000, [[]] * 200_000, {str(n): {} for n in range(99_999)}]
)
def test_a_large_value_gives_a_bounded_text(value):
    """A megabyte costs no more than its beginning."""
    assert len(texts.of(value)) <= texts.MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "has"), [("a", True), ("数", True), ("Ж", True), ("٣", True), ("?! …", False), ("", False)]
)
def test_a_word_has_a_letter_or_a_digit_of_any_script(text, has):
    """Signs and spaces mean nothing; a mask is no word."""
    assert texts.has_words(text) is has
    assert not texts.has_words(MASK)


# conditions


class Meanings:
    """Similarities by hand: text → similarity, or the exception."""

    def __init__(self, threshold: float = 0.5, **found: Any) -> None:
        self.threshold = threshold
        self.found = found
        self.asked: list[str] = []
        self.noted: list[str] = []

    def similarity(self, topic: Topic, text: str) -> float:
        self.asked.append(text)
        if isinstance(self.found[text], Exception):
            raise self.found[text]
        return self.found[text]

    def note(self, result: str) -> None:
        self.noted.append(result)


def about(kind: str = "deny", **more: Any) -> dict[str, Any]:
    """A rule about a topic."""
    meaning = {"topic": TOPIC, "text_field": "action.payload.m", **more}
    return {"name": "topical", "condition": {"semantic_match": meaning}, "action": {"type": kind}}


def verdict(rule: dict[str, Any], meanings: Meanings, text: Any = "t") -> Any:
    rules = ruleset(rule)
    seen = facts(payload={"m": text})
    return decide(rules.candidates(*seen.key), seen, meaning=meanings)


def test_the_threshold_of_the_rule_or_of_the_model():
    """At the threshold or above it matches; the record names similarity, topic and threshold."""
    assert verdict(about(threshold=0.4), Meanings(t=0.4)).kind == "deny"
    assert verdict(about(threshold=0.41), Meanings(t=0.4)).kind == "allow"
    found = verdict(about(), Meanings(threshold=0.3, t=0.3512))
    assert found.condition == (f'action.payload.m is about "{TOPIC}" (similarity 0.3512 with "{TOPIC}", threshold 0.3)')
    [reason] = why.explained(Known(verdict="deny", rule="topical", gate={"condition": found.condition}))["reasons"]
    assert "0.3512" in reason["condition"]


def test_both_ways_of_writing_are_stored_alike():
    """As the field writes it, and as an object; without a field all texts of the payload are compared."""
    flat = {"semantic_match": TOPIC, "threshold": 0.4, "text_field": "payload.m", "on_error": "match"}
    rule = {"name": "r", "condition": flat, "action": {"type": "deny"}}
    [stored] = [one.form["condition"] for one in ruleset(rule).rules]
    assert stored == {
        "semantic_match": {"topic": TOPIC, "threshold": 0.4, "text_field": "action.payload.m", "on_error": "match"}
    }
    [short] = ruleset({**rule, "condition": {"semantic_match": TOPIC}}).rules
    assert short.form["condition"]["semantic_match"] == {
        "topic": TOPIC,
        "text_field": "action.payload",
        "on_error": "no_match",
    }


@pytest.mark.parametrize("text", [None, 7, "", "  ", "?!", [1], {"x": 1}])
def test_what_is_no_text_is_about_nothing(text):
    """The provider is not asked."""
    meanings = Meanings()
    assert verdict(about(), meanings, text).kind == "allow"
    assert meanings.asked == meanings.noted == []


def test_it_is_asked_last():
    """Whatever else a condition has comes before: where that decides, nothing is embedded."""
    rule = about()
    cheap = [{"field": "action.payload.m", "eq": "other"}, {"state_seen": "x", "within_seconds": 5}]
    for part in (*cheap, {"expression": "action.payload.m == 'other'"}):
        meanings = Meanings(t=1.0)
        assert verdict({**rule, "condition": {"all": [rule["condition"], part]}}, meanings).kind == "allow"
        assert meanings.asked == []
    meanings = Meanings(t=1.0)
    either = {"any": [rule["condition"], {"field": "action.payload.m", "eq": "t"}]}
    assert verdict({**rule, "condition": either}, meanings).kind == "deny"
    assert meanings.asked == []


AWAY = EmbeddingFailed("away")


def test_where_the_provider_fails_the_rule_does_not_match():
    """Not under a ``not`` either; the verdict says why, and it is counted."""
    meanings = Meanings(t=AWAY)
    found = verdict(about(), meanings)
    assert found.kind == "allow"
    assert [problem.rule for problem in found.problems] == ["topical"]
    assert "away" in found.problems[0].detail
    rule = about()
    assert verdict({**rule, "condition": {"not": rule["condition"]}}, meanings).kind == "allow"
    assert meanings.noted == ["failed", "failed"]


def test_on_error_match():
    """Then it matches, and the verdict says that nothing was compared."""
    found = verdict(about(on_error="match"), Meanings(t=AWAY))
    assert (found.kind, found.rule) == ("deny", "topical")
    assert "away" in found.problems[0].detail
    gate = {"problems": [(one.rule, one.detail) for one in found.problems]}
    told = why.explained(Known(verdict="deny", rule="topical", gate=gate))
    assert any("matched all the same" in sentence for sentence in told["sentences"])


def test_without_a_provider_nothing_matches():
    """As where it fails."""
    rules, seen = ruleset(about()), facts(payload={"m": "t"})
    found = decide(rules.candidates(*seen.key), seen)
    assert found.kind == "allow"
    assert "no provider" in found.problems[0].detail


def test_a_trace_shows_the_similarity_and_counts_nothing():
    """Of a rule that matches and of one that does not; null where it is not known, with the error."""
    for result, expected in ((0.6, "matched"), (0.4, "not_matched"), (AWAY, "error")):
        meanings = Meanings(t=result)
        body = trace(ruleset(about()), facts(payload={"m": "t"}), Records({}), Options(), meaning=meanings).body
        [entry] = body["trace"]
        assert entry["result"] == expected
        shown = {name: entry["condition"][name] for name in ("topic", "threshold", "similarity", "found")}
        similar = None if result is AWAY else result
        assert shown == {"topic": TOPIC, "threshold": 0.5, "similarity": similar, "found": "t"}
        assert ("error" in entry) == (result is AWAY)
        assert meanings.noted == []


def test_a_rule_that_compares_nothing_asks_nothing():
    """Rules without the condition never look at what texts mean."""

    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    [rule] = ruleset({**about(), "condition": {"field": "action.payload.m", "eq": "t"}}).rules
    this = Evaluation(NothingRecorded(), meaning=Untouchable())
    assert rule.test(facts(payload={"m": "t"}), this)


def test_no_more_topics_than_memory_has_room_for():
    """All topics of a set are bounded."""
    many = {"any": [{"semantic_match": f"topic {number}"} for number in range(200)]}
    rules = [{**about(), "name": f"r{number}", "condition": many} for number in range(3)]
    faults = Faults()
    Lists(Names()).check(rules[:2], "/rules", str, faults)
    assert faults.listed() == []
    Lists(Names()).check(rules, "/rules", str, faults)
    assert "more than 500 topics" in faults.listed()[0].detail
