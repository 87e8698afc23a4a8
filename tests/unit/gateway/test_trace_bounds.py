"""A trace of many rules about a large payload is bounded."""

import json

import pytest

from gateway.facts import Facts
from gateway.rules import written
from gateway.rules.recorded import NothingRecorded
from gateway.rules.ruleset import Ruleset
from gateway.rules.trace import Options, trace


def ruleset(number, **rule):
    forms = [written.normalise({"name": f"r{each}", **rule}, "rules/a.yaml", each) for each in range(number)]
    return Ruleset(forms)


def facts(payload):
    return Facts("dispatch", "n", "t", "mail", "x", 0, payload, {})


LARGE = {f"m{number}": ["word"] * 10 for number in range(5_000)}


def test_a_large_payload_is_not_shown_for_each_rule_that_modifies_it():
    """The payload as it would go out is shown once; before each rule only where it is small, and of few rules."""
    rules = ruleset(
        200,
        condition={"field": "action.provider", "eq": "mail"},
        action={"type": "modify", "changes": {"a": 1}},
        **{"continue": True},
    )
    found = trace(rules, facts(LARGE), NothingRecorded(), Options()).body
    assert found["modified_payload"] == {**LARGE, "a": 1}
    assert not [entry for entry in found["trace"] if "modified_payload_preview" in entry]
    small = trace(rules, facts({"b": 2}), NothingRecorded(), Options()).body
    assert sum("modified_payload_preview" in entry for entry in small["trace"]) == 50


@pytest.mark.gate
def test_a_large_value_is_not_shown_by_each_condition():
    """It is described, and long texts inside a small one are cut."""
    rules = ruleset(500, condition={"field": "action.payload.all", "exists": False}, action={"type": "allow"})
    found = trace(rules, facts({"all": LARGE}), NothingRecorded(), Options()).body
    assert {entry["condition"]["found"] for entry in found["trace"]} == {"an object of 5000"}
    shown = trace(rules, facts({"all": {"text": "x" * 100_000}}), NothingRecorded(), Options()).body
    assert len(json.dumps(shown)) < 500 * 1_000
