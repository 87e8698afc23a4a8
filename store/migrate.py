"""Brings the database to this version's schema: ``python -m store.migrate``.

Safe to run again and by several processes at once: on PostgreSQL an advisory lock lets one do it, on SQLite a lock on
the folder of the file. Run it once per deploy, before the processes start.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

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
        SettingsError: the folder of the database cannot be made.
    """
    if settings().database_url.startswith("sqlite:///"):
        folder = Path(settings().database_url.removeprefix("sqlite:///")).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"TOCSIN_DATABASE_URL: {folder} cannot be made: {error.strerror}") from None
    command.upgrade(configuration(), "head")


if __name__ == "__main__":
    with refusals.one_line():
        upgrade()
    sys.stdout.write("The database is up to date.\n")
