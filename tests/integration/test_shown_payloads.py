"""What a payload's member names call a secret is masked wherever the API shows the payload."""

import pytest

from tests.support.api import Door
from tests.support.dispatching import body, send
from tests.support.driven import drive

SECRET = "correct-horse-battery-9"
PAYLOAD = {"chain": "nested", "host": "h-1", "password": SECRET, "more": [{"api_key": SECRET}]}


@pytest.fixture
def door(chained_door: Door) -> Door:
    """The application, with rules that start chains."""
    return chained_door


def shown(door: Door, path: str) -> str:
    """The text of an answer."""
    answer = door.call("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_payload_of_a_chain_is_masked(door: Door) -> None:
    """In its run, in the run below and in the steps of both; the step itself has got it."""
    run_id = send(door, body(payload=PAYLOAD)).json["chain_id"]
    assert drive(run_id) == "completed"
    listed = shown(door, "/api/playbooks/executions")
    assert listed.count('"password":"********"') == 2
    runs = [one["execution_id"] for one in door.call("GET", "/api/playbooks/executions").json["data"]]
    paths = [f"/api/playbooks/executions/{one}{more}" for one in runs for more in ("", "/steps")]
    (step,) = door.call("GET", "/api/actions/executions").json["data"]
    paths += ["/api/actions/executions", f"/api/actions/executions/{step['execution_id']}"]
    again = door.call("POST", f"/api/playbooks/executions/{run_id}/retry", json={"from": "start"}).json["execution_id"]
    assert drive(again) == "completed"
    paths.append(f"/api/playbooks/executions/{again}/diff?against={run_id}")
    for path in paths:
        text = shown(door, path)
        assert SECRET not in text, path
    assert SECRET not in listed
    assert step["parameters"]["payload"]["password"] == "********"


def test_the_payload_of_a_step_that_names_a_provider_is_masked(door: Door) -> None:
    """Where the playbook is one of the workspace, too."""
    values = {"action_type": "look", "payload": {"password": "{{ parameters.word }}", "host": "h-1"}}
    step = {"id": "go", "type": "action", "action_ref": "provider:drill", "parameters": values}
    playbook = door.create_playbook(steps=[step], parameters=[{"name": "word"}])
    started = door.call("POST", f"/api/playbooks/{playbook['id']}/run", json={"parameters": {"word": SECRET}})
    run_id = started.json["execution_id"]
    assert drive(run_id) == "completed"
    for path in (f"/api/playbooks/executions/{run_id}/steps", "/api/actions/executions"):
        text = shown(door, path)
        assert SECRET not in text, path
        assert '"password":"********"' in text
