"""Options that are made from the parameters of an operation: their kinds, their words, and how their text is read."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional, Tuple

import click

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # takes no argument in click 8.1


class Moment(ParamType):
    """A time, or a span such as ``24h``: so long ago, or of what is to come so long from now."""

    name = "time"

    def __init__(self, *, ahead: bool) -> None:
        self.ahead = ahead

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> Any:
        """The time as the server reads it."""
        from tocsin._model import moment
        from tocsin._values import moment_of

        span = _SPAN.fullmatch(value.strip())
        if span:
            distance = timedelta(**{_UNITS[span[2]]: float(span[1])})
            return moment_of(datetime.now(timezone.utc) + distance if self.ahead else distance)
        found = moment(value.strip())
        if not isinstance(found, datetime):
            self.fail(f"{value!r} is no time; write 24h, 7d or 2026-12-01T08:00:00Z", param, ctx)
        return moment_of(found)


class Structure(ParamType):
    """A value as JSON, or ``@FILE`` with JSON or YAML (``@-`` reads standard input)."""

    name = "json"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> Any:
        """The value."""
        if not isinstance(value, str):
            return value
        if value.startswith("@"):
            from tocsin.cli.files import structure_of

            return structure_of(value[1:])
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"{value[:60]!r} is no JSON ({error}); @FILE reads a file", param, ctx)


AGO, AHEAD, JSON = Moment(ahead=False), Moment(ahead=True), Structure()


class Kind(NamedTuple):
    """What an option takes."""

    type: Any = str
    words: str = ""
    #: given several times
    many: bool = False
    #: needs no value
    flag: bool = False
    #: may also be said not to be
    switch: bool = False


_TEXT = Kind()
#: parameter of the API → the word of the command line
WORDS = {"from": "since", "to": "until", "target_asset_id": "target", "sort_by": "sort-by"}
_TEXTS = {
    "namespace": "The namespace.",
    "tenant": "The tenant.",
    "note": "The reason, which is kept with the decision.",
    "cursor": "Begin after this cursor (next_cursor of an answer).",
    "search": "Only items that contain this text.",
    "provider": "The provider.",
    "action_type": "The type of what goes out.",
    "target": "The target asset.",
    "target_asset_id": "The target asset.",
    "playbook_id": "Only of this playbook.",
    "action_id": "Only of this action.",
    "iteration": "Which one, in a loop.",
    "sort_by": "The member to sort by.",
    "sort_order": "asc or desc.",
    "on_conflict": "refuse, new_id or replace.",
    "format": "The format of the document.",
    "expires_at": "Until when it is valid.",
    "against": "The other run.",
    "dedup_key": "Dispatches with the same key go out once.",
    "comment": "Why.",
    "timezone": "The time zone, such as Europe/Berlin.",
    "reason": "Why.",
    "trigger": "Only runs started in this way.",
}
_FLAGS = {
    "dry_run": "Show the effects without having them.",
    "force": "Do it even if it is in use.",
    "revoked": "Show also those that are revoked.",
    "all": "All of them.",
    "include_secrets": "With the secrets in clear.",
    "sign": "Sign the document.",
    "lenient": "Import what is supported, and report the rest.",
    "preview": "Report the effects without having them.",
    "include_replays": "Also what is a replay itself.",
    "include_disabled": "Also rules that are switched off.",
    "evaluate_all": "Ask all rules, not only up to the one that decides.",
    "sandbox": "Record outside calls instead of making them.",
    "replace": "Replace what an earlier rotation has left valid.",
}
_KINDS: Dict[str, Kind] = {
    **{name: Kind(words=words) for name, words in _TEXTS.items()},
    **{name: Kind(words=words, flag=True) for name, words in _FLAGS.items()},
    "enabled": Kind(words="Whether it is switched on.", switch=True),
    "standalone": Kind(words="Only those outside runs, or only steps of runs.", switch=True),
    "activate": Kind(words="Whether it becomes the active version.", switch=True),
    "outputs": Kind(words="Whether to read inputs and outputs.", switch=True),
    "definitions": Kind(words="Whether to read whole definitions.", switch=True),
    "since": Kind(AGO, "Not before: a time, or 24h ago."),
    "from": Kind(AGO, "Not before: a time, or 24h ago."),
    "to": Kind(AGO, "Not after: a time, or 24h ago."),
    "start": Kind(AGO, "The first moment."),
    "end": Kind(AGO, "The moment behind the last one."),
    **{name: Kind(AHEAD, "A time, or 8h from now.") for name in ("starts_at", "ends_at", "expires_at")},
    **{name: Kind(AGO, "A time.") for name in ("created_at", "evaluate_at")},
    **{name: Kind(int) for name in ("offset", "before", "generation", "max_executions")},
    **{name: Kind(int) for name in ("duration_minutes", "duration_seconds", "jitter_seconds", "keep_hours")},
    "page": Kind(int, "One page by its number."),
    "per_page": Kind(int, "The number of items on a page."),
    "keep_hours": Kind(int, "How long the secret of before stays valid."),
    "remind_before_minutes": Kind(int),
    "limit": Kind(click.IntRange(min=1), "The number of items at most."),
    "wait": Kind(float, "Seconds to wait for a change of the state."),
    "hours": Kind(float, "The number of hours to look back."),
    "status": Kind(words="Only these values; may be repeated.", many=True),
    "type": Kind(words="Only these values; may be repeated.", many=True),
    "executor": Kind(words="Only these values; may be repeated.", many=True),
    "outcome": Kind(words="Only these values; may be repeated.", many=True),
    "event_type": Kind(words="Only these values; may be repeated.", many=True),
    "labels": Kind(words="name=value; may be repeated.", many=True),
    "scopes": Kind(words="A permission; may be repeated.", many=True),
    "skip_during": Kind(words="A calendar in which it rests; may be repeated.", many=True),
    **{
        name: Kind(JSON, "JSON, or @FILE.")
        for name in ("payload", "metadata", "mock_state", "mock_events", "matchers", "time_intervals", "grants")
    },
    **{name: Kind(JSON, "JSON, or @FILE.") for name in ("rules", "mocks", "data", "parameters", "definition")},
}
#: (operation, parameter) where the same word means something else
_SPECIAL: Dict[Tuple[str, str], Kind] = {
    **{(name, "labels"): Kind(JSON, "JSON, or @FILE.") for name in ("createRecurring", "changeRecurring")},
    **{(name, "target"): Kind(JSON, "Action or playbook, as JSON.") for name in ("createRecurring", "changeRecurring")},
    ("simulatePlaybook", "event"): Kind(JSON, "The event that starts it, as JSON or @FILE."),
    **{
        (name, "dry_run"): Kind(words="Only dry runs, or none.", switch=True)
        for name in ("listRuns", "listPlaybookRuns")
    },
    ("dispatch", "status"): _TEXT,
    ("evaluateRules", "status"): _TEXT,
    ("listEvents", "status"): _TEXT,
    **{(name, "outcome"): _TEXT for name in ("listRecords", "exportRecords", "replayRecords")},
}


def kind_of(operation: str, parameter: str) -> Kind:
    """What the option for a parameter takes."""
    return _SPECIAL.get((operation, parameter), _KINDS.get(parameter, _TEXT))


def word_of(parameter: str) -> str:
    """The word for a parameter, as it stands behind ``--``."""
    return WORDS.get(parameter, parameter).replace("_", "-")


def option(operation: str, parameter: str) -> click.Option:
    """The option for a parameter."""
    from tocsin.cli.suggestions import complete

    kind, word = kind_of(operation, parameter), word_of(parameter)
    words = kind.words or f"{parameter.replace('_', ' ').capitalize()}."
    if kind.flag or kind.switch:
        names = [f"--{word}/--no-{word}" if kind.switch else f"--{word}", parameter]
        # None where it is not said, which is not the same as that it is not
        return click.Option(names, is_flag=True, default=None, help=words)
    named = kind.type.name if isinstance(kind.type, click.ParamType) else ""
    shown = "INTEGER" if named == "integer range" else named.upper() or None
    return click.Option(
        [f"--{word}", parameter],
        type=kind.type,
        multiple=kind.many,
        help=words,
        metavar=shown,
        shell_complete=complete(parameter),
    )


def given_of(values: Dict[str, Any], names: Any) -> Dict[str, Any]:
    """The parameters that were given a value."""
    found: Dict[str, Any] = {}
    for name in names:
        value = values.get(name)
        if value is None or value == ():
            continue
        found[name] = list(value) if isinstance(value, tuple) else value
    return found


def on_terminal(*streams: Any) -> bool:
    """Whether a person sits at these streams."""
    try:
        return all(stream.isatty() for stream in (streams or (sys.stdin, sys.stderr)))
    except (AttributeError, ValueError):
        return False
