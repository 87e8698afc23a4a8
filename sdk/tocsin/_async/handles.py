"""Handles of what runs: wait for it, follow it, steer it.

A handle has the id of an execution or a run and what was last known of it. Waiting asks with ``wait`` and the ETag of
what is known, so that the server answers as soon as something is different; a restart of the server meanwhile goes
unnoticed. Nothing that a handle does when its time is over cancels what runs.
"""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import Any, AsyncIterator, Dict, FrozenSet, Generic, List, Optional, Sequence, Type, TypeVar, Union

from tocsin import models
from tocsin._answers import accepted
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import decoded
from tocsin._async.stream import OUTAGE, follow, is_passing
from tocsin._async.transport import AsyncTransport
from tocsin._errors import (
    ApiError,
    CertificateRefused,
    ConnectionFailed,
    ExecutionFailed,
    ServerError,
    StillRunning,
    TooManyRequests,
)
from tocsin._messages import Message
from tocsin._model import Model
from tocsin._operation import operation

State = TypeVar("State", bound=Model)
Self = TypeVar("Self", bound="AsyncHandle[Any]")
#: the longest wait that is asked for in one request; the server allows 30
_WAIT = 25.0
#: the same where the server does not say by ETag what it waits from, so that what happens between two requests is seen
_WAIT_BLINDLY = 2.0
ENDED = "ended"


class AsyncHandle(Generic[State]):
    """Something that runs."""

    _read: str
    _named: str
    _into: Type[State]
    _ends: FrozenSet[str]

    def __init__(self, transport: AsyncTransport, id: str, known: Any = None, etag: str = "") -> None:  # noqa: A002
        self._transport = transport
        self.id = id
        #: what was last known of it
        self.state: State = self._into(known or {}, etag)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, status={self.status!r})"

    @property
    def status(self) -> Optional[str]:
        """The status that was last known; ``refresh`` asks for the present one."""
        status: Optional[str] = self.state._data.get("status")  # noqa: SLF001 - of this package
        return status

    @property
    def ended(self) -> bool:
        """Whether it was over when it was last looked at."""
        return self.status in self._ends

    async def refresh(self) -> State:
        """Ask what is known of it now."""
        await self._look(0.0)
        return self.state

    async def wait(self: Self, timeout: Optional[float] = None, until: Union[str, Sequence[str]] = ENDED) -> Self:
        """Wait until it has ended, or has one of the statuses ``until``, or can no longer get there.

        Raises:
            StillRunning: that did not happen within ``timeout`` seconds; it goes on.
            ConnectionFailed: the server is away for longer than two minutes.
        """
        wanted = {until} if isinstance(until, str) else set(until)
        begun = monotonic()
        deadline = None if timeout is None else begun + timeout
        heard, first = begun, True
        while not (self.ended or self.status in wanted):
            left = _WAIT if deadline is None else deadline - monotonic()
            if left <= 0 and not first:
                raise StillRunning(self.id, self.state, monotonic() - begun)
            try:
                await self._look(0.0 if first and wanted != {ENDED} else max(0.0, left), deadline)
                heard = monotonic()
            except (ConnectionFailed, ServerError, TooManyRequests) as error:
                if isinstance(error, CertificateRefused) or not self._transport.known or monotonic() - heard > OUTAGE:
                    raise
                await asyncio.sleep(min(1.0, max(0.0, left)))
            first = False
        return self

    async def result(self, timeout: Optional[float] = None) -> Any:
        """Wait for its output.

        Raises:
            ExecutionFailed: it has ended otherwise than completed.
            StillRunning: it has not ended within ``timeout`` seconds; it goes on.
        """
        await self.wait(timeout)
        known = self.state.to_dict()
        if self.status != "completed":
            raise ExecutionFailed(self.id, self.status or "", known.get("error"))
        return known.get("output")

    async def _look(self, seconds: float, deadline: Optional[float] = None) -> None:
        """Ask for its state; the server answers when that is another than the one known, within ``seconds``."""
        etag, before, begun = self.state.etag, self.status, monotonic()
        longest = _WAIT if etag or before is None else _WAIT_BLINDLY
        wait = round(min(seconds, longest), 3)
        answer = await self._transport.call(
            self._read,
            {self._named: self.id},
            {"wait": wait or None},
            headers={"If-None-Match": etag or None},
            deadline=deadline,
        )
        if answer.status != 304:
            self.state = decoded(self._read, self._into, answer)
        if wait and self.status == before and monotonic() - begun < min(wait, 0.1):
            await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - too many wait: the server answers at once

    async def _steer(self, name: str, **more: Any) -> None:
        answer = await self._transport.call(name, {self._named: self.id}, **more)
        self.state = decoded(name, self._into, answer)

    async def _polled(self) -> AsyncIterator[Message]:
        """What changes, found by asking again and again."""
        known: Dict[str, Any] = {}
        while True:
            for message in self._changes(known):
                yield message
            if self.ended:
                return
            await self._look(_WAIT)

    def _changes(self, known: Dict[str, Any]) -> List[Message]:
        raise NotImplementedError


class AsyncExecutionHandle(AsyncHandle[models.Execution]):
    """An execution of an action."""

    _read, _named, _into = "getExecution", "execution_id", models.Execution
    _ends = frozenset({"completed", "failed", "timeout", "cancelled", "skipped"})

    async def events(self) -> AsyncIterator[Message]:
        """Each change of its status (``execution_changed``), until it has ended; found by asking."""
        await self.refresh()
        async for message in self._polled():
            yield message

    def _changes(self, known: Dict[str, Any]) -> List[Message]:
        if known.get("status") == self.status:
            return []
        known["status"] = self.status
        return [Message.from_dict({"type": "execution_changed", "execution_id": self.id, "status": self.status})]

    async def cancel(self) -> AsyncExecutionHandle:
        """Cancel it; 409 where it has ended."""
        await self._steer("cancelExecution")
        return self

    async def approve(self, note: str = "") -> AsyncExecutionHandle:
        """Approve what it waits for."""
        await self._steer("approveExecution", body={"note": note})
        return self

    async def reject(self, note: str = "") -> AsyncExecutionHandle:
        """Reject what it waits for."""
        await self._steer("rejectExecution", body={"note": note})
        return self

    def logs(self, **query: Any) -> AsyncPages[models.LogLine]:
        """Its log lines so far, in order of time."""
        path = {"execution_id": self.id}
        return AsyncPages(self._transport.call, "listExecutionLogs", models.LogLine, path, query)


class AsyncRunHandle(AsyncHandle[models.Run]):
    """A run of a playbook."""

    _read, _named, _into = "getRun", "run_id", models.Run
    _ends = frozenset({"completed", "failed", "cancelled"})

    @operation("followRun")
    async def events(self, last_id: str = "") -> AsyncIterator[Message]:
        """What has happened in it, then what happens, until it has ended.

        Follows the server's stream over cuts; where there is none to be had, the changes are found by asking.
        """
        path = f"/api/playbooks/executions/{self.id}/events"
        try:
            async for message in follow(self._transport, path, {}, last_id):
                yield message
        except ApiError as error:
            if not is_passing(error):
                raise
        else:
            return
        await self.refresh()
        async for message in self._polled():
            yield message

    def _changes(self, known: Dict[str, Any]) -> List[Message]:
        found = []
        for step in self.state.steps or []:
            if step.status != known.get(step.step_id, "pending"):
                known[step.step_id] = step.status
                data = {"type": "step_changed", "run_id": self.id, "step": step.step_id, "status": step.status}
                found.append(Message.from_dict({**data, "execution_id": step.execution_id}))
        if known.get("") != self.status:
            known[""] = self.status
            found.append(Message.from_dict({"type": "run_changed", "execution_id": self.id, "status": self.status}))
        return found

    async def cancel(self) -> AsyncRunHandle:
        """Cancel it: no later step starts after the answer; 409 where it has ended."""
        await self._steer("cancelRun")
        return self

    async def pause(self) -> AsyncRunHandle:
        """Pause it before its next step."""
        await self._steer("pauseRun")
        return self

    async def resume(self) -> AsyncRunHandle:
        """Let it go on."""
        await self._steer("resumeRun")
        return self

    async def retry(
        self,
        parameters: Optional[Dict[str, Any]] = None,
        *,
        begin: Optional[str] = None,
        revisions: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> AsyncRunHandle:
        """Run it again from what ``failed``, or from the ``start``; returns the new run."""
        body: Dict[str, Any] = {"parameters": parameters, "from": begin, "revisions": revisions}
        answer = await self._transport.call(
            "retryRun",
            {"run_id": self.id},
            body={name: value for name, value in body.items() if value is not None},
            key=idempotency_key,
        )
        return run_of(self._transport, answer)

    def step(self, step_id: str) -> AsyncStepHandle:
        """One of its steps; nothing is asked."""
        return AsyncStepHandle(self, step_id)

    def steps(self, **query: Any) -> AsyncPages[models.StepDoing]:
        """Its steps, each iteration by itself, with what came of them."""
        return AsyncPages(self._transport.call, "listRunSteps", models.StepDoing, {"run_id": self.id}, query)

    def logs(self, **query: Any) -> AsyncPages[models.RunLogLine]:
        """The log lines of all its steps, in order of time."""
        return AsyncPages(self._transport.call, "listRunLogs", models.RunLogLine, {"run_id": self.id}, query)

    async def timeline(self, **query: Any) -> models.Timeline:
        """When each step was waited for and ran."""
        answer = await self._transport.call("getRunTimeline", {"run_id": self.id}, query)
        return decoded("getRunTimeline", models.Timeline, answer)


class AsyncStepHandle:
    """One step of a run."""

    def __init__(self, run: AsyncRunHandle, step_id: str) -> None:
        self.run = run
        self.id = step_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.run.id!r}, {self.id!r})"

    async def state(self) -> Optional[models.RunStep]:
        """What is known of it now; None where the run does not show it."""
        state = await self.run.refresh()
        return next((one for one in state.steps or [] if one.step_id == self.id), None)

    async def approve(self, note: str = "", *, iteration: Optional[str] = None) -> models.StepDoing:
        """Approve what it waits for; in a loop ``iteration`` says which."""
        return await self._decide("approveStep", note, iteration)

    async def reject(self, note: str = "", *, iteration: Optional[str] = None) -> models.StepDoing:
        """Reject what it waits for; in a loop ``iteration`` says which."""
        return await self._decide("rejectStep", note, iteration)

    async def _decide(self, name: str, note: str, iteration: Optional[str]) -> models.StepDoing:
        body: Dict[str, Any] = {"note": note} if iteration is None else {"note": note, "iteration": iteration}
        path: Dict[str, Any] = {"run_id": self.run.id, "step_id": self.id}
        answer = await self.run._transport.call(name, path, body=body)  # noqa: SLF001 - of this module
        return decoded(name, models.StepDoing, answer)


def run_of(transport: AsyncTransport, answer: Any) -> AsyncRunHandle:
    """The handle of a run that was accepted."""
    known = accepted(answer)
    return AsyncRunHandle(transport, known["execution_id"], known)


def execution_of(transport: AsyncTransport, answer: Any) -> AsyncExecutionHandle:
    """The handle of an execution that was accepted."""
    known = accepted(answer)
    return AsyncExecutionHandle(transport, known["execution_id"], known)
