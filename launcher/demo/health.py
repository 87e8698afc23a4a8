"""The demo's look at its own processes: whether all is well, and whether a worker's event loop has stood still."""

import http

from launcher.demo.client import Api
from launcher.terminal import Terminal


def show(terminal: Terminal, api: Api, url: str, key_file: str) -> None:
    """Print what ``/health`` says, and the command that asks it."""
    status, said = api.call("GET", "/health")
    if status != http.HTTPStatus.OK:
        return
    stalled = max((worker["stalled_ms"] or 0 for worker in said["workers"]), default=0)
    stood = f"{len(said['workers'])} workers, whose event loops stood still for {stalled} ms at most (stalled_ms)"
    terminal.say(f"Health {said['status']}: {stood}")
    terminal.detail(f'health    curl -H "Authorization: Bearer $(cat {key_file})" {url}/health')
