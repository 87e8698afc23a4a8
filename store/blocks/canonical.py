"""The canonical form of an audit row, which is what a seal covers.

It is the JSON object of RFC 8785: the columns of ``FORMS`` that are not NULL, by name, with sorted keys, without
spaces, in UTF-8; the values are texts and whole numbers. So it is the same on SQLite and PostgreSQL, before and after a
dump, and a new nullable column leaves the form of the rows of before as it was. ``xid`` is not in it: the place of a
row in its block says what it says. A seal names the number of its form; a form that has been in use never changes.

SQLite takes any value in any column, bytes that are no text too. Tocsin writes no such row; one that an intruder has
written is *odd*. It is sealed as it is, so that the chain goes on, and every check names it.
"""

import functools
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any, TypeVar

from store.audit import RECORD
from store.engine import texts
from store.engine.db import Connection
from store.trail import Reading

#: the columns that every row may have; ``id`` and ``at`` are numbers
_PLAIN = ("actor", "at", "details", "event", "id", "subject", "workspace_id")
#: number → columns, those of records last
FORMS: dict[int, tuple[str, ...]] = {1: (*_PLAIN, *RECORD)}
#: the form of what is sealed now
FORM = 1
#: the places of some columns, the same in every form
AT, ID, WORKSPACE = (_PLAIN.index(name) for name in ("at", "id", "workspace_id"))
#: those by which grants cover a row
WHOSE = (WORKSPACE, *(len(_PLAIN) + RECORD.index(name) for name in ("namespace", "provider", "action_type")))

#: a text in JSON as RFC 8785 and ``json.dumps(ensure_ascii=False)`` write it
_text: Callable[[str], str] = encode_basestring
#: writes the values of a row
_Writer = Callable[..., str]
_NUMBERS = frozenset({"at", "began_at", "id"})
#: what stands for bytes that are no text, and is written as they are
_BYTES = "surrogateescape"
_Read = TypeVar("_Read")


@functools.cache
def reading(form: int) -> Reading:
    """The statements that read the columns of a form, in its order."""
    return Reading(*FORMS[form])


def read(db: Connection, statements: Callable[[], _Read]) -> _Read:
    """What statements read of rows that may be odd."""
    return texts.read(db, statements, _BYTES)


@functools.cache
def written(form: int, *, odd: bool = False) -> Callable[[Sequence[Any]], bytes]:
    """What writes rows of ``reading(form)`` in their canonical form; it raises ValueError at odd ones unless ``odd``.

    Rows whose values have the same types, which says where they are NULL, share one function that is made for them:
    interpreting the columns of each would take twice as long.
    """
    columns, errors = FORMS[form], _BYTES if odd else "strict"
    number = len(columns)
    known: dict[tuple[type, ...], _Writer] = {}

    def write(row: Sequence[Any]) -> bytes:
        kinds = tuple(map(type, row))
        writer = known.get(kinds)
        if writer is None:
            if not odd and not _are_plain(columns, kinds):
                raise ValueError("a value of another type than its column")
            writer = _writer(columns, kinds[:number])
            if len(known) < _MOST_KINDS:
                known[kinds] = writer
        return writer(*row).encode(errors=errors)

    return write


def is_odd(row: Sequence[Any], form: int) -> bool:
    """Whether a row of ``reading(form)`` has what Tocsin never writes."""
    try:
        written(form)(row)
    except ValueError:
        return True
    return False


def _are_plain(columns: Sequence[str], kinds: Sequence[type]) -> bool:
    """Whether values of these types are what the columns are for."""
    kept = zip(columns, kinds, strict=False)
    return all(kind in (type(None), int if name in _NUMBERS else str) for name, kind in kept)


#: combinations of types that are remembered
_MOST_KINDS = 1_000


def _writer(columns: Sequence[str], kinds: Sequence[type]) -> _Writer:
    """The function that writes rows with values of these types."""
    values = [f"v{number}" for number in range(len(columns))]
    members = [
        f"{_text(name)}:{{_text({value})}}" if kind is str else f"{_text(name)}:{{{value}}}"
        for name, value, kind in sorted(zip(columns, values, kinds, strict=True), key=itemgetter(0))
        if kind is not type(None)
    ]
    source = f"lambda {', '.join(values)}, *_: f'{{{{{','.join(members)}}}}}'"
    made: _Writer = eval(source, {"_text": _text})  # noqa: S307 - of names of columns alone
    return made


def members(row: Sequence[Any], form: int = FORM) -> dict[str, Any]:
    """The object that is written, of a row of ``reading(form)``."""
    return {name: value for name, value in zip(FORMS[form], row, strict=False) if value is not None}
