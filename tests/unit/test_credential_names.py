"""docs/actions.md says which names are masked, and the code masks these."""

import re
from collections.abc import Callable

import pytest

from playbooks.credentials import is_secret_header, is_secret_member, is_secret_query
from tests.support.processes import ROOT

_PAGE = (ROOT / "docs/actions.md").read_text()
_ROWS = dict(re.findall(r"^\| (headers, query parameters|members of a body) \| (.+) \|$", _PAGE, re.MULTILINE))
#: the words of the page that are parts of names, so that something stands before them
_BEFORE = re.compile(r"`(\w+_)`")


def _names(row: str) -> tuple[list[str], list[str]]:
    """The names that a row of the table calls secret, and those that it does not."""
    secret, plain = _ROWS[row].split(" | ")
    return re.findall(r"`([\w-]+[a-zA-Z])`", secret), re.findall(r"`([\w-]+)`", plain)


@pytest.mark.parametrize("is_secret", [is_secret_header, is_secret_query])
def test_headers_and_query_parameters(is_secret: Callable[[str], bool]) -> None:
    """Each word of the page makes a credential, alone and within a name; each exception is none."""
    secret, plain = _names("headers, query parameters")
    assert len(secret) > 15
    assert len(plain) > 15
    whole = ("SEC", "code", "hmac")
    assert [name for name in secret if not is_secret(name)] == []
    assert [name for name in secret if name not in whole and not is_secret(f"X-Vendor-{name.title()}")] == []
    assert [name for name in plain if is_secret(name)] == []
    assert not is_secret("X-Vendor-Code")


def test_members_of_a_body() -> None:
    """Each name of the page is a credential, each prefix keeps it one; each exception is none."""
    secret, plain = _names("members of a body")
    assert len(secret) > 15
    before = _BEFORE.findall(_ROWS["members of a body"])
    assert len(before) == 4
    assert [name for name in secret if not is_secret_member(name)] == []
    assert [word for word in before if not is_secret_member(f"{word}token")] == []
    assert [name for name in plain if is_secret_member(name)] == []
