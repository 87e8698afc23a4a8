"""A bundle whose function runs any code that the trigger names, for tests that attack the sandbox from within."""

from typing import Any

from tasks.entrypoints import actions
from tests.support.api import Door
from tests.support.bundles import HEAD, bundle, pushed

CANARY = "c4nary-s3cret-that-must-not-leave"

#: runs code that the trigger names, as the function or at import
FREE = (
    HEAD
    + """
import base64, ctypes, glob, mmap, multiprocessing, os, pathlib, signal, socket, subprocess, sys, threading, time

@action(timeout=4)
def attack(code: str, url: str = "", *, context: Context) -> dict:
    space = {"context": context, "url": url, "found": {}}
    exec(code, globals(), space)
    return space["found"]
"""
)


def carried_out(door: Door, **parameters: Any) -> dict[str, Any]:
    """An execution of the function ``attack``, as a worker ends it."""
    execution = door.trigger("act-acme-attack", parameters=parameters)
    actions.run.apply(args=[execution])
    shown: dict[str, Any] = door.call("GET", f"/api/actions/executions/{execution}").json["data"]
    return shown


def armed(door: Door, *hosts: str, secrets: str = "TOKEN = {}") -> None:
    """Push the bundle that runs any code, with a secret."""
    pushed(door, bundle(FREE, hosts=hosts, secrets=secrets))
    assert door.call("PUT", "/api/bundles/acme/secrets/TOKEN", json={"value": CANARY}).status_code == 204
