"""Three queues get the names of what they are for, in the rows of what has ended.

A row that has not ended keeps the name that it was written with: its message lies on the queue of that name, the
processes of the release before know no other, and those of this release know both, so that they can go on side by side.
``downgrade`` takes those rows along: without this release no worker consumes the queues that they name, and the tick of the
release before publishes them again, on the queues that it knows.

The table is gone through by its key, ``BITE`` rows at a time, each in a transaction of its own: processes that work
meanwhile wait for a bite and not for the table, and go on in the pause behind it. It may be broken off and run again.

Revision ID: 0009
"""

import time

import sqlalchemy as sa
from alembic import op

from store.engine import rest

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

#: former name → name
_NAMES = {"notices": "notifications", "patient": "slow", "suspects": "quarantine"}
#: rows in one transaction
BITE = 2_000

_rows = sa.table("executions", sa.column("id"), sa.column("queue"), sa.column("due_at"))


def upgrade() -> None:
    _rename(_NAMES, _rows.c.due_at.is_(None))


def downgrade() -> None:
    _rename({name: former for former, name in _NAMES.items()}, sa.true())


def _rename(names: dict[str, str], which: sa.ColumnElement[bool]) -> None:
    with op.get_context().autocommit_block():
        connection, after = op.get_bind(), ""
        while last := connection.scalar(_last_of_bite, {"after": after, "bite": BITE}):
            here = [_rows.c.id > after, _rows.c.id <= last, _rows.c.queue.in_(names), which]
            named = sa.case(names, value=_rows.c.queue)
            began = time.monotonic()
            connection.execute(sa.update(_rows).where(*here).values(queue=named))
            rest.after_bite(began)
            after = last


_bite = sa.select(_rows.c.id).where(_rows.c.id > sa.bindparam("after")).order_by(_rows.c.id)
_last_of_bite = sa.select(sa.func.max(_bite.limit(sa.bindparam("bite", type_=sa.Integer)).subquery().c.id))
