"""Imports files of actions and collects their marked functions.

The files of a folder form a package: ``from ._shared import x`` imports a neighbour. Those whose names begin with an
underscore, and folders, are for the others to import. No compiled file is left behind.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tocsin.actions.signatures import MARK, Handler

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be used, or a part of a bundle."""

    #: relative to the bundle or folder
    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


@dataclass
class Collected:
    """The marked functions of some files, by name, and what could not be used."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def collect(folder: Path, names: Sequence[str] | None = None, below: str = "") -> Collected:
    """Import files at the top of a folder.

    Args:
        folder: where they are.
        names: the files to import; by default every ``*.py`` whose name does not begin with an underscore.
        below: what the folder is called in faults, such as ``actions/``.

    Returns:
        The functions. A file that fails has none, and a fault; so has the second function of a name.
    """
    package = types.ModuleType(f"tocsin_trial_{next(_numbers)}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    if names is None:
        names = [path.name for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]
    collected, before = Collected(), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        for name in names:
            _import(package.__name__, folder / name, f"{below}{name}", collected)
    finally:
        sys.dont_write_bytecode = before
    return collected


def _import(package: str, path: Path, shown: str, collected: Collected) -> None:
    name = f"{package}.{path.stem}"
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a file may raise anything
        collected.faults.append(Fault(shown, _line(error, path), f"{type(error).__name__}: {error}"))
        return
    for value in list(vars(module).values()):
        handler = getattr(value, MARK, None) if inspect.isfunction(value) else None
        if not isinstance(handler, Handler) or handler.function.__module__ != name:
            continue
        if handler.name in collected.handlers:
            line = handler.function.__code__.co_firstlineno
            collected.faults.append(Fault(shown, line, f"there is another action {handler.name}"))
        else:
            collected.handlers[handler.name] = handler


def _line(error: BaseException, path: Path) -> int | None:
    """The line of this file at which the error arose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if frames:
        return frames[-1].lineno
    return getattr(error, "lineno", None) if getattr(error, "filename", None) == str(path) else None


def described(handler: Handler) -> dict[str, object]:
    """What the catalogue learns of a function."""
    return {
        "id": handler.name,
        "description": handler.description,
        "parameters": handler.parameters,
        "output": handler.output,
        **handler.wishes,
    }
