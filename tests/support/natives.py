"""What a process that gevent has patched still keeps of the library as it was: locks, thread-locals, functions.

Run as a program it does what the supervisor does for the API: it loads what workers need, forks, and patches the child;
the child prints a line for each thing that it finds, before it has imported the API and after.
"""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from types import FrameType, FunctionType, ModuleType
from typing import Any

_KINDS = {type(threading.Lock()): "Lock", type(threading.RLock()): "RLock", threading.local: "local"}
_STANDARD = {"gevent", "greenlet", *sys.stdlib_module_names}


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] not in _STANDARD


def names() -> Iterator[str]:
    """Names of modules, other than the library's own, that stand for what gevent has replaced."""
    from gevent import monkey

    replaced = {id(was): f"{source}.{name}" for source, items in monkey.saved.items() for name, was in items.items()}
    for module, loaded in list(sys.modules.items()):
        if _is_ours(module) and isinstance(loaded, ModuleType) and module != "__main__":
            for name, value in list(vars(loaded).items()):
                if callable(value) and id(value) in replaced:
                    yield f"{module}.{name} is {replaced[id(value)]}"
    for function in gc.get_objects():
        if type(function) is FunctionType and _is_ours(function.__module__ or "") and function.__module__ != "__main__":
            for value in function.__defaults__ or ():
                if callable(value) and id(value) in replaced:
                    yield f"{function.__module__}.{function.__qualname__} has {replaced[id(value)]} as a default"


def locks() -> Iterator[str]:
    """Locks and thread-locals that were not made by gevent, each with what keeps it."""
    held: dict[int, Any] = {}
    for holder in gc.get_objects():
        for value in gc.get_referents(holder):
            if any(isinstance(value, kind) for kind in _KINDS):
                held[id(holder)] = holder
    for holder in held.values():
        owner = _owner(holder)
        if owner:
            yield owner


def _owner(holder: Any) -> str:
    """A holder by its class or module; nothing for what is this program's own, or the library's."""
    if isinstance(holder, FrameType) or holder is _KINDS:
        return ""
    if type(holder) is dict:
        for owner in gc.get_referrers(holder):
            if isinstance(owner, ModuleType) and vars(owner) is holder:
                return owner.__name__ if _is_ours(owner.__name__) and owner.__name__ != "__main__" else ""
            if isinstance(owner, type) and any(it is holder for it in gc.get_referents(owner)):
                return f"{owner.__module__}.{owner.__qualname__}" if _is_ours(owner.__module__) else ""
            if getattr(owner, "__dict__", None) is holder:
                return _of_class(owner)
    return _of_class(holder)


def _of_class(owner: Any) -> str:
    kind = type(owner)
    return f"{kind.__module__}.{kind.__qualname__}" if _is_ours(kind.__module__) else ""


def _main() -> None:
    from worker import supervisor
    from worker.forked import forks, patching

    supervisor.load()
    noted = patching.note()
    gc.freeze()
    if forks.fork(lambda: patching.patch(noted)):
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    gc.unfreeze()
    for when in ("inherited", "with the API"):
        if when != "inherited":
            import api

            api.create_app()
        for found in sorted({*names(), *locks()}):
            print(f"{when}: {found}")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()
