"""The executor ``local``: one of the operator's Python functions, or a script.

``config`` is ``{handler: name}``, ``{interpreter, script}`` or, for a function of a bundle (``providers.bundled``),
``{bundle, digest, handler}``. A function runs in this process when
the execution is live, because it is the operator's own code and may need the operator's network; in mode
``sandbox`` it runs isolated, without network, so that it can reach no other system. A script always
runs isolated (``providers.sandbox.script``).
"""

import difflib
import sysconfig
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tocsin import actions
from tocsin.actions.http import Http

from config.errors import Problem
from config.types import Json
from playbooks.states import Mode
from providers import functions, members
from providers.base import Call, ProviderError
from providers.bundled import running
from providers.bundled.requests import Outgoing
from providers.handlers.library import Library, library
from providers.sandbox import recipe, script
from providers.sandbox.capture import capture

SECRETS: tuple[str, ...] = ()

_PROJECT = Path(__file__).parent.parent
# Everything that the runner inside the sandbox imports; nothing else of the project is visible there.
_RUNNER = (
    "config/errors.py",
    "config/types.py",
    "playbooks/states.py",
    "providers/base.py",
    "providers/sandbox/capture.py",
    "providers/functions.py",
    "providers/handlers/library.py",
    "providers/handlers/loading.py",
    "providers/handlers/snapshot.py",
    "providers/sandbox/handler.py",
)
#: the authors' API, without the rest of the distribution
_AUTHORS = Path(actions.__file__).parent
_ACTIONS_BYTES = 8 * 1024 * 1024


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:  # noqa: ARG001 - no templates here
    """Every fault of ``config``."""
    unknown = members.check(config, _KEYS)
    if "bundle" in config:
        return [*unknown, Problem("/bundle", "actions of bundles are made by POST /api/bundles, and changed there")]
    if "handler" in config and ("script" in config or "interpreter" in config):
        return [*unknown, Problem("", "give either handler, or interpreter and script, not both")]
    if "handler" in config:
        return unknown + _check_handler(config["handler"])
    if "script" in config or "interpreter" in config:
        return unknown + script.check(config)
    return [*unknown, Problem("", "give either handler (a function), or interpreter and script")]


_KEYS = ("handler", "interpreter", "script", "bundle", "digest")


def _check_handler(name: Any) -> list[Problem]:
    found = library()
    if found.find(name) is not None:
        return []
    known = found.present().handlers
    near = difflib.get_close_matches(str(name), known, n=1)
    advice = f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(known)) or 'none'}"
    return [Problem("/handler", f"no function of this name in {_searched()}; {advice}")]


def _searched() -> str:
    """Where functions are looked for, and the files there that cannot be loaded."""
    found = library()
    broken = ", ".join(fault.place for fault in found.present().faults)
    where = " or ".join(map(str, found.folders)) or "TOCSIN_ACTIONS_DIR, which names no folder"
    return f"{where} (cannot be loaded: {broken})" if broken else where


def plan(call: Call) -> Json:
    """What would run, without the values."""
    if "bundle" in call.config:
        return running.plan(call)
    if "handler" not in call.config:
        return script.plan(call)
    handler = _handler(call)
    return {
        "executor": "local",
        "handler": handler.name,
        "description": handler.description,
        "parameters": sorted(call.parameters),
        "timeout_seconds": round(call.seconds_left),
    }


def perform(call: Call) -> Json:
    """Run the function or script and return its output.

    Raises:
        ProviderError: ``unknown_handler``, ``bad_parameters``, ``handler_failed``, ``bad_output``, and what
            ``script.perform`` and ``bundled.running.perform`` raise.
    """
    if "bundle" in call.config:
        return running.perform(call)
    if "handler" not in call.config:
        return script.perform(call)
    handler = _handler(call)
    if call.mode == Mode.SANDBOX:
        return _perform_inside(call, handler)
    call.checkpoint()
    with capture(call.log) as lines:
        context = functions.Context(
            call.execution_id,
            _target(call),
            call.idempotency_key,
            lines,
            datetime.now(UTC) + timedelta(seconds=call.seconds_left),
            Http(Outgoing(call, None, "").send),
            is_cancelled=lambda: call.aborted() or call.seconds_left <= 0,
        )
        return functions.invoke(handler, call.parameters, context)


def _handler(call: Call) -> functions.Handler:
    name = call.config["handler"]
    found = library().find(name)
    if found is None:
        raise ProviderError("unknown_handler", f"no function {name} in {_searched()}")
    return found


def _target(call: Call) -> str:
    return str(call.context.get("target") or "")


def _perform_inside(call: Call, handler: functions.Handler) -> Json:
    python, readonly = script.command("python")
    packages = Path(sysconfig.get_path("purelib"))
    if recipe.reachable(packages):
        readonly = [*readonly, packages]
    call.checkpoint()
    about = {
        "execution_id": call.execution_id,
        "target": _target(call),
        "idempotency_key": call.idempotency_key,
    }
    finished, last = running.converse(
        [*python, "-m", "providers.sandbox.handler"],
        {"handler": handler.name, "parameters": dict(call.parameters), "context": about},
        lambda asking: Outgoing(asking, None, "").send,
        call,
        files=_files(library()),
        env={"PYTHONPATH": f"/job/project:{packages}"},
        readonly=readonly,
    )
    script.record(call, finished, {"interpreter": "python", "handler": handler.name})
    return running.output(finished, last, call.shown)


def _files(known: Library) -> dict[str, bytes]:
    """The runner and the actions folders, as contents.

    The folders themselves may be closed to the sandbox. Python files are those that this process has loaded.
    """
    packages = ("config", "tocsin", "providers", "providers/sandbox", "providers/handlers")
    files = {f"/job/project/{package}/__init__.py": b"" for package in packages}
    for name in _RUNNER:
        files[f"/job/project/{name}"] = (_PROJECT / name).read_bytes()
    for path in recipe.sources(_AUTHORS):
        files[f"/job/project/tocsin/actions/{path.relative_to(_AUTHORS)}"] = path.read_bytes()
    room, sources = _ACTIONS_BYTES, known.present().contents
    for number, folder in enumerate(known.folders):
        for path in sorted({*folder.rglob("*"), *(one for one in sources if one.is_relative_to(folder))}):
            inner = path.relative_to(folder)
            hidden = any(part.startswith((".", "__pycache__")) for part in inner.parts)
            if hidden or not (path in sources or (path.is_file() and path.suffix != ".py")):
                continue
            room -= len(sources[path]) if path in sources else path.stat().st_size
            if room < 0:
                raise recipe.unavailable(f"{folder} holds more than {_ACTIONS_BYTES >> 20} MiB")
            files[f"/job/actions/{number:03}/{inner}"] = sources[path] if path in sources else path.read_bytes()
    return files
