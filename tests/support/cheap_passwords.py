"""Hashes of passwords that cost next to nothing, for tests in which many users sign in.

The helper processes import this module: it needs no more than the product's own does.
"""

from argon2 import PasswordHasher

_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
#: no password has this hash, as none has that of ``store.callers.passwords``
NOBODY = f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}"


def hashed(password: str) -> str:
    """The hash of a password; it names its cost, so to verify it is cheap too."""
    return _HASHER.hash(password)
