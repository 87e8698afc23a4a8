"""Arrivals decided again, one after the other in the order in which they came.

Of each the rules decide by the code that decides in earnest; what they remember, count and move is played in memory.
Silences are as they were: what one kept back stays kept back where the rules let it out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway import merge_patch
from gateway.facts import Facts
from gateway.machines import Machine
from gateway.rules import fingerprints
from gateway.rules.decide import ALLOWED, decide
from gateway.rules.rule import Calendars
from gateway.rules.ruleset import Ruleset
from gateway.semantics.similarity import EmbeddingFailed, Meaning, NoMeaning, Result, Topic
from gateway.simulation.arrivals import (
    ASKED,
    DEDUPLICATED,
    GOES_OUT,
    MUTED,
    REFUSED,
    SILENCED,
    THROTTLED,
    Arrival,
    Became,
)
from gateway.simulation.checks import Checks
from gateway.simulation.past import Past, Recorded
from gateway.verdicts import (
    STOPPING,
    Chain,
    Deduplicate,
    Group,
    Muted,
    RequireApproval,
    Reroute,
    Schedule,
    StateMachine,
    Throttle,
    Verdict,
)

#: decision → the outcome that its record has
_OUTCOMES = {
    **dict.fromkeys(STOPPING, "suppressed"),
    **{word: word for word in (DEDUPLICATED, THROTTLED, MUTED, SILENCED)},
    Group.kind: "grouped",
    StateMachine.kind: "state_changed",
    Chain.kind: "chain_started",
    Reroute.kind: "rerouted",
}
#: what has no record before it is approved, or none at all
_LATER = frozenset({RequireApproval.kind, REFUSED})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried: rules, with the calendars and state machines in force."""

    ruleset: Ruleset
    calendars: Calendars
    machines: Mapping[str, Machine]
    #: the rules that are as they are in force
    unchanged: Collection[str]
    #: the time from which all arrivals are played, ms, and from which all records are known; None: from the beginning
    played_from: int | None = None
    known_from: int | None = None
    #: whether a condition asks for what was recorded
    is_asked: bool = True
    #: what texts mean; None: it is not asked, because that takes long or costs something
    meaning: Meaning | None = None


class _Meanings:
    """The meanings of texts, as far as they are known here: ``doubt`` says that one was not."""

    def __init__(self, meaning: Meaning | None) -> None:
        self._meaning = meaning
        self.threshold = NoMeaning.threshold if meaning is None else meaning.threshold
        self.doubt = False

    def similarity(self, topic: Topic, text: str) -> float:
        """The similarity; anything where it is not known."""
        try:
            if self._meaning is not None:
                return self._meaning.similarity(topic, text)
        except EmbeddingFailed:
            pass
        self.doubt = True
        return 0.0

    def note(self, result: Result) -> None:
        """Nothing is decided in earnest."""


class Player:
    """One simulation under way."""

    def __init__(self, trial: Trial) -> None:
        self._matched: list[str] = []
        self._ruleset = trial.ruleset
        self._calendars = trial.calendars
        self._checks = Checks(trial.played_from, trial.unchanged)
        self._meanings = _Meanings(trial.meaning)
        self.past = Past(trial.known_from, trial.machines)
        self._is_asked = trial.is_asked

    @property
    def taken_over(self) -> int:
        """Refusals taken over from records, because what rules remembered before is not known."""
        return self._checks.taken_over

    def play(self, arrival: Arrival) -> tuple[Became | None, list[str]]:
        """What becomes of an arrival, and the rules that match.

        None where that depends on what is not known: then ``by_meaning`` says whether on the meaning of a text.
        """
        facts = arrival.facts
        self._matched.clear()
        self.past.begin(facts.at)
        self._meanings.doubt = False
        rules = self._ruleset.asked(facts.key, facts)
        note = self._matched.append
        verdict = decide(rules, facts, self.past, self._calendars, note, self._meanings) if rules else ALLOWED
        if self.past.doubt or self._meanings.doubt:
            self.stands(arrival)
            return None, []
        became = self._became(arrival, verdict)
        self._checks.played(arrival)
        delay = verdict.effect.delay_seconds * 1000 if isinstance(verdict.effect, Schedule) else 0
        self._note(arrival, became, delay + max(0, self._checks.slot - facts.at))
        return became, self._matched

    @property
    def by_meaning(self) -> bool:
        """Whether what became of the last arrival depends on the meaning of a text."""
        return self._meanings.doubt

    def stands(self, arrival: Arrival) -> None:
        """Let an arrival that cannot be decided be as it was recorded."""
        self._note(arrival, arrival.before)

    def _became(self, arrival: Arrival, verdict: Verdict) -> Became:
        effect, rule = verdict.effect, verdict.rule
        if isinstance(effect, Muted):
            return Became(MUTED, rule)
        if verdict.kind in STOPPING:
            return Became(verdict.kind, rule)
        if arrival.before.decision == SILENCED and not isinstance(effect, StateMachine):
            return Became(SILENCED, rule)
        fingerprint = _fingerprint(effect, arrival.facts, verdict) if isinstance(effect, StateMachine) else None
        if isinstance(effect, StateMachine) and fingerprint is None:
            return Became(REFUSED, rule)
        refusing = self._checks.make(verdict.checks, arrival)
        if refusing is not None:
            if isinstance(refusing.effect, Throttle) and refusing.effect.approval is not None:
                return Became(ASKED, rule)
            word = DEDUPLICATED if isinstance(refusing.effect, Deduplicate) else THROTTLED
            return Became(word, refusing.rule)
        if self._is_asked and isinstance(effect, StateMachine) and fingerprint is not None:
            self.past.move(effect.state_machine, fingerprint, arrival.facts)
        return Became(verdict.kind, rule, _target(effect))

    def _note(self, arrival: Arrival, became: Became, later: int = 0) -> None:
        """Note the record that it has then; ``later`` is how long it waits before it goes out, ms."""
        if not self._is_asked:
            return
        facts, decision, at = arrival.facts, became.decision, arrival.facts.at
        outcome = _OUTCOMES.get(decision, "executed")
        if decision == arrival.before.decision:
            outcome, at = arrival.outcome, arrival.ended_at
        elif decision in GOES_OUT and arrival.before.decision in GOES_OUT:  # the call ends as it did
            at = arrival.ended_at + later
            outcome = arrival.outcome if arrival.outcome not in (outcome, "executed", "rerouted") else outcome
        elif decision in _LATER:
            return
        elif decision in GOES_OUT:
            at += later
        provider = became.to if decision == Reroute.kind and became.to else facts.provider
        self.past.note(Recorded(facts.tenant, at, facts.action_type, outcome, facts.namespace, provider, became.rule))


def _fingerprint(effect: StateMachine, facts: Facts, verdict: Verdict) -> str | None:
    """The event that it moves, which is known by what the rules have changed."""
    if verdict.patches:
        facts = facts._replace(payload=merge_patch.all_patched(facts.payload, verdict.patches))
    return fingerprints.of(effect, facts)


def _target(effect: object) -> str | None:
    """Where an effect sends it."""
    if isinstance(effect, Reroute):
        return effect.target_provider
    return effect.chain_name if isinstance(effect, Chain) else None
