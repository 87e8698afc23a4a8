"""Names for things: opaque to callers, sortable by time where that saves an index."""

import secrets
import time


def new_id(prefix: str) -> str:
    """A fresh id such as ``exec-0199f3c2a1b4-6d0e8f2c41``: milliseconds, then 40 random bits."""
    return f"{prefix}-{time.time_ns() // 1_000_000:012x}{secrets.token_hex(5)}"
