"""Two runs of a playbook compared: predicted or earlier, and actual.

A step that was skipped and one that was never reached count as equal. For steps that ran, the comparison covers the
status, the parameters member by member, and the outcome of a condition or switch. Where a dry run could not know a
value, its parameters have a placeholder such as ``<steps.lookup.output.address>``: a value that fits it is no
difference, but ``assumed``. A dry run makes one iteration of a loop and a few of a for_each; later iterations are
compared with its last one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from config.pointers import step
from playbooks.differences import differences
from playbooks.states import Status

#: a step: step_id, iteration, type, status, input, output
Step = Mapping[str, Any]
Key = tuple[str, str]

_PLACEHOLDER = re.compile(r"<steps\.[^<>]*>")
_DECIDING = frozenset({"condition", "switch"})


def compare(before: Iterable[Step], after: Iterable[Step], *, predicted: bool) -> dict[str, Any]:
    """``same``, and for each step its ``verdict``, ``differences`` and ``assumed`` values.

    ``predicted`` says that the first run is a dry run. The steps come in the order of the first run, then those that
    only the second has.
    """
    first, second = _by_key(before), _by_key(after)
    stand_ins = {step_id: step for (step_id, _), step in first.items() if step["status"] != Status.SKIPPED}
    compared = []
    for key in [*first, *(key for key in second if key not in first)]:
        earlier, later = first.get(key), second.get(key)
        if earlier is None and predicted and later is not None and later["iteration"] and key[0] in stand_ins:
            found = _later_iteration(stand_ins[key[0]], later)
        else:
            found = _compared(earlier, later)
        compared.append({"step_id": key[0], "iteration": key[1], **found})
    return {"same": all(step["verdict"] == "same" for step in compared), "steps": compared}


def _by_key(steps: Iterable[Step]) -> dict[Key, Step]:
    return {(step["step_id"], step["iteration"]): step for step in steps}


def _verdict(changes: list[dict[str, Any]], assumed: list[dict[str, Any]]) -> dict[str, Any]:
    return {"verdict": "differs" if changes else "same", "differences": changes, "assumed": assumed}


def _difference(pointer: str, predicted: Any, actual: Any) -> dict[str, Any]:
    return {"pointer": pointer, "predicted": predicted, "actual": actual}


def _compared(before: Step | None, after: Step | None) -> dict[str, Any]:
    was, is_ = _status(before), _status(after)
    if was == is_ == Status.SKIPPED:
        return _verdict([], [])
    if before is None or after is None:
        return {**_verdict([], []), "verdict": "only_in_second" if before is None else "only_in_first"}
    changes = [_difference("/status", was, is_)] if was != is_ else []
    assumed: list[dict[str, Any]] = []
    if Status.SKIPPED not in (was, is_):
        expected = _settled(before["input"], after["input"], "/input", assumed)
        changes += [
            _difference(change["pointer"], change["from"], change["to"])
            for change in differences({"input": expected}, {"input": after["input"]})
        ]
        changes += _ways(before, after)
    return _verdict(changes, assumed)


def _later_iteration(last: Step, after: Step) -> dict[str, Any]:
    """An iteration beyond those predicted, compared with the last of them."""
    changes = [_difference("/status", last["status"], after["status"])] if last["status"] != after["status"] else []
    return _verdict(changes, [_difference("/iteration", last["iteration"], after["iteration"])])


def _status(step: Step | None) -> str:
    return Status.SKIPPED if step is None else str(step["status"])


def _ways(before: Step, after: Step) -> list[dict[str, Any]]:
    """The difference between the outcomes of a decision."""
    if before["type"] not in _DECIDING:
        return []
    was, is_ = ((step["output"] or {}).get("next") for step in (before, after))
    return [_difference("/output/next", was, is_)] if was != is_ else []


def _settled(predicted: Any, actual: Any, pointer: str, assumed: list[dict[str, Any]]) -> Any:
    """The prediction with actual values for the placeholders that they fit."""
    if isinstance(predicted, str):
        if _PLACEHOLDER.search(predicted) and _fits(predicted, actual):
            assumed.append(_difference(pointer, predicted, actual))
            return actual
    elif isinstance(predicted, Mapping) and isinstance(actual, Mapping):
        return {
            name: _settled(value, actual[name], pointer + step(name), assumed) if name in actual else value
            for name, value in predicted.items()
        }
    elif isinstance(predicted, list) and isinstance(actual, list):
        both = min(len(predicted), len(actual))
        settled = [_settled(predicted[at], actual[at], f"{pointer}/{at}", assumed) for at in range(both)]
        return settled + predicted[both:]
    return predicted


def _fits(predicted: str, actual: Any) -> bool:
    """Whether a value fits a text with placeholders.

    The text between them must occur in order.
    """
    pieces = _PLACEHOLDER.split(predicted)
    if not any(pieces) and len(pieces) == 2:  # noqa: PLR2004 - nothing before and nothing after: any value
        return True
    if not isinstance(actual, str) or not actual.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = actual.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return actual.endswith(pieces[-1]) and len(actual) - len(pieces[-1]) >= at
