"""Branches that came in one message, carried out side by side.

A message costs more than a short call, so the branches of a wide parallel step come in a few messages
(``tasks.canvas``). A worker carries those of one message out on lanes: threads of its own beside Celery's. The message
is done when all of them are, which is what the chord counts; each branch is claimed and ended by itself.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

#: branches that one process carries out at the same time beside its other work
LANES = 16

_lock = threading.Lock()
_pool: tuple[int, ThreadPoolExecutor] | None = None


def _mine() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603 - one per process
    with _lock:
        if _pool is None or _pool[0] != os.getpid():
            _pool = os.getpid(), ThreadPoolExecutor(LANES, thread_name_prefix="lane")
        return _pool[1]


def carry_out(work: Callable[[Any, str], str], message_id: str, execution_ids: list[str]) -> str:
    """Do ``work(task, execution_id)`` for each, side by side; returns how many went how, in words."""
    task = SimpleNamespace(request=SimpleNamespace(id=message_id, chain=None, chord=None))
    words = list(_mine().map(lambda execution_id: work(task, execution_id), execution_ids))
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
