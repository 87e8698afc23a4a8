"""From candidates and facts to one verdict: the first rule that matches decides.

A rule in shadow mode is recorded and passed over. A rule with ``continue`` adds its patch or its check, and the search
goes on; later rules see the patched payload. A rule whose condition cannot be evaluated does not match, and the verdict
says why. No rule, no verdict: the execution goes out. Where a rule that matches is muted by a calendar, what would go
out does not; what another rule stops is stopped as ever.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType

from config.types import Json
from gateway import merge_patch
from gateway.facts import Facts
from gateway.rules.conditions import Evaluation
from gateway.rules.recorded import NothingRecorded, Recorded
from gateway.rules.rule import Calendars, Muting, Rule
from gateway.semantics.similarity import Meaning, NoMeaning
from gateway.verdicts import STOPPING, Allow, Check, Modify, Muted, Problem, Shadow, StateMachine, Verdict

ALLOWED = Verdict(Allow())
#: where there are no calendars
NO_CALENDARS: Calendars = MappingProxyType({})
_NOTHING = NothingRecorded()
_NO_MEANING = NoMeaning()


def decide(
    rules: Sequence[Rule],
    facts: Facts,
    recorded: Recorded = _NOTHING,
    calendars: Calendars = NO_CALENDARS,
    note: Callable[[str], object] | None = None,
    meaning: Meaning = _NO_MEANING,
) -> Verdict:
    """The verdict of rules that concern the key of these facts; ``note`` takes the name of each that matches."""
    this = Evaluation(recorded, meaning=meaning)
    search = None
    for rule in rules:
        matches = rule.test(facts, this)
        if matches is False:
            continue
        search = search or Search(calendars)
        if matches is None:
            search.undecided.add(rule.name)
            continue
        if note is not None:
            note(rule.name)
        facts = search.take(rule, facts)
        if rule.ends:
            return search.verdict(rule, this, facts)
    return search.verdict(None, this, facts) if search is not None else ALLOWED


class Search:
    """What the rules before the deciding one have left."""

    def __init__(self, calendars: Calendars = NO_CALENDARS) -> None:
        self.calendars = calendars
        #: the first rule that lets nothing out now, and why
        self.muting: tuple[Rule, Muting] | None = None
        self.checks: list[Check] = []
        self.patches: list[Json] = []
        self.shadows: list[Shadow] = []
        self.undecided: set[str] = set()
        self.last: Rule | None = None

    def take(self, rule: Rule, facts: Facts) -> Facts:
        """Note a rule that matches; the facts that the next one sees."""
        if rule.shadow:
            self.shadows.append(Shadow(rule.name, rule.effect.kind))
            return facts
        self.last = rule
        if self.muting is None and (muting := rule.muted(facts.at, self.calendars)) is not None:
            self.muting = rule, muting
        if rule.check is not None:
            self.checks.append(rule.check(facts))
        if isinstance(rule.effect, Modify):
            self.patches.append(rule.effect.changes)
            facts = facts._replace(payload=merge_patch.patched(facts.payload, rule.effect.changes))
        return facts

    def verdict(self, decided: Rule | None, this: Evaluation, facts: Facts) -> Verdict:
        """The verdict of the deciding rule, or of the last that let the search go on."""
        rule = decided or self.last
        stops = rule is not None and rule.effect.kind in STOPPING
        if self.muting is not None and rule is not None and not stops and rule.effect.kind != StateMachine.kind:
            return self._muted(rule, *self.muting, this)
        return Verdict(
            rule.effect if rule else Allow(),
            rule.name if rule else None,
            rule.reason if rule else None,
            _condition(rule, this) if rule else None,
            checks=() if stops else tuple(self.checks),
            patches=tuple(self.patches),
            shadows=tuple(self.shadows),
            problems=self._problems(this),
            gathered=rule.group(facts) if rule is not None and rule.group is not None else None,
        )

    def _muted(self, decided: Rule, mutes: Rule, muting: Muting, this: Evaluation) -> Verdict:
        """The verdict of what does not go out now; nothing is counted or changed."""
        return Verdict(
            Muted(muting.interval, decided.effect.kind),
            mutes.name,
            muting.words,
            _condition(mutes, this),
            shadows=tuple(self.shadows),
            problems=self._problems(this),
        )

    def _problems(self, this: Evaluation) -> tuple[Problem, ...]:
        """The first problem of each rule that could not be decided, or matched because of it; others had none."""
        mattered = self.undecided | this.assumed
        if not mattered:
            return ()
        first = {problem.rule: problem for problem in reversed(this.problems)}
        return tuple(problem for name, problem in reversed(first.items()) if name in mattered)


def _condition(rule: Rule, this: Evaluation) -> str:
    """The condition that held, with what was found by comparing meanings."""
    compared = this.compared.get(rule.name)
    return f"{rule.condition.text} ({'; '.join(compared.values())})" if compared else rule.condition.text
