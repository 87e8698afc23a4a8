"""Passwords of users, hashed and verified in a helper process.

Both take a tenth of a second by design, in which the web process serves others.
"""

from config.errors import Busy, InvalidRequest, Problem
from store.callers import passwords
from tasks.offload import pool

#: who all the checks of passwords are made for: together they take no more of the helper processes than one caller
_TURN = "sign-in"


def verified(hash_: str, password: str) -> bool:
    """Whether the password has this hash.

    Raises:
        Busy: too many are signing in.
    """
    pool.serve(_TURN)
    try:
        return pool.run(passwords.verify, hash_, password)
    except Busy:
        raise Busy("Too many are signing in at this moment. Try again in a few seconds.") from None


def hashed(password: str, username: str, pointer: str = "/password") -> str:
    """The hash of a new password of a user.

    Raises:
        InvalidRequest: it is the username; the fault is at ``pointer``. Busy: too many are being hashed.
    """
    if password.lower() == username:
        problem = Problem(pointer, "must not be the username")
        raise InvalidRequest("The password is easy to guess.", problems=[problem])
    try:
        return pool.run(passwords.hashed, password)
    except Busy:
        raise Busy("Too many passwords are being set at this moment. Try again in a few seconds.") from None
