"""What an event would start, foretold: nothing is started, and nothing written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from playbooks.definitions.triggers import Mismatch, judged
from store.definitions.playbooks import Playbook
from store.engine import db
from store.executions import runs
from tasks.intake import candidates, events
from tasks.intake.candidates import Candidate, Refusal
from tasks.intake.events import TriggerEvent
from tasks.intake.run_start import running_already

#: conditions that are shown of a playbook
MOST_CONDITIONS = 50


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """What would become of a playbook that waits for the event."""

    playbook_id: str
    conditions: Sequence[tuple[Mismatch, bool]]
    #: of one that would start: its asset and its parameters
    target: str | None = None
    parameters: Mapping[str, Any] | None = None
    #: of one whose conditions are met and that would not start
    refusal: Refusal | None = None
    #: the run that an earlier event of this id has started
    known: str | None = None

    @property
    def starts(self) -> bool:
        """Whether it would start."""
        return self.parameters is not None


def foretell(this: TriggerEvent) -> list[Foretold]:
    """Each enabled playbook that waits for the event, those that would start first.

    Raises:
        Unprocessable: the id names another event. Unavailable: the database is away.
    """
    event = this.payload()
    chosen = events.choose(this)
    found = [_foretold(one, _looked_at(one.playbook, event)) for one in chosen.candidates]
    found += [Foretold(playbook_id=one.id, conditions=_looked_at(one, event)) for one in chosen.others]
    return sorted(found, key=lambda one: not one.starts)


def _looked_at(playbook: Playbook, event: Mapping[str, Any]) -> list[tuple[Mismatch, bool]]:
    conditions = playbook.revision.definition["trigger"].get("conditions")
    return list(islice(judged(conditions, event), MOST_CONDITIONS))


def _foretold(candidate: Candidate, conditions: Sequence[tuple[Mismatch, bool]]) -> Foretold:
    name, request = candidate.playbook.id, candidate.request
    refusal = candidate.refusal
    if candidate.known is None and refusal is None and request.target is not None:
        with db.read() as connection:
            if runs.running(connection, request.workspace_id, name, request.target) is not None:
                refusal = candidates.refused(running_already(connection, request))
    if candidate.known is not None or refusal is not None:
        return Foretold(playbook_id=name, conditions=conditions, refusal=refusal, known=candidate.known)
    parameters = dict(request.parameters)
    return Foretold(playbook_id=name, conditions=conditions, target=request.target, parameters=parameters)
