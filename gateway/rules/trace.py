"""The decision about one execution, explained rule by rule.

It goes through the same rules in the same order as ``decide``, and says of each whether it matched and, part by part,
why. Values on paths that are named like credentials are masked, in the rules' own conditions too. Nothing is counted:
checks are reported, not made.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal
from zoneinfo import ZoneInfo

from config.types import Json
from gateway import merge_patch, verdicts
from gateway.facts import Facts
from gateway.rules import fields
from gateway.rules.conditions import Condition, Evaluation
from gateway.rules.decide import NO_CALENDARS, Search
from gateway.rules.recorded import ActiveEvent, EventState, Query, Recorded
from gateway.rules.rule import Calendars, Rule
from gateway.rules.ruleset import Ruleset
from gateway.semantics.similarity import Meaning, NoMeaning, Uncounted
from gateway.verdicts import Verdict
from playbooks.credentials import MASK, is_secret_member, spans

Result = Literal["matched", "not_matched", "skipped", "error"]

#: characters of a value that a trace shows
_MAX_SHOWN = 200
#: values in an object or list that a trace shows for each condition, and in a payload for each rule that modifies it
_MAX_PARTS, _MAX_PREVIEW = 100, 1000
#: rules that modify whose payload is shown
_MAX_PREVIEWS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """What is traced beyond the decision.

    ``include_disabled`` asks disabled rules too, as if they were enabled. ``evaluate_all`` goes on behind the rule that
    decides.
    """

    include_disabled: bool = False
    evaluate_all: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """The verdict, and what each rule had to do with it."""

    verdict: Verdict
    body: Json


def trace(
    ruleset: Ruleset,
    facts: Facts,
    recorded: Recorded,
    options: Options | None = None,
    calendars: Calendars = NO_CALENDARS,
    meaning: Meaning | None = None,
) -> Trace:
    """Explain the decision about these facts."""
    options = options or Options()
    begun = time.perf_counter_ns()
    asked: list[str] = []
    this = Evaluation(_Asked(recorded, asked), meaning=Uncounted(meaning or NoMeaning()))
    walk = _Walk(ruleset, facts, this, options, calendars)
    entries = [walk.entry(rule) for rule in ruleset.rules]
    verdict = walk.verdict()
    skipped = sum(entry["result"] == "skipped" for entry in entries)
    body: Json = {
        "verdict": verdict.kind,
        "matched_rule": verdict.rule,
        "reason": verdict.reason,
        "muted_by": verdict.effect.interval if isinstance(verdict.effect, verdicts.Muted) else None,
        "has_errors": any(entry["result"] == "error" for entry in entries),
        "total_rules_evaluated": len(entries) - skipped,
        "total_rules_skipped": skipped,
        "evaluation_duration_us": (time.perf_counter_ns() - begun) // 1000,
        "checks": [{"rule": check.rule, **verdicts.described(check.effect)} for check in verdict.checks],
        "shadows": [{"rule": shadow.rule, "verdict": shadow.verdict} for shadow in verdict.shadows],
        "trace": entries,
        "context": {"time": walk.time("UTC"), "environment_keys": [], "accessed_state_keys": asked},
    }
    if verdict.patches:
        body["modified_payload"] = masked(merge_patch.all_patched(facts.payload, verdict.patches))
    return Trace(verdict, body)


class _Walk:
    """One pass over all rules."""

    def __init__(
        self, ruleset: Ruleset, facts: Facts, this: Evaluation, options: Options, calendars: Calendars
    ) -> None:
        self.ruleset = ruleset
        self.facts = facts
        self.seen = facts  # with the patches of earlier rules
        self.this = this
        self.options = options
        self.search = Search(calendars)
        self.decided: Rule | None = None
        self.previews = 0

    def verdict(self) -> Verdict:
        return self.search.verdict(self.decided, self.this, self.seen)

    def time(self, zone: str) -> Json:
        """The ``time.*`` that the rules of a zone see."""
        return {name: fields.reader(("time", name), _zone(zone))(self.facts) for name in fields.TIME_FIELDS}

    def entry(self, rule: Rule) -> Json:
        """What became of one rule."""
        enabled = self.ruleset.enabled[rule.name]
        entry: Json = {
            "rule_name": rule.name,
            "priority": rule.form["priority"],
            "enabled": enabled,
            "mode": rule.form["mode"],
            "action": rule.effect.kind,
            "source": rule.form["file"],
            "description": rule.form["description"],
            "condition_display": rule.condition.text,
        }
        reason = self.skip_reason(rule, enabled=enabled)
        if reason:
            return {**entry, "result": "skipped", "skip_reason": reason, "evaluation_duration_us": 0}
        if rule.form["timezone"]:
            entry["time"] = self.time(rule.form["timezone"])
        return {**entry, **self.outcome(rule, enabled=enabled)}

    def skip_reason(self, rule: Rule, *, enabled: bool) -> str | None:
        """Why a rule is not asked, or None."""
        if not enabled and not self.options.include_disabled:
            return "the rule is disabled"
        if self.decided is not None and not self.options.evaluate_all:
            return f"the rule '{self.decided.name}' has decided"
        if self.facts.origin not in rule.origins:
            return f"the rule concerns {', '.join(sorted(rule.origins))}, not {self.facts.origin}"
        if not rule.concerns_tenant(self.facts.tenant):
            return f"the rule concerns the tenants {', '.join(rule.tenants)}"
        return None

    def outcome(self, rule: Rule, *, enabled: bool) -> Json:
        """The result of a rule's condition, and its effect on the decision."""
        begun, failed = time.perf_counter_ns(), len(self.this.problems)
        matched = rule.test(self.seen, self.this)
        taken = (time.perf_counter_ns() - begun) // 1000
        problems = self.this.problems[failed:]
        parts = explained(rule.condition, self.seen, self.this)
        result: Result = "matched" if matched else "error" if matched is None else "not_matched"
        entry: Json = {"result": result, "evaluation_duration_us": taken, "condition": parts}
        if problems and matched is not False:
            entry["error"] = problems[0].detail
        if matched is None and enabled and self.decided is None:
            self.search.undecided.add(rule.name)
        if matched and (muting := rule.muted(self.seen.at, self.search.calendars)) is not None:
            entry["muted"] = {"interval": muting.interval, "reason": muting.words}
        if matched and isinstance(rule.effect, verdicts.Modify):
            entry["modify_patch"] = masked(rule.effect.changes)
            if self.previews < _MAX_PREVIEWS and _has_at_most(_MAX_PREVIEW, self.seen.payload):
                self.previews += 1
                preview = merge_patch.patched(self.seen.payload, rule.effect.changes)
                entry["modified_payload_preview"] = masked(preview)
        if matched and enabled and self.decided is None:
            self.seen = self.search.take(rule, self.seen)
            self.decided = rule if rule.ends else None
        return entry


class _Asked:
    """Recorded outcomes that note what was looked up, and look nothing up twice."""

    def __init__(self, recorded: Recorded, asked: list[str]) -> None:
        self.recorded = recorded
        self.asked = asked
        self._found: dict[tuple[Query, int], int] = {}
        self._active: dict[ActiveEvent, bool] = {}
        self._states: dict[EventState, str | None] = {}

    def count(self, query: Query, most: int) -> int:
        """The number, from where it is recorded."""
        self._note(query.name)
        if (query, most) not in self._found:
            self._found[query, most] = self.recorded.count(query, most)
        return self._found[query, most]

    def is_active(self, event: ActiveEvent) -> bool:
        """Whether there is such an event, from where events are."""
        self._note(event.name)
        if event not in self._active:
            self._active[event] = self.recorded.is_active(event)
        return self._active[event]

    def state(self, event: EventState) -> str | None:
        """The state of an event, from where events are."""
        self._note(f"state of event {event.fingerprint}"[:_MAX_SHOWN])
        if event not in self._states:
            self._states[event] = self.recorded.state(event)
        return self._states[event]

    def _note(self, name: str) -> None:
        if name not in self.asked:
            self.asked.append(name)


def _zone(name: str) -> Any:
    return UTC if name == "UTC" else ZoneInfo(name)


def explained(condition: Condition, facts: Facts, this: Evaluation) -> Json:
    """A condition part by part: its text, its result and, of a field, the value found."""
    explanation: Json = {"condition": condition.text, "result": condition.test(facts, this)}
    if condition.parts:
        explanation["parts"] = [explained(part, facts, this) for part in condition.parts]
    if condition.read is not None and condition.path is not None:
        found = condition.read(facts)
        explanation["found"] = MASK if found is not None and fields.is_secret(condition.path) else _shown(found)
    if condition.compare is not None:
        explanation |= condition.compare(facts, this)
    return explanation


def masked(value: Any) -> Any:
    """A value with everything masked that is named or written like a credential."""
    if isinstance(value, Mapping):
        return {
            name: MASK if item is not None and is_secret_member(str(name)) else masked(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return MASK if isinstance(value, str) and spans(value, body=True, most=1) else value


def _shown(value: Any) -> Any:
    """A value, masked and cut to a length that many conditions may have."""
    if not _has_at_most(_MAX_PARTS, value):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return _cut(masked(value))


def _has_at_most(most: int, value: Any) -> bool:
    """Whether a value has at most that number of values in it, at any depth."""
    waiting = [value]
    while waiting and most > 0:
        one = waiting.pop()
        most -= 1
        if isinstance(one, Mapping | list):
            if len(one) > most:
                return False
            waiting.extend(one.values() if isinstance(one, Mapping) else one)
    return not waiting


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _MAX_SHOWN else value[: _MAX_SHOWN - 1] + "…"
    if isinstance(value, Mapping):
        return {name: _cut(item) for name, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value
