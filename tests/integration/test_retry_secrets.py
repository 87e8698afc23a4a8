"""The secrets of a run go, in a retry, where the run sent them and nowhere else; later they are not kept at all."""

from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import settings
from store.engine import db
from store.executions import transitions
from tasks.entrypoints import maintenance
from tests.support.api import Door, assert_problem
from tests.support.driven import drive
from tests.support.sink import Sink

SECRET = "ADMIN-SECRET-42"
TOKEN = [{"name": "token", "type": "secret", "required": True}]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """Where the actions send."""
    running = Sink(tmp_path_factory.mktemp("sink"))
    yield running
    running.stop()


@pytest.fixture
def everywhere(database: str, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The application on each kind of database, and outbound calls to this machine allowed."""
    return _allowed(monkeypatch)


@pytest.fixture
def here(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The same where the kind makes no difference."""
    return _allowed(monkeypatch)


def _allowed(monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    return Door()


class Scene:
    """An action that takes a token and fails, a playbook that calls it, and an operator who may change both."""

    def __init__(self, door: Door, sink: Sink, name: str, *, nested: bool, reached: bool = True) -> None:
        self.door, self.sink, self.name = door, sink, name
        self.operator = door.key(role="operator")
        config = {"url": f"{sink.url}/status/500?good={name}", "body": {"t": "{{ token }}"}}
        self.action = door.create(name=f"Good {name}", parameters=TOKEN, config=config)["id"]
        call = {"id": "send", "type": "action", "action_ref": self.action, "parameters": {"token": "{{ token }}"}}
        steps_of: list[dict[str, Any]] = [call]
        if nested:
            inner = {"name": f"Inner {name}", "parameters": TOKEN, "steps": [call]}
            self.inner = door.create_playbook(**inner)["id"]
            below = {
                "id": "below",
                "type": "playbook",
                "playbook_ref": self.inner,
                "parameters": {"token": "{{ token }}"},
            }
            steps_of = [below]
        if not reached:
            gate = door.create(name=f"Gate {name}", config={"url": f"{sink.url}/status/500?gate={name}"})["id"]
            steps_of = [{"id": "gate", "type": "action", "action_ref": gate}, *steps_of]
        self.playbook = door.create_playbook(name=f"Outer {name}", parameters=TOKEN, steps=steps_of)["id"]

    def run(self) -> str:
        """A run by the administrator that fails."""
        path = f"/api/playbooks/{self.playbook}/run"
        run_id = str(self.door.call("POST", path, json={"parameters": {"token": SECRET}}).json["execution_id"])
        assert drive(run_id) == "failed"
        return run_id

    def edit(self, **config: Any) -> None:
        """The operator changes the action."""
        answer = self.door.call("PATCH", f"/api/actions/{self.action}", self.operator, json={"config": config})
        assert answer.status_code == 200, answer.text

    def turn_away(self) -> None:
        """The operator has the action send to himself."""
        self.edit(url=f"{self.sink.url}/ok?evil={self.name}", body={"t": "{{ token }}"})

    def retry(self, run_id: str, **body: Any) -> Any:
        """What the operator is answered."""
        return self.door.call("POST", f"/api/playbooks/executions/{run_id}/retry", self.operator, json=body)

    def got(self, who: str) -> list[str]:
        """The bodies that came to the good receiver, or to the evil one."""
        return [call.body for call in self.sink.arrivals() if call.path.endswith(f"{who}={self.name}")]


@pytest.mark.parametrize("start", ["failed", "start"])
@pytest.mark.parametrize("nested", [False, True], ids=["direct", "nested"])
def test_a_retry_sends_where_the_run_did(everywhere: Door, sink: Sink, nested: bool, start: str, request: Any) -> None:
    """An action that was changed meanwhile gets no secret of the run, whether the run or one below it calls it."""
    scene = Scene(everywhere, sink, f"a-{request.node.callspec.id}", nested=nested)
    run_id = scene.run()
    scene.turn_away()
    answer = scene.retry(run_id, **{"from": start})
    assert answer.status_code == 202, answer.text
    drive(answer.json["execution_id"])
    again = scene.retry(answer.json["execution_id"], **{"from": start})
    assert again.status_code == 202, again.text
    drive(again.json["execution_id"])
    assert (len(scene.got("good")), scene.got("evil")) == (3, [])


def test_what_the_run_did_not_come_to_is_as_it_was_when_the_run_began(everywhere: Door, sink: Sink) -> None:
    """A playbook below that was never started, and its actions, are taken as they were then, not as they are now."""
    scene = Scene(everywhere, sink, f"b-{everywhere.admin[-8:]}", nested=True, reached=False)
    run_id = scene.run()
    assert scene.got("good") == []
    scene.turn_away()
    evil = everywhere.create(
        name="Evil", parameters=TOKEN, config={"url": f"{sink.url}/ok?evil={scene.name}", "body": {"t": "{{ token }}"}}
    )
    call = {"id": "send", "type": "action", "action_ref": evil["id"], "parameters": {"token": "{{ token }}"}}
    changed = everywhere.call("PATCH", f"/api/playbooks/{scene.inner}", scene.operator, json={"steps": [call]})
    assert changed.status_code == 200, changed.text
    with db.write() as connection:  # what failed in the run has succeeded, as far as its retry can see
        row = transitions.executions
        connection.execute(row.update().where(row.c.id == f"{run_id}.gate").values(status="completed", output="{}"))
    answer = scene.retry(run_id)
    assert answer.status_code == 202, answer.text
    drive(answer.json["execution_id"])
    assert scene.got("evil") == []
    assert SECRET in scene.got("good")[0]


def test_the_present_actions_are_used_on_request_and_secrets_then_given_again(everywhere: Door, sink: Sink) -> None:
    """A changed body is used at once; a changed receiver needs the secrets again, through other playbooks too."""
    for nested in (False, True):
        scene = Scene(everywhere, sink, f"c{nested}-{everywhere.admin[-8:]}", nested=nested)
        run_id = scene.run()
        scene.edit(url=f"{sink.url}/status/500?good={scene.name}", body={"fixed": "{{ token }}"})
        answer = scene.retry(run_id, revisions="present")
        assert answer.status_code == 202, answer.text
        drive(answer.json["execution_id"])
        assert [SECRET in body and "fixed" in body for body in scene.got("good")] == [False, True]
        scene.turn_away()
        refused = assert_problem(scene.retry(run_id, revisions="present"), 409)
        assert (refused["code"], [one["pointer"] for one in refused["errors"]]) == (
            "secret_needed",
            ["/parameters/token"],
        )
        answer = scene.retry(run_id, revisions="present", parameters={"token": "given-anew-1"})
        assert answer.status_code == 202, answer.text
        assert drive(answer.json["execution_id"]) == "completed"
        assert scene.got("evil") == ['{"t":"given-anew-1"}']


def test_the_present_is_what_it_was_when_the_retry_was_accepted(here: Door, sink: Sink) -> None:
    """A change after a retry is accepted does not reach it."""
    scene = Scene(here, sink, "frozen", nested=True)
    answer = scene.retry(scene.run(), revisions="present")
    assert answer.status_code == 202, answer.text
    scene.turn_away()
    drive(answer.json["execution_id"])
    assert (len(scene.got("good")), scene.got("evil")) == (2, [])


def test_a_changed_playbook_below_leads_secrets_to_no_other_action(here: Door, sink: Sink) -> None:
    """With the present revisions an action that the run's secrets did not reach needs them again."""
    scene = Scene(here, sink, "led", nested=True)
    run_id = scene.run()
    other = here.create(
        name="Other", parameters=TOKEN, config={"url": f"{sink.url}/ok?evil=led", "body": "{{ token }}"}
    )
    call = {
        "id": "send",
        "type": "action",
        "action_ref": other["id"],
        "parameters": {"token": "{{ parameters.token }}"},
    }
    here.call("PATCH", f"/api/playbooks/{scene.inner}", scene.operator, json={"steps": [call]})
    assert assert_problem(scene.retry(run_id, revisions="present"), 409)["code"] == "secret_needed"
    assert scene.retry(run_id).status_code == 202


@pytest.mark.parametrize(
    "change",
    [
        {"executor": "remote", "config": {"target": "https://a.example/", "secret": "x" * 16}},
        {"config": {"url": "{{ base }}", "body": {"t": "{{ token }}"}}},
        {"config": {"url": "URL", "headers": {"Authorization": "Bearer mine"}, "body": {"t": "{{ token }}"}}},
    ],
    ids=["executor", "templated", "account"],
)
def test_who_receives_is_more_than_the_address(here: Door, sink: Sink, change: dict[str, Any]) -> None:
    """Another executor, a receiver that a parameter names, another account there: each needs the secrets again."""
    scene = Scene(here, sink, "who", nested=False)
    run_id = scene.run()
    if change["config"].get("url") == "URL":
        change = {"config": {**change["config"], "url": f"{sink.url}/status/500?good=who"}}
    base = {"name": "base", "type": "string", "default": sink.url}
    changed = here.call(
        "PATCH", f"/api/actions/{scene.action}", scene.operator, json={"parameters": [*TOKEN, base], **change}
    )
    assert changed.status_code == 200, changed.text
    assert assert_problem(scene.retry(run_id, revisions="present"), 409)["code"] == "secret_needed"


def test_only_secrets_are_given_again(here: Door, sink: Sink) -> None:
    """Everything else a retry has from its run; what is no secret of it is named."""
    scene = Scene(here, sink, "only", nested=False)
    run_id = scene.run()
    problem = assert_problem(scene.retry(run_id, parameters={"host": "a", "token": "b"}), 422)
    assert [one["pointer"] for one in problem["errors"]] == ["/parameters/host"]
    assert assert_problem(scene.retry(run_id, revisions="newest"), 400)["errors"][0]["pointer"] == "/revisions"


def test_the_secrets_of_ended_runs_are_not_kept(everywhere: Door, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """After TOCSIN_SEALED_HOURS maintenance drops them, not those of runs that go on; a retry then names them."""
    scene = Scene(everywhere, sink, f"d-{everywhere.admin[-8:]}", nested=True)
    run_id = scene.run()
    path = f"/api/playbooks/{scene.playbook}/run"
    live = everywhere.call("POST", path, json={"parameters": {"token": SECRET}}).json["execution_id"]
    maintenance.maintain()
    assert len(_sealed()) == 3
    monkeypatch.setenv("TOCSIN_SEALED_HOURS", "0")
    settings.cache_clear()
    maintenance.maintain()
    assert _sealed() == [live]
    refused = assert_problem(scene.retry(run_id), 409)
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("secret_needed", "/parameters/token")
    assert "token" in refused["detail"]
    answer = scene.retry(run_id, parameters={"token": "given-anew-2"})
    assert answer.status_code == 202, answer.text
    drive(answer.json["execution_id"])
    assert scene.got("good").count('{"t":"given-anew-2"}') == 1  # the live run may send meanwhile


def test_what_is_to_be_dropped_is_found_by_its_index(database: str) -> None:
    """Among a million rows maintenance reads only those that have ended and have secrets."""
    if database == "postgresql":  # dead rows of earlier tests make other plans cheaper
        with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM FULL executions")
    with db.read() as connection:
        if database == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN " if database == "postgresql" else "EXPLAIN QUERY PLAN "
        query = "SELECT id FROM executions WHERE sealed IS NOT NULL AND id < 'pexec-1' AND completed_at < 5 LIMIT 500"
        assert "ix_executions_sealed" in str(connection.exec_driver_sql(explain + query).all())
        if database == "postgresql":
            connection.exec_driver_sql("RESET enable_seqscan")


def _sealed() -> list[str]:
    table = transitions.executions
    with db.read() as connection:
        return sorted(row.id for row in connection.execute(table.select()) if row.sealed is not None)
