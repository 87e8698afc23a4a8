"""The texts of a CACAO document as templates of Tocsin.

Nothing in such a text is markup unless the importer put it there.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

#: the beginnings of markup in a template
MARKUP = re.compile(r"\{[{%#]")


def literal(text: str) -> str:
    """A template that renders to exactly this text."""
    return MARKUP.sub(lambda found: f"{{{{ '{found[0]}' }}}}", text)


def templates(value: Any, template: Callable[[str], str]) -> Any:
    """A value with each text and key in it as a template.

    Recurses as deep as a request body may be nested.
    """
    if isinstance(value, dict):
        return {template(key): templates(one, template) for key, one in value.items()}
    if isinstance(value, list):
        return [templates(one, template) for one in value]
    return template(value) if isinstance(value, str) else value


def texts(value: Any) -> Iterator[str]:
    """Every text and key in a value."""
    if isinstance(value, str):
        yield value
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from texts(one)
