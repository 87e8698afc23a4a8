"""What a trigger may say, and which events meet its conditions."""

from typing import Any

import pytest

from playbooks.definitions.events import names
from playbooks.definitions.triggers import check_trigger, matches, subject

FINDING = {
    "title": "SQL injection",
    "severity": "high",
    "score": 8.1,
    "open": True,
    "tags": ["web", "owasp"],
    "found_at": "2026-04-28T12:00:00Z",
    "owner": None,
    "asset": {"id": "a-1", "name": "shop.example", "tags": ["production", "pci"]},
}
EVENT = {"event": "finding.new", "data": {"finding": FINDING, "source": "scanner"}}


def pointers(trigger: Any) -> list[str]:
    """Where the faults of a trigger are."""
    return [problem.pointer for problem in check_trigger(trigger)]


@pytest.mark.parametrize(
    "trigger",
    [
        {"event": "manual"},
        {"event": "manual", "conditions": {}},
        {"event": "schedule", "cron": "0 8 * * 1"},
        {"event": "schedule", "cron": "0 8 * * 1", "timezone": "Europe/Berlin", "conditions": {}},
        {"event": "finding.new", "conditions": {"severity": {"$in": ["critical", "high"]}, "score": {"$gte": 7}}},
        {"event": "finding.*", "conditions": None, "cron": None},
        {"event": "asset.verified", "conditions": {"asset_tags": {"$contains": "production"}}},
        {"event": "ticket.state.closed"},
        {"event": "scan.failed", "conditions": {"a.b": {"$exists": False, "$regex": "^x"}, "n": None, "tags": ["a"]}},
        {"event": "scan.failed", "conditions": {"n": 10**400, "m": {"$gt": 10**400}}},
    ],
)
def test_sound_triggers(trigger: Any) -> None:
    """Known events and others of their form, with conditions of every kind."""
    assert check_trigger(trigger) == []


@pytest.mark.parametrize(
    ("trigger", "pointer"),
    [
        (None, ""),
        ([], ""),
        ({}, "/event"),
        ({"event": 7}, "/event"),
        ({"event": "finding"}, "/event"),
        ({"event": "Finding.New"}, "/event"),
        ({"event": "finding.n*w"}, "/event"),
        ({"event": "*"}, "/event"),
        ({"event": "*.new"}, "/event"),
        ({"event": "a." + "b" * 200}, "/event"),
        ({"event": "finding.new\n"}, "/event"),
        ({"event": "finding.new", "condition": {}}, "/condition"),
        ({"event": "finding.new", "cron": "0 8 * * 1"}, "/cron"),
        ({"event": "manual", "timezone": "UTC"}, "/timezone"),
        ({"event": "manual", "conditions": {"severity": "high"}}, "/conditions"),
        ({"event": "schedule"}, "/cron"),
        ({"event": "schedule", "cron": "0 0 30 2 *"}, "/cron"),
        ({"event": "schedule", "cron": "0 8 * * 1", "timezone": "Mars/Olympus"}, "/timezone"),
        ({"event": "finding.new", "conditions": []}, "/conditions"),
        ({"event": "finding.new", "conditions": {str(n): n for n in range(51)}}, "/conditions"),
        ({"event": "finding.new", "conditions": {"a..b": 1}}, "/conditions/a..b"),
        ({"event": "finding.new", "conditions": {"": 1}}, "/conditions/"),
        ({"event": "finding.new", "conditions": {"a/b": {}}}, "/conditions/a~1b"),
        ({"event": "finding.new", "conditions": {"a": "x" * 1025}}, "/conditions/a"),
        ({"event": "finding.new", "conditions": {"a": {"$like": 1}}}, "/conditions/a/$like"),
        ({"event": "finding.new", "conditions": {"a": {"b": 1}}}, "/conditions/a/b"),
        ({"event": "finding.new", "conditions": {"a": {"$in": "x"}}}, "/conditions/a/$in"),
        ({"event": "finding.new", "conditions": {"a": {"$in": []}}}, "/conditions/a/$in"),
        ({"event": "finding.new", "conditions": {"a": {"$nin": [{}]}}}, "/conditions/a/$nin"),
        ({"event": "finding.new", "conditions": {"a": {"$exists": 1}}}, "/conditions/a/$exists"),
        ({"event": "finding.new", "conditions": {"a": {"$regex": "(?=x)"}}}, "/conditions/a/$regex"),
        ({"event": "finding.new", "conditions": {"a": {"$gt": "tall"}}}, "/conditions/a/$gt"),
        ({"event": "finding.new", "conditions": {"a": {"$lt": True}}}, "/conditions/a/$lt"),
        ({"event": "finding.new", "conditions": {"a": {"$eq": {}}}}, "/conditions/a/$eq"),
    ],
)
def test_faults_are_named_where_they_are(trigger: Any, pointer: str) -> None:
    """Each fault has a pointer into the trigger."""
    assert pointers(trigger) == [pointer]


def test_every_fault_is_named_at_once() -> None:
    """Faults of the event, of its members and of the conditions come together."""
    trigger = {"event": "finding", "cron": "0 8 * * 1", "conditions": {"a": {"$inn": [1]}, "b": {"$regex": "("}}}
    assert pointers(trigger) == ["/event", "/cron", "/conditions/a/$inn", "/conditions/b/$regex"]


def test_misspelt_words_bring_the_nearest() -> None:
    """A slip of the pen is answered with what was probably meant."""
    assert "did you mean 'schedule'?" in check_trigger({"event": "shedule"})[0].detail
    assert "did you mean 'conditions'?" in check_trigger({"event": "manual", "condition": {}})[0].detail
    trigger = {"event": "finding.new", "conditions": {"a": {"$contain": 1}}}
    assert "did you mean '$contains'?" in check_trigger(trigger)[0].detail


def test_an_event_answers_to_its_wildcards() -> None:
    """Its own name first, then every family it belongs to."""
    assert names("finding.new") == ["finding.new", "finding.*"]
    assert names("ticket.state.closed") == ["ticket.state.closed", "ticket.state.*", "ticket.*"]


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        None,
        {"severity": "high"},
        {"finding.severity": "high"},
        {"severity": {"$in": ["critical", "high"]}},
        {"severity": {"$nin": ["low"]}, "title": {"$regex": "(?i)sql"}},
        {"severity": {"$gte": "medium", "$lt": "Critical"}},
        {"score": {"$gt": 8, "$lte": 8.1}},
        {"found_at": {"$gt": "2026-04-28", "$lt": "2026-05-01T00:00:00Z"}},
        {"asset_tags": {"$contains": "production"}},
        {"asset.tags": {"$contains": "pci"}, "asset_name": "shop.example"},
        {"tags": ["web", "owasp"]},
        {"title": {"$contains": "injection"}},
        {"open": True},
        {"owner": None},
        {"owner": {"$exists": True}},
        {"source": "scanner"},
        {"nowhere": {"$exists": False}},
        {"nowhere": {"$ne": "x"}, "asset.nowhere": {"$nin": ["x"]}},
    ],
)
def test_conditions_that_hold(conditions: Any) -> None:
    """Members of the finding, of its asset and of the data, by each operator; none at all always hold."""
    assert matches(conditions, EVENT)


@pytest.mark.parametrize(
    "conditions",
    [
        {"severity": "High"},
        {"severity": "high", "score": 1},
        {"severity": {"$gt": "high"}},
        {"severity": {"$gt": 1}},
        {"severity": {"$gt": "2026-01-01"}},
        {"score": {"$gt": "low"}},
        {"score": {"$gte": 7, "$lt": 8}},
        {"open": 1},
        {"open": {"$gt": 0}},
        {"open": {"$in": [1]}},
        {"title": {"$regex": "^injection"}},
        {"score": {"$regex": "8"}},
        {"score": {"$contains": 8}},
        {"title": {"$contains": 5}},
        {"asset": {"$contains": "id"}},
        {"tags": "web"},
        {"owner": {"$exists": False}},
        {"nowhere": None},
        {"nowhere": {"$exists": True}},
        {"nowhere": {"$eq": None}},
        {"nowhere": {"$gt": 0}},
        {"nowhere": {"$contains": "x"}},
        {"severity.deeper": "x"},
        {"tags.0": "web"},
    ],
)
def test_conditions_that_do_not_hold(conditions: Any) -> None:
    """All must hold; what is missing or of another kind meets nothing that asks for something."""
    assert not matches(conditions, EVENT)


def test_the_data_may_be_the_finding_itself() -> None:
    """Without an object called like the event's family the data is what the event is about."""
    event = {"event": "finding.new", "data": FINDING}
    assert matches({"severity": "high", "asset_tags": {"$contains": "pci"}, "finding.score": 8.1}, event)
    assert subject(event)["finding"] == FINDING
    assert subject(event)["asset"] == FINDING["asset"]


def test_what_templates_may_say_about_an_event() -> None:
    """The event always, the finding and the asset where there are some."""
    assert subject(EVENT) == {"event": EVENT, "finding": FINDING, "asset": FINDING["asset"]}
    scan = {"event": "scan.completed", "data": {"scan": {"id": "s-1"}, "asset": {"id": "a-1"}}}
    assert subject(scan) == {"event": scan, "asset": {"id": "a-1"}}
    assert subject({"event": "manual"}) == {"event": {"event": "manual"}}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"event": None},
        {"event": "finding.new", "data": None},
        {"event": "finding.new", "data": []},
        {"event": "finding.new", "data": {"finding": "x", "asset": 7}},
        {"event": "finding.new", "data": {"finding": {"title": "\ud800", "score": float("nan"), "severity": {}}}},
        {"event": "finding.new", "data": {"finding": {"score": -(10**400), "severity": "none"}}},
        {"event": 7, "data": {"severity": ["high"], "score": "x" * 100_000}},
    ],
)
def test_no_event_makes_the_matching_fail(event: Any) -> None:
    """Whatever is sent, the answer is yes or no."""
    conditions = {
        "severity": {"$gt": "low", "$in": ["high"]},
        "title": {"$regex": "."},
        "score": {"$gte": 1, "$lt": "2026-01-01"},
        "asset_tags": {"$contains": "x"},
    }
    assert not matches(conditions, event)
    for path, asked in conditions.items():
        assert not matches({path: asked}, event) or event.get("data")
