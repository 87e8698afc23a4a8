"""Links, headings and files that the pages name exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_shape import ROOT
from tests.house.test_words import PAGES

_FOLDERS = (
    "api|cacao|config|docs|examples|expressions|gateway|launcher|playbooks|providers|sdk|store|tasks|tests|worker"
)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED = re.compile(rf"`((?:{_FOLDERS})/[^`\s]*)`")
#: what stands for a name in a path, such as ``providers/NAME.py`` and ``api/*/views.py``
_OPEN = re.compile(r"[A-Z]{4,}\w*|\*|…")


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, by GitHub's rule."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", _FENCED.sub("", page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        number = sum(one == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", one) is not None for one in found)
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def _broken(page: Path, text: str) -> Iterator[str]:
    """The links of ``text``, which stands in ``page``, that lead nowhere."""
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            yield link


def _missing(text: str) -> Iterator[str]:
    """Paths in backticks that begin with a repository folder but are missing."""
    for named in _NAMED.findall(text):
        pattern = _OPEN.sub("*", named.rstrip("/"))
        if not any(ROOT.glob(pattern)) and not any(ROOT.glob(f"{pattern}.py")):
            yield named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    """Every relative link names an existing file, every anchor a heading."""
    assert not list(_broken(page, _FENCED.sub("", page.read_text())))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path):
    """Every path in backticks that begins with a repository folder exists."""
    assert not list(_missing(page.read_text()))


def test_what_is_not_there_is_found():
    """The search notices a missing file, heading or path."""
    page = ROOT / "README.md"
    links = "[a](docs/none.md) [b](CONTRIBUTING.md#none) [c](CONTRIBUTING.md#recipes) [d](https://example.org/none)"
    assert list(_broken(page, links)) == ["docs/none.md", "CONTRIBUTING.md#none"]
    assert list(_missing("`store/none.py` `store/access.py` `providers/NAME.py` `none/none.py`")) == ["store/none.py"]
