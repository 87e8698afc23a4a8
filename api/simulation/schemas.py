"""The shapes of simulations and of coverage."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.gateway.record_schemas import AuditFilters
from api.http.base_schema import Answer
from api.http.schemas import Strict, described, moment, number, text

#: records that are looked at, unless the request says otherwise, and at most
LIMIT, MOST = 10_000, 50_000
#: how far back a simulation looks, unless the request says otherwise, and at most
HOURS, MOST_HOURS = 24, 8_784
_WRITTEN: dict[str, Any] = {"type": "object", "description": "A rule, as a rules file has it."}
_LIST: dict[str, Any] = {"type": "array", "items": _WRITTEN}
_CHANGES: dict[str, Any] = {
    "type": "object",
    "properties": {"replace": _LIST, "remove": {"type": "array", "items": {"type": "string"}}, "add": _LIST},
    "additionalProperties": False,
}


def _limit(*, strict: bool = False) -> fields.Integer:
    return fields.Integer(
        strict=strict,
        load_default=LIMIT,
        validate=validate.Range(min=1, max=MOST),
        metadata={"description": f"Records that are looked at, the oldest first; at most {MOST:,}.", "example": LIMIT},
    )


class CoveragePeriod(Strict):
    """Of which time and tenants something is asked: the last hours, or from and to."""

    hours = fields.Float(
        validate=validate.Range(min=0, min_inclusive=False, max=MOST_HOURS),
        metadata=described(
            f"How many hours back; {HOURS} where neither from nor to is given. At most {MOST_HOURS:,}.",
            example=HOURS,
            minimum=0.001,
        ),
    )
    since = AuditFilters().fields["since"]
    until = AuditFilters().fields["until"]
    limit = _limit()
    namespace = AuditFilters().fields["namespace"]
    tenant = AuditFilters().fields["tenant"]

    @validates_schema
    def _one_period(self, given: dict[str, Any], **_: Any) -> None:
        if "since" in given and "until" in given and given["since"] > given["until"]:
            raise ValidationError("lies before from", "to")
        if "hours" in given and given.keys() & {"since", "until"}:
            raise ValidationError("stands beside from or to: keep one of them", "hours")


class SimulationWanted(CoveragePeriod):
    """What is tried, and on what."""

    limit = _limit(strict=True)
    rules = fields.Raw(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "A whole set, as the rules of a rules file; or changes of the one in force. Without it: "
            "what is in force.",
            "oneOf": [_LIST, _CHANGES],
            "nullable": True,
        },
    )


class ChangedRecord(Answer):
    """A record that is decided otherwise."""

    record_id = text("The id of the record.")
    action_id = text("The action id of the record.")
    at = moment("When it came.")
    before_rule = text("The rule that decided then; null: none.", null=True)
    after_rule = text("The rule that decides now; null: none.", null=True)


class SimulatedChange(Answer):
    """How many went from one decision to another."""

    before = text("What was decided: a verdict, or deduplicated, throttled, silenced, muted where it was kept back so.")
    before_to = text("The provider or chain to which it went, where that is known.", null=True)
    after = text("What these rules decide; refused: a dispatch of which nothing says which event it moves.")
    after_to = text("The provider or chain to which it goes.", null=True)
    changed = fields.Boolean(metadata=described("Whether both differ."))
    count = number("How many.")
    examples = fields.List(
        fields.Nested(ChangedRecord), metadata=described("Of a change: the first ten.", sometimes=True)
    )


class SimulatedRule(Answer):
    """What a rule has to do with it."""

    name = text("The rule.")
    matched = number("How often its condition holds, in shadow mode too.")
    decides = number("How often it decides.")
    decided_before = number("How often it has decided, as recorded.")


class UndecidedRecords(Answer):
    """What cannot be decided again."""

    code = text("Why, for programs.")
    message = text("Why, in words.")
    count = number("How many.")
    examples = fields.List(fields.String(), metadata=described("The ids of the first ten records."))


class SimulationAssumption(Answer):
    """What is taken for granted."""

    code = text("A word for it.")
    message = text("The same in words.")
    count = number("Records that it concerns; null: not counted.", null=True)


class LookedAt(Answer):
    """What was looked at."""

    since = moment("The period begins.")
    until = moment("The period ends.")
    records = number("Records that were looked at.")
    decided = number("Dispatches and triggers that were decided again.")
    complete = fields.Boolean(metadata=described("Whether that is all of the period."))
    ended_at = moment("What came later is not decided; null: all is.", null=True)
    generation = number("The generation in force.")


class Simulation(LookedAt):
    """What a set of rules would have decided."""

    rules_tried = number("Rules that are enabled.")
    changed = number("How many are decided otherwise.")
    by_another_rule = number("How many are decided alike, by another rule.")
    changes = fields.List(
        fields.Nested(SimulatedChange), metadata=described("Each pair of decisions, what changes first.")
    )
    rules = fields.List(
        fields.Nested(SimulatedRule), metadata=described("Rules that match, decide or have decided; the first 1,000.")
    )
    undecided = fields.List(
        fields.Nested(UndecidedRecords), metadata=described("What cannot be decided again, and why.")
    )
    assumptions = fields.List(fields.Nested(SimulationAssumption), metadata=described("What is taken for granted."))
    warnings = fields.List(fields.String(), metadata=described("Providers that the rules name and that there are not."))


class CoveredCombination(Answer):
    """What came under one namespace, provider and action type."""

    namespace = text("The namespace.")
    tenant = text("The tenant.")
    provider = text("The provider.")
    action_type = text("The action type.")
    count = number("How many came.")
    matched = number("How many of them a rule concerns: its condition holds.")
    covered = fields.String(metadata=described("Whether rules concern them.", enum=["all", "partly", "none"]))


class Coverage(LookedAt):
    """What the rules in force concern."""

    combinations = fields.List(
        fields.Nested(CoveredCombination), metadata=described("What no rule concerns first; the first 1,000.")
    )
    combinations_total = number("How many there are.")
    never_matched = fields.List(
        fields.String(), metadata=described("Enabled rules that nothing of the period matches; the first 1,000.")
    )
    undecided = fields.List(
        fields.Nested(UndecidedRecords), metadata=described("What cannot be decided again, and why.")
    )


def since_hours(given: dict[str, Any]) -> timedelta:
    """How far back a request without ``from`` looks."""
    return timedelta(hours=given.get("hours", HOURS))
