"""The filters of the stream, and examples of its events."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema
from webargs.fields import DelimitedList

from api.gateway.record_schemas import OUTCOMES
from api.http import pages
from api.http.base_schema import Schema
from api.stream import types

_NAME_CHARACTERS = 255


def _some(choices: tuple[str, ...], text: str, example: str) -> Any:
    return DelimitedList(
        fields.String(validate=validate.OneOf(choices)),
        validate=validate.Length(min=1, max=len(choices)),
        metadata={"description": text, "example": [example]},
    )


class StreamQuery(Schema):
    """Which events are wanted: those that match all filters."""

    namespace = pages.text(_NAME_CHARACTERS, "Only those of this namespace.", "notifications")
    action_type = pages.text(_NAME_CHARACTERS, "Only those of this action type.", "send_email")
    outcome = _some(
        OUTCOMES,
        "Only action_dispatched with one of these outcomes, separated by commas; no other type then.",
        "failed",
    )
    event_type = _some(
        (*types.USUAL, *types.NAMED),
        f"Only these types, separated by commas. Without it {', '.join(types.USUAL)}; the others come when they are "
        "named. lagged comes in any case.",
        types.DISPATCHED,
    )
    tenant = pages.text(_NAME_CHARACTERS, "Only those of this tenant.", "default")
    chain_id = pages.text(_NAME_CHARACTERS, "Only those of this run of a chain or playbook.", "pexec-7721")
    action_id = pages.text(_NAME_CHARACTERS, "Only those of this action id, or of this execution.", "alert-7731")

    @validates_schema
    def _can_match(self, query: dict[str, Any], **_: Any) -> None:
        if "outcome" in query and types.DISPATCHED not in query.get("event_type", (types.DISPATCHED,)):
            text = f"only {types.DISPATCHED} has an outcome: name that in event_type, or leave out one of the two"
            raise ValidationError(text, "outcome")


class StreamEvent(Schema):
    """One block of a stream, by its fields; those without data say where the stream has come to."""

    event = fields.String(
        metadata={"description": "The type.", "enum": [*types.USUAL, *types.NAMED, types.LAGGED]},
    )
    id = fields.String(metadata={"description": "What to send as Last-Event-ID to go on behind it.", "format": "uuid"})
    retry = fields.Integer(
        metadata={"description": "After how many milliseconds a client that was cut off tries again."}
    )
    data = fields.String(
        metadata={
            "description": "A JSON object: id, timestamp, type, namespace, tenant, action_type, action_id, and the "
            "members of the type. Of lagged skipped, the number of events that were left out.",
            "contentMediaType": "application/json",
        }
    )


_ID = "01a3185c-507b-70fa-8162-4175044f58"


def _event(kind: str, number: int, data: str) -> str:
    name = f"{_ID}{number}"
    return f'event: {kind}\nid: {name}\ndata: {{"id":"{name}",{data}}}\n\n'


_AT = '"timestamp":"2026-04-28T12:00:00.420Z"'
_ABOUT = '"namespace":"notifications","tenant":"tenant-1"'
#: one event of each type
EVENTS = "".join(
    (
        f"retry: 3000\nid: {_ID}10\n\n",
        _event(
            types.DISPATCHED,
            11,
            f'{_AT},"type":"action_dispatched","outcome":{{"outcome":"executed","response":{{"status":"success","body":'
            'null,"headers":{}}},"provider":"email","origin":"dispatch","verdict":"allow",'
            f'{_ABOUT},"action_type":"send_email","action_id":"alert-7731"',
        ),
        _event(
            types.FLUSHED,
            12,
            f'{_AT},"type":"group_flushed","group_id":"grp-0199f3c2a1b46d0e8f2c41","event_count":3,"rule":"by-cluster",'
            f'"closed_by":"time",{_ABOUT},"action_id":"disp-0199f3c2a1b46d0e8f2c42"',
        ),
        _event(
            types.TIMEOUT,
            13,
            f'{_AT},"type":"timeout","fingerprint":"alert-cluster1-cpu","state_machine":"alert",'
            f'"previous_state":"firing","new_state":"stale",{_ABOUT},"action_type":"alert"',
        ),
        _event(
            types.ADVANCED,
            14,
            f'{_AT},"type":"chain_advanced","chain_id":"pexec-7721","chain":"enrich","step":"look","status":"completed",'
            f'{_ABOUT},"action_type":"alert","action_id":"pexec-7721.look"',
        ),
        _event(
            types.REQUIRED,
            15,
            f'{_AT},"type":"approval_required","approval_id":"apr-9f0c2a9be1d34c7f5f0c2a9be1d34c7f","rule":"ask",'
            f'"expires_at":"2026-04-28T13:00:00.000Z","approve_url":"[redacted]","reject_url":"[redacted]",{_ABOUT},'
            '"action_type":"send_email","action_id":"disp-0199f3c2a1b46d0e8f2c40"',
        ),
        'event: lagged\ndata: {"skipped":17}\n\n',
        f": alive\nid: {_ID}16\n\n",
    )
)
#: of a run that has one step
OF_RUN = "".join(
    (
        "retry: 3000\n\n",
        _event(
            types.STEP,
            21,
            f'{_AT},"type":"step_changed","execution_id":"pexec-7721.notify","run_id":"pexec-7721","step":"notify",'
            '"status":"completed","namespace":"playbooks","tenant":"default","action_id":"pexec-7721.notify"',
        ),
        _event(
            types.RUN,
            22,
            f'{_AT},"type":"run_changed","execution_id":"pexec-7721","status":"completed","namespace":"playbooks",'
            '"tenant":"default","action_id":"pexec-7721"',
        ),
    )
)
