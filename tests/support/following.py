"""Clients of a stream that are cut off again and again, and whether one was sent everything."""

import random
import threading
import time
from collections.abc import Sequence

import httpx

from tests.support.sse import Event, Listener, Source
from tests.support.stack import Stack


def dispatched(events: list[Event]) -> list[str]:
    """The action ids of what was dispatched."""
    return [event.json["action_id"] for event in events if event.type == "action_dispatched"]


def ended_runs(events: list[Event]) -> set[str]:
    """The runs of which a client was sent the good end."""
    return {
        event.json["execution_id"]
        for event in list(events)
        if event.type == "run_changed" and event.json["status"] == "completed"
    }


class Following:
    """A client that is cut off again and again, and always comes back with the last id."""

    def __init__(self, stack: Stack, path: str, stays: Sequence[float] = (0.0, 0.05, 0.3, 0.8, 4.0)) -> None:
        self.cuts = 0
        self.goes_on = True
        #: whether it is cut off seldom only, so that it comes to an end
        self.calm = False
        self._streams: list[Listener] = []
        self._stack, self.path = stack, path
        self._stays, self._dice = stays, random.Random(7)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def events(self) -> list[Event]:
        """All that has come, before and after each cut."""
        return [event for stream in list(self._streams) for event in list(stream.events)]

    @property
    def last_id(self) -> str:
        """The place to which it has come."""
        return self._streams[-1].last_id if self._streams else ""

    def _follow(self) -> None:
        source = Source(self._stack.url, self._stack.api.key)
        while self.goes_on:
            try:
                stream = source.open(self.path, self.last_id)
            except (httpx.HTTPError, AssertionError):  # nothing answers, or its former place is not free yet
                time.sleep(0.1)
                continue
            self._streams.append(stream)
            stream.is_over.wait(4.0 if self.calm else self._dice.choice(self._stays))
            stream.end()
            self.cuts += 1
        source.close()

    def end(self) -> None:
        """Leave for good."""
        self.goes_on = False
        self._thread.join(60)


def check_whole(client: Following, names: set[str], order: list[str]) -> None:
    """What a client was sent: each event once and in the one order, and what is missing was counted."""
    skipped = sum(event.json["skipped"] for event in client.events if event.type == "lagged")
    ids = [event.last_id for event in client.events if event.type != "lagged"]
    assert len(set(ids)) == len(ids), "none comes twice"
    missing = names - {*dispatched(client.events)}
    assert len(missing) <= skipped, (client.path, client.cuts, len(names), skipped, ids[-1], sorted(missing)[:20])
    common = set(ids) & set(order)
    assert [one for one in ids if one in common] == [one for one in order if one in common]
    assert len(common) > 100
