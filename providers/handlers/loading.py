"""Imports the files of a snapshot and collects their marked functions.

Each load imports everything again, under a package name of its own, from the contents that were read: so a file that
changes meanwhile is imported neither half nor twice, functions of the load before go on undisturbed, and no compiled
file is left in the operator's folder. Files whose names begin with an underscore, and folders, are for the others to
import (``from ._shared import x``). A file in one folder hides those of the same name in later folders.

It needs nothing but the standard library and ``tocsin.actions``: it works inside the sandbox too.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import itertools
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin.actions.signatures import MARK, Handler

_numbers = itertools.count(1)


@dataclass(frozen=True)
class FileFault:
    """Why the functions of a file, or one of them, are left out."""

    path: Path
    line: int | None
    message: str

    @property
    def place(self) -> str:
        """The file, with the line where it is known."""
        return f"{self.path}, line {self.line}" if self.line else str(self.path)


@dataclass
class Loaded:
    """The functions of a snapshot, with what could not be loaded."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    faults: list[FileFault] = field(default_factory=list)
    #: the functions of each file
    of_file: dict[Path, list[Handler]] = field(default_factory=dict)
    #: what was imported, for the sandbox
    contents: Mapping[Path, bytes] = field(default_factory=dict)
    packages: list["_Package"] = field(default_factory=list)

    def add(self, path: Path, handlers: Sequence[Handler]) -> None:
        """Add the functions of a file; the first of a name counts."""
        kept = []
        for handler in handlers:
            if handler.name in self.handlers:
                self.faults.append(FileFault(path, None, f"another file has the action {handler.name} already"))
            else:
                self.handlers[handler.name] = handler
                kept.append(handler)
        self.of_file[path] = kept


def load(folders: Sequence[Path], contents: Mapping[Path, bytes]) -> Loaded:
    """Import the files at the top of each folder, in the order of their names.

    A file that fails is left out.
    """
    loaded = Loaded(contents=dict(contents))
    seen: set[str] = set()
    for folder in folders:
        package = _Package(folder, contents)
        loaded.packages.append(package)
        for path in sorted(path for path in contents if path.parent == folder):
            if path.name.startswith("_") or path.name in seen:
                continue
            seen.add(path.name)
            _import(package, path, loaded)
    return loaded


def _import(package: "_Package", path: Path, loaded: Loaded) -> None:
    name = f"{package.name}.{path.stem}"
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if type(error).__module__.partition(".")[0] in {"celery", "billiard"}:
            raise  # the time of the execution that made the load is up
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        loaded.faults.append(FileFault(path, line, f"{type(error).__name__}: {error}"))
        return
    marked = [getattr(value, MARK, None) for value in vars(module).values() if inspect.isfunction(value)]
    loaded.add(path, [one for one in marked if isinstance(one, Handler) and one.function.__module__ == name])


class _Package(importlib.abc.MetaPathFinder):
    """The package of one folder in one load: its modules come from the contents that were read."""

    def __init__(self, folder: Path, contents: Mapping[Path, bytes]) -> None:
        self.name = f"tocsin_actions_{next(_numbers)}"
        self._folder = folder
        self._contents = contents
        package = types.ModuleType(self.name)
        package.__path__ = [str(folder)]
        sys.modules[self.name] = package
        sys.meta_path.insert(0, self)

    def close(self) -> None:
        """Forget the package; its functions, where one still runs, import nothing more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in list(sys.modules):  # a copy: other threads import meanwhile
            if name.partition(".")[0] == self.name:
                del sys.modules[name]

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of this name, if it is one of this package's."""
        root, *parts = fullname.split(".")
        if root != self.name or not parts:
            return None
        base = self._folder.joinpath(*parts)
        for path in (base / "__init__.py", base.parent / f"{base.name}.py"):
            if path in self._contents:
                loader = _Source(fullname, str(path), self._contents[path])
                below = [str(base)] if path.name == "__init__.py" else None
                return importlib.util.spec_from_file_location(
                    fullname, path, loader=loader, submodule_search_locations=below
                )
            if path.exists():
                raise ModuleNotFoundError(f"{path} has yet to be finished", name=fullname)
        return None  # a folder without __init__.py, or an extension module: Python finds it by itself


class _Source(importlib.machinery.SourceFileLoader):
    """The loader of one module, from the content that was read."""

    def __init__(self, fullname: str, path: str, content: bytes) -> None:
        super().__init__(fullname, path)
        self._content = content

    def path_stats(self, path: Any) -> Any:
        """Nothing: so no compiled file is looked for, and none is left behind."""
        raise OSError(path)

    def get_data(self, _path: Any) -> bytes:
        """The content."""
        return self._content
