"""What the summary of a group says: counts, a text, and its first members."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from config.types import Json
from expressions import templates
from expressions.templates import TemplateError
from gateway.redacted import redacted
from gateway.verdicts import Gathered

ACTION_TYPE = "group_notification"
RESOLVED = "resolved"
#: members that a summary shows, characters of a payload that it shows, and of all of them together
MOST_SHOWN, MOST_OF_ONE, MOST_OF_ALL = 20, 8_192, 65_536
#: words that are counted apart, and what all others are counted under
_MOST_WORDS, _OTHER, _NONE = 20, "other", "none"
_MOST_CHARACTERS, _MOST_OF_LABEL, _WORD = 4_096, 256, 64


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a summary says of a group."""

    group_id: str
    group_key: str
    rule: str
    namespace: str
    tenant: str
    labels: Mapping[str, str]
    #: how many members it is about
    size: int
    first_at: str
    last_at: str
    url: str
    template: str | None = None
    #: 0 for the first summary, then its number
    repeat: int = 0
    #: the first members, as they are shown, each with the length of its payload
    events: Sequence[tuple[Json, int]] = ()
    resolved: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_severity: Mapping[str, int] = field(default_factory=dict)


def labels(gathered: Gathered) -> dict[str, str]:
    """What the members of a group have in common, as its labels show it."""
    return {name: _label(value) for name, value in gathered.common}


def _label(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return str(redacted(text))[:_MOST_OF_LABEL]


def severity(payload: Mapping[str, Any], labels: Mapping[str, Any]) -> str | None:
    """The severity of a member: what its payload says, else its labels."""
    found = payload.get("severity", labels.get("severity"))
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    return str(found)[:_WORD] or None


def is_resolved(status: str | None, ends_at: str | None, now: int) -> bool:
    """Whether a member says that its cause is over; ``now`` is milliseconds."""
    if status is not None:
        return status.lower() == RESOLVED
    if ends_at is None:
        return False
    try:
        return datetime.fromisoformat(ends_at) <= datetime.fromtimestamp(now / 1000, UTC)
    except (ValueError, TypeError):
        return False


def words(counted: Mapping[str | None, int]) -> dict[str, int]:
    """Counts by word, the most frequent first; rare words beyond a bound together."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0] or ""))
    found: Counter[str] = Counter()
    for place, (word, number) in enumerate(ordered):
        found[(word or _NONE) if place < _MOST_WORDS else _OTHER] += number
    return dict(found)


def payload(this: Summary) -> Json:
    """The payload of a summary."""
    text = _text(this)
    shown = _shown(this)
    return {
        "subject": f"{'Still: ' if this.repeat else ''}{usual_text(this)}",
        "message": text,
        "text": text,
        "group_id": this.group_id,
        "group_key": this.group_key,
        "rule": this.rule,
        "namespace": this.namespace,
        "tenant": this.tenant,
        "labels": dict(this.labels),
        "event_count": this.size,
        "counts": {"status": dict(this.by_status), "severity": dict(this.by_severity), "resolved": this.resolved},
        "status": RESOLVED if this.resolved == this.size else "firing",
        "first_at": this.first_at,
        "last_at": this.last_at,
        "repeat": this.repeat,
        "events": shown,
        "more": this.size - len(shown),
        "url": this.url,
    }


def usual_text(this: Summary) -> str:
    """What a summary says without a template."""
    what = ", ".join(f"{name}={value}" for name, value in this.labels.items())
    number = f"{this.size} event{'' if this.size == 1 else 's'}"
    over = f", {this.resolved} of them resolved" if this.resolved else ""
    return f"{number}{over}: {what} (rule {this.rule})"[:_MOST_CHARACTERS]


def _text(this: Summary) -> str:
    """The text of a summary; one whose template reads what its members lack goes out all the same."""
    if not this.template:
        return usual_text(this)
    group = {
        "id": this.group_id,
        "key": this.group_key,
        "size": this.size,
        "namespace": this.namespace,
        "tenant": this.tenant,
        "first_at": this.first_at,
        "last_at": this.last_at,
        "repeat": this.repeat,
        "url": this.url,
    }
    counts = {"status": this.by_status, "severity": this.by_severity, "resolved": this.resolved}
    context = {
        "group": group,
        "labels": this.labels,
        "counts": counts,
        "rule": this.rule,
        "first_event": this.events[0][0] if this.events else {},
    }
    try:
        return templates.render_text(this.template, context)[:_MOST_CHARACTERS]
    except TemplateError:
        return usual_text(this)


def _shown(this: Summary) -> list[Json]:
    """The first members; payloads only as far as they fit."""
    left, found = MOST_OF_ALL, []
    for event, length in this.events[:MOST_SHOWN]:
        left -= length
        found.append(event if left >= 0 or event.get("payload") is None else {**event, "payload": None})
        left = left if left >= 0 else left + length
    return found
