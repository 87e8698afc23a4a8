"""The file ``state_machines.yaml``: the states of events, their moves and time-outs.

Every state can be reached from the initial one, every name is known, and a state has at most one time-out; whatever
else a file says is a fault.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from config.types import Json
from gateway.machines import INACTIVE, Machine, Notice, TimeOut
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, is_line, is_text, is_whole

MAX_MACHINES, MAX_STATES, MAX_TRANSITIONS, MAX_LABELS = 100, 100, 1_000, 20
#: moves into one state that are made known: each is prepared before it is known from which state it comes
MAX_TOLD = 50
#: a year: the longest time-out
MAX_SECONDS = 31_536_000
MEMBERS = ("name", "description", "initial_state", "states", "transitions", "timeouts", "inactive_states")
_NOTICE = ("notify", "provider", "labels")
_TRANSITION = ("from", "to", *_NOTICE, "on_transition")
_TIMEOUT = ("state", "in_state", "after_seconds", "transition_to", *_NOTICE)
#: other spelling → member, inside ``on_transition``
_SPELLED = {"metadata": "labels"}


def check(machines: Any, pointer: str, providers: AbstractSet[str] | None, faults: Faults) -> None:
    """Report every fault of all state machines; ``providers`` are the known ones, None where they are not known."""
    if not isinstance(machines, list) or len(machines) > MAX_MACHINES:
        faults.add(pointer, f"must be a list of at most {MAX_MACHINES} state machines")
        return
    places: dict[str, int] = {}
    for number, machine in enumerate(machines):
        if faults.full:
            return
        place = f"{pointer}/{number}"
        if not isinstance(machine, dict):
            faults.add(place, f"must be an object with some of {', '.join(MEMBERS)}")
            continue
        _Check(machine, place, providers, faults).all()
        name = machine.get("name")
        if isinstance(name, str) and places.setdefault(name, number) != number:
            faults.add(f"{place}/name", f"there are two state machines named '{shown(name)}'")


class _Check:
    """The check of one state machine."""

    def __init__(self, machine: Json, pointer: str, providers: AbstractSet[str] | None, faults: Faults) -> None:
        self.given = {member: value for member, value in machine.items() if value is not None}
        self.pointer = pointer
        self.providers = providers
        self.faults = faults
        self.states: list[str] = []
        #: from → to, of what is free of faults
        self.links: dict[str, set[str]] = {}

    def all(self) -> None:
        """Report every fault."""
        known = len(self.faults.listed())
        self._members(self.given, MEMBERS, self.pointer, "a state machine")
        if not is_line(self.given.get("name"), MAX_NAME_CHARACTERS):
            self._add("name", f"a state machine needs a name of 1 to {MAX_NAME_CHARACTERS} printable characters")
        if not is_text(self.given.get("description", ""), MAX_DESCRIPTION_CHARACTERS):
            self._add("description", f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters")
        if not self._states():
            return
        self._state(self.given.get("initial_state"), f"{self.pointer}/initial_state")
        self._list("transitions", MAX_TRANSITIONS, self._transition)
        self._told()
        self._list("timeouts", MAX_STATES, self._timeout)
        for number, state in enumerate(self._listed("inactive_states")):
            self._state(state, f"{self.pointer}/inactive_states/{number}")
        if len(self.faults.listed()) == known:  # else a link that is missing here may be a faulty one
            self._reachable()

    def _add(self, member: str, words: str) -> None:
        self.faults.add(f"{self.pointer}/{member}", words)

    def _members(self, given: Json, known: Collection[str], pointer: str, what: str) -> None:
        for member in given:
            if member not in known:
                hint = self.faults.hint(member, known)
                self.faults.add(below(pointer, shown(member)), f"'{shown(member)}' is no member of {what}{hint}")

    def _states(self) -> bool:
        states = self.given.get("states")
        if not isinstance(states, list) or not 1 <= len(states) <= MAX_STATES:
            found = f", not {len(states)}" if isinstance(states, list) else ""
            self._add("states", f"must be a list of 1 to {MAX_STATES} states{found}")
            return False
        for number, state in enumerate(states):
            if not is_line(state, MAX_NAME_CHARACTERS):
                self._add(f"states/{number}", f"must be text of 1 to {MAX_NAME_CHARACTERS} printable characters")
            elif state in self.states:
                self._add(f"states/{number}", f"'{shown(state)}' is listed twice")
            else:
                self.states.append(state)
        return True

    def _state(self, state: Any, pointer: str) -> bool:
        """Report a state that there is not; whether there is one."""
        if isinstance(state, str) and state in self.states:
            return True
        known = self.faults.hint(state, self.states) if isinstance(state, str) else ""
        word = f"there is no state '{shown(state)}'{known}" if isinstance(state, str) else "must be one of the states"
        self.faults.add(pointer, word)
        return False

    def _listed(self, member: str) -> list[Any]:
        value = self.given.get(member, [])
        if isinstance(value, list):
            return value[: MAX_STATES + 1]
        self._add(member, "must be a list of states")
        return []

    def _list(self, member: str, most: int, check_one: Any) -> None:
        items = self.given.get(member, [])
        if not isinstance(items, list) or len(items) > most:
            self._add(member, f"must be a list of at most {most} {member}")
            return
        for number, item in enumerate(items):
            if self.faults.full:
                return
            place = f"{self.pointer}/{member}/{number}"
            if isinstance(item, dict):
                check_one({name: value for name, value in item.items() if value is not None}, place)
            else:
                self.faults.add(place, "must be an object")

    def _transition(self, given: Json, place: str) -> None:
        self._members(given, _TRANSITION, place, "a transition")
        self._on_transition(given, place)
        to_known = self._state(given.get("to"), f"{place}/to")
        for number, before in enumerate(_sources(given)):
            where = f"{place}/from/{number}" if isinstance(given.get("from"), list) else f"{place}/from"
            if not self._state(before, where) or not to_known:
                continue
            if given["to"] in self.links.setdefault(before, set()):
                self.faults.add(place, f"there are two transitions from '{shown(before)}' to '{shown(given['to'])}'")
            self.links[before].add(given["to"])
        self._notice(given, place)

    def _on_transition(self, given: Json, place: str) -> None:
        """The members that existing files have in an object of their own."""
        inner, where = given.get("on_transition"), f"{place}/on_transition"
        if inner is None:
            return
        if not isinstance(inner, dict):
            self.faults.add(where, f"must be an object with some of {', '.join(_NOTICE)}")
            return
        for member in inner:
            if member == "webhook_url":
                self.faults.add(f"{where}/{member}", "what goes out names a provider: provider: NAME")
            elif _spelled(member) not in _NOTICE:
                hint = self.faults.hint(member, _NOTICE)
                self.faults.add(below(where, shown(member)), f"'{shown(member)}' is no member of on_transition{hint}")
            elif _spelled(member) in given:
                self.faults.add(f"{where}/{member}", "stands beside on_transition too: keep one of them")
        self._notice({_spelled(member): value for member, value in inner.items()}, where)

    def _notice(self, given: Json, place: str) -> None:
        notify, provider = given.get("notify", False), given.get("provider")
        if not isinstance(notify, bool):
            self.faults.add(f"{place}/notify", "must be true or false")
        if provider is not None and not isinstance(provider, str):
            self.faults.add(f"{place}/provider", "must be the name of a provider")
        elif provider is not None and self.providers is not None and provider not in self.providers:
            hint = self.faults.hint(provider, sorted(self.providers))
            self.faults.add(f"{place}/provider", f"there is no provider '{shown(provider)}'{hint}")
        for member in ("provider", "labels"):
            if member in given and notify is False and "on_transition" not in given:
                self.faults.add(f"{place}/{member}", "counts only with notify: true")
        labels = given.get("labels", {})
        texts = isinstance(labels, dict) and len(labels) <= MAX_LABELS
        if not texts or not all(is_line(one, MAX_NAME_CHARACTERS) for pair in labels.items() for one in pair):
            self.faults.add(f"{place}/labels", f"must be an object of at most {MAX_LABELS} names and texts")

    def _told(self) -> None:
        """Report a state into which too many moves are made known."""
        told: dict[str, int] = {}
        for item in self.given["transitions"] if isinstance(self.given.get("transitions"), list) else ():
            if isinstance(item, dict) and isinstance(item.get("to"), str) and notice(item).notify:
                told[item["to"]] = told.get(item["to"], 0) + len(_sources(item))
        for state, number in told.items():
            if number > MAX_TOLD:
                self._add(
                    "transitions", f"{number} moves to '{shown(state)}' are made known; at most {MAX_TOLD} may be"
                )

    def _timeout(self, given: Json, place: str) -> None:
        self._members(given, _TIMEOUT, place, "a time-out")
        if "state" in given and "in_state" in given:
            self.faults.add(f"{place}/in_state", "says the same as 'state', which is given too: keep one of them")
        member = "in_state" if "in_state" in given else "state"
        to_known = self._state(given.get("transition_to"), f"{place}/transition_to")
        if not is_whole(given.get("after_seconds"), 1, MAX_SECONDS):
            self.faults.add(f"{place}/after_seconds", f"must be a whole number of seconds from 1 to {MAX_SECONDS}")
        self._notice(given, place)
        state = given.get(member)
        if not self._state(state, f"{place}/{member}") or not to_known:
            return
        if state == given["transition_to"]:
            self.faults.add(f"{place}/transition_to", "must be another state than that which it leaves")
        others = self.given["timeouts"]
        first = next(number for number, one in enumerate(others) if isinstance(one, dict) and _left(one) == state)
        if place != f"{self.pointer}/timeouts/{first}":
            self.faults.add(f"{place}/{member}", f"there are two time-outs of '{shown(state)}': a state has one")
        self.links.setdefault(str(state), set()).add(given["transition_to"])

    def _reachable(self) -> None:
        """Report the states that no event can be in."""
        initial = self.given.get("initial_state")
        if initial not in self.states:
            return
        reached, ahead = {initial}, [initial]
        while ahead:
            for state in self.links.get(ahead.pop(), set()) - reached:
                reached.add(state)
                ahead.append(state)
        for state in self.states:
            if state not in reached:
                place = f"states/{self.given['states'].index(state)}"
                self._add(place, f"'{shown(state)}' cannot be reached from '{shown(initial)}'")


def _sources(given: Mapping[str, Any]) -> list[Any]:
    before = given.get("from")
    return before if isinstance(before, list) else [before]


def _spelled(member: str) -> str:
    return _SPELLED.get(member, member)


def _left(given: Mapping[str, Any]) -> Any:
    return given.get("in_state") if given.get("state") is None else given["state"]


def notice(given: Mapping[str, Any]) -> Notice:
    """How a transition or a time-out, as written or stored, is made known."""
    inner = given.get("on_transition")
    members = {name: given[name] for name in _NOTICE if given.get(name) is not None}
    if isinstance(inner, dict):
        members |= {_spelled(name): value for name, value in inner.items() if value is not None}
    return Notice(members.get("notify") is True, members.get("provider"), members.get("labels") or {})


def stored(machine: Mapping[str, Any]) -> Json:
    """The stored form of a state machine that is free of faults."""
    transitions = [
        {"from": before, "to": given["to"], **_noticed(notice(given))}
        for given in machine.get("transitions") or ()
        for before in _sources(given)
    ]
    known = {(one["from"], one["to"]): one for one in transitions}
    timeouts = []
    for given in machine.get("timeouts") or ():
        state, to = _left(given), given["transition_to"]
        made = {"state": state, "after_seconds": given["after_seconds"], "transition_to": to}
        as_moved = known.get((state, to), {}) if given.get("notify") is None else given
        timeouts.append({**made, **_noticed(notice(as_moved))})
    return {
        "initial_state": machine["initial_state"],
        "states": list(machine["states"]),
        "transitions": transitions,
        "timeouts": timeouts,
        "inactive_states": machine.get("inactive_states"),
    }


def _noticed(this: Notice) -> Json:
    return {"notify": this.notify, "provider": this.provider, "labels": dict(this.labels)} if this.notify else {}


def read(name: str, form: Mapping[str, Any]) -> Machine:
    """The state machine of a stored form."""
    transitions = {(one["from"], one["to"]): notice(one) for one in form["transitions"]}
    timeouts = {
        one["state"]: TimeOut(one["after_seconds"], one["transition_to"], notice(one)) for one in form["timeouts"]
    }
    left = {before for before, _ in transitions} | set(timeouts)
    inactive = form["inactive_states"]
    if inactive is None:
        inactive = [state for state in form["states"] if state in INACTIVE or state not in left]
    return Machine(
        name=name,
        initial_state=form["initial_state"],
        states=tuple(form["states"]),
        transitions=transitions,
        timeouts=timeouts,
        inactive=frozenset(inactive)
        - (frozenset() if form["inactive_states"] is not None else {form["initial_state"]}),
    )
