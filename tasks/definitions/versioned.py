"""Write a versioned definition of any kind.

In order of time: a change is laid over the stored definition, the whole is checked, its version is found, and the store
gets the new revision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from config.errors import InvalidRequest, Problem
from playbooks.definitions import versions
from store.definitions.versioned import Definition, Kept
from store.engine import db

#: raises PreconditionFailed for a definition on which the caller does not rely; called in the transaction of the change
Guard = Callable[[db.Connection], None] | None


@dataclass(frozen=True)
class Change(Generic[Kept]):
    """A checked change of one definition, ready to be written.

    Several may be written in one transaction. Each is guarded: it fails if the definition has changed since its check.
    """

    #: the definition that it leads to, secrets masked
    definition: Mapping[str, Any]
    #: writes it; raises Conflict if another caller was faster
    write: Callable[[db.Connection], Kept]

    def carry_out(self, guard: Guard = None, alongside: Callable[[db.Connection, Kept], None] | None = None) -> Kept:
        """Write it in a transaction of its own, and more ``alongside`` it.

        Raises:
            Conflict: the id is taken, or the definition was changed meanwhile. PreconditionFailed: it is another one
            than ``guard`` takes.
        """
        with db.write() as connection:
            check(guard, connection)
            written = self.write(connection)
            if alongside is not None:
                alongside(connection, written)
            return written


def check(guard: Guard, connection: db.Connection) -> None:
    """Call the guard of a change, if it has one, at the beginning of its transaction."""
    if guard is not None:
        guard(connection)


def as_kept(kept: Definition) -> dict[str, Any]:
    """The present definition, with its switch."""
    return {**kept.revision.definition, "enabled": kept.enabled}


def laid_over(old: Mapping[str, Any], changes: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """The definition after ``changes``; ``whole`` replaces all but version and switch."""
    base = {"version": old["version"], "enabled": old["enabled"]} if whole else old
    return {**base, **{name: value for name, value in changes.items() if name != "id"}}


def next_version(
    old: Mapping[str, Any], new: Mapping[str, Any], successor: Callable[[Mapping[str, Any], Mapping[str, Any]], str]
) -> str:
    """The version of a changed definition: the requested one, else the ``successor``.

    Raises:
        InvalidRequest: the requested one is not higher than the present one.
    """
    same_switch = {**new, "enabled": old["enabled"]}  # enabling or disabling makes no new version
    return versions.asked_for(old, new) or successor(old, same_switch)


def faulty(noun: str, problems: list[Problem]) -> InvalidRequest:
    """The refusal of a definition, with all its faults."""
    return InvalidRequest(f"The {noun}'s definition has faults.", code=f"invalid_{noun}", problems=problems)
