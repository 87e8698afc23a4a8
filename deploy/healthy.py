"""Health of the container or unit that this runs in: exit status 0, or 1 with the reason.

The main process says what is asked: ``web`` its ``/health``, Flower its ``/healthcheck``, workers their rows in the
database (``worker.health``). Anything else, such as a migration, is healthy while it runs.
"""

import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

#: seconds for an answer
_PATIENCE = 10


def _asks(port: str, path: str) -> str:
    """What is wrong with an address of this machine; "" if nothing is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_PATIENCE):
            return ""
    except (urllib.error.URLError, OSError) as error:
        return f"port {port}: {error}"


def _workers(names: list[str]) -> str:
    from worker import health  # only here: it takes its time to load

    here = socket.gethostname()
    ill = [name for name in names if health.main([f"{name}@{here}"]) != 0]
    return f"not consuming: {', '.join(ill)}" if ill else ""


def main() -> str:
    """What is wrong; "" if nothing is."""
    words = Path("/proc/1/cmdline").read_text().split("\0")[:-1]
    if any(word.endswith("/gunicorn") for word in words):
        return _asks(os.environ.get("TOCSIN_PORT", "8080"), "/health")  # noqa: TID251 - no settings: quick to start
    if "flower" in words:
        return _asks(os.environ.get("TOCSIN_FLOWER_PORT", "5555"), "/healthcheck")  # noqa: TID251
    if "worker.supervisor" in words:
        names = words[words.index("worker.supervisor") + 1 :]
        ill = [_asks(os.environ.get("TOCSIN_PORT", "8080"), "/health")] if "web" in names else []  # noqa: TID251
        return "; ".join(filter(None, [*ill, _workers([name for name in names if name != "web"])]))
    return ""


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main() or 0)
