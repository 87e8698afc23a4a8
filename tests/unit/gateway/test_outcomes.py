"""Outcomes: the form of the document and the tagged one, and what every kind carries."""

import pytest

from api.gateway.dispatch.outcome_schemas import OUTCOME
from gateway import outcomes
from gateway.outcomes import Response

ANSWER = Response({"sent": True})
FORMS = [
    (
        outcomes.Executed(ANSWER),
        {"outcome": "executed", "response": {"status": "success", "body": {"sent": True}}},
        {"Executed": {"status": "success", "body": {"sent": True}, "headers": {}}},
    ),
    (outcomes.Deduplicated("exec-1"), {"outcome": "deduplicated", "of": "exec-1"}, "Deduplicated"),
    (
        outcomes.Suppressed("block-spam", "spam"),
        {"outcome": "suppressed", "rule": "block-spam", "reason": "spam"},
        {"Suppressed": {"rule": "block-spam"}},
    ),
    (
        outcomes.Suppressed("freeze", denied=True),
        {"outcome": "suppressed", "rule": "freeze", "reason": None, "denied": True},
        {"Suppressed": {"rule": "freeze"}},
    ),
    (
        outcomes.Silenced("sil-1", "CHG-1", "2026-04-28T09:00:00.000Z", "page"),
        {
            "outcome": "silenced",
            "silence_id": "sil-1",
            "reason": "CHG-1",
            "until": "2026-04-28T09:00:00.000Z",
            "rule": "page",
            "held": False,
        },
        {"Silenced": {"silence_id": "sil-1", "matched_rule": "page"}},
    ),
    (
        outcomes.Muted("nights", "it is a time of the calendar 'nights'", "page"),
        {
            "outcome": "muted",
            "interval": "nights",
            "reason": "it is a time of the calendar 'nights'",
            "rule": "page",
        },
        {
            "Muted": {
                "interval": "nights",
                "reason": "it is a time of the calendar 'nights'",
                "matched_rule": "page",
            }
        },
    ),
    (
        outcomes.Rerouted("email", "sms", ANSWER),
        {
            "outcome": "rerouted",
            "original_provider": "email",
            "new_provider": "sms",
            "response": {"status": "success", "body": {"sent": True}},
        },
        {
            "Rerouted": {
                "original_provider": "email",
                "new_provider": "sms",
                "response": {"status": "success", "body": {"sent": True}, "headers": {}},
            }
        },
    ),
    (
        outcomes.Throttled("limit", 1500),
        {"outcome": "throttled", "rule": "limit", "retry_after_seconds": 2},
        {"Throttled": {"retry_after": {"secs": 1, "nanos": 500_000_000}}},
    ),
    (
        outcomes.Failed("TIMEOUT", "no answer", retryable=True, attempts=3),
        {"outcome": "failed", "error": {"code": "TIMEOUT", "message": "no answer", "retryable": True, "attempts": 3}},
        {"Failed": {"code": "TIMEOUT", "message": "no answer", "retryable": True, "attempts": 3}},
    ),
    (
        outcomes.CircuitOpen("email", ("sms", "slack")),
        {"outcome": "circuit_open", "provider": "email", "fallback_chain": ["sms", "slack"]},
        {"CircuitOpen": {"provider": "email", "fallback_chain": ["sms", "slack"]}},
    ),
    (
        outcomes.ChainStarted("pexec-1", "research", 3, "search"),
        {
            "outcome": "chain_started",
            "chain_id": "pexec-1",
            "chain_name": "research",
            "total_steps": 3,
            "first_step": "search",
        },
        {
            "ChainStarted": {
                "chain_id": "pexec-1",
                "chain_name": "research",
                "total_steps": 3,
                "first_step": "search",
            }
        },
    ),
    (
        outcomes.Scheduled("a-1", "2026-01-15T10:00:00.000Z"),
        {"outcome": "scheduled", "scheduled_for": "2026-01-15T10:00:00.000Z"},
        {"Scheduled": {"action_id": "a-1", "scheduled_for": "2026-01-15T10:00:00.000Z"}},
    ),
    (
        outcomes.PendingApproval("apr-1", "2026-01-15T10:00:00.000Z", "http://h/a", None, notification_sent=True),
        {
            "outcome": "pending_approval",
            "approval_id": "apr-1",
            "expires_at": "2026-01-15T10:00:00.000Z",
            "approve_url": "http://h/a",
            "reject_url": "[redacted]",
            "notification_sent": True,
        },
        {
            "PendingApproval": {
                "approval_id": "apr-1",
                "expires_at": "2026-01-15T10:00:00.000Z",
                "approve_url": "http://h/a",
                "reject_url": "[redacted]",
                "notification_sent": True,
            }
        },
    ),
    (
        outcomes.StateChanged("a-1", "firing", "resolved", notify=True),
        {
            "outcome": "state_changed",
            "fingerprint": "a-1",
            "previous_state": "firing",
            "new_state": "resolved",
            "notify": True,
        },
        {
            "StateChanged": {
                "fingerprint": "a-1",
                "previous_state": "firing",
                "new_state": "resolved",
                "notify": True,
            }
        },
    ),
    (
        outcomes.Grouped("grp-1", 2, "2026-01-15T10:00:00.000Z"),
        {"outcome": "grouped", "group_id": "grp-1", "group_size": 2, "notify_at": "2026-01-15T10:00:00.000Z"},
        {"Grouped": {"group_id": "grp-1", "group_size": 2, "notify_at": "2026-01-15T10:00:00.000Z"}},
    ),
    (
        outcomes.DryRun("deny", "freeze", "email"),
        {"outcome": "dry_run", "verdict": "deny", "matched_rule": "freeze", "would_be_provider": "email"},
        {"DryRun": {"verdict": "deny", "matched_rule": "freeze", "would_be_provider": "email"}},
    ),
]


@pytest.mark.parametrize(("outcome", "plain", "tagged"), FORMS, ids=lambda one: getattr(one, "name", ""))
def test_both_forms(outcome, plain, tagged):
    """Each outcome has the members of the document, and the tag that clients parse."""
    assert outcomes.plain(outcome, "a-1") == {"action_id": "a-1", **plain}
    assert outcome.tagged() == tagged


@pytest.mark.parametrize(("outcome", "plain"), [form[:2] for form in FORMS], ids=lambda one: getattr(one, "name", ""))
def test_the_documentation_has_every_member(outcome, plain):
    """The OpenAPI document describes each member of each outcome."""
    assert OUTCOME.validate({"action_id": "a-1", **plain}) == {}


def test_every_outcome_has_a_form():
    """The table above has all of them."""
    assert {type(outcome) for outcome, _, _ in FORMS} == set(outcomes.Outcome.__args__)
    assert len(outcomes.Outcome.__args__) == 15
    assert set(outcomes.NAMES) == {kind.name for kind in outcomes.Outcome.__args__} - {"dry_run", "pending_approval"}


def test_the_rest_of_a_window_is_never_zero():
    """Who is throttled is never told to try again at once."""
    assert outcomes.Throttled("r", 0).retry_after_seconds == 1
    assert outcomes.Throttled("r", 59_001).retry_after_seconds == 60
