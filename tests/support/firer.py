"""A process for tests to kill: it fires what is due, again and again."""

import sys
import time

from gateway import current
from gateway.configuration.generation import EMPTY
from gateway.current import InForce
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import recurring

#: the provider
SENT = "drill"


def _main(revision: str) -> None:
    recurring.BATCH = 20  # so that many transactions can be interrupted
    current.put(InForce(1, EMPTY, revisions={SENT: revision}))
    while True:
        recurring.fire_due(TimeSlice())
        time.sleep(0.01)


if __name__ == "__main__":
    _main(sys.argv[1])
