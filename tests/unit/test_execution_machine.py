"""The life of executions under every order of events that a queue, workers, people and a clock can produce."""

import itertools
import logging
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from config.errors import Conflict
from store import access, audit
from store.access import Caller
from store.engine import db
from store.executions import leases, transitions
from store.ids import new_id
from tasks.attempts.conclude import Attempt, Ending, conclude, failed
from tasks.clock import sweep
from tasks.control import cancel, decide
from tasks.definitions import actions
from tasks.intake import notices
from tasks.messages import publisher
from tasks.secrets.redact import Redactor

WORKSPACE = "machine"
CALLER = Caller(key_id="key", workspace_id=WORKSPACE, role="admin", permissions=frozenset())
RETRY = {"max_attempts": 3, "backoff_seconds": 5, "jitter": False}
LEASE_MS = 30_000
START = 1_800_000_000.0
#: without shrinking, which takes minutes here
PHASES = (Phase.reuse, Phase.generate)
#: executions of one example
MOST = 4
#: status → how often an execution was seen in it, over all examples
REACHED: Counter[str] = Counter()


class Executions(RuleBasedStateMachine):
    """A few executions, a few workers that hold attempts in memory, messages that arrive late and twice."""

    #: of an action that asks a person
    revision_id = ""

    def __init__(self) -> None:
        super().__init__()
        self.clock = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.ids: list[str] = []
        self.held: list[Attempt] = []
        self.seen: dict[str, tuple[str, int]] = {}

    def teardown(self) -> None:
        self.clock.stop()
        with db.write() as connection:
            connection.execute(transitions.executions.delete())
            connection.execute(sa.text("DROP TRIGGER IF EXISTS audit_no_delete"))
            connection.execute(audit.audit.delete())

    def rows(self) -> dict[str, Any]:
        with db.read() as connection:
            found = connection.execute(transitions.executions.select()).all()
        return {row.id: row for row in found if row.id in set(self.ids)}

    @initialize(idempotent=st.booleans())
    def the_first_is_accepted(self, idempotent: bool) -> None:
        self.accept(idempotent)

    @precondition(lambda self: len(self.ids) < MOST)
    @rule(idempotent=st.booleans())
    def another_is_accepted(self, idempotent: bool) -> None:
        self.accept(idempotent)

    def accept(self, idempotent: bool) -> None:
        values = {
            "id": new_id("exec"),
            "workspace_id": WORKSPACE,
            "action_id": "act-ask",
            "revision_id": self.revision_id,
            "queue": "steps",
            "mode": "live",
            "idempotent": idempotent,
            "timeout_ms": 100_000,
            "input": "{}",
            "created_by": "key",
        }
        with db.write() as connection:
            transitions.accept(connection, values, publish_again_at=db.now_ms() + LEASE_MS)
        self.ids.append(values["id"])

    def pick(self, which: int) -> str:
        """One of the executions, the youngest most often."""
        return self.ids[-1 - which % len(self.ids)]

    @rule(which=st.integers(0, MOST - 1), worker=st.sampled_from(["one", "two"]))
    def a_message_arrives(self, which: int, worker: str) -> None:
        """First, again, or long after it has lost its meaning."""
        execution_id = self.pick(which)
        before = self.rows()[execution_id]
        with db.write() as connection:
            row = transitions.claim(connection, execution_id, worker, LEASE_MS)
        if row is not None:
            assert before.status in ("pending", "waiting")
            assert row.attempt == before.attempt + 1
            self.held.append(Attempt(row=row, owner=worker, retry=RETRY, redact=Redactor(())))

    @rule(which=st.integers(0, MOST - 1))
    def a_frozen_worker_is_replaced(self, which: int) -> None:
        """One takes it up and freezes, its lease lapses, another takes over; both believe to hold it."""
        self.a_message_arrives(which, "one")
        self.time_passes_and_tick_looks(LEASE_MS / 1000 + 1)
        self.a_message_arrives(which, "two")

    @precondition(lambda self: self.held)
    @rule(
        which=st.integers(0, 3),
        ending=st.sampled_from(
            [
                Ending("completed", output={"ok": True}),
                Ending("completed"),
                failed("http_status", "refused"),
                failed("http_status", "busy", retryable=True),
                failed("no_answer", "cut off", retryable=True, unknown=True),
                failed("timeout", "too slow", status="timeout", unknown=True),
                Ending("waiting", waiting_for="approval", wait_seconds=60),
            ]
        ),
    )
    def a_worker_ends_its_attempt(self, which: int, ending: Ending) -> None:
        """In time, or after the attempt was taken from it."""
        this = self.held.pop(-1 - which % len(self.held))
        before = self.rows()[this.row.id]
        result = conclude(this, ending)
        ours = before.status == "running" and before.attempt == this.row.attempt
        assert (result.status == "stale") == (not ours)
        if not ours:
            assert self.rows()[this.row.id] == before, "a fenced worker changed something"

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 3))
    def a_worker_dies(self, which: int) -> None:
        """It dies without a word."""
        self.held.pop(-1 - which % len(self.held))

    @precondition(lambda self: self.held)
    @rule()
    def the_living_extend_their_leases(self) -> None:
        with db.write() as connection:
            for this in self.held:
                leases.extend(connection, this.owner, [this.row.id], LEASE_MS)

    @rule(seconds=st.sampled_from([0.5, 4, 10, 31, 61, 200]))
    def time_passes_and_tick_looks(self, seconds: float) -> None:
        self.traveller.shift(seconds)
        before = self.rows()
        messages, _, _ = sweep.handle_batch({})
        after = self.rows()
        assert {message.execution_id for message in messages} <= {
            key for key, row in after.items() if row.status == "pending"
        }
        for key, row in after.items():
            due = before[key].due_at is not None and before[key].due_at <= db.now_ms()
            assert due or row == before[key], "tick touched a row that was not due"
            assert row.due_at is None or row.due_at > db.now_ms(), "tick left a due row behind"

    @rule(which=st.integers(0, MOST - 1), patience=st.integers(0, 3))
    def an_operator_cancels(self, which: int, patience: int) -> None:
        execution_id = self.pick(which)
        over = self.rows()[execution_id].status in transitions.TERMINAL
        if patience and not over:
            return  # most are let live, or there would be little to see
        try:
            cancel.cancel(CALLER, execution_id)
            assert not over
        except Conflict:
            assert over

    @rule(which=st.integers(0, MOST - 1), approve=st.booleans())
    def an_operator_decides(self, which: int, approve: bool) -> None:
        execution_id = self.pick(which)
        asked = self.rows()[execution_id].waiting_for == "approval"
        try:
            decide.decide(CALLER, execution_id, approve=approve, note="")
            assert asked
        except Conflict:
            assert not asked

    @invariant()
    def nothing_goes_backward(self) -> None:
        """Every promise about a row and its history, after every event."""
        rows = self.rows()
        with db.read() as connection:
            trail = connection.execute(audit.audit.select().order_by(audit.audit.c.id)).all()
        for key, row in rows.items():
            self.check_row(row)
            events = [record.event for record in trail if record.subject == key]
            self.check_trail(row, [name.removeprefix("execution.") for name in events if "execution." in name])
        owners = Counter(
            this.row.id
            for this in self.held
            if rows[this.row.id].status == "running" and rows[this.row.id].attempt == this.row.attempt
        )
        assert all(number == 1 for number in owners.values()), "two workers hold the same attempt"

    def check_row(self, row: Any) -> None:
        """Terminal is for ever, attempts only grow, and only what has ended is never due."""
        status, attempt = self.seen.get(row.id, ("pending", 0))
        assert status not in transitions.TERMINAL or row.status == status
        assert row.attempt >= attempt
        assert (row.due_at is None) == (row.status in transitions.TERMINAL)
        assert (row.completed_at is None) == (row.status not in transitions.TERMINAL)
        assert (row.waiting_for is None) == (row.status != "waiting")
        assert row.status != "running" or row.owner is not None
        assert row.idempotent or row.lapses == 0, "an at-most-once action was tried again after a lapse"
        self.seen[row.id] = (row.status, row.attempt)
        REACHED[row.status] += 1

    def check_trail(self, row: Any, events: list[str]) -> None:
        """One audit row for each transition, and they lead from state to state by allowed edges only."""
        assert events[0] == "accepted"
        states = ["pending", *events[1:]]
        assert states[-1] == row.status
        assert states.count("running") == row.attempt
        for source, to in itertools.pairwise(states):
            assert source in transitions.SOURCES[to], f"{source} → {to}"


@pytest.mark.hypothesis
def test_every_order_of_events_keeps_the_promises(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order messages, crashes, leases, cancels and decisions come in, no state goes backward.

    What is asserted after every event stands in ``nothing_goes_backward``; here, that the common states were come to.
    """
    REACHED.clear()
    with db.write() as connection:
        access.ensure_workspace(connection, WORKSPACE, "Machine")
    asks = actions.create(CALLER, {"name": "Ask", "type": "approval", "executor": "approval", "config": {}})
    notices.install()
    monkeypatch.setattr(Executions, "revision_id", asks.revision.id)
    monkeypatch.setattr(cancel, "_LOOKS", 1)
    monkeypatch.setattr(publisher, "revoke", lambda execution_id: None)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Executions,
        settings=settings(
            max_examples=settings.default.max_examples // 2,
            stateful_step_count=30,
            suppress_health_check=checks,
            phases=PHASES,
        ),
    )
    assert set(REACHED) >= {"pending", "running"}, REACHED
    assert len(transitions.TERMINAL & set(REACHED)) > 1, REACHED  # chance decides which
