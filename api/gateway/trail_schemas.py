"""The shapes of what is said about the sealed trail."""

import json
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.gateway.record_schemas import RECORD, AuditQuery
from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.schemas import moment, number, text, time_filter

_NAME_CHARACTERS = 128
#: number and hash of a seal
_ANCHOR = r"\d{1,18}:[0-9a-f]{64}"
_HASH = "5b1c0f7e" * 8

KEY: dict[str, Any] = {"key_id": "5d0c7a19", "algorithm": "Ed25519", "public_key": "d75a9801" * 8, "signs": True}
KEYS: dict[str, Any] = {"keys": [KEY]}
SEAL: dict[str, Any] = {
    "number": 4182,
    "form": 1,
    "epoch": 0,
    "xid": 0,
    "id": 48230,
    "row_count": 3,
    "first_id": 48228,
    "last_id": 48230,
    "first_at": 1777377600100,
    "last_at": 1777377600420,
    "highest_at": 1777377600420,
    "root": _HASH,
    "previous": "0e" * 32,
    "sealed_at": 1777377601004,
    "key_id": "5d0c7a19",
}
PROOF: dict[str, Any] = {
    "record_id": "48229",
    "row": {
        "actor": "3f1c9a60b2d4",
        "at": 1777377600210,
        "event": "execution.completed",
        "id": 48229,
        "subject": "exec-9912",
        "workspace_id": "tenant-1",
    },
    "place": 1,
    "path": [{"side": "left", "hash": "1a" * 32}, {"side": "right", "hash": "2b" * 32}],
    "seal": SEAL,
    "hash": _HASH,
    "signature": "4c" * 64,
    "public_key": KEY["public_key"],
}
VERIFIED: dict[str, Any] = {
    "valid": True,
    "records_checked": 48230,
    "first_broken_at": None,
    "first_record_id": "1",
    "last_record_id": "48230",
    "seals_checked": 4182,
    "unsealed": 2,
    "faults": [],
    "complete": True,
    "next_cursor": None,
    "newest_seal": {"number": 4182, "hash": _HASH, "sealed_at": "2026-04-28T12:00:01.004Z"},
}


class Verify(Schema):
    """What is to be checked; all of it unless it says otherwise."""

    namespace = pages.text(_NAME_CHARACTERS, "Only records of this namespace are counted.", "notifications")
    tenant = pages.text(_NAME_CHARACTERS, "Only records of this tenant are counted.", "default")
    since = time_filter("from", "Only what was recorded at this time or later.", "2026-04-28T00:00:00Z")
    until = time_filter("to", "Only what was recorded before this time.", "2026-04-29T00:00:00Z")
    anchor = fields.String(
        validate=validate.Regexp(rf"{_ANCHOR}\Z", error="must be NUMBER:HASH of a seal that was anchored elsewhere"),
        metadata={
            "description": "A seal that was kept elsewhere, NUMBER:HASH: the chain must have it.",
            "pattern": f"^{_ANCHOR}$",
        },
    )
    cursor = fields.String(
        validate=validate.Length(min=1, max=6_000),  # a request line has room for it
        metadata={
            "description": "The next_cursor of an answer that is not complete, to go on with the same question.",
            "pattern": "^[A-Za-z0-9_-]+$",
        },
    )

    @validates_schema
    def _forward(self, query: dict[str, Any], **_: Any) -> None:
        if "since" in query and "until" in query and query["since"] > query["until"]:
            raise ValidationError("lies before from", "to")


class ExportQuery(AuditQuery):
    """The filters of the list, which part of it is exported."""

    limit = fields.Integer(
        load_default=1_000,
        validate=validate.Range(min=1, max=1_000),
        metadata={"description": "How many records at most, up to 1,000.", "example": 1_000},
    )

    class Meta:
        """What the list has besides."""

        exclude = ("offset",)


class FaultOfTrail(Answer):
    """Something that is not as it was sealed."""

    kind = fields.String(
        metadata={
            "description": "What is wrong.",
            "enum": [
                "row_changed",
                "row_missing",
                "row_added",
                "row_odd",
                "seal_forged",
                "seal_missing",
                "chain_broken",
                "unknown_key",
                "anchor_differs",
                "mark_forged",
            ],
        }
    )
    seal = number("The number of the seal.")
    record_id = text(
        "The first record that it concerns; null where none is known, or the key does not cover it.", null=True
    )


class NewestSeal(Answer):
    """The newest seal; keep its number and hash elsewhere."""

    number = number("Its number.")
    hash = text("Its hash, which names all that was sealed up to here.")
    sealed_at = moment("When it was made.")


class Verified(Answer):
    """What a check of the trail has found."""

    valid = fields.Boolean(metadata={"description": "Whether all that was checked is as it was sealed."})
    records_checked = number(
        "Rows of the trail that the key covers and the filters match, each compared with its seal."
    )
    first_broken_at = text("The id of the first record that is not as it was sealed.", null=True)
    first_record_id = text("The id of the first record that was checked.", null=True)
    last_record_id = text("The id of the last record that was checked.", null=True)
    seals_checked = number("Seals whose hash, signature and link to the one before were checked.")
    unsealed = number("Rows that wait for their seal, at most two seconds as a rule; counted up to 1,000.")
    faults = fields.List(fields.Nested(FaultOfTrail), metadata={"description": "What is wrong, up to 20 faults."})
    complete = fields.Boolean(metadata={"description": "Whether the end was reached; else go on with next_cursor."})
    next_cursor = text("What to send as cursor to go on; null when complete.", null=True)
    newest_seal = fields.Nested(NewestSeal, allow_none=True, metadata={"description": "Null before the first."})


class SealKey(Answer):
    """A public key of seals."""

    key_id = text("Its name, which seals have.")
    algorithm = text("Ed25519.")
    public_key = text("The 32 bytes in hexadecimal digits.")
    signs = fields.Boolean(metadata={"description": "Whether it signs what is new."})


class SealKeys(Answer):
    """The public keys of seals."""

    keys = fields.List(fields.Nested(SealKey), metadata={"description": "The one that signs first."})


class Sibling(Answer):
    """A node next to the way from a record to the root."""

    side = fields.String(metadata={"description": "Where it stands.", "enum": ["left", "right"]})
    hash = text("The node, hexadecimal digits.")


class Proof(Answer):
    """What proves that one record is as it was sealed."""

    record_id = text("The id of the record.")
    row = fields.Dict(metadata={"description": "The row of the trail, in the form that is sealed."})
    place = number("Its place in its block, from 0.")
    path = fields.List(fields.Nested(Sibling), metadata={"description": "The nodes from its leaf up to the root."})
    seal = fields.Dict(metadata={"description": "What the seal of the block says."})
    hash = text("The SHA-256 of the seal.")
    signature = text("The Ed25519 signature of the seal, hexadecimal digits.")
    public_key = text("The key that verifies it; null where it is not set any more.", null=True)


LINES = f"{json.dumps(RECORD)}\n"
__all__ = ["KEYS", "LINES", "PROOF", "VERIFIED", "ExportQuery", "Proof", "SealKeys", "Verified", "Verify"]
