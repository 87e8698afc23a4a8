"""Connects Alembic with the tables' metadata."""

import time

import sqlalchemy as sa
from alembic import context

from store.schema import metadata

#: any number; distinguishes this lock from others in the same database
LOCK = 7_461_203
#: between two tries for the lock, seconds: a session that waited for it inside a statement would hold up an index that
#: is built while the others go on
PAUSE = 0.2


def run() -> None:
    """Run the wanted migrations in one transaction, one process at a time."""
    engine = sa.create_engine(context.config.attributes["url"], connect_args={})
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            while not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
                connection.commit()
                time.sleep(PAUSE)
            connection.commit()
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
