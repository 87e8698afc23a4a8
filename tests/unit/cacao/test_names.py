"""The variables of a CACAO document: their names here, their values, and what may change them."""

import time
from typing import Any

import pytest

from cacao.reading.names import Names, is_template
from expressions.templates import TemplateError, render
from tests.support.cacao import Json

RETURNING = {"out_args": ["__x__"], "type": "action"}


def names(variables: Json | None = None, *steps: Json, returned: Any = None) -> Names:
    """Those of a document with these variables, each given as its members, and these steps."""
    declared = {name: {"type": "string", **members} for name, members in (variables or {}).items()}
    workflow = {f"action--{number}": step for number, step in enumerate(steps)}
    return Names({"playbook_variables": declared, "workflow": workflow}, returned)


def filled(given: Names, text: str, **values: Any) -> Any:
    """The text with its variables, when steps have returned ``values``."""
    return render(given.template(text), {"vars": values, "parameters": {"ip": "192.0.2.1"}})


@pytest.mark.parametrize("unit", ["_", "__a", "__a__:value", ":value", "_" * 198 + ":value", "{", "__b__:value"])
def test_a_text_costs_what_its_length_is(unit: str) -> None:
    """Much of anything is read at once, whatever it repeats and however many names there are."""
    given = names({f"__{'a' * length}__": {"value": "v"} for length in range(1, 200)})
    text = unit * (200_000 // len(unit))
    for read in (given.used, given.template, lambda one: given.replaced(one, str.upper)):
        begin = time.process_time()
        read(text)
        assert time.process_time() - begin < 5


def test_a_value_that_is_asked_for_often_is_not_written_as_often() -> None:
    """A text that asks a thousand times for a long value makes nothing larger than it is itself."""
    given = names({"__x__": {"value": "x" * 16_000}})
    text = "__x__:value" * 5000
    assert len(given.template(text)) < 40_000
    assert not is_template(given.template(text))
    assert given.message(text) == text


def test_many_names_are_found_at_once() -> None:
    """Naming takes the same time for each variable, also where all would be called alike."""
    out_args = [f"__a{'-' * (number % 50)}{number // 50}__" for number in range(12_000)]
    begin = time.process_time()
    given = names({}, {"out_args": out_args + [f"__a_{number}__" for number in range(6000)]})
    assert time.process_time() - begin < 5
    called = [given.native(name) for name in out_args]
    assert len(set(called)) == len(called)
    assert max(map(len, called)) <= 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log___ip__:value", "log_192.0.2.1"),
        ("a__b__ip__:value", "a__b192.0.2.1"),
        ("__ip__:value__ip__:value", "192.0.2.1192.0.2.1"),
        ("__ip__:valued", "192.0.2.1d"),
        ("__other__:value __ip__", "__other__:value __ip__"),
    ],
)
def test_a_value_is_filled_in_beside_underscores(text: str, expected: str) -> None:
    """The longest name that ends at ':value' is meant; a name that is not declared stays text."""
    assert filled(names({"__ip__": {"external": True}}), text) == expected


def test_the_longest_name_is_meant() -> None:
    """Of two names that end at the same place the longer one is asked for."""
    given = names({"__ip__": {"value": "short"}, "__a__ip__": {"value": "long"}})
    assert filled(given, "a__a__ip__:value") == "along"


@pytest.mark.parametrize("text", ["{", "{{", "{{{", "{%", "{#", "}", "}}", "%}", "#}", "{{ x }}", "{-", "-}}"])
@pytest.mark.parametrize(
    "form", ["{}__ip__:value", "__ip__:value{}", "{0}__ip__:value{0}", "{0} {0}__ip__:value__ip__:value"]
)
def test_what_looks_like_markup_stays_as_it_is(text: str, form: str) -> None:
    """Braces of the document next to a value are neither markup nor lost."""
    source = form.format(text)
    assert filled(names({"__ip__": {"external": True}}), source) == source.replace("__ip__:value", "192.0.2.1")


@pytest.mark.parametrize("value", ['a }} b "c"', "{{ x }}", "steps.a-b", "ü\n\t\\n'", "{% raw %}", "", "x" * 9000])
def test_a_declared_value_is_itself(value: str) -> None:
    """Whatever a value holds, it comes out as it was declared: alone, in a text, and with its type."""
    given = names({"__x__": {"value": value}})
    assert render(given.given("__x__"), {}) == value
    assert render(given.template("<__x__:value>", given.text), {}) == f"<{value}>"
    assert render(given.argument("__x__"), {}) == value
    assert given.available("__x__")


def test_only_what_comes_from_outside_is_a_parameter() -> None:
    """Who starts a run says the external variables; of all others the declared value stands where it is read."""
    given = names({"__ip__": {"external": True}, "__host__": {"value": "api.example"}, "__none__": {}})
    assert given.parameters == ["__ip__"]
    assert given.read("__ip__") == "parameters.ip"
    assert given.read("__host__") == '"api.example"'
    assert (given.available("__ip__"), given.available("__none__")) == (True, False)


def test_a_constant_stays_what_it_is() -> None:
    """Neither a caller nor a step changes a constant; one that the caller has to give is a parameter all the same."""
    constant = {"constant": True, "external": True}
    given = names({"__x__": {"value": "api.example", **constant}, "__ip__": constant}, RETURNING)
    assert given.parameters == ["__ip__"]
    assert given.read("__x__") == '"api.example"'
    assert [ask("__x__") for ask in (given.is_returned, given.settable, given.only_people_know)] == [False] * 3
    assert given.is_constant("__x__")
    assert names({}, RETURNING).settable("__x__")
    assert not given.settable("__unknown__")


def test_what_is_returned_is_read_as_returned() -> None:
    """Until a step returns a variable it is what it was declared with; without that, reading it fails the step."""
    given = names({"__x__": {"value": "before"}}, RETURNING)
    assert filled(given, "__x__:value") == "before"
    assert filled(given, "__x__:value", x="after") == "after"
    empty = names({"__x__": {}}, RETURNING)
    assert render(empty.given("__x__"), {"vars": {"x": 5}}) == "5"
    with pytest.raises(TemplateError):
        render(empty.given("__x__"), {"vars": {}})
    assert filled(empty, "<__x__:value>") == "<>"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", "3", 3),
        ("integer", "-3", -3),
        ("integer", "many", "many"),
        ("bool", "True", True),
        ("float", "1e3", 1000.0),
        ("string", "3", "3"),
        ("dictionary", '{"a": ["{{ x }}"]}', {"a": ["{{ x }}"]}),
    ],
)
def test_a_playbook_is_given_values_with_their_types(kind: str, value: str, expected: Any) -> None:
    """What another playbook is given has the type that was declared, also where a step may return another value."""
    variable = {"__x__": {"type": kind, "value": value}}
    assert render(names(variable).argument("__x__"), {}) == expected
    returning = render(names(variable, RETURNING).argument("__x__"), {"vars": {}})
    assert returning == (value if kind == "dictionary" else expected)


def test_an_argument_without_a_value_is_none() -> None:
    """A variable that has no value yet is given as none, which a playbook may refuse."""
    assert names({"__x__": {}}).argument("__x__") is None
    assert render(names({"__x__": {}}, RETURNING).argument("__x__"), {"vars": {}}) is None


def test_what_no_template_holds_is_not_readable() -> None:
    """A value that is longer than a template, or that a person tells, is not for a playbook to be given."""
    assert names({"__x__": {"value": "short"}}, RETURNING).readable("__x__")
    assert not names({"__x__": {"value": "{{" * 9000}}).readable("__x__")
    assert not names({"__x__": {"value": "x" * 17_000}}, RETURNING).readable("__x__")
    assert not names({"__x__": {"value": "short"}}, RETURNING, returned=()).readable("__x__")


def test_a_step_sees_its_own_variables_first() -> None:
    """Two steps may call different things alike, and hide what the playbook calls so; the names here are the same."""
    one, two = ({"type": "action", "step_variables": {"__x__": {"type": "string", "value": v}}} for v in "AB")
    other: Json = {"type": "action"}
    given = names({"__x__": {"value": "P"}, "__ip__": {"external": True}}, one, two, other, RETURNING)
    read = [filled(given.within(step), "__x__:value", x="returned") for step in (one, two, other)]
    assert read == ["A", "B", "returned"]
    assert given.within(one).native("__x__") == given.native("__x__")
    assert not given.within(one).is_returned("__x__")
    external = {"type": "action", "step_variables": {"__ip__": {"type": "string", "value": "own"}}}
    assert filled(given.within(external), "__ip__:value") == "own"
    assert given.within(other) is given


def test_a_loop_sees_what_its_body_returns() -> None:
    """What a step that holds others declares is theirs too, so what they return is its value."""
    loop = {"type": "while-condition", "step_variables": {"__x__": {"type": "integer", "value": "0"}}}
    given = names({"__x__": {"value": "P"}}, loop, RETURNING).within(loop)
    assert (filled(given, "__x__:value"), filled(given, "__x__:value", x=7)) == (0, 7)


def test_a_person_reads_the_name_of_what_nothing_here_tells() -> None:
    """A message fills in what is known, and leaves the name of a variable that only a person knows."""
    given = names({"__x__": {}, "__y__": {}, "__ip__": {"external": True}}, RETURNING, returned=())
    message = given.message("{__ip__:value} __x__:value {__y__:value")
    assert render(message, {"parameters": {"ip": "192.0.2.1"}}) == "{192.0.2.1} __x__:value {__y__:value"
