"""Operations of the API, and the methods that carry them out.

The table (``tocsin/_operations.py``) says of each operation what the document says; ``@operation("getRun")`` marks the
method that a person calls for it. Tests compare both: each operation has a method, each query parameter a keyword.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Tuple, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

#: a parameter of the API → the keyword for it, where that is another word
KEYWORDS = {"from": "since", "to": "until"}


class Operation(NamedTuple):
    """An operation of the document."""

    method: str
    path: str
    query: Tuple[str, ...] = ()
    headers: Tuple[str, ...] = ()
    #: the members of its body, if that is an object with known members
    body: Tuple[str, ...] = ()
    #: the member of the answer that holds what was asked for, if it is not the whole answer
    within: str = ""
    #: the model of the answer, or of its items
    answer: str = ""
    #: the member of the answer that holds the items, if it is a list
    items: str = ""
    #: whether sending it twice could make two of something
    creates: bool = False


class Carried(NamedTuple):
    """What a method says of itself: the operation, and its words for some parameters."""

    operation: str
    keywords: Dict[str, str]
    #: parameters that the method sets by itself
    own: Tuple[str, ...]


def operation(name: str, *, own: Tuple[str, ...] = (), **keywords: str) -> Callable[[Method], Method]:
    """Mark the method for an operation.

    ``keywords`` are its own words for parameters (``old="from"``), ``own`` the parameters that the method
    sets by itself.
    """

    def mark(method: Method) -> Method:
        carried = Carried(name, {given: word for word, given in keywords.items()}, own)
        method.__dict__.setdefault("operations", []).append(carried)
        return method

    return mark
