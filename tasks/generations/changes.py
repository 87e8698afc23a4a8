"""Everything that changes what processes decide by, each one transaction, then announced.

A load reads the folder, checks all of it, and is one transaction or nothing. A rollback makes an earlier generation the
newest again. A switch turns one rule on or off, a stop holds tenants back; both stay through every load. ``announced``
returns when every living process has the change, at the latest when those that have not must look before they decide.
"""

import contextlib
import functools
import json
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from config import logs
from config.errors import Conflict, NotFound, Unavailable
from config.settings import settings
from config.types import Json
from expressions.suggestions import did_you_mean
from gateway import current
from gateway.configuration import generation
from gateway.configuration.generation import Generation
from store import audit
from store.engine import db
from store.engine.db import Connection
from store.gateway import configurations, news, providers
from store.gateway.configurations import NewGeneration, Standing
from store.recurring import calendars, schedules
from store.sealing import subkeys
from tasks.generations import files, follow, lifted, revisions, unknown
from tasks.generations.files import Texts

#: what the audit trail calls the configuration as a whole
SUBJECT = "configuration"
#: the workspace in the audit trail of what no caller does
NO_WORKSPACE = ""
#: seconds between two looks at who has a change
_LOOK_EVERY = 0.01
#: what is said where Redis cannot say which processes have a change
UNKNOWN = "unknown: Redis is away"

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, for the audit trail."""

    actor: str = audit.SYSTEM
    workspace_id: str = NO_WORKSPACE


@dataclass(frozen=True, slots=True)
class Loading:
    """The result of a load: rules in force, faults, and which processes have it."""

    loaded: int
    errors: list[str] = field(default_factory=list)
    generation: int = 0
    applied: str = ""
    warnings: list[str] = field(default_factory=list)

    def members(self) -> Json:
        """As answers show it."""
        return {name: getattr(self, name) for name in ("loaded", "errors", "warnings", "generation", "applied")}


def load(author: Author) -> Loading:
    """Load the configuration folder, all or nothing.

    Raises:
        Unavailable: the database is away; nothing was changed. Busy: too much is being checked.
    """
    return _load(files.read(settings().config_dir), author)


def load_if_changed() -> bool:
    """Load the folder unless its files were loaded before; false when nothing was to do.

    At the start of a web process. A folder without any file changes nothing: this machine may have none.

    Raises:
        Unavailable: the database is away. Busy.
    """
    found = files.read(settings().config_dir)
    if not found.texts and (not found.faults or not settings().config_dir.exists()):
        return False
    with db.read() as connection:
        known = not found.faults and found.has_digest(configurations.newest_from_folder(connection))
        stale = bool(configurations.standing(connection).faults)
    if known:
        if stale:
            db.change(functools.partial(_clear_faults, found=found))
        return False
    loading = _load(found, Author(), first_only=True)
    for fault in loading.errors:
        log.error("configuration folder not loaded: the last good generation stays in force", fault=fault)
    return not loading.errors


def _clear_faults(connection: Connection, found: Texts) -> None:
    """Forget the faults of a folder whose files are again those that were loaded last."""
    configurations.begin(connection)
    if found.has_digest(configurations.newest_from_folder(connection)):
        configurations.note_faults(connection, [])


def _load(found: Texts, author: Author, *, first_only: bool = False) -> Loading:
    """Check and write; ``first_only``: unless another process has loaded the same files meanwhile."""
    faults, made = list(found.faults), None
    if not faults:
        loaded = files.checked(found.texts, _calendars_made())
        faults, made = loaded.faults, loaded.generation
    if made is None:
        with db.write() as connection:
            configurations.note_faults(connection, faults)
        follow.look()
        held = current.held()
        return Loading(len(held.ruleset.rules), faults, held.loaded, applied(held.number))
    edition = db.change(lambda connection: _write(connection, found, made, author, first_only=first_only))
    doubts = unknown.warnings(made.rules, made.providers)
    for doubt in doubts:
        log.warning("rule names an unknown provider", rule=doubt)
    shown = announced(edition)
    return Loading(len(made.rules), [], current.held().loaded, shown, doubts)


def _write(connection: Connection, found: Texts, made: Generation, author: Author, *, first_only: bool) -> int:
    """Write a generation unless it is in force already; the edition in force then."""
    standing, files_digest = configurations.begin(connection), found.digest()
    if first_only and found.has_digest(configurations.newest_from_folder(connection)):
        return standing.edition
    _refuse_without_calendars(connection, made)
    if standing.faults:
        configurations.note_faults(connection, [])
    if _is_in_force(connection, standing, made):
        configurations.note_folder(connection, standing.generation, files_digest)
        return standing.edition
    new = NewGeneration(
        body=made.text(),
        digest=_digest(made, subkeys.newest()),
        revisions=revisions.written(connection, made, author.actor),
        source=f"folder {settings().config_dir}",
        rules=len(made.rules),
        loaded_by=author.actor,
        folder_digest=files_digest,
    )
    return _enforce(connection, new, author, "configuration.loaded")


def _calendars_made() -> list[str]:
    """The calendars that requests have made."""
    with db.read() as connection:
        return [row.name for row in calendars.listed(connection)]


def _refuse_without_calendars(connection: Connection, made: Generation) -> None:
    """Refuse a generation without a calendar that rules or recurring actions name, or with one that was made since.

    Raises:
        Conflict: as it is.
    """
    named = {row.name for row in calendars.listed(connection)}
    for name, rule in made.calendars_used().items():
        if name not in made.time_intervals and name not in named:
            raise Conflict(f"The rule {rule!r} names the calendar {name!r}, which is gone.", code="calendar_missing")
    for row in schedules.using_calendars(connection):
        for name in json.loads(row.skip_during):
            if name not in made.time_intervals and name not in named:
                text = f"The recurring action {row.id} rests during the calendar {name!r}, which is gone."
                raise Conflict(text, code="calendar_missing")
    for name in sorted(named & made.time_intervals.keys()):
        text = f"A request has made a calendar {name!r}, which the configuration has, too: delete that one first."
        raise Conflict(text, code="calendar_exists")


def _enforce(connection: Connection, new: NewGeneration, author: Author, event: str, **noted: Any) -> int:
    """Add a generation and put it in force; its edition."""
    providers.put(connection, new.revisions)
    number = configurations.add(connection, new)
    details = {"generation": number, "rules": new.rules, "providers": len(new.revisions), **noted}
    audit.record(connection, author.workspace_id, author.actor, event, SUBJECT, **details)
    return configurations.end(connection, number)


def _digest(made: Generation, root: str) -> str:
    return subkeys.prefix(root) + made.digest(subkeys.subkey(root, "configuration"))


def _is_in_force(connection: Connection, standing: Standing, made: Generation) -> bool:
    if not standing.generation:
        return made == generation.EMPTY
    known = configurations.get(connection, standing.generation).digest
    by = subkeys.split(known)
    return by is not None and known == _digest(made, by[0])


def roll_back(to: int, author: Author) -> Loading:
    """Make an earlier generation the newest again, with its providers' revisions.

    Raises:
        NotFound: there is no such generation. Unavailable.
    """

    def write(connection: Connection) -> tuple[int, int]:
        configurations.begin(connection)
        old = configurations.get(connection, to)
        _refuse_without_calendars(connection, generation.read(old.body))
        new = NewGeneration(
            body=old.body,
            digest=old.digest,
            revisions=json.loads(old.revisions),
            source=f"generation {to}",
            rules=old.rules,
            loaded_by=author.actor,
        )
        return old.rules, _enforce(connection, new, author, "configuration.rolled_back", to=to)

    rules, edition = db.change(write)
    shown = announced(edition)
    return Loading(rules, [], current.held().loaded, shown)


def switch(name: str, *, enabled: bool, author: Author) -> str:
    """Enable or disable a rule; which processes have it.

    Raises:
        NotFound: there is no rule of that name. Unavailable.
    """
    follow.look()
    ruleset = current.held().ruleset
    if ruleset.named(name) is None:
        raise NotFound(f"There is no rule {name!r}{did_you_mean(name, ruleset.enabled) or '.'}")

    def write(connection: Connection) -> int:
        configurations.begin(connection)
        configurations.switch(connection, name, enabled=enabled, actor=author.actor)
        event = "rule.enabled" if enabled else "rule.disabled"
        audit.record(connection, author.workspace_id, author.actor, event, name)
        return configurations.end(connection)

    return announced(db.change(write))


def stop(tenant: str, reason: str, author: Author) -> str:
    """Let nothing of a tenant go out, of any for ``*``; which processes have it.

    Raises:
        Unavailable: the database is away; nothing was changed.
    """

    def write(connection: Connection) -> int:
        configurations.begin(connection)
        configurations.stop(connection, tenant, reason, author.actor)
        audit.record(connection, author.workspace_id, author.actor, "stop.set", tenant, reason=reason)
        return configurations.end(connection)

    return announced(db.change(write))


def lift(tenant: str, author: Author) -> str:
    """Lift a stop; which processes have it. What waits for it goes on with the next tick.

    Raises:
        NotFound: there is none of that tenant. Unavailable.
    """

    def write(connection: Connection) -> int:
        configurations.begin(connection)
        if not configurations.lift(connection, tenant):
            raise NotFound(f"There is no stop of {'all tenants' if tenant == '*' else f'the tenant {tenant!r}'}.")
        audit.record(connection, author.workspace_id, author.actor, "stop.lifted", tenant)
        return configurations.end(connection)

    shown = announced(db.change(write))
    with contextlib.suppress(Unavailable):  # what waits asks for itself within a minute
        lifted.go_on()
    return shown


def announced(edition: int) -> str:
    """Say that an edition is in force, and wait until the processes obey; which have it, as ``9 of 9``.

    At most ``current.FRESH`` seconds: a process that has not heard by then looks before it decides.
    """
    give_up = time.monotonic() + current.FRESH
    try:
        news.announce(edition)
        give_up = time.monotonic() + current.FRESH
        with contextlib.suppress(Unavailable):  # it is committed, whatever becomes of the database now
            follow.look()
        while not (found := _applied(edition)).by_all and time.monotonic() < give_up:
            time.sleep(_LOOK_EVERY)
    except RedisError:
        time.sleep(max(0.0, give_up - time.monotonic()))
        with contextlib.suppress(Unavailable):
            follow.look()
        return UNKNOWN
    if found.lacking:
        log.warning("change not applied by every process; the others look before they decide", applied=found.words)
    return found.words


def applied(edition: int) -> str:
    """How many of the processes that decide have this edition, as ``9 of 9``."""
    try:
        return _applied(edition).words
    except RedisError:
        return UNKNOWN


def applied_by_now() -> str:
    """How many of them have all that is in force, as ``9 of 9``."""
    return applied(db.read_one(configurations.standing).edition)


class _Applied(NamedTuple):
    """Who has an edition: in words, whether all do, and whether one that has said what it has lacks it.

    Neither is so while Redis is new and some processes may not have said anything yet, as at a first start.
    """

    words: str
    by_all: bool
    lacking: bool


def _applied(edition: int) -> _Applied:
    living, complete = news.living(db.now_ms())
    having = sum(each >= edition for each in living.values())
    lacking = having < len(living)
    return _Applied(f"{having} of {len(living)}", complete and not lacking, lacking)
