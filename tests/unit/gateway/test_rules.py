"""Rules as written: what they may say, every fault that is named, and what matches."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.facts import Attempted, StepPlace, of_dispatch, of_step, of_trigger
from gateway.rules import written
from gateway.rules.conditions import Evaluation
from gateway.rules.decide import decide
from gateway.rules.effects import Names
from gateway.rules.recorded import MockRecords, NothingRecorded
from gateway.rules.ruleset import Ruleset
from tests.support.rules import AT, Records, facts, faults_of, ruleset

DENY = {"type": "deny", "reason": "no"}
GROUP = {"type": "group", "group_by": ["metadata.cluster"]}
PAYLOAD = {
    "severity": "critical",
    "score": 7.5,
    "count": 3,
    "open": True,
    "nothing": None,
    "tags": ["pci", 1, {"a": 1}],
    "recipients": [{"email": "a@x.org"}, {"email": "b@x.org"}],
    "user": {"name": "zoë", "0": "zero"},
}


def matches(condition, **given):
    """Whether a condition holds for a dispatch."""
    [rule] = ruleset({"name": "r", "condition": condition, "action": DENY, **given.pop("rule", {})}).rules
    recorded = given.pop("recorded", NothingRecorded())
    return rule.test(facts(**{"payload": PAYLOAD, **given}), Evaluation(recorded))


@pytest.mark.parametrize(
    ("field", "operators", "expected"),
    [
        ("action.payload.severity", {"eq": "critical"}, True),
        ("action.payload.severity", {"ne": "critical"}, False),
        ("action.payload.missing", {"ne": "critical"}, True),
        ("action.payload.missing", {"eq": None}, True),
        ("action.payload.nothing", {"exists": True}, False),
        ("action.payload.open", {"eq": True}, True),
        ("action.payload.open", {"eq": 1}, False),
        ("action.payload.count", {"eq": 3.0}, True),
        ("action.payload.count", {"eq": "3"}, False),
        ("action.payload.count", {"gt": 2, "lte": 3}, True),
        ("action.payload.count", {"gt": 2, "lt": 3}, False),
        ("action.payload.severity", {"gt": 2}, False),
        ("action.payload.open", {"gte": 1}, False),
        ("action.payload.severity", {"gte": "cr"}, True),
        ("action.payload.severity", {"contains": "rit"}, True),
        ("action.payload.tags", {"contains": "pci"}, True),
        ("action.payload.tags", {"contains": True}, False),
        ("action.payload.count", {"contains": "3"}, False),
        ("action.payload.user.name", {"starts_with": "z", "ends_with": "ë"}, True),
        ("action.payload.severity", {"regex": "^crit"}, True),
        ("action.payload.severity", {"matches": "cal$"}, True),
        ("action.payload.user.name", {"regex": "^...$"}, True),
        ("action.payload.count", {"regex": "3"}, False),
        ("action.payload.severity", {"in_list": ["high", "critical"]}, True),
        ("action.payload.open", {"in_list": [1, "x"]}, False),
        ("action.payload.nothing", {"in_list": [None]}, True),
        ("action.payload.nothing", {"in_list": [False, 0, ""]}, False),
        ("action.payload.count", {"in_list": [3.0]}, True),
        ("action.payload.tags", {"in_list": ["pci"]}, False),
        ("action.payload.recipients[1].email", {"eq": "b@x.org"}, True),
        ("action.payload.recipients.1.email", {"eq": "b@x.org"}, True),
        ("action.payload.recipients.2.email", {"exists": False}, True),
        ("action.payload.user.0", {"eq": "zero"}, True),
        ("action.payload.severity.x", {"exists": False}, True),
        ("action.metadata.team", {"eq": "soc"}, True),
        ("action.metadata.labels.team", {"eq": "soc"}, True),
        ("action.provider", {"eq": "email"}, True),
        ("action.dedup_key", {"exists": False}, True),
        ("action.tenant", {"starts_with": "ac"}, True),
    ],
)
def test_operators_compare_values_of_json(field, operators, expected):
    """Each operator compares as JSON does; an unfit type is false, missing is null."""
    assert matches({"field": field, **operators}, metadata={"team": "soc"}) is expected


def test_half_surrogates_match_no_pattern():
    """A text that UTF-8 cannot write is no error of a regular expression."""
    assert matches({"field": "action.payload.x", "regex": "."}, payload={"x": "\ud800"}) is False


def test_time_is_read_in_the_zone_of_the_rule():
    """``time.*`` is UTC unless the rule names a zone, also in expressions."""
    local = datetime(2026, 7, 3, 23, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    at = int(local.timestamp() * 1000)
    evening = {"all": [{"field": "time.hour", "gte": 22}, {"field": "time.weekday", "eq": "Friday"}]}
    assert matches(evening, at=at, rule={"timezone": "Europe/Berlin"}) is True
    assert matches(evening, at=at) is False
    assert matches({"expression": "time.hour == 23"}, at=at, rule={"timezone": "Europe/Berlin"}) is True
    values = {"hour": 21, "minute": 30, "second": 0, "day": 3, "month": 7, "year": 2026, "weekday_num": 5}
    for name, value in {**values, "timestamp": at // 1000}.items():
        assert matches({"field": f"time.{name}", "eq": value}, at=at) is True, name


def test_an_expression_reads_the_same_names():
    """``expression:`` is a condition in the language of playbooks over action and time."""
    assert matches({"expression": "action.payload.score > 7 && action.provider == 'email'"}) is True
    assert matches({"expression": "action.dedup_key == null"}) is True
    assert matches({"expression": "action.payload.tags.exists(tag, tag == 'pci')"}, payload={"tags": ["pci"]}) is True


def test_an_expression_that_fails_matches_nothing_and_is_reported():
    """A rule whose condition cannot be evaluated does not match, not even negated."""
    for condition in ({"expression": "action.payload.x > 1"}, {"not": {"expression": "action.payload.x > 1"}}):
        rules = ruleset({"name": "broken", "condition": condition, "action": DENY})
        verdict = decide(rules.rules, facts())
        assert verdict.kind == "allow"
        [problem] = verdict.problems
        assert problem.rule == "broken"
        assert "'action.payload.x' does not exist" in problem.detail


def test_a_failure_that_does_not_matter_is_not_reported():
    """An expression that fails next to a part that decides anyway is no problem."""
    condition = {"all": [{"expression": "action.payload.x > 1"}, {"field": "action.payload.y", "eq": 1}]}
    assert decide(ruleset({"name": "r", "condition": condition, "action": DENY}).rules, facts()).problems == ()
    condition = {"any": [{"expression": "action.payload.x > 1"}, {"field": "action.provider", "eq": "email"}]}
    verdict = decide(ruleset({"name": "r", "condition": condition, "action": DENY}).rules, facts())
    assert (verdict.kind, verdict.problems) == ("deny", ())
    harmless = {"all": [{"expression": "action.payload.x > 1"}, {"expression": "1 == 2"}]}
    rules = ruleset(
        {"name": "harmless", "condition": harmless, "action": DENY},
        {"name": "broken", "condition": {"expression": "action.payload.x > 1"}, "action": DENY},
    )
    assert [problem.rule for problem in decide(rules.rules, facts()).problems] == ["broken"]


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"all": ["fails", "false"]}, False),
        ({"all": ["fails", "true"]}, None),
        ({"any": ["fails", "true"]}, True),
        ({"any": ["fails", "false"]}, None),
        ({"not": {"all": ["fails", "false"]}}, True),
        ({"not": {"any": ["fails", "false"]}}, None),
        ({"not": {"all": ["fails", "true", "true"]}}, None),
        ({"not": {"any": ["fails", "false", "true"]}}, False),
    ],
)
def test_what_fails_counts_as_unknown(condition, value):
    """Parts that cannot be evaluated are neither true nor false, wherever they stand."""
    sources = {"fails": "action.payload.x > 1", "true": "1 == 1", "false": "1 == 2"}

    def tree(part):
        if isinstance(part, str):
            return {"expression": sources[part]}
        return {kind: tree(one) if kind == "not" else list(map(tree, one)) for kind, one in part.items()}

    assert matches(tree(condition), payload={}) is value


def test_recorded_outcomes_are_asked_last_and_only_when_needed():
    """The store is not asked where the facts decide, whatever the order of writing."""
    stateful = {"state_seen": "cluster_down", "within_seconds": 60}
    pure = {"field": "action.provider", "eq": "sms"}
    for condition in ({"all": [stateful, pure]}, {"any": [stateful, {"not": pure}]}):
        records = MockRecords({"cluster_down": 1})
        matches(condition, recorded=records)
        assert records.asked == []


def test_recorded_outcomes_are_found_by_what_records_hold():
    """A query carries tenant, time and members; a counter stops counting where it is decided."""
    asked = []

    class Store:
        def count(self, query, most):
            asked.append((query, most))
            return 4

    what = {"action_type": "login", "outcome": "failed", "provider": "okta"}
    condition = {"state_counter": what, "within_seconds": 60, "gte": 3, "lt": 5}
    assert matches(condition, recorded=Store()) is True
    query, most = asked[0]
    assert (query.tenant, query.since, query.until, most) == ("acme", AT - 60_000, AT, 6)
    assert (query.action_type, query.outcome, query.provider, query.namespace) == ("login", "failed", "okta", None)
    assert matches({"state_counter": "x", "within_seconds": 60, "gt": 1}, recorded=Records({"x": 1})) is False


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"name": None}, "/name", "needs a name"),
        ({"name": "a\nb"}, "/name", "printable"),
        ({"nmae": "x"}, "/nmae", "did you mean 'name'"),
        ({"priority": "1"}, "/priority", "whole number"),
        ({"enabled": "yes"}, "/enabled", "true or false"),
        ({"mode": "shadwo"}, "/mode", "did you mean 'shadow'"),
        ({"timezone": "Europe/Berlni"}, "/timezone", "did you mean 'Europe/Berlin'"),
        ({"origins": ["steps"]}, "/origins/0", "did you mean 'step'"),
        ({"origins": []}, "/origins", "list of some of"),
        ({"tenants": ["a*"]}, "/tenants/0", "no other wildcards"),
        ({"continue": True}, "/continue", "after deny no further rule"),
        ({"active_time_intervals": ["x"]}, "/active_time_intervals", "lets nothing out that could be muted"),
        (
            {"active_time_intervals": ["night"], "action": {"type": "allow"}},
            "/active_time_intervals/0",
            "did you mean 'nights'",
        ),
        ({"mute_time_intervals": "x"}, "/mute_time_intervals", "must be a list of 1 to"),
        ({"condition": None}, "/condition", "needs its condition"),
        ({"condition": {}}, "/condition", "empty"),
        ({"condition": {"all": []}}, "/condition/all", "exists: true"),
        ({"condition": {"feild": "x", "eq": 1}}, "/condition", "did you mean 'field'"),
        ({"condition": {"all": [{"field": "action.id", "eq": 1}], "not": {}}}, "/condition", "stand in one condition"),
        ({"condition": {"field": "action.payload.x"}}, "/condition", "needs an operator"),
        ({"condition": {"field": "action.payload.x", "equals": 1}}, "/condition/equals", "no operator 'equals'"),
        ({"condition": {"field": "action.payload.x", "eqq": 1}}, "/condition/eqq", "did you mean 'eq'"),
        ({"condition": {"field": "action.paylod.x", "eq": 1}}, "/condition/field", "did you mean 'action.payload'"),
        ({"condition": {"field": "time.hours", "eq": 1}}, "/condition/field", "did you mean 'time.hour'"),
        ({"condition": {"field": "payload.x", "eq": 1}}, "/condition/field", "mean 'action.payload.x'? a field begins"),
        ({"condition": {"field": "hour", "eq": 1}}, "/condition/field", "did you mean 'time.hour'?"),
        ({"condition": {"expression": "payload.x == 1"}}, "/condition/expression", "did you mean 'action.payload'?"),
        ({"condition": {"field": "action.payload..x", "eq": 1}}, "/condition/field", "is no path"),
        ({"condition": {"field": "action.payload.x[a]", "eq": 1}}, "/condition/field", "is no path"),
        ({"condition": {"field": "action.provider.x", "eq": 1}}, "/condition/field", "has no members"),
        ({"condition": {"field": "action.id", "regex": "("}}, "/condition/regex", "RE2"),
        ({"condition": {"field": "action.id", "regex": r"(a)\1"}}, "/condition/regex", "RE2"),
        (
            {"condition": {"field": "action.id", "regex": "a(?=x)"}},
            "/condition/regex",
            "the pattern 'a(?=x)': RE2 has no look-ahead or look-behind",
        ),
        ({"condition": {"field": "action.id", "in_list": "x"}}, "/condition/in_list", "must be a list"),
        ({"condition": {"field": "action.id", "exists": "yes"}}, "/condition/exists", "true or false"),
        ({"condition": {"field": "action.id", "gt": True}}, "/condition/gt", "must be a number"),
        ({"condition": {"field": "action.id", "regex": "a", "matches": "b"}}, "/condition/matches", "says the same"),
        ({"condition": {"expression": "action.payload.x >"}}, "/condition/expression", "ends where a value is"),
        ({"condition": {"expression": "actoin.id == 'x'"}}, "/condition/expression", "did you mean 'action'"),
        ({"condition": {"expression": "action.provder == 'x'"}}, "/condition/expression", "'action.provider'"),
        ({"condition": {"field": "time.weekday", "eq": "monday"}}, "/condition/eq", "no weekday: write Monday"),
        ({"condition": {"field": "time.weekday", "in_list": ["Friday", "Mon"]}}, "/condition/in_list", "write Monday"),
        ({"condition": {"field": "time.weekday", "eq": 1}}, "/condition/eq", "time.weekday_num counts from 1, Monday"),
        (
            {"condition": {"field": "time.hour", "gte": "18"}},
            "/condition/gte",
            "time.hour is a number from 0 to 23, and '18' is text: write 18",
        ),
        ({"condition": {"field": "time.hour", "gte": 25}}, "/condition/gte", "gte 25 never matches"),
        ({"condition": {"field": "time.hour", "lt": 0}}, "/condition/lt", "lt 0 never matches"),
        ({"condition": {"field": "time.month", "eq": 1.5}}, "/condition/eq", "eq 1.5 never matches"),
        ({"condition": {"field": "time.hour", "starts_with": "1"}}, "/condition/starts_with", "compare it with eq"),
        ({"condition": {"field": "time.hour", "eq": True}}, "/condition/eq", "and true is none"),
        (
            {"condition": {"not": {"field": "action.category", "eq": "containmnt"}}},
            "/condition/not/eq",
            "there is no category 'containmnt'; did you mean 'containment'?",
        ),
        ({"condition": {"field": "action.origin", "eq": "dispatched"}}, "/condition/eq", "did you mean 'dispatch'?"),
        ({"condition": {"expression": "time.hour == '18'"}}, "/condition/expression", "write time.hour == 18"),
        ({"condition": {"expression": "25 <= time.hour"}}, "/condition/expression", "gte 25 never matches"),
        ({"condition": {"expression": "time.weekday == 'monday'"}}, "/condition/expression", "write Monday"),
        (
            {"condition": {"expression": "action.category == 'scrpt'"}},
            "/condition/expression",
            "did you mean 'script'?",
        ),
        ({"condition": {"state_seen": "x"}}, "/condition/state_seen", "within_seconds"),
        (
            {"condition": {"state_seen": {"outcom": "x"}, "within_seconds": 5}},
            "/condition/state_seen/outcom",
            "outcome",
        ),
        (
            {"condition": {"state_seen": {"outcome": "fialed"}, "within_seconds": 5}},
            "/condition/state_seen/outcome",
            "did you mean 'failed'",
        ),
        (
            {"condition": {"state_seen": {"namespace": "x", "outcome": "executed"}, "within_seconds": 5}},
            "/condition/state_seen",
            "name an action_type, a provider, a rule",
        ),
        ({"condition": {"state_counter": "x", "within_seconds": 5}}, "/condition", "needs an operator"),
        ({"condition": {"state_counter": "x", "within_seconds": 0, "gt": 1}}, "/condition/within_seconds", "604800"),
        ({"condition": {"semantic_match": "?!"}}, "/condition/semantic_match", "with a word in it"),
        ({"condition": {"semantic_match": {}}}, "/condition/semantic_match", "needs its topic"),
        ({"condition": {"semantic_match": {"topic": "x" * 501}}}, "/condition/semantic_match/topic", "500 characters"),
        ({"condition": {"semantic_match": "x", "threshold": 0}}, "/condition/threshold", "above 0 and at most 1"),
        ({"condition": {"semantic_match": "x", "threshold": True}}, "/condition/threshold", "above 0 and at most 1"),
        ({"condition": {"semantic_match": "x", "treshold": 1}}, "/condition/treshold", "did you mean 'threshold'"),
        (
            {"condition": {"semantic_match": {"topic": "x", "treshold": 1}}},
            "/condition/semantic_match/treshold",
            "did you mean 'threshold'",
        ),
        ({"condition": {"semantic_match": {"topic": "x"}, "threshold": 1}}, "/condition/threshold", "put it in there"),
        ({"condition": {"semantic_match": "x", "on_error": "fail"}}, "/condition/on_error", "no_match, match"),
        ({"condition": {"semantic_match": "x", "text_field": "paylod.x"}}, "/condition/text_field", "action.payload"),
        ({"condition": {"semantic_match": "x", "text_field": "time.hour"}}, "/condition/text_field", "no meaning"),
        (
            {"condition": {"semantic_match": "x", "text_field": "action.payload.password"}},
            "/condition/text_field",
            "named like a credential",
        ),
        ({"condition": {"call": "has_active_event"}}, "/condition/call", "write has_active_event"),
        ({"action": None}, "/action", "needs its action"),
        ({"action": "deny"}, "/action", "must be an object with its type"),
        ({"action": {"type": "supress"}}, "/action/type", "did you mean 'suppress'"),
        ({"action": {"type": "require_approval", "quorum": 0}}, "/action/quorum", "from 1 to 20"),
        ({"action": {"type": "require_approval", "quorum": True}}, "/action/quorum", "whole number"),
        ({"action": {"type": "require_approval", "quorum": 3, "approvers": ["a", "b"]}}, "/action/quorum", "more than"),
        (
            {"action": {"type": "require_approval", "reject_quorum": 2, "approvers": ["a"]}},
            "/action/reject_quorum",
            "more than the 1",
        ),
        ({"action": {"type": "require_approval", "approvers": []}}, "/action/approvers", "1 to 20"),
        ({"action": {"type": "require_approval", "approvers": ["a", "a"]}}, "/action/approvers", "twice"),
        ({"action": {"type": "require_approval", "notify": "emial"}}, "/action/notify", "did you mean 'email'"),
        ({"action": {"type": "require_approval", "message": "{{ nothing }}"}}, "/action/message", "nothing"),
        ({"action": {"type": "require_approval", "timeout_seconds": 0}}, "/action/timeout_seconds", "from 1"),
        ({"action": {"type": "require_approval", "on_timeout": "approve"}}, "/action/on_timeout", "fail or reject"),
        ({"action": {"type": "require_approval", "reminder_seconds": 60}}, "/action/reminder_seconds", "notify"),
        (
            {"action": {"type": "require_approval", "notify": "email", "timeout_seconds": 60, "reminder_seconds": 60}},
            "/action/reminder_seconds",
            "shorter",
        ),
        ({"action": {"type": "require_approval"}, "origins": ["recurring"]}, "/origins", "never waits"),
        ({"action": {"type": "require_approval"}, "origins": ["approval"]}, "/origins", "never waits"),
        ({"action": {"type": "require_approval", "approver": ["a"]}}, "/action/approver", "did you mean 'approvers'"),
        (
            {"action": {"type": "throttle", "max_count": 1, "window_seconds": 1, "quorum": 2}},
            "/action/quorum",
            "on_excess: require_approval",
        ),
        ({"action": {"type": "state_machine"}}, "/action/state_machine", "needs state_machine"),
        (
            {"action": {"type": "state_machine", "state_machine": "m", "fingerprint_fields": ["time.hour"]}},
            "/action/fingerprint_fields",
            "cannot be a time",
        ),
        (
            {"action": {"type": "state_machine", "state_machine": "m"}, "origins": ["dispatch", "event"]},
            "/origins",
            "only a dispatch moves an event",
        ),
        ({"condition": {"has_active_event": {"equal": ["a"]}}}, "/condition/has_active_event/type", "needs it"),
        ({"condition": {"has_active_event": {"type": "a", "equal": []}}}, "/condition/has_active_event/equal", "1 to"),
        ({"condition": {"has_active_event": {"type": "a", "typ": 1}}}, "/condition/has_active_event/typ", "no member"),
        ({"condition": {"event_in_state": {"fingerprint": "f"}}}, "/condition/event_in_state/state", "needs it"),
        (
            {"condition": {"event_in_state": {"state": "s", "fingerprint": "f" * 1025}}},
            "/condition/event_in_state/fingerprint",
            "1024 printable",
        ),
        (
            {"condition": {"event_in_state": {"state": "s", "fingerprint": "f", "fingerprint_field": "action.id"}}},
            "/condition/event_in_state/fingerprint_field",
            "keep one",
        ),
        ({"condition": {"get_event_state": "f"}}, "/condition", "needs an operator"),
        ({"condition": {"get_event_state": "f", "eq": "s", "has": 1}}, "/condition/has", "no member"),
        (
            {"condition": {"get_event_state": {"fingerprint_field": "payload.x.y[z]"}, "eq": "s"}},
            "/condition/get_event_state/fingerprint_field",
            "no path",
        ),
        ({"action": {"type": "group"}}, "/action/group_by", "needs group_by"),
        ({"action": GROUP | {"group_by": []}}, "/action/group_by", "1 to 10 fields"),
        ({"action": GROUP | {"group_by": ["action.payload.a"] * 100}}, "/action/group_by", "1 to 10 fields"),
        ({"action": GROUP | {"group_by": [{"field": "x"}]}}, "/action/group_by", "as text"),
        ({"action": GROUP | {"group_by": ["payload.a", "action.payload.a"]}}, "/action/group_by", "twice"),
        ({"action": GROUP | {"group_by": ["payload.password"]}}, "/action/group_by", "secret"),
        ({"action": GROUP | {"group_by": ["time.hour"]}}, "/action/group_by", "cannot be a time"),
        ({"action": GROUP | {"group_wait_seconds": 0}}, "/action/group_wait_seconds", "from 1"),
        ({"action": GROUP | {"group_interval_seconds": -5}}, "/action/group_interval_seconds", "from 1"),
        ({"action": GROUP | {"repeat_interval_seconds": 1}}, "/action/repeat_interval_seconds", "from 60"),
        ({"action": GROUP | {"max_group_size": 100_000}}, "/action/max_group_size", "from 1 to 1000"),
        ({"action": GROUP | {"first": "later"}}, "/action/first", "now or wait"),
        ({"action": GROUP | {"flush_on": ["resolved", {}]}}, "/action/flush_on", "resolved, full"),
        ({"action": GROUP | {"flush_on": ["full", "full"]}}, "/action/flush_on", "resolved, full"),
        ({"action": GROUP | {"template": "{{ password }}"}}, "/action/template", "password"),
        ({"action": GROUP | {"grouped_by": []}}, "/action/grouped_by", "no member of group"),
        ({"action": GROUP, "origins": ["step"]}, "/origins", "leave step out"),
        ({"action": GROUP, "origins": ["group"]}, "/origins", "leave group out"),
        ({"action": GROUP | {"notify_provider": "emial"}}, "/action/notify_provider", "mean 'email'"),
        ({"action": GROUP, "continue": True}, "/continue", "no further rule"),
        ({"action": {"type": "llm_guardrail"}}, "/action/type", "later release"),
        ({"action": {"type": "deny", "reasn": "x"}}, "/action/reasn", "did you mean 'reason'"),
        ({"action": {"type": "deny", "reason": "x", "message": "y"}}, "/action/message", "says the same"),
        ({"action": {"type": "throttle", "max_count": 1}}, "/action/window_seconds", "needs window_seconds"),
        ({"action": {"type": "throttle", "max_count": 0, "window_seconds": 1}}, "/action/max_count", "from 1"),
        (
            {"action": {"type": "throttle", "max_count": 1, "window_seconds": 1, "by": "payloda.x"}},
            "/action/by",
            "action.",
        ),
        (
            {"action": {"type": "throttle", "max_count": 1, "window_seconds": 1, "on_excess": "wait"}},
            "/action/max_wait_seconds",
            "how long",
        ),
        (
            {"action": {"type": "throttle", "max_count": 1, "window_seconds": 1, "max_wait_seconds": 9}},
            "/action/max_wait_seconds",
            "on_excess: wait",
        ),
        (
            {"action": {"type": "throttle", "max_count": 1, "window_seconds": 1, "on_excess": "ask"}},
            "/action/on_excess",
            "require_approval",
        ),
        ({"action": {"type": "deduplicate", "key_fields": ["time.hour"]}}, "/action/key_fields", "cannot be a time"),
        ({"action": {"type": "schedule", "delay_seconds": 604_801}}, "/action/delay_seconds", "604800"),
        ({"action": {"type": "modify", "changes": []}}, "/action/changes", "must be an object"),
        ({"action": {"type": "reroute", "target_provider": "emial"}}, "/action/target_provider", "mean 'email'"),
        ({"action": {"type": "chain", "chain_name": "respnd"}}, "/action/chain_name", "did you mean 'respond'"),
        (
            {"action": {"type": "chain", "chain": "respond"}, "origins": ["chain"]},
            "/origins",
            "never started from inside a chain",
        ),
    ],
)
def test_faults_name_the_member_and_the_remedy(change, pointer, words):
    """Each fault of a rule is reported at its member, with what to do."""
    rule = {"name": "r", "condition": {"field": "action.id", "exists": True}, "action": DENY, **change}
    names = Names(providers={"email"}, chains={"respond"}, calendars={"nights"})
    found = faults_of({member: value for member, value in rule.items() if value is not None}, names)
    assert any(place == pointer and words in detail for place, detail in found), found


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "time.hour", "gte": 0, "lt": 24},
        {"field": "time.weekday", "in_list": ["Monday", "Friday"]},
        {"field": "action.category", "eq": None},
        {"field": "action.origin", "starts_with": "dis"},
        {"field": "time.minute", "in_list": [0, 30.0]},
        {"expression": "time.hour >= 0x12 && time.weekday != \"Sunday\" && action.category == 'web' + 'hook'"},
    ],
)
def test_what_can_match_is_no_fault(condition):
    """The bounds of a range, every value of a closed set and null can be compared with."""
    assert faults_of({"name": "r", "condition": condition, "action": DENY}) == []


def test_conditions_are_bounded():
    """A condition 40 deep, or with thousands of parts, is a fault."""
    deep = {"field": "action.id", "exists": True}
    for _ in range(40):
        deep = {"not": deep}
    [(pointer, detail)] = faults_of({"name": "r", "condition": deep, "action": DENY})
    assert pointer == "/condition" + "/not" * 10
    assert "10 deep" in detail
    many = {"any": [{"field": "action.id", "exists": True}] * 201}
    assert faults_of({"name": "r", "condition": many, "action": DENY})[0][0] == "/condition/any"


def test_where_an_execution_goes_concerns_the_gateway_by_default():
    """Reroute and chain concern triggers and steps only where a rule names them; the others concern all."""
    always = {"field": "action.tenant", "exists": True}
    rules = ruleset(
        {"name": "reroute", "condition": always, "action": {"type": "reroute", "target_provider": "sms"}},
        {"name": "chain", "condition": always, "action": {"type": "chain", "chain_name": "c"}},
        {
            "name": "named",
            "condition": always,
            "origins": ["step"],
            "action": {"type": "reroute", "target_provider": "sms"},
        },
        {"name": "deny", "condition": always, "action": DENY},
    )

    def decided(origin):
        return decide(rules.candidates(origin, "n", "t", "p", "a"), facts(origin=origin)).rule

    assert decided("dispatch") == decided("recurring") == decided("chain") == "reroute"
    assert decided("step") == "named"
    assert decided("trigger") == "deny"
    assert [rule.name for rule in rules.rules if "chain" in rule.origins] == ["reroute", "deny"]


def test_rules_stand_in_the_order_of_priority_and_position():
    """Lower priorities come first, and within one the order of writing; a switch overrides the file."""
    always = {"field": "action.tenant", "exists": True}
    written = [
        {"name": "late", "priority": 5, "condition": always, "action": DENY},
        {"name": "first", "priority": -1, "condition": always, "action": DENY, "enabled": False},
        {"name": "second", "condition": always, "action": DENY},
    ]
    rules = ruleset(*written)
    assert [rule.name for rule in rules.rules] == ["first", "second", "late"]
    assert decide(rules.candidates(*facts().key), facts()).rule == "second"
    switched = ruleset(*written, switches={"first": True, "second": False})
    assert decide(switched.candidates(*facts().key), facts()).rule == "first"
    assert [(one["name"], one["enabled"]) for one in switched.listed()] == [
        ("first", True),
        ("second", False),
        ("late", True),
    ]


def test_files_stand_in_the_order_of_their_names():
    """Rules of one priority come file by file."""
    rule = {"condition": {"field": "action.tenant", "exists": True}, "action": DENY}
    forms = [
        written.normalise({**rule, "name": name}, file, place)
        for name, file, place in [("d", "rules/b.yaml", 1), ("c", "rules/b.yaml", 0), ("b", "rules/a.yaml", 5)]
    ]
    forms.append(written.normalise({**rule, "name": "a", "priority": -1}, "rules/z.yaml", 9))
    assert [one.name for one in Ruleset(forms).rules] == ["a", "b", "c", "d"]


def test_candidates_are_remembered_within_bounds():
    """A key is evaluated once; a stream of new keys does not grow the memory without end."""
    rules = ruleset({"name": "r", "condition": {"field": "action.payload.x", "eq": 1}, "action": DENY})
    first = rules.candidates("dispatch", "n", "t", "p", "a")
    assert rules.candidates("dispatch", "n", "t", "p", "a") is first
    for number in range(11_000):
        rules.candidates("dispatch", "n", "t", "p", f"type-{number}")
    assert rules.candidates.cache_info().currsize == 10_000
    assert rules.candidates("dispatch", "n", "t", "p", "type-10999") is first


def test_different_results_are_remembered_within_bounds(monkeypatch):
    """Keys with ever different candidates drop what was remembered before it grows too large."""
    monkeypatch.setattr("gateway.rules.ruleset.MAX_HELD", 20)
    conditions = [
        {"all": [{"field": "action.action_type", "contains": letter}, {"field": "action.payload.x", "eq": 1}]}
        for letter in "abcdef"
    ]
    rules = ruleset(*[{"name": str(n), "condition": one, "action": DENY} for n, one in enumerate(conditions)])
    for word in ("abc", "abd", "abe", "abf", "acd", "ace", "acf", "abcdef", "bcd"):
        assert len(rules.candidates("dispatch", "n", "t", "p", word)) == len(word)
        assert rules.candidates.cache_info().currsize <= 20
        assert sum(map(len, rules._shared)) <= 20
    assert rules.candidates.cache_info().currsize < 9


def test_keys_of_checks_tell_executions_apart():
    """Deduplicate and throttle count by what the rule names; equal values make equal keys."""

    def key(action, **given):
        rules = ruleset({"name": "r", "condition": {"field": "action.tenant", "exists": True}, "action": action})
        [check] = decide(rules.rules, facts(**given)).checks
        return check.key, check.value

    plain = {"type": "deduplicate", "ttl_seconds": 60}
    assert key(plain, payload={"a": 1, "b": 2}) == key(plain, payload={"b": 2, "a": 1})
    assert key(plain, payload={"a": 1}) != key(plain, payload={"a": 2})
    assert key(plain, payload={"a": 1}) != key(plain, payload={"a": 1}, provider="sms")
    assert key(plain, dedup_key="k", payload={"a": 1}) == key(plain, dedup_key="k", payload={"a": 2})
    assert key(plain, dedup_key="k") != key(plain, dedup_key="k", namespace="other")
    fields = {"type": "deduplicate", "key_fields": ["payload.host"]}
    assert key(fields, payload={"host": "a", "n": 1}) == key(fields, payload={"host": "a", "n": 2})
    assert key(fields, payload={"host": "a"}) != key(fields, payload={"host": "b"})
    assert key(fields, payload={"host": 1}) != key(fields, payload={"host": "1"})
    limit = {"type": "throttle", "max_count": 5, "window_seconds": 60, "distinct": "action.metadata.target"}
    first, other = (key(limit, metadata={"target": host}) for host in "ab")
    assert first[0] == other[0]
    assert first[1] != other[1]
    assert key({**limit, "by": "payload.host"}, payload={"host": "a"})[0] != first[0]


def test_facts_of_each_origin():
    """A trigger, a step and a dispatch give the same names to a rule."""
    definition = {"executor": "notification", "config": {"kind": "slack"}, "type": "notification", "tags": ["a"]}
    attempted = Attempted("w", AT, {"text": "x"}, target="host-1", caller="key-1", execution_id="exec-1")
    trigger = of_trigger(definition, "act-1", attempted)
    assert trigger.key == ("trigger", "actions", "w", "slack", "act-1")
    assert (trigger.category, trigger.id, trigger.caller) == ("notification", "exec-1", "key-1")
    assert trigger.metadata == {"target": "host-1", "tags": ["a"]}
    step = of_step(definition, "act-1", attempted, StepPlace("pb-1", "s1", "pexec-1", ("b",)))
    assert step.key == ("step", "playbooks", "w", "slack", "act-1")
    assert step.metadata == {
        "target": "host-1",
        "playbook": "pb-1",
        "step": "s1",
        "run": "pexec-1",
        "tags": ["b", "a"],
    }
    named = attempted._replace(parameters={"payload": {"to": "x"}, "action_type": "send", "labels": {"team": "soc"}})
    by_provider = of_step(definition, "provider:mail", named, StepPlace("p", "s", "r"))
    assert by_provider.key == ("step", "playbooks", "w", "mail", "send")
    assert by_provider.payload == {"to": "x"}
    assert (by_provider.metadata["team"], by_provider.metadata["step"]) == ("soc", "s")
    dispatch = {
        "namespace": "n",
        "tenant": "t",
        "provider": "p",
        "action_type": "a",
        "payload": {},
        "labels": {"x": "y"},
    }
    given = of_dispatch({**dispatch, "fingerprint": "f"}, at=AT)
    assert (given.origin, given.metadata, given.fingerprint) == ("dispatch", {"x": "y"}, "f")
