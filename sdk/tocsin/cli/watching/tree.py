"""The live tree: a run with its steps, redrawn where it stands."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.text import Text

from tocsin._model import moment
from tocsin.cli.output.words import MARKS, mark, one_line, span

#: rows that stay free, so that the picture fits the terminal
_MARGIN = 3
_SHOWN_FIRST = ("running", "waiting", "paused", "failed", "timeout")


class Live:
    """Draws the tree on a terminal."""

    def __init__(self, console: Optional[Console] = None) -> None:
        self._console = console or Console(highlight=False)
        self._state: Dict[str, Any] = {}
        self._screen = Screen(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def begin(self, state: Any) -> None:
        """Draw the first state."""
        self._state = state.to_dict()
        self._screen.start(refresh=True)

    def changed(self, messages: Sequence[Any], state: Any) -> None:  # noqa: ARG002 - as others are called
        """Draw the new state."""
        self._state = state.to_dict()
        self._screen.refresh()

    def end(self) -> None:
        """Leave the last picture where it is."""
        self._screen.stop()

    def _picture(self) -> RenderableType:
        return picture(self._state, self._console.height)


def picture(state: Dict[str, Any], height: int = 25) -> RenderableType:
    """A run, or an execution, as it stands."""
    name = state.get("playbook_name") or state.get("action_name") or state.get("action_id") or ""
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(str(state.get("execution_id")), "bold")
    for word in (name, state.get("version"), state.get("target_asset_id") or state.get("target")):
        if word:
            head.append(f"  {one_line(str(word))}")
    head.append("  ").append_text(_status(str(state.get("status"))))
    head.append(f"  {_took(state.get('started_at'), state.get('completed_at'))}")
    steps = list(state.get("steps") or ())
    return Group(head, *_rows(steps, str(state.get("execution_id")), max(3, height - _MARGIN)))


def _rows(steps: List[Dict[str, Any]], run: str, room: int) -> List[Text]:
    shown, hidden = steps, 0
    if len(steps) > room:
        shown = _window(steps, room - 1)
        hidden = len(steps) - len(shown)
    widest = max((len(str(one.get("step_id"))) for one in shown), default=0)
    rows = [_row(one, run, widest, last=not hidden and one is shown[-1]) for one in shown]
    if hidden:
        rows.append(Text(f"└─ … {hidden} more", "bright_black"))
    return rows


def _window(steps: List[Dict[str, Any]], room: int) -> List[Dict[str, Any]]:
    """Those that fit: around the first that is at work."""
    at = next((number for number, one in enumerate(steps) if one.get("status") in _SHOWN_FIRST), 0)
    begin = max(0, min(at - room // 3, len(steps) - room))
    return steps[begin : begin + room]


def _row(step: Dict[str, Any], run: str, widest: int, *, last: bool) -> Text:
    status, id = str(step.get("status")), str(step.get("step_id"))  # noqa: A001
    row = Text(no_wrap=True, overflow="ellipsis")
    row.append("└─ " if last else "├─ ", "bright_black")
    row.append(mark(status), _colour(status)).append(f" {one_line(id).ljust(min(widest, 24))}")
    name = one_line(str(step.get("name") or step.get("step_name") or ""))
    if status == "waiting" and step.get("type") == "approval":
        row.append("  waits: ", "yellow").append(f"tocsin approve {run} {id}")
        return row
    if name and name != id:
        row.append(f"  {name}", "bright_black" if status in ("pending", "skipped") else "")
    took = _took(step.get("started_at"), step.get("completed_at")) if status != "skipped" else ""
    row.append(f"  {took}" if took else "", "bright_black")
    if (step.get("passes") or 0) > 1:
        row.append(f"  x{step['passes']}", "bright_black")
    error = step.get("error") or {}
    if status in ("failed", "timeout") and error:
        row.append(f"  {one_line(str(error.get('message') or error.get('code')))}", "red")
    return row


def _status(status: str) -> Text:
    return Text(f"{mark(status)} {status}", _colour(status))


def _colour(status: str) -> str:
    return MARKS.get(status, ("", "", ""))[2]


def _took(begun: Any, ended: Any) -> str:
    first, last = moment(begun), moment(ended)
    if not isinstance(first, datetime):
        return ""
    last = last if isinstance(last, datetime) else datetime.now(timezone.utc)
    return span(max(0.0, (last - first).total_seconds()))
