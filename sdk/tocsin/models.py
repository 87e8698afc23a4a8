"""The objects of answers, with their members.

Made by ``sdk/tools/generate.py`` from the OpenAPI document; do not edit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Literal, Optional, Union

from tocsin._model import Model

ActionExecutor = Literal['approval', 'local', 'notification', 'opservant', 'remote', 'webhook']
ActionStepType = Literal['action']
ActionType = Literal[
    'approval',
    'containment',
    'enrichment',
    'investigation',
    'notification',
    'remediation',
    'script',
    'webhook',
]
ActorKind = Literal['key', 'link', 'other', 'system', 'user']
ApprovalOrigin = Literal['action', 'rule', 'step']
ApprovalStatus = Literal['approved', 'cancelled', 'expired', 'pending', 'rejected']
ApprovalStepType = Literal['approval']
BarStatus = Literal['cancelled', 'completed', 'failed', 'pending', 'running', 'skipped', 'timeout', 'waiting']
BarType = Literal['action', 'approval', 'condition', 'delay', 'for_each', 'loop', 'parallel', 'playbook', 'switch']
BatchItemStatus = Literal['error', 'success']
CalendarSource = Literal['api', 'file']
ChangeOp = Literal['added', 'changed', 'removed']
ComparedStepVerdict = Literal['differs', 'only_in_first', 'only_in_second', 'same']
ConditionStepType = Literal['condition']
CoveredCombinationCovered = Literal['all', 'none', 'partly']
DelayStepType = Literal['delay']
EventMoveCause = Literal['dispatch', 'timeout', 'transition']
EventMoveEvent = Literal['event.moved', 'event.opened', 'event.timeout']
ExecutionTrigger = Literal['api', 'dispatch', 'playbook', 'recurring', 'replay']
FaultOfTrailKind = Literal[
    'anchor_differs',
    'chain_broken',
    'mark_forged',
    'row_added',
    'row_changed',
    'row_missing',
    'row_odd',
    'seal_forged',
    'seal_missing',
    'unknown_key',
]
FlushedStatus = Literal['ended', 'flushed']
ForEachStepType = Literal['for_each']
GroupClosedBy = Literal['caller', 'first', 'full', 'resolved', 'time']
GroupState = Literal['notified', 'pending']
ImportedConformance = Literal['nonconformant', 'valid', 'warnings']
ImportedOutcome = Literal['created', 'revised', 'unchanged']
LoopStepType = Literal['loop']
MatcherOp = Literal['!=', '!~', '=', '=~']
MeKind = Literal['key', 'user']
MeRole = Literal['admin', 'operator', 'viewer']
OutcomeOutcome = Literal[
    'accepted',
    'chain_started',
    'circuit_open',
    'deduplicated',
    'dry_run',
    'executed',
    'failed',
    'grouped',
    'muted',
    'pending_approval',
    'rerouted',
    'scheduled',
    'silenced',
    'state_changed',
    'suppressed',
    'throttled',
]
ParallelStepBranchOnFailure = Literal['abort', 'continue']
ParallelStepType = Literal['parallel']
ParameterType = Literal['array', 'boolean', 'enum', 'integer', 'number', 'object', 'secret', 'string']
PlaybookOnFailure = Literal['abort', 'continue', 'retry']
PlaybookStepType = Literal['playbook']
PredictedRunPredictedStatus = Literal['completed', 'failed']
ReasonKind = Literal[
    'approval',
    'breaker',
    'calendar',
    'deduplication',
    'error',
    'problem',
    'rule',
    'schedule',
    'shadow',
    'silence',
    'stop',
    'throttle',
]
RecordOrigin = Literal[
    'approval',
    'audit',
    'chain',
    'dispatch',
    'event',
    'group',
    'recurring',
    'silence',
    'step',
    'trigger',
]
RecordOutcome = Literal[
    'cancelled',
    'chain_started',
    'circuit_open',
    'deduplicated',
    'executed',
    'failed',
    'grouped',
    'muted',
    'rerouted',
    'scheduled',
    'silenced',
    'skipped',
    'state_changed',
    'suppressed',
    'throttled',
]
RecurringCatchUp = Literal['all', 'latest', 'skip']
RecurringOverlap = Literal['allow_all', 'cancel_other', 'skip']
RecurringStatus = Literal['active', 'completed', 'paused']
RunPausedBy = Literal['approval', 'delay', 'gate', 'operator']
RunStatus = Literal['cancelled', 'completed', 'failed', 'paused', 'pending', 'running']
RunTrigger = Literal['api', 'chain', 'dispatch', 'event', 'playbook', 'retry', 'schedule']
RunVerdict = Literal[
    'allow',
    'chain',
    'deduplicate',
    'deny',
    'group',
    'modify',
    'require_approval',
    'reroute',
    'schedule',
    'state_machine',
    'suppress',
    'throttle',
]
SiblingSide = Literal['left', 'right']
SilenceAfter = Literal['drop', 'release', 'summarise']
SilenceStatus = Literal['active', 'ended', 'pending']
SimulatedStepStatus = Literal['completed', 'failed', 'skipped']
StepDoingWaitingFor = Literal['approval', 'delay', 'gate', 'retry']
SwitchStepType = Literal['switch']
VoteDecision = Literal['approve', 'reject']
VoteVia = Literal['api', 'link']
AcceptedRunStatus = RunStatus
AcceptedVerdict = RunVerdict
DecidedApprovalStatus = ApprovalStatus
ExecutionItemStatus = BarStatus
ExecutionItemTrigger = ExecutionTrigger
ExecutionItemVerdict = RunVerdict
ExecutionStatus = BarStatus
ExecutionVerdict = RunVerdict
KeptParameterType = ParameterType
PlaybookVersionItemOnFailure = PlaybookOnFailure
PlaybookVersionOnFailure = PlaybookOnFailure
RecordVerdict = RunVerdict
RecurringCreatedStatus = RecurringStatus
RecurringSummaryStatus = RecurringStatus
RunItemPausedBy = RunPausedBy
RunItemStatus = RunStatus
RunItemTrigger = RunTrigger
RunStepStatus = BarStatus
RunStepType = BarType
RunWaitingFor = RunPausedBy
StepDoingStatus = BarStatus
StepDoingType = BarType
StepDoingVerdict = RunVerdict
StoredPlaybookOnFailure = PlaybookOnFailure
VersionExecutor = ActionExecutor
VersionItemExecutor = ActionExecutor
VersionItemType = ActionType
VersionType = ActionType


class BundleSecret(Model):
    """As the server answers it."""

    name: str
    """Its name."""
    description: str
    """What it is for."""
    reveal: bool
    """Whether the code sees the value, and not a placeholder."""
    is_set: bool
    """Whether it has a value."""
    updated_at: Optional[datetime]
    """When it was given."""


class BundleFunction(Model):
    """As the server answers it."""

    action_id: str
    """The action."""
    id: str
    """The function."""
    description: Optional[str]
    """The first line of its docstring."""
    type: Optional[str]
    """The type of the action."""
    parameters: List[Dict[str, Any]]
    """Its parameters, as an action declares them."""
    output: Optional[Dict[str, Any]]
    """The JSON Schema of its output."""
    file: str
    """Where it stands."""
    line: Optional[int]
    """The line."""


class BundleVersion(Model):
    """As the server answers it."""

    name: str
    """The bundle."""
    version: str
    """The version, which never changes."""
    digest: str
    """SHA-256 of its files' names and contents."""
    active: bool
    """Whether its functions are in the catalogue."""
    description: str
    """What it is for."""
    python: str
    """The versions of Python that it runs on; empty for any."""
    hosts: List[str]
    """The hosts that its code may call."""
    secrets: Optional[List[BundleSecret]]
    """Only of a single version: the secrets that it uses."""
    functions: Optional[List[BundleFunction]]
    """Only of a single version: its functions."""
    bytes: int
    """The size of the archive."""
    created_at: datetime
    """When it was pushed."""
    created_by: str
    """Who pushed it."""


class DecidedApproval(Model):
    """As the server answers it."""

    id: str
    """The approval."""
    status: ApprovalStatus
    """approved or rejected; pending where further votes are needed."""
    outcome: Optional[Dict[str, Any]]
    """What became of what waited, as a dispatch is answered; null while votes are missing."""


class KeptBack(Model):
    """As the server answers it."""

    id: Optional[str]
    """The silence."""
    comment: Optional[str]
    """Why it is quiet."""


class ShadowVerdict(Model):
    """As the server answers it."""

    rule: str
    """The rule."""
    verdict: str
    """Its verdict."""


class UndecidedRule(Model):
    """As the server answers it."""

    rule: str
    """The rule."""
    detail: str
    """Why."""


class Failure(Model):
    """As the server answers it."""

    code: str
    """A stable word to branch on."""
    message: str
    """What happened, for people."""
    outcome_unknown: Optional[bool]
    """Whether it is not known if the action had its effect: look before you repeat it."""
    effect_possible: Optional[bool]
    """true: the effect may have happened all the same."""
    retryable: Optional[bool]
    """Whether the same may succeed later."""
    step_id: Optional[str]
    """Of a run: the step that failed."""
    cause: Optional[str]
    """With step_failed: the code of the step's own error."""
    details: Optional[Dict[str, Any]]
    """What else is known, by code: status, exit_code and others."""


class LogLine(Model):
    """As the server answers it."""

    timestamp: datetime
    """ISO 8601, UTC."""
    level: str
    """DEBUG, INFO, WARNING or ERROR."""
    message: str
    """What happened."""


class RetryState(Model):
    """As the server answers it."""

    failures: int
    """Attempts that failed."""
    max_attempts: int
    """Attempts allowed."""
    next_attempt_at: Optional[datetime]
    """When it is tried again, if it waits for that."""


class SandboxReport(Model):
    """As the server answers it."""

    intercepted_calls: List[Dict[str, Any]]
    """Outside calls that were recorded."""
    commands_executed: List[Dict[str, Any]]
    """Scripts that ran in isolation."""
    output: Any
    """Its output."""


class Execution(Model):
    """As the server answers it."""

    verdict: Optional[RunVerdict]
    """What the rules decide."""
    rule: Optional[str]
    """The rule that decides; null where none matches, which allows it."""
    reason: Optional[str]
    """The rule's reason."""
    equal_to: Optional[str]
    """Of a deduplicated execution: the one that went out before."""
    approval_id: Optional[str]
    """The approval that it waits for, or went out by."""
    original_provider: Optional[str]
    """The provider from which a rule has rerouted it."""
    provider: Optional[str]
    """The provider to which a rule has rerouted it."""
    silence: Optional[KeptBack]
    """The silence that keeps it back."""
    interval: Optional[str]
    """The calendar by which a rule lets nothing out at its time."""
    shadows: Optional[List[ShadowVerdict]]
    """What rules in shadow mode would have decided."""
    problems: Optional[List[UndecidedRule]]
    """Rules whose condition could not be decided."""
    execution_id: str
    """Its id."""
    id: str
    """The same as execution_id."""
    action_id: str
    """The action."""
    version: str
    """The action's version that runs."""
    status: BarStatus
    """Its status."""
    target: Optional[str]
    """The asset it is about."""
    parameters: Optional[Dict[str, Any]]
    """The values it runs with; secrets masked. null in a list if over 16 KiB."""
    parameters_omitted: Optional[bool]
    """true, only in a list: parameters are too large for it."""
    output: Any
    """Its output; null in a list if over 16 KiB."""
    output_omitted: Optional[bool]
    """true, only in a list: the output is too large for it."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    created_at: datetime
    """ISO 8601, UTC."""
    started_at: Optional[datetime]
    """When its first attempt began."""
    completed_at: Optional[datetime]
    """When it ended."""
    duration_seconds: Optional[float]
    """From start to end."""
    duration_ms: Optional[int]
    """The same in milliseconds."""
    trigger: ExecutionTrigger
    """What has it carried out: a request (api), a recurring action, the replay of a record, or a playbook."""
    sandbox: bool
    """Whether outside calls were recorded instead of made."""
    dry_run: bool
    """Whether it is a dry run, which executes nothing."""
    run_id: Optional[str]
    """The playbook execution it is a step of."""
    step_id: Optional[str]
    """Which step of the playbook it is."""
    action_name: str
    """The action's name at that version."""
    logs: List[LogLine]
    """What happened, in order."""
    attempt: int
    """How many times a worker has claimed it."""
    waiting_for: Optional[str]
    """retry, approval, gate or delay, while it waits."""
    waiting_until: Optional[datetime]
    """When the wait ends by itself."""
    retry: RetryState
    """The state of its retries."""
    sandbox_report: Optional[SandboxReport]
    """Only of sandboxed executions."""


class StepDoing(Model):
    """As the server answers it."""

    verdict: Optional[RunVerdict]
    """What the rules decide."""
    rule: Optional[str]
    """The rule that decides; null where none matches, which allows it."""
    reason: Optional[str]
    """The rule's reason."""
    equal_to: Optional[str]
    """Of a deduplicated execution: the one that went out before."""
    approval_id: Optional[str]
    """The approval that it waits for, or went out by."""
    original_provider: Optional[str]
    """The provider from which a rule has rerouted it."""
    provider: Optional[str]
    """The provider to which a rule has rerouted it."""
    silence: Optional[KeptBack]
    """The silence that keeps it back."""
    interval: Optional[str]
    """The calendar by which a rule lets nothing out at its time."""
    shadows: Optional[List[ShadowVerdict]]
    """What rules in shadow mode would have decided."""
    problems: Optional[List[UndecidedRule]]
    """Rules whose condition could not be decided."""
    index: int
    """Its place in the playbook, from 0, inner steps counted."""
    step_id: str
    """Its id in the playbook."""
    step_name: str
    """A name for people."""
    name: str
    """The same as step_name."""
    action_id: Optional[str]
    """The action it performs, if it does."""
    type: BarType
    """What it does."""
    execution_id: Optional[str]
    """The execution of the step; an action's is also found at /api/actions/executions."""
    id: Optional[str]
    """The same as execution_id."""
    status: BarStatus
    """Its status."""
    output: Any
    """Its output; null if over 16 KiB."""
    output_omitted: Optional[bool]
    """true: the output is too large to be shown among others, or outputs=false leaves it out."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    started_at: Optional[datetime]
    """When its first attempt began."""
    completed_at: Optional[datetime]
    """When it ended."""
    duration_ms: Optional[int]
    """From start to end; null until it has ended."""
    iteration: str
    """The iteration of the loops around it, such as 3.1; empty outside loops."""
    parent: Optional[str]
    """The id of the step around it."""
    attempt: int
    """How many times a worker has claimed it."""
    retries: int
    """How many times it was retried."""
    waiting_for: Optional[StepDoingWaitingFor]
    """What it waits for."""
    waiting_until: Optional[datetime]
    """When the wait ends by itself."""
    target: Optional[str]
    """The asset it is about."""
    input: Optional[Dict[str, Any]]
    """What it was given; secrets masked; null if over 16 KiB."""
    input_omitted: Optional[bool]
    """true: what it was given is too large to be shown among others, or outputs=false."""
    vars: Optional[Dict[str, Any]]
    """The variables that it set."""
    report: Optional[Dict[str, Any]]
    """Only of a dry run: taken, verdict, what was proved and what was assumed; null if over 16 KiB."""
    created_at: Optional[datetime]
    """When the run reached it; null: it has not."""


class RecurringExecution(Model):
    """As the server answers it."""

    execution_time: datetime
    """Its time."""
    outcome: Optional[str]
    """What became of it; accepted: it goes on; null: it was accepted, and its end is not known."""
    execution_id: Optional[str]
    """The execution, the run, or the id of its record."""
    status: Optional[str]
    """The status of the execution, as long as that is kept."""
    error: Optional[Failure]
    """Why it failed, or could not be accepted; null: it did not."""


class RecurringBackfilled(Model):
    """As the server answers it."""

    accepted: int
    """How many of the times were accepted now."""
    repeated: int
    """How many were accepted before, and are left alone."""
    results: List[RecurringExecution]
    """What became of each time, in order."""
    next_start: Optional[str]
    """What to send as start for the times that follow; null: these are all."""


class Actor(Model):
    """As the server answers it."""

    id: str
    """The id, as other members have it."""
    kind: ActorKind
    """A key, a user, the holder of a link, the system itself."""
    name: str
    """What people call it."""


class ParentStep(Model):
    """As the server answers it."""

    execution_id: str
    """The run that the step is of."""
    step_id: str
    """The step's id in the playbook of that run."""


class RunStep(Model):
    """As the server answers it."""

    index: int
    """Its place in the playbook, from 0, inner steps counted."""
    step_id: str
    """Its id in the playbook."""
    step_name: str
    """A name for people."""
    name: str
    """The same as step_name."""
    action_id: Optional[str]
    """The action it performs, if it does."""
    type: BarType
    """What it does."""
    execution_id: Optional[str]
    """The execution of the step; an action's is also found at /api/actions/executions."""
    id: Optional[str]
    """The same as execution_id."""
    status: BarStatus
    """Its status."""
    output: Any
    """Its output; null if over 16 KiB."""
    output_omitted: Optional[bool]
    """true: the output is too large to be shown among others, or outputs=false leaves it out."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    started_at: Optional[datetime]
    """When its first attempt began."""
    completed_at: Optional[datetime]
    """When it ended."""
    duration_ms: Optional[int]
    """From start to end; null until it has ended."""
    passes: int
    """How many times the run entered it."""


class Run(Model):
    """As the server answers it."""

    verdict: Optional[RunVerdict]
    """What the rules decide."""
    rule: Optional[str]
    """The rule that decides; null where none matches, which allows it."""
    reason: Optional[str]
    """The rule's reason."""
    equal_to: Optional[str]
    """Of a deduplicated execution: the one that went out before."""
    approval_id: Optional[str]
    """The approval that it waits for, or went out by."""
    original_provider: Optional[str]
    """The provider from which a rule has rerouted it."""
    provider: Optional[str]
    """The provider to which a rule has rerouted it."""
    silence: Optional[KeptBack]
    """The silence that keeps it back."""
    interval: Optional[str]
    """The calendar by which a rule lets nothing out at its time."""
    shadows: Optional[List[ShadowVerdict]]
    """What rules in shadow mode would have decided."""
    problems: Optional[List[UndecidedRule]]
    """Rules whose condition could not be decided."""
    execution_id: str
    """Its id."""
    id: str
    """The same as execution_id."""
    playbook_id: str
    """The playbook."""
    playbook_name: str
    """The playbook's name at that version."""
    version: str
    """The playbook's version that runs."""
    status: RunStatus
    """Its status."""
    dry_run: bool
    """Whether it is a dry run, which executes nothing."""
    target_asset_id: Optional[str]
    """The asset it works on."""
    created_at: datetime
    """When it was accepted, ISO 8601, UTC."""
    started_at: Optional[datetime]
    """When it began; null: it has not."""
    parameters: Optional[Dict[str, Any]]
    """The values it runs with; secrets masked. null in a list if over 16 KiB."""
    parameters_omitted: Optional[bool]
    """true, only in a list: parameters are too large for it."""
    paused_by: Optional[RunPausedBy]
    """Why a paused run does not go on: an operator paused it, or it waits for an approval or a delay. null: it is
    not paused.
    """
    trigger: RunTrigger
    """What started it."""
    started_by: str
    """The id of the key that asked for it, or system."""
    started_by_actor: Optional[Actor]
    """Who that is."""
    retry_of: Optional[str]
    """The run that it tries again."""
    parent: Optional[ParentStep]
    """What has started it, if that is a step of another run."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    completed_at: Optional[datetime]
    """When it ended."""
    deadline: Optional[datetime]
    """When it fails unless it has ended; null: it was never to begin."""
    duration_seconds: Optional[float]
    """From start to end; null until it has ended."""
    duration_ms: Optional[int]
    """The same in milliseconds."""
    waiting_for: Optional[RunPausedBy]
    """The same as paused_by."""
    current_step: Optional[str]
    """The step under way; null: none."""
    steps_completed: int
    """How many steps are completed."""
    steps_total: int
    """How many steps the playbook has, with inner ones."""
    event: Optional[Dict[str, Any]]
    """The event that started it, if one did."""
    output: Any
    """Its output."""
    steps: List[RunStep]
    """The steps of the playbook, in order."""


class KeptParameter(Model):
    """As the server answers it."""

    name: str
    """1 to 64 letters, digits and underscores, not beginning with a digit."""
    type: ParameterType
    """What its values are; string unless said otherwise."""
    required: bool
    """Whether a trigger must give it."""
    default: Any
    """Its value when a trigger gives none."""
    label: Optional[str]
    """A name for people."""
    description: Optional[str]
    """What it is for."""
    options: Optional[List[Any]]
    """The values of an enum."""
    validation: Optional[Dict[str, Any]]
    """pattern, min, max, min_length, max_length."""


class KeptRetry(Model):
    """As the server answers it."""

    max_attempts: int
    """Attempts in all, 1 to 10."""
    backoff_seconds: float
    """Pause before the first retry, up to an hour; it doubles each time."""
    jitter: bool
    """Whether pauses vary by a fifth."""


class Action(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    description: Optional[str]
    """What it is for, up to 1024 characters."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    parameters: List[KeptParameter]
    """The parameters a trigger may give."""
    config: Optional[Dict[str, Any]]
    """What the executor needs; secrets in it are stored encrypted."""
    tags: Optional[List[str]]
    """Words to search for."""
    timeout_seconds: Optional[int]
    """How long one attempt may take, 1 to 86400; default 300."""
    retry: KeptRetry
    """What happens after a temporary failure."""
    idempotent: Optional[bool]
    """Whether repeating it in doubt does no harm; default true."""
    enabled: Optional[bool]
    """Whether it may be triggered; default true."""
    conditions: Any
    """Stored and returned; has no effect."""
    input_mapping: Any
    """Stored and returned; has no effect."""
    output_mapping: Any
    """Stored and returned; has no effect."""
    created_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    updated_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    name: str
    """1 to 128 printable characters."""
    type: ActionType
    """What kind of action it is."""
    executor: ActionExecutor
    """Who carries it out."""


class Fault(Model):
    """As the server answers it."""

    pointer: str
    """JSON pointer into the request body; '' is the whole body."""
    detail: str
    """What is wrong, with a remedy."""


class WrittenAction(Action):
    """As the server answers it."""

    warnings: List[Fault]
    """What is allowed but doubtful, each with its place."""


class CalendarTimeInterval(Model):
    """As the server answers it."""

    times: List[Any]
    weekdays: List[Any]
    days_of_month: List[Any]
    months: List[Any]
    years: List[Any]
    location: str


class Calendar(Model):
    """As the server answers it."""

    name: str
    """What rules and schedules call it."""
    description: Optional[str]
    """What it is for."""
    time_intervals: List[CalendarTimeInterval]
    """Spans of time; a moment is in the calendar if it fits all members of one of them."""
    source: CalendarSource
    """Whether a file has it, or a request has made it."""
    active: bool
    """Whether this moment is in it."""
    rules: List[str]
    """The rules that name it, of those that you may see."""
    applied: Optional[str]
    """After a change: which processes obey it, as 9 of 9."""


class PasswordChanged(Model):
    """As the server answers it."""

    status: str
    """Always password_changed."""


class KeptTrigger(Model):
    """As the server answers it."""

    event: str
    """manual, schedule, or the name of an event."""
    conditions: Dict[str, Any]
    """What the event must meet."""
    cron: Optional[str]
    """Of a schedule: its five fields."""
    timezone: Optional[str]
    """Of a schedule."""


class Parameter(Model):
    """As the server answers it."""

    name: str
    """1 to 64 letters, digits and underscores, not beginning with a digit."""
    type: Optional[ParameterType]
    """What its values are; string unless said otherwise."""
    required: Optional[bool]
    """Whether a trigger must give it."""
    default: Any
    """Its value when a trigger gives none."""
    label: Optional[str]
    """A name for people."""
    description: Optional[str]
    """What it is for."""
    options: Optional[List[Any]]
    """The values of an enum."""
    validation: Optional[Dict[str, Any]]
    """pattern, min, max, min_length, max_length."""


class StartError(Model):
    """As the server answers it."""

    at: datetime
    """When it was to start: ISO 8601, UTC."""
    code: str
    """A stable word for the reason."""
    message: str
    """The reason, for people."""


class ActionStepRetry(Model):
    """What happens after a temporary failure."""

    max_attempts: int
    """Attempts in all."""
    backoff_seconds: float
    """The pause before the first retry; it doubles each time."""
    jitter: bool
    """Whether pauses vary by a fifth."""


class ActionStep(Model):
    """Carries out an action."""

    id: str
    """Unique in the whole playbook."""
    type: ActionStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    action_ref: str
    """The id of the action that it carries out."""
    parameters: Optional[Dict[str, Any]]
    """Values for the parameters, which may be templates."""
    target: Optional[str]
    """The asset it is about; it may be a template."""
    delay_seconds: Optional[float]
    """How long to wait before it, up to 30 days."""
    timeout_seconds: Optional[int]
    """How long it may take, up to 30 days."""
    retry: Optional[ActionStepRetry]
    """What happens after a temporary failure."""
    outputs: Optional[Dict[str, Any]]
    """Name → template; later steps read it as vars.name."""


class ConditionStep(Model):
    """Decides between two steps."""

    id: str
    """Unique in the whole playbook."""
    type: ConditionStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    expression: str
    """A condition, or for a switch what is compared with the cases."""
    on_true: Optional[str]
    """What follows where the expression holds: the id of a step of this list, next or end."""
    on_false: Optional[str]
    """What follows where it does not: the id of a step of this list, next or end."""


class SwitchStep(Model):
    """Decides among several steps."""

    id: str
    """Unique in the whole playbook."""
    type: SwitchStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    expression: str
    """A condition, or for a switch what is compared with the cases."""
    cases: Dict[str, str]
    """Value of the expression → the step that follows."""
    default: Optional[str]
    """What follows where no case fits: the id of a step of this list, next or end."""


class ParallelStepBranch(Model):
    """As the server answers it."""

    name: Optional[str]
    """What people call it."""
    steps: List[Step]
    on_failure: Optional[ParallelStepBranchOnFailure]
    """What the failure of one of its steps means for the others."""


class ParallelStep(Model):
    """Runs its branches in parallel."""

    id: str
    """Unique in the whole playbook."""
    type: ParallelStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    branches: List[ParallelStepBranch]
    """What runs in parallel: each branch is a list of steps, or an object with its steps."""
    timeout_seconds: Optional[int]
    """How long it may take, up to 30 days."""


class LoopStep(Model):
    """Repeats its steps while a condition holds."""

    id: str
    """Unique in the whole playbook."""
    type: LoopStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    while_: str
    """The condition on which there is another iteration."""
    steps: List[Step]
    """The steps inside it, in order."""
    max_iterations: Optional[int]
    """How many iterations there may be."""
    interval_seconds: Optional[float]
    """How long to wait between two iterations, up to 30 days."""
    timeout_seconds: Optional[int]
    """How long it may take, up to 30 days."""


class ForEachStep(Model):
    """Runs its steps for each item of a list."""

    id: str
    """Unique in the whole playbook."""
    type: ForEachStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    items: Union[List[Any], str]
    """A list, or a template that gives one."""
    steps: List[Step]
    """The steps inside it, in order."""
    as_: Optional[str]
    """By which name templates read the item; item unless said otherwise."""
    max_concurrency: Optional[int]
    """How many items are worked on at once."""
    timeout_seconds: Optional[int]
    """How long it may take, up to 30 days."""


class DelayStep(Model):
    """Waits."""

    id: str
    """Unique in the whole playbook."""
    type: DelayStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    seconds: Union[float, str]
    """How long to wait: seconds, or a duration such as 5m."""


class ApprovalStep(Model):
    """Waits for people to decide."""

    id: str
    """Unique in the whole playbook."""
    type: ApprovalStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    message: Optional[str]
    """What is asked; it may be a template."""
    approvers: Optional[List[str]]
    """Who may decide: ids or names of keys, or roles such as role:admin."""
    audience: Optional[List[str]]
    """The people that the question is for, by name."""
    not_by_starter: Optional[bool]
    """Whether the starter of the run may not decide."""
    quorum: Optional[int]
    """How many votes approve it; 1 unless said otherwise."""
    reject_quorum: Optional[int]
    """How many votes reject it; 1 unless said otherwise."""
    notify: Optional[str]
    """The provider by which the question goes out, with links that decide."""
    reminder_seconds: Optional[int]
    """How often that is repeated."""
    on_timeout: Optional[str]
    """What follows when the time for a decision is up: the id of a step of this list, next, end, abort or continue."""
    timeout_seconds: Optional[int]
    """How long it may take, up to 30 days."""


class PlaybookStep(Model):
    """Runs a playbook."""

    id: str
    """Unique in the whole playbook."""
    type: PlaybookStepType
    name: str
    """What people call it; its id unless said otherwise."""
    description: Optional[str]
    """What it is for."""
    when: Optional[str]
    """A condition; the step is skipped where it does not hold."""
    continue_on_error: Optional[bool]
    """Whether the run goes on after its failure."""
    on_success: Optional[str]
    """What follows: the id of a step of this list, next or end."""
    on_failure: Optional[str]
    """What follows its failure: the id of a step of this list, next, end, abort or continue."""
    playbook_ref: str
    """The id of the playbook that it runs."""
    parameters: Optional[Dict[str, Any]]
    """Values for the parameters, which may be templates."""
    target: Optional[str]
    """The asset it is about; it may be a template."""
    timeout_seconds: Optional[int]
    """How long it may take, up to 30 days."""
    outputs: Optional[Dict[str, Any]]
    """Name → template; later steps read it as vars.name."""


class Playbook(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    description: Optional[str]
    """Its purpose, up to 1024 characters."""
    trigger: KeptTrigger
    """What starts it."""
    parameters: List[KeptParameter]
    """The parameters a run may be given."""
    variables: Optional[List[Parameter]]
    """Another name of parameters."""
    inputs: Optional[List[Parameter]]
    """Another name of parameters."""
    on_failure: Optional[PlaybookOnFailure]
    """What a step's failure means for the run; abort."""
    max_retries: Optional[int]
    """With on_failure retry: how many failed steps are tried again in one run."""
    timeout_minutes: Optional[int]
    """How long a run may take; default 10080, which is 7 days."""
    tags: Optional[List[str]]
    """Words to search for."""
    enabled: Optional[bool]
    """Whether it may be started; default true."""
    target_required: Optional[bool]
    """Whether a run needs a target; default false."""
    exception_step: Optional[str]
    """The step of the top level that is entered when a run would fail."""
    step_count: int
    """Steps in all, inner ones too; ignored in requests."""
    next_run_at: Optional[datetime]
    """When its schedule comes round next; ignored in requests."""
    last_error: Optional[StartError]
    """Why its trigger could not start it last time; null since the next good start."""
    problems: List[Fault]
    """Steps whose action or playbook is missing or disabled; ignored in requests."""
    created_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    updated_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    name: str
    """1 to 128 printable characters."""
    steps: List[Step]
    """Its steps, in order."""


class RecurringTarget(Model):
    """As the server answers it."""

    action: Optional[str]
    """The id of an action of the tenant."""
    playbook: Optional[str]
    """Or that of a playbook."""
    parameters: Dict[str, Any]
    """Its parameters, none of them secret."""
    target: Optional[str]
    """The asset."""


class Recurring(Model):
    """As the server answers it."""

    id: str
    """Its id."""
    recurring_id: str
    """The same."""
    name: Optional[str]
    """What people call it."""
    description: Optional[str]
    """What it is for."""
    namespace: str
    """Its namespace."""
    tenant: str
    """Its tenant."""
    status: RecurringStatus
    """Whether it fires on, is paused, or is over."""
    enabled: bool
    """Whether it is not paused."""
    cron_expr: str
    """When: five cron fields."""
    cron_expression: str
    """The same."""
    timezone: str
    """The time zone of the fields."""
    description_in_words: str
    """The schedule in words."""
    provider: str
    """The provider that carries it out; action or playbook where target names one."""
    action_type: str
    """The type of its dispatches; the id of the action or playbook."""
    labels: Dict[str, Any]
    """Its labels."""
    next_execution: Optional[datetime]
    """Its next time; null: there is none."""
    next_execution_at: Optional[datetime]
    """The same."""
    execution_count: int
    """How often it has fired."""
    last_executed_at: Optional[datetime]
    """The last time that something was decided about."""
    last_outcome: Optional[str]
    """What became of that at first."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime
    """When it was changed last."""
    target: Optional[RecurringTarget]
    """The action or playbook; null where it dispatches."""
    payload: Dict[str, Any]
    """The payload or the parameters; what is called like a secret is masked."""
    metadata: Dict[str, Any]
    """Its labels, as dispatches have them."""
    dedup_key: Optional[str]
    """What rules deduplicate by."""
    next: List[str]
    """Its next times, up to five."""
    ends_at: Optional[datetime]
    """It fires before this time only."""
    end_date: Optional[datetime]
    """The same."""
    max_executions: Optional[int]
    """How often it fires at most."""
    catch_up: RecurringCatchUp
    """What is made up for of times that were missed."""
    overlap: RecurringOverlap
    """What becomes of it while an earlier one goes on."""
    jitter_seconds: int
    """By how much later it fires at most."""
    skip_during: List[str]
    """The calendars in which it does not fire."""
    last_execution: Optional[RecurringExecution]
    """The last firing."""
    failures: int
    """Firings in a row that could not be accepted; three pause it."""
    paused_at: Optional[datetime]
    """When it was paused."""
    paused_by: Optional[str]
    """Who has paused it; system: it could not be accepted three times in a row."""
    pause_reason: Optional[str]
    """Why."""
    created_by: str
    """The key or user that has made it."""


class Matcher(Model):
    """As the server answers it."""

    name: str
    """The fact or label."""
    op: MatcherOp
    """How it is compared."""
    value: str
    """What it is compared with."""


class Silence(Model):
    """As the server answers it."""

    id: str
    """Its id."""
    status: SilenceStatus
    """Where it stands."""
    silent: bool
    """Whether it keeps something back now: a window may be between two."""
    silent_until: Optional[datetime]
    """Until when, if so."""
    tenant: str
    """The tenant."""
    covers_children: bool
    """Whether it covers the tenant's children."""
    matchers: List[Matcher]
    """What it matches."""
    comment: str
    """Why it is quiet."""
    author: str
    """The key or user that has made it."""
    starts_at: datetime
    """When it begins."""
    ends_at: Optional[datetime]
    """When it ends; null: a window that comes back for ever."""
    cron: Optional[str]
    """When a window begins."""
    timezone: Optional[str]
    """The time zone of cron."""
    duration_minutes: Optional[int]
    """How long a window lasts."""
    after: SilenceAfter
    """What becomes of what it keeps back."""
    notify: Optional[str]
    """The provider of summaries and reminders."""
    remind_before_minutes: Optional[int]
    """When it is reminded of its end."""
    notice_error: Optional[str]
    """Why the last summary or reminder was not sent; it is tried again."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime
    """When it was changed last."""
    ended_at: Optional[datetime]
    """When it ended."""
    ended_by: Optional[str]
    """Who ended it; system at its time."""
    applied: Optional[str]
    """After a change: which processes obey it, as 9 of 9."""


class Grant(Model):
    """As the server answers it."""

    tenants: List[str]
    """The tenants: '*', names, or parents (acme covers acme.eu, not acme-corp)."""
    namespaces: Optional[List[str]]
    """The namespaces; all when not given: '*', names, or parents (acme covers acme.eu, not acme-corp)."""
    providers: Optional[List[str]]
    """The providers; all when not given: '*', names, or parents (acme covers acme.eu, not acme-corp)."""
    actions: Optional[List[str]]
    """The action types; all when not given: '*', names, or parents (acme covers acme.eu, not acme-corp)."""


class Account(Model):
    """As the server answers it."""

    username: str
    """The name to sign in with."""
    role: str
    """What they may do."""
    grants: Optional[List[Grant]]
    """What they cover; null: their workspace."""
    created_at: datetime
    """ISO 8601, UTC."""
    changed_at: datetime
    """ISO 8601, UTC."""
    disabled_at: Optional[datetime]
    """ISO 8601, UTC; null: they may sign in."""


class Change(Model):
    """As the server answers it."""

    pointer: str
    """Where, as a JSON pointer into the newer one; the older one if removed."""
    op: ChangeOp
    """What happened to it."""
    from_: Any
    """What stood there; null if nothing."""
    to: Any
    """What stands there; null if nothing."""


class VersionDifference(Model):
    """As the server answers it."""

    from_: str
    """The version that is compared."""
    to: str
    """The version that it is compared with."""
    changes: List[Change]
    """Every difference, up to 1000."""


class ComparedRun(Model):
    """As the server answers it."""

    execution_id: str
    """The run's id."""
    playbook_id: str
    """Its playbook."""
    version: str
    """The version of the playbook that it runs."""
    status: str
    """Its status."""
    dry_run: bool
    """Whether it is a dry run: a prediction."""


class StepDifference(Model):
    """As the server answers it."""

    pointer: str
    """Where it is: the status, a parameter, the way taken."""
    predicted: Any
    """The value in the first run."""
    actual: Any
    """The value in the second run."""


class ComparedStep(Model):
    """As the server answers it."""

    step_id: str
    """The step."""
    iteration: str
    """The iteration of the loops around it; empty outside loops."""
    verdict: ComparedStepVerdict
    """Whether both did the same; a step that was skipped and one never reached did."""
    differences: List[StepDifference]
    """The differences."""
    assumed: List[StepDifference]
    """What the dry run could not know and what it was, no difference."""


class Comparison(Model):
    """As the server answers it."""

    same: bool
    """Whether every step did the same."""
    first: ComparedRun
    """The prediction, or the run compared with."""
    second: ComparedRun
    """The run that is compared with it."""
    steps: List[ComparedStep]
    """Every step of either run, in document order."""


class Similarity(Model):
    """As the server answers it."""

    similarity: float
    """The cosine of their embeddings, from -1 to 1; four decimals."""
    topic: str
    """The topic."""


class FreshKey(Model):
    """As the server answers it."""

    id: str
    """Its id, also the second part of the key."""
    name: str
    """Who uses it."""
    role: str
    """The most it may do."""
    scopes: List[str]
    """What the role is narrowed to."""
    grants: Optional[List[Grant]]
    """What it covers; null: its workspace."""
    created_at: datetime
    """ISO 8601, UTC."""
    expires_at: Optional[datetime]
    """ISO 8601, UTC; null: never."""
    last_used: Optional[datetime]
    """To the minute; null: never."""
    previous_until: Optional[datetime]
    """Until when the secret before the last rotation is valid too; null: there was none."""
    revoked_at: Optional[datetime]
    """ISO 8601, UTC; null: it is not revoked."""
    key: str
    """The key itself. It is never shown again."""


class RecurringCreated(Model):
    """As the server answers it."""

    recurring_id: str
    """The same."""
    id: str
    """Its id."""
    name: Optional[str]
    """What people call it."""
    status: RecurringStatus
    """Whether it fires on, is paused, or is over."""
    enabled: bool
    """Whether it is not paused."""
    cron_expr: str
    """When: five cron fields."""
    cron_expression: str
    """The same."""
    timezone: str
    """The time zone of the fields."""
    description_in_words: str
    """The schedule in words."""
    next_execution: Optional[datetime]
    """Its next time; null: there is none."""
    next_execution_at: Optional[datetime]
    """The same."""
    next: List[str]
    """Its next times, up to five."""


class ProviderResponse(Model):
    """As the server answers it."""

    status: str
    """How it ended, such as success."""
    body: Any
    """Its body."""


class DispatchError(Model):
    """As the server answers it."""

    code: str
    """The failure, for programs."""
    message: str
    """The failure, in words."""
    retryable: bool
    """Whether the same may succeed later."""
    attempts: int
    """How often it was tried."""


class Outcome(Model):
    """As the server answers it."""

    outcome: OutcomeOutcome
    """What became of it."""
    action_id: str
    """The id of its record: the sender's, if it gave one."""
    execution_id: Optional[str]
    """accepted: the id at which the outcome can be asked for."""
    response: Optional[ProviderResponse]
    """executed, rerouted: what the provider answered."""
    error: Optional[DispatchError]
    """failed: why."""
    of: Optional[str]
    """deduplicated: the record of its equal."""
    rule: Optional[str]
    """suppressed, throttled, muted, silenced: the rule, or the one that would have applied."""
    reason: Optional[str]
    """suppressed, muted, silenced: why."""
    denied: Optional[bool]
    """suppressed: whether the rule refused it."""
    interval: Optional[str]
    """muted: the calendar."""
    silence_id: Optional[str]
    """silenced: the silence."""
    until: Optional[datetime]
    """silenced: when the silence ends."""
    held: Optional[bool]
    """silenced: whether it goes out at the end."""
    original_provider: Optional[str]
    """rerouted: by which it was to go out."""
    new_provider: Optional[str]
    """rerouted: by which it went out."""
    retry_after_seconds: Optional[int]
    """throttled: seconds after which it is worth trying again."""
    provider: Optional[str]
    """circuit_open: the provider that is not asked."""
    fallback_chain: Optional[List[str]]
    """circuit_open: the fallbacks that are not asked either."""
    chain_id: Optional[str]
    """chain_started: the run."""
    chain_name: Optional[str]
    """chain_started: the chain."""
    total_steps: Optional[int]
    """chain_started: how many steps it has."""
    first_step: Optional[str]
    """chain_started: the step that it begins with."""
    scheduled_for: Optional[datetime]
    """scheduled: when it goes out."""
    approval_id: Optional[str]
    """pending_approval: the approval."""
    expires_at: Optional[datetime]
    """pending_approval: when it expires."""
    approve_url: Optional[str]
    """pending_approval: the link that approves, or [redacted]."""
    reject_url: Optional[str]
    """pending_approval: the link that rejects, or [redacted]."""
    notification_sent: Optional[bool]
    """pending_approval: whether people are notified."""
    fingerprint: Optional[str]
    """state_changed: the event."""
    previous_state: Optional[str]
    """state_changed: its state before."""
    new_state: Optional[str]
    """state_changed: its state since."""
    notify: Optional[bool]
    """state_changed: whether the move is notified."""
    refused: Optional[str]
    """state_changed: why the event stays in its state."""
    group_id: Optional[str]
    """grouped: the group."""
    group_size: Optional[int]
    """grouped: how many are gathered so far."""
    notify_at: Optional[datetime]
    """grouped: when its summary goes out."""
    verdict: Optional[str]
    """dry_run: what would become of it."""
    matched_rule: Optional[str]
    """dry_run: the rule that decides."""
    would_be_provider: Optional[str]
    """dry_run: by which it would go out."""


class Refused(Model):
    """As the server answers it."""

    code: str
    """A stable word to branch on."""
    message: str
    """Why, for people."""
    retryable: bool
    """Whether the same may succeed later."""


class BatchItem(Model):
    """As the server answers it."""

    status: BatchItemStatus
    """Whether it was accepted."""
    outcome: Optional[Outcome]
    """Its outcome, as for a single dispatch."""
    error: Optional[Refused]
    """Why it was not accepted."""


class BatchResults(Model):
    """As the server answers it."""

    results: List[BatchItem]
    """One for each dispatch."""


class Switched(Model):
    """As the server answers it."""

    name: str
    """The rule."""
    enabled: bool
    """Whether it is asked now."""
    applied: str
    """How many of the processes that decide obey."""


class Trace(Model):
    """As the server answers it."""

    verdict: str
    """What would become of it."""
    matched_rule: Optional[str]
    """The rule that decides; null: none."""
    muted_by: Optional[str]
    """The calendar by which a rule lets nothing out at that time."""
    reason: Optional[str]
    """The reason that the rule gives."""
    has_errors: bool
    """Whether the condition of a rule could not be evaluated."""
    total_rules_evaluated: int
    """Rules that were asked."""
    total_rules_skipped: int
    """Rules that were not."""
    evaluation_duration_us: int
    """How long it took, microseconds."""
    checks: List[Dict[str, Any]]
    """What would be counted or remembered; nothing was."""
    shadows: List[Dict[str, Any]]
    """What rules in shadow mode would have decided."""
    trace: List[Dict[str, Any]]
    """Each rule: its result and, part by part, why."""
    context: Dict[str, Any]
    """The time that the rules saw, and what they looked up."""
    warnings: List[str]
    """Providers that the rules or the request name and that there are not."""
    modified_payload: Optional[Dict[str, Any]]
    """The payload as it would go out, where a rule modifies it."""


class Reason(Model):
    """As the server answers it."""

    kind: ReasonKind
    """What it is about."""


class Why(Model):
    """As the server answers it."""

    action_id: str
    """The id that was asked about."""
    execution_id: Optional[str]
    """The execution; null where none was made."""
    tenant: str
    """Its tenant."""
    replayed_from: Optional[str]
    """Of a replay: the record that it does again."""
    outcome: Optional[str]
    """What became of it; null: it has not ended."""
    status: Optional[str]
    """The status of its execution while it has not ended."""
    sentences: List[str]
    """Why, for people; the most telling comes first."""
    reasons: List[Reason]
    """The same as data."""


class Flushed(Model):
    """As the server answers it."""

    group_id: str
    """Its id."""
    group_key: str
    """Its key."""
    event_count: int
    """How many members its summary tells of."""
    status: FlushedStatus
    """What became of it."""
    notified: bool
    """Whether a summary goes out; false where a rule has stopped it."""
    summary_id: Optional[str]
    """The last summary: a dispatch, or the record of one that a rule has stopped."""


class Version(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    description: Optional[str]
    """What it is for, up to 1024 characters."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    parameters: List[KeptParameter]
    """The parameters a trigger may give."""
    config: Optional[Dict[str, Any]]
    """What the executor needs; secrets in it are stored encrypted."""
    tags: Optional[List[str]]
    """Words to search for."""
    timeout_seconds: Optional[int]
    """How long one attempt may take, 1 to 86400; default 300."""
    retry: KeptRetry
    """What happens after a temporary failure."""
    idempotent: Optional[bool]
    """Whether repeating it in doubt does no harm; default true."""
    enabled: Optional[bool]
    """Whether it may be triggered; default true."""
    conditions: Any
    """Stored and returned; has no effect."""
    input_mapping: Any
    """Stored and returned; has no effect."""
    output_mapping: Any
    """Stored and returned; has no effect."""
    created_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    name: str
    """1 to 128 printable characters."""
    type: ActionType
    """What kind of action it is."""
    executor: ActionExecutor
    """Who carries it out."""
    created_by: str
    """The id of the key that made it."""
    created_by_actor: Optional[Actor]
    """Who that is."""


class Vote(Model):
    """As the server answers it."""

    voter: str
    """Whose vote it is: a key, a user, an approver by name, the recipient of a link."""
    voter_actor: Optional[Actor]
    """Who that is."""
    decision: VoteDecision
    """What it says."""
    note: str
    """Why."""
    at: datetime
    """When it was given."""
    via: VoteVia
    """How it was given."""


class Approval(Model):
    """As the server answers it."""

    id: str
    """Its id."""
    token: str
    """The same, as existing clients call it."""
    status: ApprovalStatus
    """Where it stands."""
    origin: ApprovalOrigin
    """Who asks."""
    rule: Optional[str]
    """The rule that asks."""
    message: str
    """What is asked."""
    namespace: str
    """The namespace of what waits."""
    tenant: str
    """Its tenant, which is a workspace."""
    provider: str
    """The provider by which it would go out; approval where nothing goes out."""
    action_type: str
    """Its action type."""
    execution_id: str
    """The execution that waits."""
    requested_by: str
    """The key or user that has asked for it."""
    requested_by_actor: Optional[Actor]
    """Who that is."""
    approvers: List[str]
    """The only ones who may decide, if there are any."""
    quorum: int
    """Votes that approve it."""
    reject_quorum: int
    """Votes that reject it."""
    requester_may_approve: Optional[bool]
    """Whether who has asked may approve; null: as the definition says."""
    created_at: datetime
    """When it was asked."""
    expires_at: datetime
    """Until when it can be decided."""
    decided_at: Optional[datetime]
    """When it was decided."""
    decided_by: Optional[str]
    """The voter whose vote decided it."""
    decided_by_actor: Optional[Actor]
    """Who that is."""
    note: Optional[str]
    """Why."""
    notify: Optional[str]
    """The provider by which it is made known."""
    notification_sent: bool
    """Whether a notice was accepted."""
    notices: int
    """How often notices were accepted, reminders included."""
    notice_ids: List[str]
    """The dispatches of the last notice."""
    notice_error: Optional[str]
    """Why the last notice was not sent; it is tried again."""
    votes: Optional[List[Vote]]
    """Of one approval: its votes, the oldest first."""


class Bundle(Model):
    """As the server answers it."""

    name: str
    """Its name."""
    active_version: Optional[str]
    """The version whose functions are actions."""
    created_at: datetime
    """When it was first pushed."""
    updated_at: datetime
    """When it was last changed."""
    active: Optional[BundleVersion]
    """The active version."""


class CoveredCombination(Model):
    """As the server answers it."""

    namespace: str
    """The namespace."""
    tenant: str
    """The tenant."""
    provider: str
    """The provider."""
    action_type: str
    """The action type."""
    count: int
    """How many came."""
    matched: int
    """How many of them a rule concerns: its condition holds."""
    covered: CoveredCombinationCovered
    """Whether rules concern them."""


class UndecidedRecords(Model):
    """As the server answers it."""

    code: str
    """Why, for programs."""
    message: str
    """Why, in words."""
    count: int
    """How many."""
    examples: List[str]
    """The ids of the first ten records."""


class Coverage(Model):
    """As the server answers it."""

    since: datetime
    """The period begins."""
    until: datetime
    """The period ends."""
    records: int
    """Records that were looked at."""
    decided: int
    """Dispatches and triggers that were decided again."""
    complete: bool
    """Whether that is all of the period."""
    ended_at: Optional[datetime]
    """What came later is not decided; null: all is."""
    generation: int
    """The generation in force."""
    combinations: List[CoveredCombination]
    """What no rule concerns first; the first 1,000."""
    combinations_total: int
    """How many there are."""
    never_matched: List[str]
    """Enabled rules that nothing of the period matches; the first 1,000."""
    undecided: List[UndecidedRecords]
    """What cannot be decided again, and why."""


class EventMove(Model):
    """As the server answers it."""

    number: int
    """Its place in the history, from 1."""
    at: datetime
    """When it was."""
    event: EventMoveEvent
    """What it was."""
    previous_state: Optional[str]
    """The state that it left; null at the beginning."""
    new_state: str
    """The state into which it came."""
    cause: EventMoveCause
    """A dispatch, a person, or time."""
    by: str
    """The key or user that has moved it; system: time."""
    action_id: Optional[str]
    """The dispatch that has moved it."""
    notice: Optional[str]
    """The dispatch that has made it known."""
    notice_error: Optional[str]
    """Why it was not made known, though it was to be."""


class EventHistory(Model):
    """As the server answers it."""

    fingerprint: str
    """What it is known by, within its tenant and namespace."""
    state: str
    """The state in which it is."""
    status: str
    """The same, by the name of the member with which dispatches ask for it."""
    active: bool
    """Whether it goes on: it can inhibit others, and is never forgotten."""
    state_machine: str
    """The state machine to which it belongs."""
    namespace: str
    """Its namespace."""
    tenant: str
    """Its tenant, which is a workspace."""
    action_type: str
    """Its type: the action type of its last dispatch."""
    provider: str
    """The provider that its last dispatch has named."""
    labels: Dict[str, Any]
    """The labels of its last dispatch that had any."""
    starts_at: Optional[datetime]
    """When what it is about began, as dispatches say."""
    ends_at: Optional[datetime]
    """When it ended, as its last dispatch says."""
    created_at: datetime
    """When it was first heard of."""
    entered_at: datetime
    """When it came into its state."""
    updated_at: datetime
    """When it was last heard of, or moved."""
    timeout_at: Optional[datetime]
    """When its stay in this state is over; null: it may stay."""
    timeout_to: Optional[str]
    """The state that follows then."""
    history: List[EventMove]
    """What became of it, the newest first."""
    history_before: Optional[int]
    """What to send as before for the entries before these; null: there are none."""


class Group(Model):
    """As the server answers it."""

    group_id: str
    """Its id."""
    group_key: str
    """The key that its members share; the next window of the group has it too."""
    state: GroupState
    """pending until its summary is accepted."""
    event_count: int
    """How many members it has."""
    max_size: int
    """At this number it is full, and its summary goes out at once."""
    rule: str
    """The rule that gathers it."""
    namespace: str
    """Its namespace, and that of its summary."""
    tenant: str
    """Its tenant, and that of its summary."""
    provider: str
    """The provider by which its summary goes out."""
    labels: Dict[str, Any]
    """What its members have in common."""
    created_at: datetime
    """When its first member came."""
    notify_at: datetime
    """When its summary is due."""
    closed_at: Optional[datetime]
    """Since when nothing joins it any more."""
    closed_by: Optional[GroupClosedBy]
    """Why it was closed."""
    notified_at: Optional[datetime]
    """When its summary was accepted."""
    summary_id: Optional[str]
    """The last summary: a dispatch."""
    summaries: int
    """How many summaries were accepted, repetitions included."""
    error: Optional[str]
    """Why there is no summary yet; it is tried again."""


class Member(Model):
    """As the server answers it."""

    id: str
    """Its action id, under which its record is found."""
    provider: str
    """The provider by which it was to go out."""
    action_type: str
    """Its action type."""
    status: Optional[str]
    """Its status, as it was sent."""
    resolved: bool
    """Whether it says that its cause is over."""
    fingerprint: Optional[str]
    """Its fingerprint."""
    severity: Optional[str]
    """The severity in its payload or its labels."""
    received_at: datetime
    """When it came."""
    payload: Any
    """Its payload, secrets masked; null once it is too old to be kept."""


class GroupWithMembers(Model):
    """As the server answers it."""

    group: Group
    labels: Dict[str, Any]
    """What its members have in common."""
    events: List[Member]
    """Its members in the order in which they came; under /compat/v1 their fingerprints."""
    next_cursor: Optional[str]
    """What to send as cursor for the members that follow; null at the end."""


class WorkerHealth(Model):
    """As the server answers it."""

    name: str
    """Its name."""
    queues: List[str]
    """The queues that it consumes."""
    state: str
    """consuming, or stuck: it is alive and consumes nothing."""
    running: int
    """Executions that it performs now."""
    clock_skew_ms: Optional[int]
    """How far its machine's clock is ahead of the database's; null: it is the same clock."""
    stalled_ms: Optional[int]
    """How long its event loop has stood still, at the longest of the last minute."""


class QueueHealth(Model):
    """As the server answers it."""

    messages: Optional[int]
    """How many wait there; null with another broker than Redis."""
    oldest_seconds: float
    """For how long the oldest execution has waited that no worker has claimed."""


class TrailHealth(Model):
    """As the server answers it."""

    valid: Optional[bool]
    """Whether the last daily check found it as sealed; null before one."""
    checked_at: Optional[datetime]
    """When the last daily check ended."""
    records_checked: int
    """Rows that it compared with their seals."""
    seals_checked: int
    """Seals that it checked."""
    faults: List[str]
    """What is wrong, each with the number of its seal."""
    seals: int
    """How many seals there are."""
    unsealed_seconds: float
    """How long the oldest row has waited for its seal; more than 2 where one is held up."""


class HealthMetrics(Model):
    """As the server answers it."""

    grouped: int
    """Dispatches that were added to a group."""
    pending_approval: int
    """Dispatches that wait for an approval."""
    dispatched: int
    """Dispatches, whatever became of them."""
    executed: int
    """Dispatches that their provider carried out."""
    deduplicated: int
    """Dispatches whose equal went out within the time."""
    suppressed: int
    """Dispatches that a rule stopped."""
    rerouted: int
    """Dispatches that another provider carried out."""
    throttled: int
    """Dispatches beyond the limit of a rule."""
    failed: int
    """Dispatches that failed at every attempt."""
    by_origin: Dict[str, Dict[str, int]]
    """Outcomes by origin: of dispatches, triggered actions, steps of playbooks and of chains."""
    executions: Dict[str, int]
    """Executions by status: all that have not ended, and the newest 1000 that have."""
    backlog: int
    """Executions that wait for a worker."""
    oldest_overdue_seconds: float
    """By how much the most overdue work is late."""
    workers: Dict[str, int]
    """Worker processes by state."""
    queues: Dict[str, QueueHealth]
    """The queues, by name."""
    audit_trail: TrailHealth
    """The sealed audit trail."""


class SecretKeyHealth(Model):
    """As the server answers it."""

    status: str
    """ok, or unreadable: TOCSIN_SECRET_KEY is not the one."""
    key: str
    """The id of the key that seals what is new; it reveals nothing."""
    missing_keys: List[str]
    """The ids of the keys that made what cannot be opened."""
    unreadable: Dict[str, int]
    """By table: values that cannot be opened, of up to 200 looked at."""


class FileFaultHealth(Model):
    """As the server answers it."""

    file: str
    """Its path."""
    line: Optional[int]
    """Where it fails, if that is known."""
    message: str
    """Why."""


class FunctionFilesHealth(Model):
    """As the server answers it."""

    folders: List[str]
    """TOCSIN_ACTIONS_DIR."""
    faults: List[FileFaultHealth]
    """What cannot be loaded."""


class ConfigurationHealth(Model):
    """As the server answers it."""

    folder: str
    """TOCSIN_CONFIG_DIR."""
    generation: int
    """The generation in force; 0: none was loaded yet."""
    applied: str
    """How many of the processes that decide have it."""
    stopped: List[str]
    """The tenants that a stop holds back; * means all."""
    faults: List[str]
    """Why the folder could not be loaded when that was last tried."""


class Health(Model):
    """As the server answers it."""

    status: str
    """ok, or degraded: something needs attention."""
    database: Optional[str]
    """ok, or read_only: it answers and takes no writes."""
    redis: Optional[str]
    """ok, read_only or away: work starts later, none is lost."""
    workers: Optional[List[WorkerHealth]]
    """Living worker processes."""
    oldest_overdue_seconds: Optional[float]
    """By how much the most overdue work is late."""
    metrics: Optional[HealthMetrics]
    """As /metrics, and two more."""
    sandbox: Optional[str]
    """What bounds the memory of scripts: cgroup or filter; none where they cannot run."""
    secret_key: Optional[SecretKeyHealth]
    """For admins: whether what is stored can be opened."""
    function_files: Optional[FunctionFilesHealth]
    """For admins: the operator's Python functions."""
    configuration: Optional[ConfigurationHealth]
    """For admins: the gateway's configuration."""


class Key(Model):
    """As the server answers it."""

    id: str
    """Its id, also the second part of the key."""
    name: str
    """Who uses it."""
    role: str
    """The most it may do."""
    scopes: List[str]
    """What the role is narrowed to."""
    grants: Optional[List[Grant]]
    """What it covers; null: its workspace."""
    created_at: datetime
    """ISO 8601, UTC."""
    expires_at: Optional[datetime]
    """ISO 8601, UTC; null: never."""
    last_used: Optional[datetime]
    """To the minute; null: never."""
    previous_until: Optional[datetime]
    """Until when the secret before the last rotation is valid too; null: there was none."""
    revoked_at: Optional[datetime]
    """ISO 8601, UTC; null: it is not revoked."""


class Me(Model):
    """As the server answers it."""

    id: str
    """The actor in the audit trail: the id of the key, or user:NAME."""
    kind: MeKind
    """What asks."""
    name: str
    """The key's name, or the user's."""
    workspace_id: str
    """The workspace it lives in."""
    role: MeRole
    """The most it may do."""
    permissions: List[str]
    """What it may do: its role, narrowed by its scopes."""
    grants: List[Grant]
    """What it covers of the gateway."""
    expires_at: Optional[datetime]
    """ISO 8601, UTC: when the key or the session ends; null: never."""


class Metrics(Model):
    """As the server answers it."""

    dispatched: Optional[int]
    """Dispatches, whatever became of them."""
    executed: Optional[int]
    """Dispatches that their provider carried out."""
    deduplicated: Optional[int]
    """Dispatches whose equal went out within the time."""
    suppressed: Optional[int]
    """Dispatches that a rule stopped."""
    rerouted: Optional[int]
    """Dispatches that another provider carried out."""
    throttled: Optional[int]
    """Dispatches beyond the limit of a rule."""
    failed: Optional[int]
    """Dispatches that failed at every attempt."""
    by_origin: Optional[Dict[str, Dict[str, int]]]
    """Outcomes by origin: of dispatches, triggered actions, steps of playbooks and of chains."""
    executions: Optional[Dict[str, int]]
    """Executions by status: all that have not ended, and the newest 1000 that have."""
    backlog: Optional[int]
    """Executions that wait for a worker."""
    oldest_overdue_seconds: Optional[float]
    """By how much the most overdue work is late."""
    workers: Optional[Dict[str, int]]
    """Worker processes by state."""
    queues: Optional[Dict[str, QueueHealth]]
    """The queues, by name."""
    audit_trail: Optional[TrailHealth]
    """The sealed audit trail."""
    status: str
    """ok, or degraded: something needs attention."""


class PlaybookVersion(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    description: Optional[str]
    """Its purpose, up to 1024 characters."""
    trigger: KeptTrigger
    """What starts it."""
    parameters: List[KeptParameter]
    """The parameters a run may be given."""
    variables: Optional[List[Parameter]]
    """Another name of parameters."""
    inputs: Optional[List[Parameter]]
    """Another name of parameters."""
    on_failure: Optional[PlaybookOnFailure]
    """What a step's failure means for the run; abort."""
    max_retries: Optional[int]
    """With on_failure retry: how many failed steps are tried again in one run."""
    timeout_minutes: Optional[int]
    """How long a run may take; default 10080, which is 7 days."""
    tags: Optional[List[str]]
    """Words to search for."""
    enabled: Optional[bool]
    """Whether it may be started; default true."""
    target_required: Optional[bool]
    """Whether a run needs a target; default false."""
    exception_step: Optional[str]
    """The step of the top level that is entered when a run would fail."""
    created_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    name: str
    """1 to 128 printable characters."""
    steps: List[Step]
    """Its steps, in order."""
    created_by: str
    """The id of the key that made it."""
    created_by_actor: Optional[Actor]
    """Who that is."""


class Sibling(Model):
    """As the server answers it."""

    side: SiblingSide
    """Where it stands."""
    hash: str
    """The node, hexadecimal digits."""


class Proof(Model):
    """As the server answers it."""

    record_id: str
    """The id of the record."""
    row: Dict[str, Any]
    """The row of the trail, in the form that is sealed."""
    place: int
    """Its place in its block, from 0."""
    path: List[Sibling]
    """The nodes from its leaf up to the root."""
    seal: Dict[str, Any]
    """What the seal of the block says."""
    hash: str
    """The SHA-256 of the seal."""
    signature: str
    """The Ed25519 signature of the seal, hexadecimal digits."""
    public_key: Optional[str]
    """The key that verifies it; null where it is not set any more."""


class ProviderHealth(Model):
    """As the server answers it."""

    provider: str
    """The provider."""
    calls: int
    """Calls that have ended."""
    failures: int
    """Those that have failed at every attempt."""
    p50_ms: Optional[int]
    """Half of them took no longer, acceptance to end."""
    p95_ms: Optional[int]
    """Of twenty, nineteen took no longer."""
    circuit_breaker: Optional[str]
    """Its circuit breaker; null: none."""


class Healths(Model):
    """As the server answers it."""

    providers: List[ProviderHealth]
    """By name."""
    since: datetime
    """The calls have ended since then; ISO 8601, UTC."""


class Record(Model):
    """As the server answers it."""

    id: str
    """The id of the record."""
    action_id: str
    """The id that the dispatch gave itself, else that of the execution or the record."""
    execution_id: Optional[str]
    """The execution; null where none was made, or it has been deleted."""
    chain_id: Optional[str]
    """The run of a chain or playbook that it belongs to."""
    origin: RecordOrigin
    """What made it."""
    replayed_from: Optional[str]
    """Of a replay: the action id of the record that it does again."""
    namespace: str
    """Its namespace: actions or playbooks, unless a dispatch names another."""
    tenant: str
    """The tenant, which is a workspace."""
    provider: Optional[str]
    """The provider that it went to; of an action its executor or channel."""
    action_type: str
    """Its action type: of an action the action's id."""
    outcome: RecordOutcome
    """What became of it."""
    verdict: RunVerdict
    """What the rules decided."""
    matched_rule: Optional[str]
    """The rule that decided."""
    reason: Optional[str]
    """The reason that the rule gives."""
    caller_id: str
    """The key or user that asked for it."""
    payload: Optional[Dict[str, Any]]
    """What it carried, without secrets; null when it is not kept any more."""
    payload_omitted: bool
    """Whether the payload is too large for a list."""
    payload_sha256: Optional[str]
    """Of a dispatch without an execution: the SHA-256 of its payload as it is kept."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    details: Dict[str, Any]
    """What else the trail says of it."""
    dispatched_at: Optional[datetime]
    """When it was accepted."""
    completed_at: datetime
    """When it ended, and was recorded."""
    duration_ms: Optional[int]
    """The time between both, milliseconds."""
    unreadable: Optional[List[str]]
    """The columns that were damaged and cannot be read."""


class AllRecords(Model):
    """As the server answers it."""

    records: List[Record]
    """Every one, newest first."""


class Bar(Model):
    """As the server answers it."""

    id: str
    """The id of the execution of the step."""
    execution_id: str
    """The same as id."""
    duration_ms: Optional[int]
    """From start to end; null until it has ended."""
    step_id: str
    """Its id in the playbook."""
    name: str
    """A name for people."""
    iteration: str
    """The iteration of the loops around it; empty outside loops."""
    parent: Optional[str]
    """The id of the step around it."""
    type: BarType
    """What it does."""
    status: BarStatus
    """Its status."""
    attempts: int
    """How many times a worker has claimed it."""
    retries: int
    """How many times it was retried."""
    queued_ms: int
    """How long it was queued."""
    run_ms: int
    """How long it was executing."""
    waited_ms: int
    """How long it waited: for a time, a retry or a decision."""
    created_at: datetime
    """When the run reached it."""
    started_at: Optional[datetime]
    """When its first attempt began."""
    completed_at: Optional[datetime]
    """When it ended."""


class Timeline(Model):
    """As the server answers it."""

    started_at: Optional[datetime]
    """When the run began."""
    completed_at: Optional[datetime]
    """When it ended."""
    steps: List[Bar]
    """Every execution of a step, in order."""


class Features(Model):
    """As the server answers it."""

    stream: bool
    """Whether streams of events are open."""
    embeddings: bool
    """Whether texts are compared by their meaning."""
    spans: bool
    """Whether traces go on through it as spans."""


class Limits(Model):
    """As the server answers it."""

    body_bytes: int
    """The largest body of a request."""
    batch_bytes: int
    """The largest body of a batch of dispatches."""
    batch_items: int
    """The most dispatches of one batch."""
    page_items: int
    """The most items of a part of a list."""
    wait_seconds: int
    """The longest ?wait= of an execution."""
    requests: str
    """How many requests a key may make, such as 6000/minute."""
    streams: int
    """How many streams a tenant may have open."""
    idempotency_hours: int
    """How long an Idempotency-Key is remembered."""


class Server(Model):
    """As the server answers it."""

    name: str
    """Tocsin."""
    version: str
    """Its version; clients of the same major version understand it."""
    time: datetime
    """Its clock, ISO 8601, UTC."""
    features: Features
    """What is switched on."""
    limits: Limits
    """What it takes."""


class Warned(Model):
    """As the server answers it."""

    code: str
    """A stable word."""
    pointer: str
    """Where in the document, as a JSON pointer."""
    message: str
    """What it is, and what becomes of it."""


class Unsupported(Model):
    """As the server answers it."""

    step_id: str
    """Its id in the document."""
    reason: str
    """Why, and what happens instead."""


class StoredPlaybook(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    description: Optional[str]
    """Its purpose, up to 1024 characters."""
    trigger: KeptTrigger
    """What starts it."""
    parameters: List[KeptParameter]
    """The parameters a run may be given."""
    variables: Optional[List[Parameter]]
    """Another name of parameters."""
    inputs: Optional[List[Parameter]]
    """Another name of parameters."""
    on_failure: Optional[PlaybookOnFailure]
    """What a step's failure means for the run; abort."""
    max_retries: Optional[int]
    """With on_failure retry: how many failed steps are tried again in one run."""
    timeout_minutes: Optional[int]
    """How long a run may take; default 10080, which is 7 days."""
    tags: Optional[List[str]]
    """Words to search for."""
    enabled: Optional[bool]
    """Whether it may be started; default true."""
    target_required: Optional[bool]
    """Whether a run needs a target; default false."""
    exception_step: Optional[str]
    """The step of the top level that is entered when a run would fail."""
    name: str
    """1 to 128 printable characters."""
    steps: List[Step]
    """Its steps, in order."""


class Imported(Model):
    """As the server answers it."""

    id: str
    """The playbook's id."""
    name: str
    """Its name."""
    version: str
    """Its version."""
    step_count: int
    """How many steps it has here."""
    enabled: bool
    """Whether it may be started."""
    dry_run: bool
    """Whether nothing was stored."""
    outcome: ImportedOutcome
    """What happens."""
    conformance: ImportedConformance
    """How the document keeps to its standard."""
    warnings: List[Warned]
    """What is not as the standard or the document has it."""
    unsupported: List[Unsupported]
    """Steps that something else replaces."""
    playbook: StoredPlaybook
    """The playbook in stored form."""


class Stopped(Model):
    """As the server answers it."""

    tenant: str
    """The tenant; * means all."""
    stopped: bool
    """Whether it is held back now."""
    reason: Optional[str]
    """Why; only while it is."""
    note: Optional[str]
    """That no such tenant is known yet; only then."""
    applied: str
    """How many of the processes that decide obey."""


class ExecutionItem(Model):
    """As the server answers it."""

    verdict: Optional[RunVerdict]
    """What the rules decide."""
    rule: Optional[str]
    """The rule that decides; null where none matches, which allows it."""
    reason: Optional[str]
    """The rule's reason."""
    equal_to: Optional[str]
    """Of a deduplicated execution: the one that went out before."""
    approval_id: Optional[str]
    """The approval that it waits for, or went out by."""
    original_provider: Optional[str]
    """The provider from which a rule has rerouted it."""
    provider: Optional[str]
    """The provider to which a rule has rerouted it."""
    silence: Optional[KeptBack]
    """The silence that keeps it back."""
    interval: Optional[str]
    """The calendar by which a rule lets nothing out at its time."""
    shadows: Optional[List[ShadowVerdict]]
    """What rules in shadow mode would have decided."""
    problems: Optional[List[UndecidedRule]]
    """Rules whose condition could not be decided."""
    execution_id: str
    """Its id."""
    id: str
    """The same as execution_id."""
    action_id: str
    """The action."""
    version: str
    """The action's version that runs."""
    status: BarStatus
    """Its status."""
    target: Optional[str]
    """The asset it is about."""
    parameters: Optional[Dict[str, Any]]
    """The values it runs with; secrets masked. null in a list if over 16 KiB."""
    parameters_omitted: Optional[bool]
    """true, only in a list: parameters are too large for it."""
    output: Any
    """Its output; null in a list if over 16 KiB."""
    output_omitted: Optional[bool]
    """true, only in a list: the output is too large for it."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    created_at: datetime
    """ISO 8601, UTC."""
    started_at: Optional[datetime]
    """When its first attempt began."""
    completed_at: Optional[datetime]
    """When it ended."""
    duration_seconds: Optional[float]
    """From start to end."""
    duration_ms: Optional[int]
    """The same in milliseconds."""
    trigger: ExecutionTrigger
    """What has it carried out: a request (api), a recurring action, the replay of a record, or a playbook."""
    sandbox: bool
    """Whether outside calls were recorded instead of made."""
    dry_run: bool
    """Whether it is a dry run, which executes nothing."""
    run_id: Optional[str]
    """The playbook execution it is a step of."""
    step_id: Optional[str]
    """Which step of the playbook it is."""


class VersionItem(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    description: Optional[str]
    """What it is for, up to 1024 characters."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    parameters: Optional[List[KeptParameter]]
    """The parameters a trigger may give."""
    config: Optional[Dict[str, Any]]
    """What the executor needs; secrets in it are stored encrypted."""
    tags: Optional[List[str]]
    """Words to search for."""
    timeout_seconds: Optional[int]
    """How long one attempt may take, 1 to 86400; default 300."""
    retry: Optional[KeptRetry]
    """What happens after a temporary failure."""
    idempotent: Optional[bool]
    """Whether repeating it in doubt does no harm; default true."""
    enabled: Optional[bool]
    """Whether it may be triggered; default true."""
    conditions: Any
    """Stored and returned; has no effect."""
    input_mapping: Any
    """Stored and returned; has no effect."""
    output_mapping: Any
    """Stored and returned; has no effect."""
    created_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    name: Optional[str]
    """1 to 128 printable characters."""
    type: Optional[ActionType]
    """What kind of action it is."""
    executor: Optional[ActionExecutor]
    """Who carries it out."""
    created_by: str
    """The id of the key that made it."""
    created_by_actor: Optional[Actor]
    """Who that is."""


class Breaker(Model):
    """As the server answers it."""

    provider: str
    """Its provider."""
    state: str
    """closed, open or half_open."""
    failure_threshold: int
    """Consecutive failures that open it."""
    success_threshold: int
    """Successful probes that close it."""
    recovery_timeout_seconds: int
    """How long nothing goes out before a probe."""
    fallback_provider: Optional[str]
    """By which provider calls go out meanwhile; absent: by none."""


class EventState(Model):
    """As the server answers it."""

    fingerprint: str
    """What it is known by, within its tenant and namespace."""
    state: str
    """The state in which it is."""
    status: str
    """The same, by the name of the member with which dispatches ask for it."""
    active: bool
    """Whether it goes on: it can inhibit others, and is never forgotten."""
    state_machine: str
    """The state machine to which it belongs."""
    namespace: str
    """Its namespace."""
    tenant: str
    """Its tenant, which is a workspace."""
    action_type: str
    """Its type: the action type of its last dispatch."""
    provider: str
    """The provider that its last dispatch has named."""
    labels: Dict[str, Any]
    """The labels of its last dispatch that had any."""
    starts_at: Optional[datetime]
    """When what it is about began, as dispatches say."""
    ends_at: Optional[datetime]
    """When it ended, as its last dispatch says."""
    created_at: datetime
    """When it was first heard of."""
    entered_at: datetime
    """When it came into its state."""
    updated_at: datetime
    """When it was last heard of, or moved."""
    timeout_at: Optional[datetime]
    """When its stay in this state is over; null: it may stay."""
    timeout_to: Optional[str]
    """The state that follows then."""


class RecurringFiring(Model):
    """As the server answers it."""

    execution_time: datetime
    """Its time."""
    outcome: Optional[str]
    """What became of it; accepted: it goes on; null: it was accepted, and its end is not known."""
    execution_id: Optional[str]
    """The execution, the run, or the id of its record."""
    status: Optional[str]
    """The status of the execution, as long as that is kept."""
    error: Optional[Failure]
    """Why it failed, or could not be accepted; null: it did not."""
    fired_at: datetime
    """When it was decided."""
    reason: Optional[Failure]
    """Why nothing was accepted; null where something was."""
    missed_to: Optional[str]
    """Of times that were missed: the last one."""
    backfilled_by: Optional[str]
    """Who has asked for it; null: its time had come."""


class Generation(Model):
    """As the server answers it."""

    generation: int
    """Its number."""
    in_force: bool
    """Whether it decides now."""
    source: str
    """The folder, or the generation that was rolled back to."""
    rules: int
    """How many rules it has."""
    loaded_at: datetime
    """ISO 8601, UTC."""
    loaded_by: str
    """The id of the key; system: at the start of a web process."""


class RunItem(Model):
    """As the server answers it."""

    execution_id: str
    """Its id."""
    id: str
    """The same as execution_id."""
    playbook_id: str
    """The playbook."""
    playbook_name: str
    """The playbook's name at that version."""
    version: str
    """The playbook's version that runs."""
    status: RunStatus
    """Its status."""
    dry_run: bool
    """Whether it is a dry run, which executes nothing."""
    target_asset_id: Optional[str]
    """The asset it works on."""
    created_at: datetime
    """When it was accepted, ISO 8601, UTC."""
    started_at: Optional[datetime]
    """When it began; null: it has not."""
    parameters: Optional[Dict[str, Any]]
    """The values it runs with; secrets masked. null in a list if over 16 KiB."""
    parameters_omitted: Optional[bool]
    """true, only in a list: parameters are too large for it."""
    paused_by: Optional[RunPausedBy]
    """Why a paused run does not go on: an operator paused it, or it waits for an approval or a delay. null: it is
    not paused.
    """
    trigger: RunTrigger
    """What started it."""
    started_by: str
    """The id of the key that asked for it, or system."""
    started_by_actor: Optional[Actor]
    """Who that is."""
    retry_of: Optional[str]
    """The run that it tries again."""
    parent: Optional[ParentStep]
    """What has started it, if that is a step of another run."""
    error: Optional[Failure]
    """Why it failed; null unless it did."""
    completed_at: Optional[datetime]
    """When it ended."""
    deadline: Optional[datetime]
    """When it fails unless it has ended; null: it was never to begin."""
    duration_seconds: Optional[float]
    """From start to end; null until it has ended."""
    duration_ms: Optional[int]
    """The same in milliseconds."""


class PlaybookVersionItem(Model):
    """As the server answers it."""

    id: Optional[str]
    """Given by the author, else made from the name; it never changes."""
    version: Optional[str]
    """MAJOR.MINOR.PATCH; goes up by itself when not given."""
    description: Optional[str]
    """Its purpose, up to 1024 characters."""
    trigger: Optional[KeptTrigger]
    """What starts it."""
    parameters: Optional[List[KeptParameter]]
    """The parameters a run may be given."""
    variables: Optional[List[Parameter]]
    """Another name of parameters."""
    inputs: Optional[List[Parameter]]
    """Another name of parameters."""
    on_failure: Optional[PlaybookOnFailure]
    """What a step's failure means for the run; abort."""
    max_retries: Optional[int]
    """With on_failure retry: how many failed steps are tried again in one run."""
    timeout_minutes: Optional[int]
    """How long a run may take; default 10080, which is 7 days."""
    tags: Optional[List[str]]
    """Words to search for."""
    enabled: Optional[bool]
    """Whether it may be started; default true."""
    target_required: Optional[bool]
    """Whether a run needs a target; default false."""
    exception_step: Optional[str]
    """The step of the top level that is entered when a run would fail."""
    created_at: datetime
    """ISO 8601, UTC; ignored in requests."""
    name: Optional[str]
    """1 to 128 printable characters."""
    steps: Optional[List[Step]]
    """Its steps, in order."""
    created_by: str
    """The id of the key that made it."""
    created_by_actor: Optional[Actor]
    """Who that is."""


class PlaybookItem(Model):
    """As the server answers it."""

    id: str
    """Its id."""
    name: str
    """A name for people."""
    version: str
    """Its present version."""
    description: str
    """Its purpose."""
    trigger: KeptTrigger
    """What starts it."""
    step_count: int
    """Steps in all, inner ones too."""
    tags: List[str]
    """Words to search for."""
    enabled: bool
    """Whether it may be started."""
    created_at: datetime
    """ISO 8601, UTC."""
    updated_at: datetime
    """ISO 8601, UTC."""


class Provider(Model):
    """As the server answers it."""

    name: str
    """Its name."""
    kind: str
    """What it is."""
    description: str
    """What it is for."""
    enabled: bool
    """Whether anything goes out by it."""
    timeout_seconds: float
    """How long one call may take."""
    idempotent: bool
    """Whether a call in doubt is repeated."""
    source: str
    """Where it comes from; file: the configuration folder."""
    updated_at: datetime
    """When it last changed; ISO 8601, UTC."""
    circuit_breaker: Optional[str]
    """Its circuit breaker; null: none."""


class RecurringSummary(Model):
    """As the server answers it."""

    id: str
    """Its id."""
    recurring_id: str
    """The same."""
    name: Optional[str]
    """What people call it."""
    description: Optional[str]
    """What it is for."""
    namespace: str
    """Its namespace."""
    tenant: str
    """Its tenant."""
    status: RecurringStatus
    """Whether it fires on, is paused, or is over."""
    enabled: bool
    """Whether it is not paused."""
    cron_expr: str
    """When: five cron fields."""
    cron_expression: str
    """The same."""
    timezone: str
    """The time zone of the fields."""
    description_in_words: str
    """The schedule in words."""
    provider: str
    """The provider that carries it out; action or playbook where target names one."""
    action_type: str
    """The type of its dispatches; the id of the action or playbook."""
    labels: Dict[str, Any]
    """Its labels."""
    next_execution: Optional[datetime]
    """Its next time; null: there is none."""
    next_execution_at: Optional[datetime]
    """The same."""
    execution_count: int
    """How often it has fired."""
    last_executed_at: Optional[datetime]
    """The last time that something was decided about."""
    last_outcome: Optional[str]
    """What became of that at first."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime
    """When it was changed last."""


class Rule(Model):
    """As the server answers it."""

    name: str
    """Its name, the only one of that name."""
    priority: int
    """Lower is asked first."""
    enabled: bool
    """Whether it is asked; a switch overrules its file."""
    description: Optional[str]
    """What it is for."""
    file: str
    """Where it is written."""
    mode: str
    """enforce, or shadow: recorded and not enforced."""
    action: str
    """What it decides."""
    origins: List[str]
    """Which executions it concerns."""
    tenants: Optional[List[str]]
    """Which tenants it concerns; null: all."""
    matched_24h: Optional[int]
    """Records that it has decided in the last day; 10000: at least as many; null: not counted."""


class RunLogLine(Model):
    """As the server answers it."""

    timestamp: datetime
    """ISO 8601, UTC."""
    level: str
    """DEBUG, INFO, WARNING or ERROR."""
    message: str
    """What happened."""
    step_id: str
    """The step."""
    iteration: str
    """The iteration of the loops around it; empty outside loops."""


class SealKey(Model):
    """As the server answers it."""

    key_id: str
    """Its name, which seals have."""
    algorithm: str
    """Ed25519."""
    public_key: str
    """The 32 bytes in hexadecimal digits."""
    signs: bool
    """Whether it signs what is new."""


class Token(Model):
    """As the server answers it."""

    token: str
    """Send it as 'Authorization: Bearer TOKEN'."""
    expires_in: int
    """Seconds until it expires."""


class LoggedOut(Model):
    """As the server answers it."""

    status: str
    """Always logged_out."""


class KindCount(Model):
    """As the server answers it."""

    provider: str
    """The provider."""
    action_type: str
    """The action type."""
    count: int
    """How many."""


class Previewed(Model):
    """As the server answers it."""

    matched: int
    """How many of those that were looked at."""
    looked_at: int
    """Records of the last day that were looked at, the newest."""
    complete: bool
    """Whether these are all."""
    kinds: List[KindCount]
    """How many of each provider and action type."""


class BundleSets(Model):
    """As the server answers it."""

    added: List[str]
    """What is new."""
    removed: List[str]
    """What is gone."""


class BundleSecretSets(Model):
    """As the server answers it."""

    added: List[str]
    """What is new."""
    removed: List[str]
    """What is gone."""
    revealed: List[str]
    """Whose value the code sees from now on."""
    without_value: List[str]
    """Those that have no value yet."""


class BundleActionSets(Model):
    """As the server answers it."""

    added: List[str]
    """What is new."""
    removed: List[str]
    """What is gone."""
    changed: List[Dict[str, Any]]
    """Each with its id, the members that differ, and its parameters."""


class BundleChanges(Model):
    """As the server answers it."""

    before: Optional[str]
    """The active version."""
    after: str
    """This version."""
    hosts: BundleSets
    """The hosts that its code may call."""
    secrets: BundleSecretSets
    """The secrets that it uses."""
    actions: BundleActionSets
    """Its actions."""
    same_content: bool
    """Whether all files are those of the active version."""


class BundlePushed(Model):
    """As the server answers it."""

    name: str
    """The bundle."""
    version: str
    """The version, which never changes."""
    digest: str
    """SHA-256 of its files' names and contents."""
    active: bool
    """Whether its functions are in the catalogue."""
    description: str
    """What it is for."""
    python: str
    """The versions of Python that it runs on; empty for any."""
    hosts: List[str]
    """The hosts that its code may call."""
    secrets: Optional[List[BundleSecret]]
    """Only of a single version: the secrets that it uses."""
    functions: Optional[List[BundleFunction]]
    """Only of a single version: its functions."""
    bytes: int
    """The size of the archive."""
    created_at: datetime
    """When it was pushed."""
    created_by: str
    """Who pushed it."""
    changes: BundleChanges
    """The difference to the version that was active."""


class Loading(Model):
    """As the server answers it."""

    loaded: int
    """Rules in force."""
    errors: List[str]
    """Faults as 'file:line pointer: what'; with any, nothing was changed."""
    warnings: List[str]
    """Providers that rules name and that there are not."""
    generation: int
    """The generation in force."""
    applied: str
    """How many of the processes that decide have it."""


class Replayed(Model):
    """As the server answers it."""

    id: str
    """The id of the record."""
    action_id: str
    """The action id of the record."""
    replayed_as: Optional[str]
    """The action id of the replay; null in a preview of what was not replayed."""
    repeated: bool
    """Whether it was replayed before; then nothing is sent again."""
    outcome: Outcome
    """What became of the replay, as for a dispatch: accepted where its execution goes on. In a preview dry_run,
    with verdict, matched_rule and would_be_provider; accepted for what was replayed before.
    """


class Skipped(Model):
    """As the server answers it."""

    id: str
    """The id of the record."""
    action_id: str
    """The action id of the record."""
    code: str
    """Why, for programs."""
    message: str
    """Why, in words."""
    retryable: bool
    """Whether the same may succeed later."""


class Replays(Model):
    """As the server answers it."""

    preview: bool
    """Whether nothing was sent."""
    replayed: int
    """How many are replayed now, or would be."""
    repeated: int
    """How many were replayed before."""
    results: List[Replayed]
    """Those of both, oldest first."""
    skipped: List[Skipped]
    """Those that cannot be replayed, oldest first."""
    next_cursor: Optional[str]
    """What to send as cursor for the records that follow; null at the end."""


class Turned(Model):
    """As the server answers it."""

    provider: str
    """Its provider."""
    state: str
    """Its state now."""
    message: str
    """What was done."""


class AcceptedRun(Model):
    """As the server answers it."""

    execution_id: str
    """Its id."""
    id: str
    """The same as execution_id."""
    playbook_id: str
    """The playbook."""
    playbook_name: str
    """The playbook's name at that version."""
    version: str
    """The playbook's version that runs."""
    status: RunStatus
    """Its status."""
    dry_run: bool
    """Whether it is a dry run, which executes nothing."""
    target_asset_id: Optional[str]
    """The asset it works on."""
    created_at: datetime
    """When it was accepted, ISO 8601, UTC."""
    started_at: Optional[datetime]
    """When it began; null: it has not."""
    retry_of: Optional[str]
    """Only of a retry: the run that is tried again."""
    steps: List[RunStep]
    """The steps of the playbook, in order."""


class StartedRun(Model):
    """As the server answers it."""

    playbook_id: str
    """The playbook."""
    execution_id: str
    """Its run."""


class NotStarted(Model):
    """As the server answers it."""

    playbook_id: str
    """The playbook."""
    code: str
    """A stable word for the reason."""
    reason: str
    """Why it was not started."""
    running_execution_id: Optional[str]
    """Only with already_running: the run of the playbook for this asset that is under way."""
    execution_id: Optional[str]
    """The failed run that shows the event and the reason."""


class NotMatched(Model):
    """As the server answers it."""

    playbook_id: str
    """The playbook."""
    condition: str
    """The first condition not met, as a JSON pointer into the playbook."""
    wanted: Any
    """What it asks for: a value, or an operator and a value."""
    found: Any
    """What the event has there; long values are shortened."""
    missing: bool
    """Whether the event has nothing there."""


class EventOutcome(Model):
    """As the server answers it."""

    event_id: str
    """The event's id: the one it came with, else a new one."""
    event: str
    """What has happened."""
    considered: int
    """How many enabled playbooks wait for this event, whether it meets their conditions or not."""
    note: Optional[str]
    """Where none does and the name is close to a usual one: that one; else null."""
    repeated: bool
    """Whether an event of this id has been handled before: what it started is not started again."""
    started: List[StartedRun]
    """The runs it has started."""
    not_started: List[NotStarted]
    """The playbooks that wait for it and could not be started."""
    not_matched: List[NotMatched]
    """The playbooks that wait for it and of which it does not meet a condition, up to 50."""


class JudgedCondition(Model):
    """As the server answers it."""

    condition: str
    """Where it stands, as a JSON pointer into the playbook."""
    met: bool
    """Whether the event meets it."""
    wanted: Any
    """What it asks for: a value, or an operator and a value."""
    found: Any
    """What the event has there; long values are shortened."""
    missing: bool
    """Whether the event has nothing there."""


class ForetoldStart(Model):
    """As the server answers it."""

    playbook_id: str
    """The playbook."""
    would_start: bool
    """Whether it would start."""
    code: Optional[str]
    """Why it would not, as a stable word: not_matched, already_started (by an event of this id), or what the failed
    run would say; else null.
    """
    reason: Optional[str]
    """The same as a sentence."""
    execution_id: Optional[str]
    """The run that is in its way, or that an event of this id has started."""
    target_asset_id: Optional[str]
    """The asset that it would work on."""
    parameters: Optional[Dict[str, Any]]
    """The parameters that it would take of the event."""
    conditions: List[JudgedCondition]
    """Its conditions, one by one, up to 50."""


class EventForecast(Model):
    """As the server answers it."""

    event_id: str
    """The event's id."""
    event: str
    """What would have happened."""
    playbooks: List[ForetoldStart]
    """The enabled playbooks that wait for it, those that would start first."""


class SimulatedStep(Model):
    """As the server answers it."""

    step_id: str
    """The step."""
    name: str
    """What people call it."""
    type: str
    """What it does."""
    iteration: Optional[str]
    """Inside loops: which; null elsewhere."""
    taken: bool
    """Whether the run would reach it; others are described as if it did."""
    verdict: str
    """would run, would wait, would be skipped, would fail, or another."""
    status: SimulatedStepStatus
    """How it would end."""
    proved: List[str]
    """What is certain."""
    assumed: List[str]
    """What had to be assumed."""
    input: Any
    """What it would be given; unknown parts in <...>."""
    output: Any
    """What it would do or decide."""
    error: Optional[Failure]
    """The error that it would fail with; null: none."""


class PredictedRun(Model):
    """As the server answers it."""

    predicted_status: PredictedRunPredictedStatus
    """How the run would end."""
    predicted_error: Optional[Failure]
    """The error that it would fail with; null: none."""
    proved: int
    """How many things are certain."""
    assumed: int
    """How many had to be assumed."""
    steps: List[SimulatedStep]
    """Each step, those on the path first."""


class ChangedRecord(Model):
    """As the server answers it."""

    record_id: str
    """The id of the record."""
    action_id: str
    """The action id of the record."""
    at: datetime
    """When it came."""
    before_rule: Optional[str]
    """The rule that decided then; null: none."""
    after_rule: Optional[str]
    """The rule that decides now; null: none."""


class SimulatedChange(Model):
    """As the server answers it."""

    before: str
    """What was decided: a verdict, or deduplicated, throttled, silenced, muted where it was kept back so."""
    before_to: Optional[str]
    """The provider or chain to which it went, where that is known."""
    after: str
    """What these rules decide; refused: a dispatch of which nothing says which event it moves."""
    after_to: Optional[str]
    """The provider or chain to which it goes."""
    changed: bool
    """Whether both differ."""
    count: int
    """How many."""
    examples: Optional[List[ChangedRecord]]
    """Of a change: the first ten."""


class SimulatedRule(Model):
    """As the server answers it."""

    name: str
    """The rule."""
    matched: int
    """How often its condition holds, in shadow mode too."""
    decides: int
    """How often it decides."""
    decided_before: int
    """How often it has decided, as recorded."""


class SimulationAssumption(Model):
    """As the server answers it."""

    code: str
    """A word for it."""
    message: str
    """The same in words."""
    count: Optional[int]
    """Records that it concerns; null: not counted."""


class Simulation(Model):
    """As the server answers it."""

    since: datetime
    """The period begins."""
    until: datetime
    """The period ends."""
    records: int
    """Records that were looked at."""
    decided: int
    """Dispatches and triggers that were decided again."""
    complete: bool
    """Whether that is all of the period."""
    ended_at: Optional[datetime]
    """What came later is not decided; null: all is."""
    generation: int
    """The generation in force."""
    rules_tried: int
    """Rules that are enabled."""
    changed: int
    """How many are decided otherwise."""
    by_another_rule: int
    """How many are decided alike, by another rule."""
    changes: List[SimulatedChange]
    """Each pair of decisions, what changes first."""
    rules: List[SimulatedRule]
    """Rules that match, decide or have decided; the first 1,000."""
    undecided: List[UndecidedRecords]
    """What cannot be decided again, and why."""
    assumptions: List[SimulationAssumption]
    """What is taken for granted."""
    warnings: List[str]
    """Providers that the rules name and that there are not."""


class EventTransitioned(Model):
    """As the server answers it."""

    fingerprint: str
    """The event."""
    previous_state: str
    """The state that it has left."""
    new_state: str
    """The state in which it is."""
    notify: bool
    """Whether a notice of it goes out."""


class Accepted(Model):
    """As the server answers it."""

    verdict: Optional[RunVerdict]
    """What the rules decide."""
    rule: Optional[str]
    """The rule that decides; null where none matches, which allows it."""
    reason: Optional[str]
    """The rule's reason."""
    equal_to: Optional[str]
    """Of a deduplicated execution: the one that went out before."""
    approval_id: Optional[str]
    """The approval that it waits for, or went out by."""
    original_provider: Optional[str]
    """The provider from which a rule has rerouted it."""
    provider: Optional[str]
    """The provider to which a rule has rerouted it."""
    silence: Optional[KeptBack]
    """The silence that keeps it back."""
    interval: Optional[str]
    """The calendar by which a rule lets nothing out at its time."""
    shadows: Optional[List[ShadowVerdict]]
    """What rules in shadow mode would have decided."""
    problems: Optional[List[UndecidedRule]]
    """Rules whose condition could not be decided."""
    execution_id: str
    """Its id."""
    id: str
    """The same as execution_id."""
    action_id: str
    """The action."""
    status: str
    """pending: no worker has claimed it yet. Where a rule concerns it: failed or cancelled, it does not go out;
    waiting, it goes out later.
    """
    created_at: datetime
    """When it was accepted, ISO 8601, UTC."""
    started_at: Optional[datetime]
    """null: it has not started."""
    sandbox: bool
    """Whether outside calls are recorded instead of made."""
    dry_run: bool
    """Whether it is a dry run, which executes nothing."""


class Finding(Model):
    """As the server answers it."""

    path: str
    """Where, as a JSON path."""
    pointer: str
    """Where, as a JSON pointer."""
    message: str
    """What is wrong."""


class Verdict(Model):
    """As the server answers it."""

    valid: bool
    """Whether it has no faults."""
    warnings: List[Finding]
    """What is allowed but doubtful."""
    errors: List[Finding]
    """Every fault."""


class FaultOfTrail(Model):
    """As the server answers it."""

    kind: FaultOfTrailKind
    """What is wrong."""
    seal: int
    """The number of the seal."""
    record_id: Optional[str]
    """The first record that it concerns; null where none is known, or the key does not cover it."""


class NewestSeal(Model):
    """As the server answers it."""

    number: int
    """Its number."""
    hash: str
    """Its hash, which names all that was sealed up to here."""
    sealed_at: datetime
    """When it was made."""


class Verified(Model):
    """As the server answers it."""

    valid: bool
    """Whether all that was checked is as it was sealed."""
    records_checked: int
    """Rows of the trail that the key covers and the filters match, each compared with its seal."""
    first_broken_at: Optional[str]
    """The id of the first record that is not as it was sealed."""
    first_record_id: Optional[str]
    """The id of the first record that was checked."""
    last_record_id: Optional[str]
    """The id of the last record that was checked."""
    seals_checked: int
    """Seals whose hash, signature and link to the one before were checked."""
    unsealed: int
    """Rows that wait for their seal, at most two seconds as a rule; counted up to 1,000."""
    faults: List[FaultOfTrail]
    """What is wrong, up to 20 faults."""
    complete: bool
    """Whether the end was reached; else go on with next_cursor."""
    next_cursor: Optional[str]
    """What to send as cursor to go on; null when complete."""
    newest_seal: Optional[NewestSeal]
    """Null before the first."""


Step = Union[ActionStep, ConditionStep, SwitchStep, ParallelStep, LoopStep, ForEachStep, DelayStep, ApprovalStep, PlaybookStep]
