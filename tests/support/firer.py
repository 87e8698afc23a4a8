"""A process for tests to kill: it fires what is due, again and again."""

import time

from gateway import current
from gateway.configuration.generation import EMPTY
from gateway.current import InForce
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import recurring

#: the provider
SENT = "drill"


def main(revision: str) -> None:
    """Work until the end."""
    recurring.BATCH = 20  # so that many transactions can be interrupted
    current.put(InForce(1, EMPTY, revisions={SENT: revision}))
    while True:
        recurring.fire_due(TimeSlice())
        time.sleep(0.01)
