"""``bundle.toml``: what a bundle says of itself, and what it may use.

::

    name = "acme-firewall"
    version = "1.2.0"
    python = ">=3.9"
    hosts = ["fw.acme.example"]

    [secrets]
    FW_TOKEN = { description = "token of the firewall's API" }
    SIGNING_KEY = { description = "signs requests", reveal = true }
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.actions.bundles.hosts import entry_fault
from tocsin.actions.files import Fault

FILE = "bundle.toml"
MOST_HOSTS = 50
MOST_SECRETS = 50
_MOST_CHARACTERS = 500

_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]")
_VERSION = re.compile(r"(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}(-[0-9A-Za-z.-]{1,40})?")
_PYTHON = re.compile(r"(>=|<=|==|!=|<|>)\s*\d{1,2}(\.\d{1,3}){0,2}")
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MEMBERS = ("name", "version", "description", "python", "hosts", "secrets")
_SECRET_MEMBERS = ("description", "reveal")


@dataclass(frozen=True)
class SecretRule:
    """A secret that a bundle uses; its value is given to the server, never to the bundle."""

    description: str = ""
    #: whether the code sees the value, because it must compute with it
    reveal: bool = False


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    name: str
    version: str
    description: str = ""
    #: the versions of Python it runs on, such as ``>=3.9``
    python: str = ""
    hosts: tuple[str, ...] = ()
    secrets: Mapping[str, SecretRule] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The manifest as the server shows it."""
        rules = {name: {"description": rule.description, "reveal": rule.reveal} for name, rule in self.secrets.items()}
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "python": self.python,
            "hosts": list(self.hosts),
            "secrets": rules,
        }


def parse(content: bytes) -> tuple[Manifest | None, list[Fault]]:
    """The manifest, or its faults with their lines."""
    try:
        text = content.decode()
        found = _toml(text)
    except (ValueError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        return None, [Fault(FILE, int(line[1]) if line else None, f"is no TOML: {error}")]
    faults = [Fault(FILE, _line(text, key), message) for key, message in _faults(found)]
    if faults:
        return None, faults
    rules = {
        name: SecretRule(rule.get("description", ""), rule.get("reveal", False))
        for name, rule in found.get("secrets", {}).items()
    }
    texts = {key: found[key] for key in ("name", "version", "description", "python") if key in found}
    return Manifest(**texts, hosts=tuple(found.get("hosts", ())), secrets=rules), []


def _toml(text: str) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # before Python 3.11; the extra cli brings it
        try:
            import tomli as tomllib  # type: ignore[no-redef]
        except ImportError as error:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise RuntimeError(f"Python {version} does not read TOML: pip install 'tocsin[cli]'") from error
    read: dict[str, Any] = tomllib.loads(text)
    return read


def _line(text: str, key: str) -> int | None:
    """The line at which a key is set."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*(\[secrets\.)?[\"']?{re.escape(key)}[\"']?\s*[=\]]|\s*\[{re.escape(key)}\]", line):
            return number
    return None


def _faults(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults = [(key, f"'{key}' is no member; there are {', '.join(_MEMBERS)}") for key in found if key not in _MEMBERS]
    for key, pattern, words in (
        ("name", _NAME, "2 to 40 lower-case letters, digits and hyphens, such as acme-firewall"),
        ("version", _VERSION, "three numbers, such as 1.2.0"),
    ):
        if not (isinstance(found.get(key), str) and pattern.fullmatch(found[key])):
            faults.append((key, f"'{key}' must be {words}"))
    faults += _text_fault("description", found.get("description", ""))
    python = found.get("python", "")
    if not isinstance(python, str) or not all(_PYTHON.fullmatch(part.strip()) for part in python.split(",") if python):
        faults.append(("python", "'python' must name versions, such as >=3.9 or >=3.9,<3.14"))
    return faults + _host_faults(found.get("hosts", [])) + _secret_faults(found.get("secrets", {}))


def _text_fault(key: str, value: Any) -> list[tuple[str, str]]:
    fits = isinstance(value, str) and len(value) <= _MOST_CHARACTERS and "\0" not in value
    return [] if fits else [(key, f"'description' must be a text of at most {_MOST_CHARACTERS} characters")]


def _host_faults(hosts: Any) -> list[tuple[str, str]]:
    if not isinstance(hosts, list) or len(hosts) > MOST_HOSTS:
        return [("hosts", f"'hosts' must be a list of at most {MOST_HOSTS} hosts")]
    return [("hosts", fault) for fault in map(entry_fault, hosts) if fault]


def _secret_faults(secrets: Any) -> list[tuple[str, str]]:
    if not isinstance(secrets, dict) or len(secrets) > MOST_SECRETS:
        return [("secrets", f"'secrets' must be a table of at most {MOST_SECRETS} secrets")]
    faults: list[tuple[str, str]] = []
    for name, rule in secrets.items():
        if not _SECRET.fullmatch(name):
            faults.append((name, f"{name[:64]} is no name of a secret: capital letters, digits and underscores"))
        elif not isinstance(rule, dict):
            faults.append((name, f'{name} must be a table, such as {{ description = "…" }}; values are not kept here'))
        else:
            faults += [
                (name, f"{name} has no '{key[:64]}'; there are {', '.join(_SECRET_MEMBERS)}")
                for key in rule
                if key not in _SECRET_MEMBERS
            ]
            faults += _text_fault(name, rule.get("description", ""))
            if not isinstance(rule.get("reveal", False), bool):
                faults.append((name, f"{name}: 'reveal' must be true or false"))
    return faults


def runs_on(python: str, version: tuple[int, ...] = tuple(sys.version_info[:3])) -> bool:
    """Whether a version of Python is one that ``python`` names."""
    for part in filter(None, (part.strip() for part in python.split(","))):
        sign, number = re.fullmatch(r"([<>=!]+)\s*([\d.]+)", part).groups()  # type: ignore[union-attr]
        wanted = tuple(map(int, number.split(".")))
        known = tuple(version[: len(wanted)])
        holds = {
            ">=": known >= wanted,
            "<=": known <= wanted,
            "==": known == wanted,
            "!=": known != wanted,
            "<": known < wanted,
            ">": known > wanted,
        }[sign]
        if not holds:
            return False
    return True
