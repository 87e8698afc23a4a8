"""State machines: what a file may say, and which moves a machine allows."""

from typing import Any

import pytest

from gateway.configuration import machines
from gateway.machines import Machine, Notice, Step
from playbooks.checks.faults import Faults

ALERT: dict[str, Any] = {
    "name": "alert",
    "initial_state": "firing",
    "states": ["firing", "seen", "resolved"],
    "transitions": [
        {"from": "firing", "to": "seen"},
        {"from": ["firing", "seen"], "to": "resolved", "notify": True, "provider": "mail", "labels": {"team": "soc"}},
        {"from": "resolved", "to": "firing", "on_transition": {"notify": True, "metadata": {"again": "yes"}}},
    ],
    "timeouts": [{"state": "firing", "after_seconds": 60, "transition_to": "seen"}],
}


def faults(*given: Any, providers: frozenset[str] | None = frozenset({"mail"})) -> list[tuple[str, str]]:
    found = Faults()
    machines.check(list(given), "/state_machines", providers, found)
    return [(one.pointer, one.detail) for one in found.listed()]


def machine(**changes: Any) -> Machine:
    given = {**ALERT, **changes}
    assert faults(given) == []
    return machines.read(given["name"], machines.stored(given))


def test_a_machine_says_which_moves_are_allowed_and_how_they_are_told() -> None:
    """In the order of the states; a move that is not listed is refused with a reason, one to the same state is none."""
    this = machine()
    assert this.allowed("firing") == ["seen", "resolved"]
    told = Notice(notify=True, provider="mail", labels={"team": "soc"})
    assert this.step("seen", "resolved") == Step("seen", "resolved", moves=True, notice=told)
    assert this.step(None, "seen") == Step("firing", "seen", moves=True)
    assert this.step("seen", "seen") == Step("seen", "seen")
    assert this.step(None, None) == Step("firing", "firing")
    assert "does not lead from 'seen' to 'firing'" in str(this.step("seen", "firing").refused)
    assert "no state 'x'" in str(this.step("seen", "x").refused)
    assert this.transitions["resolved", "firing"] == Notice(notify=True, labels={"again": "yes"})
    assert dict(this.told("resolved")) == {"firing": told, "seen": told}


def test_a_state_that_the_machine_has_lost_counts_as_the_beginning() -> None:
    """An event that is in one goes where a new one could go."""
    assert machine().step("gone", "seen") == Step("gone", "seen", moves=True)
    assert machine().allowed("gone") == ["seen", "resolved"]


def test_what_is_resolved_or_leads_nowhere_is_not_active() -> None:
    """Unless the machine says which states are not."""
    assert [machine().is_active(state) for state in ALERT["states"]] == [True, True, False]
    ends = machine(
        states=["firing", "seen", "resolved", "lost"],
        transitions=[*ALERT["transitions"], {"from": "seen", "to": "lost"}],
    )
    assert ends.inactive == {"resolved", "lost"}
    assert machine(inactive_states=["seen"]).inactive == {"seen"}
    assert machine(inactive_states=[]).inactive == frozenset()
    alone = machine(states=["new"], initial_state="new", transitions=[], timeouts=[])
    assert alone.is_active("new")


def test_a_time_out_is_told_as_its_transition_unless_it_says_otherwise() -> None:
    """A time-out needs no transition."""
    one = {"in_state": "seen", "after_seconds": 5, "transition_to": "resolved"}
    assert machine(timeouts=[one]).timeouts["seen"].notice.provider == "mail"
    assert machine(timeouts=[{**one, "notify": False}]).timeouts["seen"].notice == Notice()
    assert machine(timeouts=[{**one, "notify": True}]).timeouts["seen"].notice == Notice(notify=True)


def test_what_has_ended_is_resolved_where_there_is_that_state() -> None:
    """By the time of the decision; another time says nothing."""
    at = 1_767_225_600_000  # 2026-01-01T00:00:00Z
    assert machine().wanted("firing", "2026-01-01T00:00:00Z", at) == "resolved"
    assert machine().wanted("firing", "2026-01-01T00:00:01Z", at) == "firing"
    assert machine().wanted("firing", None, at) == "firing"
    other = machine(
        states=["new", "done"], initial_state="new", transitions=[{"from": "new", "to": "done"}], timeouts=[]
    )
    assert other.wanted(None, "2020-01-01T00:00:00Z", at) is None


_MOVE = {"from": "firing", "to": "seen"}
_OVER = {"state": "firing", "after_seconds": 1, "transition_to": "seen"}


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"name": ""}, "/name", "needs a name"),
        ({"initial": "firing"}, "/initial", "did you mean 'initial_state'"),
        ({"initial_state": "fring"}, "/initial_state", "did you mean 'firing'"),
        ({"initial_state": None}, "/initial_state", "must be one of the states"),
        ({"states": []}, "/states", "1 to 100"),
        ({"states": [f"s{n}" for n in range(10_000)]}, "/states", "1 to 100 states, not 10000"),
        ({"states": ["firing", "seen", "resolved", "firing"]}, "/states/3", "listed twice"),
        ({"states": ["firing", "seen", "resolved", "x" * 129]}, "/states/3", "1 to 128"),
        ({"states": ["firing", "seen", "resolved", "lost"]}, "/states/3", "cannot be reached from 'firing'"),
        ({"transitions": [{}] * 1_001}, "/transitions", "at most 1000"),
        ({"transitions": ["x"]}, "/transitions/0", "must be an object"),
        ({"transitions": [*ALERT["transitions"], _MOVE]}, "/transitions/3", "two transitions from 'firing' to 'seen'"),
        ({"transitions": [*ALERT["transitions"], {"from": "x", "to": "seen"}]}, "/transitions/3/from", "no state 'x'"),
        ({"transitions": [*ALERT["transitions"], {"from": ["x"], "to": "seen"}]}, "/transitions/3/from/0", "no state"),
        ({"transitions": [*ALERT["transitions"], {"from": "seen"}]}, "/transitions/3/to", "one of the states"),
        (
            {"transitions": [*ALERT["transitions"], {"from": "seen", "to": "firing", "notify": "yes"}]},
            "/transitions/3/notify",
            "true or false",
        ),
        (
            {"transitions": [*ALERT["transitions"], {"from": "seen", "to": "firing", "provider": "mail"}]},
            "/transitions/3/provider",
            "only with notify: true",
        ),
        (
            {"transitions": [*ALERT["transitions"], {"from": "seen", "to": "firing", "notify": True, "provider": "x"}]},
            "/transitions/3/provider",
            "no provider 'x'",
        ),
        (
            {
                "transitions": [
                    *ALERT["transitions"],
                    {"from": "seen", "to": "firing", "notify": True, "labels": {"a": 1}},
                ]
            },
            "/transitions/3/labels",
            "names and texts",
        ),
        (
            {
                "transitions": [
                    *ALERT["transitions"],
                    {"from": "seen", "to": "firing", "on_transition": {"webhook_url": "http://h/"}},
                ]
            },
            "/transitions/3/on_transition/webhook_url",
            "provider: NAME",
        ),
        ({"timeouts": [_OVER, {**_OVER, "transition_to": "resolved"}]}, "/timeouts/1/state", "two time-outs"),
        ({"timeouts": [{**_OVER, "in_state": "firing"}]}, "/timeouts/0/in_state", "keep one of them"),
        ({"timeouts": [{**_OVER, "after_seconds": 0}]}, "/timeouts/0/after_seconds", "from 1 to"),
        ({"timeouts": [{**_OVER, "after_seconds": 10**9}]}, "/timeouts/0/after_seconds", "from 1 to"),
        ({"timeouts": [{**_OVER, "transition_to": "x"}]}, "/timeouts/0/transition_to", "no state 'x'"),
        ({"timeouts": [{**_OVER, "transition_to": "firing"}]}, "/timeouts/0/transition_to", "another state"),
        ({"timeouts": [{**_OVER, "state": "x"}]}, "/timeouts/0/state", "no state 'x'"),
        ({"inactive_states": ["x"]}, "/inactive_states/0", "no state 'x'"),
    ],
)
def test_a_faulty_machine_is_named_by_member(changes: dict[str, Any], pointer: str, said: str) -> None:
    """One fault each, at its place."""
    found = faults({**ALERT, **changes})
    assert any(where == f"/state_machines/0{pointer}" and said in what for where, what in found), found
    assert len(found) == 1, found


def test_names_are_the_only_ones_and_machines_are_few() -> None:
    """Two of one name are a fault; so is what is no list of objects; unknown providers are left alone."""
    assert faults(ALERT, ALERT) == [("/state_machines/1/name", "there are two state machines named 'alert'")]
    assert faults(7)[0][0] == "/state_machines/0"
    assert faults(*[{**ALERT, "name": f"m{n}"} for n in range(101)])[0][0] == "/state_machines"
    assert faults(ALERT, providers=None) == []


def test_many_moves_into_one_state_are_not_all_told() -> None:
    """Each would be prepared at each dispatch."""
    states = [f"s{number}" for number in range(60)]
    moves = [{"from": "s0", "to": state} for state in states[1:]]
    told = {"from": states[1:], "to": "s0", "notify": True}
    found = faults({"name": "wide", "initial_state": "s0", "states": states, "transitions": [*moves, told]})
    assert [(where, what.partition(";")[0]) for where, what in found] == [
        ("/state_machines/0/transitions", "59 moves to 's0' are made known")
    ]
