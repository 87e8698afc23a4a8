"""Follows a run or an execution until it ends, and says how it ended.

In order of time: a thread reads what happens (a stream where the server has one, which goes on by itself after a cut);
each change is shown; the state is asked for when something has changed; at the end there is one last line, and the
exit code. The time limit and Ctrl-C end the following, never what is followed.
"""

from __future__ import annotations

import queue
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Protocol, Sequence

import click

from tocsin._errors import ConnectionFailed, ServerError, StillRunning, TooManyRequests
from tocsin.cli.failures import CANCELLED, DONE, ENDED_OTHERWISE, INTERRUPTED, LATE
from tocsin.cli.options import on_terminal
from tocsin.cli.output.words import coloured, mark, one_line, span

if TYPE_CHECKING:
    from tocsin.cli.session import Session

#: what arrives within this many seconds is shown together
_TOGETHER = 0.05
#: seconds that the last changes may take to arrive
_LAST = 3.0
#: the same where nothing says that they were the last
_QUIET = 0.3


class Shower(Protocol):
    """What shows the changes."""

    def begin(self, state: Any) -> None:
        """Show the first state."""

    def changed(self, messages: Sequence[Any], state: Any) -> None:
        """Show what has happened."""

    def end(self) -> None:
        """Leave the place to what follows."""


def watch(here: Session, id: str, *, until: Sequence[str] = (), timeout: Optional[float] = None) -> int:  # noqa: A002
    """Follow until the end, or until one of some statuses; returns the exit code."""
    handle, reader = _handle(here, id), _handle(here, id)
    deadline = None if timeout is None else monotonic() + timeout
    shower = _shower(here)
    try:
        shower.begin(handle.refresh())
        if not _is_there(handle, until):
            _follow(handle, reader, shower, until, deadline)
        shower.changed((), handle.state)
    except StillRunning:
        return _left(here, shower, handle, LATE)
    except KeyboardInterrupt:
        return _left(here, shower, handle, INTERRUPTED)
    finally:
        shower.end()
    return _ended(here, handle)


def _follow(handle: Any, reader: Any, shower: Shower, until: Sequence[str], deadline: Optional[float]) -> None:
    """Show each change until it has ended, or is where it was wished to be."""
    limit = [deadline]
    try:
        for messages in _changes(reader, limit):
            _refresh(handle)
            shower.changed(messages, handle.state)
            if _is_there(handle, until):
                # the stream has the last changes still; where the run has ended it ends by itself
                limit[0] = monotonic() + (_LAST if handle.ended else _QUIET)
    except StillRunning:
        if not _is_there(handle, until):
            raise
    handle.wait(None if deadline is None else max(0.0, deadline - monotonic()), until or "ended")


def _handle(here: Session, id: str) -> Any:  # noqa: A002
    client = here.client
    return client.runs.handle(id) if is_run(id) else client.executions.handle(id)


def is_run(id: str) -> bool:  # noqa: A002
    """Whether an id is a run's; a step of one has its place behind a dot."""
    return id.startswith("pexec-") and "." not in id


def _shower(here: Session) -> Shower:
    from tocsin.cli.watching.lines import JsonLines, Lines, Nothing

    if here.output == "jsonl":
        return JsonLines()
    if here.output != "table" or here.quiet:
        return Nothing()
    import sys

    if on_terminal(sys.stdout) and coloured_terminal():
        from tocsin.cli.watching.tree import Live

        return Live()
    return Lines()


def coloured_terminal() -> bool:
    """Whether the terminal can be drawn on; without colours it still can."""
    import os

    return os.environ.get("TERM", "") not in ("", "dumb")


def _is_there(handle: Any, until: Sequence[str]) -> bool:
    return bool(handle.ended or handle.status in until)


def _refresh(handle: Any) -> None:
    """Ask for the state; while the server is away what is known stays."""
    try:
        handle.refresh()
    except (ConnectionFailed, ServerError, TooManyRequests):
        return


def _changes(reader: Any, limit: Sequence[Optional[float]]) -> Iterator[List[Any]]:
    """What happens, as much together as came together; the moment in ``limit`` may be moved meanwhile.

    Raises:
        StillRunning: the time is over.
    """
    arrived: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        try:
            for message in reader.events():
                arrived.put(message)
            arrived.put(StopIteration())
        except BaseException as error:  # noqa: BLE001 - raised by the other thread
            arrived.put(error)

    threading.Thread(target=read, daemon=True).start()
    begun = monotonic()
    while True:
        messages, deadline = _batch(arrived, limit[0]), limit[0]
        if not messages and deadline is not None and monotonic() >= deadline:
            raise StillRunning(reader.id, reader.state, deadline - begun)
        over = messages.pop() if messages and isinstance(messages[-1], BaseException) else None
        if messages:
            yield messages
        if over is not None:
            if not isinstance(over, StopIteration):
                raise over
            return


def _batch(arrived: queue.Queue[Any], deadline: Optional[float]) -> List[Any]:
    # a wait without end could not be interrupted on every system
    longest = 1.0 if deadline is None else max(0.0, min(1.0, deadline - monotonic()))
    try:
        found = [arrived.get(timeout=longest)]
        while True:
            found.append(arrived.get(timeout=_TOGETHER))
            if len(found) > 1000:
                return found
    except queue.Empty:
        return found if "found" in locals() else []


def _left(here: Session, shower: Shower, handle: Any, code: int) -> int:
    """Say that it goes on, and how to cancel it."""
    shower.end()
    noun = "runs" if is_run(handle.id) else "executions"
    if here.output == "table":
        click.echo(f"{mark(handle.status)} {handle.id} is still {handle.status or 'under way'}; nothing is cancelled")
    here.say(f"  follow: tocsin watch {handle.id}\n  cancel: tocsin {noun} cancel {handle.id}")
    return code


def _ended(here: Session, handle: Any) -> int:
    """The last line, or the last state; the exit code."""
    state = handle.state.to_dict()
    if here.output in ("json", "jsonl", "yaml", "id"):
        here.show("getRun" if is_run(handle.id) else "getExecution", state)
    else:
        click.echo(last_line(handle.id, state))
        for step in state.get("steps") or ():
            if step.get("status") == "waiting" and step.get("type") == "approval":
                here.say(f"  decide: tocsin approve {handle.id} {step.get('step_id')}")
    if not handle.ended or handle.status == "completed":
        return DONE
    return CANCELLED if handle.status == "cancelled" else ENDED_OTHERWISE


def last_line(id: str, state: Any) -> str:  # noqa: A002
    """How it ended, in one line."""
    status = state.get("status")
    took = span(state.get("duration_seconds"))
    error = state.get("error") or {}
    line = f"{mark(status)} {id} {status}" + (f" in {took}" if took else "")
    if error:
        where = f" at step {error['step_id']}" if error.get("step_id") else ""
        line += f"{where}: {one_line(str(error.get('message') or error.get('code')))}"
        line += " (whether it had its effect is unknown)" if error.get("outcome_unknown") else ""
    if not coloured():
        return line
    from tocsin.cli.output.words import MARKS

    return click.style(line, fg=MARKS.get(status, ("", "", None))[2], bold=True)
