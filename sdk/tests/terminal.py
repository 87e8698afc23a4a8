"""What tests of the command line look at."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from scripted_server import KEY, Scripted

SDK = Path(__file__).parents[1]


class Done(NamedTuple):
    """What a command has left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


def sent(server: Scripted, method: str) -> List[Dict[str, Any]]:
    """The JSON bodies of all requests of a method."""
    return [json.loads(one.body) for one in server.requests if one.method == method and one.body]


def run_of(status: str = "running", **more: Any) -> Dict[str, Any]:
    """A run, as the server shows it."""
    return {
        "execution_id": "pexec-1",
        "playbook_id": "pb-isolate",
        "playbook_name": "Isolate",
        "version": "1.2.0",
        "target_asset_id": "laptop-7",
        "status": status,
        "created_at": "2026-12-01T08:00:00Z",
        "started_at": "2026-12-01T08:00:00Z",
        "duration_seconds": 4.1,
        "steps": [
            {"step_id": "enrich", "name": "Look it up", "type": "action", "status": "completed", "duration_ms": 310},
            {"step_id": "ask", "name": "Isolate it?", "type": "approval", "status": "waiting"},
            {"step_id": "isolate", "name": "Isolate", "type": "action", "status": "pending"},
        ],
        **more,
    }


def shell(server, *words, given=None, **environment):
    """The command line in a process of its own."""
    known = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "TOCSIN_URL": server.url, "TOCSIN_API_KEY": KEY}
    path = os.pathsep.join([str(SDK), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "tocsin._command", *words],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env={**known, "PYTHONPATH": path, **environment},
    )


def _heeds_ctrl_c():
    """Let Ctrl-C count: what a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def on_terminal(server, *words, columns=80, strike=None, key=KEY):
    """The command line on a terminal; returns the exit code and what it has drawn."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    path = os.pathsep.join([str(SDK), os.environ.get("PYTHONPATH", "")])
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": "/nowhere"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tocsin._command", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**known, "TOCSIN_URL": server.url, "TOCSIN_API_KEY": key},
        start_new_session=True,
        preexec_fn=_heeds_ctrl_c,  # noqa: PLW1509 - it sets one signal
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        drawn += part
        if strike and strike in drawn:
            process.send_signal(signal.SIGINT)
            strike = None
        if not part:
            break
    os.close(ours)
    return process.wait(timeout=20), drawn.decode()


def plain(drawn):
    """What was drawn, without colours; where a line is drawn anew, a line begins."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.replace("\x1b[2K", "\n")).replace("\r", "")
