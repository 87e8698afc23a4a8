"""The bytes of bundles, each content once.

They are kept as they were uploaded; their digest is that of the files in them. A content goes when no version has it.
"""

import sqlalchemy as sa

from store.bundles.versions import bundle_versions
from store.engine.db import Connection, metadata

bundle_archives = sa.Table(
    "bundle_archives",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)


def keep(db: Connection, digest: str, content: bytes) -> None:
    """Keep a content, unless it is kept already.

    One that is there is locked: ``drop_unused`` of another bundle waits, and then sees the version that needs it.
    """
    known = sa.select(bundle_archives.c.digest).where(bundle_archives.c.digest == digest).with_for_update()
    if db.execute(known).first() is None:
        db.execute(sa.insert(bundle_archives).values(digest=digest, content=content))


def read(db: Connection, digest: str) -> bytes | None:
    """The bytes of a content, or None."""
    content = db.scalar(sa.select(bundle_archives.c.content).where(bundle_archives.c.digest == digest))
    return None if content is None else bytes(content)


def drop_unused(db: Connection) -> None:
    """Remove what no version has any more."""
    used = sa.select(bundle_versions.c.digest)
    unused = bundle_archives.c.digest.not_in(used)
    found = db.execute(sa.select(bundle_archives.c.digest).where(unused).order_by("digest").with_for_update())
    digests = [row.digest for row in found]
    if digests:  # a statement of its own sees what was committed while this one waited for the locks
        db.execute(sa.delete(bundle_archives).where(bundle_archives.c.digest.in_(digests), unused))
