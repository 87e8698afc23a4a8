"""Where the branches of a ``parallel`` meet.

By the standard each branch runs to an end of its own, then the successors of the step of type ``parallel`` follow. In
many documents the branches lead to one step after them all. Where every path of every branch leads through such a
step, only one reading is possible, and that step follows the ``parallel``. Steps that only some branches lead to, or
only under a condition, belong to each of these branches, as the standard says.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cacao.reading.blocks import Blocks, listed, next_of, successors

#: candidates tried for the step where branches meet
_MOST_TRIED = 5


def shared(blocks: Blocks, starts: Iterable[str]) -> list[str]:
    """The steps that more than one branch reaches, in order, without ends."""
    owner: dict[str, int] = {}
    found: dict[str, None] = {}
    for number, start in enumerate(starts):
        waiting, seen = deque([start]), set()
        while waiting:
            cacao_id = waiting.popleft()
            step = blocks.step(cacao_id)
            if step is None or cacao_id in seen or step.get("type") == "end":
                continue
            seen.add(cacao_id)
            blocks.visit()
            if owner.setdefault(cacao_id, number) != number:
                found.setdefault(cacao_id)
                continue
            waiting.extend(successors(step))
    return list(found)


def meeting(blocks: Blocks, starts: list[str], among: list[str]) -> str | None:
    """The first candidate on every path of every branch, else None."""
    for cacao_id in among[:_MOST_TRIED]:
        if not any(_escapes(blocks, start, cacao_id) for start in starts):
            return cacao_id
    return None


def reached(blocks: Blocks, start: str) -> set[str]:
    """All steps that a step leads to."""
    waiting, seen = deque([start]), set()
    while waiting:
        cacao_id = waiting.popleft()
        step = blocks.step(cacao_id)
        if step is not None and cacao_id not in seen:
            seen.add(cacao_id)
            blocks.visit()
            waiting.extend(successors(step))
    return seen


def _escapes(blocks: Blocks, start: str, gate: str) -> bool:
    """Whether a path reaches the end of its branch without passing ``gate``."""
    ahead: list[tuple[Any, tuple[str, ...]]] = [(start, ())]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while ahead:
        cacao_id, behind = ahead.pop()
        if cacao_id == gate:
            continue
        step = blocks.step(cacao_id)
        if step is None:
            return True
        if (cacao_id, behind) in seen:
            continue
        seen.add((cacao_id, behind))
        blocks.visit()
        for following in _onward(step, behind):
            if following is None:
                return True
            ahead.append(following)
    return False


def _onward(step: Mapping[str, Any], behind: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]] | None]:
    """The successors of a step, with the steps after the surrounding conditions.

    None stands for the end of the branch.
    """
    after = None if step.get("type") == "end" else next_of(step)
    if step.get("type") in ("if-condition", "switch-condition"):
        cases = step.get("cases")
        inside = behind if after is None else (*behind, after)
        links = [step.get("on_true", after), step.get("on_false", after), *_values(cases)]
        if step["type"] == "switch-condition" and "default" not in (cases if isinstance(cases, dict) else ()):
            links.append(after)
        for link in links:
            yield _ended(behind) if link is None else (link, inside if link != after else behind)
    else:
        yield _ended(behind) if after is None else (after, behind)
    if isinstance(step.get("on_failure"), str):
        yield step["on_failure"], behind


def _ended(behind: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    return (behind[-1], behind[:-1]) if behind else None


def _values(cases: Any) -> list[Any]:
    return listed(list(cases.values())) if isinstance(cases, dict) else []
