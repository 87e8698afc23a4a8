"""The command ``tocsin``: the command line where its extra is installed, else how to get it."""

from __future__ import annotations

import importlib
import importlib.util
import sys

_MISSING = "The command line takes a few packages more than the client: pip install 'tocsin[cli]'"


def main() -> int:
    """Become the command line; returns the exit code."""
    if importlib.util.find_spec("click") is None or importlib.util.find_spec("tocsin.cli") is None:
        sys.stderr.write(_MISSING + "\n")
        return 2
    found: int = importlib.import_module("tocsin.cli").main()
    return found


if __name__ == "__main__":
    sys.exit(main())
