"""The answer to who asks for a run: the same bytes as from statements that are written anew for each request."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from api.runs import views
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.executions.lists import run_listing
from store.executions.lists.listing import MOST_LISTED
from tests.support import runs
from tests.support.api import Door

pytestmark = pytest.mark.on_both

ASK = {"id": "ask", "type": "approval", "message": "Isolate it?"}


class Case:
    """A run in some state."""

    def __init__(self, door: Door) -> None:
        action = door.create(parameters=[{"name": "host"}])["id"]
        steps = [{"id": f"act-{number}", "type": "action", "action_ref": action} for number in range(7)]
        around = {"id": "each", "type": "for_each", "items": [1, 2], "steps": [{**steps[0], "id": "inside"}]}
        made = door.create_playbook(steps=[*steps, around, ASK])
        answer = door.call("POST", f"/api/playbooks/{made['id']}/run", json={})
        assert answer.status_code == 202, answer.text
        self.id: str = answer.json["execution_id"]
        self.action = action

    def begun(self) -> None:
        runs.begin(self.id)

    def acted(self, output: Any) -> None:
        self.begun()
        for number in range(7):
            runs.end(runs.enter(self.id, f"act-{number}", action_id=self.action), output=output)

    def looped(self) -> None:
        self.acted({"ok": True, "text": "ä\u2028😀"})
        each = runs.enter(self.id, "each", type="for_each", open=1, cursor=2)
        for number in range(2):
            runs.enter(self.id, "inside", iteration=str(number), parent_id=each, action_id=self.action)


def pending(_case: Case) -> None:
    """It waits for a worker."""


def running(case: Case) -> None:
    """One step is under way."""
    case.begun()
    runs.enter(case.id, "act-0", action_id=case.action)


def looping(case: Case) -> None:
    """Two iterations of one step."""
    case.looped()


def large(case: Case) -> None:
    """Outputs that are too large for the answer."""
    case.acted({"text": "x" * (MOST_LISTED + 1)})


def waiting(case: Case) -> None:
    """All that is left waits for an approval: it is shown as paused."""
    case.acted(None)
    runs.enter(case.id, "ask", "waiting", type="approval", waiting_for="approval")


def failed(case: Case) -> None:
    """One step has failed, and the run with it."""
    case.begun()
    step = runs.enter(case.id, "act-0", action_id=case.action)
    runs.end(step, "failed", error={"code": "http_error", "message": "502", "retryable": True})
    runs.end_run(case.id, "failed")


def completed(case: Case) -> None:
    """It has ended well."""
    case.acted({"a": 1})
    runs.end_run(case.id)


def of_run(connection: Connection, run_id: str) -> list[Row]:
    """The rows of a run's steps, whole."""
    table = transitions.executions
    return list(connection.execute(sa.select(table).where(table.c.run_id == run_id)))


def shown_status(connection: Connection, run: Row) -> str:
    """What a list says of the run."""
    return str(connection.execute(sa.select(run_listing._shown).where(run_listing._run.c.id == run.id)).scalar_one())


def outcomes(connection: Connection, step_row_ids: Sequence[str], *, outputs: bool = True) -> dict[str, Row]:
    """Everything of these steps that a list may have."""
    assert outputs
    return run_listing.step_results(connection, step_row_ids)


@pytest.mark.parametrize("state", [pending, running, looping, large, waiting, failed, completed])
def test_the_answer_is_the_same_to_the_byte(
    database: str, monkeypatch: pytest.MonkeyPatch, state: Callable[[Case], None]
) -> None:
    """In every state of a run."""
    door = Door()
    case = Case(door)
    state(case)
    path = f"/api/playbooks/executions/{case.id}"
    quick = door.call("GET", path)
    assert quick.status_code == 200
    assert quick.json["data"]["steps_total"] == 10
    for name, plain in (("of_run", of_run), ("shown_status", shown_status), ("outcomes", outcomes)):
        monkeypatch.setattr(views.run_listing, name, plain)
    assert door.call("GET", path).data == quick.data


def test_more_steps_than_one_statement_takes_are_read(database: str) -> None:
    """Each of several hundred ids is found, the last ones too."""
    door = Door()
    case = Case(door)
    case.begun()
    ids = [runs.enter(case.id, "act-0", iteration=str(number), action_id=case.action) for number in range(3)]
    missing = [f"{case.id}.none.{number}" for number in range(run_listing._MOST_PLACES)]
    with db.read() as connection:
        assert set(run_listing.outcomes(connection, [ids[0], *missing, ids[1], ids[2]])) == set(ids)
        assert run_listing.outcomes(connection, []) == {}
