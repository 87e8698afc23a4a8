"""A process for tests to kill: sixteen threads trigger actions that rules count, until its end.

``WORD SENT ONCE LIMIT HOSTS TURNS`` are a word for its lines, the revision of a provider and four actions: equal
triggers of the first go out once, the second has a limit, the third a limit of different hosts, the fourth a slot for
each. Some triggers of the first are carried out and fail, with or without doubt, at the first attempt or the second;
the logs of the row tell of a first one in doubt. Equal dispatches by the provider go out once, and fail for certain a
moment later, so that their few keys are taken, found held and freed all the time; a process that is refused for one
that it has seen fail ends at once. It says a line once it has accepted a hundred of all.
"""

import itertools
import os
import random
import sys
import threading
from typing import Any

from config.errors import Unavailable
from gateway.requests import Dispatch
from playbooks.states import Status, WaitingFor
from store.access import Caller
from store.engine import db
from store.executions import transitions
from tasks.intake.dispatch import DispatchRequest, dispatch
from tasks.intake.dispatches import accept
from tasks.intake.dispatches.rows import Asked
from tests.support import force
from tests.support.force import rule

THREADS = 16
CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset())
#: what the rules let through
MOST, MOST_HOSTS, APART_MS = 60, 5, 1_000
_FAILED = {"code": "http_error", "message": "502"}
OWNER = "steps@contender"
#: in the logs of an execution whose first attempt may have had its effect
IN_DOUBT = "in doubt"
#: the provider, and the type of what goes out by it
SENT = "drill"
#: keys of dispatches that are contended for at the same time, and for how long, ms
KEYS, FOR_MS = 6, 4_000


def rules(once: str, limit: str, hosts: str, turns: str) -> list[dict]:
    """The rules, one for each action and one for the dispatches."""
    about = {name: {"field": "action.action_type", "eq": name} for name in (once, limit, hosts, turns, SENT)}
    hour = {"window_seconds": 3600}
    paced = {"max_count": 3600, "on_excess": "wait", "max_wait_seconds": 604_800}
    return [
        rule("once", "deduplicate", about[once], ttl_seconds=3600, key_fields=["payload.host"]),
        rule("sent", "deduplicate", about[SENT], ttl_seconds=3600, key_fields=["payload.host"]),
        rule("limit", "throttle", about[limit], max_count=MOST, by=["payload.host"], **hour),
        rule("hosts", "throttle", about[hosts], max_count=MOST_HOSTS, distinct="action.payload.host", **hour),
        rule("turns", "throttle", about[turns], **paced, **hour),
    ]


def _end(execution_id: str) -> None:
    """Carry it out as a worker does: it fails for certain, in doubt, or completes, perhaps after a first failure."""
    logs: list[str] = []
    if random.random() < 0.5:
        error = _failure()
        logs = [IN_DOUBT] if "effect_possible" in error else []
        if not _attempt(execution_id, Status.WAITING, error, logs, waiting_for=WaitingFor.RETRY, due_at=db.now_ms()):
            return
    to = random.choice([Status.FAILED, Status.FAILED, Status.COMPLETED])
    _attempt(execution_id, to, _failure() if to == Status.FAILED else None, logs)


def _failure() -> dict[str, Any]:
    return {**_FAILED, "outcome_unknown": False, **random.choice([{}, {}, {"effect_possible": True}])}


def _attempt(execution_id: str, to: Status, error: Any, logs: list[str], **more: Any) -> bool:
    record = {"output": None, "error": error, "report": None, "logs": logs}
    with db.write() as connection:
        row = transitions.claim(connection, execution_id, OWNER, 60_000)
        return row is not None and transitions.finish(
            connection, execution_id, to, owner=OWNER, attempt=row.attempt, record=record, **more
        )


def _send() -> None:
    """Dispatches about one host: each that goes out fails for certain, which frees its key for the next."""
    host = f"{db.now_ms() // FOR_MS}-{random.randrange(KEYS)}"
    named = {"namespace": "drills", "tenant": "default", "provider": SENT, "action_type": SENT}
    freed: set[str] = set()
    for _ in range(3):
        (taken,) = accept.accept([Asked(caller=CALLER, dispatch=Dispatch(**named, payload={"host": host}))])
        if not isinstance(taken, accept.Taken) or getattr(taken.outcome, "of", None) in freed:
            sys.stderr.write(f"a key that is free was refused: {taken} behind {freed}\n")
            os._exit(1)
        if taken.outcome is not None:
            return
        if _attempt(taken.subject, Status.FAILED, {**_FAILED, "outcome_unknown": False}, []):
            freed.add(taken.subject)


def _trigger(actions: list[str]) -> None:
    once = actions[0]
    action = random.choice(actions)
    host = f"h-{random.randrange(3 if action == actions[1] else 40)}"
    made = dispatch(DispatchRequest(caller=CALLER, action_id=action, parameters={"host": host}))
    if action == once and made.status == Status.PENDING and random.random() < 0.6:
        _end(made.execution_id)


def _work(actions: list[str], accepted: "itertools.count[int]", word: str) -> None:
    while True:
        try:
            _send() if random.random() < 0.3 else _trigger(actions)
        except Unavailable:  # SQLite's lock was held by another for long
            continue
        if next(accepted) == 100:
            print(word, flush=True)


def main(word: str, sent: str, *actions: str) -> None:
    """Work until the end."""
    force.put(*rules(*actions), revisions={SENT: sent})
    accepted = itertools.count(1)
    for _ in range(THREADS):
        threading.Thread(target=_work, args=(list(actions), accepted, word), daemon=True).start()
    threading.Event().wait()
