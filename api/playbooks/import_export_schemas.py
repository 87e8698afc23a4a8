"""The shapes and examples of exports and imports."""

from typing import Any

from marshmallow import INCLUDE, fields, validate

from api.http.base_schema import Answer, Schema
from api.http.schemas import Strict, described
from api.playbooks import examples as shown
from api.playbooks.schemas import StoredPlaybook
from tasks.definitions import exports, imports

#: whether an export has anything around the document
NONE, DATA = "none", "data"

_YES_NO: dict[str, Any] = {"truthy": {"true", "1"}, "falsy": {"false", "0"}}


class ExportQuery(Strict):
    """The format in which a playbook is exported."""

    form = fields.String(
        data_key="format",
        load_default=exports.CACAO,
        validate=validate.OneOf((exports.CACAO, exports.NATIVE, exports.YAML)),
        metadata=described("cacao_v2: an OASIS CACAO 2.0 document. native, yaml: the definition.", example="cacao_v2"),
    )
    include_secrets = fields.Boolean(
        load_default=False,
        **_YES_NO,
        metadata=described("With the credentials of an imported document; admins only.", example=False),
    )
    sign = fields.Boolean(
        load_default=False,
        **_YES_NO,
        metadata=described(
            "With a signature made with the operator's key; for who may write playbooks.", example=False
        ),
    )

    envelope = fields.String(
        load_default=NONE,
        validate=validate.OneOf((NONE, DATA)),
        metadata=described("none: the document itself. data: the document under data, and notices in meta."),
    )


class ImportQuery(Strict):
    """The options of an import; the body may have them too."""

    dry_run = fields.Boolean(
        load_default=False, **_YES_NO, metadata=described("Show what would be made, and make nothing.", example=True)
    )
    lenient = fields.Boolean(
        load_default=False,
        **_YES_NO,
        metadata=described("Import a CACAO document with faults as far as it goes.", example=False),
    )
    on_conflict = fields.String(
        load_default="refuse",
        validate=validate.OneOf(imports.CONFLICTS),
        metadata=described("What happens when there is another playbook of that id.", example="replace"),
    )


class Document(Schema):
    """A CACAO document, or a definition: an object of free form."""

    class Meta:
        """Its members are those of its kind."""

        unknown = INCLUDE


class Warned(Answer):
    """A deviation from the standard, or from the document."""

    code = fields.String(metadata=described("A stable word."))
    pointer = fields.String(metadata=described("Where in the document, as a JSON pointer."))
    message = fields.String(metadata=described("What it is, and what becomes of it."))


class Unsupported(Answer):
    """A step that is not carried out as the document says."""

    step_id = fields.String(metadata=described("Its id in the document."))
    reason = fields.String(metadata=described("Why, and what happens instead."))


class Imported(Answer):
    """The result of an import."""

    id = fields.String(metadata=described("The playbook's id."))
    name = fields.String(metadata=described("Its name."))
    version = fields.String(metadata=described("Its version."))
    step_count = fields.Integer(metadata=described("How many steps it has here."))
    enabled = fields.Boolean(metadata=described("Whether it may be started."))
    dry_run = fields.Boolean(metadata=described("Whether nothing was stored."))
    outcome = fields.String(metadata=described("What happens.", enum=["created", "revised", "unchanged"]))
    conformance = fields.String(
        metadata=described("How the document keeps to its standard.", enum=["valid", "warnings", "nonconformant"])
    )
    warnings = fields.List(
        fields.Nested(Warned), metadata=described("What is not as the standard or the document has it.")
    )
    unsupported = fields.List(fields.Nested(Unsupported), metadata=described("Steps that something else replaces."))
    playbook = fields.Nested(StoredPlaybook, metadata=described("The playbook in stored form."))


DOCUMENT: dict[str, Any] = {
    "type": "playbook",
    "spec_version": "cacao-2.0",
    "id": "playbook--0d9e3e7c-5a0f-4e0a-9c53-3f1f9b1f4c11",
    "name": "Block an address",
    "created_by": "identity--8e1c0c52-6c1b-4d8e-9a57-2f6d0f1f7a3b",
    "created": "2026-04-28T12:00:00.000Z",
    "modified": "2026-04-28T12:00:00.000Z",
    "playbook_variables": {"__address__": {"type": "ipv4-addr", "external": True}},
    "workflow_start": "start--3b0c1a52-0f0d-4d7e-8f43-6f2f5a9b1d10",
    "workflow": {
        "start--3b0c1a52-0f0d-4d7e-8f43-6f2f5a9b1d10": {
            "type": "start",
            "on_completion": "action--1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        },
        "action--1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f": {
            "type": "action",
            "name": "Ask the firewall team",
            "commands": [{"type": "manual", "command": "Block __address__:value at the firewall."}],
            "agent": "organization--7f8e9d0c-1b2a-4938-8756-452413021f0e",
            "on_completion": "end--9a8b7c6d-5e4f-4a3b-9c2d-1e0f1a2b3c4d",
        },
        "end--9a8b7c6d-5e4f-4a3b-9c2d-1e0f1a2b3c4d": {"type": "end"},
    },
    "agent_definitions": {
        "organization--7f8e9d0c-1b2a-4938-8756-452413021f0e": {"type": "organization", "name": "Firewall team"}
    },
}
IMPORTED: dict[str, Any] = {
    "data": {
        "id": DOCUMENT["id"],
        "name": DOCUMENT["name"],
        "version": "1.0.0",
        "step_count": 1,
        "enabled": True,
        "dry_run": False,
        "outcome": "created",
        "conformance": "valid",
        "warnings": [],
        "unsupported": [],
        "playbook": {**shown.DEFINITION, "id": DOCUMENT["id"], "name": DOCUMENT["name"]},
    }
}
