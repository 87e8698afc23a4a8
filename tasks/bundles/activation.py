"""Makes a version of a bundle the active one, forward or back, or takes a bundle away.

Everything is one transaction: the actions of the version are made or revised, those that it lacks are deleted, and the
bundle names its active version. An action's revision pins the digest of the content, so a run that began before goes on
with what it began with.
"""

from collections.abc import Iterable

from config.errors import Conflict, NotFound
from store import audit
from store.access import Caller
from store.bundles import archives, secrets, versions
from store.bundles.versions import Kept, Version
from store.definitions import actions as catalogue
from store.engine import db
from tasks.bundles.functions import action_id, definitions
from tasks.definitions import actions, in_use

catch_up = in_use.catch_up


def activate(caller: Caller, name: str, version: str, *, force: bool) -> Version:
    """Make a stored version the active one.

    Raises:
        NotFound: no such bundle or version. InUse: playbooks need an action that it lacks. Conflict.
    """
    in_use.catch_up(caller)
    with db.write() as connection:
        kept = versions.get(connection, caller.workspace_id, name, lock=True)
        wanted = versions.get_version(connection, caller.workspace_id, name, version)
        if kept.active != version:
            switch(connection, caller, kept, wanted, force=force)
    return wanted


def switch(connection: db.Connection, caller: Caller, kept: Kept, wanted: Version, *, force: bool) -> None:
    """Switch a bundle to another version, in the caller's transaction.

    Raises:
        InUse: playbooks need an action that it lacks. Conflict: ``id_taken``, an id belongs to another action;
            ``changed``, another caller was faster.
    """
    ids = definitions(wanted)
    old = _active(connection, caller, kept)
    present = catalogue.several(connection, caller.workspace_id, [*ids])
    for taken in present.values():
        if taken.revision.definition["config"].get("bundle") != wanted.name:
            text = f"The action {taken.id!r} is not of this bundle: delete it, or rename the function."
            raise Conflict(text, code="id_taken")
    for name in sorted(ids):
        actions.provide(caller, present.get(name), ids[name]).write(connection)
    gone = set() if old is None else definitions(old).keys() - ids.keys()
    _delete(connection, caller, gone, wanted.name, force=force)
    if not versions.activate(connection, caller.workspace_id, kept, wanted.version):
        raise Conflict("The bundle was changed meanwhile.", code="changed")
    audit.record(
        connection,
        caller.workspace_id,
        caller.key_id,
        "bundle.activated",
        wanted.name,
        version=wanted.version,
        digest=wanted.digest,
        before=kept.active,
    )


def _active(connection: db.Connection, caller: Caller, kept: Kept) -> Version | None:
    if kept.active is None:
        return None
    return versions.find_version(connection, caller.workspace_id, kept.name, kept.active)


def _delete(connection: db.Connection, caller: Caller, ids: Iterable[str], bundle: str, *, force: bool) -> None:
    """Delete the actions of these ids that are the bundle's."""
    present = catalogue.several(connection, caller.workspace_id, sorted(ids))
    for name in sorted(present):
        if present[name].revision.definition["config"].get("bundle") == bundle:
            noted = in_use.refuse(connection, caller, "action", name, verb="delete", force=force)
            catalogue.delete(connection, caller.workspace_id, name, caller.key_id, **noted)


def delete(caller: Caller, name: str, *, force: bool) -> None:
    """Delete a bundle with its actions, versions and secrets.

    Raises:
        NotFound: no such bundle. InUse: playbooks use its actions.
    """
    in_use.catch_up(caller)
    with db.write() as connection:
        kept = versions.get(connection, caller.workspace_id, name, lock=True)
        every = versions.versions_of(connection, caller.workspace_id, name)
        ids = {action_id(name, one["id"]) for version in every for one in version.functions}
        _delete(connection, caller, ids, name, force=force)
        secrets.remove(connection, caller.workspace_id, name)
        versions.remove(connection, caller.workspace_id, name)
        archives.drop_unused(connection)
        audit.record(connection, caller.workspace_id, caller.key_id, "bundle.deleted", name, active=kept.active)


def delete_version(caller: Caller, name: str, version: str) -> None:
    """Delete a version that is not the active one.

    Raises:
        NotFound: no such version. Conflict: ``version_active``.
    """
    with db.write() as connection:
        kept = versions.get(connection, caller.workspace_id, name, lock=True)
        gone = versions.get_version(connection, caller.workspace_id, name, version)
        if kept.active == version:
            raise Conflict("This version is the active one: activate another one first.", code="version_active")
        versions.remove_version(connection, caller.workspace_id, name, version)
        archives.drop_unused(connection)
        audit.record(
            connection,
            caller.workspace_id,
            caller.key_id,
            "bundle.version_deleted",
            name,
            version=version,
            digest=gone.digest,
        )


def put_secret(caller: Caller, name: str, secret: str, value: str) -> None:
    """Give a secret its value.

    Raises:
        NotFound: no such bundle, or none of its versions lists the secret.
    """
    with db.write() as connection:
        _require_listed(connection, caller, name, secret)
        secrets.put(connection, caller.workspace_id, name, secret, value, caller.key_id)
        audit.record(connection, caller.workspace_id, caller.key_id, "bundle.secret_set", name, secret=secret)


def _require_listed(connection: db.Connection, caller: Caller, name: str, secret: str) -> None:
    versions.get(connection, caller.workspace_id, name, lock=True)
    listed = {
        one for each in versions.versions_of(connection, caller.workspace_id, name) for one in each.manifest["secrets"]
    }
    if secret not in listed:
        there_are = ", ".join(sorted(listed)) or "none"
        raise NotFound(f"No version of the bundle {name!r} lists the secret {secret!r}; there are {there_are}.")


def delete_secret(caller: Caller, name: str, secret: str) -> None:
    """Forget the value of a secret.

    Raises:
        NotFound: it has none.
    """
    with db.write() as connection:
        versions.get(connection, caller.workspace_id, name, lock=True)
        if not secrets.remove(connection, caller.workspace_id, name, secret):
            raise NotFound(f"The secret {secret!r} of the bundle {name!r} has no value.")
        audit.record(connection, caller.workspace_id, caller.key_id, "bundle.secret_deleted", name, secret=secret)
