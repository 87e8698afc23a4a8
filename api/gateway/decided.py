"""The members by which an execution shows what the rules have decided about it."""

from marshmallow import fields

from api.http.base_schema import Answer
from api.http.schemas import described
from gateway.verdicts import EFFECTS


class ShadowVerdict(Answer):
    """What a rule in shadow mode would have decided."""

    rule = fields.String(metadata=described("The rule."))
    verdict = fields.String(metadata=described("Its verdict."))


class UndecidedRule(Answer):
    """A rule whose condition could not be decided."""

    rule = fields.String(metadata=described("The rule."))
    detail = fields.String(metadata=described("Why."))


class KeptBack(Answer):
    """The silence that keeps an execution back."""

    id = fields.String(allow_none=True, metadata=described("The silence."))
    comment = fields.String(allow_none=True, metadata=described("Why it is quiet."))


class Decided(Answer):
    """The decision of the rules; the members are there only where a rule concerns the execution."""

    verdict = fields.String(metadata=described("What the rules decide.", enum=list(EFFECTS), sometimes=True))
    rule = fields.String(
        allow_none=True,
        metadata=described("The rule that decides; null where none matches, which allows it.", sometimes=True),
    )
    reason = fields.String(allow_none=True, metadata=described("The rule's reason.", sometimes=True))
    equal_to = fields.String(
        metadata=described("Of a deduplicated execution: the one that went out before.", sometimes=True)
    )
    approval_id = fields.String(metadata=described("The approval that it waits for, or went out by.", sometimes=True))
    original_provider = fields.String(
        metadata=described("The provider from which a rule has rerouted it.", sometimes=True)
    )
    provider = fields.String(metadata=described("The provider to which a rule has rerouted it.", sometimes=True))
    silence = fields.Nested(KeptBack, metadata=described("The silence that keeps it back.", sometimes=True))
    interval = fields.String(
        metadata=described("The calendar by which a rule lets nothing out at its time.", sometimes=True)
    )
    shadows = fields.List(
        fields.Nested(ShadowVerdict),
        metadata=described("What rules in shadow mode would have decided.", sometimes=True),
    )
    problems = fields.List(
        fields.Nested(UndecidedRule),
        metadata=described("Rules whose condition could not be decided.", sometimes=True),
    )
