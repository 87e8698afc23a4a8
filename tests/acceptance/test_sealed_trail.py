"""The running product seals its trail, whatever becomes of the worker that seals."""

import time

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually


@pytest.mark.gate
def test_the_trail_is_sealed_though_the_worker_that_seals_is_killed(first_stack: Stack) -> None:
    """It dies by kill -9 three times under load: each row is in one seal, soon, and the check finds nothing wrong."""
    stack, api = first_stack, first_stack.api
    action = api.create_action(config={"url": f"{stack.sink.url}/ok?sealed"})
    started: list[str] = []
    for _ in range(3):
        for _ in range(5):
            started += [api.trigger(action) for _ in range(4)]
            time.sleep(0.2)
        stack.kill("beat")
        started += [api.trigger(action) for _ in range(8)]
        shown = api.http.post("/v1/audit/verify").json()
        assert shown["valid"], shown
        stack.restart("beat")
    stack.wait_ready("beat")
    stack.wait_ended(started, 60)
    count = stack.rows("SELECT count(*) AS number FROM audit WHERE workspace_id = 'default'")[0]["number"]
    eventually(lambda: api.http.get("/v1/audit/verify").json()["unsealed"] == 0, 60, "all is sealed", every=0.2)
    shown = api.http.get("/v1/audit/verify").json()
    assert shown["valid"], shown
    assert shown["records_checked"] >= count
    newest = f"SELECT count(*) AS seals FROM audit_seals WHERE number <= {shown['newest_seal']['number']}"
    assert stack.rows(newest)[0]["seals"] == shown["newest_seal"]["number"], "a number is missing"
    twice = "SELECT first_id FROM audit_seals GROUP BY first_id HAVING count(*) > 1"
    assert not stack.rows(twice)
    proof = api.http.get(f"/v1/audit/{started[0]}/proof")
    assert proof.status_code == 200, proof.text
    newest_number = shown["newest_seal"][
        "number"
    ]  # a reading of health serves for as long as its cost asks, a minute at most
    eventually(
        lambda: api.http.get("/health").json()["metrics"]["audit_trail"]["seals"] >= newest_number, 90, "health says so"
    )
    assert "tocsin_audit_trail_seals" in api.http.get("/metrics/prometheus").text
