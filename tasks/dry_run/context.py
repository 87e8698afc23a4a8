"""The context of a simulated step, without the database."""

from collections.abc import Mapping
from typing import Any

from tasks.dry_run.values import assumed
from tasks.runs.context import RunContext
from tasks.runs.run import Run


class SimulatedContext(RunContext):
    """The simulated run so far; nothing is read from the database."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        #: step id → the result of its last iteration
        self._latest: dict[str, dict[str, Any]] = {}
        #: row id → whether the step's success is only assumed
        self._presumed: dict[str, bool] = {}
        self._ended = 0

    def record(self, row: Mapping[str, Any], *, presumed: bool, **result: Any) -> None:
        """Remember the end of a step.

        ``presumed`` says that its success is only assumed.
        """
        self._ended += 1
        self.learn(row["id"], {"step_id": row["step_id"], "completed_at": self._ended, **result})
        self._latest[row["step_id"]] = self._known[row["id"]]
        self._presumed[row["step_id"]] = self._presumed[row["id"]] = presumed

    def presumed(self, paths: set[tuple[str, ...]], previous_id: str | None) -> list[str]:
        """The paths that lead to a status which is only assumed."""
        found = []
        for path in sorted(paths):
            name = path[1] if path[0] == "steps" and len(path) > 1 else previous_id
            if path[0] in ("steps", "previous_step") and name is not None and self._presumed.get(name):
                found.append(".".join(path))
        return found

    def supposed(self, step_id: str, iteration: tuple[int, ...]) -> dict[str, Any]:
        """The context of a step that is not reached.

        Unknown results of others are assumed.
        """
        needs = self.run.plan.needs(step_id)
        context = self.of(step_id, iteration, None)
        context["steps"] = {**{name: assumed("steps", name) for name in needs.steps}, **context["steps"]}
        context["vars"] = {**{name: assumed("vars", name) for name in needs.variables}, **context["vars"]}
        return {**context, "previous_step": assumed("previous_step")}

    # in place of the rows that a run reads

    def _fetch(self, ids: set[str]) -> None:
        """Fetch nothing: every known result is remembered."""

    def _last(
        self,
        reader: str,  # noqa: ARG002 - the latest iteration of a loop stands for all
        wanted: list[str],
        iteration: tuple[int, ...],  # noqa: ARG002
    ) -> dict[str, dict[str, Any]]:
        return {name: self._latest[name] for name in wanted if name in self._latest}
