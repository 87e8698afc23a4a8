"""The contract tests touch all that the documents name, and the list of it is complete.

Two comparisons: the list of ``documented`` with the documents, and with what the tests are marked with. That marks are
true is asserted after each marked test, wherever it runs; how, says ``recorder``.

The documents are next to the repository, in ``../shared/seeds``. The tests that need them are skipped where they are
missing, except in CI.
"""

import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

from tests.contract import documented, recorder
from tests.contract.documented import ABSENT, ENDPOINTS, Fact, endpoint_of
from tests.support.api import Door
from tests.support.services import missing

HERE = Path(__file__).parent
PUBLISHED = Path(__file__).parents[3] / "shared" / "seeds"
#: marks with which a test does not always run
SOMETIMES = {"skip", "skipif", "xfail", "gate", "wide", "chaos"}
RUN, CANCEL = "POST /api/playbooks/{id}/run", "POST /api/playbooks/executions/{id}/cancel"
#: of the guide to running playbooks: it prints requests, but not the paths of its own sections
SECTIONS = {"Required Headers": RUN, "Request Payload": RUN, "Error Handling": RUN}
_HEADING = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)")
_CURL = re.compile(r'curl .*?"https?://[^/"]+(/[^"?]*)\??([^"]*)"')


def marked(function: FunctionType) -> Iterator[pytest.Mark]:
    """The marks of a test, and those of each set of its parameters."""
    for mark in getattr(function, "pytestmark", []):
        yield mark
        if mark.name == "parametrize":
            for values in mark.args[1]:
                yield from getattr(values, "marks", ())


def _list(marks: pytest.MarkDecorator | list[pytest.MarkDecorator]) -> list[pytest.MarkDecorator]:
    """The marks of a module, of which one needs no list."""
    return marks if isinstance(marks, list) else [marks]


def touched() -> dict[str, set[Fact]]:
    """Test → what it is marked with."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f"tests.contract.{path.stem}")
        common = [mark.mark for mark in _list(getattr(module, "pytestmark", []))]
        for name, test in vars(module).items():
            if name.startswith("test_") and isinstance(test, FunctionType):
                marks = [*common, *marked(test)]
                if said := recorder.claims(marks):
                    assert not {mark.name for mark in marks} & SOMETIMES, f"{path.stem}.{name} does not always run"
                    found[f"{path.stem}.{name}"] = said
    return found


def test_each_documented_fact_is_touched() -> None:
    """Each endpoint, each parameter, header and member, and each status, in a test that says so and does it."""
    untouched = documented.facts() - set().union(*touched().values())
    assert not untouched, "no contract test does:\n" + "\n".join(map(str, sorted(untouched)))


def test_a_mark_names_what_is_listed() -> None:
    """A mark that no document asks for would be a slip of the pen."""
    known = documented.facts()
    assert {test: strange for test, said in touched().items() if (strange := said - known)} == {}


def test_what_the_product_does_not_have_is_still_missing(door: Door) -> None:
    """The list of what is absent is of documented endpoints; none of them has appeared in the meantime."""
    rules = {
        f"{method} {re.sub('<[^>]*>', '{}', rule.rule)}"
        for rule in door.app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    there = {one.where: re.sub(r"\{\w+\}", "{}", one.where) in rules for one in ENDPOINTS}
    assert {where for where, is_there in there.items() if not is_there} == set(ABSENT)


def test_a_mark_without_its_request_is_found() -> None:
    """Neither another status nor a parameter of another request will do; prefixes and letters' case do not matter."""
    notes = [
        recorder.Note("GET /v1/audit", 200, frozenset({"?limit", "accept:"})),
        recorder.Note("GET /v1/audit", 400, frozenset({"?offset"})),
    ]
    said = {("GET /v1/audit", status, name) for status in (200, 400, 403) for name in ("?limit", "?offset", "Accept:")}
    assert set(recorder.unkept(said, notes)) == said - {
        ("GET /v1/audit", 200, "?limit"),
        ("GET /v1/audit", 200, "Accept:"),
        ("GET /v1/audit", 400, "?offset"),
    }
    assert endpoint_of("POST", "/compat/v1/dispatch/batch") == "POST /v1/dispatch/batch"
    assert endpoint_of("GET", "/api/v1/playbooks/executions/pexec-1/steps") == (
        "GET /api/playbooks/executions/{id}/steps"
    )
    assert endpoint_of("GET", "/v1/silences") == endpoint_of("GET", "/api") == ""


# the documents themselves


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """The five, in their order."""
    found = [path.read_text() for path in sorted(PUBLISHED.glob("*.txt"))]
    if not found:
        missing("the documents are not next to the repository, in ../shared/seeds")
    return found


def test_the_list_is_that_of_the_documents(documents: list[str]) -> None:
    """Each printed endpoint, name and status is listed, and nothing else is."""
    read: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        for where, said in _read(document):
            read[where].add(said)
    listed = {
        one.where: {"", *one.names.split(), *map("={}".format, one.words.split()), *map(str, one.printed)}
        for one in ENDPOINTS
    }
    for endpoint, _, name in documented.MORE:
        listed[endpoint].add(name)
    assert {where: said ^ read[where] for where, said in listed.items() if said != read[where]} == {}
    assert set(read) == set(listed)


def _read(document: str) -> Iterator[tuple[str, str]]:
    """What a document says of its endpoints: empty for one that is named, else a name or a status."""
    where, kind, bar, told_by = "", "", "", ""
    lines = document.splitlines()
    for place, line in enumerate(lines):
        following = next(filter(None, map(str.strip, lines[place + 1 :])), "")
        words = line.strip("| ").replace("|", " ").split()
        if heading := _HEADING.match(line):  # in a table of all endpoints, its words follow
            where = _listed(*heading.groups())
            yield where, ""
        elif curl := _CURL.search(line):
            method = (re.search(r"-X (\w+)", line) or ["", "GET"])[1]
            called = _listed(method, curl[1])
            yield called, ""
            yield from ((called, f"?{one.partition('=')[0]}") for one in curl[2].split("&") if one)
        elif line in SECTIONS:
            where, kind = SECTIONS[line], {"Required Headers": ":", "Request Payload": "body"}.get(line, "status")
            bar = "|"
        elif line.startswith("Query Parameters: "):
            names = line.removeprefix("Query Parameters: ").replace("(optional)", "").split(",")
            yield from ((where, f"?{name.strip()}") for name in names)
        elif line.startswith("Supports the same traceparent and tracestate headers"):
            yield from ((where, name) for name in ("traceparent:", "tracestate:"))
        elif line.startswith("Headers: "):
            yield where, f"{words[1].strip(':')}:"
        elif shown := re.match(r'Use "(\w+)": true in the (\w+) request', line):
            yield f"POST /api/playbooks/{shown[2]}", shown[1]
        elif told := re.search(
            r"^Response \((\d{3})|^Response: (\d{3}) OK|request returns (\d{3})|This returns (\d{3})", line
        ):
            yield (CANCEL if told[4] else RUN if told[3] else where), next(filter(None, told.groups()))
            if told[4]:
                yield CANCEL, ""
            kind = ""
        elif line.startswith(("Query Parameters", "Request Headers", "Request Body")):
            kind = {"Q": "?", "H": ":", "B": "body"}[line.split()[-1][0] if line[0] == "R" else "Q"]
            if line.startswith("Request Body") and following.startswith("{"):
                yield from ((where, name) for name in _members(lines[place + 1 :]))
        elif len(words) == 2 and words[1] == "Description" and words[0] in ("Type", "State", "Outcome"):
            kind, family = "word", "actions" if "/api/actions" in where else "playbooks"
            told_by = {"Type": "POST /api/actions", "Outcome": where}.get(words[0])
            told_by = told_by or f"GET /api/{family}/executions/{{id}}"
        elif words and kind == "word" and re.fullmatch(r"[a-z_]+", words[0]):
            yield told_by, f"={words[0]}"
        elif words[:2] in (["Status", "Description"], ["HTTP", "Code"]):
            kind = "status"
        elif words and kind == "status" and re.fullmatch(r"[2-5]\d\d", words[0]):
            yield where, words[0]
        elif kind in ("?", ":", "body") and len(words) > 1 and re.match(rf"{re.escape(bar)} ?[A-Za-z_.-]+ ", line):
            named = {"?": f"?{words[0]}", ":": f"{words[0]}:", "body": words[0].partition(".")[0]}[kind]
            if words[0] not in ("Parameter", "Header", "Field"):
                yield where, named
        elif line.startswith(("Response", "Example", "List ", "Parameters Object")) or not line.strip():
            kind = kind if not line.strip() and following.startswith(("Parameter ", "Header ", "Field ")) else ""


def _members(lines: list[str]) -> Iterator[str]:
    """The members at the top of the first JSON object that begins a line."""
    text = "\n".join(lines)
    if one := re.match(r'\s*\{"(\w+)": \w+\}', text):
        yield one[1]
        return
    for line in lines[1:]:
        if line.startswith("}"):
            return
        if found := re.match(r'  "(\w+)":', line):
            yield found[1]


def _listed(method: str, path: str) -> str:
    """The endpoint that a document means, as the list spells it; what it does not have, as the document does."""
    return endpoint_of(method, re.sub(r"\{\w+\}", "x", path)) or f"{method} {path}"
