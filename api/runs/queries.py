"""The queries about playbook executions."""

from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.http import pages
from api.http import schemas as http_schemas
from api.http.base_schema import Schema
from store.executions.lists import run_listing

#: how often an answer has the run
BOTH, DATA = "both", "data"


class OfPlaybookQuery(pages.PeriodQuery):
    """The filters of the list of one playbook's executions."""

    status = DelimitedList(
        fields.String(validate=validate.OneOf(run_listing.SHOWN)),
        validate=validate.Length(min=1),
        metadata={"description": "Only these statuses, separated by commas.", "example": ["running", "paused"]},
    )
    target_asset_id = pages.text(255, "Only those about this asset.", "a-1001")
    trigger = fields.String(
        validate=validate.OneOf(run_listing.TRIGGERS),
        metadata={"description": "Only those that were started by this.", "example": "event"},
    )
    dry_run = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Only dry runs, or only others.", "example": False},
    )
    event_id = pages.text(
        255, "Only those that the event of this id has started, directly or through another run.", "evt-20260428-17"
    )
    parent_id = pages.text(128, "Only those that a step of this playbook execution has started.", "pexec-7721")


class RunQuery(OfPlaybookQuery):
    """The filters of the list of all playbook executions."""

    playbook_id = pages.text(128, "Only those of this playbook.", "pb-critical-vuln-response")


class EnvelopeQuery(Schema):
    """How often the answer has the run."""

    envelope = fields.String(
        load_default=BOTH,
        validate=validate.OneOf((BOTH, DATA)),
        metadata={
            "description": "both: the members of the run at the top level and again under data. data: only there.",
            "example": DATA,
        },
    )


class _Outputs(Schema):
    """Whether what steps were given and have brought is wanted."""

    outputs = fields.Boolean(
        load_default=True,
        truthy={"true"},
        falsy={"false"},
        metadata={
            "description": "false: without the inputs, outputs, variables and reports of steps, which may be large.",
            "example": False,
        },
    )


class RunReadQuery(EnvelopeQuery, _Outputs):
    """How long a reader may wait for news, and how much is wanted."""

    wait = http_schemas.wait("for the status to change or for anything to happen to a step.")


class TimelineQuery(pages.CursorQuery):
    """The part of a run's steps that is wanted."""

    since = http_schemas.time_filter(
        "since", "Only steps that were reached, began or ended at this time or later.", "2026-04-28T09:00:00Z"
    )


class StepsQuery(TimelineQuery, _Outputs):
    """The same, and how much of them."""
