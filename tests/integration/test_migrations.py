"""Migrations that are broken off, and two that run at once: the schema is the same in the end."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from config.settings import settings
from store import migrate
from tests.support.processes import ROOT, clean_environment

pytestmark = pytest.mark.on_both

_SCRIPTS = ScriptDirectory(str(migrate.HERE))
#: all migrations, the first one first
_ALL = [one.revision for one in reversed(list(_SCRIPTS.walk_revisions()))]
#: the others take longer and run in the gate
_SOME = ["0020"]
_SAY_NOTHING = ("select", "pragma", "begin", "commit", "rollback")


class BrokenOff(Exception):  # noqa: N818
    """The process ends here."""


@contextmanager
def broken_off_at(number: int) -> Iterator[list[str]]:
    """A migration whose statement of this number ends the process before it runs; the changing statements so far."""
    said: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.strip().lower().startswith(_SAY_NOTHING):
            if len(said) == number:
                raise BrokenOff
            said.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        yield said
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)


def schema() -> set[tuple[Any, ...]]:
    """Tables with their columns, indexes, constraints and triggers."""
    engine = sa.create_engine(settings().database_url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                found = connection.exec_driver_sql(
                    "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
                )
                tables = [one for one in found if one.type == "table"]
                columns = [
                    (one.name, *column[1:5])
                    for one in tables
                    for column in connection.exec_driver_sql(f"PRAGMA table_info({one.name})")
                ]
                others = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type <> 'table'")
                return {tuple(row) for row in (*columns, *others)}
            asked = (
                (
                    "SELECT relname, attname, atttypid, attnotnull FROM pg_attribute JOIN pg_class c ON c.oid=attrelid"
                    " WHERE relkind = 'r' AND relnamespace = 2200 AND attnum > 0 AND NOT attisdropped"
                ),
                "SELECT adrelid::regclass::text, pg_get_expr(adbin, adrelid) FROM pg_attrdef",
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
                "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 2200",
                "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE NOT indisvalid",
            )
            return {tuple(row) for one in asked for row in connection.exec_driver_sql(one)}
    finally:
        engine.dispose()


@pytest.fixture
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands share the migrations as they were read: to read them takes longer than to run one."""
    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _configuration: _SCRIPTS)


@pytest.mark.usefixtures("_read_once")
@pytest.mark.parametrize(
    "revision", [one if one in _SOME else pytest.param(one, marks=pytest.mark.gate) for one in _ALL]
)
def test_a_migration_that_is_broken_off_runs_again(empty_database: str, revision: str) -> None:
    """Broken off before each of its statements in turn, it makes the same schema when it runs again."""
    configuration, place = migrate.configuration(), _ALL.index(revision)
    before = _ALL[place - 1] if place else "base"
    command.upgrade(configuration, revision)
    expected = schema()
    for number in range(1_000):
        command.downgrade(configuration, before)
        with broken_off_at(number) as said:
            try:
                command.upgrade(configuration, revision)
            except BrokenOff:
                pass
            else:
                assert number == len(said) > 0
                break
        command.upgrade(configuration, revision)
        assert schema() == expected, said
    assert schema() == expected


@pytest.mark.parametrize(
    ("revision", "part"),
    [
        ("0015", "ALTER TABLE executions ADD COLUMN gate TEXT"),
        pytest.param("0016", "ALTER TABLE idempotency_keys ADD COLUMN outcome TEXT", marks=pytest.mark.gate),
        pytest.param("0017", "ALTER TABLE audit ADD COLUMN outcome TEXT", marks=pytest.mark.gate),
        pytest.param("0018", "ALTER TABLE api_keys ADD COLUMN grants TEXT", marks=pytest.mark.gate),
        pytest.param("0019", "CREATE TABLE breakers (provider TEXT PRIMARY KEY)", marks=pytest.mark.gate),
    ],
)
def test_a_file_that_an_earlier_release_left_half_migrated_is_refused_in_one_line(
    tmp_path: Path, revision: str, part: str
) -> None:
    """Each statement was committed by itself: the line names the file, both revisions and what to do."""
    path, before = tmp_path / "tocsin.db", _ALL[_ALL.index(revision) - 1]
    environment = clean_environment(
        TOCSIN_ENV="development", TOCSIN_VAR_DIR=str(tmp_path), TOCSIN_DATABASE_URL=f"sqlite:///{path}"
    )
    first = (
        f"from alembic import command; from store import migrate; command.upgrade(migrate.configuration(), '{before}')"
    )
    subprocess.run([sys.executable, "-c", first], cwd=ROOT, env=environment, check=True, timeout=120)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(part)
    line = [sys.executable, "-m", "store.migrate"]
    ran = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert f"{path} is at revision {before} and has a part of {revision} (" in ran.stderr
    assert "docs/operations.md" in ran.stderr


@pytest.mark.parametrize(
    "empty_database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.gate)], indirect=True
)
def test_two_that_migrate_at_once_do_it_once(empty_database: str) -> None:
    """Four processes begin together on an empty database; all end well."""
    own = {name: str(getattr(settings(), name.removeprefix("TOCSIN_").lower())) for name in ("TOCSIN_DATABASE_URL",)}
    environment = clean_environment(TOCSIN_ENV="development", TOCSIN_VAR_DIR=str(settings().var_dir), **own)
    line = [sys.executable, "-m", "store.migrate"]
    processes = [
        subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    told = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("revision", ["0010", "0017", "0020"])
def test_what_writes_goes_on_while_indexes_are_built(empty_database: str, revision: str) -> None:
    """When an index of a table that has rows is built, nothing is locked for others."""
    configuration, locked, built = migrate.configuration(), list[tuple[str, list[Any]]](), []
    command.upgrade(configuration, _ALL[_ALL.index(revision) - 1])
    asked = (
        "SELECT relation::regclass::text, mode FROM pg_locks WHERE granted AND relation IN"
        " ('audit'::regclass, 'executions'::regclass) AND mode IN ('AccessExclusiveLock', 'ShareLock', 'ExclusiveLock')"
    )
    # an index that is built beside others waits for the end of their transactions
    other = sa.create_engine(settings().database_url, isolation_level="AUTOCOMMIT")
    with other.connect() as watching:

        def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("CREATE INDEX") and ("ON audit" in statement or "ON executions" in statement):
                built.append("CONCURRENTLY" in statement)
                if found := watching.exec_driver_sql(asked).all():
                    locked.append((statement, list(found)))

        sa.event.listen(sa.Engine, "before_cursor_execute", look)
        try:
            command.upgrade(configuration, revision)
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", look)
    other.dispose()
    assert built
    assert all(built)
    assert locked == []
