"""Conditions of CACAO documents in CEL mean what the document says, or a person decides."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacao.model.conditions import parse
from cacao.model.variables import Variable, as_native
from cacao.reading import cel
from cacao.reading.names import Names
from expressions.conditions.evaluation import ConditionError, holds
from tests.support import cacao_conditions as oracle
from tests.support.cacao_conditions import Undecidable

VALUES = {
    "bool": ["true", "False", "yes", ""],
    "integer": ["5", "-3", "05", "many", "", "9007199254740992", "9007199254740993", "1" * 19, "1" * 18 + "2"],
    "float": ["5.0", "1e3", "0", "1e400", "1e401", "0.1", "0.10000000000000001", "+5", "1000"],
    "timestamp": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", "2026-02-30T00:00:00Z", "today"],
    "string": ["5", "web-1", "Web-1", "", "no", 'say "so"', "ü"],
    "ipv4-addr": ["10.0.0.1", "10.0.0.2", "10.0.0.1/32", "10.0.0.1/8"],
    "mac-addr": ["00:11:22:aa:bb:cc", "001122AABBCC"],
    "sha256-hash": ["AB" * 32, "ab" * 32],
}
OPERATORS = ["=", "==", "!=", "<", "<=", ">", ">=", "LIKE", "MATCHES"]
LITERALS = [
    "5",
    "'5'",
    '"web-1"',
    "'web%'",
    "true",
    "'true'",
    "-3",
    "5.0",
    "t'2026-01-01T00:00:00Z'",
    "t'2026-01-01T00:00:00.000Z'",
    "9007199254740993",
    "1e400",
    "'10.0.0.1/32'",
    "'10.0.0.1'",
    "''",
]


@st.composite
def variables(draw: st.DrawFn) -> dict[str, Variable]:
    """Two variables of any type, each with a value."""
    found = {}
    for name in ("__left__", "__right__"):
        kind = draw(st.sampled_from(sorted(VALUES)))
        found[name] = Variable(type=kind, value=draw(st.sampled_from(VALUES[kind])))
    return found


def comparison(operator: str, right: str) -> str:
    return f"__left__:value {operator} {right}"


CONDITIONS = st.recursive(
    st.one_of(
        st.builds(comparison, st.sampled_from(OPERATORS), st.sampled_from([*LITERALS, "__right__:value"])),
        st.sampled_from(
            ["__left__:value", "!__right__:value", "EXISTS __left__:value", "__left__:value IN ('5', 'web-1')"]
        ),
    ),
    lambda inner: st.one_of(
        st.builds("({}) AND ({})".format, inner, inner),
        st.builds("({}) OR ({})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=4,
)


def document(given_variables: dict[str, Variable]) -> dict[str, Any]:
    declared = {name: {"type": one.type, "value": one.value, "external": True} for name, one in given_variables.items()}
    return {"playbook_variables": declared}


@given(text=CONDITIONS, given_variables=variables())
def test_cel_says_what_the_condition_says(text: str, given_variables: dict[str, Variable]) -> None:
    """Wherever CEL has an answer it is the one that the condition has; where the condition has none, CEL has none."""
    names = Names(document(given_variables))
    written = cel.condition(text, names)
    found = parse(text)
    if written is None or found is None:
        return
    parameters = {names.native(name): as_native(one) for name, one in given_variables.items()}
    try:
        answer = holds(written, {"parameters": parameters, "vars": {}})
    except ConditionError:
        assert cel.may_fail(written)
        return
    try:
        assert oracle.holds(found, given_variables) is answer, written
    except Undecidable:
        pytest.fail(f"{text} has no answer, and {written} has: {answer}")


@pytest.mark.parametrize(
    ("kind", "text", "value", "answer"),
    [
        ("integer", "= 9007199254740992", "9007199254740993", False),
        ("integer", "< 9007199254740993", "9007199254740992", True),
        ("integer", "= 7", "007", True),
        ("integer", "= 7", "7" * 19, None),
        ("timestamp", "= t'2024-01-01T00:00:00.000Z'", "2024-01-01T00:00:00Z", True),
        ("timestamp", "!= t'2024-01-01T00:00:00.000Z'", "2024-01-01T00:00:00Z", False),
        ("timestamp", "IN (t'2024-01-01T00:00:00.000Z')", "2024-01-01T00:00:00Z", True),
        ("ipv4-addr", "= '192.0.2.1/32'", "192.0.2.1", None),
        ("ipv4-addr", "= '192.0.2.1'", "192.0.2.1", True),
        ("float", "= 1e400", "1e401", None),
        ("float", "= 0.1", "0.10", True),
    ],
)
def test_values_that_look_alike_are_told_apart(kind: str, text: str, value: str, answer: bool | None) -> None:
    """As numbers, times and addresses and not as texts; where CEL cannot, it has no answer and a person is asked."""
    given_variables = {"__left__": Variable(type=kind, value=value)}
    written = cel.condition(f"__left__:value {text}", Names(document(given_variables)))
    assert written is not None
    context = {"parameters": {"left": value}, "vars": {}}
    if answer is None:
        assert cel.may_fail(written)
        with pytest.raises(ConditionError):
            holds(written, context)
    else:
        assert holds(written, context) is answer


@pytest.mark.parametrize(
    "text",
    [
        "Operator input to proceed",
        "__host__:value ISSUBSET '10.0.0.0/8'",
        "file:name = 'x'",
        '"response:status" == 200',
        "__unknown__:value == 1",
        "__told__:value == 'done'",
        "__host__:value == '{{ secret }}'",
        "",
        None,
        7,
    ],
)
def test_what_cannot_be_said_is_asked(text: Any) -> None:
    """Prose, networks, unknown values and values that only a person knows make no condition here."""
    step = {"out_args": ["__told__"]}
    names = Names(
        {"playbook_variables": {"__host__": {"type": "string"}}, "workflow": {"action--1": step}}, returned=()
    )
    assert cel.condition(text, names) is None


@pytest.mark.parametrize("text", ["__x__:value", " __x__ "])
def test_a_switch_looks_at_the_text_of_a_variable(text: str) -> None:
    """A switch names a variable, with or without ':value'; its cases are texts."""
    names = Names({"playbook_variables": {"__x__": {"type": "integer", "external": True}}})
    assert cel.switch(text, names) == "{{ parameters.x | string }}"


@pytest.mark.parametrize("text", ["", "the colour", "__other__:value", None])
def test_a_switch_on_nothing_is_asked(text: Any) -> None:
    """What is no variable cannot be switched on."""
    assert cel.switch(text, Names({"playbook_variables": {"__x__": {"type": "string"}}})) is None


def test_every_operator_is_said() -> None:
    """Of the operators each is written in CEL for texts and for numbers, but those on networks."""
    names = Names({"playbook_variables": {"__left__": {"type": "string", "value": "a"}}})
    for operator, right in itertools.product(OPERATORS, ["'5'"]):
        assert cel.condition(comparison(operator, right), names) is not None, operator
