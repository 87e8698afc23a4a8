"""Bundles for tests: built from texts, pushed, and carried out as workers do."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from tocsin.actions.bundles import archive

from store.bundles import secrets, versions
from store.engine import db
from tests.support.api import Door

HEAD = "from tocsin.actions import *\n"
ECHO = (
    HEAD
    + '''@action(type="enrichment")
def echo(text: str = "") -> dict:
    """Say it again."""
    return {"text": text}
'''
)


def manifest(name: str = "acme", version: str = "1.0.0", hosts: tuple[str, ...] = (), secrets: str = "") -> str:
    """The text of a bundle.toml."""
    listed = json.dumps(list(hosts))
    return f'name = "{name}"\nversion = "{version}"\nhosts = {listed}\n[secrets]\n{secrets}\n'


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """An archive of these files, whatever they are."""
    return archive.pack({name: text.encode() if isinstance(text, str) else text for name, text in files.items()})


def bundle(source: str = ECHO, *, more: Mapping[str, str] | None = None, **about: Any) -> bytes:
    """An archive with one file of actions."""
    return packed({"bundle.toml": manifest(**about), "actions/firewall.py": source, **(more or {})})


def loose(*entries: tuple[zipfile.ZipInfo | str, bytes], plain: bool = True) -> bytes:
    """An archive with entries of any kind, and those of a sound bundle."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        if plain:
            made.writestr("bundle.toml", manifest())
            made.writestr("actions/firewall.py", ECHO)
        for entry, content in entries:
            made.writestr(entry, content)
    return written.getvalue()


def stored(name: str, workspace_id: str = "default") -> None:
    """Store a bundle without functions, its version 1.0.0, which is not active, and its secret KEY."""
    manifest = {"name": name, "version": "1.0.0", "description": "", "python": "", "hosts": []}
    version = versions.Version(
        name=name,
        version="1.0.0",
        digest=name,
        manifest={**manifest, "secrets": {"KEY": {"description": "", "reveal": False}}},
        functions=[],
        bytes=0,
        created_at=db.now_ms(),
        created_by="test",
    )
    with db.write() as connection:
        versions.add(connection, workspace_id, version)
        secrets.put(connection, workspace_id, name, "KEY", "v", "test")


def push(door: Door, content: bytes, query: str = "", **more: Any) -> Any:
    """Push an archive; the answer."""
    headers = {"Content-Type": "application/zip", **more.pop("headers", {})}
    return door.call("POST", f"/api/bundles{query}", data=content, headers=headers, **more)


def pushed(door: Door, content: bytes, query: str = "") -> dict[str, Any]:
    """Push an archive that is taken; what the answer says of it."""
    answer = push(door, content, query)
    assert answer.status_code in (200, 201), answer.text
    data: dict[str, Any] = answer.json["data"]
    return data
