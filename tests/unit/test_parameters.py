"""Declared parameters: what a declaration may say and which values it lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Problem
from playbooks.definitions.parameters import Declared, check_definitions, normalise, resolve, secret_names

DOCUMENTED = [
    {"name": "ip_address", "type": "string", "required": True},
    {"name": "duration_hours", "type": "integer", "required": False, "default": 24},
]
RICH = [
    {
        "name": "ip_address",
        "label": "IP address",
        "type": "string",
        "required": True,
        "validation": {"pattern": r"^(\d{1,3}\.){3}\d{1,3}$"},
    },
    {"name": "duration_hours", "type": "integer", "default": 24, "validation": {"min": 1, "max": 720}},
    {"name": "severity", "type": "enum", "values": ["low", "high"], "default": "high"},
    {"name": "ratio", "type": "number", "validation": {"min": 0, "max": 1}},
    {"name": "notify", "type": "boolean", "default": True},
    {"name": "labels", "type": "object"},
    {"name": "hosts", "type": "array", "validation": {"length": {"min": 1, "max": 3}}},
    {"name": "fw_api_key", "type": "secret", "validation": {"min_length": 8}},
]


def problem_of(definition):
    problems = check_definitions([definition])
    assert len(problems) == 1, problems
    return problems[0]


def resolved(definitions, values):
    assert check_definitions(definitions) == []
    return resolve(normalise(definitions), values)


#: values at the edges of what each type takes
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "x" * 4096, "x" * 4097, "x" * 65_536, "x" * 65_537, "\ud800", "203.0.113.50", "low"]),
    st.sampled_from([2**31 - 1, 2**31, -(2**31), 2**63, -(2**63), 24, 721]),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)
PLAIN = [
    {"name": "host", "type": "string", "required": True},
    {"name": "note", "type": "string"},
    {"name": "hours", "type": "integer"},
    {"name": "fast", "type": "boolean"},
    {"name": "key", "type": "secret"},
    {"name": "more", "type": "object"},
]
VALUES = st.dictionaries(st.sampled_from([*(one["name"] for one in (*RICH, *PLAIN)), "undeclared"]), ODD, max_size=8)


@given(definitions=st.sampled_from([DOCUMENTED, RICH, PLAIN, []]), values=st.one_of(VALUES, ODD))
def test_what_is_prepared_once_finds_the_same(definitions, values):
    """The values and the faults of a revision, whose checks are prepared, are those of its declarations."""
    expected = resolved(definitions, values)
    found = Declared(normalise(definitions)).resolve(values)
    assert repr(found) == repr(expected)
    assert list(found[0]) == list(expected[0])


def test_documented_parameters_are_accepted_and_defaults_filled_in():
    """The documented action: one required text, one whole number with a default."""
    assert resolved(DOCUMENTED, {"ip_address": "203.0.113.50", "duration_hours": 48}) == (
        {"ip_address": "203.0.113.50", "duration_hours": 48},
        [],
    )
    assert resolved(DOCUMENTED, {"ip_address": "203.0.113.50"})[0]["duration_hours"] == 24


def test_every_type_takes_its_own_kind_of_value():
    """The values of a call with one of each type stay unchanged."""
    values = {
        "ip_address": "203.0.113.50",
        "duration_hours": 1,
        "severity": "low",
        "ratio": 0.5,
        "notify": False,
        "labels": {"team": "blue"},
        "hosts": ["a", "b"],
        "fw_api_key": "0123456789",
    }
    assert resolved(RICH, values) == (values, [])


def test_optional_parameters_that_are_not_given_are_null():
    """Every declared name can be used in a template, given or not; null counts as not given."""
    values, problems = resolved(RICH, {"ip_address": "203.0.113.50", "duration_hours": None})
    assert problems == []
    assert values["labels"] is None
    assert values["duration_hours"] == 24
    assert set(values) == {definition["name"] for definition in RICH}


def test_every_fault_of_a_call_is_named_at_once():
    """Missing, unknown, wrong type, out of range, not an option, not matching: all in one answer."""
    _, problems = resolved(
        RICH,
        {
            "ip_adress": "203.0.113.50",
            "duration_hours": 721,
            "severity": "medium",
            "ratio": True,
            "notify": "yes",
            "labels": [],
            "hosts": [],
            "fw_api_key": "short",
        },
    )
    assert problems == [
        Problem("/ip_address", "'ip_address' is required"),
        Problem("/duration_hours", "'duration_hours' must be at most 720"),
        Problem("/severity", "'severity' must be one of low, high"),
        Problem("/ratio", "'ratio' must be a number"),
        Problem("/notify", "'notify' must be true or false"),
        Problem("/labels", "'labels' must be an object"),
        Problem("/hosts", "'hosts' must have at least 1 items"),
        Problem("/fw_api_key", "'fw_api_key' must have at least 8 characters"),
        Problem("/ip_adress", "'ip_adress' is not a parameter; did you mean 'ip_address'?"),
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", True),
        ("integer", 3.0),
        ("integer", "3"),
        ("integer", 2**63),
        ("number", "1"),
        ("number", float("inf")),
        ("number", float("nan")),
        ("number", 10**400),
        ("boolean", 1),
        ("boolean", "true"),
        ("string", 5),
        ("string", ["a"]),
        ("string", "a" * 65_537),
        ("string", "\ud800"),
        ("secret", ""),
        ("secret", "a" * 8193),
        ("secret", 12345678),
        ("object", []),
        ("array", {}),
        ("array", "a"),
        ("array", ["a"] * 10_001),
        ("array", ["a" * 300_000]),
        ("object", {"a" * 300_000: 1}),
        ("object", {"\ud800": 1}),
        ("object", {"a": [float("nan")]}),
    ],
)
def test_values_of_another_kind_or_beyond_the_bounds_are_refused(kind, value):
    """Nothing is converted silently, and nothing larger or stranger than JSON text gets through."""
    _, problems = resolved([{"name": "p", "type": kind}], {"p": value})
    assert [problem.pointer for problem in problems] == ["/p"]


def test_a_value_nested_too_deep_is_refused_without_recursion():
    """A document of a hundred thousand brackets is a fault like any other."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    _, problems = resolved([{"name": "p", "type": "array"}], {"p": deep})
    assert "nested" in problems[0].detail


def test_a_pattern_must_match_the_whole_value():
    """A pattern that matches only a part lets nothing through, even with a line end after it."""
    definitions = [{"name": "p", "type": "string", "validation": {"pattern": "[a-z]+"}}]
    assert resolved(definitions, {"p": "abc"})[1] == []
    for value in ("abc; rm", "abc\n", "1abc", ""):
        assert resolved(definitions, {"p": value})[1] == [Problem("/p", "'p' must match the pattern [a-z]+")]


def test_patterns_that_hang_other_engines_answer_at_once():
    """The classic bomb is matched in linear time."""
    definitions = [{"name": "p", "type": "string", "validation": {"pattern": "(a+)+$"}}]
    assert len(resolved(definitions, {"p": "a" * 50_000 + "!"})[1]) == 1


def test_options_distinguish_one_from_true():
    """JSON's 1 and true are different values."""
    definitions = [{"name": "p", "type": "enum", "options": [1, "on"]}]
    assert resolved(definitions, {"p": 1})[1] == []
    assert len(resolved(definitions, {"p": True})[1]) == 1
    assert len(resolved(definitions, {"p": [1]})[1]) == 1


def test_an_action_without_parameters_takes_none():
    """Undeclared values are faults, never silently dropped."""
    assert resolve([], {}) == ({}, [])
    assert resolve([], {"a/b": 1})[1] == [Problem("/a~1b", "'a/b' is not a parameter; there are none")]
    assert resolve([], ["a"])[1] == [Problem("", "parameters must be an object")]


def test_defaults_are_not_shared_between_calls():
    """What one execution does to its values never reaches the definition."""
    definitions = normalise([{"name": "p", "type": "array", "default": ["a"]}])
    resolve(definitions, {})[0]["p"].append("b")
    assert resolve(definitions, {})[0]["p"] == ["a"]


@given(value=st.text(min_size=1))
def test_a_secret_is_never_repeated_in_a_message(value):
    """Whatever is wrong with a secret, its value is not shown."""
    secret = f"hunter2-{value}"
    definitions = [
        {"name": "p", "type": "secret", "validation": {"pattern": "[0-9]{3}", "max_length": 2000}},
        {"name": "q", "type": "secret", "validation": {"length": {"max": 3}}},
    ]
    _, problems = resolved(definitions, {"p": secret, "q": secret})
    assert len(problems) == 2
    assert not any("hunter2" in problem.detail + problem.pointer for problem in problems)


def test_secret_names_are_those_of_type_secret():
    """What must be sealed and masked."""
    assert secret_names(normalise(RICH)) == {"fw_api_key"}
    assert secret_names([]) == frozenset()


def test_an_unknown_type_is_refused_in_the_documented_words():
    """The message lists the types there are."""
    assert problem_of({"name": "p", "type": "text"}) == Problem(
        "/0/type",
        "Invalid parameter type 'text'. Allowed: string, integer, number, boolean, enum, object, array, secret.",
    )
    assert problem_of({"name": "p", "type": ["string"]}).pointer == "/0/type"


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [
        ("ip", "/0"),
        ({"type": "string"}, "/0/name"),
        ({"name": "1a"}, "/0/name"),
        ({"name": "a-b"}, "/0/name"),
        ({"name": "a\n"}, "/0/name"),
        ({"name": "a" * 65}, "/0/name"),
        ({"name": "target"}, "/0/name"),
        ({"name": "parameters"}, "/0/name"),
        ({"name": "p", "required": "yes"}, "/0/required"),
        ({"name": "p", "requierd": True}, "/0/requierd"),
        ({"name": "p", "label": 5}, "/0/label"),
        ({"name": "p", "description": "x" * 1025}, "/0/description"),
        ({"name": "p", "type": "enum"}, "/0/options"),
        ({"name": "p", "type": "enum", "enum": []}, "/0/enum"),
        ({"name": "p", "type": "enum", "validation": {"options": "a"}}, "/0/validation/options"),
        ({"name": "p", "type": "enum", "values": ["a", None]}, "/0/values/1"),
        ({"name": "p", "type": "integer", "options": [1, "2"]}, "/0/options/1"),
        ({"name": "p", "type": "boolean", "options": [True]}, "/0/options"),
        ({"name": "p", "validation": []}, "/0/validation"),
        ({"name": "p", "validation": {"patern": "a"}}, "/0/validation"),
        ({"name": "p", "validation": {"pattern": "("}}, "/0/validation"),
        ({"name": "p", "validation": {"pattern": "(?=a)"}}, "/0/validation"),
        ({"name": "p", "validation": {"pattern": "(a{1000}){1000}"}}, "/0/validation"),
        ({"name": "p", "validation": {"pattern": "a" * 513}}, "/0/validation"),
        ({"name": "p", "validation": {"pattern": "\ud800"}}, "/0/validation"),
        ({"name": "p", "validation": {"length": 3}}, "/0/validation/length"),
        ({"name": "p", "validation": {"min_length": -1}}, "/0/validation"),
        ({"name": "p", "validation": {"min_length": 3, "max_length": 2}}, "/0/validation"),
        ({"name": "p", "validation": {"min": 1}}, "/0/validation"),
        ({"name": "p", "type": "integer", "validation": {"min": True}}, "/0/validation"),
        ({"name": "p", "type": "integer", "validation": {"min": 2, "max": 1}}, "/0/validation"),
        ({"name": "p", "type": "integer", "default": "24"}, "/0/default"),
        ({"name": "p", "type": "integer", "default": 0, "validation": {"min": 1}}, "/0/default"),
        ({"name": "p", "type": "enum", "options": ["a"], "default": "b"}, "/0/default"),
        ({"name": "p", "type": "secret", "default": "hunter2"}, "/0/default"),
        ({"name": "p", "type": "secret", "options": ["hunter2"]}, "/0/options"),
    ],
)
def test_each_fault_of_a_declaration_is_named_at_its_place(definition, pointer):
    """One fault, one problem, with the pointer of the field and without the value of a secret."""
    problem = problem_of(definition)
    assert problem.pointer == pointer
    assert "hunter2" not in problem.detail


def test_two_parameters_of_one_name_are_refused():
    """The second use is the fault."""
    problems = check_definitions([{"name": "p"}, {"name": "q"}, {"name": "p"}])
    assert problems == [Problem("/2/name", "the name 'p' is used twice")]


@pytest.mark.parametrize("definitions", [None, {}, "a", [{"name": f"p{index}"} for index in range(101)]])
def test_the_declarations_are_a_list_of_bounded_length(definitions):
    """Anything else is one fault of the whole."""
    assert [problem.pointer for problem in check_definitions(definitions)] == [""]


def test_playbooks_may_reserve_other_names():
    """Which names are taken depends on what the templates of the place can see."""
    assert check_definitions([{"name": "target"}], frozenset({"steps"})) == []
    assert len(check_definitions([{"name": "steps"}], frozenset({"steps"}))) == 1


def test_normal_form_has_one_spelling_and_is_stable():
    """Aliases disappear, notes stay, and normalising twice changes nothing."""
    form = normalise(
        [
            {"name": "a", "type": "enum", "values": ["x"], "placeholder": "choose"},
            {"name": "b", "type": "enum", "validation": {"options": ["x"]}},
            {"name": "c", "validation": {"length": {"min": 1, "max": 2}, "pattern": "a*"}, "label": None},
        ]
    )
    assert form == [
        {"name": "a", "type": "enum", "required": False, "placeholder": "choose", "options": ["x"]},
        {"name": "b", "type": "enum", "required": False, "options": ["x"]},
        {
            "name": "c",
            "type": "string",
            "required": False,
            "validation": {"pattern": "a*", "min_length": 1, "max_length": 2},
        },
    ]
    assert normalise(form) == form
    assert check_definitions(form) == []
