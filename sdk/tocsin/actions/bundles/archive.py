"""The archive of a bundle: packed on the author's machine, checked and unpacked on the server.

``pack`` makes the same bytes of the same files; ``digest`` names their content, however they were packed. ``unpack``
trusts nothing that an archive says of itself: sizes are counted while it reads, names that lead elsewhere, links and
native code are refused, and every fault is named with its file.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from tocsin.actions.bundles.manifest import FILE, Manifest, parse
from tocsin.actions.files import Fault

#: bytes of an archive, files in it, and their bytes together
MOST_PACKED = 8 * 1024 * 1024
MOST_FILES = 500
MOST_UNPACKED = 32 * 1024 * 1024
#: a file of more bytes is no source
MOST_SOURCE = 1024 * 1024

#: what may stand at the top of a bundle
FOLDERS = ("actions", "playbooks", "tests", "vendor")
_FILES = re.compile(r"bundle\.toml|requirements\.txt|pyproject\.toml|[A-Za-z0-9_-]+\.md|LICENSE(\.[a-z]+)?|NOTICE")
_NAME = re.compile(r"[A-Za-z0-9._+@ ()-]{1,100}(/[A-Za-z0-9._+@ ()-]{1,100}){0,11}")
_MOST_NAME = 250
_NATIVE_NAME = re.compile(r"\.(so|pyd|dll|dylib|a|o|exe|pyc|pyo)(\.\d+)*$|\.so\.", re.IGNORECASE)
_NATIVE_START = (
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\x00asm",
    b"!<arch>",
)
_PIECE = 64 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)

Files = Mapping[str, bytes]


class NotAnArchive(ValueError):
    """The bytes are no zip archive."""


def pack(files: Files) -> bytes:
    """The archive of some files; the same files give the same bytes."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return written.getvalue()


def digest(files: Files) -> str:
    """SHA-256 of the names and contents, as hexadecimal digits."""
    whole = hashlib.sha256(b"tocsin bundle 1\n")
    for name in sorted(files):
        whole.update(f"{hashlib.sha256(files[name]).hexdigest()} {name}\n".encode())
    return whole.hexdigest()


def unpack(content: bytes) -> tuple[dict[str, bytes], list[Fault]]:
    """The files of an archive; or, where it has faults, what could be read and the faults.

    Raises:
        NotAnArchive: it is no zip.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise NotAnArchive(str(error)) from error
    with archive:
        entries = [entry for entry in entries if entry.file_size or not entry.filename.endswith("/")]
        if len(entries) > MOST_FILES:
            return {}, [Fault("", None, f"it has {len(entries)} files; {MOST_FILES} are the most")]
        return _read(archive, entries)


def _read(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> tuple[dict[str, bytes], list[Fault]]:
    files: dict[str, bytes] = {}
    faults: list[Fault] = []
    seen: set[str] = set()
    room = _Room(MOST_UNPACKED)
    for entry in entries:
        name = entry.filename
        fault = _name_fault(name, entry, seen)
        seen.add(name.lower())
        if fault:
            faults.append(Fault(_shown(name), None, fault))
            continue
        try:
            files[name] = _content(archive, entry, room)
        except _TooLargeError:
            return files, [*faults, Fault("", None, f"its files have more than {MOST_UNPACKED >> 20} MiB together")]
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, struct.error) as error:
            faults.append(Fault(name, None, f"cannot be unpacked: {error}"))
            continue
        if native := native_fault(name, files[name]):
            faults.append(Fault(name, None, native))
    return files, faults


def _shown(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:_MOST_NAME]


def _name_fault(name: str, entry: zipfile.ZipInfo, seen: set[str]) -> str | None:
    """Why a name in an archive is refused, or None."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or a special file; a bundle has plain files only"
    if name.startswith("/") or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in name.split("/")):
        return "leads out of the bundle"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way other than deflate"
    if name.lower() in seen:
        return "is there twice (upper and lower case count as equal)"
    return path_fault(name)


def path_fault(name: str) -> str | None:
    """Why a file may not be part of a bundle, or None."""
    if len(name) > _MOST_NAME or not _NAME.fullmatch(name) or any(part.startswith(".") for part in name.split("/")):
        return "has a name that bundles do not take: letters, digits and ._+@()- without a dot at the beginning"
    top, _, rest = name.partition("/")
    if (rest and top not in FOLDERS) or (not rest and not _FILES.fullmatch(top)):
        return f"is not expected there; a bundle has {FILE}, and the folders {', '.join(FOLDERS)}"
    if "__pycache__" in name.split("/"):
        return "is compiled code"
    return None


class _TooLargeError(Exception):
    """The files have too many bytes together."""


class _Room:
    """The bytes that may still be unpacked; those of entries that turn out to be broken have been unpacked, too."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, size: int) -> None:
        """Take some of it.

        Raises:
            _TooLargeError: there is less.
        """
        self._left -= size
        if self._left < 0:
            raise _TooLargeError


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: _Room) -> bytes:
    """The content of an entry, however large it says it is."""
    pieces = []
    with archive.open(entry) as file:
        while piece := file.read(_PIECE):
            room.take(len(piece))
            pieces.append(piece)
    return b"".join(pieces)


def native_fault(name: str, content: bytes) -> str | None:
    """Why a file is code of a machine, or compiled, or None."""
    if _NATIVE_NAME.search(name) or content.startswith(_NATIVE_START):
        return "is native or compiled code; a bundle has Python source only"
    if name.endswith(".py") and len(content) > MOST_SOURCE:
        return f"has more than {MOST_SOURCE >> 20} MiB of source"
    return None


def check(files: Files) -> tuple[Manifest | None, list[Fault]]:
    """The manifest of unpacked files, and the faults of the bundle as a whole."""
    if FILE not in files:
        return None, [Fault(FILE, None, "is missing")]
    manifest, faults = parse(files[FILE])
    if not any(re.fullmatch(r"actions/[^/_][^/]*\.py", name) for name in files):
        faults.append(Fault("actions/", None, "has no file of actions (*.py)"))
    known = {name.lower() for name in files}
    for name, content in files.items():
        if any(parent.as_posix() in known for parent in PurePosixPath(name.lower()).parents):
            faults.append(Fault(name, None, "lies in a folder that is a file, too"))
        if name.endswith(".py"):
            faults += _source_faults(name, content)
    return (None if faults else manifest), faults


def _source_faults(name: str, content: bytes) -> list[Fault]:
    """What of a file is no source at all; whether it is good Python is found out in the sandbox."""
    nul = content.find(b"\0")
    if nul >= 0:
        return [Fault(name, content.count(b"\n", 0, nul) + 1, "holds a NUL character")]
    return []
