"""The paths that templates and conditions read, found without evaluating them.

Validation uses them to find references to steps that do not exist or run later; planning uses them to find the outputs
that a step needs. Variables of comprehensions are no paths. A path ends before the first key that is computed, so that
``("steps",)`` alone means any step.
"""

from typing import Any

from expressions.conditions.syntax import read
from expressions.template_syntax import Part, has_markup, parse

PathSet = set[tuple[str, ...]]


def paths(source: Any) -> PathSet:
    """The paths in the templates of a text or container.

    A container counts with all its texts and keys. Raises TemplateError.
    """
    found: PathSet = set()
    waiting = [source]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if has_markup(item):
                found |= _template_paths(parse(item))
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
    return found


def condition_paths(source: str) -> PathSet:
    """The paths that a condition reads, those inside ``{{ }}`` too.

    Raises ConditionError.
    """
    condition = read(source)
    found = {item.path for item in condition.reads if not item.local and item.path[0] not in condition.templates}
    return found.union(*map(_template_paths, condition.templates.values()))


def _template_paths(parts: tuple[Part, ...]) -> PathSet:
    reads = (item for part in parts if not isinstance(part, str) for item in part.reads())
    return {(path.root, *map(str, path.steps)) for path, _ in reads}
