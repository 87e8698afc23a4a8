"""One attempt at a step: its parameters, the gate, its variables."""

from collections.abc import Mapping
from typing import Any

from config import logs
from config.types import Json
from expressions import templates
from expressions.templates import TemplateError
from gateway.gate_column import Gate
from playbooks.definitions import parameters
from playbooks.states import Status
from providers.base import Abandoned
from store.definitions.actions import Revision
from tasks.attempts import provider_calls, stop
from tasks.attempts.conclude import Attempt, Ending, failed
from tasks.attempts.lease import HeldLease
from tasks.attempts.patience import with_patience
from tasks.attempts.perform import Work, prepare
from tasks.intake.chain_starts import ChainStart
from tasks.intake.notices import Question
from tasks.runs.context import RunContext, asset, parted
from tasks.runs.verdicts import Form, decision_of, form_of, obeyed, of_chain, told
from tasks.secrets.redact import Redactor, masked, redactor, texts

log = logs.logger(__name__)


class StepWork:
    """One attempt at a step of a run."""

    def __init__(self, context: RunContext, this: Attempt) -> None:
        self.context = context
        self.this = this
        self.step = context.run.plan.nodes[this.row.step_id].step
        #: the parameters in their stored form: secrets masked
        self.given: Json = {}
        #: the gate's account of this attempt; None where no rule concerns it
        self.gate: Gate | None = of_chain(context.run, this.row, self.step)
        #: the run of a chain that a rule starts in its place
        self.chain: ChainStart | None = None
        #: the approval that a rule asks for before it goes out
        self.question: Question | None = None

    def prepare(self, revision: Revision, held: HeldLease) -> Work | Ending:
        """Fill in the step's parameters and gather what its executor needs.

        Raises:
            Abandoned: the database stayed away.
        """
        if (waiting := stop.waits(self.this.row)) is not None:
            return waiting
        try:
            context = with_patience(self._context)
            if context is None:  # nothing has gone out: recovery has the step retried
                raise Abandoned
            rendered = templates.render(self.step.get("parameters", {}), context)
            if self.step.get("target"):
                self.this.row.target = asset(self.step["target"], context, self.context.redact)
        except TemplateError as fault:
            return failed("bad_template", str(fault))
        declared = revision.definition["parameters"]
        given = provider_calls.parameters_of(revision, self.this.row.action_id, rendered)
        values, problems = parameters.resolve(declared, given)
        if problems:
            return failed("invalid_parameters", told(problems))
        run, row = self.context.run, self.this.row
        form = form_of(revision, row.action_id, rendered, values, self.context.redact)
        names = form.secret_names
        decision = decision_of(run, row, form, lambda: self.context.redact(masked(values, names)))
        if decision is not None or row.gate is not None:
            form, ending = obeyed(run, self.this, form, decision, self.context.redact)
            self.gate, self.chain, self.question = form.gate, form.chain, form.question
            if ending is not None:
                self.given = redactor([*texts(self._hidden(form))])(masked(form.values, form.secret_names))
                return ending
            self.this.sent_to = form.gate.sent_to if form.gate is not None else None
        hidden = self._hidden(form)
        work = prepare(self.this, form.revision, held, form.values, hidden, form.dispatch)
        self.given = self.this.redact(masked(form.values, form.secret_names))
        return work

    def _hidden(self, form: Form) -> Json:
        """The secrets among the values, and those of the run."""
        given = {name: value for name, value in form.values.items() if name in form.secret_names and value is not None}
        return {**given, "": self.context.run.secrets}

    def variables(self, ending: Ending, record: Mapping[str, Any]) -> Json | None:
        """The variables that the step's ``outputs`` set."""
        if ending.status != Status.COMPLETED or not self.step.get("outputs"):
            return None
        return with_patience(lambda: variables(self.step, self._context(), record["output"], self.this.redact))

    def _context(self) -> Json:
        row = self.this.row
        return self.context.of(row.step_id, parted(row.iteration), row.previous_id)


def variables(step: Mapping[str, Any], context: Json, output: Any, redact: Redactor) -> Json:
    """The variables set by a step's ``outputs``.

    One that cannot be filled in stays unset.

    The step itself has already ended; a template that reads an unset name fails and says so.
    """
    values = {}
    for name, template in step.get("outputs", {}).items():
        try:
            values[name] = redact(templates.render(template, {**context, "output": output}))
        except TemplateError as fault:
            log.warning("variable not set: its template failed", name=name, reason=str(fault))
    return values
