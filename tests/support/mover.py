"""A process for tests to kill: sixteen threads move a few events, by dispatches, as people and as time does.

``WORD REVISION`` are a word for its lines and the revision of the provider. Most dispatches come by themselves, others
in batches whose events cross; one limit counts dispatches and notices alike, so that the rows of events and of limits
are contended for at the same time. It says a line once it has made two hundred moves.
"""

import itertools
import random
import threading

from config.errors import CallerError, Unavailable
from gateway import current
from gateway.configuration import machines
from gateway.configuration.generation import Generation
from gateway.current import InForce
from gateway.requests import Dispatch
from gateway.rules import written
from store.access import Caller
from store.gateway import events
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import timeouts
from tasks.control import moves
from tasks.intake.dispatches import accept
from tasks.intake.dispatches.rows import Asked
from tests.support.force import rule

THREADS, EVENTS, SENT = 16, 5, "drill"
CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset())
MACHINE = {
    "name": "alert",
    "initial_state": "firing",
    "states": ["firing", "seen", "stale", "resolved"],
    "transitions": [
        {"from": "firing", "to": "seen"},
        {"from": ["firing", "seen", "stale"], "to": "resolved", "notify": True},
        {"from": "resolved", "to": "firing", "notify": True},
    ],
    "timeouts": [
        {"state": "firing", "after_seconds": 1, "transition_to": "stale", "notify": True},
        {"state": "stale", "after_seconds": 1, "transition_to": "resolved"},
    ],
}
_STATES = ["firing", "seen", "resolved", "nonsense"]


def put(revision: str) -> None:
    """Put the machine in force, with rules that use it."""
    about = {"field": "action.action_type", "eq": "alert"}
    rules = [
        rule("limit", "throttle", max_count=1_000_000, window_seconds=3600, by=["action.tenant"], **{"continue": True}),
        rule("move", "state_machine", about, state_machine="alert", fingerprint_fields=["payload.host"]),
    ]
    forms = [written.normalise(one, "rules.yaml", place) for place, one in enumerate(rules)]
    generation = Generation(rules=forms, state_machines={"alert": machines.stored(MACHINE)})
    current.put(InForce(1, generation, revisions={SENT: revision}))


def _asked() -> Asked:
    named = {"namespace": "drills", "tenant": "default", "provider": SENT, "action_type": "alert"}
    number = random.randrange(EVENTS)
    return Asked(
        caller=CALLER,
        dispatch=Dispatch(
            **named, payload={}, fingerprint=f"e/{number}", status=random.choice(_STATES), labels={"n": str(number)}
        ),
    )


def _move() -> None:
    chance = random.random()
    if chance < 0.2:
        number = random.randrange(EVENTS)
        moves.transition(events.event_id("default", "drills", f"e/{number}"), random.choice(_STATES), "kim")
    elif chance < 0.3:
        timeouts.move_late(TimeSlice())
    else:
        accept.accept([_asked() for _ in range(random.choice([1, 1, 1, 4]))])


def _work(done: "itertools.count[int]", word: str) -> None:
    while True:
        try:
            _move()
        except Unavailable:  # SQLite's lock was held by another for long
            continue
        except CallerError:  # a person is told what is not allowed
            pass
        if next(done) == 200:
            print(word, flush=True)


def main(word: str, revision: str) -> None:
    """Work until the end."""
    put(revision)
    done = itertools.count(1)
    for _ in range(THREADS):
        threading.Thread(target=_work, args=(done, word), daemon=True).start()
    threading.Event().wait()
