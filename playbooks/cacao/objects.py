"""The object types of CACAO 2.0: which properties each has, which it must have, and what each value looks like.

From the small to the large: values, data types, commands, agents and targets, authentication information, data
markings, extension definitions, signatures, workflow steps, and the playbook that holds them all.
"""

from collections.abc import Iterable, Mapping

from playbooks.cacao import vocabulary as words
from playbooks.cacao.shapes import (
    Definitions,
    Dictionary,
    Either,
    Flag,
    Many,
    Nullable,
    Number,
    Shape,
    Text,
    Thing,
    Typed,
)

TEXT = Text()
FLAG = Flag()
TEXTS = Many(TEXT)
IDENTIFIER = Text("an identifier: a type, two hyphens and a UUID", pattern=words.IDENTIFIER, code="bad_identifier")
TIMESTAMP = Text("a time like 2024-05-31T12:00:00.000Z", pattern=words.TIMESTAMP, code="bad_timestamp")
PERCENT = Number("a whole number from 0 to 100", least=0, most=100)
#: an object whose inside is somebody else's business
FREE = Thing("any object", {}, open=True)


def _type_of(*names: str) -> Text:
    return Text(f"'{names[0]}'" if len(names) == 1 else f"one of {', '.join(names)}", one_of=names)


def _texts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, TEXT)


def _listed(shape: Shape) -> Many:
    """A list that the published schemas refuse when it is empty."""
    return Many(shape, least=1)


# data types

EXTERNAL_REFERENCE = Thing(
    "an external reference",
    _texts("name", "description", "source", "url", "external_id", "reference_id"),
    required=("name",),
    at_least_one=("description", "source", "url", "external_id", "reference_id"),
)
REFERENCES = _listed(EXTERNAL_REFERENCE)
VARIABLE = Thing(
    "a variable",
    {"type": TEXT, "description": TEXT, "value": Nullable(TEXT), "constant": FLAG, "external": FLAG},
    required=("type",),
)
VARIABLES = Dictionary(
    "an object with a variable for each name",
    VARIABLE,
    key=words.VARIABLE,
    key_says="a name like __address__, of letters, digits, _ and -",
    code="bad_variable_name",
)
EXTENSIONS = Dictionary(
    "an object with the properties of each extension in use, by the extension's identifier",
    Dictionary(
        "an object with the properties of the extension",
        Nullable(FREE),
        key=words.EXTENSION_PROPERTY,
        key_says="3 to 250 small letters, digits and _",
        code="bad_extension_property",
    ),
    least=1,
)
CIVIC_LOCATION = Thing(
    "a civic location",
    {
        **_texts("name", "description", "building_details", "network_details", "country", "administrative_area"),
        **_texts("city", "street_address", "postal_code", "latitude", "longitude", "precision"),
        "region": _type_of(*words.REGIONS),
    },
)
_WAYS = Dictionary(
    "an object with an address for each name",
    TEXT,
    key=words.DICTIONARY_KEY,
    key_says="at most 250 letters, digits, _ and -",
)
CONTACT = Thing("contact information", {"email": _WAYS, "phone": _WAYS, "contact_details": TEXT})
PROCESSING_SUMMARY = Thing(
    "a processing summary",
    dict.fromkeys(
        (
            "manual_playbook",
            "external_playbooks",
            "parallel_processing",
            "if_logic",
            "while_logic",
            "switch_logic",
            "temporal_logic",
            "data_markings",
            "digital_signatures",
            "countersigned_signatures",
            "extensions",
        ),
        FLAG,
    ),
)

# commands: the published schemas see what all types share; what a type adds is held against it as warnings

_COMMAND_BASE: dict[str, Shape] = {
    **_texts("type", "description", "version", "playbook_activity"),
    "external_references": Many(EXTERNAL_REFERENCE),
}
_ENCODED = Text("a text in base64", pattern=words.BASE64, code="not_base64")
_START_LINE = Text("an HTTP start line like 'GET /path HTTP/1.1'", pattern=words.START_LINE, code="bad_start_line")
_HEADERS = Dictionary("an object with a list of texts for each header", Many(TEXT, wanted=0))


def _command(name: str, properties: dict[str, Shape], required: Iterable[str] = (), one: Iterable[str] = ()) -> Thing:
    return Thing(
        f"a {name} command",
        properties,
        required=tuple(required),
        at_least_one=tuple(one),
        elsewhere=frozenset(_COMMAND_BASE),
    )


COMMANDS: Mapping[str, Shape] = {
    **{
        name: _command(name, {"command": TEXT, "command_b64": _ENCODED}, one=("command", "command_b64"))
        for name in words.TEXT_COMMANDS
    },
    **{name: _command(name, {"command_b64": _ENCODED}, ["command_b64"]) for name in words.ENCODED_COMMANDS},
    "http-api": _command(
        "http-api",
        {"command": _START_LINE, "headers": _HEADERS, "content": TEXT, "content_b64": _ENCODED},
        ["command"],
    ),
    "openc2-http": _command(
        "openc2-http",
        {"command": _START_LINE, "headers": _HEADERS, "content_b64": _ENCODED},
        ["command", "content_b64"],
    ),
}
COMMAND = Typed(Thing("a command", _COMMAND_BASE, required=("type",), open=True), COMMANDS)

# agents and targets

_AGENT_BASE: dict[str, Shape] = {
    **_texts("type", "name", "description"),
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
            "url": _addresses("a URL with a host name like host.example", "url"),
            "ipv4": _addresses("an IPv4 address", "ipv4"),
            "ipv6": _addresses("an IPv6 address", "ipv6"),
            "l2mac": _addresses("a MAC address like 00:00:5e:00:53:01", "l2mac"),
            "vlan": Many(Number("a number from 0 to 4095", least=0, most=4095, whole=whole)),
            "dname": TEXTS,
        },
        at_least_one=("url", "dname", "ipv4", "ipv6", "l2mac", "vlan"),
    )


def _agent(name: str, properties: dict[str, Shape], *required: str) -> Thing:
    own = {**_AGENT_BASE, "type": _type_of(name), **properties}
    return Thing(f"a {name} agent or target", own, required=("type", "name", *required))


def _reached(name: str, *, whole: bool = True, port: bool = True) -> Thing:
    properties: dict[str, Shape] = {
        "address": _address(whole=whole),
        "authentication_info": IDENTIFIER,
        "category": _listed(TEXT),
    }
    return _agent(name, properties | ({"port": TEXT} if port else {}), "address")


AGENTS: Mapping[str, Shape] = {
    **{name: _agent(name, {"contact": CONTACT}) for name in ("group", "individual", "organization")},
    "location": _agent("location", {"logical": _listed(TEXT)}),
    "sector": _agent("sector", {"sector": TEXT}, "sector"),
    "security-category": _agent("security-category", {"category": _listed(TEXT)}, "category"),
    "http-api": _reached("http-api"),
    "ssh": _reached("ssh"),
    # these two take any number as a VLAN in the published schemas
    "linux": _reached("linux", whole=False),
    "net-address": _reached("net-address", whole=False, port=False),
}
OTHER_AGENT = Thing("an agent or target", _AGENT_BASE, required=("type", "name"), open=True)

# authentication information


def _authentication(name: str, *own: str, required: tuple[str, ...] = ()) -> Thing:
    properties: dict[str, Shape] = {
        **_texts("name", "description", "kms_key_identifier", *own),
        "type": _type_of(name),
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
        **_texts("name", "description"),
        "type": _type_of(name),
        **dict.fromkeys(("id", "created_by"), IDENTIFIER),
        **dict.fromkeys(("created", "valid_from", "valid_until"), TIMESTAMP),
        "revoked": FLAG,
        "labels": _listed(TEXT),
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
    **_texts(*_IEP_TEXTS),
    "iep_version": Number(),
    "start_date": TIMESTAMP,
    "end_date": Nullable(TIMESTAMP),
    # The published schemas want each reference to be a text and an object at once, which nothing is; so either will do.
    "external_references": Many(Either(TEXT, EXTERNAL_REFERENCE)),
}
MARKINGS: Mapping[str, Shape] = {
    "marking-statement": _marking("marking-statement", {"statement": TEXT}, "statement"),
    "marking-tlp": _marking("marking-tlp", {"tlpv2_level": _type_of(*words.TLP_LEVELS)}, "tlpv2_level"),
    "marking-iep": _marking("marking-iep", _IEP, *_IEP),
}

# extension definitions and signatures

EXTENSION_DEFINITION = Thing(
    "an extension definition",
    {
        **_texts("name", "description", "schema", "version"),
        "type": _type_of("extension-definition"),
        "created_by": IDENTIFIER,
        "external_references": Many(EXTERNAL_REFERENCE),
    },
    required=("type", "name", "created_by", "schema", "version"),
)
SIGNATURE = Thing(
    "a signature",
    {
        **_texts("signee", "hash_algorithm", "algorithm", "public_key", "cert_url", "thumbprint", "value"),
        "type": _type_of("jss"),
        **dict.fromkeys(("id", "created_by", "related_to"), IDENTIFIER),
        **dict.fromkeys(("created", "modified", "valid_from", "valid_until", "related_version"), TIMESTAMP),
        "revoked": FLAG,
        "public_cert_chain": _listed(TEXT),
        # a countersignature is a signature again, as deep as its author likes: the check follows the chain
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
    **_texts("name", "description"),
    "type": _type_of(*words.STEP_TYPES),
    "external_references": REFERENCES,
    "delay": Number("a whole number of milliseconds", least=0),
    "timeout": Number("a whole number of milliseconds"),
    "step_variables": VARIABLES,
    "owner": IDENTIFIER,
    "step_extensions": EXTENSIONS,
    **dict.fromkeys(words.SUCCESSORS, IDENTIFIER),
}
_ARGUMENTS = _listed(Text("the name of a variable"))
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
    properties["type"] = _type_of(name)
    return Thing(f"a step of type {name}", properties, required=("type", *required), forbidden=forbidden)


STEPS: Mapping[str, Shape] = {
    "start": _step("start", {}, forbidden=("on_success", "on_failure")),
    "end": _step("end", {}, forbidden=words.SUCCESSORS),
    "action": _step(
        "action",
        {
            "commands": _listed(COMMAND),
            "agent": IDENTIFIER,
            "targets": _listed(IDENTIFIER),
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
    "while-condition": _step(
        "while-condition", {"condition": TEXT, "on_true": IDENTIFIER}, "condition", "on_true"
    ),
    "switch-condition": _step("switch-condition", {"switch": TEXT, "cases": _CASES}, "switch", "cases"),
}
#: what is held against a step whose identifier names no type of step
OTHER_STEP = Typed(Thing("a step", _STEP_BASE, required=("type",), open=True), STEPS)

# the playbook

_AGENTS_SAY = "an object with an agent or target for each identifier"
PLAYBOOK = Thing(
    "a playbook",
    {
        **_texts("name", "description"),
        "type": _type_of("playbook"),
        "spec_version": _type_of(words.SPEC_VERSION),
        **dict.fromkeys(("id", "created_by", "workflow_start", "workflow_exception"), IDENTIFIER),
        **dict.fromkeys(("created", "modified", "valid_from", "valid_until"), TIMESTAMP),
        **dict.fromkeys(("derived_from", "related_to", "markings"), _listed(IDENTIFIER)),
        **dict.fromkeys(("priority", "severity", "impact"), PERCENT),
        **dict.fromkeys(("playbook_activities", "industry_sectors", "labels"), _listed(TEXT)),
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
        "signatures": _listed(SIGNATURE),
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
