"""gevent in a child whose parent has imported modules without it.

gevent replaces members of the standard library. A module that was imported before may have taken such a member over by
name (``from time import sleep``), or may keep a lock that it has made: waiting for either would stop every request of
the process. In order of time: the parent notes these places before it forks, because looking at an object makes the
child copy it; the child lets gevent patch, puts what gevent has put in place there too, and replaces each lock by a new
one of gevent's. No lock is held then: the parent has one thread, and is not within one.

What this cannot replace (a lock that only a closure or code in C knows) must not be held while anything waits. A test
looks at everything that the API inherits for what is left, and names the few that are and why they do no harm.
"""

import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

#: the kinds of locks, and a new one of each by what is in force
_KINDS: dict[type, Callable[[], Any]] = {
    type(threading.Lock()): lambda: threading.Lock(),  # noqa: PLW0108 - as it is when this is called
    type(threading.RLock()): lambda: threading.RLock(),  # noqa: PLW0108
    threading.local: lambda: threading.local(),  # noqa: PLW0108
}
#: what has no names, and is most of what there is
_KEEP_NONE = {FunctionType, CellType, MethodType, BuiltinMethodType, tuple, list, set, frozenset, property}
#: the modules whose members others take over
_PATCHED = ("_thread", "threading", "time", "socket", "select", "queue", "os", "ssl", "subprocess")
#: gevent knows its way in the standard library, and keeps what it has replaced
_LEFT_ALONE = {"gevent", "greenlet", *sys.stdlib_module_names}
#: but not of the objects that others make of these classes of it
_REPLACED_TOO = ("functools",)


class Name(NamedTuple):
    """A name of a module that stands for a member of another one."""

    module: str
    name: str
    source: str
    member: str


class Default(NamedTuple):
    """A default of a function's argument that is a member of another module."""

    function: FunctionType
    position: int
    source: str
    member: str


class Place(NamedTuple):
    """Where a lock is kept: an attribute of a module, class or object, or a key of a dictionary."""

    holder: Any
    key: Any
    lock: Any


class Noted(NamedTuple):
    """What the parent has found."""

    names: list[Name]
    defaults: list[Default]
    places: list[Place]


def note() -> Noted:
    """Find the places where modules keep what gevent replaces."""
    members = _members()
    return Noted(_names(members), _defaults(members), _places())


def patch(noted: Noted) -> None:
    """Let gevent patch this process and what its parent has noted."""
    of = {at[2:] for at in noted.names} | {at[2:] for at in noted.defaults}
    before = {(source, member): getattr(sys.modules[source], member) for source, member in of}
    from gevent import monkey

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)  # of what was imported before: that is done here
        monkey.patch_all()
    # gevent takes some members away
    new = {(source, member): getattr(sys.modules[source], member, None) for source, member in of}
    replaced = {at: value for at, value in new.items() if value is not before[at]}
    for module, name, source, member in noted.names:
        if (source, member) in replaced:
            setattr(sys.modules[module], name, replaced[source, member])
    for function, position, source, member in noted.defaults:
        if (source, member) in replaced:
            defaults = list(function.__defaults__ or ())
            defaults[position] = replaced[source, member]
            function.__defaults__ = tuple(defaults)
    _renew(noted.places)


def _renew(places: list[Place]) -> None:
    """Replace each lock by a new one of gevent's."""
    new: dict[int, Any] = {}  # a lock that is kept in two places stays one
    for holder, key, old in places:
        lock = new.setdefault(id(old), _KINDS[type(old)]())
        if isinstance(holder, threading.Condition):
            threading.Condition.__init__(holder, lock)  # again: it keeps the methods of its lock
        elif isinstance(holder, dict):
            holder[key] = lock
        else:
            setattr(holder, key, lock)


def _members() -> dict[int, tuple[str, str]]:
    """What gevent may replace, by identity: its module and name."""
    of: dict[int, tuple[str, str]] = {}
    for source in _PATCHED:
        for member, value in vars(sys.modules[source]).items():
            if getattr(value, "__module__", "") in (*_PATCHED, "_queue", "_socket", "posix"):
                of.setdefault(id(value), (source, member))
    return of


def _names(of: dict[int, tuple[str, str]]) -> list[Name]:
    return [
        Name(module, name, *of[id(value)])
        for module, loaded in list(sys.modules.items())
        if module.partition(".")[0] not in _LEFT_ALONE and hasattr(loaded, "__dict__")
        for name, value in list(vars(loaded).items())
        if id(value) in of
    ]


def _defaults(of: dict[int, tuple[str, str]]) -> list[Default]:
    return [
        Default(function, position, *of[id(value)])
        for function in gc.get_objects()
        if type(function) is FunctionType and function.__defaults__
        for position, value in enumerate(function.__defaults__)
        if id(value) in of and (function.__module__ or "").partition(".")[0] not in _LEFT_ALONE
    ]


def _places() -> list[Place]:
    """The locks that are kept under a name, but for those of the standard library's own modules and objects."""
    kept = [holder for holder in gc.get_objects() if type(holder) not in _KEEP_NONE and _keeps_lock(holder)]
    owners: dict[int, Any] = {}
    for owner in gc.get_referrers(*(holder for holder in kept if type(holder) is dict)):
        if isinstance(owner, type):
            owners |= {id(names): owner for names in gc.get_referents(owner) if type(names) is dict}
        elif hasattr(owner, "__dict__"):
            owners[id(vars(owner))] = owner
    found = []
    for holder in kept:
        owner = owners.get(id(holder), holder)
        if isinstance(owner, threading.Condition):
            found.append(Place(owner, "", owner._lock))  # type: ignore[attr-defined] # noqa: SLF001
        elif type(owner) is dict:
            found += [Place(owner, key, value) for key, value in owner.items() if type(value) in _KINDS]
        elif not _is_left_alone(owner):
            found += [Place(owner, name, value) for name, value in _attributes(owner) if type(value) in _KINDS]
    return found


def _keeps_lock(holder: Any) -> bool:
    values = holder.values() if type(holder) is dict else gc.get_referents(holder)
    return not _KINDS.keys().isdisjoint(map(type, values))


def _is_left_alone(owner: Any) -> bool:
    """Whether gevent knows of this module, class or object of a class."""
    if type(owner).__module__ in _REPLACED_TOO:
        return False
    where = owner if isinstance(owner, type | ModuleType) else type(owner)
    return (where.__name__ if isinstance(where, ModuleType) else where.__module__).partition(".")[0] in _LEFT_ALONE


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(owner, "__dict__", {}).items())
    for kind in type(owner).__mro__:
        for name in kind.__dict__.get("__slots__", ()):
            if hasattr(owner, name):
                yield name, getattr(owner, name)
