"""The shapes of the bodies of ``/v1/rules`` and ``/admin/stop``."""

from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.access import grants
from api.http.base_schema import Answer
from api.http.schemas import Flag, Meta, Strict, described, moment, without_nul
from gateway.facts import ORIGINS

_NAME = validate.Length(1, 128)
#: recorded executions that may be given by name
_MOST_KEYS = 1000
#: moments that every time zone has
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


class Rule(Answer):
    """A rule in force."""

    name = fields.String(metadata=described("Its name, the only one of that name."))
    priority = fields.Integer(metadata=described("Lower is asked first."))
    enabled = fields.Boolean(metadata=described("Whether it is asked; a switch overrules its file."))
    description = fields.String(allow_none=True, metadata=described("What it is for."))
    file = fields.String(metadata=described("Where it is written."))
    mode = fields.String(metadata=described("enforce, or shadow: recorded and not enforced."))
    action = fields.String(metadata=described("What it decides."))
    origins = fields.List(fields.String(), metadata=described("Which executions it concerns."))
    tenants = fields.List(fields.String(), allow_none=True, metadata=described("Which tenants it concerns; null: all."))
    matched_24h = fields.Integer(
        allow_none=True,
        metadata=described("Records that it has decided in the last day; 10000: at least as many; null: not counted."),
    )


class Rules(Answer):
    """The rules that may concern the caller's tenants."""

    rules = fields.List(fields.Nested(Rule), metadata=described("In the order in which they are asked."))
    generation = fields.Integer(metadata=described("The generation in force; 0: none was loaded yet."))


class Loading(Answer):
    """The result of a load."""

    loaded = fields.Integer(metadata=described("Rules in force."))
    errors = fields.List(
        fields.String(), metadata=described("Faults as 'file:line pointer: what'; with any, nothing was changed.")
    )
    warnings = fields.List(fields.String(), metadata=described("Providers that rules name and that there are not."))
    generation = fields.Integer(metadata=described("The generation in force."))
    applied = fields.String(metadata=described("How many of the processes that decide have it."))


class Switch(Strict):
    """Whether a rule is asked."""

    enabled = Flag(required=True, metadata=described("false: it is passed over until it is enabled again."))


class Switched(Answer):
    """A rule that was enabled or disabled."""

    name = fields.String(metadata=described("The rule."))
    enabled = fields.Boolean(metadata=described("Whether it is asked now."))
    applied = fields.String(metadata=described("How many of the processes that decide obey."))


class Generation(Answer):
    """A generation that was loaded."""

    generation = fields.Integer(metadata=described("Its number."))
    in_force = fields.Boolean(metadata=described("Whether it decides now."))
    source = fields.String(metadata=described("The folder, or the generation that was rolled back to."))
    rules = fields.Integer(metadata=described("How many rules it has."))
    loaded_at = moment("ISO 8601, UTC.")
    loaded_by = fields.String(metadata=described("The id of the key; system: at the start of a web process."))


class History(Answer):
    """Generations, newest first."""

    data = fields.List(fields.Nested(Generation))
    meta = fields.Nested(Meta)


class Rollback(Strict):
    """The generation to go back to."""

    generation = fields.Integer(
        required=True, strict=True, validate=validate.Range(min=1, max=2**53), metadata=described("Its number.")
    )


class Stop(Strict):
    """What is stopped, and why."""

    tenant = fields.String(
        load_default="*",
        validate=_NAME,
        metadata={**described("The tenant, its parts included; * means all."), "pattern": grants.PATTERN},
    )
    reason = fields.String(
        required=True, validate=validate.Length(1, 1024), metadata=described("Why; records show it.")
    )


class LiftedStop(Strict):
    """What is let go again."""

    tenant = fields.String(load_default="*", validate=[_NAME, without_nul()], metadata=described("As it was stopped."))


class Stopped(Answer):
    """A stop, set or lifted."""

    tenant = fields.String(metadata=described("The tenant; * means all."))
    stopped = fields.Boolean(metadata=described("Whether it is held back now."))
    reason = fields.String(metadata=described("Why; only while it is.", sometimes=True))
    note = fields.String(metadata=described("That no such tenant is known yet; only then.", sometimes=True))
    applied = fields.String(metadata=described("How many of the processes that decide obey."))


def _check_origin(word: str) -> None:
    if word not in ORIGINS:
        raise ValidationError(f"must be one of {', '.join(ORIGINS)}")


def _check_moment(moment: datetime) -> None:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValidationError(f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")


def _check_counts(given: dict[str, Any]) -> None:
    if len(given) > _MOST_KEYS or not all(type(value) is int and 0 <= value <= 2**53 for value in given.values()):
        raise ValidationError(f"must be an object of at most {_MOST_KEYS} names and whole numbers")


class Evaluation(Strict):
    """An execution as the rules would see it, and what is explained."""

    namespace = fields.String(required=True, validate=_NAME, metadata=described("action.namespace"))
    tenant = fields.String(required=True, validate=_NAME, metadata=described("action.tenant"))
    provider = fields.String(required=True, validate=_NAME, metadata=described("action.provider"))
    action_type = fields.String(required=True, validate=_NAME, metadata=described("action.action_type"))
    origin = fields.String(
        load_default="dispatch", validate=_check_origin, metadata=described("action.origin", enum=list(ORIGINS))
    )
    payload = fields.Dict(keys=fields.String(), load_default={}, metadata=described("action.payload"))
    metadata = fields.Dict(keys=fields.String(), load_default={}, metadata=described("action.metadata"))
    status = fields.String(load_default=None, allow_none=True, metadata=described("action.status"))
    fingerprint = fields.String(load_default=None, allow_none=True, metadata=described("action.fingerprint"))
    dedup_key = fields.String(load_default=None, allow_none=True, metadata=described("action.dedup_key"))
    include_disabled = Flag(load_default=False, metadata=described("Ask disabled rules too, as if they were enabled."))
    evaluate_all = Flag(load_default=False, metadata=described("Go on behind the rule that decides."))
    evaluate_at = fields.AwareDateTime(
        format="iso",
        load_default=None,
        allow_none=True,
        validate=_check_moment,
        metadata=described("The moment to decide at; null: now."),
    )
    mock_state = fields.Dict(
        keys=fields.String(),
        load_default={},
        validate=_check_counts,
        metadata=described("Recorded executions by name, for state_seen and state_counter; active events likewise."),
    )
    mock_events = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default={},
        validate=validate.Length(max=_MOST_KEYS),
        metadata=described("The states of events by fingerprint, for event_in_state and get_event_state."),
    )


class Trace(Answer):
    """The decision, rule by rule."""

    verdict = fields.String(metadata=described("What would become of it."))
    matched_rule = fields.String(allow_none=True, metadata=described("The rule that decides; null: none."))
    muted_by = fields.String(
        allow_none=True, metadata=described("The calendar by which a rule lets nothing out at that time.")
    )
    reason = fields.String(allow_none=True, metadata=described("The reason that the rule gives."))
    has_errors = fields.Boolean(metadata=described("Whether the condition of a rule could not be evaluated."))
    total_rules_evaluated = fields.Integer(metadata=described("Rules that were asked."))
    total_rules_skipped = fields.Integer(metadata=described("Rules that were not."))
    evaluation_duration_us = fields.Integer(metadata=described("How long it took, microseconds."))
    checks = fields.List(fields.Dict(), metadata=described("What would be counted or remembered; nothing was."))
    shadows = fields.List(fields.Dict(), metadata=described("What rules in shadow mode would have decided."))
    trace = fields.List(fields.Dict(), metadata=described("Each rule: its result and, part by part, why."))
    context = fields.Dict(metadata=described("The time that the rules saw, and what they looked up."))
    warnings = fields.List(
        fields.String(), metadata=described("Providers that the rules or the request name and that there are not.")
    )
    modified_payload = fields.Dict(
        metadata=described("The payload as it would go out, where a rule modifies it.", sometimes=True)
    )
