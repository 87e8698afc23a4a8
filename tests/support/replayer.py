"""A process for tests to kill: eight threads replay the same records, in bites of different sizes, until its end.

``REVISION`` is the provider's; the ids of the records follow. When a thread has been through all of them it writes a
line with what each was replayed as, and goes on with those that are still refused, or from the beginning.
"""

import json
import os
import random
import sys
import threading

from config.errors import CallerError, Unavailable
from store.access import Caller
from store.engine import db
from store.records import listing
from tasks.intake.dispatches import replays
from tasks.intake.dispatches.replays import Sender
from tests.support import force

THREADS = 8
SENT = "drill"


def _replay(number: int, word: str, ids: list[int]) -> None:
    permissions = frozenset({"dispatch", "read:audit", "execute:actions"})
    caller = Caller(key_id=f"{word}-{number}", workspace_id="default", role="admin", permissions=permissions)
    while True:
        made, size = {}, random.randint(1, replays.BITE)
        for first in range(0, len(ids), size):
            made.update(_bite(ids[first : first + size], Sender(caller=caller)))
        os.write(1, f"{json.dumps(made)}\n".encode())


def _bite(ids: list[int], sender: Sender) -> dict[str, str]:
    while True:
        try:
            with db.read() as connection:
                rows = listing.to_replay(connection, ids)
            found = replays.sent(rows, sender)
        except Unavailable:  # SQLite's lock was held by another for long; the same again
            continue
        retry = [one for one in found if isinstance(one, CallerError) and one.code == "id_in_use"]
        if retry:
            continue
        faults = [one for one in found if isinstance(one, CallerError)]
        if faults:
            sys.stderr.write(f"not replayed: {faults}\n")
            os._exit(1)
        return {row.subject: one.subject for row, one in zip(rows, found, strict=True)}


def main(word: str, revision: str, *ids: str) -> None:
    """Work until the end."""
    force.put(revisions={SENT: revision})
    for number in range(THREADS):
        threading.Thread(target=_replay, args=(number, word, [int(one) for one in ids]), daemon=True).start()
    threading.Event().wait()
