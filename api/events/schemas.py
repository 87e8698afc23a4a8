"""The shapes and the example bodies of ``POST /api/events``."""

import re
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.http.base_schema import Answer
from api.http.schemas import Strict, anything, described
from playbooks.definitions.events import EMITTED, MANUAL, MAX_EVENT_CHARACTERS, RESERVED, SCHEDULE, family

#: events that Tocsin emits itself
OWN_EVENTS = (MANUAL, SCHEDULE, *EMITTED)
MAX_ID_CHARACTERS = 255

_NAME = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$"
_ID = "^[ -~]+$"


def check_name(event: str) -> None:
    """Raise ValidationError for the name of an event that cannot be sent."""
    if event in OWN_EVENTS:
        raise ValidationError(f"{event} happens by itself and cannot be sent.")
    if family(event) in RESERVED:
        raise ValidationError(f"Events of {family(event)} are Tocsin's own and cannot be sent.")
    if not re.fullmatch(_NAME, event):
        raise ValidationError("Must be words of a-z, 0-9 and _ with dots between, such as finding.new.")


def _check_id(event_id: str) -> None:
    if not re.fullmatch(_ID, event_id):
        raise ValidationError("Must be printable ASCII characters.")


class Event(Strict):
    """An event in another system."""

    event = fields.String(
        required=True,
        validate=[validate.Length(max=MAX_EVENT_CHARACTERS), check_name],
        metadata=described(
            "What has happened: finding.new, finding.status_changed, scan.completed, scan.failed, or a name of your "
            "own of that form, of another family than action, approval and playbook.",
            pattern=_NAME,
            **{"not": {"pattern": f"^({'|'.join(RESERVED)})\\."}},
        ),
    )
    data = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata=described("What it tells: the finding, the asset, whatever conditions and templates look at."),
    )
    id = fields.String(
        validate=[validate.Length(1, MAX_ID_CHARACTERS), _check_id],
        metadata=described(
            "Names this very event: sent again under the same id it starts no playbook twice.", pattern=_ID
        ),
    )


class EventQuery(Strict):
    """How an event is sent."""

    dry_run = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata={"description": "Tell what the event would start, and start nothing.", "example": False},
    )


class StartedRun(Answer):
    """A run that an event has started."""

    playbook_id = fields.String(metadata=described("The playbook."))
    execution_id = fields.String(metadata=described("Its run."))


class NotStarted(Answer):
    """A playbook that an event should have started."""

    playbook_id = fields.String(metadata=described("The playbook."))
    code = fields.String(metadata=described("A stable word for the reason."))
    reason = fields.String(metadata=described("Why it was not started."))
    running_execution_id = fields.String(
        metadata=described(
            "Only with already_running: the run of the playbook for this asset that is under way.", sometimes=True
        )
    )
    execution_id = fields.String(
        allow_none=True, metadata=described("The failed run that shows the event and the reason.")
    )


class NotMatched(Answer):
    """A playbook that waits for the event, of which it does not meet a condition."""

    playbook_id = fields.String(metadata=described("The playbook."))
    condition = fields.String(metadata=described("The first condition not met, as a JSON pointer into the playbook."))
    wanted = anything("What it asks for: a value, or an operator and a value.")
    found = anything("What the event has there; long values are shortened.")
    missing = fields.Boolean(metadata=described("Whether the event has nothing there."))


class EventOutcome(Answer):
    """The result of reporting an event."""

    event_id = fields.String(metadata=described("The event's id: the one it came with, else a new one."))
    event = fields.String(metadata=described("What has happened."))
    considered = fields.Integer(
        metadata=described("How many enabled playbooks wait for this event, whether it meets their conditions or not.")
    )
    note = fields.String(
        allow_none=True,
        metadata=described("Where none does and the name is close to a usual one: that one; else null."),
    )
    repeated = fields.Boolean(
        metadata=described("Whether an event of this id has been handled before: what it started is not started again.")
    )
    started = fields.List(fields.Nested(StartedRun), metadata=described("The runs it has started."))
    not_started = fields.List(
        fields.Nested(NotStarted), metadata=described("The playbooks that wait for it and could not be started.")
    )
    not_matched = fields.List(
        fields.Nested(NotMatched),
        metadata=described("The playbooks that wait for it and of which it does not meet a condition, up to 50."),
    )


EXAMPLE: dict[str, Any] = {
    "event": "finding.new",
    "id": "finding-4711",
    "data": {
        "finding": {"id": "f-4711", "title": "Open admin port", "severity": "critical"},
        "asset": {"id": "a-1001", "tags": ["production"]},
    },
}
OUTCOME: dict[str, Any] = {
    "event_id": "finding-4711",
    "event": "finding.new",
    "considered": 3,
    "note": None,
    "repeated": False,
    "started": [{"playbook_id": "pb-critical-finding-alert", "execution_id": "pexec-0199f3c2a1b46d0e8f2c41"}],
    "not_started": [
        {
            "playbook_id": "pb-isolate-host",
            "code": "already_running",
            "reason": "The playbook 'pb-isolate-host' is already running for the asset 'a-1001', as the execution "
            "'pexec-0199f3c2a1b46d0e8f2c40'.",
            "running_execution_id": "pexec-0199f3c2a1b46d0e8f2c40",
            "execution_id": "pexec-0199f3c2a1b46d0e8f2c42",
        }
    ],
    "not_matched": [
        {
            "playbook_id": "pb-triage-low",
            "condition": "/trigger/conditions/severity",
            "wanted": {"$in": ["info", "low"]},
            "found": "critical",
            "missing": False,
        }
    ],
}
