"""Templates of chains, rewritten into templates of playbooks.

``{{ origin.* }}`` is the dispatch that started the chain and ``{{ prev.* }}`` the answer of the step before;
``{{ steps.NAME.* }}`` is the answer of a step, ``{{ chain_id }}`` the run and ``{{ step_index }}`` the place of the
step in the chain. The answer may be named ``body``, as in ``{{ prev.body.id }}``, or left out: ``{{ prev.id }}``.
"""

import json
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.filters import FILTERS
from expressions.template_syntax import Constant, Default, Expression, Filtered, Part, Path, has_markup, parse
from expressions.values import TemplateError

#: the words for a step's answer, and the parts of its record that are none of the answer
_ANSWER = ("body", "response_body", "output")
_RECORD = ("status", "error")
_NAMES = {id(applied.apply): name for name, applied in FILTERS.items()}


class Rewriting:
    """The templates of one step: what ``prev`` means there, and the step's index.

    ``previous`` is the path to the answer before, or the reason why there is none.
    """

    def __init__(self, previous: tuple[str, ...] | str, index: int) -> None:
        self.previous = previous
        self.index = index
        self.problems: list[Problem] = []

    def value(self, value: Any, pointer: str = "") -> Any:
        """The value with all its templates rewritten; faults are noted by pointer."""
        if isinstance(value, dict):
            return {
                self._text(name, pointer): self.value(item, f"{pointer}{step(name)}") for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item, f"{pointer}/{number}") for number, item in enumerate(value)]
        return self._text(value, pointer) if isinstance(value, str) else value

    def _text(self, text: str, pointer: str) -> str:
        if not has_markup(text):
            return text
        try:
            return "".join(map(self._part, parse(text)))
        except TemplateError as error:
            self.problems.append(Problem(pointer, str(error)))
            return text

    def _part(self, part: Part) -> str:
        if not isinstance(part, str):
            return f"{{{{ {self._spelled(part)} }}}}"
        return f"{{% raw %}}{part}{{% endraw %}}" if has_markup(part) else part

    def _spelled(self, expression: Expression) -> str:
        if isinstance(expression, Path):
            return self._path(expression)
        if isinstance(expression, Constant):
            return _constant(expression.value)
        if isinstance(expression, Default):
            replacement, also = self._spelled(expression.replacement), self._spelled(expression.also_if_empty)
            return f"{self._spelled(expression.operand)} | default({replacement}, {also})"
        assert isinstance(expression, Filtered)
        arguments = ", ".join(map(self._spelled, expression.arguments))
        return f"{self._spelled(expression.operand)} | {_NAMES[id(expression.filter.apply)]}({arguments})"

    def _path(self, path: Path) -> str:
        if path.root == "prev":
            if isinstance(self.previous, str):
                raise TemplateError(self.previous)
            return spelled((*self.previous[:-1], *_answer(path.steps, self.previous[-1])))
        if path.root == "steps" and path.steps:
            return spelled(("steps", path.steps[0], *_answer(path.steps[1:], "output")))
        if path.root == "chain_id" and not path.steps:
            return "execution.id"
        if path.root == "step_index" and not path.steps:
            return str(self.index)
        return spelled((path.root, *path.steps))


def _answer(steps: tuple[str | int, ...], answer: str) -> tuple[str | int, ...]:
    """The steps after a step's name, from its record on."""
    if steps and steps[0] in _ANSWER:
        return (answer, *steps[1:])
    if steps and steps[0] in _RECORD and answer == "output":
        return steps
    return (answer, *steps)


def spelled(path: tuple[str | int, ...]) -> str:
    """A path as templates write it; whatever is no plain name stands in brackets."""
    written = str(path[0])
    for one in path[1:]:
        plain = isinstance(one, str) and one.isascii() and one.isidentifier()
        written += f".{one}" if plain else f"[{_constant(one)}]"
    return written


def _constant(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
