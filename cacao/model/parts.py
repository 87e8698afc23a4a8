"""The smaller parts of CACAO 2.0 objects: values, data types, commands.

``objects`` builds agents, steps and playbooks from them.
"""

from collections.abc import Iterable, Mapping

from cacao.model import vocabulary as words
from cacao.model.findings import named
from cacao.model.shapes import Anything, Boolean, Dictionary, Many, Nullable, Number, Shape, Text, Thing, Typed

TEXT = Text()
FLAG = Boolean()
TEXTS = Many(TEXT)
IDENTIFIER = Text("an identifier: a type, two hyphens and a UUID", pattern=words.IDENTIFIER, code="bad_identifier")
TIMESTAMP = Text("a time like 2024-05-31T12:00:00.000Z", pattern=words.TIMESTAMP, code="bad_timestamp")
PERCENT = Number("a whole number from 0 to 100", least=0, most=100)
#: an object that no table describes
FREE = Thing("any object", {}, open=True)


def type_of(*names: str) -> Text:
    """A text that is one of these words."""
    return Text(f"'{names[0]}'" if len(names) == 1 else f"one of {', '.join(names)}", one_of=names)


def texts(*names: str) -> dict[str, Shape]:
    """Properties that are texts."""
    return dict.fromkeys(names, TEXT)


def listed(shape: Shape) -> Many:
    """A list that the published schemas refuse when empty."""
    return Many(shape, least=1)


# data types

EXTERNAL_REFERENCE = Thing(
    "an external reference",
    texts("name", "description", "source", "url", "external_id", "reference_id"),
    required=("name",),
    at_least_one=("description", "source", "url", "external_id", "reference_id"),
)
REFERENCES = listed(EXTERNAL_REFERENCE)
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
        Anything(),
        key=words.EXTENSION_PROPERTY,
        key_says="3 to 250 small letters, digits and _",
        code="bad_extension_property",
    ),
    key=words.EXTENSION,
    key_says="the identifier of an extension definition",
    code="bad_definition_id",
    least=1,
)
CIVIC_LOCATION = Thing(
    "a civic location",
    {
        **texts("name", "description", "building_details", "network_details", "country", "administrative_area"),
        **texts("city", "street_address", "postal_code", "latitude", "longitude", "precision"),
        "region": type_of(*words.REGIONS),
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

# commands: the published schemas check only what all types share; faults in what a type adds are warnings

_COMMAND_BASE: dict[str, Shape] = {
    **texts("type", "description", "version", "playbook_activity"),
    "external_references": Many(EXTERNAL_REFERENCE),
}
_ENCODED = Text("a text in base64", pattern=words.BASE64, code="not_base64")
_START_LINE = Text("an HTTP start line like 'GET /path HTTP/1.1'", pattern=words.START_LINE, code="bad_start_line")
_HEADERS = Dictionary("an object with a list of texts for each header", Many(TEXT, wanted=0))


def _command(name: str, properties: dict[str, Shape], required: Iterable[str] = (), one: Iterable[str] = ()) -> Thing:
    return Thing(
        named(f"{name} command"),
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
