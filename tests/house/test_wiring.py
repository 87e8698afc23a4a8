"""Queues have processes, settings have pages, migrations have the tables."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tasks.app import QUEUES, app
from tasks.messages import routing
from worker import roles
from worker.roles import ROLES

ROOT = Path(__file__).parents[2]


def _procfile():
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if line.strip())


def test_every_queue_is_consumed_by_a_worker():
    """Exactly one worker consumes each queue, and none an unknown one."""
    consumed = [queue for role in ROLES.values() for queue in role.queues]
    assert sorted(consumed) == sorted(QUEUES)


def test_the_procfile_names_every_kind_of_worker():
    """The Procfile's line has every kind of worker, none twice by name."""
    names = _procfile()["workers"].partition("worker.supervisor ")[2].split()
    assert set(ROLES.values()) == {roles.of(name) for name in names}
    assert len(set(names)) == len(names)


def test_every_action_type_has_a_queue():
    """Every type of action goes to one of our queues."""
    from playbooks.definitions.actions import EXECUTORS, TYPES

    for kind in TYPES:
        for executor in EXECUTORS:
            assert routing.queue_of({"type": kind, "executor": executor}) in QUEUES


def test_the_procfile_has_every_process():
    """release, web, workers and flower are there."""
    assert list(_procfile()) == ["release", "web", "workers", "flower"]


def test_every_scheduled_task_exists():
    """Beat's entries name tasks that are registered."""
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


@pytest.mark.on_both
def test_migrations_make_the_tables_of_the_code(empty_database):
    """`python -m store.migrate` makes the tables declared in store/, on each database."""
    from store import migrate
    from store.engine.db import engine
    from store.schema import metadata

    migrate.upgrade()
    with engine().connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_audit_trail_cannot_be_changed(database):
    """The database refuses UPDATE and DELETE on the audit table."""
    import sqlalchemy as sa

    from store import audit
    from store.engine import db

    with db.write() as connection:
        audit.record(connection, "w", "me", "tested", "thing")
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(sa.exc.DatabaseError, match="append-only"), db.engine().begin() as connection:
            connection.exec_driver_sql(statement)
    with db.read() as connection:
        assert [row.event for row in audit.of(connection, "w", "thing")] == ["tested"]
