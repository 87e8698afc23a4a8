"""Tests of rules as a file has them: executions at given moments, and what the rules are to decide about each.

A case has ``name``, ``action`` (an execution as rules see it), ``at``, ``expect`` (``verdict``, ``rule``, ``target``)
and ``state`` (what is recorded, by the names that ``mock_state`` of an evaluation takes).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.types import Json
from gateway.facts import ORIGINS, Facts
from gateway.requests import moment
from gateway.rules.recorded import MockRecords
from gateway.rules.rule import Calendars
from gateway.rules.ruleset import Ruleset
from gateway.rules.trace import Options, trace
from gateway.semantics.similarity import Meaning
from gateway.verdicts import EFFECTS, Chain, Muted, Reroute, Verdict
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line

MOST = 10_000
_CASE = ("name", "action", "at", "expect", "state")
_KEY = ("namespace", "tenant", "provider", "action_type")
_TEXTS = ("id", "status", "fingerprint", "dedup_key", "starts_at", "ends_at", "caller", "category")
_OBJECTS = ("payload", "metadata")
_ACTION = (*_KEY, "origin", *_OBJECTS, *_TEXTS)
_EXPECT = ("verdict", "rule", "target")
VERDICTS = (*EFFECTS, Muted.kind)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test."""

    name: str
    pointer: str
    facts: Facts
    expected: Mapping[str, Any]
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A case that does not hold: what differs, as member → expected, found; and why, in lines."""

    case: Case
    differs: Mapping[str, tuple[Any, Any]]
    why: tuple[str, ...]


def read(document: Any, found: Faults) -> list[Case]:
    """The cases of a file; faults are reported."""
    if not isinstance(document, dict) or not isinstance(document.get("cases"), list):
        found.add("", "a file of tests is an object with cases, a list")
        return []
    for member in document:
        if member != "cases":
            hint = found.hint(member, ("cases",))
            found.add(below("", shown(member)), f"'{shown(member)}' does not belong here: cases{hint}")
    if len(document["cases"]) > MOST:
        found.add("/cases", f"a file has at most {MOST} cases")
        return []
    read_all = (_case(one, f"/cases/{number}", found) for number, one in enumerate(document["cases"]) if not found.full)
    return [case for case in read_all if case is not None]


def _case(given: Any, pointer: str, found: Faults) -> Case | None:
    before = len(found.problems)
    if not _members(given, _CASE, pointer, found):
        return None
    if not is_line(given.get("name"), MAX_NAME_CHARACTERS):
        found.add(f"{pointer}/name", f"a case needs a name of 1 to {MAX_NAME_CHARACTERS} printable characters")
    at = moment(given.get("at"))
    if at is None:
        found.add(f"{pointer}/at", "must be a time with its zone, as in 2026-04-28T09:00:00Z")
    action, expected, counts = given.get("action"), given.get("expect"), given.get("state", {})
    _check_action(action, f"{pointer}/action", found)
    _check_expected(expected, f"{pointer}/expect", found)
    if not isinstance(counts, dict) or not all(type(one) is int and one >= 0 for one in counts.values()):
        found.add(f"{pointer}/state", "must be an object of names and whole numbers")
    if len(found.problems) > before or at is None:
        return None
    return Case(
        name=given["name"],
        pointer=pointer,
        facts=_facts(action, int(at.timestamp() * 1000)),
        expected=expected,
        counts=counts,
    )


def _members(given: Any, known: tuple[str, ...], pointer: str, found: Faults) -> bool:
    """Report unknown members; whether it is an object."""
    if not isinstance(given, dict):
        found.add(pointer, f"must be an object with some of {', '.join(known)}")
        return False
    for member in given:
        if member not in known:
            hint = found.hint(member, known)
            found.add(below(pointer, shown(member)), f"'{shown(member)}' does not belong here{hint}")
    return True


def _check_action(given: Any, pointer: str, found: Faults) -> None:
    if not _members(given, _ACTION, pointer, found):
        return
    for name in _KEY:
        if not is_line(given.get(name), MAX_NAME_CHARACTERS):
            found.add(below(pointer, name), f"must be text of 1 to {MAX_NAME_CHARACTERS} printable characters")
    if given.get("origin", "dispatch") not in ORIGINS:
        found.add(below(pointer, "origin"), f"must be one of {', '.join(ORIGINS)}")
    for name in _OBJECTS:
        if not isinstance(given.get(name, {}), dict):
            found.add(below(pointer, name), "must be an object")
    for name in _TEXTS:
        if given.get(name) is not None and not isinstance(given[name], str):
            found.add(below(pointer, name), "must be text")


def _check_expected(given: Any, pointer: str, found: Faults) -> None:
    if not _members(given, _EXPECT, pointer, found):
        return
    if given.get("verdict") not in VERDICTS:
        hint = found.hint(given.get("verdict"), VERDICTS)
        found.add(below(pointer, "verdict"), f"must be one of {', '.join(VERDICTS)}{hint}")
    for name in ("rule", "target"):
        if given.get(name) is not None and not isinstance(given[name], str):
            found.add(below(pointer, name), "must be text, or null for none")


def _facts(action: Json, at: int) -> Facts:
    origin, (namespace, tenant, provider, action_type) = action.get("origin", "dispatch"), (action[one] for one in _KEY)
    named = {name: action[name] for name in _TEXTS if action.get(name) is not None}
    payload, metadata = action.get("payload", {}), action.get("metadata", {})
    return Facts(origin, namespace, tenant, provider, action_type, at, payload, metadata, **named)


def tried(case: Case, ruleset: Ruleset, calendars: Calendars, meaning: Meaning | None = None) -> Failure | None:
    """What is wrong with a case; None where it holds."""
    found = trace(ruleset, case.facts, MockRecords(case.counts), Options(evaluate_all=True), calendars, meaning)
    decided = _decided(found.verdict)
    differs = {
        name: (case.expected[name], decided[name]) for name in case.expected if case.expected[name] != decided[name]
    }
    if not differs:
        return None
    entries = {entry["rule_name"]: entry for entry in found.body["trace"]}
    named = dict.fromkeys(name for name in (case.expected.get("rule"), decided["rule"]) if name is not None)
    why = [line for name in named for line in _why(name, entries.get(name))]
    return Failure(case=case, differs=differs, why=tuple(why))


def _decided(verdict: Verdict) -> dict[str, Any]:
    effect = verdict.effect
    target = effect.target_provider if isinstance(effect, Reroute) else None
    if isinstance(effect, Chain):
        target = effect.chain_name
    return {
        "verdict": Muted.kind if isinstance(effect, Muted) else verdict.kind,
        "rule": verdict.rule,
        "target": target,
    }


def _why(name: str, entry: Mapping[str, Any] | None) -> list[str]:
    """What became of a rule, part by part."""
    if entry is None:
        return [f"there is no rule '{name}'"]
    result = str(entry["result"]).replace("_", " ")
    reason = entry.get("skip_reason") or entry.get("error")
    first = f"rule '{name}' ({entry['source']}): {result}{f', {reason}' if reason else ''}"
    return [first, *_parts(entry.get("condition"), 1)]


def _parts(part: Mapping[str, Any] | None, depth: int) -> list[str]:
    if part is None:
        return []
    value = f", found {part['found']!r}" if "found" in part else ""
    value += f", similarity {part['similarity']} of {part['threshold']}" if "similarity" in part else ""
    word = {True: "true", False: "false"}.get(part["result"], "undecided")
    lines = [f"{'  ' * depth}{part['condition']}: {word}{value}"]
    return lines + [line for one in part.get("parts", ()) for line in _parts(one, depth + 1)]
