"""Gather a dispatch into its group, in the accepting transaction."""

import functools
from typing import Any

from config.times import stamp
from gateway import grouping, merge_patch
from gateway.outcomes import Grouped
from gateway.verdicts import Gathered, Group, Verdict
from store.engine import db
from store.engine.db import Connection
from store.engine.prepared import OneStatement
from store.gateway.groups import Joined, Member, Window
from store.records import joins
from tasks.intake.dispatches import notes as dispatch_notes
from tasks.intake.dispatches.rows import Asked


def gathers(verdict: Verdict) -> bool:
    """Whether a dispatch with this verdict joins a group."""
    return isinstance(verdict.effect, Group) and verdict.quiet is None


def join(connection: Connection, asked: Asked, verdict: Verdict, shown: dict[str, Any]) -> tuple[Grouped, str | None]:
    """Add a dispatch to its group, with its record; the outcome, and the group where that has closed it.

    Raises:
        NoWindowError: the transaction takes one statement, and a window is to be opened.
    """
    payload = merge_patch.all_patched(shown, verdict.patches) if verdict.patches else shown
    assert isinstance(verdict.effect, Group)
    assert verdict.gathered is not None
    key, over, member = verdict.gathered.key, "resolved" in verdict.effect.flush_on, _member(asked, payload)
    if isinstance(connection, OneStatement):
        joined = joins.join_at_once(connection, key, member, dispatch_notes.of(asked, verdict, Grouped.name, payload))
        if joined is None:
            raise NoWindowError
        return _outcome(joined), joined.group_id if joined.closed else None
    new = functools.partial(_window, asked, verdict, verdict.effect, verdict.gathered)
    joined = joins.join(connection, asked.dispatch.tenant, key, new, member, flush_resolved=over)
    outcome = _outcome(joined)
    dispatch_notes.note(connection, asked, verdict, outcome, payload)
    return outcome, joined.group_id if joined.closed else None


class NoWindowError(Exception):
    """No window of the group is pending: one is opened, which takes more than one statement."""


def is_single(verdict: Verdict) -> bool:
    """Whether a dispatch joins the pending window of its group in one statement on PostgreSQL."""
    effect = verdict.effect
    alone = not verdict.checks and verdict.clears is None
    return gathers(verdict) and isinstance(effect, Group) and alone and "resolved" not in effect.flush_on


def _outcome(joined: Joined) -> Grouped:
    return Grouped(joined.group_id, joined.size, stamp(joined.notify_at))


def _window(asked: Asked, verdict: Verdict, effect: Group, gathered: Gathered) -> Window:
    this, repeat = asked.dispatch, effect.repeat_interval_seconds
    return Window(
        workspace_id=this.tenant,
        namespace=this.namespace,
        group_key=gathered.key,
        rule=str(verdict.rule),
        provider=effect.notify_provider or this.provider,
        labels=grouping.labels(gathered),
        template=effect.template,
        max_size=effect.max_group_size,
        wait_ms=effect.group_wait_seconds * 1000,
        interval_ms=effect.group_interval_seconds * 1000,
        repeat_ms=repeat * 1000 if repeat is not None else None,
        first_at_once=effect.first == "now",
    )


def _member(asked: Asked, payload: dict[str, Any]) -> Member:
    this = asked.dispatch
    return Member(
        subject=asked.subject,
        provider=this.provider,
        action_type=this.action_type,
        resolved=grouping.is_resolved(this.status, this.ends_at, db.now_ms()),
        given_id=this.id,
        fingerprint=this.fingerprint,
        status=this.status,
        severity=grouping.severity(payload, this.labels),
    )
