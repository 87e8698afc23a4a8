"""The context of a step: what it reads of its run.

Only the rows that the step reads are fetched, by ids known beforehand; the worker remembers the results of the steps
that it carried out, so that the next step reads nothing again. Results are those in the database, with secrets masked:
a step must see the same whether its worker carried out the whole run or took it over.
"""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from config.times import stamp
from expressions import templates
from expressions.templates import TemplateError
from expressions.values import is_encodable
from playbooks.plan import Plan
from playbooks.states import Mode
from store.engine import db
from store.engine.db import Row
from store.executions import steps
from tasks.messages.run_messages import row_id
from tasks.runs.run import Run
from tasks.secrets.redact import Redactor, redactor

#: characters of the name of an asset
LONGEST_ASSET = 255
#: the columns of a step's row that later steps read
_SHOWN = ("status", "output", "error", "vars")


class RunContext:
    """The run so far, as its steps read it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        #: takes the run's secrets out of what is kept
        self.redact = redactor(run.secrets)
        self._known: dict[str, dict[str, Any]] = {}
        self._items: dict[str, list[Any]] = {}
        self._base = {
            **run.parameters,
            **run.context["subject"],
            "parameters": run.parameters,
            "target": run.target,
            "execution": {
                "id": run.id,
                "started_at": stamp(run.started_at),
                "playbook_id": run.playbook_id,
                "dry_run": run.mode == Mode.DRY_RUN,
            },
        }

    def learn(self, step_row_id: str, result: Mapping[str, Any]) -> None:
        """Remember the result of a step: status, output, error, vars, completed_at, step_id."""
        self._known[step_row_id] = {**dict.fromkeys(_SHOWN), **result}

    def learn_items(self, container_id: str, items: list[Any]) -> None:
        """Remember the items of a for_each."""
        self._items[container_id] = items

    def of(self, step_id: str, iteration: tuple[int, ...], previous_id: str | None) -> dict[str, Any]:
        """The values that this step may read."""
        plan = self.run.plan
        needs = plan.needs(step_id)
        found = self._find(step_id, needs.wanted, iteration, previous_id if needs.previous else None)
        context = {**self._base, **self._loops(step_id, iteration)}
        context["steps"] = {name: found[name] for name in needs.steps if name in found}
        context["vars"] = _variables(needs.setters, found)
        if needs.previous and previous_id in self._known:
            known = self._known[previous_id]
            name = plan.nodes[known["step_id"]].name if known.get("step_id") in plan.nodes else None
            context["previous_step"] = {**known, "id": known.get("step_id"), "name": name}
        return context

    def outcome(self) -> dict[str, Any] | None:
        """The output of the run: every variable that its steps have set.

        None without any.
        """
        setters = self.run.plan.variables
        if not setters:
            return None
        found = self._find("", {step_id for step_ids in setters.values() for step_id in step_ids}, (), None)
        return _variables(setters, found)

    def _find(
        self, reader: str, wanted: AbstractSet[str], iteration: tuple[int, ...], previous_id: str | None
    ) -> dict[str, dict[str, Any]]:
        """Step id → its result, from the nearest iteration."""
        places = {name: _places(self.run.id, name, iteration) for name in wanted}
        unknown = {place for options in places.values() for place in options if place not in self._known}
        if previous_id is not None and previous_id not in self._known:
            unknown.add(previous_id)
        if unknown:
            self._fetch(unknown)
        found = {}
        inside_loops = []
        for name, options in places.items():
            known = next((self._known[place] for place in options if place in self._known), None)
            if known is not None:
                found[name] = known
            elif _depth(self.run.plan, name):
                inside_loops.append(name)
        return {**found, **self._last(reader, inside_loops, iteration)} if inside_loops else found

    def _last(self, reader: str, wanted: list[str], iteration: tuple[int, ...]) -> dict[str, dict[str, Any]]:
        """The last results of steps in loops without the reader.

        In the loops around both, the iterations are the same.
        """
        around, found = _loops_around(self.run.plan, reader) if reader else [], {}
        with db.read() as connection:
            rows = [row for row in steps.latest(connection, self.run.id, wanted) if row.completed_at is not None]
        for row in sorted(rows, key=lambda row: parted(row.iteration)):
            pairs = zip(around, _loops_around(self.run.plan, row.step_id), strict=False)
            shared = sum(mine == its for mine, its in pairs)
            if parted(row.iteration)[:shared] == iteration[:shared]:
                found[row.step_id] = _result(row)
        return found

    def _fetch(self, ids: set[str]) -> None:
        rows = db.look_up(steps.results, ids)
        for row in rows:
            if row.completed_at is not None:  # the result of a step under way may still change
                self._known[row.id] = _result(row)

    def _loops(self, step_id: str, iteration: tuple[int, ...]) -> dict[str, Any]:
        """The values of the loops around a step: item and index."""
        given: dict[str, Any] = {}
        if not iteration:
            return given
        for depth, loop in enumerate(_loops_around(self.run.plan, step_id)):
            if depth >= len(iteration):
                break
            given["index"] = iteration[depth]
            step = self.run.plan.nodes[loop].step
            if step["type"] == "for_each":
                loop_id = row_id(self.run.id, loop, joined(iteration[:depth]))
                given[step.get("as") or "item"] = self._item(loop_id, iteration[depth])
        return given

    def _item(self, loop_id: str, index: int) -> Any:
        if loop_id not in self._items:
            rows = db.look_up(steps.results, [loop_id])
            self._items[loop_id] = json.loads(rows[0].input)["items"]
        return self._items[loop_id][index]


def asset(template: str, context: Mapping[str, Any], redact: Redactor) -> str:
    """The asset named by a step's ``target``.

    Raises:
        TemplateError: it cannot be filled in, contains a secret, or gives a text that no database stores.
    """
    text = templates.as_text(templates.render(template, context))
    if redact(text) != text:
        raise TemplateError("target must not hold a secret: it is shown to everybody who may see the run")
    if not text or len(text) > LONGEST_ASSET or "\0" in text or not is_encodable(text):
        raise TemplateError(f"target must become 1 to {LONGEST_ASSET} characters of text")
    return text


def joined(iteration: tuple[int, ...]) -> str:
    """An iteration in its stored form: "3.1"."""
    return ".".join(map(str, iteration))


def parted(iteration: str | None) -> tuple[int, ...]:
    """A stored iteration as numbers."""
    return tuple(int(number) for number in iteration.split(".")) if iteration else ()


def _places(run_id: str, step_id: str, iteration: tuple[int, ...]) -> list[str]:
    """The rows of a step that an iteration reads, nearest first."""
    return [row_id(run_id, step_id, joined(iteration[:depth])) for depth in range(len(iteration), -1, -1)]


def _loops_around(plan: Plan, step_id: str) -> list[str]:
    """The loops around a step, the outermost first."""
    found = []
    container = plan.blocks[plan.nodes[step_id].block].container
    while container is not None:
        if plan.nodes[container].type != "parallel":
            found.append(container)
        container = plan.blocks[plan.nodes[container].block].container
    return found[::-1]


def _depth(plan: Plan, step_id: str) -> int:
    return len(_loops_around(plan, step_id))


def _variables(setters: Mapping[str, list[str]], found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The value of each variable from the step that ended last."""
    values = {}
    for name, step_ids in setters.items():
        of = [found[step_id] for step_id in step_ids if name in ((found.get(step_id) or {}).get("vars") or {})]
        if of:
            values[name] = max(of, key=lambda one: one.get("completed_at") or 0)["vars"][name]
    return values


def _result(row: Row) -> dict[str, Any]:
    return {
        "step_id": row.step_id,
        "status": row.status,
        "output": json.loads(row.output) if row.output else None,
        "error": json.loads(row.error) if row.error else None,
        "vars": json.loads(row.vars) if row.vars else None,
        "completed_at": row.completed_at,
    }
