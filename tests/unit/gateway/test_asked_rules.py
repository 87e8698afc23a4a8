"""Which of many rules are asked: those that want the text that is there."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import fingerprints
from gateway.rules.decide import decide
from tests.support.rules import SCALARS, facts, ruleset

DENY = {"type": "deny", "reason": "no"}
SCORE = {"field": "action.payload.score", "gt": 1}


def of_hosts(*hosts):
    """A rule for each host."""
    return [
        {"name": f"of-{host}", "condition": {"field": "action.payload.host", "eq": host}, "action": DENY}
        for host in hosts
    ]


def found(rules, seen):
    """The rules that are asked."""
    return rules.asked(seen.key, seen)


def asked(rules, **given):
    """The rules that are asked about facts."""
    return [rule.name for rule in found(rules, facts(**given))]


def test_those_that_want_another_text_are_left_out():
    """Whatever stands there, and whether it is a text; rules that want none in particular are always asked."""
    either = {"field": "action.payload.host", "in_list": ["a", "b"]}
    both = {"all": [SCORE, {"field": "action.payload.host", "eq": "a"}]}
    maybe = {"any": [SCORE, {"field": "action.payload.host", "eq": "a"}]}
    others = {"either": either, "score": SCORE, "both": both, "maybe": maybe, "not": {"not": either}}
    rules = ruleset(
        *of_hosts("a", "b", "c"),
        *({"name": name, "condition": condition, "action": DENY} for name, condition in others.items()),
    )
    free = ["score", "maybe", "not"]
    assert asked(rules, payload={"host": "a"}) == ["of-a", "either", "score", "both", "maybe", "not"]
    assert asked(rules, payload={"host": "c"}) == ["of-c", *free]
    for other in ("d", None, 1, ["a"], {"a": 1}):
        assert asked(rules, payload={"host": other}) == free
    assert asked(rules, payload={}) == free


def test_few_rules_are_all_asked():
    """Reading a field for all at once pays where several rules want it."""
    rules = ruleset(*of_hosts("a", "b", "c"))
    assert asked(rules, payload={"host": "a"}) == ["of-a", "of-b", "of-c"]


def test_a_changed_payload_is_what_later_rules_see():
    """Behind a rule that changes payloads no text of the payload rules anything out; one of a label does."""
    modify = {
        "name": "modify",
        "priority": -1,
        "continue": True,
        "condition": {"field": "action.payload.host", "eq": "a"},
        "action": {"type": "modify", "changes": {"host": "b"}},
    }
    labels = [
        {"name": f"label-{team}", "condition": {"field": "action.metadata.team", "eq": team}, "action": DENY}
        for team in "wxyz"
    ]
    rules = ruleset(modify, *of_hosts("a", "b", "c", "d"), *labels)
    seen = facts(payload={"host": "a"}, metadata={"team": "x"})
    assert [rule.name for rule in found(rules, seen)] == ["modify", "of-a", "of-b", "of-c", "of-d", "label-x"]
    assert decide(found(rules, seen), seen).rule == "of-b"


def test_what_is_asked_is_remembered_within_bounds():
    """Ever new texts are no new results; ever new keys do not grow the memory without end."""
    rules = ruleset(*of_hosts("a", "b", "c", "d"))
    for number in range(11_000):
        assert asked(rules, payload={"host": f"host-{number}"}) == []
    assert rules._narrowed.cache_info().currsize == 1
    for number in range(11_000):
        assert asked(rules, action_type=f"type-{number}", payload={"host": "a"}) == ["of-a"]
    assert rules._narrowed.cache_info().currsize == 10_000


def test_results_of_texts_count_where_different_results_are_too_many(monkeypatch):
    """They are dropped with those of keys before they grow too large."""
    monkeypatch.setattr("gateway.rules.ruleset.MAX_HELD", 20)
    hosts = "abcdefgh"
    rules = ruleset(*of_hosts(*hosts), {"name": "score", "condition": SCORE, "action": DENY})
    for host in hosts * 2:
        assert asked(rules, payload={"host": host}) == [f"of-{host}", "score"]
        assert sum(map(len, rules._shared)) <= 20


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_keys_are_made_of_json_as_the_library_writes_it(value):
    """Members are sorted: a digest of it, which outlives releases, stays the same."""
    assert fingerprints.canonical(value) == json.dumps(value, sort_keys=True)
