"""The playbook that the demo runs: one of ``examples/playbooks``.

It is run for an asset, and each step is shown when it begins and ends, until the run has ended.
"""

import json
import time

from config.types import Json
from launcher.demo.client import ENDED, Api
from launcher.terminal import Terminal

SHOWN = "pb-critical-vuln-response"
ASSET = "web-01"

#: each answer waits for news of the run, but not for longer than this, seconds
_WAIT = 1
_SHOWN_CHARACTERS = 120
#: states of a step in which it has yet to begin, or never will
_NOT_BEGUN = frozenset({"pending", "skipped", "cancelled"})


def show(terminal: Terminal, api: Api, patience: float) -> bool:
    """Run one playbook and print every step.

    Returns whether it completed within ``patience`` seconds.

    Raises:
        LauncherError: the API refuses it.
    """
    run_id = api.run(SHOWN, {"target_asset_id": ASSET})
    terminal.say(f"Playbook {SHOWN}: accepted as {run_id}")
    give_up = time.monotonic() + patience
    shown: dict[str, str] = {}
    while True:
        run = api.read(f"/api/playbooks/executions/{run_id}?wait={_WAIT}")
        _show_steps(terminal, run["steps"], shown)
        if run["status"] in ENDED or time.monotonic() > give_up:
            return _show_end(terminal, run)


def _show_steps(terminal: Terminal, steps: list[Json], shown: dict[str, str]) -> None:
    """Print a line for each step that has changed since ``shown``."""
    for step in steps:
        status = step["status"]
        if status in _NOT_BEGUN or shown.get(step["step_id"]) == status:
            continue
        shown[step["step_id"]] = status
        taken = f"{step['duration_ms']} ms" if step["completed_at"] else ""
        outcome = step["error"] or step["output"]
        text = json.dumps(outcome, ensure_ascii=False)[:_SHOWN_CHARACTERS] if outcome else ""
        mood = {"completed": "good", "failed": "bad", "timeout": "bad"}.get(status, "")
        terminal.say(f"  {terminal.painted(f'{status:<9}', mood)} {step['name']:<26} {taken:>7}  {text}".rstrip())


def _show_end(terminal: Terminal, run: Json) -> bool:
    steps = f"{run['steps_completed']} of {run['steps_total']} steps"
    if run["status"] == "completed":
        terminal.say(f"Playbook {SHOWN}: completed in {run['duration_seconds']} s, {steps}", "good")
        return True
    terminal.say(f"Playbook {SHOWN}: {run['status']}, {steps}", "bad")
    if run.get("error"):
        terminal.detail(str(run["error"].get("message")))
    return False
