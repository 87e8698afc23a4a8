"""A process for tests that seals the trail without a pause, until its input ends: as one of several control workers."""

import select
import sys

from tasks.clock.duty import TimeSlice
from tasks.clock.trail import sealing

if __name__ == "__main__":
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        sealing.seal(TimeSlice())
