"""Takes in an uploaded version of a bundle.

In order of time: a helper process unpacks the archive and checks it, and imports its files in the sandbox; the
functions are checked as actions; a dry run ends here with the difference; the version and its bytes are stored, and
unless the caller wants otherwise it becomes the active one, in the same transaction.
"""

from dataclasses import dataclass

from tocsin.actions.bundles.archive import NotAnArchive
from tocsin.actions.files import Fault

from config.errors import Conflict, Unavailable
from config.types import Json
from providers.base import ProviderError
from store import audit
from store.access import Caller
from store.bundles import archives, secrets, versions
from store.bundles.versions import Version
from store.engine import db
from tasks.bundles import activation, differences
from tasks.bundles.functions import InvalidBundle, faults_of
from tasks.offload import pool

__all__ = ["NotAnArchive", "Pushed", "push"]


@dataclass(frozen=True)
class Pushed:
    """What became of an upload."""

    version: Version
    #: whether it is the active version now
    active: bool
    #: whether this version was not there before
    new: bool
    changes: Json


class NoSandbox(Unavailable):
    """The machine cannot isolate a program, so the bundle could not be read."""

    code, retryable = "sandbox_unavailable", False


def push(caller: Caller, content: bytes, *, dry_run: bool, activate: bool, force: bool = False) -> Pushed:
    """Take a version in.

    Raises:
        NotAnArchive: the bytes are no zip. InvalidBundle: it has faults, all named. Conflict: ``version_exists``, the
            version is known with other content. InUse: playbooks need an action that the version lacks. NoSandbox.
    """
    version = _read(caller, content)
    with db.read() as connection:
        kept = versions.find(connection, caller.workspace_id, version.name)
        known = versions.find_version(connection, caller.workspace_id, version.name, version.version)
        active = _active(connection, caller, version.name, kept)
        valued = {row.name for row in secrets.known(connection, caller.workspace_id, version.name)}
    _refuse_other(known, version)
    changes = differences.between(active, version, valued)
    is_active = active is not None and active.version == version.version
    if dry_run:
        return Pushed(version, is_active, known is None, changes)
    if activate:
        activation.catch_up(caller)
    try:
        with db.write() as connection:
            new = _store(connection, caller, version, content)
            if activate and not is_active:
                present = versions.get(connection, caller.workspace_id, version.name, lock=True)
                activation.switch(connection, caller, present, version, force=force)
    except db.IntegrityError as error:
        raise Conflict("The bundle was pushed by another caller meanwhile.", code="changed") from error
    return Pushed(known or version, activate or is_active, new, changes)


def _active(connection: db.Connection, caller: Caller, name: str, kept: versions.Kept | None) -> Version | None:
    if kept is None or kept.active is None:
        return None
    return versions.find_version(connection, caller.workspace_id, name, kept.active)


def _read(caller: Caller, content: bytes) -> Version:
    """The version in an archive.

    Raises:
        InvalidBundle, NotAnArchive, NoSandbox.
    """
    found = pool.run(_read_aside, content)
    if isinstance(found, str):
        raise NoSandbox(found)
    faults = [Fault(*fault) for fault in found["faults"]]
    if not faults:
        manifest = found["manifest"]
        faults = faults_of(manifest["name"], found["digest"], found["functions"])
    if faults:
        raise InvalidBundle(faults)
    return Version(
        name=manifest["name"],
        version=manifest["version"],
        digest=found["digest"],
        manifest=manifest,
        functions=found["functions"],
        bytes=len(content),
        created_at=db.now_ms(),
        created_by=caller.key_id,
    )


def _read_aside(content: bytes) -> Json | str:
    """What is in an archive, or why it cannot be read here.

    It is called in the helper process, so that the web's own loads none of what that takes.
    """
    from providers.bundled import reading

    try:
        return reading.read(content)
    except ProviderError as error:  # it does not come through the pipe of the helper process
        return error.message


def _refuse_other(known: Version | None, version: Version) -> None:
    """Refuse other content under a known version.

    Raises:
        Conflict: ``version_exists``.
    """
    if known is not None and known.digest != version.digest:
        raise Conflict(
            f"Version {version.version} of the bundle {version.name!r} exists with other content, and never changes: "
            "give this one a higher version in bundle.toml.",
            code="version_exists",
        )


def _store(connection: db.Connection, caller: Caller, version: Version, content: bytes) -> bool:
    """Store a version unless it is there; whether it was not."""
    versions.find(connection, caller.workspace_id, version.name, lock=True)
    known = versions.find_version(connection, caller.workspace_id, version.name, version.version)
    _refuse_other(known, version)
    if known is not None:
        return False
    archives.keep(connection, version.digest, content)
    versions.add(connection, caller.workspace_id, version)
    audit.record(
        connection,
        caller.workspace_id,
        caller.key_id,
        "bundle.pushed",
        version.name,
        version=version.version,
        digest=version.digest,
        hosts=version.manifest["hosts"],
        secrets=sorted(version.manifest["secrets"]),
    )
    return True
