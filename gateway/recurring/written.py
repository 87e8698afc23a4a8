"""A recurring action as a caller writes it: every fault named, and the columns that it becomes.

The members have the types that they must have; what is checked here is what they mean together. A change names some
members, and the others stay as they are. Whether there is such a provider, action or playbook is not known here.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from config.errors import Problem
from config.pointers import step
from config.times import stamp
from expressions.suggestions import did_you_mean
from gateway import requests
from gateway.recurring.times import CATCH_UP, LATEST, Times
from gateway.silences.written import milliseconds
from playbooks.credentials import MASK
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line
from playbooks.definitions.schedules import check_cron, check_timezone, shortest_interval

ALLOW_ALL, SKIP, CANCEL_OTHER = OVERLAP = ("allow_all", "skip", "cancel_other")
#: what a firing is
DISPATCH, ACTION, PLAYBOOK = TARGETS = ("dispatch", "action", "playbook")
MAX_CALENDARS = 20
#: columns that make other times, and those by which the next one may come later, or never
SCHEDULE = frozenset({"cron", "timezone"})
TIMING = frozenset({"cron", "timezone", "jitter_ms", "ends_at", "max_executions"})

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
_FILLED = ("recurring_id", "execution_time")
#: a member → another word for it
_ALIASES = {"cron_expr": "cron_expression", "ends_at": "end_date"}
_OF_DISPATCH = ("provider", "action_type", "payload")
_DEFAULTS: Mapping[str, Any] = {
    "name": None,
    "description": None,
    "timezone": "UTC",
    "asset": None,
    "labels": "{}",
    "dedup_key": None,
    "enabled": True,
    "catch_up": LATEST,
    "overlap": ALLOW_ALL,
    "jitter_ms": 0,
    "skip_during": None,
    "ends_at": None,
    "max_executions": None,
}
_COLUMNS = (*_DEFAULTS, "cron", "target", "provider", "action_type", "payload")


def read(
    given: Mapping[str, Any], before: Any, *, now: int, calendars: Collection[str]
) -> tuple[dict[str, Any], list[Problem]]:
    """The columns of a body, and its faults; ``before`` is the row that it changes, None where it makes one."""
    this = _Reading(given, before, calendars)
    values = this.values()
    problems = this.problems
    if not problems:
        problems = _time_faults(values, this, now)
    return values, problems


class _Reading:
    """One body that is being read."""

    def __init__(self, given: Mapping[str, Any], before: Any, calendars: Collection[str]) -> None:
        self.given, self.before, self.calendars = given, before, calendars
        self.problems: list[Problem] = []
        #: column → the member that has given it
        self.names: dict[str, str] = {}

    def fault(self, pointer: str, detail: str) -> None:
        self.problems.append(Problem(pointer, detail))

    def values(self) -> dict[str, Any]:
        """All columns: as given, else as before, else the default."""
        found = dict(_DEFAULTS) if self.before is None else {name: getattr(self.before, name) for name in _COLUMNS}
        found |= self._plain() | self._times() | self._target()
        for name in ("metadata", "labels"):
            if name in self.given:
                found["labels"] = self._labels(name)
        if "dedup_key" in self.given:
            found["dedup_key"] = self._dedup_key(self.given["dedup_key"])
        if "skip_during" in self.given:
            found["skip_during"] = self._skip_during(self.given["skip_during"] or ())
        return found

    def _plain(self) -> dict[str, Any]:
        """Members that are columns as they are."""
        names = ("name", "description", "enabled", "catch_up", "overlap", "max_executions")
        found = {name: self.given[name] for name in names if name in self.given}
        for name in ("enabled", "catch_up", "overlap"):
            if found.get(name, "") is None:
                found[name] = _DEFAULTS[name]
        if found.get("name") is not None and not is_line(found["name"], MAX_NAME_CHARACTERS):
            self.fault("/name", f"must be text of 1 to {MAX_NAME_CHARACTERS} printable characters")
        if found.get("catch_up", LATEST) not in CATCH_UP:
            self.fault("/catch_up", f"is none of {', '.join(CATCH_UP)}")
        self.names["max_executions"] = "max_executions"
        return found

    def _either(self, member: str) -> Any:
        """The value of a member that has two words; ``...`` where it is not given."""
        words = [word for word in (member, _ALIASES[member]) if word in self.given]
        if len(words) > 1 and self.given[words[0]] != self.given[words[1]]:
            self.fault(f"/{words[1]}", f"says something else than {words[0]}: keep one of them")
        self.names[member] = words[0] if words else member
        return self.given[words[0]] if words else ...

    def _times(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        cron, ends_at = self._either("cron_expr"), self._either("ends_at")
        if cron is None or (cron is ... and self.before is None):
            self.fault("/cron_expr", "is required: five fields, for example '0 9 * * MON-FRI'")
        elif cron is not ...:
            if detail := check_cron(cron):
                self.fault(f"/{self.names['cron_expr']}", detail)
            found["cron"] = " ".join(str(cron).split())
        if "timezone" in self.given:
            found["timezone"] = self.given["timezone"] if self.given["timezone"] is not None else "UTC"
            if detail := check_timezone(found["timezone"]):
                self.fault("/timezone", detail)
        if ends_at is not ...:
            found["ends_at"] = None if ends_at is None else milliseconds(ends_at)
        if "jitter_seconds" in self.given:
            found["jitter_ms"] = (self.given["jitter_seconds"] or 0) * 1000
        return found

    def _target(self) -> dict[str, Any]:
        """What a firing is."""
        if self.given.get("target") is not None:
            for name in _OF_DISPATCH:
                if self.given.get(name) is not None:
                    self.fault(f"/{name}", "belongs to a dispatch: give either that or target")
            return self._action_or_playbook(self.given["target"])
        named = {name: self.given[name] for name in _OF_DISPATCH if self.given.get(name) is not None}
        known = self.before is not None and self.before.target == DISPATCH
        if not named and self.before is not None:
            return {}
        for name in _OF_DISPATCH:
            if name not in named and not known:
                self.fault(f"/{name}", "is required, or a target: an action or a playbook")
        for name in ("provider", "action_type"):
            if name in named and not is_line(named[name], MAX_NAME_CHARACTERS):
                self.fault(f"/{name}", f"must be text of 1 to {MAX_NAME_CHARACTERS} printable characters")
        if "payload" in named:
            named["payload"] = self._payload(named["payload"], "/payload")
        return {**named, "target": DISPATCH, "asset": None}

    def _action_or_playbook(self, target: Any) -> dict[str, Any]:
        if not isinstance(target, dict):
            self.fault("/target", "must be an object with an action or a playbook, and its parameters")
            return {}
        members = (ACTION, PLAYBOOK, "parameters", "target")
        for name in target:
            if name not in members:
                hint = did_you_mean(str(name)[:64], members)
                self.fault(f"/target{step(str(name)[:64])}", f"is no member of a target{hint}")
        kinds = [kind for kind in (ACTION, PLAYBOOK) if target.get(kind) is not None]
        if len(kinds) != 1:
            self.fault("/target", "names either an action or a playbook")
            return {}
        kind, asset = kinds[0], target.get("target")
        if not is_line(target[kind], MAX_NAME_CHARACTERS):
            self.fault(f"/target/{kind}", f"must be an id of 1 to {MAX_NAME_CHARACTERS} printable characters")
        if asset is not None and kind == PLAYBOOK:
            self.fault("/target/target", "belongs to an action: a playbook that a schedule starts has no asset")
        elif asset is not None and not is_line(asset, 255):
            self.fault("/target/target", "must be text of 1 to 255 printable characters")
        values = target.get("parameters") if target.get("parameters") is not None else {}
        payload = self._payload(values, "/target/parameters")
        return {"target": kind, "provider": kind, "action_type": target[kind], "asset": asset, "payload": payload}

    def _payload(self, payload: Any, pointer: str) -> str:
        if detail := requests.payload_fault(payload):
            self.fault(pointer, detail)
        elif _has_mask(payload):
            self.fault(pointer, f"holds {MASK}, by which answers mask what is secret: send the value itself")
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))

    def _labels(self, name: str) -> str:
        other = {"metadata": "labels", "labels": "metadata"}[name]
        if self.given[name] is not None and self.given.get(other) is not None and name == "labels":
            self.fault("/labels", "are given in metadata, too: keep one of them")
        given = self.given[name] if self.given[name] is not None else self.given.get(other)
        labels, problems = requests.read_labels({"labels": given} if given and name == "labels" else given)
        for problem in problems:
            self.fault(
                problem.pointer.removeprefix("/metadata") if name == "labels" else problem.pointer, problem.detail
            )
        return json.dumps(labels, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    def _dedup_key(self, key: Any) -> Any:
        if key is not None and not is_line(key, requests.MAX_TEXT_CHARACTERS):
            self.fault("/dedup_key", f"must be text of 1 to {requests.MAX_TEXT_CHARACTERS} printable characters")
        elif key is not None:
            for name in _PLACEHOLDER.findall(key):
                if name.strip() not in _FILLED:
                    known = " and ".join(f"{{{{{one}}}}}" for one in _FILLED)
                    self.fault("/dedup_key", f"'{name.strip()[:64]}' is not known there: {known} are filled in")
        return key

    def _skip_during(self, names: Any) -> str | None:
        for place, name in enumerate(names):
            if name not in self.calendars:
                hint = did_you_mean(str(name)[:64], sorted(self.calendars))
                self.fault(f"/skip_during/{place}", f"there is no calendar '{str(name)[:64]}'{hint}")
        return json.dumps(list(dict.fromkeys(names))) if names else None


def _time_faults(values: Mapping[str, Any], this: _Reading, now: int) -> list[Problem]:
    """The faults of times together; each by itself has none."""
    problems = []
    if values["jitter_ms"] and values["jitter_ms"] >= (shortest := shortest_interval(values["cron"])):
        text = f"must be less than the {shortest // 1000} seconds that lie between two times"
        problems.append(Problem("/jitter_seconds", text))
    ends_at, pointer = values["ends_at"], f"/{this.names.get('ends_at', 'ends_at')}"
    if ends_at is not None and (this.before is None or ends_at != this.before.ends_at):
        times = Times(id="", cron=values["cron"], timezone=values["timezone"], ends_at=ends_at)
        first = times.after(now)
        if ends_at <= now:
            problems.append(Problem(pointer, "lies in the past"))
        elif first is None:
            unlimited = replace(times, ends_at=None).after(now)
            when = f", {stamp(unlimited)}" if unlimited is not None else ""
            problems.append(Problem(pointer, f"lies before the first time{when}"))
    most = values["max_executions"]
    done = 0 if this.before is None or most == this.before.max_executions else this.before.executions
    if most is not None and most <= done:
        problems.append(Problem("/max_executions", f"it has fired {done} times already"))
    return problems


def times_of(row: Any) -> Times:
    """The times of a row."""
    names = ("id", "cron", "timezone", "jitter_ms", "ends_at")
    return Times(**{name: getattr(row, name) for name in names})


def filled(dedup_key: str | None, recurring_id: str, at: int) -> str | None:
    """The deduplication key of one firing."""
    if dedup_key is None:
        return None
    values = dict(zip(_FILLED, (recurring_id, stamp(at)), strict=True))
    return _PLACEHOLDER.sub(lambda found: values.get(found[1].strip(), found[0]), dedup_key)


def _has_mask(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and MASK in one:
            return True
        if isinstance(one, dict | list):
            waiting.extend(one.values() if isinstance(one, dict) else one)
    return False
