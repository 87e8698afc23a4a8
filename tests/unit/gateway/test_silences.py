"""Which silence keeps what back, and the reason that is given, in random scenes against a small reference."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import current, why
from gateway.configuration.generation import EMPTY
from gateway.current import InForce
from gateway.facts import Facts
from gateway.silences import in_force, matchers
from gateway.silences.in_force import Silences
from gateway.why import Known
from tasks.policy import words
from tasks.policy.judge import Decision, judge
from tests.support.rules import ruleset

NOW = 1_780_000_000_000
HOUR = 3_600_000
RULES = (
    {
        "name": "no",
        "condition": {"field": "action.payload.spam", "eq": True},
        "action": {"type": "suppress", "reason": "spam"},
    },
    {
        "name": "away",
        "condition": {"field": "action.payload.page", "eq": True},
        "action": {"type": "reroute", "target_provider": "pager"},
    },
)
_WORDS = st.sampled_from(["", "a", "ab", "b"])
_PATTERNS = st.sampled_from(["a", "a.*", "b|ab", "[^b]+", ""])
_NAMES = st.sampled_from(["severity", "team", "action.provider", "action.action_type", "action.payload.word"])
_MATCHER = st.one_of(
    st.fixed_dictionaries({"name": _NAMES, "op": st.sampled_from(["=", "!="]), "value": _WORDS}),
    st.fixed_dictionaries({"name": _NAMES, "op": st.sampled_from(["=~", "!~"]), "value": _PATTERNS.filter(bool)}),
)
_TIMES = st.sampled_from([(-HOUR, HOUR), (-HOUR, 2 * HOUR), (HOUR, 2 * HOUR), (-2 * HOUR, -HOUR)])
_SILENCE = st.tuples(
    st.lists(_MATCHER, min_size=1, max_size=3),
    _TIMES,
    st.sampled_from(in_force.AFTER),
    st.sampled_from([("acme", False), ("acme", True), ("*", False), ("acme.eu", False), ("other", False)]),
)
_DISPATCH = st.fixed_dictionaries(
    {
        "tenant": st.sampled_from(["acme", "acme.eu", "acme-corp"]),
        "provider": st.sampled_from(["a", "b"]),
        "action_type": st.sampled_from(["a", "ab"]),
        "payload": st.fixed_dictionaries({"word": _WORDS, "spam": st.booleans(), "page": st.booleans()}),
        "labels": st.dictionaries(st.sampled_from(["severity", "team"]), _WORDS, max_size=2),
    }
)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Any:
    yield
    current.forget()


def _compiled(number: int, drawn: Any) -> dict[str, Any]:
    matchers, (starts, ends), after, (tenant, exact) = drawn
    return {
        "id_": f"sil-{number}",
        "version": 1,
        "tenant": tenant,
        "exact": exact,
        "matchers_": matchers,
        "after": after,
        "comment": f"because of {number}",
        "starts_at": NOW + starts,
        "ends_at": NOW + ends,
        "cron": None,
        "timezone": "UTC",
        "duration_ms": 0,
    }


def _expected(silences: list[dict[str, Any]], dispatch: dict[str, Any]) -> tuple[str | None, str | None]:
    """The rule and the silence that decide, by a reading of the documentation that shares no code."""
    payload = dispatch["payload"]
    rule = "no" if payload["spam"] else "away" if payload["page"] else None
    if rule == "no":
        return rule, None
    provider = "pager" if rule == "away" else dispatch["provider"]
    values = {
        **dispatch["labels"],
        "action.provider": provider,
        "action.action_type": dispatch["action_type"],
        "action.payload.word": payload["word"],
    }

    def holds(one: dict[str, str]) -> bool:
        text = values.get(one["name"], "")
        if one["op"] in ("=", "!="):
            return (text == one["value"]) is (one["op"] == "=")
        return (re.fullmatch(one["value"], text) is not None) is (one["op"] == "=~")

    def covers(one: dict[str, Any]) -> bool:
        below = dispatch["tenant"].startswith(one["tenant"] + ".") and not one["exact"]
        return one["tenant"] in ("*", dispatch["tenant"]) or below

    found = [
        one
        for one in silences
        if covers(one) and one["starts_at"] <= NOW < one["ends_at"] and all(map(holds, one["matchers_"]))
    ]
    order = ("drop", "summarise", "release")
    found.sort(key=lambda one: (order.index(one["after"]), -one["ends_at"], one["id_"]))
    return rule, found[0]["id_"] if found else None


@settings(max_examples=200, derandomize=True, deadline=None)
@given(drawn=st.lists(_SILENCE, max_size=5), dispatch=_DISPATCH)
def test_the_reason_of_what_is_stopped_is_right(drawn: list[Any], dispatch: dict[str, Any]) -> None:
    """Rule, silence and the time at which it passes, as data and in the sentences."""
    silences = [_compiled(number, one) for number, one in enumerate(drawn)]
    current.replace(InForce(1, EMPTY, compiled=ruleset(*RULES), silences=Silences(silences)))
    facts = Facts(
        "dispatch",
        "n",
        dispatch["tenant"],
        dispatch["provider"],
        dispatch["action_type"],
        NOW,
        dispatch["payload"],
        dispatch["labels"],
    )
    rule, silence = _expected(silences, dispatch)
    decision = judge(facts.key, lambda: facts)
    if decision is None:
        assert (rule, silence) == (None, None)
        return
    assert decision.verdict.rule == rule
    told = why.explained(_known(decision))
    kinds = {one["kind"]: one for one in told["reasons"]}
    assert kinds.get("silence", {}).get("silence_id") == silence
    assert kinds.get("rule", {}).get("rule") == rule
    if silence is not None:
        by = next(one for one in silences if one["id_"] == silence)
        assert kinds["silence"]["held"] is (by["after"] == "release")
        assert (by["comment"] in told["sentences"][0], silence in told["sentences"][0]) == (True, True)
        assert kinds["silence"]["until"] == words.times.stamp(by["ends_at"])
    if rule == "no":
        assert kinds["rule"]["condition"] == "action.payload.spam eq true"


def _known(decision: Decision) -> Known:
    """What is kept of a decision: of what is stopped at its end, of what is held while it waits."""
    ended = words.stopped(decision)
    gate = words.account(decision) if ended is None else ended.gate
    verdict, kept = decision.verdict, why.read(gate.text())
    if ended is None:
        return Known(status="waiting", verdict=verdict.kind, rule=verdict.rule, gate={**kept, "outcome": "held"})
    return Known(outcome=gate.outcome, verdict=verdict.kind, rule=verdict.rule, gate=kept)


def test_a_thousand_silences_are_not_looked_at_by_what_they_do_not_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found by tenant, by the key, and by the label that each wants; patterns are tried once for each text."""
    looked_at: list[str] = []
    known = in_force.Silence.active_until

    def counted(self: in_force.Silence, at: int) -> int | None:
        looked_at.append(self.id)
        return known(self, at)

    monkeypatch.setattr(in_force.Silence, "active_until", counted)
    always = ((-HOUR, HOUR), "drop", ("acme", False))
    ways = {
        "labels": [[{"name": "host", "op": "=", "value": f"h-{number}"}] for number in range(1_000)],
        "patterns": [[{"name": "host", "op": "=~", "value": f"h-{number}|x-{number}"}] for number in range(1_000)],
        "types": [[{"name": "action.action_type", "op": "=~", "value": f"t-{number}.*"}] for number in range(1_000)],
    }
    for name, written in ways.items():
        silences = [_compiled(number, (matchers, *always)) for number, matchers in enumerate(written)]
        current.replace(InForce(1, EMPTY, silences=Silences(silences)))
        facts = Facts("dispatch", "n", "acme", "a", "t", NOW, {}, {"host": "web-1", "severity": "info"})
        assert (judge(facts.key, lambda facts=facts: facts), looked_at) == (None, []), name
    current.replace(InForce(1, EMPTY, silences=Silences(silences)))
    wanted = facts._replace(action_type="t-7-and-more")
    decision = judge(wanted.key, lambda: wanted)
    assert decision is not None
    assert decision.verdict.quiet is not None
    assert (decision.verdict.quiet.id, looked_at) == ("sil-7", ["sil-7"])


def test_a_pattern_reads_the_beginning_of_a_long_text() -> None:
    """However many patterns read a large payload, it is written out once, and each reads a bounded part."""
    assert matchers.matches("=~", "a*")("a" * matchers.MAX_READ + "b")
    assert not matchers.matches("=~", "a*")("a" * (matchers.MAX_READ - 1) + "b")
    written = [{"name": "action.payload", "op": "=~", "value": f".*word-{number}.*"} for number in range(20)]
    silence = in_force.Silence(**_compiled(1, (written, (-HOUR, HOUR), "drop", ("acme", False))))
    payload = {"text": "".join(f"word-{number} " for number in range(20)), "more": "x" * 1_000_000}
    facts = Facts("dispatch", "n", "acme", "a", "t", NOW, payload, {})
    texts = dict[matchers.Path, str]()
    assert not silence.matches(facts, texts)  # sorted by name, the word comes behind what is read
    assert silence.matches(facts._replace(payload={"a": payload["text"], "more": payload["more"]}), {})
    assert len(texts) == 1
