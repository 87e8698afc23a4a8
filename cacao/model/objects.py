"""The object types of CACAO 2.0 and the shape of each property.

From small to large: agents and targets, authentication information, data markings, extension definitions, signatures,
workflow steps, and the playbook. ``parts`` has the shapes they share.
"""

from collections.abc import Mapping

from cacao.model import vocabulary as words
from cacao.model.findings import named
from cacao.model.parts import (
    CIVIC_LOCATION,
    COMMAND,
    CONTACT,
    EXTENSIONS,
    EXTERNAL_REFERENCE,
    FLAG,
    FREE,
    IDENTIFIER,
    PERCENT,
    PROCESSING_SUMMARY,
    REFERENCES,
    TEXT,
    TEXTS,
    TIMESTAMP,
    VARIABLES,
    listed,
    texts,
    type_of,
)
from cacao.model.shapes import Definitions, Dictionary, Either, Many, Nullable, Number, Shape, Text, Thing, Typed

# agents and targets

_AGENT_BASE: dict[str, Shape] = {
    **texts("type", "name", "description"),
    "location": CIVIC_LOCATION,
    "agent_target_extensions": EXTENSIONS,
}


def _addresses(says: str, pattern: str) -> Many:
    patterns = {"url": words.URL, "ipv4": words.IPV4, "ipv6": words.IPV6, "l2mac": words.MAC}
    return Many(Text(says, pattern=patterns[pattern], code="bad_address", partly=True))


def _address(*, whole: bool) -> Thing:
    return Thing(
        "an address",
        {
            "url": _addresses("a URL with a host name like www.example.com", "url"),
            "ipv4": _addresses("an IPv4 address", "ipv4"),
            "ipv6": _addresses("an IPv6 address", "ipv6"),
            "l2mac": _addresses("a MAC address like 00:00:5e:00:53:01", "l2mac"),
            "vlan": Many(Number("a number from 0 to 4095", least=0, most=4095, whole=whole)),
            "dname": TEXTS,
        },
        at_least_one=("url", "dname", "ipv4", "ipv6", "l2mac", "vlan"),
    )


def _agent(name: str, properties: dict[str, Shape], *required: str) -> Thing:
    own = {**_AGENT_BASE, "type": type_of(name), **properties}
    return Thing(named(f"{name} agent or target"), own, required=("type", "name", *required))


def _reached(name: str, *, whole: bool = True, port: bool = True) -> Thing:
    properties: dict[str, Shape] = {
        "address": _address(whole=whole),
        "authentication_info": IDENTIFIER,
        "category": listed(TEXT),
    }
    return _agent(name, properties | ({"port": TEXT} if port else {}), "address")


AGENTS: Mapping[str, Shape] = {
    **{name: _agent(name, {"contact": CONTACT}) for name in ("group", "individual", "organization")},
    "location": _agent("location", {"logical": listed(TEXT)}),
    "sector": _agent("sector", {"sector": TEXT}, "sector"),
    "security-category": _agent("security-category", {"category": listed(TEXT)}, "category"),
    "http-api": _reached("http-api"),
    "ssh": _reached("ssh"),
    # the published schemas accept any number as a VLAN for these two
    "linux": _reached("linux", whole=False),
    "net-address": _reached("net-address", whole=False, port=False),
}
OTHER_AGENT = Thing("an agent or target", _AGENT_BASE, required=("type", "name"), open=True)

# authentication information


def _authentication(name: str, *own: str, required: tuple[str, ...] = ()) -> Thing:
    properties: dict[str, Shape] = {
        **texts("name", "description", "kms_key_identifier", *own),
        "type": type_of(name),
        "kms": FLAG,
        "authentication_info_extensions": EXTENSIONS,
    }
    return Thing(f"{name} authentication information", properties, required=("type", *required))


AUTHENTICATION: Mapping[str, Shape] = {
    "http-basic": _authentication("http-basic", "user_id", "password"),
    "oauth2": _authentication("oauth2", "oauth_header", "token", required=("oauth_header", "token")),
    "user-auth": _authentication("user-auth", "username", "password"),
}

# data markings


def _marking(name: str, own: dict[str, Shape], *required: str) -> Thing:
    properties: dict[str, Shape] = {
        **texts("name", "description"),
        "type": type_of(name),
        **dict.fromkeys(("id", "created_by"), IDENTIFIER),
        **dict.fromkeys(("created", "valid_from", "valid_until"), TIMESTAMP),
        "revoked": FLAG,
        "labels": listed(TEXT),
        "external_references": REFERENCES,
        "marking_extensions": EXTENSIONS,
        **own,
    }
    return Thing(f"a {name}", properties, required=("type", "id", "created_by", "created", *required))


_IEP_TEXTS = (
    "name",
    "description",
    "tlp",
    "encrypt_in_transit",
    "permitted_actions",
    "affected_party_notifications",
    "attribution",
    "unmodified_resale",
)
_IEP: dict[str, Shape] = {
    **texts(*_IEP_TEXTS),
    "iep_version": Number(),
    "start_date": TIMESTAMP,
    "end_date": Nullable(TIMESTAMP),
    # the published schemas ask for a text and an object at once, which is impossible: either is accepted
    "external_references": Many(Either(TEXT, EXTERNAL_REFERENCE)),
}
MARKINGS: Mapping[str, Shape] = {
    "marking-statement": _marking("marking-statement", {"statement": TEXT}, "statement"),
    "marking-tlp": _marking("marking-tlp", {"tlpv2_level": type_of(*words.TLP_LEVELS)}, "tlpv2_level"),
    "marking-iep": _marking("marking-iep", _IEP, *_IEP),
}

# extension definitions and signatures

EXTENSION_DEFINITION = Thing(
    "an extension definition",
    {
        **texts("name", "description", "schema", "version"),
        "type": type_of("extension-definition"),
        "created_by": IDENTIFIER,
        "external_references": Many(EXTERNAL_REFERENCE),
    },
    required=("type", "name", "created_by", "schema", "version"),
)
SIGNATURE = Thing(
    "a signature",
    {
        **texts("signee", "hash_algorithm", "algorithm", "public_key", "cert_url", "thumbprint", "value"),
        "type": type_of("jss"),
        **dict.fromkeys(("id", "created_by", "related_to"), IDENTIFIER),
        **dict.fromkeys(("created", "modified", "valid_from", "valid_until", "related_version"), TIMESTAMP),
        "revoked": FLAG,
        "public_cert_chain": listed(TEXT),
        # a countersignature is a signature, nested without limit: the check follows the chain
        "signature": FREE,
    },
    required=(
        "type",
        "id",
        "created",
        "modified",
        "signee",
        "related_to",
        "related_version",
        "hash_algorithm",
        "algorithm",
        "value",
    ),
    exactly_one=words.KEY_SOURCES,
)

# workflow steps

_STEP_BASE: dict[str, Shape] = {
    **texts("name", "description"),
    "type": type_of(*words.STEP_TYPES),
    "external_references": REFERENCES,
    "delay": Number("a whole number of milliseconds", least=0),
    "timeout": Number("a whole number of milliseconds"),
    "step_variables": VARIABLES,
    "owner": IDENTIFIER,
    "step_extensions": EXTENSIONS,
    **dict.fromkeys(words.SUCCESSORS, IDENTIFIER),
}
_ARGUMENTS = listed(Text("the name of a variable"))
_CASES = Dictionary(
    "an object with the identifier of a step for each value",
    Text("the identifier of a step", pattern=words.CASE_STEP, code="bad_identifier", partly=True),
    key=words.DICTIONARY_KEY,
    key_says="at most 250 letters, digits, _ and -",
    code="bad_case",
    all_keys=True,
)


def _step(name: str, own: dict[str, Shape], *required: str, forbidden: tuple[str, ...] = ()) -> Thing:
    properties = {key: shape for key, shape in {**_STEP_BASE, **own}.items() if key not in forbidden}
    properties["type"] = type_of(name)
    return Thing(f"a step of type {name}", properties, required=("type", *required), forbidden=forbidden)


STEPS: Mapping[str, Shape] = {
    "start": _step("start", {}, forbidden=("on_success", "on_failure")),
    "end": _step("end", {}, forbidden=words.SUCCESSORS),
    "action": _step(
        "action",
        {
            "commands": listed(COMMAND),
            "agent": IDENTIFIER,
            "targets": listed(IDENTIFIER),
            "in_args": _ARGUMENTS,
            "out_args": _ARGUMENTS,
        },
        "commands",
        "agent",
    ),
    "playbook-action": _step(
        "playbook-action",
        {
            "playbook_id": IDENTIFIER,
            "playbook_version": TIMESTAMP,
            "in_args": _ARGUMENTS,
            "out_args": _ARGUMENTS,
        },
        "playbook_id",
    ),
    "parallel": _step("parallel", {"next_steps": Many(IDENTIFIER, least=2)}, "next_steps"),
    "if-condition": _step(
        "if-condition",
        {"condition": TEXT, "on_true": IDENTIFIER, "on_false": IDENTIFIER},
        "condition",
        "on_true",
    ),
    "while-condition": _step("while-condition", {"condition": TEXT, "on_true": IDENTIFIER}, "condition", "on_true"),
    "switch-condition": _step("switch-condition", {"switch": TEXT, "cases": _CASES}, "switch", "cases"),
}
#: the shape of a step whose identifier names no type of step
OTHER_STEP = Typed(Thing("a step", _STEP_BASE, required=("type",), open=True), STEPS)

# the playbook

_AGENTS_SAY = "an object with an agent or target for each identifier"
PLAYBOOK = Thing(
    "a playbook",
    {
        **texts("name", "description"),
        "type": type_of("playbook"),
        "spec_version": type_of(words.SPEC_VERSION),
        **dict.fromkeys(("id", "created_by", "workflow_start", "workflow_exception"), IDENTIFIER),
        **dict.fromkeys(("created", "modified", "valid_from", "valid_until"), TIMESTAMP),
        **dict.fromkeys(("derived_from", "related_to", "markings"), listed(IDENTIFIER)),
        **dict.fromkeys(("priority", "severity", "impact"), PERCENT),
        **dict.fromkeys(("playbook_activities", "industry_sectors", "labels"), listed(TEXT)),
        "playbook_types": TEXTS,
        "playbook_processing_summary": PROCESSING_SUMMARY,
        "revoked": FLAG,
        "external_references": REFERENCES,
        "playbook_variables": VARIABLES,
        "playbook_extensions": EXTENSIONS,
        "workflow": Definitions("an object with a step for each identifier", STEPS, other=OTHER_STEP),
        "authentication_info_definitions": Definitions(
            "an object with authentication information for each identifier", AUTHENTICATION, open=True, least=1
        ),
        "agent_definitions": Definitions(_AGENTS_SAY, AGENTS, other=OTHER_AGENT, open=True, least=1),
        "target_definitions": Definitions(_AGENTS_SAY, AGENTS, other=OTHER_AGENT, open=True, least=1),
        "extension_definitions": Definitions(
            "an object with a definition for each identifier", {"extension-definition": EXTENSION_DEFINITION}
        ),
        "data_marking_definitions": Definitions("an object with a data marking for each identifier", MARKINGS),
        "signatures": listed(SIGNATURE),
    },
    required=(
        "type",
        "spec_version",
        "id",
        "name",
        "created_by",
        "created",
        "modified",
        "workflow_start",
        "workflow",
    ),
)
