"""The one table of error codes."""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from config.error_codes import anywhere, bundles, definitions, ends, work
from config.error_codes.entry import ErrorCode

#: code → its row, in the order of the alphabet
CODES: Mapping[str, ErrorCode] = MappingProxyType(
    {
        row.code: row
        for row in sorted(
            chain(anywhere.ROWS, bundles.ROWS, definitions.ROWS, work.ROWS, ends.ROWS),
            key=lambda row: row.code,
        )
    }
)
#: where the pages of the codes are
PAGES = "/docs/errors"


def page(code: str) -> str:
    """The address of a code's page; of their list for one that a function of the operator has made up."""
    return f"{PAGES}/{code}" if code in CODES else PAGES
