"""Variables of CACAO documents: their names, their values, and texts filled with them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacao.model.variables import Variable, Wanted, as_native, as_text, from_document
from expressions.values import TemplateError

WHOLES = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLES | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OF_TYPE = {
    "bool": st.booleans(),
    "integer": WHOLES,
    "long": WHOLES,
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "dictionary": st.dictionaries(st.text(max_size=5), JSON, max_size=4),
    "string": st.text(max_size=20),
    "ipv4-addr": st.ip_addresses(v=4).map(str),
}
TYPED = st.sampled_from(sorted(OF_TYPE)).flatmap(lambda kind: st.tuples(st.just(kind), OF_TYPE[kind]))


def fill_in(text, variables):
    """The text with the value of every place in it that asks for one; what has no value becomes nothing."""
    pieces, end = [], 0
    for start, stop, name in Wanted(variables).places(text):
        pieces += (text[end:start], variables[name].value or "")
        end = stop
    return "".join([*pieces, text[end:]])


def names_in(text, declared):
    """The declared variables whose values a text asks for, each once, in the order of the text."""
    return list(dict.fromkeys(name for _, _, name in Wanted(declared).places(text)))


def texts(**values):
    """Declared variables of type string, by their full names."""
    return {f"__{name}__": Variable("string", value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "true", True),
        ("bool", "False", False),
        ("bool", "yes", "yes"),
        ("bool", "1", "1"),
        ("integer", "5", 5),
        ("integer", "03", 3),
        ("integer", "-7", -7),
        ("integer", "five", "five"),
        ("integer", "1.5", "1.5"),
        ("integer", "٣", "٣"),
        ("integer", "9" * 20, "9" * 20),
        ("long", "9223372036854775807", 2**63 - 1),
        ("float", "1.50", 1.5),
        ("float", "2e3", 2000.0),
        ("float", "nan", "nan"),
        ("float", "1e999", "1e999"),
        ("dictionary", '{"a": [1, true]}', {"a": [1, True]}),
        ("dictionary", "[1]", "[1]"),
        ("dictionary", '{"a": NaN}', '{"a": NaN}'),
        ("dictionary", "{", "{"),
        ("string", "5", "5"),
        ("string", "", ""),
        ("ipv4-addr", "10.0.0.1", "10.0.0.1"),
        ("x-unheard-of", "true", "true"),
        ("integer", None, None),
    ],
)
def test_a_text_becomes_a_value_of_its_type_or_stays_a_text(kind, text, value):
    """A value that fits its declared type is typed, and nothing that does not is lost or refused."""
    found = as_native(Variable(kind, text))
    assert found == value
    assert type(found) is type(value)


def test_a_dictionary_that_is_nested_without_end_stays_a_text():
    """A hostile document cannot exhaust the stack by nesting a value."""
    text = '{"a":' * 100_000
    assert as_native(Variable("dictionary", text)) == text


@given(TYPED)
def test_a_value_survives_being_written_and_read(typed):
    """What a playbook of ours holds comes back the same after an export and an import."""
    kind, value = typed
    assert as_native(Variable(kind, as_text(value, kind))) == value


def test_a_value_json_has_no_form_for_is_refused():
    """A number that is not finite cannot leave the platform as something else."""
    with pytest.raises(TemplateError):
        as_text(math.nan, "float")


def test_a_declaration_is_read_with_its_defaults():
    """The flags of a variable are false and its value missing unless the document says otherwise."""
    assert from_document({"type": "string"}) == Variable("string")
    assert from_document(
        {"type": "bool", "value": "true", "constant": True, "external": True, "description": "Go on?"}
    ) == Variable("bool", "true", constant=True, external=True, description="Go on?")


def test_a_declaration_that_bends_the_schema_is_read_all_the_same():
    """Real documents write numbers and objects without quotes; they mean the JSON that stands there."""
    assert from_document({"type": "integer", "value": 5}).value == "5"
    assert from_document({"type": "dictionary", "value": {"a": True}}).value == '{"a":true}'
    assert from_document({}) == Variable("string")


def test_values_are_filled_in_where_they_are_asked_for():
    """A command is sent with the values of its variables, wherever they stand."""
    command = "GET https://__host__:value/block/__ip__:value?by=__who__:value HTTP/1.1"
    filled = fill_in(command, texts(host="fw.example", ip="10.0.0.1", who=None))
    assert filled == "GET https://fw.example/block/10.0.0.1?by= HTTP/1.1"


def test_what_is_not_declared_stays_as_it_stands():
    """An undeclared name, or a name without ``:value``, is text of the command."""
    text = "__other__:value __ip__ ip:value __ip__:type __IP__:value"
    assert fill_in(text, texts(ip="x")) == text


def test_a_value_that_looks_like_a_variable_is_not_read_again():
    """The author of one value cannot make it pull in another, secret one."""
    assert fill_in("__a__:value", texts(a="__b__:value", b="secret")) == "__b__:value"
    assert fill_in("__a__:value:value", texts(a="__b__", b="secret")) == "__b__:value"


def test_the_longest_declared_name_is_meant():
    """Of two names that end at the same place the longer one wins when it is declared."""
    text = "__a____b__:value"
    assert fill_in(text, texts(b="B")) == "__a__B"
    assert fill_in(text, texts(b="B", a____b="AB")) == "AB"
    assert fill_in("id-__b__:value", texts(b="B")) == "id-B"


def test_two_names_do_not_share_their_underscores():
    """What one name has used up is not read as the beginning of the next."""
    assert fill_in("__a__:value__a__:value", texts(a="1")) == "11"


def test_the_names_in_a_text_are_listed_once_and_in_order():
    """An export lists what a command needs as its in_args."""
    declared = ["__a__", "__b__", "__c__"]
    assert names_in("__b__:value __a__:value __b__:value __x__:value", declared) == ["__b__", "__a__"]


def test_long_runs_of_underscores_are_read_quickly():
    """A text made of half names takes no longer than another."""
    text = "_" * 50_000 + "__a" * 50_000 + ":value" * 5_000
    assert fill_in(text, texts(a="1")) == text


@given(st.text(alphabet="_ab:value", max_size=60), st.dictionaries(st.sampled_from("ab"), st.text(max_size=5)))
def test_filling_in_is_one_pass_over_the_names_found(text, values):
    """What is filled in is what ``names_in`` lists, and a text without any stays itself."""
    variables = texts(**values)
    found = names_in(text, variables)
    assert set(found) <= set(variables)
    if not found:
        assert fill_in(text, variables) == text
    same = {name: Variable("string", f"{name}:value") for name in variables}
    assert fill_in(text, same) == text
