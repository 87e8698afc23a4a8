"""The members by which an execution shows what the rules have decided about it."""

from marshmallow import fields

from api.http.base_schema import Schema
from api.http.schemas import described
from gateway.verdicts import EFFECTS


class Decided(Schema):
    """The decision of the rules; the members are there only where a rule concerns the execution."""

    verdict = fields.String(metadata=described("What the rules decide.", enum=list(EFFECTS)))
    rule = fields.String(
        allow_none=True, metadata=described("The rule that decides; null where none matches, which allows it.")
    )
    reason = fields.String(allow_none=True, metadata=described("The rule's reason."))
    equal_to = fields.String(metadata=described("Of a deduplicated execution: the one that went out before."))
    approval_id = fields.String(metadata=described("The approval that it waits for, or went out by."))
    original_provider = fields.String(metadata=described("The provider from which a rule has rerouted it."))
    provider = fields.String(metadata=described("The provider to which a rule has rerouted it."))
    shadows = fields.List(
        fields.Dict(), metadata=described("What rules in shadow mode would have decided: rule and verdict of each.")
    )
    problems = fields.List(
        fields.Dict(), metadata=described("Rules whose condition could not be decided: rule and detail of each.")
    )
