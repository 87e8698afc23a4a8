"""A wrong setting is one line that names the variable and says what to write; it shows no password."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import exc

from config.errors import Unavailable
from config.settings import SettingsError, load, settings
from store.engine import refusals
from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "postgres://u:hidden@h/db", "write postgresql+psycopg://"),
        ("DATABASE_URL", "postgresql://u:hidden@h/db", "write postgresql+psycopg://"),
        ("DATABASE_URL", "postgresql+psycopg2://u:hidden@h/db", "write postgresql+psycopg://"),
        ("DATABASE_URL", "mysql://u:hidden@h/db", "mysql://… is no database here"),
        ("DATABASE_URL", "tocsin.db", "sqlite:////"),
        ("DATABASE_URL", "sqlite://tocsin.db", "three slashes"),
        ("DATABASE_URL", "postgresql+psycopg://u:hid/den@h:5432/db", "%2F"),
        ("REDIS_URL", "localhost:6379", "redis://HOST:6379/0"),
        ("REDIS_URL", "http://localhost", "redis://HOST:6379/0"),
        ("BROKER_URL", "kafka://localhost", "amqp://USER"),
        ("LOG_LEVEL", "verbose", "write DEBUG"),
        ("LOG_LEVEL", "inf", "did you mean INFO?"),
        ("LOG_FORMAT", "text", "json, console"),
        ("RATE_LIMIT", "many", "6000/minute"),
        ("PORT", "http", "a whole number"),
        ("PORT", "70000", "0 to 65535"),
        ("LEASE_SECONDS", "0", "1 or more"),
        ("RETENTION_DAYS", "-1", "1 or more"),
        ("REDIS_PATCHED", "perhaps", "true or false"),
        ("SQLITE_SYNCHRONOUS", "FUL", "did you mean FULL?"),
    ],
)
def test_a_wrong_value_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    """The line names the variable, and holds an example or the allowed words."""
    settings()  # kept: what threads of earlier tests read meanwhile
    monkeypatch.setenv(f"TOCSIN_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load()
    line = str(refused.value)
    assert f"TOCSIN_{name}" in line
    assert words in line
    assert "\n" not in line
    assert "hid" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql+psycopg://u:p%2Fw@[::1]:5432/db?sslmode=require"),
        ("DATABASE_URL", "postgresql+psycopg://u:p@/db?host=a:5432,b:5433"),
        ("DATABASE_URL", "sqlite:////var/lib/tocsin.db"),
        ("REDIS_URL", "unix:///run/redis.sock?db=2"),
        ("BROKER_URL", "amqp://guest:guest@rabbit:5672//"),
        ("BROKER_URL", "sentinel://a:26379;sentinel://b:26379"),
        ("LOG_LEVEL", "debug"),
        ("RATE_LIMIT", "10 per 5 minutes"),
        ("RATE_LIMIT", "100/second"),
    ],
)
def test_a_good_value_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Values that drivers take are not refused."""
    monkeypatch.setenv(f"TOCSIN_{name}", value)
    assert str(getattr(load(), name.lower())).lower() == value.lower()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('connection failed: FATAL:  password authentication failed for user "u"', "user or the password"),
        ('connection failed: FATAL:  database "x" does not exist', "create it first"),
        ('connection failed: FATAL:  role "x" does not exist', "does not exist in the database"),
        ("connection failed: Connection refused", "is the database running?"),
        ("failed to resolve host 'db'", "not known to the resolver"),
        ("no such table: workspaces", "python -m store.migrate"),
        ("anything else with p4ssw0rd", "cannot be used"),
    ],
)
def test_a_refusal_of_the_database_is_one_line(said: str, words: str) -> None:
    """The line says what to do, and repeats nothing that the database said."""
    error = exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError(said))
    for raised in (error, _unavailable(error)):
        line = refusals.words(raised)
        assert line is not None
        assert words in line
        assert "p4ssw0rd" not in line
    assert refusals.words(ValueError(said)) is None


def _unavailable(cause: Exception) -> Unavailable:
    error = Unavailable()
    error.__cause__ = cause
    return error


def test_a_key_before_the_migration_is_one_line(tmp_path: Path) -> None:
    """The command ends with what to run first, without a traceback."""
    environment = clean_environment(TOCSIN_ENV="development", TOCSIN_VAR_DIR=str(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-m", "launcher.key"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.strip().count("\n") == 0, ran.stderr
    assert "python -m store.migrate first" in ran.stderr
