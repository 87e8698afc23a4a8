"""Export a playbook in a form that other tools read.

A CACAO document starts from the document that was imported, if there is one, and what has changed since is
written into it. Then references replace its credentials, and last it is signed, if the caller asks for that.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cacao.model import credentials
from cacao.writing import exporter, signing, update
from config.errors import Forbidden, Unprocessable
from config.settings import settings
from config.types import Json
from playbooks.checks.size import size
from store.access import Caller
from store.definitions import documents, playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from tasks.offload import pool

CACAO, NATIVE, YAML = "cacao_v2", "native", "yaml"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A document and warnings about what it leaves out."""

    document: Json
    notices: tuple[str, ...] = ()


def export_playbook(caller: Caller, playbook_id: str, *, form: str, include_secrets: bool, sign: bool) -> Exported:
    """Return a playbook in the form that the caller asks for.

    Raises:
        NotFound: no such playbook. Forbidden: the caller may not have secrets or a signature.
        Unprocessable: there is no key to sign with, or the form knows no signatures.
    """
    if include_secrets and caller.role != "admin":
        raise Forbidden("Only an admin may export the credentials of a document.")
    if sign and not caller.may("write:playbooks"):
        raise Forbidden("A signature is given to who may write playbooks: the key does not carry write:playbooks.")
    if sign and form != CACAO:
        raise Unprocessable("Only CACAO documents are signed; leave out sign.", code="not_signable")
    with db.read() as connection:
        playbook = playbooks.get(connection, caller.workspace_id, playbook_id)
    if form != CACAO:
        return Exported(document={"id": playbook.id, **playbook.revision.definition, "enabled": playbook.enabled})
    came, document, without = _documents(caller, playbook)
    shown = document if include_secrets else without
    return Exported(document=_signed(shown) if sign else shown, notices=tuple(_notices(came, document, shown)))


def is_own(caller: Caller, playbook: Playbook, given: Mapping[str, Any]) -> bool:
    """Whether a document is an export of the playbook as it is now.

    It may lack the credentials, as exports for most callers do, and it may be signed.
    """
    _, *exported = _documents(caller, playbook)
    bare = {name: value for name, value in given.items() if name != "signatures"}
    return any(bare == {name: value for name, value in one.items() if name != "signatures"} for one in exported)


def _documents(caller: Caller, playbook: Playbook) -> tuple[Mapping[str, Any], Json, Json]:
    """The document that was imported, what an export of today says, and the same without credentials."""
    with db.read() as connection:
        kept = documents.of(connection, caller.workspace_id, playbook.uid)
        before = playbooks.revision(connection, kept.revision_id) if kept is not None else None
    came: Mapping[str, Any] = kept.document if kept is not None and before is not None else {}
    way = pool.way(size(playbook.revision.definition).milliseconds + size(came).milliseconds)
    if kept is None or before is None:
        document = _fresh(caller, playbook, way)
    else:
        present = {"id": playbook.id, **playbook.revision.definition}
        document = way(
            update.put,
            came,
            before.definition,
            present,
            modified=stamp(playbook.updated_at),
            workspace=caller.workspace_id,
        )
    return came, document, way(credentials.without, document, playbook.id) if came else document


def _fresh(caller: Caller, playbook: Playbook, way: Callable[..., Any]) -> Json:
    document: Json = way(
        exporter.export,
        {**playbook.revision.definition, "enabled": playbook.enabled},
        playbook_id=playbook.id,
        workspace=caller.workspace_id,
        identity=settings().cacao_identity,
        created=stamp(playbook.created_at),
        modified=stamp(playbook.updated_at),
    )
    return document


def _signed(document: Json) -> Json:
    path = settings().cacao_signing_key
    if path is None:
        text = "There is no key to sign with; the operator names one in TOCSIN_CACAO_SIGNING_KEY."
        raise Unprocessable(text, code="no_signing_key")
    try:
        return signing.signed(
            document,
            path.read_bytes(),
            signee=settings().cacao_signee,
            identity=settings().cacao_identity,
            now=now(),
        )
    except (OSError, signing.NotSigned) as error:
        raise Unprocessable(f"The document could not be signed: {error}.", code="no_signing_key") from error


def _notices(came: Mapping[str, Any], document: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[str]:
    if "signatures" in came and "signatures" not in shown:
        yield "signatures-dropped"
    if shown != document:
        yield "credentials-replaced"


def now() -> str:
    """The present time in the form of documents."""
    return stamp(db.now_ms())


def stamp(milliseconds: int) -> str:
    """RFC 3339, UTC, with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
