"""Verdicts: the first match, what continues, shadows, patches; and the same explained."""

import json

import pytest

from gateway.merge_patch import all_patched, patched
from gateway.rules.decide import ALLOWED, decide
from gateway.rules.recorded import MockRecords, NothingRecorded
from gateway.rules.trace import Options, trace
from gateway.verdicts import Deduplicate, Throttle
from tests.support.rules import facts, ruleset

ALWAYS = {"field": "action.tenant", "exists": True}


def rule(name, action, **more):
    return {"name": name, "condition": ALWAYS, "action": action, **more}


#: the examples of RFC 7396, appendix A
RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("value", "patch", "result"), RFC_7396)
def test_patches_are_those_of_the_rfc(value, patch, result):
    """Every example of RFC 7396 gives its result, and changes neither value nor patch."""
    before = json.dumps([value, patch])
    assert patched(value, patch) == result
    assert json.dumps([value, patch]) == before


def test_no_rule_no_verdict():
    """Without a match the execution goes out, by the one shared verdict."""
    assert decide((), facts()) is ALLOWED
    assert ALLOWED.plain


def test_the_first_match_decides():
    """The verdict names its rule, reason and condition."""
    rules = ruleset(rule("first", {"type": "deny", "reason": "frozen"}), rule("second", {"type": "allow"}))
    verdict = decide(rules.rules, facts())
    assert (verdict.kind, verdict.rule, verdict.reason) == ("deny", "first", "frozen")
    assert verdict.condition == "action.tenant exists true"
    assert not verdict.plain


def test_a_shadow_rule_is_recorded_and_changes_nothing():
    """What a shadow rule would have decided stands in the verdict, and the search goes on."""
    rules = ruleset(
        rule("try", {"type": "deny"}, mode="shadow"),
        rule("patch", {"type": "modify", "changes": {"a": 1}}, mode="shadow", **{"continue": True}),
        rule("real", {"type": "suppress"}),
    )
    verdict = decide(rules.candidates(*facts().key), facts())
    assert (verdict.kind, verdict.rule, verdict.patches) == ("suppress", "real", ())
    assert [(one.rule, one.verdict) for one in verdict.shadows] == [("try", "deny"), ("patch", "modify")]


def test_continue_collects_checks_and_patches_in_order():
    """Rules behind a patch see it; checks stand in the order in which they are made."""
    rules = ruleset(
        rule("add", {"type": "modify", "changes": {"host": "b"}}, **{"continue": True}),
        rule("once", {"type": "deduplicate", "key_fields": ["payload.host"]}, **{"continue": True}),
        {
            "name": "limit",
            "condition": {"field": "action.payload.host", "eq": "b"},
            "action": {"type": "throttle", "max_count": 1, "window_seconds": 5, "message": "slow"},
        },
        rule("never", {"type": "deny"}),
    )
    verdict = decide(rules.candidates(*facts().key), facts(payload={"host": "a"}))
    assert (verdict.kind, verdict.rule, verdict.reason) == ("throttle", "limit", "slow")
    assert [(check.rule, type(check.effect)) for check in verdict.checks] == [
        ("once", Deduplicate),
        ("limit", Throttle),
    ]
    assert all_patched({"host": "a", "x": 1}, verdict.patches) == {"host": "b", "x": 1}
    direct = decide(
        ruleset(rule("once", {"type": "deduplicate", "key_fields": ["payload.host"]})).rules,
        facts(payload={"host": "b"}),
    )
    assert verdict.checks[0].key == direct.checks[0].key


def test_what_is_stopped_is_not_counted():
    """A throttle that lets through and a denial behind it: what never goes out takes no place in the window."""
    limit = rule("limit", {"type": "throttle", "max_count": 1, "window_seconds": 5}, **{"continue": True})
    verdict = decide(ruleset(limit, rule("stop", {"type": "deny"})).rules, facts())
    assert (verdict.rule, verdict.checks) == ("stop", ())
    verdict = decide(ruleset(limit, rule("on", {"type": "schedule", "delay_seconds": 5})).rules, facts())
    assert [check.rule for check in verdict.checks] == ["limit"]


def traced(rules, given=None, recorded=None, **options):
    return trace(rules, given or facts(), recorded or NothingRecorded(), Options(**options)).body


def test_a_trace_tells_every_rule_and_why():
    """Each rule has a result, its condition part by part, and the value that was found."""
    rules = ruleset(
        {
            "name": "severe",
            "condition": {
                "all": [{"field": "action.payload.severity", "eq": "high"}, {"field": "action.provider", "eq": "email"}]
            },
            "action": {"type": "deny"},
        },
        rule("off", {"type": "deny"}, enabled=False),
        rule("steps", {"type": "deny"}, origins=["step"]),
        rule("tenants", {"type": "deny"}, tenants=["other"]),
        {"name": "broken", "condition": {"expression": "action.payload.x > 1"}, "action": {"type": "deny"}},
        rule("stop", {"type": "suppress", "reason": "quiet"}),
        rule("behind", {"type": "deny"}),
    )
    body = traced(rules, facts(payload={"severity": "low"}))
    assert (body["verdict"], body["matched_rule"], body["reason"]) == ("suppress", "stop", "quiet")
    assert [entry["result"] for entry in body["trace"]] == [
        "not_matched",
        "skipped",
        "skipped",
        "skipped",
        "error",
        "matched",
        "skipped",
    ]
    assert body["has_errors"]
    assert (body["total_rules_evaluated"], body["total_rules_skipped"]) == (3, 4)
    parts = body["trace"][0]["condition"]["parts"]
    assert [(part["result"], part["found"]) for part in parts] == [(False, "low"), (True, "email")]
    assert "does not exist" in body["trace"][4]["error"]
    assert "'stop' has decided" in body["trace"][6]["skip_reason"]
    assert body["context"]["time"]["year"] == 2026


def test_a_trace_may_go_on_and_include_disabled_rules():
    """A trace may ask rules behind the decision and rules that are off; the verdict stays."""
    rules = ruleset(
        rule("off", {"type": "deny"}, enabled=False),
        rule("stop", {"type": "suppress"}),
        rule("behind", {"type": "modify", "changes": {"a": 1}}),
    )
    body = traced(rules, evaluate_all=True, include_disabled=True)
    assert body["matched_rule"] == "stop"
    assert [entry["result"] for entry in body["trace"]] == ["matched"] * 3
    assert body["trace"][2]["modified_payload_preview"] == {"a": 1}
    assert "modified_payload" not in body


def test_a_trace_decides_as_the_gate_does():
    """The verdict of a trace is that of ``decide``, patches and checks included."""
    rules = ruleset(
        rule("patch", {"type": "modify", "changes": {"n": 1}}, **{"continue": True}),
        {
            "name": "limit",
            "condition": {"field": "action.payload.n", "eq": 1},
            "action": {"type": "throttle", "max_count": 1, "window_seconds": 5},
        },
    )
    told = trace(rules, facts(), NothingRecorded())
    assert told.verdict == decide(rules.rules, facts())
    assert told.body["checks"] == [
        {"rule": "limit", "type": "throttle", "max_count": 1, "window_seconds": 5, "on_excess": "reject"}
    ]
    assert told.body["modified_payload"] == {"n": 1}


def test_a_trace_takes_recorded_outcomes_by_hand():
    """``mock_state`` answers by name; the names that were looked up are listed."""
    rules = ruleset(
        {"name": "seen", "condition": {"state_seen": "cluster_down", "within_seconds": 60}, "action": {"type": "deny"}},
        {
            "name": "counted",
            "condition": {
                "state_counter": {"action_type": "login", "outcome": "failed"},
                "within_seconds": 60,
                "gt": 2,
            },
            "action": {"type": "deny"},
        },
    )
    records = MockRecords({"login outcome=failed": 3})
    body = traced(rules, recorded=records)
    assert records.asked == ["cluster_down", "login outcome=failed"]  # each once, though it is explained too
    assert body["matched_rule"] == "counted"
    assert body["context"]["accessed_state_keys"] == ["cluster_down", "login outcome=failed"]


def test_credentials_are_in_no_trace_and_no_verdict():
    """Values on paths named like credentials are masked, and so is what a rule compares them with."""
    rules = ruleset(
        {
            "name": "r",
            "condition": {
                "all": [
                    {"field": "action.payload.auth.password", "eq": "hunter2hunter2"},
                    {"not": {"expression": "action.payload.api_key == 'sesame-sesame'"}},
                ]
            },
            "action": {
                "type": "modify",
                "changes": {"token": "swordfish-1", "url": "https://x.org/?token=swordfish-2"},
            },
        }
    )
    payload = {"auth": {"password": "hunter2hunter2"}, "api_key": "opensesame-1", "items": [{"secret": "opensesame-2"}]}
    told = trace(rules, facts(payload=payload), NothingRecorded(), Options(evaluate_all=True))
    assert told.verdict.kind == "modify"
    text = json.dumps(told.body) + str(told.verdict.condition)
    for word in ("hunter2", "sesame", "swordfish"):
        assert word not in text
