"""Another workspace asks for little, during the load of the first."""

import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.client import Api
from tests.support.stack import Stack
from tests.support.waiting import eventually


@dataclass
class Asked:
    """Executions of one kind with their durations, and undisturbed ones for comparison."""

    kind: str
    undisturbed: list[float]
    ids: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)

    @property
    def middle(self) -> float:
        """How long the middle one took, seconds."""
        return statistics.median(self.took)

    @property
    def words(self) -> str:
        """Figures for people."""
        before = statistics.median(self.undisturbed)
        most = max(self.took)
        return (
            f"{self.kind}: {self.middle:.2f} s, at most {most:.2f} s of {len(self.took)} (undisturbed {before:.2f} s)"
        )


class Others:
    """Another workspace's caller of an ordinary action and a containment."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        workspace = f"small-{uuid.uuid4().hex[:8]}"
        printed = stack.run_once(workspace, ["python", "-m", "launcher.key", "--workspace", workspace])
        self.api = Api(stack.url, printed.strip().splitlines()[-1])
        config = {"url": f"{stack.sink.url}/ok?{workspace}"}
        self._actions = {kind: self.api.create_action(type=kind, config=config) for kind in ("webhook", "containment")}
        self._undisturbed: dict[str, list[float]] = {}
        for kind in self._actions:
            asked = Asked(kind, [])
            asked.ids = [self._ask(kind) for _ in range(5)]
            self._learn(asked, 30)
            self._undisturbed[kind] = asked.took

    def _ask(self, kind: str) -> str:
        return self.api.trigger(self._actions[kind])

    @contextmanager
    def asking(self, *, every: float = 0.5, patience: float = 60) -> Iterator[list[Asked]]:
        """Trigger during the block, then wait ``patience`` seconds at most."""
        asked = [Asked(kind, self._undisturbed[kind]) for kind in self._actions]
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(every):
                for one in asked:
                    one.ids.append(self._ask(one.kind))

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield asked
        finally:
            over.set()
            thread.join()
        for one in asked:
            self._learn(one, patience)

    def _learn(self, asked: Asked, patience: float) -> None:
        """Record how long each took, or has taken so far."""
        wanted = set(asked.ids)
        until = time.monotonic() + patience

        def rows() -> list[dict[str, Any]]:
            names = ", ".join(f"'{name}'" for name in wanted)
            found = self.stack.rows(f"SELECT id, queue, created_at, completed_at FROM executions WHERE id IN ({names})")
            ended = all(row["completed_at"] for row in found)
            return found if ended or time.monotonic() > until else []

        found = eventually(rows, patience + 30, "they have ended, or it is given up", every=0.2)
        now = time.time() * 1000
        asked.took = [((row["completed_at"] or now) - row["created_at"]) / 1000 for row in found]
        asked.queues = {row["queue"] for row in found}
