"""Passwords, kept as Argon2id hashes.

Both functions take a tenth of a second and 64 MiB by design: a web process has them called in a helper process. Only
that needs the library.
"""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FEWEST_CHARACTERS, MOST_CHARACTERS = 12, 1024
#: no password has this hash; to verify against it takes as long as against any other
NOBODY = f"$argon2id$v=19$m=65536,t=3,p=4${'A' * 22}${'A' * 43}"


def hashed(password: str) -> str:
    """The hash of a new password."""
    return _hasher().hash(password)


def verify(hash_: str, password: str) -> bool:
    """Whether the password has this hash."""
    from argon2.exceptions import InvalidHashError, VerificationError  # only where it is used

    try:
        return _hasher().verify(hash_, password)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _hasher() -> "PasswordHasher":
    """The second recommended choice of RFC 9106."""
    from argon2 import PasswordHasher  # only where it is used

    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
