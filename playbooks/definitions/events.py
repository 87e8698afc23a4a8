"""The names of events: those that Tocsin emits itself, those that are usual, and the form of all others.

A name is words with dots between, the first of which is its family. The families in ``RESERVED`` are Tocsin's own: no
caller can send an event of them, and a trigger on one that Tocsin does not emit would wait for ever. An event of one's
own is of any other family.
"""

import re
from typing import Any

from expressions.suggestions import did_you_mean

MANUAL, SCHEDULE = "manual", "schedule"
ACTION_COMPLETED = "action.completed"
APPROVAL_REQUESTED = "approval.requested"
#: no event: what has led to a run that the notice of an approval has started
APPROVAL_NOTICE = "approval.notice"
PLAYBOOK_FAILED, PLAYBOOK_CANCELLED, PLAYBOOK_PAUSED = "playbook.failed", "playbook.cancelled", "playbook.paused"
#: what Tocsin emits itself
EMITTED = (
    ACTION_COMPLETED,
    "action.failed",
    "action.timeout",
    "playbook.completed",
    PLAYBOOK_FAILED,
    PLAYBOOK_CANCELLED,
    PLAYBOOK_PAUSED,
    APPROVAL_REQUESTED,
)
#: families of which there are only the events that Tocsin emits
RESERVED = ("action", "approval", "playbook")
#: the usual events of other systems
USUAL = ("finding.new", "finding.status_changed", "scan.completed", "scan.failed")
#: the documented events; a trigger may name others of the same form
EVENTS = (MANUAL, SCHEDULE, *USUAL, "finding.*", "scan.*", *EMITTED, *(f"{family}.*" for family in RESERVED))

MAX_EVENT_CHARACTERS = 128

_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.([a-z0-9_]+|\*)")
_FORM = "an event name has a dot, like finding.new; 'finding.*' means all of finding"
#: other words for triggers
_OTHER_WORDS = {
    **dict.fromkeys(("cron", "timer", "scheduled", "interval", "time"), SCHEDULE),
    **dict.fromkeys(("none", "api", "webhook", "user", "on_demand"), MANUAL),
}


def family(event: str) -> str:
    """The first word of an event's name."""
    return event.partition(".")[0]


def trigger_fault(event: Any) -> str | None:
    """The reason why no trigger can wait for an event of this name."""
    if event in (MANUAL, SCHEDULE):
        return None
    if not isinstance(event, str) or len(event) > MAX_EVENT_CHARACTERS or _EVENT.fullmatch(event) is None:
        if isinstance(event, str) and f"{event.lower()}.*" in EVENTS:
            return _family_fault(event.lower())
        hint = did_you_mean(event, EVENTS, synonyms=_OTHER_WORDS) if isinstance(event, str) else ""
        return f"must be one of {', '.join(EVENTS)}, or a name of your own of that form: {_FORM}{hint}"
    if family(event) not in RESERVED or event in EVENTS:
        return None
    ours = ", ".join(name for name in EVENTS if family(name) in RESERVED)
    text = f"nothing emits {event}; of the families {', '.join(RESERVED)} there are only {ours}"
    return f"{text}{did_you_mean(event, EVENTS)}"


def _family_fault(word: str) -> str:
    members = [name for name in EVENTS if name.startswith(f"{word}.") and not name.endswith("*")]
    return f"an event's name has a dot, such as {' or '.join(members)}; '{word}.*' means each event of {word}"


def trigger_doubt(event: str) -> str | None:
    """Why a trigger on an event of this name may never fire, although it can."""
    if event in EVENTS or family(event) not in {family(usual) for usual in USUAL}:
        return None
    hint = did_you_mean(event, USUAL)
    return f"{event} is none of the usual events: only a sender that uses this very name starts the playbook{hint}"


def names(event: str) -> list[str]:
    """The trigger events that an event matches: its name and the wildcards.

    Each ``*`` above its name is one.
    """
    words = event.split(".")
    return [event, *(".".join([*words[:count], "*"]) for count in range(len(words) - 1, 0, -1))]


def may_follow(event: str, before: str | None) -> bool:
    """Whether an event may start playbooks, after the event that led to it, if one did.

    It keeps playbooks from starting each other in circles: what a ``playbook`` event has started leads to no further
    event, and what an ``approval`` event has started to none about approvals.
    """
    source = family(before or "")
    return source != "playbook" and (source != "approval" or family(event) != "approval")
