"""Named calendars that requests make, change and delete; those of the folder belong to their files.

Each change is one transaction, which also makes it part of the edition that processes decide by; it is answered when
every living process obeys. A calendar that a rule or a recurring action names stays.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Conflict, InvalidRequest, NotFound
from expressions.suggestions import did_you_mean
from gateway import current
from gateway.calendars import written
from gateway.calendars.calendar import Calendar
from gateway.configuration import generation
from gateway.configuration.generation import EMPTY, Generation
from playbooks.checks.faults import Faults
from store import audit
from store.engine import db
from store.engine.db import Connection
from store.gateway import configurations
from store.recurring import calendars, schedules
from tasks.generations import changes, follow
from tasks.generations.changes import Author


@dataclass(frozen=True, slots=True)
class Shown:
    """A calendar, where it comes from, and the rules that name it."""

    calendar: Calendar
    from_file: bool
    rules: tuple[str, ...]


def listed() -> list[Shown]:
    """The calendars in force, by name.

    Raises:
        Unavailable: the database is away.
    """
    follow.look()
    held = current.held()
    return [_shown(held.calendars[name], held.generation) for name in sorted(held.calendars)]


def get(name: str) -> Shown:
    """One of them.

    Raises:
        NotFound: there is none of that name. Unavailable.
    """
    follow.look()
    held = current.held()
    if name not in held.calendars:
        raise _unknown(name, held.calendars)
    return _shown(held.calendars[name], held.generation)


def create(given: Mapping[str, Any], author: Author, alongside: Callable[[Connection, str], None]) -> str:
    """Make a calendar, and write more ``alongside`` it by its name; which processes have it.

    Raises:
        InvalidRequest: its faults. Conflict: there is one of that name, or there are too many. Unavailable.
    """
    form = _form(given)

    def write(connection: Connection, now: Generation, made: Mapping[str, Any]) -> None:
        if given["name"] in now.time_intervals or given["name"] in made:
            raise Conflict(f"There is a calendar {given['name']!r} already.", code="calendar_exists")
        if len(made) >= calendars.MOST:
            raise Conflict(f"There are {calendars.MOST} calendars: delete some first.", code="too_many_calendars")
        _put(connection, given["name"], form, author, "calendar.created")
        alongside(connection, given["name"])

    return _changed(write)


def change(name: str, given: Mapping[str, Any], author: Author) -> str:
    """Change a calendar; which processes have it.

    Raises:
        As ``create``, and NotFound: there is none of that name.
    """
    form = _form({**given, "name": name})

    def write(connection: Connection, now: Generation, made: Mapping[str, Any]) -> None:
        _refuse_others(name, now, made)
        _put(connection, name, form, author, "calendar.changed")

    return _changed(write)


def delete(name: str, author: Author) -> str:
    """Delete a calendar; which processes know.

    Raises:
        Conflict: a rule or a recurring action names it, or a file has it. NotFound. Unavailable.
    """

    def write(connection: Connection, now: Generation, made: Mapping[str, Any]) -> None:
        _refuse_others(name, now, made)
        rule = now.calendars_used().get(name)
        if rule is not None:
            raise Conflict(f"The rule {rule!r} names the calendar {name!r}.", code="calendar_in_use")
        using = [row.id for row in schedules.using_calendars(connection) if name in json.loads(row.skip_during)]
        if using:
            more = f" and {len(using) - 1} more name" if len(using) > 1 else " names"
            raise Conflict(f"The recurring action {using[0]}{more} the calendar {name!r}.", code="calendar_in_use")
        calendars.delete(connection, name)
        audit.record(connection, author.workspace_id, author.actor, "calendar.deleted", name)

    return _changed(write)


def _form(given: Mapping[str, Any]) -> dict[str, Any]:
    faults = Faults()
    written.check(given, "", faults)
    if faults.problems:
        raise InvalidRequest("The calendar has faults.", problems=faults.listed())
    return written.stored(given)


def _put(connection: Connection, name: str, form: Mapping[str, Any], author: Author, event: str) -> None:
    calendars.put(connection, name, {"body": json.dumps(form), "description": form["description"]}, author.actor)
    audit.record(connection, author.workspace_id, author.actor, event, name)


def _changed(write: Callable[[Connection, Generation, Mapping[str, Any]], None]) -> str:
    """Make a change while no other is made; which processes have it."""

    def change_all(connection: Connection) -> int:
        number = configurations.begin(connection).generation
        now = generation.read(configurations.get(connection, number).body) if number else EMPTY
        write(connection, now, {row.name: row for row in calendars.listed(connection)})
        return configurations.end(connection)

    return changes.announced(db.change(change_all))


def _refuse_others(name: str, now: Generation, made: Mapping[str, Any]) -> None:
    if name in now.time_intervals:
        text = f"The calendar {name!r} is defined in time_intervals.yaml: change it there, and reload."
        raise Conflict(text, code="defined_in_file")
    if name not in made:
        raise _unknown(name, made)


def _shown(calendar: Calendar, now: Generation) -> Shown:
    rules = tuple(rule["name"] for rule in now.rules if calendar.name in generation.calendars_of(rule))
    return Shown(calendar, calendar.name in now.time_intervals, rules)


def _unknown(name: str, known: Mapping[str, Any]) -> NotFound:
    return NotFound(f"There is no calendar {name[:128]!r}{did_you_mean(name[:64], sorted(known)) or '.'}")
