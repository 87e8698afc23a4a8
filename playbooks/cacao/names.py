"""What a CACAO document's variables are called here, and how they are read.

A CACAO variable ``__ip__`` is written ``__ip__:value`` wherever its value is meant. Here a playbook's variable is a
parameter of the run, and what a step returns (its ``out_args``) is kept as ``vars``: a variable that is returned
anywhere is read from ``vars`` and, as long as nothing has returned it, from what it was declared with.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from expressions.template_syntax import has_markup, parse
from expressions.values import TemplateError
from playbooks.parameters import MAX_PARAMETERS
from playbooks.step_types import RESERVED_NAMES

#: a variable's name, and where its value is meant; names are as long as the standard lets them be
_NAME = re.compile(r"__[A-Za-z_][A-Za-z0-9_-]{0,199}__")
_VALUE = re.compile(r"__[A-Za-z_](?>[A-Za-z0-9_-]*)(?<=__):value")
_MARKUP = re.compile(r"\{[{%#]")
_LONGEST = 60
#: what a step's variable starts with stands in the templates that read it, unless it is longer
_MAX_INITIAL = 1000
#: characters of a message to a person
_MAX_MESSAGE = 60_000
#: the type of a CACAO variable → that of a parameter; every other is a text
TYPES = {"bool": "boolean", "integer": "integer", "long": "integer", "float": "number", "dictionary": "object"}


class Names:
    """The variables of one document; ``returned``, by our names, are those that a step here sets (None: any may)."""

    def __init__(self, document: Mapping[str, Any], returned: Collection[str] | None = None) -> None:
        self.declared: dict[str, Mapping[str, Any]] = _objects(document.get("playbook_variables"))
        self._of_steps: dict[str, Mapping[str, Any]] = {}
        named: set[str] = set()
        self._native: dict[str, str] = {}
        for step in _objects(document.get("workflow")).values():
            for name, variable in _objects(step.get("step_variables")).items():
                if variable.get("value") is not None or name not in self._of_steps:
                    self._of_steps[name] = variable
            named.update(name for name in _listed(step.get("out_args")) if _NAME.fullmatch(name))
        for name in [*self.declared, *self._of_steps, *sorted(named)]:
            self.native(name)
        self._named = named
        self._returned = named if returned is None else {name for name in named if self.native(name) in returned}

    def native(self, name: str) -> str:
        """What a variable is called here: its name without the underscores around it, unless that is taken."""
        if name not in self._native:
            plain = re.sub(r"[^A-Za-z0-9_]", "_", name.strip("_"))[:_LONGEST] or "variable"
            plain = f"_{plain}" if plain[0].isdigit() else plain
            taken = {*self._native.values(), *RESERVED_NAMES, "index", "item"}
            self._native[name] = next(one for one in _numbered(plain) if one not in taken)
        return self._native[name]

    def known(self, name: str) -> bool:
        """Whether a variable is declared anywhere, or returned by a step."""
        return name in self._native

    def type(self, name: str) -> str:
        """The declared type of a variable, in the words of the standard."""
        return str(self.variable(name).get("type", "string"))

    def all_returned(self, returned: Collection[str]) -> bool:
        """Whether every variable that is read as returned is among these."""
        return all(self.native(name) in returned for name in self._returned)

    def is_returned(self, name: str) -> bool:
        """Whether a step here sets the variable."""
        return name in self._returned

    def told_by_people(self, name: str) -> bool:
        """Whether a step returns the variable that a person carries out here, so that nobody but people knows it."""
        return name in self._named - self._returned

    def variable(self, name: str) -> Mapping[str, Any]:
        """How a variable was declared: by the playbook, or by a step; empty where it was not."""
        return self.declared.get(name) or self._of_steps.get(name) or {}

    @cached_property
    def parameters(self) -> list[str]:
        """The variables that become parameters: the playbook's, and those of steps that no template has room for.

        Where they are too many, those stay behind whose values can stand in the templates that read them.
        """
        found = [
            *self.declared,
            *(name for name in self._of_steps if name not in self.declared and self._is_long(name)),
        ]
        if len(found) <= MAX_PARAMETERS:
            return found
        needed = [name for name in found if self._is_long(name) or self.declared.get(name, {}).get("external")]
        kept = {*[*needed, *(name for name in found if name not in needed)][:MAX_PARAMETERS]}
        return [name for name in found if name in kept]

    def _is_long(self, name: str) -> bool:
        initial = self.variable(name).get("value")
        return isinstance(initial, str) and len(initial) > _MAX_INITIAL

    def read(self, name: str, otherwise: str = '""') -> str:
        """The path, with what stands in for it, that gives a variable's value in a template; at last ``otherwise``."""
        native, initial = self.native(name), self.variable(name).get("value")
        paths = [f"vars.{native}"] if name in self._returned else []
        if name in self._set_of_parameters:
            paths.append(f"parameters.{native}")
            if not self.variable(name).get("external") and not self._is_long(name):
                paths.append(otherwise)
        else:
            paths.append(json.dumps(initial, ensure_ascii=False) if isinstance(initial, str) else otherwise)
        first, *others = paths
        return first + "".join(f" | default({other})" for other in others)

    @cached_property
    def _set_of_parameters(self) -> frozenset[str]:
        return frozenset(self.parameters)

    def used(self, text: str) -> list[str]:
        """The known variables whose values a text asks for, each once, in order."""
        asked = dict.fromkeys(found[: -len(":value")] for found in _VALUE.findall(text))
        return [name for name in asked if self.known(name)]

    def template(self, text: str, read: Callable[[str], str] | None = None) -> str:
        """A text of the document as a template of ours: values filled in as ``read`` says, all else as it stands."""
        pieces, end, path = [], 0, read or self.read
        for found in _VALUE.finditer(text):
            name = found[0][: -len(":value")]
            pieces.append(_literal(text[end : found.start()]))
            pieces.append(f"{{{{ {path(name)} }}}}" if self.known(name) else found[0])
            end = found.end()
        return "".join([*pieces, _literal(text[end:])])

    def message(self, text: str) -> str:
        """A text for people: as a template, or, where none may be so large, as it was written."""
        made = self.template(text[:_MAX_MESSAGE])
        return (
            made
            if is_template(made)
            else _MARKUP.sub(lambda found: " ".join(found[0]), text[:_MAX_MESSAGE])[:_MAX_MESSAGE]
        )

    def replaced(self, text: str, put: Callable[[str], str]) -> str:
        """The same with what ``put`` gives for each variable, and nothing else changed."""

        def one(found: re.Match[str]) -> str:
            name = found[0][: -len(":value")]
            return put(name) if self.known(name) else found[0]

        return _VALUE.sub(one, text)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        number += 1
        yield f"{name}_{number}"


def is_template(text: str) -> bool:
    """Whether a text is within the limits of templates, or has no markup at all."""
    try:
        return not has_markup(text) or bool(parse(text))
    except TemplateError:
        return False


def _literal(text: str) -> str:
    """Text that is no markup, whatever it holds."""
    return _MARKUP.sub(lambda found: f"{{{{ '{found[0]}' }}}}", text)


def _objects(value: Any) -> dict[str, Any]:
    """The members of an object that are objects themselves."""
    return {key: one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}


def _listed(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
