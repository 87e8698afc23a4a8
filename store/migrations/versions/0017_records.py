"""The row of the audit trail that ends something is its record, and what a dispatch carried lies beside it.

Rows that are there stay as they are: records begin with what ends after this migration. A revision of an action names
its provider, so that a record need not read the definition.

The indexes leave out the rows of before; the table is read once for each. On PostgreSQL they are built CONCURRENTLY, when
all else is committed: accepts and workers go on, and broken off it goes on where it was. On SQLite all is one
transaction, in which what writes waits.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_RECORD = ("outcome", "origin", "namespace", "provider", "action_type", "given_id", "verdict", "rule", "caller")
_INDEXES = {
    "records": (("at", "id", "provider", "namespace", "caller"), "outcome IS NOT NULL"),
    "types": (("action_type", "at", "id"), "outcome IS NOT NULL"),
    "outcomes": (("outcome", "at", "id"), "outcome <> 'executed'"),
    "verdicts": (("verdict", "at", "id"), "verdict IS NOT NULL"),
    "rules": (("rule", "at", "id"), "rule IS NOT NULL"),
    "given": (("given_id", "id"), "given_id IS NOT NULL"),
}
#: the provider of an action: its executor, of a notification its channel
_PROVIDER = {
    "sqlite": """CASE json_extract(definition, '$.executor') WHEN 'notification'
        THEN coalesce(json_extract(definition, '$.config.kind'), 'notification')
        ELSE json_extract(definition, '$.executor') END""",
    "postgresql": """CASE CAST(definition AS json) ->> 'executor' WHEN 'notification'
        THEN coalesce(CAST(definition AS json) #>> '{config,kind}', 'notification')
        ELSE CAST(definition AS json) ->> 'executor' END""",
}


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table("payloads"):  # else it was broken off between two indexes
        _add()
    if op.get_bind().dialect.name == "sqlite":
        for name in _INDEXES:
            _build(name)
        return
    with op.get_context().autocommit_block():
        for name in _INDEXES:
            if not op.get_bind().scalar(_is_finished, {"name": f"ix_audit_{name}"}):
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_audit_{name}")
                _build(name, postgresql_concurrently=True)


_is_finished = sa.text("SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND indisvalid")


def _build(name: str, **how: bool) -> None:
    columns, text = _INDEXES[name]
    where = sa.text(text)
    op.create_index(
        f"ix_audit_{name}", "audit", ["workspace_id", *columns], sqlite_where=where, postgresql_where=where, **how
    )


def _add() -> None:
    for name in _RECORD:
        op.add_column("audit", sa.Column(name, sa.Text))
    op.add_column("audit", sa.Column("began_at", sa.BigInteger))
    op.add_column("action_revisions", sa.Column("provider", sa.Text))
    op.execute(f"UPDATE action_revisions SET provider = {_PROVIDER[op.get_bind().dialect.name]}")
    op.create_table(
        "payloads",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Index("ix_payloads_at", "at"),
    )


def downgrade() -> None:
    op.drop_table("payloads")
    op.drop_column("action_revisions", "provider")
    for name in _INDEXES:
        op.drop_index(f"ix_audit_{name}", "audit")
    for name in (*_RECORD, "began_at"):
        # SQLite by its own statement: a batch would make the table anew, and lose its triggers
        op.execute(f"ALTER TABLE audit DROP COLUMN {name}")
