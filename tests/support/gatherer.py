"""A process for tests to kill: sixteen threads send what a rule gathers, another flushes, until its end.

``WORD REVISION`` are the first part of all its ids, and the revision of the provider. Each id that is answered is
written to standard output, with the group and the size that the answer names.
"""

import os
import random
import sys
import threading
import time

from config.errors import CallerError, Unavailable
from gateway.outcomes import Grouped
from gateway.requests import Dispatch
from store.access import Caller
from tasks.intake import summaries
from tasks.intake.dispatches import accept
from tasks.intake.dispatches.rows import Asked
from tests.support import force
from tests.support.force import rule

THREADS = 16
CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset())
SENT = "drill"
#: how many groups are filled at the same time, and the size of a full one
GROUPS, SIZE = 4, 7


def rules() -> list[dict]:
    """One that gathers, in windows of a second."""
    about = {"field": "action.action_type", "eq": "alert"}
    seconds = {"group_wait_seconds": 1, "group_interval_seconds": 1}
    return [rule("gather", "group", about, group_by=["payload.cluster"], max_group_size=SIZE, **seconds)]


def _send(number: int, word: str) -> None:
    place = 0
    while True:
        place += 1
        several = [_asked(f"{word}-{number}-{place}-{part}") for part in range(random.choice([1, 1, 1, 5]))]
        try:
            found = accept.accept(several)
        except Unavailable:  # SQLite's lock was held by another for long; the same ids again
            continue
        lines = []
        for one in found:
            if isinstance(one, CallerError) or not isinstance(one.outcome, Grouped):
                sys.stderr.write(f"not gathered: {one}\n")
                os._exit(1)
            lines.append(f"{one.asked.dispatch.id} {one.outcome.group_id} {one.outcome.group_size}\n")
        os.write(1, "".join(lines).encode())
        time.sleep(random.uniform(0, 0.01))


def _asked(name: str) -> Asked:
    payload = {"cluster": random.randrange(GROUPS), "n": name}
    given = {"namespace": "drills", "tenant": "default", "provider": SENT, "action_type": "alert"}
    return Asked(caller=CALLER, dispatch=Dispatch(**given, payload=payload, id=name if random.random() < 0.5 else None))


def _flush() -> None:
    while True:
        try:
            summaries.flush_due(limit=3)
        except Unavailable:
            continue
        time.sleep(0.02)


def main(word: str, revision: str) -> None:
    """Work until the end."""
    force.put(*rules(), revisions={SENT: revision})
    for number in range(THREADS):
        threading.Thread(target=_send, args=(number, word), daemon=True).start()
    threading.Thread(target=_flush, daemon=True).start()
    threading.Event().wait()
