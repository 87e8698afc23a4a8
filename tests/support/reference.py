"""A reference interpreter runs a playbook's definition, one step at a time.

It is written from the description of the definition alone and shares no code with the engine, which is compared with
it. Nothing is queued, nothing waits, branches and iterations run in sequence; so it holds for playbooks whose
result does not depend on which branch is faster.
"""

from collections import Counter
from types import SimpleNamespace
from typing import Any

#: action → how many of its first calls fail; None: every one, and in a way that is not worth another attempt
ACTIONS = {"ref-ok": 0, "ref-bad": None, "ref-shaky-1": 1, "ref-shaky-2": 2}
#: playbook → how its run ends
PLAYBOOKS = {"pb-ref-good": "completed", "pb-ref-bad": "failed"}

_LINKS = ("on_true", "on_false", "on_failure", "default")

Step = dict[str, Any]
Iterations = tuple[int, ...]


class Reference:
    """One run of a definition; read ``status``, ``states`` and ``calls`` afterwards."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.policy = definition.get("on_failure", "abort")
        self.retries = definition.get("max_retries", 0) if self.policy == "retry" else 0
        #: (step, iterations of the loops around it, as in "3.1") → status, for every step that was entered
        self.states: dict[tuple[str, str], str] = {}
        #: the same → how often its action was called
        self.calls: Counter[tuple[str, str]] = Counter()
        steps, exception = definition["steps"], definition.get("exception_step")
        failed = self.block(steps, steps[0]["id"], ())
        self.status = "failed" if failed else "completed"
        if failed and exception and failed not in ahead(definition, steps, exception):
            self.block(steps, exception, ())

    def block(self, steps: list[Step], at: str, iterations: Iterations) -> str | None:
        """Run one list of steps; returns the step that failed, if any."""
        while at != "end":
            step = next(step for step in steps if step["id"] == at)
            status, link = self.enter(step, iterations)
            self.states[at, joined(iterations)] = status
            leads_to = target(self.definition, steps, step, link)
            if leads_to == "abort":
                return at
            at = leads_to
        return None

    def enter(self, step: Step, iterations: Iterations) -> tuple[str, str]:
        """Do one step: its status, and which of its links is followed."""
        try:
            if not self.value(step.get("when", "true"), iterations):
                return "skipped", "on_success"
            done, link = getattr(self, "do_" + step["type"])(step, iterations)
        except ZeroDivisionError:  # the one fault of an expression that is used
            done, link = False, "on_failure"
        return ("completed", link) if done else ("failed", "on_failure")

    def value(self, expression: str, iterations: Iterations) -> Any:
        """The value of an expression that CEL and Python share."""
        seen = {
            step: SimpleNamespace(status=status) for (step, at), status in self.states.items() if covers(at, iterations)
        }
        names = {
            "true": True,
            "false": False,
            "index": iterations[-1] if iterations else None,
            "steps": SimpleNamespace(**seen),
        }
        return eval(expression, {"__builtins__": {}}, names)

    def do_action(self, step: Step, iterations: Iterations) -> tuple[bool, str]:
        """Call the action until it works or no attempt is left."""
        failing, place = ACTIONS[step["action_ref"]], (step["id"], joined(iterations))
        while True:
            for _ in range(step.get("retry", {}).get("max_attempts", 1)):
                self.calls[place] += 1
                if failing is None:
                    break
                if self.calls[place] > failing:
                    return True, "on_success"
            if not self.retries:
                return False, "on_failure"
            self.retries -= 1

    def do_condition(self, step: Step, iterations: Iterations) -> tuple[bool, str]:
        """Two ways on."""
        return True, "on_true" if self.value(step["expression"], iterations) else "on_false"

    def do_switch(self, step: Step, iterations: Iterations) -> tuple[bool, str]:
        """Many ways on."""
        return True, f"case {self.value(step['expression'], iterations)}"

    def do_delay(self, _step: Step, _iterations: Iterations) -> tuple[bool, str]:
        """Time does not matter here."""
        return True, "on_success"

    def do_playbook(self, step: Step, _iterations: Iterations) -> tuple[bool, str]:
        """Another playbook, of which it is known how it ends."""
        return PLAYBOOKS[step["playbook_ref"]] == "completed", "on_success"

    def do_parallel(self, step: Step, iterations: Iterations) -> tuple[bool, str]:
        """Run every branch; with ``continue_on_error`` its failure does not count."""
        failed = [
            branch.get("on_failure", "abort") == "abort"
            for branch in step["branches"]
            if self.block(branch["steps"], branch["steps"][0]["id"], iterations)
        ]
        return not any(failed), "on_success"

    def do_loop(self, step: Step, iterations: Iterations) -> tuple[bool, str]:
        """Run while the condition holds; one iteration too many is a failure."""
        number = 0
        while self.value(step["while"], (*iterations, number)):
            too_many = number >= step.get("max_iterations", 100)
            if too_many or self.block(step["steps"], step["steps"][0]["id"], (*iterations, number)):
                return False, "on_failure"
            number += 1
        return True, "on_success"

    def do_for_each(self, step: Step, iterations: Iterations) -> tuple[bool, str]:
        """Run item by item; a failed iteration ends it, unless ``continue_on_error``."""
        well = True
        for number in range(len(step["items"])):
            well &= not self.block(step["steps"], step["steps"][0]["id"], (*iterations, number))
            if not well and not step.get("continue_on_error"):
                break
        return well, "on_success"


def joined(iterations: Iterations) -> str:
    """Iterations as they are written in ids."""
    return ".".join(map(str, iterations))


def covers(at: str, iterations: Iterations) -> bool:
    """Whether ``iterations`` sees the result at ``at``: in or around them."""
    return iterations[: len(at.split(".")) if at else 0] == tuple(int(number) for number in at.split(".") if number)


def target(definition: dict[str, Any], steps: list[Step], step: Step, link: str) -> str:
    """A link's target: a step of the list, ``end``, or ``abort``."""
    passed_over = step.get("continue_on_error") or definition.get("on_failure") == "continue"
    written = step.get(link, "next")
    if link.startswith("case "):
        written = step["cases"].get(link.removeprefix("case "), step.get("default", "next"))
    elif link == "on_failure":
        written = step.get(link, "continue" if passed_over else "abort")
    if written == "continue":
        written = step.get("on_success", "next")
    if written != "next":
        return written
    entered = {one.get(name) for one in steps for name in _LINKS} | {definition.get("exception_step")}
    entered |= {case for one in steps for case in one.get("cases", {}).values()}
    later = steps[steps.index(step) + 1 :]
    return next((one["id"] for one in later if one["id"] not in entered), "end")


def ahead(definition: dict[str, Any], steps: list[Step], first: str) -> set[str]:
    """A step and all that may follow it in its list."""
    found, waiting = {"end", "abort"}, [first]
    while waiting:
        at = waiting.pop()
        if at in found:
            continue
        found.add(at)
        step = next(step for step in steps if step["id"] == at)
        links = ["on_failure"]
        if step["type"] not in ("condition", "switch") or "when" in step:
            links.append("on_success")
        if step["type"] == "condition":
            links += ["on_true", "on_false"]
        elif step["type"] == "switch":
            links += [*(f"case {case}" for case in step["cases"]), "case ?"]
        waiting += [target(definition, steps, step, link) for link in links]
    return found - {"end", "abort"}
