"""Marks the credentials that a provider's config spells out, so that they are sealed.

A marked value is ``{"secret": value}``, the form in which the author of an action has a value sealed. A value that only
refers to the environment or to the payload is none.
"""

from collections.abc import Collection, Mapping
from typing import Any

from config.types import Json
from gateway.configuration import environment
from playbooks.credentials import MASK, is_secret_header, is_secret_member, is_template, spans

WRAPPER = "secret"


def marked(config: Mapping[str, Any], names: Collection[str]) -> Json:
    """The config with its credentials marked; ``names`` are members that always are one."""
    return {name: _marked(name, item, header=name == "headers", always=name in names) for name, item in config.items()}


def _marked(name: str, value: Any, *, header: bool, always: bool) -> Any:
    if is_marked(value):
        return value
    if isinstance(value, dict):
        return {
            inner: _marked(inner, item, header=header, always=header and is_secret_header(inner))
            for inner, item in value.items()
        }
    if isinstance(value, list):
        return [_marked("", item, header=header, always=always) for item in value]
    if not isinstance(value, str) or not value or is_template(environment.without(value)):
        return value
    if always or is_secret_member(name) or spans(environment.without(value), body=name.startswith("body"), most=1):
        return {WRAPPER: value}
    return value


def is_marked(value: Any) -> bool:
    """Whether a value is marked as a credential."""
    return isinstance(value, dict) and value.keys() == {WRAPPER}


def masked(value: Any) -> Any:
    """The value with what is marked replaced by a mask."""
    return _replaced(value, lambda _value: {WRAPPER: MASK})


def plain(value: Any) -> Any:
    """The value without its marks."""
    return _replaced(value, lambda inner: inner)


def _replaced(value: Any, new: Any) -> Any:
    if is_marked(value):
        return new(value[WRAPPER])
    if isinstance(value, dict):
        return {name: _replaced(item, new) for name, item in value.items()}
    return [_replaced(item, new) for item in value] if isinstance(value, list) else value
