"""Reads an uploaded bundle: what it is, what it wants, and every fault.

It runs in a helper process, never in the web's own: an archive may be made to cost time and memory to unpack, and the
functions are imported, which happens in the sandbox.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

from tocsin.actions.bundles import archive
from tocsin.actions.bundles.manifest import FILE, Manifest, runs_on
from tocsin.actions.files import Fault
from tocsin.actions.outputs import output_of

from config.types import Json
from providers.base import ProviderError
from providers.bundled import running

#: seconds that importing all files may take
IMPORT_SECONDS = 10.0
MOST_FUNCTIONS = 100
#: faults that an answer names
MOST_FAULTS = 100
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_KINDS: dict[str, type] = {"description": str, "type": str, "parameters": list, "output": dict}
_MEMBERS = ("id", "description", "type", "parameters", "output", "timeout_seconds", "retry", "idempotent", "tags")


def read(content: bytes) -> Json:
    """The bundle in an archive.

    Returns:
        ``faults``, each ``[file, line, message]``; without any also ``manifest``, ``digest``, ``functions`` (each with
        its ``place``: file and line) and ``files``, their number.

    Raises:
        NotAnArchive: the bytes are no zip.
        ProviderError: ``sandbox_unavailable``: this machine cannot isolate a program.
    """
    files, faults = archive.unpack(content)
    manifest: Manifest | None = None
    if not faults:
        manifest, faults = archive.check(files)
    if manifest is not None and not runs_on(manifest.python):
        version = ".".join(map(str, sys.version_info[:2]))
        faults = [Fault(FILE, None, f"it wants Python {manifest.python}; workers have {version}")]
    if faults or manifest is None:
        return {"faults": [_listed(fault) for fault in faults[:MOST_FAULTS]]}
    functions, faults = _functions(files)
    if faults:
        return {"faults": [_listed(fault) for fault in faults[:MOST_FAULTS]]}
    return {
        "faults": [],
        "manifest": manifest.as_json(),
        "digest": archive.digest(files),
        "functions": functions,
        "files": len(files),
    }


def _listed(fault: Fault) -> list[Any]:
    return [fault.file, fault.line, fault.message]


def _functions(files: Mapping[str, bytes]) -> tuple[list[Json], list[Fault]]:
    try:
        said = running.describe(files, timeout=IMPORT_SECONDS)
    except ProviderError as error:
        if error.code == "sandbox_unavailable":
            raise
        last = error.details.get("stderr")
        why = f"{error.message}: {last}" if last else error.message
        return [], [Fault("actions/", None, f"importing the files did not come to an end: {why}")]
    faults = [Fault(_text(file, 250), _line(line), _text(text, 1000)) for file, line, text in _triples(said["faults"])]
    functions = [one for one in said["functions"][: MOST_FUNCTIONS + 1] if isinstance(one, dict)]
    if len(functions) > MOST_FUNCTIONS:
        faults.append(Fault("actions/", None, f"there are more than {MOST_FUNCTIONS} actions"))
    known: set[str] = set()
    faults += [Fault(*_place(one, files), text) for one in functions if (text := _function_fault(one, known))]
    if not functions and not faults:
        faults.append(Fault("actions/", None, "has no action: mark a function with @action()"))
    kept = [{**{name: one.get(name) for name in _MEMBERS}, "place": list(_place(one, files))} for one in functions]
    return kept, faults


def _function_fault(one: Json, known: set[str]) -> str | None:
    """Why what a function says of itself is not taken, or None; what it is worth as an action is checked later."""
    name = one.get("id")
    if not (isinstance(name, str) and _ID.fullmatch(name)):
        return f"{_text(name, 64)!r} is no name of an action: letters, digits, _ . and -"
    if name in known:
        return f"{name} is there twice"
    known.add(name)
    wrong = [part for part, kind in _KINDS.items() if not isinstance(one.get(part), kind | None)]
    if wrong:
        return f"{name}: {wrong[0]} is of a type that it cannot have"
    try:
        output_of(one)
    except ValueError as error:
        return f"{name}: {error}"
    return None


def _text(value: Any, most: int) -> str:
    """A text that an answer can hold, of what came out of the sandbox."""
    return value[:most].encode(errors="replace").decode() if isinstance(value, str) else type(value).__name__


def _triples(found: list[Any]) -> list[list[Any]]:
    return [one for one in found if isinstance(one, list) and len(one) == 3]  # noqa: PLR2004 - file, line, message


def _line(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 < value < 10**6 else None


def _place(function: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[str, int | None]:
    """Where a function says that it stands."""
    place = function.get("place")
    if isinstance(place, list) and len(place) == 2 and isinstance(place[0], str) and place[0] in files:  # noqa: PLR2004
        return place[0], _line(place[1])
    return "actions/", None
