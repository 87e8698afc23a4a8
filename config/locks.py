"""Mutexes for a few statements, none of which waits.

In a process of greenlets the ordinary lock lets others go on while it is waited for, and costs more than the addition
that it guards. No greenlet ever waits for one of these, because a greenlet that holds it goes on to its end; they keep
threads apart where there are any.
"""

import sys
import threading


def brief() -> threading.Lock:
    """A lock that the interpreter itself provides: its holder must not wait for anything."""
    monkey = sys.modules.get("gevent.monkey")
    made: threading.Lock = threading.Lock() if monkey is None else monkey.get_original("_thread", "allocate_lock")()
    return made
