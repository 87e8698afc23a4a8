"""Log lines have one style: what happened, in few words, then what follows from it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import nodes
from tests.house.test_shape import ROOT, SOURCES
from tests.house.test_words import banned

_LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
#: names that begin with a capital
_NAMES = ("API", "Redis")
#: a part that is unavailable is called so, and nothing else
_LOOSE = re.compile(r"\b(away|gone|broke|none of ours|not kept|at hand|goes on|sign of life)\b")


def _events(path: Path) -> Iterator[tuple[int, str]]:
    """The first text of each call of a logger in a module, with its line."""
    for node in nodes(path):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("log", "logger")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def _fault(event: str) -> str:
    """What is wrong with the text of a log line, or nothing."""
    first = event.split(maxsplit=1)[0]
    if first[:1].isupper() and first not in _NAMES:
        return "begins with a small letter, or with a name of _NAMES"
    if first.lower() in ("a", "an", "the", "this", "what"):
        return "begins with the thing that it is about, without an article"
    if event.endswith("."):
        return "ends without a full stop"
    if found := _LOOSE.search(event):
        return f"says 'unavailable' or another plain word in place of {found[0]!r}"
    if len(event) > 100 or event.count(";") > 1:
        return "is short: what happened; what follows from it"
    return f"has none of the banned words: {banned(event)}" if banned(event) else ""


def test_log_lines_have_one_style():
    """Each names its subject first and is one short clause, or two."""
    found = [(path, line, event) for path in SOURCES for line, event in _events(path)]
    assert len(found) > 50
    faults = [
        f"{path.relative_to(ROOT)}:{line} {event!r} {fault}" for path, line, event in found if (fault := _fault(event))
    ]
    assert not faults, "\n".join(faults)


def test_other_styles_are_found():
    """The check notices each kind of fault, and none in a good line."""
    faults = ["Schedule not kept", "a duty failed", "duty failed.", "publishing failed: the broker is away"]
    assert all(map(_fault, faults))
    assert not _fault("scheduled run skipped")
    assert not _fault("Redis unavailable: this process counts requests by itself")
