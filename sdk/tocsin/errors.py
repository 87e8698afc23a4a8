"""The errors: a class for each status and each code.

Made by ``sdk/tools/generate.py`` from the OpenAPI document; do not edit.
"""

from __future__ import annotations

from typing import Dict, Type

from tocsin._errors import *  # noqa: F403 - all of it
from tocsin._errors import ApiError, BadRequest, Conflict, Forbidden, Gone, InvalidValues, NotFound, PreconditionFailed, RequestTimeout, ServerError, ServiceUnavailable, TooLarge, TooManyRequests, Unauthorized, UnsupportedMediaType



class ActionDisabled(Conflict):
    """The code ``action_disabled``."""


class ActionMissing(Conflict):
    """The code ``action_missing``."""


class AlreadyCreated(Conflict):
    """The code ``already_created``."""


class AlreadyEnded(Conflict):
    """The code ``already_ended``."""


class AlreadyExists(Conflict, PreconditionFailed):
    """The code ``already_exists``."""


class AlreadyPaused(Conflict):
    """The code ``already_paused``."""


class AlreadyRunning(Conflict):
    """The code ``already_running``."""


class AlreadyVoted(Conflict):
    """The code ``already_voted``."""


class Altered(Conflict):
    """The code ``altered``."""


class BreakersNotEnabled(NotFound):
    """The code ``breakers_not_enabled``."""


class Busy(ServiceUnavailable):
    """The code ``busy``."""


class CalendarExists(Conflict):
    """The code ``calendar_exists``."""


class CalendarInUse(Conflict):
    """The code ``calendar_in_use``."""


class CalendarMissing(Conflict):
    """The code ``calendar_missing``."""


class ChainNotFound(NotFound, Conflict):
    """The code ``chain_not_found``."""


class Changed(Conflict, PreconditionFailed):
    """The code ``changed``."""


class DefinedInFile(Conflict):
    """The code ``defined_in_file``."""


class DifferentPlaybooks(Conflict):
    """The code ``different_playbooks``."""


class EmbeddingFailed(ServerError):
    """The code ``embedding_failed``."""


class IdInUse(Conflict):
    """The code ``id_in_use``."""


class IdReused(Conflict):
    """The code ``id_reused``."""


class IdTaken(Conflict):
    """The code ``id_taken``."""


class IdempotencyKeyReused(InvalidValues):
    """The code ``idempotency_key_reused``."""


class InUse(Conflict):
    """The code ``in_use``."""


class InvalidAction(BadRequest):
    """The code ``invalid_action``."""


class InvalidBundle(InvalidValues):
    """The code ``invalid_bundle``."""


class InvalidCacao(InvalidValues):
    """The code ``invalid_cacao``."""


class InvalidCursor(BadRequest):
    """The code ``invalid_cursor``."""


class InvalidParameters(InvalidValues):
    """The code ``invalid_parameters``."""


class InvalidPlaybook(BadRequest):
    """The code ``invalid_playbook``."""


class InvalidRequest(BadRequest):
    """The code ``invalid_request``."""


class InvalidTarget(InvalidValues):
    """The code ``invalid_target``."""


class KeyExpired(Conflict):
    """The code ``key_expired``."""


class KeyRotating(Conflict):
    """The code ``key_rotating``."""


class LastAdminKey(Conflict):
    """The code ``last_admin_key``."""


class NoAgent(Conflict):
    """The code ``no_agent``."""


class NoApproval(Conflict):
    """The code ``no_approval``."""


class NoSigningKey(InvalidValues):
    """The code ``no_signing_key``."""


class NoStateMachine(Conflict):
    """The code ``no_state_machine``."""


class NotASession(BadRequest):
    """The code ``not_a_session``."""


class NotAnApprover(Forbidden):
    """The code ``not_an_approver``."""


class NotByStarter(Forbidden):
    """The code ``not_by_starter``."""


class NotConfigured(NotFound):
    """The code ``not_configured``."""


class NotEnded(Conflict):
    """The code ``not_ended``."""


class NotFlushed(Conflict):
    """The code ``not_flushed``."""


class NotGranted(Forbidden):
    """The code ``not_granted``."""


class NotMatched(BadRequest):
    """The code ``not_matched``."""


class NotPaused(Conflict):
    """The code ``not_paused``."""


class NotRecognised(BadRequest):
    """The code ``not_recognised``."""


class NotReplayable(InvalidValues):
    """The code ``not_replayable``."""


class NotRunning(Conflict):
    """The code ``not_running``."""


class NotSealed(Conflict):
    """The code ``not_sealed``."""


class NotSignable(InvalidValues):
    """The code ``not_signable``."""


class NotWaiting(Conflict):
    """The code ``not_waiting``."""


class NothingFailed(Conflict):
    """The code ``nothing_failed``."""


class Overloaded(ServiceUnavailable):
    """The code ``overloaded``."""


class PartOfRun(Conflict):
    """The code ``part_of_run``."""


class PayloadGone(InvalidValues):
    """The code ``payload_gone``."""


class PayloadMasked(InvalidValues):
    """The code ``payload_masked``."""


class PlaybookDisabled(Conflict):
    """The code ``playbook_disabled``."""


class ProviderDisabled(Conflict):
    """The code ``provider_disabled``."""


class ProviderMissing(Conflict):
    """The code ``provider_missing``."""


class ProviderNotFound(NotFound, Conflict):
    """The code ``provider_not_found``."""


class RateLimited(TooManyRequests):
    """The code ``rate_limited``."""


class ReplayUnderWay(Conflict):
    """The code ``replay_under_way``."""


class RequesterMayNotApprove(Forbidden):
    """The code ``requester_may_not_approve``."""


class SandboxUnavailable(ServiceUnavailable):
    """The code ``sandbox_unavailable``."""


class Sealed(Conflict):
    """The code ``sealed``."""


class SecretNeeded(BadRequest, Conflict, InvalidValues):
    """The code ``secret_needed``."""


class SilenceEnded(Conflict):
    """The code ``silence_ended``."""


class SimulationTooLong(InvalidValues):
    """The code ``simulation_too_long``."""


class StreamOff(ServiceUnavailable):
    """The code ``stream_off``."""


class TargetRequired(BadRequest):
    """The code ``target_required``."""


class TooDeep(Conflict):
    """The code ``too_deep``."""


class TooManyCalendars(Conflict):
    """The code ``too_many_calendars``."""


class TooManyRecurring(Conflict):
    """The code ``too_many_recurring``."""


class TooManySilences(Conflict):
    """The code ``too_many_silences``."""


class TransitionNotAllowed(Conflict):
    """The code ``transition_not_allowed``."""


class Unavailable(ServiceUnavailable):
    """The code ``unavailable``."""


class VersionActive(Conflict):
    """The code ``version_active``."""


class VersionExists(Conflict):
    """The code ``version_exists``."""


class WrongPassword(Forbidden):
    """The code ``wrong_password``."""


#: code → its class; a code that is not here has the class of its status
BY_CODE: Dict[str, Type[ApiError]] = {
    'action_disabled': ActionDisabled,
    'action_missing': ActionMissing,
    'already_created': AlreadyCreated,
    'already_ended': AlreadyEnded,
    'already_exists': AlreadyExists,
    'already_paused': AlreadyPaused,
    'already_running': AlreadyRunning,
    'already_voted': AlreadyVoted,
    'altered': Altered,
    'breakers_not_enabled': BreakersNotEnabled,
    'busy': Busy,
    'calendar_exists': CalendarExists,
    'calendar_in_use': CalendarInUse,
    'calendar_missing': CalendarMissing,
    'chain_not_found': ChainNotFound,
    'changed': Changed,
    'defined_in_file': DefinedInFile,
    'different_playbooks': DifferentPlaybooks,
    'embedding_failed': EmbeddingFailed,
    'forbidden': Forbidden,
    'gone': Gone,
    'id_in_use': IdInUse,
    'id_reused': IdReused,
    'id_taken': IdTaken,
    'idempotency_key_reused': IdempotencyKeyReused,
    'in_use': InUse,
    'invalid_action': InvalidAction,
    'invalid_bundle': InvalidBundle,
    'invalid_cacao': InvalidCacao,
    'invalid_cursor': InvalidCursor,
    'invalid_parameters': InvalidParameters,
    'invalid_playbook': InvalidPlaybook,
    'invalid_request': InvalidRequest,
    'invalid_target': InvalidTarget,
    'key_expired': KeyExpired,
    'key_rotating': KeyRotating,
    'last_admin_key': LastAdminKey,
    'no_agent': NoAgent,
    'no_approval': NoApproval,
    'no_signing_key': NoSigningKey,
    'no_state_machine': NoStateMachine,
    'not_a_session': NotASession,
    'not_an_approver': NotAnApprover,
    'not_by_starter': NotByStarter,
    'not_configured': NotConfigured,
    'not_ended': NotEnded,
    'not_flushed': NotFlushed,
    'not_found': NotFound,
    'not_granted': NotGranted,
    'not_matched': NotMatched,
    'not_paused': NotPaused,
    'not_recognised': NotRecognised,
    'not_replayable': NotReplayable,
    'not_running': NotRunning,
    'not_sealed': NotSealed,
    'not_signable': NotSignable,
    'not_waiting': NotWaiting,
    'nothing_failed': NothingFailed,
    'overloaded': Overloaded,
    'part_of_run': PartOfRun,
    'payload_gone': PayloadGone,
    'payload_masked': PayloadMasked,
    'playbook_disabled': PlaybookDisabled,
    'provider_disabled': ProviderDisabled,
    'provider_missing': ProviderMissing,
    'provider_not_found': ProviderNotFound,
    'rate_limited': RateLimited,
    'replay_under_way': ReplayUnderWay,
    'request_timeout': RequestTimeout,
    'requester_may_not_approve': RequesterMayNotApprove,
    'sandbox_unavailable': SandboxUnavailable,
    'sealed': Sealed,
    'secret_needed': SecretNeeded,
    'silence_ended': SilenceEnded,
    'simulation_too_long': SimulationTooLong,
    'stream_off': StreamOff,
    'target_required': TargetRequired,
    'too_deep': TooDeep,
    'too_large': TooLarge,
    'too_many_calendars': TooManyCalendars,
    'too_many_recurring': TooManyRecurring,
    'too_many_silences': TooManySilences,
    'transition_not_allowed': TransitionNotAllowed,
    'unauthorized': Unauthorized,
    'unavailable': Unavailable,
    'unsupported_media_type': UnsupportedMediaType,
    'version_active': VersionActive,
    'version_exists': VersionExists,
    'wrong_password': WrongPassword,
}
