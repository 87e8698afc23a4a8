"""A line per change, for logs and pipes."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import click

from tocsin.cli.output.formats import as_json
from tocsin.cli.output.words import mark, one_line, span, when


class Nothing:
    """Shows nothing but the end."""

    def begin(self, state: Any) -> None:
        """Show nothing."""

    def changed(self, messages: Sequence[Any], state: Any) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Leave nothing behind."""


class JsonLines(Nothing):
    """Each change as a JSON object."""

    def changed(self, messages: Sequence[Any], state: Any) -> None:  # noqa: ARG002 - as others are called
        """Write what has happened."""
        for one in messages:
            click.echo(as_json(one.to_dict(), indent=None))


class Lines(Nothing):
    """Each change as a line."""

    def __init__(self) -> None:
        self._known: Dict[str, str] = {}

    def begin(self, state: Any) -> None:
        """Say what is followed."""
        known = state.to_dict()
        name = known.get("playbook_name") or known.get("action_name") or ""
        target = known.get("target_asset_id") or known.get("target") or ""
        words = [known["execution_id"], one_line(str(name)), str(target), str(known.get("status"))]
        click.echo("  ".join(word for word in words if word))

    def changed(self, messages: Sequence[Any], state: Any) -> None:
        """Write a line for each change that is new; without messages for what the state alone shows."""
        if not messages:
            self._catch_up(state.to_dict())
            return
        steps = {one.get("step_id"): one for one in state.to_dict().get("steps") or ()}
        for message in messages:
            one = message.to_dict()
            if one.get("type") == "step_changed":
                self._step(one, steps.get(one.get("step"), {}), str(state.to_dict().get("execution_id")))
            elif one.get("type") == "lagged":
                click.echo(f"{one.get('skipped')} changes were missed")
            elif one.get("type") in ("run_changed", "execution_changed"):
                self._line("", str(one.get("status")), one)

    def _catch_up(self, state: Any) -> None:
        known = [step for step in state.get("steps") or () if step.get("status") not in (None, "pending", "skipped")]
        for step in known:
            place, status = str(step.get("step_id")), str(step["status"])
            moment = step.get("completed_at") or step.get("started_at")
            self._step({"step": place, "status": status, "timestamp": moment}, step, str(state.get("execution_id")))

    def _step(self, one: Any, step: Any, run: str) -> None:
        place = f"{one.get('step')}{'[' + str(one['iteration']) + ']' if one.get('iteration') else ''}"
        more = ""
        if one.get("status") == step.get("status") and step.get("duration_ms") is not None:
            more = f"  {span(step['duration_ms'] / 1000)}" if not one.get("iteration") else ""
        if one.get("status") == "waiting" and step.get("type") == "approval":
            more = f"  decide: tocsin approve {run} {one.get('step')}"
        error = step.get("error") or {}
        if one.get("status") in ("failed", "timeout") and error:
            more += f"  {one_line(str(error.get('message') or error.get('code')))}"
        self._line(place, str(one.get("status")), one, more)

    def _line(self, place: str, status: str, one: Any, more: str = "") -> None:
        if self._known.get(place) == status:
            return
        self._known[place] = status
        moment = one.get("timestamp")
        clock = f"{when(moment)[-8:]}  " if moment else ""
        click.echo(f"{clock}{mark(status)} {place + ' ' if place else ''}{status}{more}")
