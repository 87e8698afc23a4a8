"""The dry run of a whole playbook: every step is described, nothing is done, and it says what it had to assume."""

import json
from typing import Any

import pytest

from playbooks.definitions import normalise
from playbooks.definitions.actions import EXECUTORS
from providers import registry
from store import access
from store.access import Caller
from store.engine import db
from store.executions import runs as run_rows
from store.executions import steps, transitions
from tasks.definitions import actions, playbooks
from tasks.dry_run import simulation
from tasks.dry_run.simulation import Simulation
from tasks.intake import run_start
from tasks.runs import run as runs_run
from tasks.runs.run import Run
from tests.support.api import Door, assert_problem

#: an address that is found to be wrong when it is filled in
WRONG = "{{ nothing | default('no address') }}"
CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=access.ROLES["admin"])
BLOCK = {
    "id": "block",
    "name": "Block",
    "type": "webhook",
    "executor": "webhook",
    "config": {
        "url": "http://192.0.2.1/{{ address }}",
        "method": "POST",
        "headers": {"Authorization": "Bearer s3cr3t-token"},
    },
    "parameters": [
        {"name": "address", "required": True, "validation": {"pattern": r"[0-9.]+"}},
        {"name": "minutes", "type": "integer", "default": 5},
        {"name": "password", "type": "secret"},
    ],
}
LOOKUP = {
    "id": "lookup",
    "name": "Look up",
    "type": "webhook",
    "executor": "webhook",
    "config": {"url": "http://192.0.2.1/", "method": "GET"},
}


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No executor may perform anything, and no message may be published."""
    for name in EXECUTORS:
        monkeypatch.setattr(registry.executor(name), "perform", _never)
    monkeypatch.setattr("tasks.messages.canvas.publish", _never)


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("a dry run must not do this")


@pytest.fixture
def ready(sqlite_database: str) -> str:
    """A database with two actions."""
    return prepared(sqlite_database)


def prepared(kind: str) -> str:
    with db.write() as connection:
        access.ensure_workspace(connection, "default", "default")
    for action in (BLOCK, LOOKUP):
        actions.create(CALLER, action)
    return kind


def create(*steps_: dict[str, Any], **more: Any) -> str:
    """Add a playbook of these steps; returns its id."""
    definition = normalise.normalise({"id": "pb", "name": "Playbook", "steps": list(steps_), **more})
    return playbooks.create(CALLER, definition).id


def accepted(playbook_id: str = "pb", **request: Any) -> Run:
    """A dry run that has been accepted."""
    wanted = run_start.request_of(CALLER, playbook_id, mode="dry_run", **request)
    row = run_start.prepare(wanted).row
    with db.write() as connection:
        run_start.accept(connection, request=wanted, row=row)
    with db.read() as connection:
        return runs_run.loaded(run_rows.read(connection, row["id"]))


def simulated(*steps_: dict[str, Any], given: dict[str, Any] | None = None, **more: Any) -> Simulation:
    """What a playbook of these steps would do."""
    return simulation.simulate(accepted(create(*steps_, **more), parameters=given or {}))


def by_step(simulation: Simulation) -> dict[str, dict[str, Any]]:
    """Step id with its iteration → its row, JSON columns loaded."""
    found = {}
    for row in simulation.rows:
        name = f"{row['step_id']}@{row['iteration']}" if row["iteration"] else row["step_id"]
        loaded = {key: transitions.load(row.get(key)) for key in ("input", "output", "error", "report", "vars")}
        found[name] = {**row, **loaded}
    return found


def act(name: str, address: str = "192.0.2.7", **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "action", "action_ref": "block", "parameters": {"address": address}, **more}


def look(name: str = "look", **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "action", "action_ref": "lookup", **more}


def if_(name: str, expression: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "condition", "expression": expression, **more}


def test_an_action_says_what_it_would_send(ready: str) -> None:
    """Its parameters are filled in and the request is described, without credentials and secret values."""
    step = act("one", "{{ host }}")
    step["parameters"]["password"] = "{{ word }}"
    declared = [{"name": "host", "type": "string"}, {"name": "word", "type": "secret"}]
    found = simulated(step, parameters=declared, given={"host": "192.0.2.9", "word": "hunter22-hunter22"})
    row = by_step(found)["one"]
    assert row["status"] == "completed"
    assert row["input"] == {"address": "192.0.2.9", "minutes": 5, "password": "********"}
    assert row["output"]["simulated"] is True
    assert "http://192.0.2.1/192.0.2.9" in json.dumps(row["output"]["plan"])
    assert (row["report"]["taken"], row["report"]["verdict"]) == (True, "would run")
    assert row["report"]["proved"] != []
    assert "the action succeeds" in row["report"]["assumed"]
    assert "hunter22" not in str(found.rows)
    assert "s3cr3t" not in str(found.rows)
    assert (found.status, found.error) == ("completed", None)
    assert found.output["predicted_status"] == "completed"
    assert found.output["steps"] == 1
    assert found.output["proved"] == len(row["report"]["proved"])
    assert found.output["assumed"] == len(row["report"]["assumed"])


def test_a_condition_on_known_values_is_proved_and_the_other_path_is_described_too(ready: str) -> None:
    """The step on the path not taken has a row, is skipped, and says what it would do."""
    rows = by_step(
        simulated(
            if_("ask", "severity == 'high'", on_true="yes", on_false="no"),
            act("yes", on_success="end"),
            act("no", WRONG),
            given={"severity": "high"},
        )
    )
    assert rows["ask"]["output"] == {"result": True, "next": "yes"}
    assert rows["ask"]["report"]["assumed"] == []
    assert rows["yes"]["status"] == "completed"
    assert rows["no"]["status"] == "skipped"
    assert rows["no"]["report"]["taken"] is False
    assert rows["no"]["report"]["verdict"] == "would fail"
    assert "invalid_parameters" in rows["no"]["report"]["proved"][-1]
    assert rows["no"]["error"] is None


def test_what_an_output_would_hold_is_written_as_where_it_comes_from(ready: str) -> None:
    """Values of outputs are placeholders, in texts, in variables and through filters; what hangs on them is assumed."""
    rows = by_step(
        simulated(
            look(outputs={"token": "{{ output.token }}"}),
            act("one", "{{ steps.look.output.hosts[0].ip | lower }}", on_success="ask"),
            if_("ask", "vars.token == 'x'", on_true="end", on_false="two"),
            act("two", "{{ previous_step.output }}", when="steps.look.status == 'completed'"),
        )
    )
    assert rows["look"]["vars"] == {"token": "<steps.look.output.token>"}
    assert rows["one"]["input"]["address"] == "<steps.look.output.hosts[0].ip>"
    assert rows["one"]["status"] == "completed"
    assert any("address" in text for text in rows["one"]["report"]["assumed"])
    assert rows["ask"]["output"] == {"result": True, "next": "end"}
    assert any("<steps.look.output.token>" in text for text in rows["ask"]["report"]["assumed"])
    assert rows["two"]["status"] == "skipped"
    assert rows["two"]["report"]["verdict"] == "would run"
    assert any("steps.look.status" in text for text in rows["two"]["report"]["assumed"])


def test_a_step_that_would_fail_is_followed_as_in_a_run(ready: str) -> None:
    """Its failure link is taken; without one the run would fail, and the exception step would be next."""
    found = simulated(
        act("bad", WRONG, on_failure="mend"),
        act("mend", on_success="worse"),
        act("worse", WRONG),
        act("never"),
        act("last"),
        exception_step="last",
    )
    rows = by_step(found)
    assert {name: row["status"] for name, row in rows.items()} == {
        "bad": "failed",
        "mend": "completed",
        "worse": "failed",
        "never": "skipped",
        "last": "completed",
    }
    assert rows["bad"]["error"]["code"] == "invalid_parameters"
    assert rows["bad"]["report"]["verdict"] == "would fail"
    assert rows["never"]["report"]["taken"] is False
    assert (found.status, found.output["predicted_status"]) == ("completed", "failed")
    assert found.output["predicted_error"]["step_id"] == "worse"


def test_containers_are_simulated(ready: str) -> None:
    """Every branch, one iteration of a loop, the items of a list; each inner step names its iteration."""
    found = simulated(
        {
            "id": "both",
            "type": "parallel",
            "branches": [[act("a")], {"steps": [act("b", WRONG)], "on_failure": "continue"}],
        },
        {"id": "again", "type": "loop", "while": "index < 3", "steps": [act("c")]},
        {"id": "each", "type": "for_each", "items": "{{ hosts }}", "as": "host", "steps": [act("d", "{{ host }}")]},
        look(),
        {
            "id": "some",
            "type": "for_each",
            "items": "{{ steps.look.output.all }}",
            "steps": [act("e", "{{ item.ip }}")],
        },
        {"id": "none", "type": "for_each", "items": [], "steps": [act("f", "{{ item }}")]},
        given={"hosts": [f"192.0.2.{number}" for number in range(12)]},
    )
    rows = by_step(found)
    assert rows["both"]["output"] == {"branches": 2, "failed": 0}
    assert [rows[name]["status"] for name in "ab"] == ["completed", "failed"]
    assert rows["a"]["parent_id"] == rows["both"]["id"]
    assert rows["c@0"]["parent_id"] == rows["again"]["id"]
    assert "c@1" not in rows
    assert [rows[f"d@{number}"]["input"]["address"] for number in (0, 9)] == ["192.0.2.0", "192.0.2.9"]
    assert "d@10" not in rows
    assert "the other 2 items go the same way" in rows["each"]["report"]["assumed"]
    assert rows["e@0"]["input"]["address"] == "<steps.look.output.all[0].ip>"
    assert (rows["none"]["status"], rows["f@0"]["status"]) == ("completed", "skipped")
    assert found.output["predicted_status"] == "completed"


def test_a_container_that_is_skipped_or_fails_shows_its_steps(ready: str) -> None:
    """Inner steps that are not reached have rows as well."""
    rows = by_step(
        simulated(
            {"id": "both", "type": "parallel", "when": "false", "branches": [[act("a")], [act("b")]]},
            {"id": "each", "type": "for_each", "items": "{{ hosts }}", "steps": [act("c", "{{ item }}")]},
            given={"hosts": "none"},
        )
    )
    assert (rows["both"]["status"], rows["both"]["report"]["verdict"]) == ("skipped", "would be skipped")
    assert (rows["each"]["status"], rows["each"]["error"]["code"]) == ("failed", "bad_items")
    assert {rows[name]["status"] for name in ("a", "b", "c@0")} == {"skipped"}


def test_waits_are_assumed_to_end_well(ready: str) -> None:
    """A delay ends and an approval is granted; both say that a run would wait."""
    rows = by_step(
        simulated(
            {"id": "wait", "type": "delay", "seconds": 60},
            {"id": "ask", "type": "approval", "message": "Block {{ host }}?", "on_reject": "no"},
            if_("sure", "steps.ask.output.decision == 'approved'", on_true="end", on_false="end"),
            act("no"),
            given={"host": "a"},
        )
    )
    assert {rows[name]["report"]["verdict"] for name in ("wait", "ask")} == {"would wait"}
    assert rows["ask"]["output"] == {"message": "Block a?", "approvers": [], "audience": []}
    assert "the approval is granted" in rows["ask"]["report"]["assumed"]
    assert rows["sure"]["output"]["result"] is True
    assert rows["sure"]["report"]["assumed"] != []
    assert rows["no"]["report"]["taken"] is False


def test_a_switch_takes_the_case_of_a_known_value(ready: str) -> None:
    """Without a known value the first case is assumed."""
    cases = {"one": "a", "two": "b"}
    rows = by_step(
        simulated(
            {"id": "known", "type": "switch", "expression": "kind", "cases": cases, "default": "end"},
            act("a", on_success="end"),
            look("b"),
            {
                "id": "open",
                "type": "switch",
                "expression": "steps.b.output.x",
                "cases": {"one": "end"},
                "default": "end",
            },
            given={"kind": "two"},
        )
    )
    assert rows["known"]["output"] == {"value": "two", "next": "b"}
    assert rows["known"]["report"]["assumed"] == []
    assert rows["a"]["status"] == "skipped"
    assert rows["open"]["output"] == {"value": "<steps.b.output.x>", "next": "end"}
    assert rows["open"]["report"]["assumed"] != []


def test_a_playbook_that_is_started_is_simulated_as_well(ready: str) -> None:
    """Its prediction is part of the step's plan; one that would fail lets the step fail."""
    inner = {"id": "inner", "name": "Inner", "steps": [act("x", "{{ host }}")]}
    playbooks.create(CALLER, normalise.normalise({**inner, "parameters": [{"name": "host", "required": True}]}))
    found = simulated(
        {"id": "good", "type": "playbook", "playbook_ref": "inner", "parameters": {"host": "192.0.2.3"}},
        {"id": "bad", "type": "playbook", "playbook_ref": "inner", "parameters": {"host": "x"}, "on_failure": "next"},
        {"id": "none", "type": "playbook", "playbook_ref": "inner"},
    )
    rows = by_step(found)
    assert rows["good"]["output"]["plan"]["predicted_status"] == "completed"
    assert rows["bad"]["error"]["code"] == "playbook_failed"
    assert rows["bad"]["output"]["plan"]["predicted_error"]["step_id"] == "x"
    assert rows["none"]["error"]["code"] == "invalid_parameters"
    assert len(found.rows) == 3


def test_playbooks_that_start_each_other_are_not_followed_for_ever(ready: str) -> None:
    """They are looked into a few levels deep; about one asset the second start would be refused."""
    playbooks.create(CALLER, normalise.normalise({"id": "inner", "name": "Inner", "steps": [look()]}))
    create({"id": "in", "type": "playbook", "playbook_ref": "inner"})
    playbooks.revise(CALLER, "inner", {"steps": [{"id": "out", "type": "playbook", "playbook_ref": "pb"}]}, whole=False)
    rows = by_step(simulation.simulate(accepted()))
    assert rows["in"]["output"]["plan"]["predicted_status"] == "completed"
    rows = by_step(simulation.simulate(accepted(target="a-1")))
    assert rows["in"]["error"]["code"] == "playbook_failed"
    assert rows["in"]["output"]["plan"]["predicted_error"]["cause"] == "already_running"


def test_what_cannot_be_said_yet_is_no_failure(ready: str) -> None:
    """A request that cannot be written, a target and a number that are not known: all of it is assumed to fit."""
    config = {"url": "http://192.0.2.1/{{ count | int }}"}
    declared = [{"name": "count", "type": "integer", "required": True}]
    actions.create(CALLER, {**LOOKUP, "id": "count", "config": config, "parameters": declared})
    step = {
        "id": "count",
        "type": "action",
        "action_ref": "count",
        "parameters": {"count": "{{ steps.look.output.n }}"},
    }
    row = by_step(simulated(look(), {**step, "target": "{{ steps.look.output.asset }}"}))["count"]
    assert (row["status"], row["output"]) == ("completed", {"simulated": True, "plan": None})
    assert row["target"] == "<steps.look.output.asset>"
    assert row["input"] == {"count": "<steps.look.output.n>"}
    assert any("can be said once count, target is known" in text for text in row["report"]["assumed"])


def test_a_secret_stays_secret_in_the_playbooks_that_are_started(ready: str) -> None:
    """It is masked in the step's input and in the report of the inner run."""
    playbooks.create(CALLER, normalise.normalise({"id": "inner", "name": "Inner", "steps": [act("x", "{{ a }}")]}))
    step = {"id": "sub", "type": "playbook", "playbook_ref": "inner", "parameters": {"a": "{{ word }}"}}
    found = simulated(step, parameters=[{"name": "word", "type": "secret"}], given={"word": "hunter22-hunter22"})
    assert by_step(found)["sub"]["input"] == {"a": "********"}
    assert "hunter22" not in str(found.rows)


def test_steps_after_a_loop_read_what_its_last_iteration_would_leave(ready: str) -> None:
    """Loops inside loops too: each inner step sees the item of its own iteration."""
    inner = {"id": "in", "type": "for_each", "items": "{{ pair }}", "steps": [act("a", "{{ item }}"), look("b")]}
    rows = by_step(
        simulated(
            {"id": "out", "type": "for_each", "items": "{{ pairs }}", "as": "pair", "steps": [inner]},
            act("last", "{{ steps.b.output.ip }}"),
            given={"pairs": [["192.0.2.1", "192.0.2.2"], ["192.0.2.3"]]},
        )
    )
    assert rows["a@0.1"]["input"]["address"] == "192.0.2.2"
    assert rows["a@1.0"]["input"]["address"] == "192.0.2.3"
    assert rows["a@1.0"]["parent_id"] == rows["in@1"]["id"]
    assert rows["last"]["input"]["address"] == "<steps.b.output.ip>"


def test_a_large_playbook_is_simulated_within_bounds(ready: str) -> None:
    """Items beyond the budget stand for themselves; there are never more rows than steps and the budget."""
    body = [act(f"s{number}", "{{ item }}") for number in range(300)]
    found = simulated({"id": "each", "type": "for_each", "items": ["192.0.2.1"] * 10, "steps": body})
    assert len(found.rows) == 1 + 300 * 7
    assert "the other 3 items go the same way" in by_step(found)["each"]["report"]["assumed"]


def test_the_dry_run_is_written_at_once(database: str) -> None:
    """Rows and the end of the run appear together; a second message finds nothing to do."""
    prepared(database)
    create(act("one"), act("two", WRONG))
    run = accepted()
    assert simulation.carry_out(run, "steps@test") is True
    assert simulation.carry_out(run, "steps@test") is False
    with db.read() as connection:
        row, written = run_rows.read(connection, run.id), steps.of_run(connection, run.id)
    assert (row.status, row.error) == ("completed", None)
    assert json.loads(row.output)["predicted_status"] == "failed"
    assert {one.step_id: one.status for one in written} == {"one": "completed", "two": "failed"}
    assert all(one.mode == "dry_run" and one.due_at is None for one in written)


def test_a_simulation_that_breaks_fails_the_run(ready: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends and says where to look."""
    run = accepted(create(look()))
    monkeypatch.setattr(simulation, "Walk", _never)
    assert simulation.carry_out(run, "steps@test") is True
    with db.read() as connection:
        row = run_rows.read(connection, run.id)
    assert (row.status, json.loads(row.error)["code"]) == ("failed", "internal_error")


@pytest.fixture
def visitor(sqlite_database: str) -> Door:
    """The application, with two actions and a playbook."""
    made = Door()
    prepared(sqlite_database)
    create(look(), act("one", "{{ steps.look.output.ip }}"), {"id": "wait", "type": "delay", "seconds": 1})
    return made


def done(**changes: Any) -> str:
    """A run that has been carried out; ``changes``: step id → the address it was given. Returns its id."""
    wanted = run_start.request_of(CALLER, "pb")
    row = run_start.prepare(wanted).row
    with db.write() as connection:
        run_start.accept(connection, request=wanted, row=row)
    with db.read() as connection:
        run = runs_run.loaded(run_rows.read(connection, row["id"]))
    rows = [{**one, "mode": "live", "report": None} for one in simulation.simulate(run).rows]
    for one in rows:
        if one["step_id"] in changes:
            one["input"] = json.dumps({"address": changes[one["step_id"]], "minutes": 5, "password": None})
    moves = steps.Moves(rows=rows, end=steps.End(status="completed"))
    with db.write() as connection:
        assert steps.begin_run(connection, run.id, moves, actor="steps@test", deadline=run.deadline)[0]
    return run.id


def test_a_run_is_compared_with_its_prediction(visitor: Door) -> None:
    """The dry run comes first whichever is asked for; what it could not know is assumed."""
    dry, live = accepted(), done(one="192.0.2.5")
    assert simulation.carry_out(dry, "steps@test")
    answer = visitor.call("GET", f"/api/playbooks/executions/{live}/diff?against={dry.id}")
    assert answer.status_code == 200, answer.text
    data = answer.json["data"]
    assert data["same"] is True
    assert data["first"] == {
        "execution_id": dry.id,
        "playbook_id": "pb",
        "version": "1.0.0",
        "status": "completed",
        "dry_run": True,
    }
    assert data["second"]["execution_id"] == live
    assert [one["step_id"] for one in data["steps"]] == ["look", "one", "wait"]
    fact = {"pointer": "/input/address", "predicted": "<steps.look.output.ip>", "actual": "192.0.2.5"}
    assert data["steps"][1]["assumed"] == [fact]
    assert visitor.call("GET", f"/api/v1/playbooks/executions/{dry.id}/diff?against={live}").json["data"] == data


def test_two_runs_are_compared_with_each_other(visitor: Door) -> None:
    """The one that is compared with comes first."""
    first, second = done(one="192.0.2.5"), done(one="192.0.2.6")
    data = visitor.call("GET", f"/api/playbooks/executions/{second}/diff?against={first}").json["data"]
    assert data["same"] is False
    assert (data["first"]["execution_id"], data["first"]["dry_run"]) == (first, False)
    fact = {"pointer": "/input/address", "predicted": "192.0.2.5", "actual": "192.0.2.6"}
    assert data["steps"][1]["differences"] == [fact]


def test_only_runs_of_one_playbook_and_workspace_are_compared(visitor: Door) -> None:
    """Another workspace's run is not there; runs of different playbooks are a conflict."""
    run = done()
    path = f"/api/playbooks/executions/{run}/diff"
    assert_problem(visitor.call("GET", path), 400)
    assert_problem(visitor.call("GET", f"{path}?against=pexec-0"), 404)
    assert_problem(visitor.call("GET", f"/api/playbooks/executions/pexec-0/diff?against={run}"), 404)
    stranger = visitor.key(workspace="other")
    assert_problem(visitor.call("GET", f"{path}?against={run}", key=stranger), 404)
    other = visitor.create_playbook(name="Other")["id"]
    body = assert_problem(visitor.call("GET", f"{path}?against={accepted(other).id}"), 409)
    assert body["code"] == "different_playbooks"
