"""How an attempt asks for an approval: its notices, which ``tasks.intake`` prepares, go out with it.

The room of dispatches stands on that of attempts. So the processes that make attempts install here what writes an
approval (``tasks.intake.notices``).
"""

from collections.abc import Callable
from typing import Any

from playbooks.states import Mode
from store.engine.db import Connection
from store.gateway.approvals import Approval
from tasks.messages.model import Canvas

#: writes an approval in a transaction; the messages to publish after the commit
Writing = Callable[[Connection], list[Canvas]]
#: prepares that, outside of any transaction, of an approval, what it is about, the mode of its execution, and the event
#: that has led to it
Preparing = Callable[[Approval, Any, Mode, str | None], Writing]

_preparing: list[Preparing] = []


def install(preparing: Preparing) -> None:
    """Have this process ask in this way."""
    _preparing[:] = [preparing]


def prepared(new: Approval, payload: Any, mode: Mode, before: str | None) -> Writing:
    """What writes an approval, with its notices.

    Raises:
        Unavailable: the database is away.
    """
    return _preparing[0](new, payload, mode, before)
