"""Events, groups and dispatches: what comes in, what is gathered, what is sent."""

from __future__ import annotations

from typing import Optional

import click

from tocsin.cli.root import noun
from tocsin.cli.verb import Command, declare

events, groups, dispatch = noun("events"), noun("groups"), noun("dispatch")
_SPACE = ("namespace", "tenant")


def send_command(group: Optional[click.Group]) -> Command:
    """The verb ``send``."""
    return declare(
        group,
        "send",
        "sendEvent",
        "Report an event such as finding.new; the answer says which playbooks it has started.",
        arguments=("event",),
        members=("data", "id"),
    )


declare(events, "list", "listEvents", "The events that last, with the state of each.")
declare(events, "get", "getEvent", "One event with its history, the last moves first.")
declare(
    events,
    "transition",
    "transitionEvent",
    "Move an event to another state, if its state machine allows it.",
    arguments=("to_state",),
    members=_SPACE,
)
send = send_command(events)

declare(groups, "list", "listGroups", "The groups that still gather.")
declare(groups, "get", "getGroup", "One group with the first of its members.")
declare(groups, "flush", "flushGroup", "Send its summary now.", asks="Send the summary of {group_key} now?")

_MEMBERS = ("namespace", "tenant", "provider", "action_type", "payload", "metadata", "dedup_key", "fingerprint")
declare(
    dispatch,
    "send",
    "dispatch",
    "Send something by a provider, as the rules decide.",
    members=(*_MEMBERS, "status", "id", "starts_at", "ends_at", "created_at"),
    file="may",
)
declare(dispatch, "batch", "dispatchBatch", "Send up to 1,000 at once, from a file with a list.", file="must")
declare(dispatch, "get", "getDispatch", "What became of a dispatch.")
