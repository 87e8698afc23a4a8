"""Kinds, statuses and modes of executions, and their reasons to wait.

The values are those that the tables and the API have; a member equals its value, and SQL text and JSON are made of
either. What is read from a row is a plain string and stays one.
"""

from enum import StrEnum


class Kind(StrEnum):
    """An execution is a triggered action, a dispatch, a run of a playbook, or its step."""

    ACTION = "action"
    DISPATCH = "dispatch"
    PLAYBOOK = "playbook"
    STEP = "step"


class Status(StrEnum):
    """The status of an execution; ``store.executions.transitions`` has its changes."""

    PENDING = "pending"
    RUNNING = "running"
    #: for what ``WaitingFor`` says
    WAITING = "waiting"
    #: only runs: an operator has halted it
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    #: only steps: the run went past it
    SKIPPED = "skipped"


class Mode(StrEnum):
    """How an execution is carried out."""

    #: do it
    LIVE = "live"
    #: run, but record every outward call instead of making it
    SANDBOX = "sandbox"
    #: render and describe only
    DRY_RUN = "dry_run"


class WaitingFor(StrEnum):
    """The reason why a row waits, or the work left after its end."""

    #: the time of the next attempt
    RETRY = "retry"
    #: a person's decision
    APPROVAL = "approval"
    #: decisions about what a rule holds back
    GATE = "gate"
    #: the end of a delay
    DELAY = "delay"
    #: an operator, who has paused the run
    OPERATOR = "operator"
    #: the pause of a loop before its next pass
    INTERVAL = "interval"
    #: nothing any more: the pause of a loop is over
    RESTED = "rested"
    #: a worker that plans what comes after a step which has ended
    FOLLOW = "follow"
    #: a worker that reports the end of an action to the playbooks it triggers
    ANNOUNCE = "announce"
    #: the end of the steps that a run which is over has left behind
    CLEAR = "clear"
