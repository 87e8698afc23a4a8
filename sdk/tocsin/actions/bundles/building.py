"""Builds the archive of a bundle's folder.

In order of time: the folder's files are read, without what tools leave behind; they are checked as the server checks
them; the functions are imported, so that a bundle that cannot work is not built; the archive is packed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tocsin.actions.bundles import archive
from tocsin.actions.bundles.manifest import FILE, Manifest
from tocsin.actions.files import Fault, collect, described

_LEFT_BEHIND = ("__pycache__",)


@dataclass(frozen=True)
class Built:
    """An archive, or why there is none."""

    manifest: Manifest | None
    digest: str
    content: bytes
    #: what the catalogue learns of each function
    functions: list[dict[str, Any]]
    faults: list[Fault]

    @property
    def file_name(self) -> str:
        """What the archive is called."""
        assert self.manifest is not None
        return f"{self.manifest.name}-{self.manifest.version}.zip"


def files_of(folder: Path) -> tuple[dict[str, bytes], list[Fault]]:
    """The files of a bundle's folder; hidden ones and compiled code are left out."""
    files: dict[str, bytes] = {}
    faults: list[Fault] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        parts = name.split("/")
        top = parts[0]
        if any(part.startswith(".") or part in _LEFT_BEHIND for part in parts) or name.endswith(".pyc"):
            continue
        if len(parts) > 1 and top not in archive.FOLDERS:
            continue
        if path.is_symlink():
            faults.append(Fault(name, None, "is a link; a bundle has plain files only"))
        elif path.is_file():
            fault = archive.path_fault(name)
            content = b"" if fault else path.read_bytes()
            fault = fault or archive.native_fault(name, content)
            if fault:
                faults.append(Fault(name, None, fault))
            files[name] = content
    return files, faults


def build(folder: str | Path) -> Built:
    """The archive of a folder.

    Example::

        built = build("acme-firewall")
        Path(built.file_name).write_bytes(built.content)
    """
    folder = Path(folder)
    files, faults = files_of(folder)
    manifest, more = archive.check(files)
    faults += more
    functions: list[dict[str, Any]] = []
    if not faults:
        collected = collect(folder.resolve() / "actions", below="actions/")
        faults += collected.faults
        functions = [described(handler) for handler in collected.handlers.values()]
        if not functions and not faults:
            faults.append(Fault("actions/", None, "has no action: mark a function with @action()"))
    faults += _size_faults(files)
    if faults:
        return Built(None, "", b"", [], faults)
    content = archive.pack(files)
    if len(content) > archive.MOST_PACKED:
        large = f"the archive has {len(content):,} bytes; {archive.MOST_PACKED:,} are the most"
        return Built(None, "", b"", [], [Fault("", None, large)])
    return Built(manifest, archive.digest(files), content, functions, [])


def _size_faults(files: archive.Files) -> list[Fault]:
    faults = []
    if len(files) > archive.MOST_FILES:
        faults.append(Fault("", None, f"it has {len(files)} files; {archive.MOST_FILES} are the most"))
    if sum(map(len, files.values())) > archive.MOST_UNPACKED:
        faults.append(Fault("", None, f"its files have more than {archive.MOST_UNPACKED >> 20} MiB together"))
    return faults


_TEMPLATE = {
    FILE: """name = "{name}"
version = "0.1.0"
python = ">=3.9"
hosts = ["api.example.com"]

[secrets]
API_TOKEN = {{ description = "token of the API" }}
""",
    "actions/lookup.py": '''"""Actions of the bundle."""

from typing import Annotated

from tocsin.actions import Bearer, Context, Length, action


@action(type="enrichment", timeout=30, retry=3)
def lookup(name: Annotated[str, Length(1, 200), "what to look up"], *, context: Context) -> dict:
    """Look something up."""
    answer = context.http.get(
        "https://api.example.com/things",
        params={{"name": name}},
        auth=Bearer(context.secrets["API_TOKEN"]),
    )
    return {{"found": answer.raise_for_status().json()}}
''',
    "tests/test_lookup.py": '''"""Tests of the bundle: pytest --tocsin-record makes the calls once and keeps them."""


def test_something_is_found(run_action, http_recording):
    """What the API answers is the output."""
    if not http_recording.calls:
        http_recording.add(
            "GET", "https://api.example.com/things", json=[{{"id": 1}}], request={{"params": [["name", "web-01"]]}}
        )
    assert run_action("../actions/lookup.py::lookup", name="web-01") == {{"found": [{{"id": 1}}]}}
''',
}


def new(folder: str | Path) -> list[Path]:
    """Write the files of a new bundle, called like its folder.

    Returns:
        The files.

    Raises:
        FileExistsError: one of them is there already.
    """
    folder = Path(folder)
    paths = [folder / name for name in _TEMPLATE]
    for path in paths:
        if path.exists():
            raise FileExistsError(f"{path} is there already")
    for path, text in zip(paths, _TEMPLATE.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=folder.resolve().name), encoding="utf-8")
    return paths
