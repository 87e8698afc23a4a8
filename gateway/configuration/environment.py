"""References to the environment, ``${NAME}``, in the configuration of providers.

They are kept as references and replaced when a call is made, so that a credential is in no file, no generation and no
revision.
"""

import re
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,127})\}")
#: a reference that is none; ``${{`` is a dollar before a template
_BROKEN = re.compile(r"\$\{(?!\{)(?![A-Za-z_][A-Za-z0-9_]{0,127}\})")


def references(value: Any) -> set[str]:
    """The names that a value refers to, keys aside."""
    if isinstance(value, str):
        return set(_REFERENCE.findall(value))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(references, parts))


def check(value: Any, environment: Mapping[str, str], pointer: str = "") -> list[Problem]:
    """The faults of all references in a value."""
    if isinstance(value, dict):
        return [problem for name, item in value.items() for problem in check(item, environment, pointer + step(name))]
    if isinstance(value, list):
        found = (check(item, environment, f"{pointer}/{number}") for number, item in enumerate(value))
        return [problem for problems in found for problem in problems]
    if not isinstance(value, str):
        return []
    if _BROKEN.search(value):
        return [Problem(pointer, "a reference to the environment is written ${NAME}: letters, digits and underscores")]
    return [
        Problem(pointer, _missing(name, environment))
        for name in dict.fromkeys(_REFERENCE.findall(value))
        if not environment.get(name)
    ]


def _missing(name: str, environment: Mapping[str, str]) -> str:
    if name.startswith("TOCSIN_"):
        return f"{name} is Tocsin's own setting and is not given to providers"
    return f"the environment has no {name}{did_you_mean(name, sorted(environment))}"


def filled_in(value: Any, environment: Mapping[str, str]) -> Any:
    """The value with its references replaced; unknown ones stay."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: environment.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: filled_in(item, environment) for name, item in value.items()}
    return [filled_in(item, environment) for item in value] if isinstance(value, list) else value


def without(text: str) -> str:
    """The text without its references."""
    return _REFERENCE.sub("", text)
