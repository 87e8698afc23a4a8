"""The generation in force: swapped as a whole, never backwards."""

import pytest

from config.errors import Unavailable
from gateway import current
from gateway.configuration.generation import EMPTY
from gateway.current import InForce, Stop
from gateway.rules import written
from gateway.rules.ruleset import Ruleset
from tests.support.gateway_folder import loaded

RULE = {"name": "r", "condition": {"field": "action.provider", "eq": "x"}, "action": {"type": "allow"}}
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


def test_a_follower_looks_before_it_decides_unless_it_has_heard(monkeypatch):
    """The first decision looks; then none does for a second; one that cannot look does not decide."""
    clock, looks = [100.0], []
    monkeypatch.setattr(current, "now", lambda: clock[0])

    def look():
        looks.append(clock[0])
        current.heard(clock[0])

    current.current()
    current.follow(look)
    current.current()
    clock[0] += current.FRESH
    current.current()
    assert looks == [100.0]
    clock[0] += 0.01
    current.current()
    assert looks == [100.0, clock[0]]
    current.heard(clock[0] - 50)  # an answer that comes late says nothing of now
    current.current()
    assert len(looks) == 2

    def cannot():
        raise Unavailable

    current.follow(cannot)
    with pytest.raises(Unavailable):
        current.current()
    current.forget()
    assert current.current().number == 0


def test_other_switches_compile_no_rule_again():
    """A ruleset under other switches has the same rules."""
    rules = Ruleset([written.normalise(RULE, "rules/a.yaml", 0)])
    other = rules.switched({"r": False})
    assert other.rules[0] is rules.rules[0]
    assert (rules.in_force, other.in_force) == (rules.rules, ())
