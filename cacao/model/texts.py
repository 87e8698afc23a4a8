"""The texts of a CACAO document in templates of ours, where nothing that they hold is markup unless we put it there."""

import re
from collections.abc import Callable, Iterator
from typing import Any

#: what would be markup in a template
MARKUP = re.compile(r"\{[{%#]")


def literal(text: str) -> str:
    """Text that is no markup, whatever it holds."""
    return MARKUP.sub(lambda found: f"{{{{ '{found[0]}' }}}}", text)


def templates(value: Any, template: Callable[[str], str]) -> Any:
    """A value of the document with each text in it, keys too, as a template; as deep as a request may be, no deeper."""
    if isinstance(value, dict):
        return {template(key): templates(one, template) for key, one in value.items()}
    if isinstance(value, list):
        return [templates(one, template) for one in value]
    return template(value) if isinstance(value, str) else value


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, keys too."""
    if isinstance(value, str):
        yield value
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from texts(one)
