"""The documents of imported playbooks, each with the revision made of it.

A document may hold credentials, so it is sealed as a whole. ``revision_id`` is the revision that the document was
converted to: the difference between that one and the present one is what was changed here since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, metadata, now_ms
from store.sealing.seal import document_cell, seal, unseal

documents = sa.Table(
    "playbook_documents",
    metadata,
    sa.Column("playbook_uid", sa.Text, primary_key=True),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("modified", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class ImportedDocument:
    """A document as received; ``modified`` and ``digest`` are those of the original."""

    revision_id: str
    modified: str
    digest: str
    document: Mapping[str, Any]


def keep(db: Connection, workspace_id: str, playbook_uid: str, kept: ImportedDocument) -> None:
    """Store the document of a playbook; it replaces an earlier one."""
    db.execute(sa.delete(documents).where(documents.c.playbook_uid == playbook_uid))
    values = {
        "playbook_uid": playbook_uid,
        "revision_id": kept.revision_id,
        "modified": kept.modified,
        "digest": kept.digest,
        "sealed": seal({"document": kept.document}, document_cell(workspace_id, playbook_uid)),
        "created_at": now_ms(),
    }
    db.execute(sa.insert(documents).values(values))


def of(db: Connection, workspace_id: str, playbook_uid: str) -> ImportedDocument | None:
    """The document of a playbook, if it was imported.

    Raises:
        SealBroken: it was sealed with another key, or for another playbook.
    """
    row = db.execute(sa.select(documents).where(documents.c.playbook_uid == playbook_uid)).first()
    if row is None:
        return None
    document = unseal(row.sealed, document_cell(workspace_id, playbook_uid))["document"]
    return ImportedDocument(revision_id=row.revision_id, modified=row.modified, digest=row.digest, document=document)
