"""The operator's functions of the crash tests, with effects or poison."""

import os
import signal
import time
import urllib.request
from typing import Annotated

from providers.functions import Context, Secret, action


@action()
def post_to(url: str, *, context: Context) -> dict:
    """Call the receiver with the execution's idempotency key."""
    call = urllib.request.Request(url, data=b"{}", headers={"Idempotency-Key": context.idempotency_key})
    with urllib.request.urlopen(call, timeout=20) as answer:
        return {"status": answer.status}


@action()
def tell_secret(token: Annotated[str, Secret], *, context: Context) -> dict:
    """Do everything with a secret that should not be done with it."""
    print(f"the token is {token}")
    context.log(f"the token is {token}")
    context.log("x" * 2030 + token)
    raise RuntimeError(f"cannot log in with {token}")


@action()
def exit_now() -> dict:
    """End the process without a word."""
    os._exit(3)


@action()
def kill_parent() -> dict:
    """Take the whole worker down."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return {}


@action()
def spin() -> dict:
    """Never return."""
    while True:
        pass


@action()
def spin_in_c() -> dict:
    """Never return, from inside one C call that no exception can interrupt."""
    return {"sum": sum(range(10**15))}


@action()
def swallow_everything() -> dict:
    """Never return, whatever is raised."""
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue
