"""Words for people: times, spans, states, and text that can do a terminal no harm."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from datetime import datetime, timezone
from typing import Any, Optional

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: status → the mark before it, that of a terminal without the character, and its colour
MARKS = {
    "completed": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "timeout": ("✗", "x", "red"),
    "cancelled": ("⊘", "o", "yellow"),
    "skipped": ("-", "-", "bright_black"),
    "running": ("●", "*", "cyan"),
    "waiting": ("◌", "?", "yellow"),
    "paused": ("‖", "=", "yellow"),
    "pending": ("·", ".", "bright_black"),
}


def safe(text: str) -> str:
    """Text of others without what would steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """The same on one line."""
    return safe(" ".join(text.split()))


def wide(text: str) -> int:
    """The columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def cut(text: str, columns: int) -> str:
    """The text, shortened to a number of columns."""
    if wide(text) <= columns:
        return text
    end = "…" if draws() else "~"
    while text and wide(text) > columns - 1:
        text = text[:-1]
    return text + end


def draws() -> bool:
    """Whether standard output can show more than ASCII."""
    return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()


def coloured() -> bool:
    """Whether standard output shows colours, and ``NO_COLOR`` does not forbid them."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return sys.stdout.isatty()
    except ValueError:
        return False


def mark(status: Optional[str]) -> str:
    """The mark of a status."""
    sign, plain, _ = MARKS.get(status or "", ("?", "?", ""))
    return sign if draws() else plain


def span(seconds: Optional[float]) -> str:
    """A span of time, short."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def when(value: Any) -> str:
    """A moment in the time of this machine; what is none as it is."""
    from tocsin._model import moment

    found = moment(value)
    return found.astimezone().strftime("%Y-%m-%d %H:%M:%S") if isinstance(found, datetime) else str(value)


def left(until: Any) -> str:
    """How long until a moment; nothing where that is no moment, or over."""
    from tocsin._model import moment

    found = moment(until)
    if not isinstance(found, datetime):
        return ""
    seconds = (found - datetime.now(timezone.utc)).total_seconds()
    return span(seconds) if seconds > 0 else ""
