"""Loads bundles into a worker.

In order of time: an attempt names a bundle and the digest that its action's revision pins; the files are read from
``var/bundles/<digest>/`` and verified against the digest; a folder that is missing, or was changed, is written again
from the database's bytes, under another name and then renamed, so that no process ever sees half of one.
"""

import contextlib
import os
import secrets as random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tocsin.actions.bundles import archive
from tocsin.actions.bundles.manifest import Manifest

from config import logs
from config.settings import settings
from providers.base import Bundle
from store.bundles import archives, secrets, versions
from store.engine import db

log = logs.logger(__name__)


class BundleMissing(Exception):  # noqa: N818 - reads as what the bundle is
    """The bundle is gone, or its bytes are not what their digest says."""


def is_bundled(definition: Mapping[str, Any]) -> bool:
    """Whether an action is a function of a bundle."""
    return definition.get("executor") == "local" and "bundle" in definition["config"]


def load(workspace_id: str, config: Mapping[str, Any]) -> Bundle:
    """The bundle that an action's config names, with the present values of its secrets.

    Raises:
        BundleMissing: it cannot be had. SealBroken: a secret does not open.
    """
    name, digest = str(config["bundle"]), str(config["digest"])
    with db.read() as connection:
        if not versions.has(connection, workspace_id, name, digest):
            raise BundleMissing(f"the bundle {name} no longer has the version that this execution began with")
        values = secrets.opened(connection, workspace_id, name)
    files, manifest = contents(digest)
    rules = manifest.secrets
    return Bundle(
        name=name,
        version=manifest.version,
        digest=digest,
        files=files,
        hosts=manifest.hosts,
        secrets={secret: value for secret, value in values.items() if secret in rules},
        declared=frozenset(rules),
        revealed=frozenset(secret for secret, rule in rules.items() if rule.reveal),
    )


def contents(digest: str) -> tuple[dict[str, bytes], Manifest]:
    """The verified files of a content, and its manifest.

    Raises:
        BundleMissing: the database does not have it, or has something else under its name.
    """
    folder = settings().var_dir / "bundles" / digest
    files = _read(folder)
    if archive.digest(files) != digest:
        if files:
            log.warning("bundle in var was changed: it is written again", digest=digest)
        files = _fetched(digest)
        _write(folder, files)
    manifest, faults = archive.check(files)
    if manifest is None:
        raise BundleMissing(f"the content {digest[:12]} is no bundle: {'; '.join(map(str, faults[:3]))}")
    return files, manifest


def _read(folder: Path) -> dict[str, bytes]:
    """The files of a folder; none where it cannot be read. Links are not followed."""
    files: dict[str, bytes] = {}
    room = archive.MOST_UNPACKED
    with contextlib.suppress(OSError, UnicodeError):  # a name that is no text is none of a bundle's
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if path.is_symlink() or not path.is_file() or path.stat().st_size > room:
                    return {}
                name_inside = path.relative_to(folder).as_posix()
                name_inside.encode()
                files[name_inside] = content = path.read_bytes()
                room -= len(content)
        return files
    return {}


def _fetched(digest: str) -> dict[str, bytes]:
    with db.read() as connection:
        content = archives.read(connection, digest)
    if content is None:
        raise BundleMissing(f"the database does not have the content {digest[:12]}")
    try:
        files, faults = archive.unpack(content)
    except archive.NotAnArchive as error:
        raise BundleMissing(f"the content {digest[:12]} cannot be unpacked") from error
    if faults or archive.digest(files) != digest:
        raise BundleMissing(f"the bytes in the database are not the content {digest[:12]}")
    return files


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder under another name, and rename it; a worker without room runs from memory."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.{random.token_hex(4)}")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            path = fresh / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)
        if folder.exists():
            old = fresh.with_name(fresh.name + ".old")
            folder.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        fresh.rename(folder)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if not folder.exists():
            log.warning("bundle could not be written to var", digest=folder.name, error=str(error))
