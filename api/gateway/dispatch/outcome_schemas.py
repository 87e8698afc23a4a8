"""The shape of what became of a dispatch: every member that any outcome has, and which outcome has it."""

from typing import Any

from marshmallow import fields, validate

from api.http.base_schema import Answer
from api.http.schemas import anything, described, moment, number, text
from gateway.outcomes import NAMES


def _flag(text: str) -> fields.Boolean:
    return fields.Boolean(metadata=described(text))


class ProviderResponse(Answer):
    """What a provider answered."""

    status = fields.String(metadata=described("How it ended, such as success."))
    body = anything("Its body.")


class DispatchError(Answer):
    """Why a provider failed."""

    code = fields.String(metadata=described("The failure, for programs."))
    message = fields.String(metadata=described("The failure, in words."))
    retryable = fields.Boolean(metadata=described("Whether the same may succeed later."))
    attempts = fields.Integer(metadata=described("How often it was tried."))


class Outcome(Answer):
    """What became of a dispatch; the other members depend on the outcome."""

    ALWAYS = frozenset({"outcome", "action_id"})

    outcome = fields.String(
        validate=validate.OneOf([*NAMES, "pending_approval", "dry_run", "accepted"]),
        metadata=described("What became of it."),
    )
    action_id = fields.String(metadata=described("The id of its record: the sender's, if it gave one."))
    execution_id = text("accepted: the id at which the outcome can be asked for.")
    response = fields.Nested(ProviderResponse, metadata=described("executed, rerouted: what the provider answered."))
    error = fields.Nested(DispatchError, metadata=described("failed: why."))
    of = text("deduplicated: the record of its equal.", null=True)
    rule = text("suppressed, throttled, muted, silenced: the rule, or the one that would have applied.", null=True)
    reason = text("suppressed, muted, silenced: why.", null=True)
    denied = _flag("suppressed: whether the rule refused it.")
    interval = text("muted: the calendar.")
    silence_id = text("silenced: the silence.")
    until = moment("silenced: when the silence ends.")
    held = _flag("silenced: whether it goes out at the end.")
    original_provider = text("rerouted: by which it was to go out.")
    new_provider = text("rerouted: by which it went out.")
    retry_after_seconds = number("throttled: seconds after which it is worth trying again.")
    provider = text("circuit_open: the provider that is not asked.")
    fallback_chain = fields.List(
        fields.String(), metadata=described("circuit_open: the fallbacks that are not asked either.")
    )
    chain_id = text("chain_started: the run.")
    chain_name = text("chain_started: the chain.")
    total_steps = number("chain_started: how many steps it has.")
    first_step = text("chain_started: the step that it begins with.")
    scheduled_for = moment("scheduled: when it goes out.")
    approval_id = text("pending_approval: the approval.")
    expires_at = moment("pending_approval: when it expires.")
    approve_url = text("pending_approval: the link that approves, or [redacted].")
    reject_url = text("pending_approval: the link that rejects, or [redacted].")
    notification_sent = _flag("pending_approval: whether people are notified.")
    fingerprint = text("state_changed: the event.")
    previous_state = text("state_changed: its state before.")
    new_state = text("state_changed: its state since.")
    notify = _flag("state_changed: whether the move is notified.")
    refused = text("state_changed: why the event stays in its state.")
    group_id = text("grouped: the group.")
    group_size = number("grouped: how many are gathered so far.")
    notify_at = moment("grouped: when its summary goes out.")
    verdict = text("dry_run: what would become of it.")
    matched_rule = text("dry_run: the rule that decides.", null=True)
    would_be_provider = text("dry_run: by which it would go out.")


OUTCOME = Outcome()
#: the answer to who does not wait for the outcome
ACCEPTED: dict[str, Any] = {
    "outcome": "accepted",
    "action_id": "disp-0199f3c2a1b46d0e8f2c41",
    "execution_id": "disp-0199f3c2a1b46d0e8f2c41",
}
#: the header with the address of the outcome
OUTCOME_AT = {"Location": {"description": "Where the outcome can be asked for.", "schema": {"type": "string"}}}
