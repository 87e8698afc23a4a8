"""Generations of the gateway's configuration, and what is in force.

``configurations`` keeps each generation that was loaded. ``rule_switches`` enable and disable rules by name, whatever
their file says, ``stops`` hold tenants back, ``silences`` (``store.gateway.silences``) some of what they send, and
``time_intervals`` (``store.recurring.calendars``) are calendars; all outlive every generation.
``configuration_in_force`` is one row: the generation in force, and the *edition*, a number that goes up with every
change of anything a process decides by. Every change takes that row first (``begin``), so changes come one after the
other, and a process that knows the newest edition knows all of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from config.errors import NotFound
from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared
from store.gateway import silences
from store.paging import Found, Order, Part, Total, read
from store.recurring import calendars

configurations = sa.Table(
    "configurations",
    metadata,
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    #: the canonical JSON, credentials masked
    sa.Column("body", sa.Text, nullable=False),
    #: keyed; tells whether a configuration is this one, its credentials included
    sa.Column("digest", sa.Text, nullable=False),
    #: JSON: provider → its revision
    sa.Column("revisions", sa.Text, nullable=False),
    #: keyed digest of the files that it was read from; NULL for a rollback
    sa.Column("folder_digest", sa.Text),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("rules", sa.Integer, nullable=False),
    sa.Column("loaded_at", sa.BigInteger, nullable=False),
    sa.Column("loaded_by", sa.Text, nullable=False),
)

in_force = sa.Table(
    "configuration_in_force",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("edition", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    #: JSON: why the folder could not be loaded when that was last tried; NULL when it could
    sa.Column("faults", sa.Text),
    sa.Column("faults_at", sa.BigInteger),
)

rule_switches = sa.Table(
    "rule_switches",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)

stops = sa.Table(
    "stops",
    metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)

#: generations that are kept, the newest ones and that in force
KEPT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The one row: what is in force."""

    edition: int
    generation: int
    faults: list[str]
    faults_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Everything that a process decides by; ``body`` is None where the reader has that generation."""

    edition: int
    generation: int
    body: str | None
    revisions: Mapping[str, str]
    switches: Mapping[str, bool]
    stops: Sequence[Row]
    #: the members of ``gateway.silences.in_force.Silence``
    silences: Sequence[Mapping[str, Any]] = ()
    #: name → the stored form of a calendar that a request has made
    calendars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGeneration:
    """A generation to add."""

    body: str
    digest: str
    revisions: Mapping[str, str]
    source: str
    rules: int
    loaded_by: str
    folder_digest: str | None = None


_standing = Prepared(sa.select(in_force).where(in_force.c.id == 1))
_edition = Prepared(sa.select(in_force.c.edition).where(in_force.c.id == 1))


def edition(connection: Connection) -> int:
    """The number of the latest change; one statement."""
    return int(_edition.first(connection, {}).edition)


def standing(connection: Connection) -> Standing:
    """What is in force."""
    return _shown(_standing.first(connection, {}))


def begin(connection: Connection) -> Standing:
    """What is in force, kept from changing until the end of this transaction.

    Everything that changes what processes decide by begins here and ends with ``end``.
    """
    return _shown(connection.execute(sa.select(in_force).where(in_force.c.id == 1).with_for_update()).one())


def end(connection: Connection, generation: int | None = None) -> int:
    """Give the change its edition, which is returned; ``generation`` is a new one in force."""
    values: dict[str, Any] = {"edition": in_force.c.edition + 1}
    if generation is not None:
        values["generation"] = generation
    changed = sa.update(in_force).where(in_force.c.id == 1).values(values).returning(in_force.c.edition)
    return int(connection.execute(changed).scalar_one())


def stored(connection: Connection, known: int = -1) -> Stored:
    """Everything that a process decides by; the reader has the generation ``known``."""
    now = standing(connection)
    body, revisions = None, "{}"
    if now.generation:
        columns = [configurations.c.revisions, *([configurations.c.body] if now.generation != known else [])]
        row = connection.execute(sa.select(*columns).where(configurations.c.generation == now.generation)).one()
        body, revisions = getattr(row, "body", None), row.revisions
    return Stored(
        edition=now.edition,
        generation=now.generation,
        body=body,
        revisions=json.loads(revisions),
        switches={row.name: bool(row.enabled) for row in connection.execute(sa.select(rule_switches))},
        stops=list(connection.execute(sa.select(stops).order_by(stops.c.tenant))),
        silences=silences.in_force(connection),
        calendars={row.name: json.loads(row.body) for row in calendars.listed(connection)},
    )


def add(connection: Connection, new: NewGeneration) -> int:
    """Add a generation; returns its number. The caller has called ``begin``."""
    newest = connection.execute(sa.select(sa.func.max(configurations.c.generation))).scalar_one() or 0
    values = {name: getattr(new, name) for name in ("body", "digest", "source", "rules", "loaded_by", "folder_digest")}
    number = int(newest) + 1
    connection.execute(
        sa.insert(configurations).values(
            generation=number, revisions=json.dumps(new.revisions), loaded_at=now_ms(), **values
        )
    )
    connection.execute(sa.delete(configurations).where(configurations.c.generation <= number - KEPT))
    return number


def get(connection: Connection, generation: int) -> Row:
    """A generation.

    Raises:
        NotFound: it never was, or is no longer kept.
    """
    row = connection.execute(sa.select(configurations).where(configurations.c.generation == generation)).first()
    if row is None:
        raise NotFound(f"There is no generation {generation}; the newest {KEPT} are kept.")
    return row


def newest_from_folder(connection: Connection) -> str | None:
    """The digest of the files that were loaded last."""
    its = configurations.c.folder_digest.is_not(None)
    query = sa.select(configurations.c.folder_digest).where(its).order_by(configurations.c.generation.desc()).limit(1)
    found: str | None = connection.execute(query).scalar()
    return found


def note_folder(connection: Connection, generation: int, folder_digest: str) -> None:
    """Remember that these files, too, say what this generation says."""
    its = configurations.c.generation == generation
    connection.execute(sa.update(configurations).where(its).values(folder_digest=folder_digest))


def history(connection: Connection, part: Part) -> Found:
    """A part of the generations, newest first, without their bodies."""
    table = configurations.c
    number = sa.select(sa.func.count()).select_from(configurations)
    total = Total(connection.execute(number).scalar_one()) if part.counted else None
    query = sa.select(table.generation, table.source, table.rules, table.loaded_at, table.loaded_by)
    return Found(*read(connection, query, Order((table.generation,), (True,)), part, ("generation",)), total)


def note_faults(connection: Connection, faults: Sequence[str]) -> None:
    """Remember why the folder could not be loaded; no faults: it could."""
    values = {"faults": json.dumps(faults) if faults else None, "faults_at": now_ms() if faults else None}
    connection.execute(sa.update(in_force).where(in_force.c.id == 1).values(values))


def switch(connection: Connection, name: str, *, enabled: bool, actor: str) -> None:
    """Enable or disable a rule by its name."""
    values = {"enabled": enabled, "at": now_ms(), "actor": actor}
    mine = rule_switches.c.name == name
    if connection.execute(sa.update(rule_switches).where(mine).values(values)).rowcount == 0:
        connection.execute(sa.insert(rule_switches).values(name=name, **values))


def stop(connection: Connection, tenant: str, reason: str, actor: str) -> None:
    """Hold a tenant back, ``*`` for all; a second stop of the same tenant takes the place of the first."""
    connection.execute(sa.delete(stops).where(stops.c.tenant == tenant))
    connection.execute(sa.insert(stops).values(tenant=tenant, reason=reason, at=now_ms(), actor=actor))


def lift(connection: Connection, tenant: str) -> bool:
    """Lift a stop; false when there is none of that tenant."""
    return connection.execute(sa.delete(stops).where(stops.c.tenant == tenant)).rowcount == 1


def stopped(connection: Connection) -> list[Row]:
    """The stops, by tenant."""
    return list(connection.execute(sa.select(stops).order_by(stops.c.tenant)))


def _shown(row: Any) -> Standing:
    return Standing(
        edition=int(row.edition),
        generation=int(row.generation),
        faults=json.loads(row.faults) if row.faults else [],
        faults_at=row.faults_at,
    )
