"""Work is bounded before it starts: the cost of a small request, and configs that break nothing."""

import gc
import json
import time
from typing import Any

import pytest

from api.http.blueprint import answer
from config import strict_json
from config.errors import InvalidRequest, Problem
from expressions import suggestions, templates
from playbooks.definitions import parameter_values, parameters
from providers import http, members, registry
from providers.egress.client import Response
from store.executions import transitions


def spent(work: Any, *given: Any) -> float:
    """Processor seconds that a call takes, however busy the machine is."""
    before = time.process_time()
    work(*given)
    return time.process_time() - before


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names for which a near one was looked for."""
    names: list[str] = []
    real = suggestions.get_close_matches

    def note(name: str, *given: Any, **more: Any) -> list[str]:
        names.append(name)
        return real(name, *given, **more)

    monkeypatch.setattr(suggestions, "get_close_matches", note)
    return names


def test_a_repeated_member_is_found_in_a_body_of_many() -> None:
    """A member named twice among a hundred thousand is found by looking at each once."""
    members = ",".join(f'"{number}":0' for number in range(95_000))
    raw = f'{{{members},"94999":1}}'.encode()

    def refused() -> None:
        with pytest.raises(InvalidRequest, match='twice: "94999"'):
            strict_json.parse(raw)

    assert spent(refused) < 10


def test_a_body_of_nothing_but_containers_is_refused_and_the_collector_goes_on() -> None:
    """However few characters they take; a body of as many as there may be is read."""
    most = strict_json.MAX_CONTAINERS - 1
    assert len(strict_json.parse(b"[" + b",".join([b"[]"] * most) + b"]")) == most
    for item in (b"[]", b"{}", b'"\\u0041",[]'):
        with pytest.raises(InvalidRequest, match="more than 100000 arrays and objects"):
            strict_json.parse(b"[" + b",".join([item] * (most + 1)) + b"]")
    assert gc.isenabled()


def test_only_the_first_undeclared_values_get_a_suggestion(compared: list[str]) -> None:
    """A thousand undeclared values cost five comparisons and an answer of twenty-one lines."""
    declared = [{"name": f"parameter_{number}", "type": "string", "required": False} for number in range(100)]
    _, problems = parameters.resolve(declared, {f"paramter_{number}": 1 for number in range(1000)})
    assert len(compared) == parameters.MAX_SUGGESTED
    assert len(problems) == parameters.MAX_NAMED + 1
    assert problems[0] == Problem("/paramter_0", "'paramter_0' is not a parameter; did you mean 'parameter_0'?")
    assert problems[-1] == Problem("", "and 980 more that are not parameters")


def test_declarations_are_compared_a_bounded_number_of_times(compared: list[str]) -> None:
    """However many unknown fields and rules the parameters have, few are compared with the known ones."""
    odd = {f"odd{number}": 1 for number in range(40)}
    assert parameters.check_definitions([{"name": "p", **odd, "validation": odd}])
    assert len(compared) <= 2 * parameters.MAX_LIKENED
    wide = {f"odd{number}": 1 for number in range(20_000)}
    assert parameters.check_definitions([{"name": "p", **wide}])[0].detail == "a parameter may have at most 50 fields"
    assert parameters.check_definitions([{"name": "p", "validation": wide}])[0].pointer == "/0/validation"
    assert len(members.check(wide, ("url", "method"))) == members.MOST_NAMED + 1
    assert len(compared) <= 2 * parameters.MAX_LIKENED + members.MOST_NAMED


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"[^@\s]+@[^@\s]+\.[a-z]{2,}", "ada@example.org"),
        (r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", "ada@example.org"),
        (r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)", "203.0.113.50"),
        (r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "6b2f0c1e-1c1b-4f6e-9d53-3a1f7f0a9c11"),
        (r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "mail.example.org"),
        (r"\w{1,64}", "host_1"),
        (r"[a-f0-9]{64}", "0" * 64),
        (r"[^\x00-\x1f]{1,1000}", "Größe"),
    ],
)
def test_ordinary_patterns_fit_the_memory_a_pattern_may_take(pattern: str, value: str) -> None:
    """What people check addresses and names with compiles and matches."""
    assert parameter_values.pattern_fault(pattern) is None
    declared = [{"name": "p", "type": "string", "validation": {"pattern": pattern}}]
    assert parameters.resolve(declared, {"p": value}) == ({"p": value}, [])


@pytest.mark.parametrize("pattern", [r"\pL{250}x", r"(\pL{9}){100}", r"\PN{1000}"])
def test_a_short_pattern_that_compiles_to_much_is_refused(pattern: str) -> None:
    """Patterns whose program is large are a fault of the definition, before most of the work is done."""
    [problem] = parameters.check_definitions([{"name": "p", "validation": {"pattern": pattern}}])
    assert "too large" in problem.detail


def test_the_patterns_of_one_definition_are_limited_before_they_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than fifty patterns, or too many characters of them, are one clear fault, and none is compiled."""
    compiled: list[str] = []
    monkeypatch.setattr(parameters, "pattern_fault", compiled.append)
    many = [{"name": f"p{number}", "validation": {"pattern": f"a{number}"}} for number in range(51)]
    long = [{"name": f"p{number}", "validation": {"pattern": f"{number}".rjust(500, "a")}} for number in range(17)]
    for definitions in (many, long):
        [problem] = parameters.check_definitions(definitions)
        assert problem == Problem("", "the parameters may have at most 50 patterns of 8192 characters together")
    assert not compiled
    assert parameters.check_definitions(many[:50]) == []
    assert len(compiled) == 50


def test_a_refused_pattern_is_not_compiled_again() -> None:
    """A fault is remembered like a pattern, because finding it takes as long, and the memory for them is small."""
    pattern = r"\pL{251}x"
    parameter_values.pattern_fault(pattern)
    before = parameter_values._compiled.cache_info()
    parameter_values.pattern_fault(pattern)
    assert parameter_values._compiled.cache_info().hits == before.hits + 1
    assert before.maxsize <= 128


def test_no_more_than_a_hundred_parameters() -> None:
    """A definition with more parameters is refused as a whole."""
    assert len(parameters.check_definitions([{"name": f"p{number}"} for number in range(101)])) == 1


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity"])
def test_an_answer_with_a_number_json_cannot_write_stays_text(number: str) -> None:
    """A receiver's answer that could not be written as JSON again is kept as the text it is."""
    text = f'{{"score": [{number}]}}'
    output = http._output(Response(200, {"content-type": "application/json"}, text.encode(), 1))
    assert output == {"body": text}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_neither_stored_nor_answered(number: float) -> None:
    """NaN and infinity are errors here rather than broken JSON in a client."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        transitions.dump({"score": number})
    with pytest.raises(ValueError, match="not JSON compliant"):
        answer({"score": number})


@pytest.mark.parametrize("source", ["{{ 1.\u0660 }}", "{{ a[1.\u0660] }}", "{{ a | truncate(1.\u0660) }}"])
def test_digits_of_other_scripts_are_a_fault_of_the_template(source: str) -> None:
    """A number that the template language accepts and Python does not is named as a fault."""
    [problem] = templates.check(source, {"a"})
    assert "number" in problem.detail


_ODD = ([], {}, 5, None, True, "x" * 100_000, [[]], {"a": []}, 1.5)
_CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("webhook", {"url": "https://a.example/", "method": "POST", "headers": {}, "body": {}}),
    ("webhook", {"url": "https://a.example/", "headers": {"Content-Type": "text/plain"}, "body_template": "x"}),
    ("remote", {"target": "https://a.example/", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "headers": {}}),
    ("notification", {"kind": "slack", "url": "https://a.example/", "text": "x", "channel": "c", "username": "u"}),
    (
        "notification",
        {"kind": "email", "host": "a.example", "port": 25, "username": "u", "password": "p", "tls": "starttls"}
        | {"from": "a@a.example", "to": "b@b.example", "subject": "s", "body": "b"},
    ),
    (
        "notification",
        {"kind": "pagerduty", "routing_key": "k", "event_action": "trigger", "summary": "s", "source": "s"}
        | {"severity": "error", "dedup_key": "d", "url": "https://a.example/", "custom_details": {}},
    ),
    ("notification", {"kind": "webhook", "url": "https://a.example/", "method": "POST", "headers": {}, "body": {}}),
    ("local", {"handler": "nothing"}),
    ("local", {"interpreter": "bash", "script": "true"}),
    ("approval", {"message": "?", "expires_in_seconds": 60}),
    ("opservant", {"command": "x"}),
]


@pytest.mark.parametrize(
    ("executor", "config", "key"), [(name, config, key) for name, config in _CONFIGS for key in [*config, "unheard_of"]]
)
def test_no_value_of_a_config_makes_its_check_fail(executor: str, config: dict[str, Any], key: str) -> None:
    """Whatever JSON stands under a key, the check names problems and raises nothing."""
    for odd in _ODD:
        problems = registry.executor(executor).check({**config, key: odd}, {"target"})
        assert all(isinstance(problem, Problem) for problem in problems)
        json.dumps([problem.detail for problem in problems])


@pytest.mark.parametrize("tls", [[], {}, 5, None, "yes"])
def test_a_word_for_tls_that_is_none_is_a_fault(tls: Any) -> None:
    """Only the three words are taken; what cannot even be looked up is answered the same."""
    config = {"kind": "email", "host": "a.example", "from": "a@a.example", "to": "b@b.example", "subject": "s"}
    problems = registry.executor("notification").check({**config, "body": "b", "tls": tls}, set())
    assert Problem("/tls", "must be starttls, implicit or none") in problems
