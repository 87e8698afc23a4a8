"""The names of a CACAO document's variables here, and their values.

A CACAO variable ``__ip__`` is written ``__ip__:value`` wherever its value is meant. Here an external variable is a
parameter of the run, and what a step returns (its ``out_args``) is stored in ``vars``. So a variable is read from
``vars`` where a step returns it, until then from the parameter; any other has its declared value, written out, which
the starter of a run cannot change. A constant keeps its value, whatever steps return.

In order of time: ``Names`` learns every variable of a document and gives it a name; ``within`` a step its own
declarations come first; ``read``, ``given`` and ``argument`` return the expression for a value; ``template`` and
``message`` do that for every variable in a text.
"""

import copy
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, Self

from cacao.model.texts import MARKUP, literal, templates, texts
from cacao.model.variables import NAME, Variable, Wanted, as_native, from_document
from expressions.limits import MAX_TEMPLATE_CHARACTERS
from expressions.template_syntax import has_markup, parse
from expressions.values import TemplateError
from playbooks.definitions.parameters import MAX_PARAMETERS
from playbooks.definitions.step_types import RESERVED_NAMES

#: characters of a variable's name here
_LONGEST, _LONGEST_PLAIN = 64, 60
#: characters of a message to a person
_MAX_MESSAGE = 60_000
#: type of a CACAO variable → type of its parameter; all others are texts
TYPES = {"bool": "boolean", "integer": "integer", "long": "integer", "float": "number", "dictionary": "object"}
#: characters of a number that the filter ``int`` reads
_MOST_DIGITS = 18
#: steps that contain no others, so that no other step sees their declarations
_ALONE = ("action", "playbook-action")


class Names:
    """The variables of one document.

    ``returned`` are those that a step here sets, by their names here (None: any may).
    """

    def __init__(self, document: Mapping[str, Any], returned: Collection[str] | None = None) -> None:
        self.declared: dict[str, Mapping[str, Any]] = _objects(document.get("playbook_variables"))
        self._of_steps: dict[str, Mapping[str, Any]] = {}
        #: the declarations of the step in view, and those of them that no other step can return
        self.own: dict[str, Mapping[str, Any]] = {}
        self.fixed: frozenset[str] = frozenset()
        named: set[str] = set()
        for step in _objects(document.get("workflow")).values():
            for name, variable in _objects(step.get("step_variables")).items():
                if variable.get("value") is not None or name not in self._of_steps:
                    self._of_steps[name] = variable
            named.update(name for name in _listed(step.get("out_args")) if NAME.fullmatch(name))
        self._native: dict[str, str] = {}
        self._taken = {*RESERVED_NAMES, "index", "item"}
        self._numbers: dict[str, int] = {}
        for name in [*self.declared, *self._of_steps, *sorted(named)]:
            self.native(name)
        self._known = frozenset(self._native)
        self._wanted = Wanted(name for name in self._known if NAME.fullmatch(name))
        self._named = frozenset(name for name in named if self.settable(name))
        self._returned = frozenset(name for name in self._named if returned is None or self.native(name) in returned)
        #: the variables that become parameters, as many as a playbook may have
        self.parameters: list[str] = list(islice(filter(self.from_outside, self.declared), MAX_PARAMETERS))
        self._parameters = frozenset(self.parameters)

    def within(self, step: Mapping[str, Any]) -> Self:
        """The names in the view of a step.

        A declaration with a value hides variables of the same name.
        """
        own = {
            name: variable
            for name, variable in _objects(step.get("step_variables")).items()
            if name in self._known and variable.get("value") is not None
        }
        if not own:
            return self
        view = copy.copy(self)
        view.own = own
        view.fixed = frozenset(own) if step.get("type") in _ALONE else frozenset()
        return view

    def native(self, name: str) -> str:
        """The name of a variable here: without underscores, made unique."""
        if name not in self._native:
            plain = re.sub(r"[^A-Za-z0-9_]", "_", name.strip("_"))[:_LONGEST_PLAIN] or "variable"
            plain = f"_{plain}" if plain[0].isdigit() else plain
            self._native[name] = self._free(plain)
        return self._native[name]

    def _free(self, plain: str) -> str:
        """The name itself, or the first numbered one that is free.

        No number is tried twice.
        """
        made = plain
        while made in self._taken:
            number = self._numbers[plain] = self._numbers.get(plain, 1) + 1
            made = f"{plain[: _LONGEST - len(str(number)) - 1]}_{number}"
        self._taken.add(made)
        return made

    def known(self, name: str) -> bool:
        """Whether a variable is declared anywhere, or returned by a step."""
        return name in self._known

    def type(self, name: str) -> str:
        """The declared type of a variable, in the standard's words."""
        return str(self.variable(name).get("type", "string"))

    def is_constant(self, name: str) -> bool:
        """Whether a variable never changes."""
        return self.variable(name).get("constant") is True

    def settable(self, name: str) -> bool:
        """Whether the output of a step may set the variable."""
        return self.known(name) and not self.is_constant(name)

    def from_outside(self, name: str) -> bool:
        """Whether the starter of a run may set the variable.

        It is external, and no constant with a value.
        """
        variable = self.declared.get(name, {})
        return variable.get("external") is True and not (
            variable.get("constant") is True and variable.get("value") is not None
        )

    def all_returned(self, returned: Collection[str]) -> bool:
        """Whether these contain every variable that is read as returned."""
        return all(self.native(name) in returned for name in self._returned)

    def is_returned(self, name: str) -> bool:
        """Whether a step here sets the variable."""
        return name in self._returned and name not in self.fixed

    def only_people_know(self, name: str) -> bool:
        """Whether only people know the variable, because they carry out its step."""
        return name in self._named and name not in self._returned and name not in self.fixed

    def variable(self, name: str) -> Mapping[str, Any]:
        """The declaration of a variable, empty where there is none.

        The step's own comes first, then the playbook's, then another step's.
        """
        return self.own.get(name) or self.declared.get(name) or self._of_steps.get(name) or {}

    def available(self, name: str) -> bool:
        """Whether the variable may have a known value when it is read."""
        return not self.only_people_know(name) and (self._is_changing(name) or self._initial(name) is not None)

    def readable(self, name: str) -> bool:
        """Whether ``argument`` works: the value is known and fits a template."""
        return not self.only_people_know(name) and all(map(is_template, texts(self.argument(name))))

    def read(self, name: str, otherwise: str = '""') -> str:
        """The expression for a variable's value in a template, with its type.

        ``otherwise`` is the last resort.
        """
        sources = self._sources(name)
        certain = bool(sources) and not sources[-1].startswith("vars.")
        return _first_of(sources if certain else [*sources, otherwise])

    def text(self, name: str) -> str:
        """The expression for a variable's value as text; fails without a value."""
        return f"{_first_of(self._sources(name, as_text=True))} | string"

    def given(self, name: str) -> str:
        """An available variable as an action's text: a template or the text."""
        own = self._initial(name)
        if own is not None and not self._is_changing(name):
            return literal(own)
        return f"{{{{ {self.text(name)} }}}}"

    def argument(self, name: str) -> Any:
        """A variable's value for a playbook, with its type, None for none."""
        if self._is_changing(name):
            return f"{{{{ {self.read(name, 'none')} }}}}"
        return templates(self.value(name), literal)

    def _is_changing(self, name: str) -> bool:
        return self.is_returned(name) or self._is_parameter(name)

    def _is_parameter(self, name: str) -> bool:
        return name in self._parameters and name not in self.own

    def _sources(self, name: str, *, as_text: bool = False) -> list[str]:
        """The expressions for a variable; the first with a value counts."""
        native = self.native(name)
        found = [f"vars.{native}"] if self.is_returned(name) else []
        if self._is_parameter(name):
            return [*found, f"parameters.{native}"]
        value = self._initial(name) if as_text else self.value(name)
        return found if value is None else [*found, _constant(value, self._initial(name) or "")]

    def _initial(self, name: str) -> str | None:
        """The text of the variable's declared value."""
        return self._declared(name).value

    def value(self, name: str) -> Any:
        """The declared value with its type; a misfit stays a text."""
        return as_native(self._declared(name))

    def _declared(self, name: str) -> Variable:
        try:
            return from_document(self.variable(name))
        except TemplateError:  # the value has no form in JSON
            return Variable(type=self.type(name))

    def used(self, text: str) -> list[str]:
        """The known variables whose values a text asks for, in order."""
        return list(dict.fromkeys(name for _, _, name in self._wanted.places(text)))

    def template(self, text: str, read: Callable[[str], str | None] | None = None) -> str:
        """A text of the document as a template.

        ``read`` returns the expression for each variable; None leaves it as it is written. A template longer than the
        limit is cut behind it: ``is_template`` still refuses it, and small values that are used many times cost no
        more.
        """
        expression, made, length = cache(read or self.read), [""], 0
        for piece, is_name in self._pieces(text):
            path = expression(piece) if is_name else None
            if path is None:
                made.append(f"{piece}:value" if is_name else literal(piece))
                continue
            if made[-1].endswith("{"):  # together with the markup that follows it would be misread
                made[-1] = f"{made[-1][:-1]}{{{{ '{{' }}}}"
            made.append(f"{{{{ {path} }}}}")
            length += len(made[-2]) + len(made[-1])
            if length > MAX_TEMPLATE_CHARACTERS:
                break
        return "".join(made)

    def message(self, text: str) -> str:
        """A template for people, or plain text if that is too large.

        A variable whose value Tocsin does not know stays as its name, for a person who may know it.
        """
        short = text[:_MAX_MESSAGE]
        unknown = {name for name in self.used(short) if not self.available(name)}
        made = self.template(short, lambda name: None if name in unknown else self.read(name))
        return made if is_template(made) else MARKUP.sub(lambda found: " ".join(found[0]), short)[:_MAX_MESSAGE]

    def replaced(self, text: str, put: Callable[[str], str]) -> str:
        """The text with ``put`` of each variable, and nothing else changed."""
        return "".join(put(piece) if is_name else piece for piece, is_name in self._pieces(text))

    def places(self, text: str) -> Iterator[tuple[int, int, str]]:
        """The start, end and name of each use of a known variable."""
        return self._wanted.places(text)

    def _pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """The pieces of a text cut at its variables.

        Each comes with whether it is one.
        """
        end = 0
        for start, stop, name in self._wanted.places(text):
            yield text[end:start], False
            yield name, True
            end = stop
        yield text[end:], False


def is_template(text: str) -> bool:
    """Whether a text is a valid template or has no markup."""
    try:
        return not has_markup(text) or bool(parse(text))
    except TemplateError:
        return False


def _first_of(expressions: list[str]) -> str:
    first, *others = expressions
    return first + "".join(f" | default({other})" for other in others)


def _constant(value: Any, text: str) -> str:
    """A value written in a template, with its type where possible."""
    number = json.dumps(value) if isinstance(value, int | float) else "-"
    if not number.startswith("-"):  # a template has no signs
        return number
    # a template reads also a text that looks like the path of a step as one
    written = json.dumps(text, ensure_ascii=False).replace("steps.", "\\u0073teps.")
    return f"{written} | int" if isinstance(value, int) and len(text) <= _MOST_DIGITS else written


def _objects(value: Any) -> dict[str, Any]:
    """The members of an object that are objects themselves."""
    return {key: one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}


def _listed(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
