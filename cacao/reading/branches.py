"""Where the branches of a ``parallel`` come together.

By the standard each branch runs to an end of its own, and the step of type ``parallel`` leads on. Many documents do
not write it that way: their branches lead to one step behind them all. Where every way of every branch passes through
such a step it can be meant in no other way, and that step stands behind the ``parallel``. Steps that only some branches
lead to, or only if a condition holds, belong to each of these branches, as the standard has it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cacao.reading.blocks import Blocks, listed, next_of, successors

#: steps tried as the one where branches meet
_MOST_TRIED = 5


def shared(blocks: Blocks, starts: Iterable[str]) -> list[str]:
    """The steps that more than one branch leads to, in the order in which they are met; ends do not count."""
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
    """The first of some steps through which every way of every branch passes; None where there is none."""
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
    """Whether some way from a step comes to the end of its branch without passing through ``gate``."""
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
    """Where a step leads to, with what follows behind the conditions around it; None for the end of the branch."""
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
