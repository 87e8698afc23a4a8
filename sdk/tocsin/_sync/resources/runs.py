# Made by sdk/tools/sync.py from tocsin/_async/resources/runs.py; do not edit.
"""Runs of playbooks: follow, steer, decide and compare them."""

from __future__ import annotations

from typing import Any, Dict, Optional

from tocsin import models
from tocsin._sync.handles import RunHandle
from tocsin._sync.pages import Pages
from tocsin._sync.resource import Resource
from tocsin._operation import operation
from tocsin._values import Many, When


class Runs(Resource):
    """Executions of playbooks."""

    @operation("listRuns", target="target_asset_id")
    def list(
        self,
        *,
        status: Optional[Many[models.RunStatus]] = None,
        playbook_id: Optional[str] = None,
        target: Optional[str] = None,
        trigger: Optional[models.RunTrigger] = None,
        dry_run: Optional[bool] = None,
        event_id: Optional[str] = None,
        parent_id: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.RunItem]:
        """The runs, the newest first; ``since`` is a moment or, as a ``timedelta``, so long ago."""
        query: Dict[str, Any] = {
            "status": status,
            "playbook_id": playbook_id,
            "target_asset_id": target,
            "trigger": trigger,
        }
        query.update({"dry_run": dry_run, "from": since, "to": until})
        query.update(limit=limit, cursor=cursor, page=page, per_page=per_page)
        query.update(event_id=event_id, parent_id=parent_id)
        return self._list("listRuns", models.RunItem, query=query)

    @operation("getRun")
    def get(self, run_id: str, *, wait: Optional[float] = None, outputs: Optional[bool] = None) -> models.Run:
        """One run with its steps; with ``wait`` as soon as its state is another.

        ``outputs=False`` leaves out what steps have put out.
        """
        return self._one("getRun", models.Run, {"run_id": run_id}, {"wait": wait, "outputs": outputs})

    def handle(self, run_id: str) -> RunHandle:
        """The handle of a run, to wait for it, follow it and steer it; nothing is asked."""
        return RunHandle(self._transport, run_id)

    @operation("cancelRun")
    def cancel(self, run_id: str) -> models.Run:
        """Cancel it: no later step starts after the answer; 409 where it has ended."""
        return self._one("cancelRun", models.Run, {"run_id": run_id})

    @operation("pauseRun")
    def pause(self, run_id: str) -> models.Run:
        """Pause it before its next step."""
        return self._one("pauseRun", models.Run, {"run_id": run_id})

    @operation("resumeRun")
    def resume(self, run_id: str) -> models.Run:
        """Let it go on."""
        return self._one("resumeRun", models.Run, {"run_id": run_id})

    @operation("retryRun", begin="from")
    def retry(
        self,
        run_id: str,
        parameters: Optional[Dict[str, Any]] = None,
        *,
        begin: Optional[str] = None,
        revisions: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> RunHandle:
        """Run it again from what ``failed``, or from the ``start``; returns the new run."""
        return self.handle(run_id).retry(
            parameters, begin=begin, revisions=revisions, idempotency_key=idempotency_key
        )

    @operation("listRunSteps")
    def steps(
        self,
        run_id: str,
        *,
        outputs: Optional[bool] = None,
        since: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> Pages[models.StepDoing]:
        """Its steps, each iteration by itself, with what came of them."""
        return self.handle(run_id).steps(outputs=outputs, since=since, limit=limit, cursor=cursor)

    @operation("listRunLogs")
    def logs(
        self,
        run_id: str,
        *,
        since: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> Pages[models.RunLogLine]:
        """The log lines of all its steps, in order of time."""
        return self.handle(run_id).logs(since=since, limit=limit, cursor=cursor)

    @operation("getRunTimeline")
    def timeline(
        self,
        run_id: str,
        *,
        since: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> models.Timeline:
        """When each step was waited for and ran."""
        return self.handle(run_id).timeline(since=since, limit=limit, cursor=cursor)

    @operation("comparePlaybookExecutions")
    def diff(self, run_id: str, against: str) -> models.Comparison:
        """What differs from another run of the same playbook."""
        return self._one("comparePlaybookExecutions", models.Comparison, {"run_id": run_id}, {"against": against})

    @operation("approveStep")
    def approve(
        self, run_id: str, step_id: str, note: str = "", *, iteration: Optional[str] = None
    ) -> models.StepDoing:
        """Approve what a step waits for; in a loop ``iteration`` says which."""
        return self.handle(run_id).step(step_id).approve(note, iteration=iteration)

    @operation("rejectStep")
    def reject(
        self, run_id: str, step_id: str, note: str = "", *, iteration: Optional[str] = None
    ) -> models.StepDoing:
        """Reject what a step waits for; in a loop ``iteration`` says which."""
        return self.handle(run_id).step(step_id).reject(note, iteration=iteration)
