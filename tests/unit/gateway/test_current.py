"""The generation in force: swapped as a whole, never backwards."""

import pytest

from gateway import current
from gateway.configuration.generation import EMPTY
from gateway.current import InForce, Stop
from tests.support.gateway_folder import loaded

KEY = ("dispatch", "alerts", "acme", "email", "send_email")


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(current, "_in_force", InForce(0, EMPTY))


def test_before_the_first_generation_nothing_concerns_anything():
    """A process without a generation lets everything pass."""
    assert current.current().candidates(*KEY) == ()
    assert current.current().stopped("acme") is None


def test_a_generation_is_put_in_force_as_a_whole():
    """Rules, switches, breakers and stops come together; an older generation changes nothing."""
    generation = loaded().generation
    current.put(InForce(2, generation, stops=(Stop("acme", "incident", "key-1"),)))
    assert [rule.name for rule in current.current().candidates(*KEY)] == ["urgent-by-slack"]
    assert current.current().breakers["email"].fallback_provider == "slack"
    current.put(InForce(1, EMPTY))
    assert current.current().number == 2
    current.put(InForce(2, generation, switches={"urgent-by-slack": False}))
    assert current.current().candidates(*KEY) == ()


def test_a_stop_holds_a_tenant_and_its_children():
    """``*`` holds all of them."""
    in_force = InForce(1, EMPTY, stops=(Stop("acme", "incident", "key-1"),))
    assert in_force.stopped("acme.eu").reason == "incident"
    assert in_force.stopped("acme-corp") is None
    assert InForce(1, EMPTY, stops=(Stop("*", "freeze", "key-1"),)).stopped("x").reason == "freeze"
