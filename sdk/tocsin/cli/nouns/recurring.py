"""Recurring actions: what goes out by a schedule."""

from __future__ import annotations

from tocsin.cli.root import noun
from tocsin.cli.verb import declare

recurring = noun("recurring")
_WHAT = ("cron_expr", "timezone", "provider", "action_type", "payload", "target", "metadata", "labels", "dedup_key")
_HOW = ("name", "description", "enabled", "ends_at", "max_executions", "catch_up", "overlap", "jitter_seconds")
_MEMBERS = (*_WHAT, *_HOW, "skip_during")

declare(recurring, "list", "listRecurring", "The recurring actions of a namespace and tenant.")
declare(recurring, "get", "getRecurring", "One recurring action, with its next times.")
declare(
    recurring,
    "create",
    "createRecurring",
    "Have a dispatch, an action or a playbook go out by a schedule.",
    members=_MEMBERS,
    file="may",
)
declare(recurring, "update", "changeRecurring", "Change what is given of it.", members=_MEMBERS, file="may")
declare(
    recurring,
    "delete",
    "deleteRecurring",
    "Delete it; what has gone out stays on record.",
    asks="Delete {recurring_id}?",
    said="{recurring_id} is deleted.",
)
declare(recurring, "pause", "pauseRecurring", "Let it rest.", said="{recurring_id} rests.")
declare(recurring, "resume", "resumeRecurring", "Let it go on.", said="{recurring_id} goes on.")
declare(recurring, "history", "listFirings", "What became of each of its times, the newest first.")
declare(
    recurring,
    "backfill",
    "backfillRecurring",
    "Make up for the times between two moments.",
    members=("start", "end", "limit"),
    asks="Make up for the missed times of {recurring_id}?",
)
