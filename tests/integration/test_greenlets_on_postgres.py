"""A web process waits for PostgreSQL without stopping its other requests, whatever becomes of the connection."""

import json
import subprocess
import sys
import uuid

import pytest

from tests.support.processes import ROOT, clean_environment
from tests.support.services import ForeignPostgres, PostgresServer


@pytest.mark.on_both
def test_a_connection_is_waited_for_by_what_it_keeps(postgres_server: PostgresServer | ForeignPostgres) -> None:
    """Answers come, others go on meanwhile, pipelines larger than a socket pass, and what is closed is noticed."""
    name = f"waited_{uuid.uuid4().hex[:12]}"
    url = postgres_server.create_database(name).replace("+psycopg", "")
    command = [sys.executable, "-m", "tests.support.waiter", url]
    try:
        said = subprocess.check_output(command, cwd=ROOT, env=clean_environment(), text=True, timeout=120)
    finally:
        postgres_server.drop_database(name)
    assert json.loads(said) == {
        "asked": 7,
        "others went on": True,
        "large": [3_000_000] * 4,
        "after an error": 8,
        "killed": True,
        "closed": "away",
        "at once": True,
        "cut off": "away",
    }
