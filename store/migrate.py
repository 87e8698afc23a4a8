"""Brings the database to this version's schema: ``python -m store.migrate``.

Safe to run again and by several processes at once: on PostgreSQL an advisory lock lets one do it, on SQLite a lock on
the folder of the file. Run it once per deploy, before the processes start.
"""

import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from config.settings import SettingsError, settings
from store.engine import refusals

HERE = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """Alembic's configuration for this database."""
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["url"] = settings().database_url
    return config


def upgrade() -> None:
    """Bring the schema up to date.

    Raises:
        SettingsError: the folder of the database cannot be made, or its file is half migrated.
    """
    if settings().database_url.startswith("sqlite:///"):
        folder = Path(settings().database_url.removeprefix("sqlite:///")).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"TOCSIN_DATABASE_URL: {folder} cannot be made: {error.strerror}") from None
    try:
        command.upgrade(configuration(), "head")
    except OperationalError as error:
        if (words := _half_migrated(str(error.orig))) is None:
            raise
        raise SettingsError(words) from error


def _half_migrated(said: str) -> str | None:
    """What to do about a file of SQLite that has a part of the next migration; None if that is not the reason.

    An earlier release committed each statement of a migration by itself.
    """
    if not (said.startswith("duplicate column name") or said.endswith("already exists")):
        return None
    with sa.create_engine(settings().database_url, poolclass=sa.NullPool).connect() as connection:
        made = MigrationContext.configure(connection).get_current_revision()
    revisions = ScriptDirectory.from_config(configuration()).walk_revisions()
    broken_off = next(one.revision for one in revisions if one.down_revision == made)
    path = settings().database_url.removeprefix("sqlite:///")
    return (
        f"The file {path} is at revision {made or 'zero'} and has a part of {broken_off} ({said}): an earlier release "
        "was broken off while it migrated the file. Restore the backup made before that upgrade; "
        "docs/operations.md says how (Backups)"
    )


if __name__ == "__main__":
    with refusals.one_line():
        upgrade()
    sys.stdout.write("The database is up to date.\n")
