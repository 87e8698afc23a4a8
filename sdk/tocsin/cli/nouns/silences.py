"""Silences, and the named spans of time."""

from __future__ import annotations

from tocsin.cli.root import noun
from tocsin.cli.verb import declare

silences, intervals = noun("silences"), noun("intervals")
_TIMES = ("tenant", "matchers", "comment", "starts_at", "ends_at", "duration_seconds", "cron", "timezone")
_MEMBERS = (*_TIMES, "duration_minutes", "after", "notify", "remind_before_minutes")

declare(silences, "list", "listSilences", "The silences that are active or pending.")
declare(silences, "get", "getSilence", "One silence.")
declare(silences, "create", "createSilence", "Silence what matches.", members=_MEMBERS, file="may")
declare(silences, "update", "changeSilence", "Replace a silence.", members=_MEMBERS, file="may")
declare(
    silences,
    "preview",
    "previewSilence",
    "What a silence would have kept quiet lately.",
    members=("tenant", "matchers", "cron", "timezone", "duration_minutes"),
    file="may",
)
declare(silences, "delete", "endSilence", "End a silence now.", asks="End the silence {silence_id}?")

declare(intervals, "list", "listCalendars", "The calendars of the configuration and of requests.")
declare(intervals, "get", "getCalendar", "One calendar.")
declare(
    intervals,
    "create",
    "createCalendar",
    "Create a calendar.",
    members=("name", "time_intervals", "description"),
    file="may",
)
declare(
    intervals,
    "update",
    "changeCalendar",
    "Replace a calendar.",
    members=("time_intervals", "description"),
    file="may",
)
declare(
    intervals,
    "delete",
    "deleteCalendar",
    "Delete a calendar that nothing uses.",
    asks="Delete the calendar {calendar_name}?",
    said="{calendar_name} is deleted.",
)
