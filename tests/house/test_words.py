"""The project uses the field's words, and its sentences name their subjects."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import nodes, text
from tests.house.test_shape import ROOT, SOURCES

#: word → what is written in its place
BANNED = {
    r"who(m|)ever": "name the caller, the worker, the operator",
    r"(some|no|any)body": "name the caller, the worker, the operator",
    r"whom": "name the caller, the worker, the operator",
    r"told": "passed, reported, published",
    r"beside": "next to, in parallel with, alongside",
    r"anew": "again",
    r"(a|the|every|each|one|this) doing|doings": "execution, attempt, call",
    r"so many": "the number of",
    r"how it went": "the result, the outcome",
    r"unasked": "without a request",
    r"upkeep": "maintenance",
    r"lanes?": "slots",
    r"(step|steps|run) holders?|holder of (a|the) steps?": "container",
    r"doorbells?": "publisher; the sentence about the doorbell stands once, in docs/architecture.md",
}
_WORD = re.compile(rf"(?<![\w`'-])({'|'.join(BANNED)})(?![\w`'-])", re.IGNORECASE)
#: the account that Linux calls so, and the one sentence with the metaphor
_EXCEPTIONS = ("the database is the truth, the broker is a doorbell", "user nobody")

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings and comments of a module, each with its line."""
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring:
                yield node.body[0].lineno, docstring


def banned(text: str) -> list[str]:
    """The words of a text that are banned."""
    for allowed in _EXCEPTIONS:
        text = re.sub(re.escape(allowed), "", text, flags=re.IGNORECASE)
    return [match[0] for match in _WORD.finditer(text)]


def test_code_speaks_of_named_things():
    """Docstrings and comments have none of the banned words."""
    found = [
        f"{path.relative_to(ROOT)}:{line} {word!r}"
        for path in SOURCES
        if "versions" not in path.parts
        for line, words in _prose(path)
        for word in banned(words)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documents_speak_of_named_things(page: Path):
    """The pages have none of those words either."""
    lines = enumerate(page.read_text().splitlines(), 1)
    assert not [f"{page.name}:{number} {word!r}" for number, line in lines for word in banned(line)]


def test_the_words_are_found():
    """The search finds each word, and ignores names and exceptions."""
    sentence = "Whoever is told of a doing asks nobody; the lane is beside the doorbell, made anew by somebody."
    assert len(banned(sentence)) == 9
    assert banned("The database is the truth, the broker is a doorbell. It runs as user nobody; `nobody`.") == []
