"""Random playbooks to compare with ``tests.support.reference``, and smaller variants of one.

Every playbook drawn is valid and has one result only: iterations that may fail run in sequence unless all of them
run anyway, and no steps that compete for the retries of the whole run are in parallel.
"""

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import hypothesis
from hypothesis import strategies as st

from tests.support.reference import ACTIONS, PLAYBOOKS, Step, ahead

DEEPEST = 3
#: members that lead to other steps
LINKS = ("on_success", "on_failure", "on_true", "on_false", "default")
_REQUIRED = {"id", "type", "action_ref", "playbook_ref", "expression", "cases", "branches", "while", "items", "steps"}


def some(number: int, seed: int) -> list[dict[str, Any]]:
    """Draw ``number`` different playbooks, the same for the same seed."""
    found: list[dict[str, Any]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(playbooks())
    def collect(definition: dict[str, Any]) -> None:
        found.append(definition)

    collect()
    return found


@st.composite
def playbooks(draw: st.DrawFn) -> dict[str, Any]:
    """A definition, ready to be created."""
    made = _Maker(draw)
    steps = made.block(0, loops=0, least=2)
    definition = {"steps": steps, "on_failure": draw(st.sampled_from(["abort", "abort", "continue", "retry"]))}
    if definition["on_failure"] == "retry":
        definition["max_retries"] = draw(st.integers(0, 3))
        for step in every(steps):
            step.pop("max_concurrency", None)
            if "branches" in step:
                del step["branches"][1:]
    if len(steps) > 1 and draw(st.integers(0, 2)) == 0:
        definition["exception_step"] = draw(st.sampled_from(steps[1:]))["id"]
    _prune(definition, steps, definition.get("exception_step"))
    return definition


def every(steps: list[Step]) -> Iterator[Step]:
    """All steps, also those inside others."""
    for step in steps:
        yield step
        for block in blocks_of(step):
            yield from every(block)


def blocks_of(step: Step) -> list[list[Step]]:
    """The lists of steps inside a step."""
    own = [step["steps"]] if "steps" in step else []
    return own + [branch["steps"] for branch in step.get("branches", [])]


class _Maker:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.numbers = itertools.count(1)
        self.left = 14

    def one_in(self, number: int) -> bool:
        return self.draw(st.integers(0, number - 1)) == number - 1

    def any_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def block(self, depth: int, loops: int, least: int = 1) -> list[Step]:
        steps: list[Step] = []
        for _ in range(self.draw(st.integers(least, 5 - depth))):
            first = steps[0]["id"] if steps else ""
            steps.append(self.step(depth, loops, first))
        for number, step in enumerate(steps):
            self.link(step, [later["id"] for later in steps[number + 1 :]])
        return steps

    def step(self, depth: int, loops: int, first: str) -> Step:
        self.left -= 1
        kinds = ["action"] * 8 + ["condition"] * 3 + ["switch"] * 2 + ["delay", "playbook"] * (loops == 0)
        if depth < DEEPEST and self.left > 0:
            kinds += ["parallel"] * 3 + ["loop", "for_each"] * 2
        kind = self.any_of(*kinds)
        step = {"id": f"s{next(self.numbers)}", "type": kind}
        if self.one_in(4):
            step["when"] = self.question(loops, first)
        if self.one_in(5):
            step["continue_on_error"] = True
        getattr(self, kind)(step, depth, loops, first)
        return step

    def question(self, loops: int, first: str) -> str:
        choices = ["true", "false", "true", "false", "1 / 0 == 1"]
        choices += ["index < 1", "index == 1"] * (loops > 0)
        if first:
            choices += [f"steps.{first}.status == '{status}'" for status in ("failed", "completed", "skipped")] * 2
        return self.any_of(*choices)

    def link(self, step: Step, later: list[str]) -> None:
        places = ["next", "end", *later, *later]
        kind = step["type"]
        names = {"condition": ["on_true", "on_false"], "switch": ["default"]}.get(kind, ["on_success"])
        step |= {name: self.any_of(*places) for name in names if self.one_in(2 if kind == "condition" else 4)}
        if self.one_in(3):
            step["on_failure"] = self.any_of("abort", "continue", *places)
        if kind == "switch":
            step["cases"] = {case: self.any_of(*places) for case in step["cases"]}

    # the types

    def action(self, step: Step, *_: Any) -> None:
        step["action_ref"] = self.any_of("ref-ok", "ref-ok", "ref-ok", *ACTIONS)
        if self.one_in(3) or (ACTIONS[step["action_ref"]] and self.one_in(2)):
            step["retry"] = {"max_attempts": self.draw(st.integers(1, 3)), "backoff_seconds": 0, "jitter": False}

    def condition(self, step: Step, _depth: int, loops: int, first: str) -> None:
        step["expression"] = self.question(loops, first)

    def switch(self, step: Step, _depth: int, loops: int, first: str) -> None:
        choices = ["'red'", "'blue'"] + ["index"] * (loops > 0) + [f"steps.{first}.status"] * bool(first)
        step["expression"] = self.any_of(*choices)
        step["cases"] = dict.fromkeys(["red", "0", "completed"])

    def delay(self, step: Step, *_: Any) -> None:
        step["seconds"] = 0

    def playbook(self, step: Step, *_: Any) -> None:
        step["playbook_ref"] = self.any_of(*PLAYBOOKS)

    def parallel(self, step: Step, depth: int, loops: int, _first: str) -> None:
        step["branches"] = [{"steps": self.block(depth + 1, loops)} for _ in range(self.draw(st.integers(1, 3)))]
        for branch in step["branches"]:
            if self.one_in(4):
                branch["on_failure"] = "continue"

    def loop(self, step: Step, depth: int, loops: int, first: str) -> None:
        iterations = self.draw(st.integers(0, 3))
        step["while"] = self.any_of(f"index < {iterations}", f"index < {iterations}", self.question(1, first))
        step["max_iterations"] = self.draw(st.integers(1, 3))
        step["steps"] = self.block(depth + 1, loops + 1)

    def for_each(self, step: Step, depth: int, loops: int, _first: str) -> None:
        step["items"] = list(range(self.draw(st.integers(0, 3))))
        step["steps"] = self.block(depth + 1, loops + 1)
        if self.one_in(2):
            step |= {"max_concurrency": self.draw(st.integers(1, 3)), "continue_on_error": True}


def _prune(definition: dict[str, Any], steps: list[Step], exception: str | None = None) -> None:
    """Take out the steps that nothing leads to."""
    while True:
        reached = ahead(definition, steps, steps[0]["id"]) | (
            ahead(definition, steps, exception) if exception else set()
        )
        if len(reached) == len(steps):
            break
        steps[:] = [step for step in steps if step["id"] in reached]
    for step in steps:
        for block in blocks_of(step):
            _prune(definition, block)


def smaller(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Variants with one part less, largest cuts first; some are not valid."""
    ids = [step["id"] for step in every(definition["steps"])]
    yield from (_without(definition, step_id) for step_id in ids)
    yield from (_opened(definition, step["id"]) for step in every(definition["steps"]) if blocks_of(step))
    for step_id in ids:
        yield from _plainer(definition, step_id)
    for member in ("exception_step", "max_retries", "on_failure"):
        if member in definition:
            yield {name: value for name, value in definition.items() if name != member}


def _without(definition: dict[str, Any], step_id: str) -> dict[str, Any]:
    made = copy.deepcopy(definition)
    _cut(made["steps"], step_id)
    for step in every(made["steps"]):
        for name in [name for name in LINKS if step.get(name) == step_id]:
            del step[name]
        if "cases" in step:
            step["cases"] = {case: "next" if to == step_id else to for case, to in step["cases"].items()}
    if made.get("exception_step") == step_id:
        del made["exception_step"]
    return made


def _cut(steps: list[Step], step_id: str) -> None:
    steps[:] = [step for step in steps if step["id"] != step_id]
    for step in steps:
        for block in blocks_of(step):
            _cut(block, step_id)
        if "branches" in step:
            step["branches"] = [branch for branch in step["branches"] if branch["steps"]]


def _opened(definition: dict[str, Any], step_id: str) -> dict[str, Any]:
    """With the steps inside a step in its place."""
    made = copy.deepcopy(definition)
    blocks = [made["steps"], *(block for step in every(made["steps"]) for block in blocks_of(step))]
    for block in blocks:
        block[:] = [one for step in block for one in (blocks_of(step)[0] if step["id"] == step_id else [step])]
    return made


def _plainer(definition: dict[str, Any], step_id: str) -> Iterator[dict[str, Any]]:
    """Variants of a step: without one member, or a working action."""
    [given] = [step for step in every(definition["steps"]) if step["id"] == step_id]
    plain = {"id": step_id, "type": "action", "action_ref": "ref-ok"}
    options = [{name: value for name, value in given.items() if name != member} for member in set(given) - _REQUIRED]
    for option in [plain, *options] if given != plain else options:
        made = copy.deepcopy(definition)
        [step] = [step for step in every(made["steps"]) if step["id"] == step_id]
        step.clear()
        step.update(copy.deepcopy(option))
        yield made
