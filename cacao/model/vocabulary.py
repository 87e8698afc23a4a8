"""The vocabulary of the CACAO 2.0 standard: type names, closed lists, patterns.

Every pattern takes time linear in the text. Patterns are used with ``fullmatch`` unless their comment says otherwise.
"""

import re

SPEC_VERSION = "cacao-2.0"

#: the closed list of workflow step types
STEP_TYPES = (
    "start",
    "end",
    "action",
    "playbook-action",
    "parallel",
    "if-condition",
    "while-condition",
    "switch-condition",
)
#: the members that lead to the step after this one
SUCCESSORS = ("on_completion", "on_success", "on_failure")
MARKING_TYPES = ("marking-statement", "marking-tlp", "marking-iep")
TLP_LEVELS = ("TLP:RED", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:GREEN", "TLP:CLEAR")
#: command types whose text stands in ``command`` or, encoded, in ``command_b64``
TEXT_COMMANDS = ("manual", "bash", "ssh", "powershell", "caldera-cmd")
#: command types whose text stands in ``command_b64`` only
ENCODED_COMMANDS = ("elastic", "jupyter", "kestrel", "sigma", "yara")
#: the sources of a signature's key; a signature names exactly one
KEY_SOURCES = ("public_key", "public_cert_chain", "cert_url", "thumbprint")
REGIONS = (
    "africa",
    "eastern-africa",
    "middle-africa",
    "northern-africa",
    "southern-africa",
    "western-africa",
    "americas",
    "caribbean",
    "central-america",
    "latin-america-caribbean",
    "northern-america",
    "south-america",
    "asia",
    "central-asia",
    "eastern-asia",
    "southern-asia",
    "south-eastern-asia",
    "western-asia",
    "europe",
    "eastern-europe",
    "northern-europe",
    "southern-europe",
    "western-europe",
    "oceania",
    "antarctica",
    "australia-new-zealand",
    "melanesia",
    "micronesia",
    "polynesia",
)

_HEX = "[0-9a-fA-F]"
#: RFC 4122, versions 1 to 5 (a later version is refused by the published schemas)
_UUID = rf"{_HEX}{{8}}-{_HEX}{{4}}-[1-5]{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}"
#: type--UUID; the groups are the type and the UUID
IDENTIFIER = re.compile(rf"([a-z][a-z0-9-]+[a-z0-9])--({_UUID})")
EXTENSION = re.compile(rf"extension-definition--{_UUID}")
#: the targets of a case of a switch (``search``: the published pattern is open to the left)
CASE_STEP = re.compile(
    rf"(?:action|end|if-condition|parallel|playbook|start|switch-condition|while-condition)--{_UUID}\Z"
)
TIMESTAMP = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[012])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?Z"
)
VARIABLE = re.compile(r"__[a-zA-Z_][a-zA-Z0-9_-]{0,199}__")
#: the end of a reference to a variable's value (``finditer``; the search for the name goes backwards from there)
VARIABLE_USE = re.compile(r"__:value\b")
VARIABLE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
LONGEST_VARIABLE = 204
DICTIONARY_KEY = re.compile(r"[a-zA-Z0-9_-]{0,250}")
EXTENSION_PROPERTY = re.compile(r"[a-z0-9_]{3,250}")
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
#: method, request target and version of an HTTP start line
START_LINE = re.compile(r"([A-Za-z]+) +(?! )[^\r\n]* HTTP/[0-9.]+")

# the published address patterns are used with ``search``: they match a part or the end of the text
_OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_MAPPED_OCTET = "(?:25[0-5]|(?:2[0-4]|1?[0-9])?[0-9])"
_GROUP = rf"{_HEX}{{1,4}}"
#: two characters of a host, a dot, and a name of two to six small letters
URL = re.compile(r"[()?:/a-zA-Z0-9@%._+~#=]{2}\.[a-z]{2,6}\b")
IPV4 = re.compile(rf"\b{_OCTET}(?:\.{_OCTET}){{3}}\Z")
#: eight groups; or "::" and at most seven groups; or a zone; or a mapped IPv4 address
IPV6 = re.compile(
    rf"(?:(?:{_GROUP}:){{7}}{_GROUP}"
    rf"|::(?:{_GROUP}(?::{_GROUP}){{0,6}})?"
    rf"|fe80:(?::{_HEX}{{0,4}}){{0,4}}%[0-9a-zA-Z]+"
    rf"|::(?:ffff(?::0{{1,4}})?:)?(?:{_MAPPED_OCTET}\.){{3}}{_MAPPED_OCTET})\Z"
)
MAC = re.compile(rf"\A{_HEX}{{2}}(?::{_HEX}{{2}}){{5}}\Z")
