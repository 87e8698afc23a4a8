"""Laws of deciding, on random rules and facts."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Facts
from gateway.rules import ruleset as rulesets
from gateway.rules.conditions import Evaluation
from gateway.rules.decide import decide
from tests.support import rules as made


@given(made.rules(), made.FACTS, made.RECORDS)
def test_candidates_decide_as_all_rules_do(written, facts, recorded):
    """Leaving out the rules that the key excludes changes no verdict."""
    ruleset = made.ruleset(*written)
    everything = [rule for rule in ruleset.rules if facts.origin in rule.origins and rule.concerns_tenant(facts.tenant)]
    candidates = ruleset.candidates(*facts.key)
    verdict = decide(candidates, facts, recorded)
    assert verdict == decide(everything, facts, recorded)


@given(made.rules(), made.FACTS, made.RECORDS)
def test_those_that_are_asked_decide_as_all_rules_do(written, facts, recorded):
    """Leaving out the rules that want another text changes no verdict, however few want one in the same field."""
    with mock.patch.object(rulesets, "LEAST", 1):
        ruleset = made.ruleset(*written)
    asked, candidates = ruleset.asked(facts.key, facts), ruleset.candidates(*facts.key)
    assert set(asked) <= set(candidates)
    assert decide(asked, facts, recorded) == decide(candidates, facts, recorded)


@given(made.rules(), made.FACTS, made.RECORDS)
def test_a_verdict_is_what_the_rules_mean(written, facts, recorded):
    """The verdict is that of a plain interpreter of the rules as written."""
    ruleset = made.ruleset(*written)
    verdict = decide(ruleset.candidates(*facts.key), facts, recorded)
    assert (
        verdict.kind,
        verdict.rule,
        [check.rule for check in verdict.checks],
        list(verdict.patches),
        [(shadow.rule, shadow.verdict) for shadow in verdict.shadows],
    ) == made.opinion(written, facts, recorded)


@given(made.TREES, made.FACTS, made.FACTS, made.RECORDS)
def test_what_a_key_decides_holds_for_every_payload(tree, facts, other, recorded):
    """A condition that the key makes true or false stays so, whatever the other facts are."""
    [rule] = made.ruleset({"name": "r", "condition": tree, "action": {"type": "deny"}}).rules
    known = rule.condition.known(facts.key) if rule.condition.known else None
    mixed = Facts(*facts.key, *other[5:])
    value = rule.test(mixed, Evaluation(recorded))
    if known is not None:
        assert bool(value) is known


@given(st.permutations(range(4)), made.FACTS, made.RECORDS, st.lists(made.TREES, min_size=4, max_size=4))
def test_the_order_of_parts_does_not_matter(order, facts, recorded, parts):
    """``all`` and ``any`` give the same in any order of their parts, also under ``not``."""
    for kind in ("all", "any"):
        trees = [{"not": {kind: parts}}, {"not": {kind: [parts[place] for place in order]}}]
        results = []
        for tree in trees:
            [rule] = made.ruleset({"name": "r", "condition": tree, "action": {"type": "deny"}}).rules
            results.append(rule.test(facts, Evaluation(recorded)))
        assert bool(results[0]) is bool(results[1])


YES, NO = {"field": "action.provider", "eq": "a"}, {"field": "action.provider", "eq": "b"}
OPEN = {"field": "action.payload.x", "eq": 1}
ASKED = {"state_seen": "x", "within_seconds": 5}
SURE = {"expression": "action.provider == 'a'"}
BROKEN = {"expression": "action.provider > 1"}


@pytest.mark.parametrize(
    ("tree", "known"),
    [
        (YES, True),
        (NO, False),
        (OPEN, None),
        (ASKED, None),
        (SURE, True),
        (BROKEN, None),
        ({"not": YES}, False),
        ({"not": NO}, True),
        ({"not": OPEN}, None),
        ({"all": [YES, SURE]}, True),
        ({"all": [YES, OPEN]}, None),
        ({"all": [OPEN, NO]}, False),
        ({"all": [BROKEN, YES]}, None),
        ({"all": [BROKEN, NO]}, False),
        ({"any": [NO, YES]}, True),
        ({"any": [OPEN, YES]}, True),
        ({"any": [NO, OPEN]}, None),
        ({"any": [NO, NO]}, False),
        ({"any": [BROKEN, NO]}, None),
        ({"any": [BROKEN, YES]}, True),
        ({"not": {"all": [OPEN, NO]}}, True),
        ({"not": {"any": [OPEN, YES]}}, False),
        ({"not": {"any": [OPEN, NO]}}, None),
        ({"expression": "action.provider == 'a' && action.payload.x == 1"}, None),
    ],
)
def test_what_a_key_decides(tree, known):
    """The three values of a condition for a key with the provider ``a``."""
    [rule] = made.ruleset({"name": "r", "condition": tree, "action": {"type": "deny"}}).rules
    key = ("dispatch", "n", "t", "a", "type")
    assert rule.concerns(key) is known
    assert rule.concerns(("step", *key[1:])) is known


def test_only_a_rule_that_ends_the_search_hides_the_others():
    """Behind a rule that always matches nothing is kept, unless it is a shadow or continues."""
    deny = {"type": "deny"}
    throttle = {"type": "throttle", "max_count": 1, "window_seconds": 1}
    rules = made.ruleset(
        {"name": "shadow", "condition": YES, "action": deny, "mode": "shadow"},
        {"name": "open", "condition": {"all": [YES, OPEN]}, "action": deny},
        {"name": "goes on", "condition": YES, "action": throttle, "continue": True},
        {"name": "other", "condition": NO, "action": deny},
        {"name": "step", "condition": YES, "action": deny, "origins": ["step"]},
        {"name": "tenant", "condition": YES, "action": deny, "tenants": ["x"]},
        {"name": "ends", "condition": YES, "action": deny},
        {"name": "behind", "condition": YES, "action": deny},
    )
    found = rules.candidates("dispatch", "n", "t", "a", "type")
    assert [rule.name for rule in found] == ["shadow", "open", "goes on", "ends"]
