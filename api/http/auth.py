"""Authenticates the caller of a request, and checks its permission.

Before any handler but the open ones runs, ``identify`` finds the caller behind the key or the token and counts the
request; ``requires`` on each handler then checks the permission, and leaves it on the handler for the documentation and
for the test that checks every route.
"""

import functools
import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from flask import Request, current_app, g
from werkzeug.exceptions import MethodNotAllowed

from api.http import body, errors
from api.http.blueprint import notes
from api.http.current_request import present
from api.http.load import LISTS
from api.http.rate_limits import Limiter
from config import logs
from config.errors import Forbidden, InvalidRequest, Problem, Unavailable
from config.networks import network
from config.pointers import step
from store import access
from store.access import Caller
from store.callers import known
from store.engine import db
from store.engine.db import Connection
from tasks.offload import pool

#: a key's use is noted at most this often, seconds
_NOTED_EVERY = 60.0

#: how long a recognised key is not looked up again, seconds; and the number of keys remembered
_REMEMBERED = 1.0
_MOST_KNOWN = 1_000

View = Callable[..., Any]

log = logs.logger(__name__)
_noted: dict[str, float] = {}
#: SHA-256 of a key or token → its caller, and the time (monotonic) until which that is valid
_known: dict[bytes, tuple[Caller, float]] = {}
_writers: set[threading.Thread] = set()
_lock = threading.Lock()


def identify(asked: Request) -> None:
    """Find the caller of the present request and count the request.

    Raises:
        Unauthorized: no valid key. TooManyRequests. Unavailable: the database cannot be asked.
    """
    if asked.method == "OPTIONS" or _is_public(asked):
        limiter().allow(f"address/{network(asked.remote_addr or '')}")
        return
    key = _presented(asked)
    if key is not None and (found := _recognised(key)) is not None:
        g.caller = found
        pool.serve(found.key_id)
        limiter().allow(f"key/{found.key_id}")
        return
    _refuse(asked, key)


def _is_public(asked: Request) -> bool:
    """Whether anyone may ask: for an open operation, and for the methods that its path lacks."""
    route = getattr(asked, "route", None)
    if route is not None:
        return bool(route.public)
    views, refused = current_app.view_functions, asked.routing_exception
    if not isinstance(refused, MethodNotAllowed):
        return getattr(views.get(asked.endpoint or ""), "public", False)
    adapter = current_app.create_url_adapter(asked)
    methods = set(refused.valid_methods or ()) - {"OPTIONS"}
    endpoints = [adapter.match(method=method)[0] for method in methods] if adapter else []
    return bool(endpoints) and all(getattr(views.get(one), "public", False) for one in endpoints)


def limiter() -> Limiter:
    """What counts the requests of callers."""
    counting: Limiter = current_app.extensions["tocsin.limiter"]
    return counting


def _refuse(asked: Request, key: str | None) -> NoReturn:
    limiter().refuse_guessing(asked.remote_addr or "")
    if key is None:
        raise errors.unauthorized("Send an API key, as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'.")
    raise errors.unauthorized("The API key or token is wrong, expired or revoked.")


def reader() -> Caller | None:
    """The caller of an open operation, if a valid key lets them read.

    A caller without a key may not read. Neither is counted, so that no flood keeps a load balancer from its answer;
    wrong keys are, as everywhere.

    Raises:
        Unauthorized: the key that was shown is not valid. TooManyRequests. Unavailable: the database cannot be asked.
    """
    asked = present()
    key = _presented(asked)
    if key is None:
        return None
    found = _recognised(key)
    if found is None:
        _refuse(asked, key)
    return found if "read:actions" in found.permissions else None


def caller() -> Caller:
    """The caller of the present request."""
    found: Caller = g.caller
    return found


def again() -> Callable[[], Caller | None]:
    """What looks the present caller up again: for an answer that goes on, and may outlast the key."""
    key = _presented(present())
    return lambda: None if key is None else _recognised(key)


def forget(key_id: str, session: str | None = None) -> None:
    """Look a caller up again in this process.

    It is a revoked key, a user who was changed, or one session of a user. Other processes do so within a second.
    """
    for digest, (found, _) in list(_known.items()):
        if found.key_id == key_id and session in (None, found.session):
            _known.pop(digest, None)


def knows(shown: str) -> bool:
    """Whether a request header shows a key that was valid lately.

    It is looked up nowhere.
    """
    scheme, _, key = shown.partition(" ")
    key = key if scheme.lower() == "bearer" else shown
    return _digest(key.strip()) in _known


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()


def _recognised(key: str) -> Caller | None:
    """The caller behind a key or a token.

    A right one is remembered for a second, a wrong one never.
    """
    digest, now = _digest(key), time.monotonic()
    remembered = _known.get(digest)
    if remembered is not None and now < remembered[1]:
        return remembered[0]
    with LISTS.waiting(), db.read() as connection:
        found = access.authenticate(connection, key) or _signed_in(connection, key)
    if found is None:
        _known.pop(digest, None)
        return None
    recognised, due = found
    if due:
        _note_use(recognised.key_id)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[digest] = recognised, now + _REMEMBERED
    return recognised


def _signed_in(connection: Connection, token: str) -> tuple[Caller, bool] | None:
    user = known.authenticate(connection, token)
    return (user, False) if user is not None else None


def _presented(asked: Request) -> str | None:
    scheme, _, key = asked.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        key = asked.environ.get("HTTP_X_API_KEY", "")
    key = key.strip()
    return key if key and key.isprintable() else None


def _note_use(key_id: str) -> None:
    """Record the use of a key in the background.

    The request neither waits for it nor fails with it.
    """
    now = time.monotonic()
    if now - _noted.get(key_id, -_NOTED_EVERY) >= _NOTED_EVERY:
        _noted[key_id] = now
        writer = threading.Thread(target=_write_use, args=(key_id,), name="key-use", daemon=True)
        with _lock:
            _writers.add(writer)
            writer.start()


def _write_use(key_id: str) -> None:
    try:
        with db.write() as connection:
            access.note_use(connection, key_id)
    except Unavailable:
        log.info("use of an API key not recorded: database unavailable", key_id=key_id)
    finally:
        with _lock:
            _writers.discard(threading.current_thread())


def drain(seconds: float) -> bool:
    """Wait at most ``seconds`` until every use of a key is recorded.

    Returns whether that is so.
    """
    give_up = time.monotonic() + seconds
    with _lock:
        writers = list(_writers)
    for writer in writers:
        writer.join(max(0.0, give_up - time.monotonic()))
    return not _writers


def requires(permission: str | None, *others: str) -> Callable[[View], View]:
    """Let only callers with ``permission``, and all ``others``, through; every caller where there is none.

    Marks the handler with the permission, and documents it.
    """
    scopes = [permission, *others] if permission else []

    def decorate(view: View) -> View:
        documented = notes(view, security=[{"bearer": scopes}, {"apiKey": scopes}])
        taken = [parameter["in"] for parameter in documented.get("arguments", {}).get("parameters", ())]
        takes_query, takes_body = "query" in taken, "json" in taken or getattr(view, "reads_body", False)

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            held = g.caller.permissions if scopes else ()
            for needed in scopes:
                if needed not in held:
                    raise Forbidden(f"This needs the permission {needed}, which the key does not carry.")
            asked = present()
            if not takes_query and asked.query_string:
                problems = [Problem("/query" + step(name), "Unknown parameter.") for name in asked.args]
                raise InvalidRequest("This operation takes no query parameters.", problems=problems)
            if not takes_body:
                body.refuse()
            return view(*args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        guarded.permissions = scopes  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: View) -> View:
    """Mark a handler as open to every caller."""
    view.public = True  # type: ignore[attr-defined]
    return view
