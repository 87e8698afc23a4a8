"""Flower's settings: it watches workers and tasks and changes nothing.

The broker is that of the Celery app. Flower runs this file with ``--conf``; each name is one of its options. Address,
port and the password come from the Procfile. Beyond options it closes three gaps: figures need the password, as in
Tocsin's own API; a client that guesses passwords has to wait; and Flower asks for the events of tasks as soon as it can
receive them, not five seconds later. ``/healthcheck`` stays open: it says that Flower lives, and nothing else.
"""

import collections
import time
from typing import Any

from flower.events import EventReceiver  # type: ignore[import-untyped]
from flower.views import BaseHandler  # type: ignore[import-untyped]
from flower.views.monitor import Metrics  # type: ignore[import-untyped]
from tornado.web import HTTPError, authenticated

#: tasks are revoked through the API only, because it keeps the records
read_only = True
natural_time = False
tasks_columns = "name,uuid,state,args,received,started,runtime,worker"
#: how much Flower remembers, in memory only; the database has the rest
max_tasks = 10_000
max_workers = 500
persistent = False
#: forget workers that have been gone for this long, seconds
purge_offline_workers = 600
#: the control worker reports tasks once a monitor has asked for them
enable_events = True
#: how long a worker may take to answer, milliseconds
inspect_timeout = 2000.0
#: a worker that does not answer at once, such as one that is starting, is no news
logging = "error"

#: wrong passwords from one address within these seconds, after which none is checked
_WRONG, _SECONDS = 20, 60.0
#: addresses remembered; a guesser with more addresses starts again at zero
_ADDRESSES = 10_000
_wrong: dict[str, collections.deque[float]] = {}
_checked = BaseHandler.get_current_user
_wake_up = EventReceiver.wakeup_workers


def _get_current_user(handler: BaseHandler) -> object:
    """Flower's own check, slowed down for guessers.

    A client that sends no password at all is no guesser.
    """
    guessing = bool(handler.request.headers.get("Authorization"))
    earlier = _wrong.get(handler.request.remote_ip, collections.deque())
    if guessing and len(earlier) == _WRONG and time.monotonic() - earlier[0] < _SECONDS:
        raise HTTPError(429, "too many wrong passwords; wait a minute")
    try:
        return _checked(handler)
    except HTTPError:
        if guessing:
            if len(_wrong) >= _ADDRESSES:
                _wrong.clear()
            _wrong.setdefault(handler.request.remote_ip, collections.deque(maxlen=_WRONG)).append(time.monotonic())
        raise


def _wakeup_workers(receiver: EventReceiver, **options: Any) -> None:
    """Celery's own call when events can be received, and the request for those of tasks."""
    _wake_up(receiver, **options)
    receiver.app.control.enable_events(connection=receiver.connection, **options)


EventReceiver.wakeup_workers = _wakeup_workers
BaseHandler.get_current_user = _get_current_user
Metrics.get = authenticated(Metrics.get)
