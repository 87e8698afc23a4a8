"""The canonical form of an audit row, which is what a seal covers.

It is the JSON object of RFC 8785: the columns of ``FORMS`` that are not NULL, by name, with sorted keys, without
spaces, in UTF-8; the values are texts and whole numbers. So it is the same on SQLite and PostgreSQL, before and after a
dump, and a new nullable column leaves the form of the rows of before as it was. ``xid`` is not in it: the place of a
row in its block says what it says. A seal names the number of its form; a form that has been in use never changes.
"""

import functools
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from typing import Any

from store.audit import RECORD
from store.trail import Reading

#: the columns that every row may have; ``id`` and ``at`` are numbers
_PLAIN = ("actor", "at", "details", "event", "id", "subject", "workspace_id")
#: number → columns, those of records last
FORMS: dict[int, tuple[str, ...]] = {1: (*_PLAIN, *RECORD)}
#: the form of what is sealed now
FORM = 1

#: a text in JSON as RFC 8785 and ``json.dumps(ensure_ascii=False)`` write it
_text: Callable[[str], str] = encode_basestring
_NO_RECORD = (None,) * len(RECORD)
_FIRST = len(_PLAIN)


@functools.cache
def reading(form: int) -> Reading:
    """The statements that read the columns of a form, in its order."""
    return Reading(*FORMS[form])


@functools.cache
def written(form: int) -> Callable[[Sequence[Any]], bytes]:
    """What writes rows of ``reading(form)`` in their canonical form."""
    columns = FORMS[form]
    sorted_columns = sorted((name, number) for number, name in enumerate(columns))
    keys = [(f"{_text(name)}:", number) for name, number in sorted_columns]

    def every(row: Sequence[Any]) -> bytes:
        members = [
            key + (_text(value) if value.__class__ is str else str(value))
            for key, number in keys
            if (value := row[number]) is not None
        ]
        return f"{{{','.join(members)}}}".encode()

    def plain(row: Sequence[Any]) -> bytes:
        if row[_FIRST : len(columns)] != _NO_RECORD:
            return every(row)
        actor, at, details, event, row_id, subject, workspace = row[:_FIRST]
        try:
            said = "" if details is None else f'"details":{_text(details)},'
            return (
                f'{{"actor":{_text(actor)},"at":{at},{said}"event":{_text(event)},"id":{row_id},'
                f'"subject":{_text(subject)},"workspace_id":{_text(workspace)}}}'
            ).encode()
        except TypeError:  # no text in a column of texts: such a row was altered
            return every(row)

    return plain


def members(row: Sequence[Any], form: int = FORM) -> dict[str, Any]:
    """The object that is written, of a row of ``reading(form)``."""
    return {name: value for name, value in zip(FORMS[form], row, strict=False) if value is not None}
