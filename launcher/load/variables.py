"""Fills in the variables of an action's config: ``${NAME}``.

A team keeps its definitions in a repository, and neither tokens nor the addresses of one installation belong there.
Names are in capitals, ``$${NAME}`` stands for the text itself, and a script is left alone, because the shell has
variables of that form.
"""

import re
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step

_VARIABLE = re.compile(r"\$(\$?)\{([A-Z][A-Z0-9_]*)\}")
#: the member of a config that is left alone
_SCRIPT = "script"


def filled(config: Any, variables: Mapping[str, str]) -> tuple[Any, list[Problem]]:
    """The config with the values of its variables, and a fault for each one that is not set.

    Pointers are relative to the config.
    """
    problems: list[Problem] = []
    return _filled(config, variables, "", problems), problems


def _filled(value: Any, variables: Mapping[str, str], pointer: str, problems: list[Problem]) -> Any:
    if isinstance(value, dict):
        return {
            name: member
            if (pointer, name) == ("", _SCRIPT)
            else _filled(member, variables, pointer + step(name), problems)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_filled(one, variables, pointer + step(number), problems) for number, one in enumerate(value)]
    if not isinstance(value, str):
        return value

    def value_of(found: re.Match[str]) -> str:
        escaped, name = found[1], found[2]
        if escaped:
            return found[0][1:]
        if name not in variables:
            problems.append(Problem(pointer, f"the variable {name} is not set: export it, or give --set {name}=VALUE"))
        return variables.get(name, "")

    return _VARIABLE.sub(value_of, value)
