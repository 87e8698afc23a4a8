"""Laws of deciding, on random rules and facts."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Facts
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
