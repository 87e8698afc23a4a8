"""What a rule says where it gathers dispatches into groups: the faults of its members."""

from collections.abc import Callable
from typing import Any

from expressions import templates
from gateway.rules import fields
from playbooks.checks.faults import shown
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, is_line, is_text, is_whole

REQUIRED = ("group_by",)
OPTIONAL = (
    "group_wait_seconds",
    "group_interval_seconds",
    "repeat_interval_seconds",
    "max_group_size",
    "first",
    "flush_on",
    "notify_provider",
    "template",
)
MAX_FIELDS = 10
#: a day: the longest that anything waits in a group
MAX_WAIT = 86_400
#: from a minute to a week between two summaries of the same members, seconds
MIN_REPEAT, MAX_REPEAT = 60, 604_800
MAX_SIZE = 1_000
FLUSHES = ("resolved", "full")
#: the names that a template may read
NAMES = ("group", "labels", "counts", "first_event", "rule")


def label_names(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of a group, one for each field: its last step, or the whole path where two end alike."""
    last = [path.rsplit(".", 1)[-1] for path in paths]
    return tuple(
        one if last.count(one) == 1 else path.removeprefix("action.") for one, path in zip(last, paths, strict=True)
    )


def _group_by(value: Any) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_FIELDS:
        return f"must be a list of 1 to {MAX_FIELDS} fields such as action.metadata.cluster"
    found = []
    for one in value:
        try:
            path = fields.parse(one, short=True)
        except fields.FieldError as error:
            return str(error)
        if path[0] == "time":
            return "cannot be a time: what is gathered must have it in common"
        if fields.is_secret(path):
            return f"cannot be '{shown(one)}', which is named like a secret: groups and summaries show it"
        found.append(path)
    return "must not name a field twice" if len(set(found)) < len(found) else None


def _flush_on(value: Any) -> str | None:
    given = value if isinstance(value, list) else []
    known = [one for one in FLUSHES if one in given]
    return None if given and len(known) == len(given) else f"must be a list of some of {', '.join(FLUSHES)}"


def _template(value: Any) -> str | None:
    if not is_text(value, MAX_DESCRIPTION_CHARACTERS):
        return f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters"
    return next((problem.detail for problem in templates.check(value, set(NAMES))), None)


def _whole(least: int, most: int, unit: str = "") -> Callable[[Any], str | None]:
    words = f"must be a whole number{unit} from {least} to {most}"
    return lambda value: None if is_whole(value, least, most) else words


RULES: dict[str, Callable[[Any], str | None]] = {
    "group_by": _group_by,
    "group_wait_seconds": _whole(1, MAX_WAIT, " of seconds"),
    "group_interval_seconds": _whole(1, MAX_WAIT, " of seconds"),
    "repeat_interval_seconds": _whole(MIN_REPEAT, MAX_REPEAT, " of seconds"),
    "max_group_size": _whole(1, MAX_SIZE),
    "first": lambda value: None if value in ("now", "wait") else "must be now or wait",
    "flush_on": _flush_on,
    "notify_provider": lambda value: (
        None
        if is_line(value, MAX_NAME_CHARACTERS)
        else f"must be the name of a provider, 1 to {MAX_NAME_CHARACTERS} characters"
    ),
    "template": _template,
}
