"""Approvals: what waits for a decision, wherever it waits."""

from __future__ import annotations

from typing import Any, Dict, Optional

import click

from tocsin.cli.root import noun
from tocsin.cli.session import session
from tocsin.cli.suggestions import complete
from tocsin.cli.verb import Command, declare

approvals = noun("approvals")

declare(approvals, "list", "listPendingApprovals", "What waits for a decision; with --status also what was decided.")
declare(approvals, "get", "getApproval", "One approval, with the votes so far.")
declare(approvals, "approve", "approveApproval", "Approve it.", members=("note",), said="{approval_id} is approved.")
declare(approvals, "reject", "rejectApproval", "Reject it.", members=("note",), said="{approval_id} is rejected.")


def _deciding(verb: str, done: str) -> Command:
    def decide(id: str, step: Optional[str], note: str, iteration: Optional[str]) -> None:  # noqa: A002
        from tocsin.cli.watching.follow import is_run

        here = session()
        body: Dict[str, Any] = {"note": note}
        if is_run(id):
            step = step or _waiting_step(here, id)
            body.update({} if iteration is None else {"iteration": iteration})
            operation, path = f"{verb}Step", {"run_id": id, "step_id": step}
        elif id.startswith(("exec-", "pexec-")):
            operation, path = f"{verb}Execution", {"execution_id": id}
        else:
            operation, path = f"{verb}Approval", {"approval_id": id}
        answer = here.call(operation, path, body=body).body
        if here.output == "table":
            here.say(f"{' of '.join(reversed(list(path.values())))} is {done}.")
        else:
            here.show(operation, answer)

    return Command(
        verb,
        params=[
            click.Argument(["id"], metavar="ID", shell_complete=complete("approval_id")),
            click.Argument(["step"], required=False, metavar="[STEP]"),
            click.Option(["--note"], default="", help="Why; it is kept with the decision."),
            click.Option(["--iteration"], metavar="ITERATION", help="Which one, in a loop."),
        ],
        callback=decide,
        help=f"{verb.title()} what waits: an approval, an execution, or a step of a run, found by itself.",
        carries=[f"{verb}{one}" for one in ("Step", "Execution", "Approval")],
    )


def _waiting_step(here: Any, run: str) -> str:
    """The step of a run that waits, if it is the only one."""
    steps = here.call("getRun", {"run_id": run}).body["data"].get("steps") or ()
    found = [one["step_id"] for one in steps if one.get("status") == "waiting" and one.get("type") == "approval"]
    if len(found) == 1:
        return str(found[0])
    waits = f"these steps wait: {', '.join(found)}" if found else "no step of it waits for a decision"
    raise click.UsageError(f"Which step of {run}? As far as is known {waits}.", click.get_current_context())


approve_any = _deciding("approve", "approved")
reject_any = _deciding("reject", "rejected")
