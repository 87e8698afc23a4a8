"""The remote-control commands that a worker obeys: reads, and ``revoke``.

A program with access to the broker can send commands. Those that would stop or starve a worker unseen (rate limits,
time limits, queues taken away, pools made smaller, a shutdown) are not there. ``revoke`` is, because it saves a query
for each message of a cancelled run; it ends nothing that runs, and is forgotten soon: tick publishes again what is
pending all the same.
"""

import inspect
from collections.abc import Callable
from typing import Any

from celery.worker import control, pidbox, state

from config import logs
from tasks.broker import dropped
from worker.consumer import is_id

#: the reads of Flower, ``celery inspect`` and ``celery status``
LOOKS = (
    "active",
    "active_queues",
    "clock",
    "conf",
    "heartbeat",
    "ping",
    "query_task",
    "registered",
    "reserved",
    "revoked",
    "scheduled",
    "stats",
)
#: a monitor switches the events of tasks on and off by these
WATCHES = ("enable_events", "disable_events")
#: how long a worker drops the messages of an execution that is revoked, seconds, and of how many
REVOKED_FOR, MOST_REVOKED = 300, 50_000

_MEMBERS = ("method", "arguments", "destination", "pattern", "matcher", "reply_to", "ticket")

log = logs.logger(__name__)


def revoke(_state: Any, task_id: Any = None, **_: Any) -> dict[str, str]:
    """Drop the messages of executions that are over.

    Running executions go on, whatever else the command asks for.
    """
    for each in (task_id if isinstance(task_id, list) else [task_id])[:MOST_REVOKED]:
        if is_id(each):
            state.revoked.add(each)
    return {"ok": "noted"}


class _Offered(dict[str, Callable[..., Any]]):
    """The commands on offer.

    Any other command is answered with an error, and its name is kept nowhere.
    """

    def __missing__(self, _name: object) -> Callable[..., Any]:
        return _not_offered


def _not_offered(_state: Any, **_: Any) -> dict[str, str]:
    log.warning("remote control command refused: not supported")
    return {"error": "not offered"}


def _fault(body: Any, headers: Any) -> str:
    """The fault of a decoded message; empty for a command."""
    if not isinstance(body, dict) or not isinstance(headers, dict):
        return "form"
    method, arguments, reply_to = body.get("method"), body.get("arguments") or {}, body.get("reply_to")
    if not isinstance(method, str) or not isinstance(arguments, dict):
        return "method"
    try:
        inspect.signature(control.Panel.data[method]).bind(None, **arguments)
    except TypeError:
        return "arguments"
    places = [reply_to.get("exchange"), reply_to.get("routing_key")] if isinstance(reply_to, dict) else [reply_to or ""]
    texts = [*places, *(body.get(key) or "" for key in ("pattern", "matcher", "ticket"))]
    whom = body.get("destination")
    addressed = isinstance(whom or [], list) and all(isinstance(text, str) for text in texts) and reply_to != ""
    return "" if addressed and isinstance(headers.get("clock") or 0, int) else "address"


class Mailbox(pidbox.Pidbox):  # type: ignore[misc]
    """The mailbox for commands.

    Celery opens a new channel after each message that makes no sense.
    """

    def on_message(self, body: Any, message: Any) -> None:
        """Runs each command that arrives."""
        why = _fault(body, message.headers)
        if why:
            dropped("commands", why)
        else:
            super().on_message({key: body.get(key) for key in _MEMBERS}, message)


def restrict() -> None:
    """Remove every command from this process that is not offered.

    Call it before the worker consumes.
    """
    known = control.Panel.data
    control.Panel.data = _Offered({name: known[name] for name in (*LOOKS, *WATCHES)} | {"revoke": revoke})
    pidbox.Pidbox = Mailbox
    state.revoked.expires = REVOKED_FOR
