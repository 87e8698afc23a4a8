"""Rules decide each attempt at a step; the run goes on as they say."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.current import Stop
from store import audit
from store.engine import db
from store.executions import transitions
from store.gateway import throttles
from tasks.attempts.conclude import Ending, failed
from tasks.intake import run_start
from tasks.runs import driver
from tests.support import force
from tests.support.api import Door
from tests.support.driven import drive
from tests.support.force import rule

SECRET = "hunter2-and-more"
TELL = {"field": "action.metadata.step", "eq": "tell"}


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each database, without rules."""
    with force.clean():
        yield Door()


class Bench:
    """A playbook of two steps, tell and then after, and what went out."""

    def __init__(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        self.door = door
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.endings: dict[str, list[Ending]] = {}
        self.made = 0
        #: further members of a playbook
        self.more: dict[str, Any] = {}
        monkeypatch.setattr(driver, "perform", self._perform)
        declared = [{"name": "host"}, {"name": "level", "type": "number"}, {"name": "token", "type": "secret"}]
        self.action_id = door.create(parameters=declared, type="containment")["id"]

    def _perform(self, work: Any, held: Any) -> Ending:
        if isinstance(work, Ending):
            return work
        step = held.execution_id.partition(".")[2]
        self.calls.append((step, dict(work.call.parameters)))
        planned = self.endings.get(step)
        return planned.pop(0) if planned else Ending("completed", output={"ok": True})

    def playbook(self, **tell: Any) -> str:
        """The id of a new one; ``tell`` are further members of its first step."""
        step = {"type": "action", "action_ref": self.action_id, "target": "{{ parameters.host }}"}
        first = {"host": "{{ parameters.host }}", "level": 1, "token": "{{ parameters.token }}"}
        steps = [
            {"id": "tell", **step, "parameters": first, **tell},
            {"id": "after", **step, "parameters": {"host": "after"}},
        ]
        declared = [{"name": "host"}, {"name": "token", "type": "secret"}]
        self.made += 1
        made = self.door.create_playbook(
            id=f"pb-{self.made}", steps=steps, parameters=declared, tags=["night"], **self.more
        )
        return str(made["id"])

    def start(self, playbook_id: str, host: str = "h-1", **more: Any) -> str:
        """Start a run of it; its id."""
        request = run_start.RunRequest(
            workspace_id="default",
            actor="test",
            playbook_id=playbook_id,
            parameters={"host": host, "token": SECRET},
            **more,
        )
        return run_start.start(request).run_id

    def run(self, host: str = "h-1", **tell: Any) -> tuple[str, str]:
        """Run a new playbook as far as it goes; id and status."""
        run_id = self.start(self.playbook(**tell), host)
        return run_id, self.go_on(run_id)

    def go_on(self, run_id: str) -> str:
        """Do what workers would do, until the run ends or waits; its status."""
        try:
            return drive(run_id)
        except AssertionError:
            return str(self.row(run_id).status)

    def due(self, row_id: str) -> None:
        """Let the time of a waiting row come, as tick does."""
        with db.write() as connection:
            moved = transitions.transition(connection, row_id, "pending", waiting_for=None, due_at=db.now_ms())
            assert moved is not None

    def row(self, row_id: str) -> Any:
        with db.read() as connection:
            return transitions.get(connection, "default", row_id)

    def shown(self, run_id: str, step: str = "tell") -> dict[str, Any]:
        """A step as the API shows it."""
        answer = self.door.call("GET", f"/api/playbooks/executions/{run_id}/steps").json["data"]
        return next(one for one in answer if one["step_id"] == step)

    @property
    def names(self) -> list[str]:
        return [step for step, _ in self.calls]


@pytest.fixture
def bench(door: Door, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(door, monkeypatch)


def test_what_no_rule_concerns_shows_nothing_of_rules(bench: Bench) -> None:
    """Rules about others leave a step and its row as they are."""
    force.put(rule("others", "deny", {"field": "action.metadata.step", "eq": "x"}))
    run_id, status = bench.run()
    assert (status, bench.names) == ("completed", ["tell", "after"])
    assert "verdict" not in bench.shown(run_id)
    assert bench.row(f"{run_id}.tell").gate is None


def test_a_denied_step_fails_and_its_failure_link_is_followed(bench: Bench) -> None:
    """The step shows code, verdict, rule and reason; nothing went out; a retry policy does not try again."""
    force.put(rule("freeze", "deny", TELL, reason="change freeze"))
    run_id, status = bench.run(on_failure="after")
    assert (status, bench.names) == ("completed", ["after"])
    step = bench.shown(run_id)
    assert (step["status"], step["error"]["code"]) == ("failed", "denied")
    assert (step["verdict"], step["rule"], step["reason"]) == ("deny", "freeze", "change freeze")
    bench.more = {"on_failure": "retry", "max_retries": 3}
    run_id, status = bench.run()
    assert (status, bench.row(f"{run_id}.tell").attempt) == ("failed", 1)


def test_a_suppressed_step_is_skipped_and_the_run_goes_on(bench: Bench) -> None:
    """The next step is carried out; the trail says skipped, once."""
    force.put(rule("quiet", "suppress", TELL, reason="maintenance"))
    run_id, status = bench.run()
    assert (status, bench.names) == ("completed", ["after"])
    step = bench.shown(run_id)
    assert (step["status"], step["error"], step["verdict"], step["rule"]) == ("skipped", None, "suppress", "quiet")
    with db.read() as connection:
        events = [one.event for one in audit.of(connection, "default", f"{run_id}.tell")]
    assert events[-2:] == ["execution.running", "execution.skipped"]
    listed = bench.door.call("GET", "/api/actions/executions?status=skipped").json["data"]
    assert [one["execution_id"] for one in listed] == [f"{run_id}.tell"]


def test_a_changed_value_is_the_one_that_goes_out(bench: Bench) -> None:
    """The secret goes out in clear and is shown masked; what does not fit fails the step."""
    force.put(rule("tame", "modify", TELL, changes={"level": 5}))
    run_id, _ = bench.run()
    assert bench.calls[0] == ("tell", {"host": "h-1", "level": 5, "token": SECRET})
    assert bench.shown(run_id)["input"] == {"host": "h-1", "level": 5, "token": "********"}
    force.put(rule("wild", "modify", TELL, changes={"level": "high"}))
    run_id, status = bench.run()
    assert (status, bench.shown(run_id)["error"]["code"]) == ("failed", "invalid_parameters")
    assert "wild" in bench.shown(run_id)["error"]["message"]


def test_rules_read_target_place_and_tags_and_no_secret(bench: Bench) -> None:
    """All that the table of fields names, in one condition; the secret is masked."""
    force.put(
        rule("peek", "deny", {"field": "action.payload.token", "eq": SECRET}),
        rule(
            "all",
            "deny",
            {
                "all": [
                    {"field": "action.origin", "eq": "step"},
                    {"field": "action.namespace", "eq": "playbooks"},
                    {"field": "action.provider", "eq": "webhook"},
                    {"field": "action.action_type", "eq": bench.action_id},
                    {"field": "action.category", "eq": "containment"},
                    {"field": "action.metadata.target", "eq": "h-1"},
                    {"field": "action.metadata.tags", "contains": "night"},
                    {"field": "action.metadata.run", "starts_with": "pexec-"},
                    TELL,
                ]
            },
        ),
    )
    run_id, status = bench.run()
    assert (status, bench.shown(run_id)["rule"]) == ("failed", "all")
    assert SECRET not in json.dumps([str(one) for one in bench.row(f"{run_id}.tell")])


def test_equal_steps_of_two_runs_go_out_once(bench: Bench) -> None:
    """The second is skipped and names the first; a retry of the first is not its own duplicate."""
    force.put(rule("once", "deduplicate", TELL, key_fields=["payload.host"]))
    bench.endings["tell"] = [failed("http_error", "502", retryable=True)]
    playbook_id = bench.playbook(retry={"max_attempts": 2, "backoff_seconds": 61})
    first = bench.start(playbook_id)
    bench.go_on(first)
    bench.due(f"{first}.tell")
    assert bench.go_on(first) == "completed"
    assert bench.names == ["tell", "tell", "after"]
    second = bench.start(playbook_id)
    assert bench.go_on(second) == "completed"
    step = bench.shown(second)
    assert (step["status"], step["verdict"], step["equal_to"]) == ("skipped", "deduplicate", f"{first}.tell")


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("unknown", [False, True])
def test_a_failed_step_frees_its_key_unless_in_doubt(bench: Bench, unknown: bool, idempotent: bool) -> None:
    """Whatever follows the step, the key is freed with its end; in doubt it is kept, however often it may be done."""
    force.put(rule("once", "deduplicate", TELL, key_fields=["payload.host"]))
    bench.action_id = bench.door.create(id="act-once", parameters=[{"name": "host"}], idempotent=idempotent)["id"]
    for link in ({}, {"on_failure": "after"}):
        bench.endings["tell"] = [failed("http_error", "502", unknown=unknown)]
        host = f"h-{len(link)}"
        values = {"parameters": {"host": "{{ parameters.host }}"}}
        failing, _ = bench.run(host, **values, **link)
        assert bench.row(f"{failing}.tell").status == "failed"
        error = bench.shown(failing)["error"]
        assert error["outcome_unknown"] is (unknown and not idempotent)
        assert error.get("effect_possible", False) is unknown
        run_id, _ = bench.run(host, **values, **link)
        assert bench.shown(run_id)["status"] == ("skipped" if unknown else "completed")


@pytest.mark.parametrize("who", ["action", "playbook"])
@pytest.mark.parametrize("unknown", [False, True])
def test_a_certain_failure_does_not_free_the_key_of_an_earlier_doubt(bench: Bench, who: str, unknown: bool) -> None:
    """The step's own retry passes and fails for certain; the first attempt may have had its effect."""
    force.put(rule("once", "deduplicate", TELL, key_fields=["payload.host"]))
    first = failed("timeout", "no answer", unknown=unknown, retryable=True)
    bench.endings["tell"] = [first, failed("connection_failed", "refused")]
    retry = {"max_attempts": 2, "backoff_seconds": 61} if who == "action" else {"max_attempts": 1}
    bench.more = {} if who == "action" else {"on_failure": "retry", "max_retries": 1}
    playbook_id = bench.playbook(retry=retry)
    failing = bench.start(playbook_id)
    bench.go_on(failing)
    assert bench.row(f"{failing}.tell").status == "waiting"
    bench.due(f"{failing}.tell")
    assert bench.go_on(failing) == "failed"
    assert bench.names == ["tell", "tell"]
    assert "effect_possible" not in bench.shown(failing)["error"]
    second = bench.start(playbook_id)
    assert bench.go_on(second) == "completed"
    assert bench.shown(second)["status"] == ("skipped" if unknown else "completed")


def test_a_full_window_lets_a_step_wait_its_turn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No failure is counted; when the window is over, the step goes out."""
    force.put(rule("one", "throttle", TELL, max_count=1, window_seconds=60))
    bench.run("a")
    run_id, status = bench.run("b")
    assert (status, bench.names) == ("running", ["tell", "after"])
    step = bench.shown(run_id)
    assert (step["status"], step["waiting_for"], step["verdict"], step["rule"]) == (
        "waiting",
        "delay",
        "throttle",
        "one",
    )
    row = bench.row(f"{run_id}.tell")
    assert row.failures == 0
    assert db.now_ms() < row.due_at <= db.now_ms() + 60_000
    monkeypatch.setattr(db, "now_ms", lambda: row.due_at)
    bench.due(row.id)
    assert bench.go_on(run_id) == "completed"
    assert bench.names[2:] == ["tell", "after"]
    assert bench.row(row.id).failures == 0


def next_slot(name: str) -> int:
    """The first free slot of a rule, microseconds."""
    with db.read() as connection:
        query = throttles.throttles.select().where(throttles.throttles.c.rule == name)
        return int(connection.execute(query).one().next_slot)


def test_a_step_with_a_slot_goes_out_at_its_time_and_needs_another_for_a_retry(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot belongs to one attempt: the next call takes the next slot."""
    paced = {"max_count": 6, "window_seconds": 600, "on_excess": "wait", "max_wait_seconds": 400}
    force.put(rule("turns", "throttle", TELL, **paced))
    bench.run("a")
    bench.endings["tell"] = [failed("http_error", "502", retryable=True)]
    run_id, _ = bench.run("b", retry={"max_attempts": 2, "backoff_seconds": 61})
    row, free = bench.row(f"{run_id}.tell"), next_slot("turns")
    assert row.status == "waiting"
    monkeypatch.setattr(db, "now_ms", lambda: row.due_at)
    bench.due(row.id)
    bench.go_on(run_id)
    assert bench.names == ["tell", "after", "tell"]
    assert bench.row(row.id).failures == 1
    bench.due(row.id)
    bench.go_on(run_id)
    assert bench.names == ["tell", "after", "tell"], "a retry takes a slot of its own"
    assert next_slot("turns") == free + 100_000_000
    assert bench.row(row.id).due_at == pytest.approx(free / 1_000, abs=1)


def test_a_delayed_step_waits_once(bench: Bench) -> None:
    """The delay is waited for once, and not again by a retry."""
    force.put(rule("later", "schedule", TELL, delay_seconds=600))
    bench.endings["tell"] = [failed("http_error", "502", retryable=True)]
    before = db.now_ms()
    run_id, status = bench.run(retry={"max_attempts": 2, "backoff_seconds": 61})
    row = bench.row(f"{run_id}.tell")
    assert (status, row.status, bench.names) == ("running", "waiting", [])
    assert before + 600_000 <= row.due_at <= db.now_ms() + 600_000
    bench.due(row.id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "now_ms", lambda: row.due_at)
        bench.go_on(run_id)
        assert bench.names == ["tell"]
        bench.due(row.id)
        assert bench.go_on(run_id) == "completed"
    assert bench.names == ["tell", "tell", "after"]


def test_a_rerouted_step_goes_out_by_the_provider(bench: Bench) -> None:
    """Its parameters are the provider's payload, without the secret; the step names both providers."""
    revision_id = force.provider("tickets", kind="http", url="http://127.0.0.1:9/tickets")
    away = rule("away", "reroute", TELL, target_provider="tickets", origins=["step"])
    force.put(away, revisions={"tickets": revision_id})
    run_id, status = bench.run()
    assert (status, bench.names) == ("completed", ["tell", "after"])
    given = bench.calls[0][1]
    assert given["payload"] == {"host": "h-1", "level": 1, "token": "********"}
    assert given["action_type"] == bench.action_id
    assert given["labels"] == {"target": "h-1", "playbook": bench.row(run_id).action_id, "step": "tell", "run": run_id}
    step = bench.shown(run_id)
    assert (step["verdict"], step["original_provider"], step["provider"]) == ("reroute", "webhook", "tickets")
    assert SECRET not in json.dumps([str(one) for one in bench.row(f"{run_id}.tell")])


def test_a_stopped_tenant_calls_nothing_and_counts_nothing(bench: Bench) -> None:
    """A step waits and says why, before any rule is asked."""
    force.put(
        rule("one", "throttle", TELL, max_count=1, window_seconds=60), stops=(Stop("*", "incident 7", "operator"),)
    )
    run_id, status = bench.run()
    assert (status, bench.names) == ("running", [])
    step = bench.shown(run_id)
    assert (step["status"], step["error"]["code"]) == ("waiting", "stopped")
    force.put(rule("one", "throttle", TELL, max_count=1, window_seconds=60))
    bench.due(f"{run_id}.tell")
    assert bench.go_on(run_id) == "completed"
    assert bench.names == ["tell", "after"]


def test_a_sandbox_run_is_stopped_as_the_real_one_and_counts_nothing(bench: Bench) -> None:
    """A denied step is denied; a throttle lets all sandbox runs through."""
    force.put(rule("freeze", "deny", TELL))
    run_id = bench.start(bench.playbook(), mode="sandbox")
    assert bench.go_on(run_id) == "failed"
    force.put(rule("one", "throttle", TELL, max_count=1, window_seconds=60))
    for _ in range(2):
        assert bench.go_on(bench.start(bench.playbook(), mode="sandbox")) == "completed"
    assert bench.run()[1] == "completed"
