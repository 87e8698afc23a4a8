"""Tests of the bundle; ``pytest --tocsin-record`` makes the calls once and keeps them in ``recordings``."""

import pytest
from tocsin.actions import ActionError

RULES = "https://fw.acme.example/api/rules"


def test_rules_are_listed(run_action):
    """What the firewall answered when the test was recorded is the output."""
    output = run_action("../actions/firewall.py::list_rules")
    assert output == {"result": [{"rule_id": "r-7", "source": "203.0.113.50"}]}


def test_a_block_that_is_gone_is_lifted(run_action, http_recording):
    """404 is no failure: what was asked for is so."""
    http_recording.add("DELETE", f"{RULES}/r-7", status=404)
    assert run_action("../actions/firewall.py::lift_block", rule_id="r-7") == {"rule_id": "r-7", "was_there": False}


def test_an_address_is_checked(run_action, http_recording):
    """A host name is refused before anything is sent."""
    with pytest.raises(ActionError, match="format ipv4 or ipv6"):
        run_action("../actions/firewall.py::block_ip", ip="web-01")
    assert http_recording.asked == []


def test_a_busy_firewall_is_asked_again(run_action, http_recording):
    """503 asks for another attempt, after the time that the firewall names."""
    http_recording.add("GET", RULES, status=503, headers={"Retry-After": "30"}, json={"error": "busy"})
    with pytest.raises(ActionError) as failed:
        run_action("../actions/firewall.py::list_rules")
    assert (failed.value.code, failed.value.retryable, failed.value.retry_after) == ("http_status", True, 30)
