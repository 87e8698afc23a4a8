"""Blocks of the audit trail are sealed, and whole blocks may go once they are old.

Rows that are there already are sealed by tick, in bites, once this has run. Rows below the mark of ``audit_floor`` may be
deleted, no others; the mark moves forward only, and each move writes a row of the trail, by triggers. Processes of the
release before delete nothing from the trail, and seal nothing.

Revision ID: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

#: a row of the trail that lies at the mark or below it
_BELOW = """OLD.id <= after_id OR (OLD.id <= last_id AND (coalesce(OLD.xid, 0), OLD.id) <= (xid, id))"""
_REFUSED = "the audit trail is append-only"
_BACK = "the mark of the audit trail moves forward only"
_NOTE = """INSERT INTO audit (workspace_id, at, actor, event, subject, details)
    VALUES ('', NEW.moved_at, NEW.moved_by, 'audit.pruned', 'trail', '{"seal":' || NEW.seal || '}')"""
#: the same mark under another key is no move
_NO_MOVE = "NEW.seal = OLD.seal AND NEW.epoch = OLD.epoch AND NEW.xid = OLD.xid AND NEW.id = OLD.id"
_NO_MOVE += " AND NEW.after_id = OLD.after_id AND NEW.last_id = OLD.last_id"

_SQLITE = (
    "DROP TRIGGER audit_no_delete",
    f"""CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    WHEN NOT EXISTS (SELECT 1 FROM audit_floor WHERE {_BELOW})
    BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER audit_floor_forward BEFORE UPDATE ON audit_floor
    WHEN NOT (NEW.only_one = OLD.only_one AND (NEW.seal > OLD.seal OR ({_NO_MOVE})))
    BEGIN SELECT RAISE(ABORT, '{_BACK}'); END""",
    f"""CREATE TRIGGER audit_floor_kept BEFORE DELETE ON audit_floor
    BEGIN SELECT RAISE(ABORT, '{_BACK}'); END""",
    f"""CREATE TRIGGER audit_floor_begun AFTER INSERT ON audit_floor BEGIN {_NOTE}; END""",
    f"""CREATE TRIGGER audit_floor_moved AFTER UPDATE ON audit_floor WHEN NEW.seal > OLD.seal BEGIN {_NOTE}; END""",
)
_POSTGRESQL = (
    "DROP TRIGGER audit_no_change ON audit",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()""",
    f"""CREATE FUNCTION audit_goes_below_the_mark() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM audit_floor WHERE {_BELOW}) THEN RAISE EXCEPTION '{_REFUSED}'; END IF;
        RETURN OLD;
    END $$""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_goes_below_the_mark()""",
    f"""CREATE FUNCTION audit_floor_moves() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF TG_OP IN ('DELETE', 'TRUNCATE') THEN RAISE EXCEPTION '{_BACK}'; END IF;
        IF TG_OP = 'UPDATE' THEN
            IF {_NO_MOVE} THEN RETURN NEW; END IF;
            IF NEW.seal <= OLD.seal THEN RAISE EXCEPTION '{_BACK}'; END IF;
        END IF;
        {_NOTE};
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER audit_floor_moves BEFORE INSERT OR UPDATE OR DELETE ON audit_floor
    FOR EACH ROW EXECUTE FUNCTION audit_floor_moves()""",
    """CREATE TRIGGER audit_floor_stays BEFORE TRUNCATE ON audit_floor
    FOR EACH STATEMENT EXECUTE FUNCTION audit_floor_moves()""",
)
_SQLITE_BACK = (
    "DROP TRIGGER audit_no_delete",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
)
_POSTGRESQL_BACK = (
    "DROP TRIGGER audit_no_delete ON audit",
    "DROP TRIGGER audit_no_change ON audit",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()""",
    "DROP FUNCTION audit_goes_below_the_mark",
)


def upgrade() -> None:
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("form", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("first_id", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("highest_at", sa.BigInteger, nullable=False),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("sealed_at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("leaf_marks", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_audit_seals_place", "audit_seals", ["epoch", "xid", "id"], unique=True)
    op.create_index("ix_audit_seals_highest", "audit_seals", ["highest_at", "number"])
    op.create_table(
        "audit_anchors",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("dispatch_id", sa.Text),
    )
    op.create_table(
        "audit_walks",
        sa.Column("begun_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("seals_checked", sa.BigInteger, nullable=False),
        sa.Column("records_checked", sa.BigInteger, nullable=False),
        sa.Column("faults", sa.Text, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_table(
        "audit_floor",
        sa.Column("only_one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seal", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("after_id", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("mac", sa.Text, nullable=False),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    for statement in _SQLITE_BACK if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL_BACK:
        op.execute(statement)
    for table in ("audit_floor", "audit_walks", "audit_anchors", "audit_seals"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_floor_moves")
