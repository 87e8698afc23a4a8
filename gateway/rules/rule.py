"""A compiled rule: when it applies, what it asks for, and the keys of what it remembers."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from config.types import Json
from gateway import grants
from gateway.calendars.calendar import Calendar
from gateway.facts import Facts, Key
from gateway.rules import conditions, effects, fields, fingerprints, group_checks, written
from gateway.rules.conditions import Condition, Test
from gateway.verdicts import Check, Deduplicate, Effect, Gathered, Group, Throttle

Values = Callable[[Facts], list[Any]]
Calendars = Mapping[str, Calendar]


class Muting(NamedTuple):
    """The calendar by which a rule lets nothing out now, and that in words."""

    interval: str
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule of the generation in force."""

    name: str
    form: Json
    condition: Condition
    test: Test
    effect: Effect
    origins: frozenset[str]
    tenants: tuple[str, ...]
    shadow: bool
    goes_on: bool
    reason: str | None
    check: Callable[[Facts], Check] | None
    group: Callable[[Facts], Gathered] | None = None
    #: the calendars in which it mutes, and those outside of which it does
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, str, int]:
        """Its place among the rules: priority, file, position."""
        return self.form["priority"], self.form["file"], self.form["position"]

    @property
    def ends(self) -> bool:
        """Whether no rule behind it is asked when it matches."""
        return not (self.shadow or self.goes_on)

    def concerns(self, key: Key) -> bool | None:
        """Whether it can match executions with this key.

        True: it matches all of them; False: none; None: that depends on their other facts.
        """
        if key[0] not in self.origins:
            return False
        if not self.concerns_tenant(key[2]):
            return False
        known = self.condition.known
        return known(key) if known is not None else None

    def muted(self, at: int, calendars: Calendars) -> Muting | None:
        """The calendar by which what it decides about at a time (ms) does not go out; None where it does.

        A calendar that is gone has no time in it.
        """
        for name in self.mute:
            if name in calendars and calendars[name].contains(at):
                return Muting(name, f"it is a time of the calendar '{name}'")
        if self.active and not any(name in calendars and calendars[name].contains(at) for name in self.active):
            names = " and ".join(f"'{name}'" for name in self.active)
            return Muting(self.active[0], f"it is no time of the calendar{'s' if len(self.active) > 1 else ''} {names}")
        return None

    def concerns_tenant(self, tenant: str) -> bool:
        """Whether it names the tenant, a parent of it, or no tenants."""
        return not self.tenants or any(grants.covers(pattern, tenant) for pattern in self.tenants)


def compiled(form: Json) -> Rule:
    """The rule of a stored form."""
    zone = ZoneInfo(form["timezone"]) if form["timezone"] else UTC
    condition = conditions.compiled(form["condition"], zone, form["name"])
    effect = effects.effect(form["action"])
    return Rule(
        name=form["name"],
        form=form,
        condition=condition,
        test=condition.test,
        effect=effect,
        origins=written.concerned(form),
        tenants=tuple(form["tenants"] or ()),
        shadow=form["mode"] == "shadow",
        goes_on=form["continue"],
        reason=form["action"].get("reason"),
        check=_check(form, effect, condition.text),
        group=_group(form["name"], effect) if isinstance(effect, Group) else None,
        mute=tuple(form.get(written.MUTE, ())),
        active=tuple(form.get(written.ACTIVE, ())),
    )


def _check(form: Mapping[str, Any], effect: Effect, condition: str) -> Callable[[Facts], Check] | None:
    rule, reason = form["name"], form["action"].get("reason")
    if isinstance(effect, Deduplicate):
        key = _dedup_key(rule, effect)
        return lambda facts: Check(rule, effect, key(facts), reason=reason, condition=condition)
    if isinstance(effect, Throttle):
        return _throttle_check(rule, effect, reason, condition)
    return None


def _values(paths: tuple[str, ...]) -> Values:
    readers = [fields.reader(fields.parse(path), UTC) for path in paths]
    return lambda facts: [read(facts) for read in readers]


def _dedup_key(rule: str, effect: Deduplicate) -> Callable[[Facts], str]:
    """What makes two executions equal.

    That is the named fields, for this rule; else the dedup key that the caller gave; else provider, type, target and
    payload.
    """
    if effect.key_fields:
        values = _values(effect.key_fields)
        return lambda facts: _digest("fields", rule, facts.namespace, values(facts))

    def key(facts: Facts) -> str:
        if facts.dedup_key is not None:
            return _digest("given", facts.namespace, facts.dedup_key)
        target = facts.metadata.get("target")
        return _digest("same", facts.namespace, facts.provider, facts.action_type, target, facts.payload)

    return key


def _throttle_check(rule: str, effect: Throttle, reason: str | None, condition: str) -> Callable[[Facts], Check]:
    values = _values(effect.by)
    distinct = fields.reader(fields.parse(effect.distinct), UTC) if effect.distinct else None

    def check(facts: Facts) -> Check:
        key = _digest("by", facts.namespace, values(facts))
        value = None if distinct is None else _digest("value", distinct(facts))
        return Check(rule, effect, key, value, reason, condition)

    return check


def _group(rule: str, effect: Group) -> Callable[[Facts], Gathered]:
    """Which group a dispatch belongs to.

    Its key has the tenant and the namespace, under which its summary goes out, and the provider unless the rule names
    one for the summary.
    """
    read, names = _values(effect.group_by), group_checks.label_names(effect.group_by)

    def gathered(facts: Facts) -> Gathered:
        values = read(facts)
        provider = facts.provider if effect.notify_provider is None else None
        place = (facts.tenant, facts.namespace, rule, provider)
        return Gathered(_digest("group", place, effect.group_by, values), tuple(zip(names, values, strict=True)))

    return gathered


def _digest(*values: Any) -> str:
    """A key of bounded length; equal for equal JSON values, whatever the order of members."""
    return hashlib.sha256(fingerprints.canonical(values).encode()).hexdigest()
