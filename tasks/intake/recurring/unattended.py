"""Refuses what a rule wants an approval of: a firing waits for nothing, and goes past no question either.

A rule with ``require_approval`` concerns dispatches and triggers. What a recurring action sends is judged as one of
those, too, before it is judged as what it is; where a rule would ask, the firing is refused. So a schedule opens no way
around the question that its maker would be asked.
"""

from dataclasses import replace

from config.errors import Conflict
from gateway.verdicts import RequireApproval
from tasks.intake import dispatch as triggers
from tasks.intake.dispatch import DispatchRequest
from tasks.intake.dispatches.gate import judged
from tasks.intake.dispatches.rows import Asked
from tasks.policy.judge import Decision


def check_dispatch(asked: Asked) -> None:
    """Refuse a dispatch that would be asked about.

    Raises:
        Conflict: a rule wants an approval. Unavailable: this process does not know what is in force.
    """
    _refuse(judged(replace(asked, origin="dispatch"), asked.dispatch.payload))


def check_trigger(request: DispatchRequest) -> None:
    """Refuse a trigger that would be asked about.

    Raises:
        NotFound: the action is gone. Conflict: a rule wants an approval. Unavailable.
    """
    _, decision = triggers.judged(request)
    _refuse(decision)


def _refuse(decision: Decision | None) -> None:
    if decision is not None and isinstance(decision.verdict.effect, RequireApproval):
        text = f"The rule {decision.verdict.rule!r} wants an approval, for which a firing does not wait."
        raise Conflict(text, code="approval_needed")
