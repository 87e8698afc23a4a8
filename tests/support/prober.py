"""A process for tests to freeze and kill: sixteen threads send dispatches by one provider and carry them out.

``WORD PROVIDER BOOK`` are the name under which it follows the configuration, the provider, and the file in which it
notes each dispatch: its id, when it was begun (``time.monotonic``), how it has ended, and the word.
"""

import threading
import time
from pathlib import Path

from config.errors import Unavailable
from gateway.requests import Dispatch
from store.access import Caller
from tasks.attempts import action
from tasks.generations import follow
from tasks.intake.dispatches import accept as dispatches
from tasks.intake.dispatches.batch import Taken
from tasks.intake.dispatches.rows import Asked

THREADS = 16
CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset())


def _work(provider: str, book: Path, word: str) -> None:
    with book.open("a", buffering=1) as notes:
        while True:
            dispatch = Dispatch(
                namespace="probes", tenant="default", provider=provider, action_type="probe", payload={"to": word}
            )
            try:
                [taken] = dispatches.accept([Asked(caller=CALLER, dispatch=dispatch)])
                assert isinstance(taken, Taken)
                begun = time.monotonic()
                ending = action.attempt(taken.subject)
            except Unavailable:  # SQLite's lock was held by another for long
                continue
            code = (getattr(ending, "error", None) or {}).get("code")
            notes.write(f"{taken.subject} {begun} {ending.status} {code} {word}\n")


def main(word: str, provider: str, book: str) -> None:
    """Work until the end."""
    follow.begin(word)
    for _ in range(THREADS):
        threading.Thread(target=_work, args=(provider, Path(book), word), daemon=True).start()
    threading.Event().wait()
