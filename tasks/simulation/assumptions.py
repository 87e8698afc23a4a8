"""What a simulation takes for granted, named as far as it matters for what was found."""

from dataclasses import dataclass

from gateway.simulation.arrivals import ASKED, SILENCED
from gateway.verdicts import Modify
from tasks.simulation import reading
from tasks.simulation.simulate import MEANING_UNKNOWN, UNKNOWN, Simulated


@dataclass(frozen=True, slots=True)
class Assumption:
    """One of them: a word for programs, how many records it concerns where that is known, and a sentence."""

    code: str
    count: int | None
    text: str


#: why a record cannot be decided again
REASONS = {
    reading.GONE: "What it carried is not kept any more, or was kept without its labels by the release before.",
    reading.MASKED: "It carried credentials, and only masks are kept in their place.",
    reading.REPLACED: "It was a trigger that a rule had sent to another provider, with other values.",
    reading.DEFINITION: "The revision of its action is gone.",
    reading.UNREADABLE: "Something has been made of its row that cannot be read.",
    UNKNOWN: "A condition asks for what was recorded before the period, or is hidden from the caller.",
    MEANING_UNKNOWN: "A condition compares by meaning, which is played with the local model alone.",
}


def of(found: Simulated) -> list[Assumption]:
    """The assumptions of a simulation."""
    made, rules, rows = list[Assumption](), found.trial.ruleset.in_force, found.tally.rows

    def add(code: str, text: str, count: int | None = None) -> None:
        made.append(Assumption(code, count, text))

    add(
        "moment", "Each is decided at the moment at which it was accepted, some milliseconds after it was decided then."
    )
    if found.has_past and any(rule.check is not None for rule in rules):
        text = "What rules remembered before the period is not known: refusals by rules that are as they are in force"
        add("memory", f"{text} are taken over from the records; all else begins with nothing.", found.taken_over)
    if found.tally.changed:
        add("ends", "What goes out ends as it did then; what did not go out then has its effect at once.")
    modifying = Modify.kind in found.tally.before or any(isinstance(rule.effect, Modify) for rule in rules)
    if modifying:
        add("payloads", "An execution has the payload that rules of then had left it; what they changed is not undone.")
    silenced = sum(row.count for row in rows if row.before == SILENCED)
    if silenced:
        add("silences", "What a silence kept back stays kept back where the rules let it out.", silenced)
    if any(ASKED in (row.before, row.after) for row in rows):
        add("approvals", "An approval ends the decision: what was voted, or would be, is not played.")
    if found.trial.ruleset.rules and any(rule.mute or rule.active for rule in rules):
        add("calendars", "Calendars are those of today.")
    if found.others:
        add("others", "Steps, schedules, chains, notices and summaries are not decided again.", found.others)
    return made
