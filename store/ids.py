"""New ids: opaque, sortable by time where that saves an index."""

import secrets

from store.engine.clock import now_ms


def new_id(prefix: str) -> str:
    """A new id: milliseconds, then 40 random bits.

    For example ``exec-0199f3c2a1b4-6d0e8f2c41``.
    """
    return f"{prefix}-{now_ms():012x}{secrets.token_hex(5)}"
