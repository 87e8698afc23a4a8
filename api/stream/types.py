"""The types of events, by the words that clients know."""

DISPATCHED, FLUSHED, TIMEOUT = "action_dispatched", "group_flushed", "timeout"
ADVANCED, REQUIRED = "chain_advanced", "approval_required"
VOTED, BREAKER, SILENCE = "approval_voted", "breaker_changed", "silence_changed"
STEP, RUN = "step_changed", "run_changed"
#: of a client that was too slow, or asks for more than is kept ready; it has no id
LAGGED = "lagged"

#: what every client is sent unless it names types
USUAL = (DISPATCHED, FLUSHED, TIMEOUT, ADVANCED, REQUIRED)
#: what a client is sent that names them
NAMED = (VOTED, BREAKER, SILENCE, STEP, RUN)
#: what the stream of a run is made of
OF_RUN = (RUN, STEP, DISPATCHED, REQUIRED, VOTED)
