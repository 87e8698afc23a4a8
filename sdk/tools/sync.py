"""Derives the synchronous half from the asynchronous one: ``python sdk/tools/sync.py``.

Each file of ``tocsin/_async`` is read as tokens; what waits is taken out (``async``, ``await``), names are replaced,
and the result is written to the same place below ``tocsin/_sync``. Both halves are committed, so that people read and
debug plain code.
"""

from __future__ import annotations

import io
import re
import shutil
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "tocsin"
_MADE = "# Made by sdk/tools/sync.py from {source}; do not edit.\n"
_NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "_async": "_sync",
    "aclose": "close",
    "aiter_sse": "iter_sse",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "asyncio": "time",
    "Awaitable": "",
    "of_loop": "of_process",
}
_TEXTS = {
    "tocsin._async": "tocsin._sync",
    '"Async"': '""',
    "written once, asynchronously; ``sdk/tools/sync.py`` derives ``tocsin/_sync`` from it": (
        "made from ``tocsin/_async`` by ``sdk/tools/sync.py``"
    ),
}


def synchronous(source: str) -> str:
    """The same code without waiting."""
    # a callable that is awaited returns its value
    source = re.sub(r"Awaitable\[(\w+)\]", r"\1", source).replace(" Awaitable,", "")
    lines = source.splitlines(keepends=True)
    changes: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (row, begin), (last, end) = token.start, token.end
        if token.type == tokenize.NAME and token.string in ("async", "await"):
            changes.append((row, begin, end + 1, ""))
        elif token.type == tokenize.NAME:
            name = _NAMES.get(token.string, re.sub(r"^(_?)Async(?=[A-Z])", r"\1", token.string))
            if name != token.string:
                changes.append((row, begin, end, name))
        elif token.type == tokenize.STRING and row == last:
            text = re.sub(r'^"Async(?=[A-Z])', '"', token.string)
            for old, new in _TEXTS.items():
                text = text.replace(old, new)
            if text != token.string:
                changes.append((row, begin, end, text))
    for row, begin, end, text in reversed(changes):
        line = lines[row - 1]
        lines[row - 1] = line[:begin] + text + line[end:]
    return "".join(lines)


def derive() -> dict[str, str]:
    """Path below ``tocsin/_sync`` → what belongs there."""
    found = {}
    for path in sorted((PACKAGE / "_async").rglob("*.py")):
        name = path.relative_to(PACKAGE / "_async").as_posix()
        found[name] = _MADE.format(source=f"tocsin/_async/{name}") + synchronous(path.read_text())
    return found


def main() -> None:
    """Write the synchronous half."""
    shutil.rmtree(PACKAGE / "_sync", ignore_errors=True)
    for name, text in derive().items():
        path = PACKAGE / "_sync" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
