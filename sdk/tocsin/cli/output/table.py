"""Tables as wide as the terminal: ids are never cut, the columns at the end give way."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any, Iterable, List, Mapping, Optional, Sequence

import click

from tocsin.cli.output.columns import HEADS
from tocsin.cli.output.words import MARKS, coloured, cut, mark, one_line, safe, span, when, wide

_GAP = "  "
#: the narrowest that a column is cut to before it is left out
_NARROW = 8


def width() -> Optional[int]:
    """The columns of the terminal; None where nothing has to fit."""
    if os.environ.get("COLUMNS", "").isdigit():
        return max(20, int(os.environ["COLUMNS"]))
    try:
        return max(20, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
    except ValueError:
        return None


def cell(name: str, value: Any) -> str:
    """A value in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "duration_ms":
        return span(value / 1000)
    if name == "duration_seconds":
        return span(value)
    if isinstance(value, (dict, list)):
        return one_line(json.dumps(value, ensure_ascii=False))
    text = one_line(str(value))
    return when(text) if name.endswith(("_at", "timestamp", "_time", "last_used", "deadline")) else text


def table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterable[str]:
    """The lines of a table."""
    heads = [_head(name, first=number == 0) for number, name in enumerate(names)]
    cells = [[cell(name, row.get(name)) for name in names] for row in rows]
    cells = [[_marked(name, text) for name, text in zip(names, row)] for row in cells]
    widths = _widths([heads, *cells], width())
    yield _line(heads, widths, style={"bold": True})
    for row in cells:
        yield _line(row, widths, names)


def _head(name: str, *, first: bool) -> str:
    known = "id" if first and name.endswith("_id") else HEADS.get(name, name)
    return known.removesuffix("_at").removesuffix("_id").upper().replace("_", " ")


def _marked(name: str, text: str) -> str:
    return f"{mark(text)} {text}" if name == "status" and text in MARKS else text


def _widths(cells: Sequence[Sequence[str]], at_most: Optional[int]) -> List[int]:
    """The width of each column; those that do not fit are left out."""
    widths = [max(map(wide, column)) for column in zip(*cells)]
    if at_most is None:
        return widths
    fitting: List[int] = []
    left = at_most
    for number, one in enumerate(widths):
        gap = len(_GAP) if fitting else 0
        if number == 0 or one + gap <= left:
            fitting.append(one)
        elif left - gap >= _NARROW:
            fitting.append(left - gap)
        else:
            break
        left -= fitting[-1] + gap
    return fitting


def _line(
    row: Sequence[str], widths: Sequence[int], names: Sequence[str] = (), style: Optional[Mapping[str, Any]] = None
) -> str:
    parts = []
    for number, (text, columns) in enumerate(zip(row, widths)):
        # the id is whole, also where it is wider than the terminal
        shown = text if number == 0 else cut(text, columns)
        filled = shown + " " * (0 if number == len(widths) - 1 else max(0, columns - wide(shown)))
        parts.append(_styled(filled, names[number] if names else "", style))
    return _GAP.join(parts).rstrip()


def _styled(text: str, name: str, style: Optional[Mapping[str, Any]]) -> str:
    if not coloured():
        return text
    if style:
        return click.style(text, **style)
    word = text.rpartition(" ")[2] if name == "status" else ""
    return click.style(text, fg=MARKS[word][2]) if word in MARKS else text


def described(value: Any, indent: int = 0) -> Iterable[str]:
    """The lines of an object: a member each, what is within indented; members without a value are left out."""
    if isinstance(value, dict):
        known = {name: one for name, one in value.items() if one not in (None, {}, [], "")}
        longest = max((wide(str(name)) for name in known if indent == 0), default=0)
        for name, one in known.items():
            yield from _member(str(name), one, indent, longest)
    elif isinstance(value, list):
        for one in value:
            yield from _item(one, indent)
    else:
        yield " " * indent + safe(str(value))


def _member(name: str, value: Any, indent: int, longest: int) -> Iterable[str]:
    start = " " * indent + safe(name) + ":"
    if isinstance(value, (dict, list)):
        if isinstance(value, list) and not any(isinstance(one, (dict, list)) for one in value):
            yield f"{start.ljust(indent + longest + 1)} {', '.join(cell('', one) for one in value)}"
            return
        yield start
        yield from described(value, indent + 2)
        return
    text = cell(name, value) if not isinstance(value, str) or name.endswith("_at") else safe(value)
    first, *rest = text.split("\n") or [""]
    yield f"{start.ljust(indent + longest + 1)} {first}"
    for line in rest:
        yield " " * (indent + 2) + line


def _item(value: Any, indent: int) -> Iterable[str]:
    lines = list(described(value, indent + 2)) or [" " * (indent + 2) + "{}"]
    yield " " * indent + "- " + lines[0][indent + 2 :]
    yield from lines[1:]
