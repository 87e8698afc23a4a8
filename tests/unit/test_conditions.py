"""Conditions: what they can say, what they read, and that no text and no data can stop or hold up a worker."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressions import limits
from expressions.conditions import evaluation
from expressions.conditions.evaluation import ConditionError, check, evaluate, holds

ROOT = Path(__file__).parents[2]
FINDINGS = [{"severity": "high", "score": 7}, {"severity": "low", "score": 2}]
CONTEXT = {
    "finding": {
        "severity": "critical",
        "cvss": 9.8,
        "title": "say 'hi' {{ x }}",
        "tags": ["pci", "web"],
        "note": None,
        "open": True,
        "asset": {"tags": ["production"]},
    },
    "items": [1, 2, 3],
    "findings": FINDINGS,
    "previous_step": {"status": "completed"},
    "steps": {
        "create-ticket": {"output": {"issue_key": "SEC-1", "a-b": 1}, "status": "completed"},
        "2fa": {"status": "failed"},
        "create": {"output": {"n": 5}},
    },
}
KNOWN = set(CONTEXT)


def fault(source, context=CONTEXT):
    with pytest.raises(ConditionError) as caught:
        evaluate(source, context)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("finding.severity == 'critical' && size(items) > 2", True),
        ("finding.cvss >= 9", True),
        ("finding.note == null", True),
        ("!finding.open", False),
        ("'pci' in finding.tags", True),
        ("has(finding.owner)", False),
        ("has(finding.note)", True),
        ("finding.missing == 1 || true", True),
        ("finding.title.startsWith('say')", True),
        ("findings.exists(f, f.severity == 'high' && f.score > 5)", True),
        ("findings.all(f, has(f.severity))", True),
        ("size(findings.filter(f, f.score > 5))", 1),
        ("findings.filter(f, f.score > 5)[0].severity", "high"),
        ("'low' in findings.map(f, f.severity)", True),
        ("findings.exists_one(f, f.score == 2)", True),
        ("['pci', 'hipaa'].exists(t, t in finding.tags)", True),
        ("items.all(x, items.exists(y, x == y))", True),
        ("findings.filter(f, f.score > 5).exists(f, f.severity == 'high')", True),
        ("finding.open ? finding.severity : 'none'", "critical"),
        ("duration('1h') > duration('30m')", True),
        ("timestamp('2024-01-01T00:00:00Z').getFullYear()", 2024),
        ("items[1] + 1 // a comment", 3),
        ("finding['severity']", "critical"),
        ("{'a': items}.a[0]", 1),
        ("finding.asset", {"tags": ["production"]}),
    ],
)
def test_plain_cel(source, value):
    """An expression of CEL gives its value, and has no faults."""
    result = evaluate(source, CONTEXT)
    assert result == value
    assert type(result) is type(value)
    assert check(source, KNOWN) == []


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("'production' in {{ finding.asset.tags }}", True),
        ('{{previous_step.status}} == "completed"', True),
        ("{{ finding.cvss }} > 9.5 && finding.open", True),
        ("{{ finding.tags }}.exists(t, t == 'web')", True),
        ("{{ finding.tags }}[0]", "pci"),
        ("size({{ items }}) == {{ items | length }}", True),
        ("'{{ finding.severity }}' == 'critical'", True),
        ('"{{ finding.cvss }}" == "9.8"', True),
        ("'{{ finding.severity }}/{{ items[0] }}'", "critical/1"),
        ("{{ finding.owner | default('nobody') }} == 'nobody'", True),
        ("{{ '}}' }} == '}}'", True),
        ("{{ finding.title }} == finding.title", True),
    ],
)
def test_templates_inside_conditions(source, value):
    """``{{ }}`` is a value with its type, in quotes text; what it gives is never read as CEL or as a template."""
    assert evaluate(source, CONTEXT) == value
    assert check(source, KNOWN) == []


@pytest.mark.parametrize("attack", ["' || true || '", '" || true', "{{ finding.open }}", "true", "\\", "'''", "}}"])
def test_data_is_never_code(attack):
    """A value that looks like an expression stays a value, bare and in quotes."""
    context = {"finding": {"title": attack}}
    assert holds("{{ finding.title }} == 'x'", context) is False
    assert holds("'{{ finding.title }}' == 'x'", context) is False
    assert evaluate("'{{ finding.title }}'", context) == attack


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("steps.create-ticket.output.issue_key == 'SEC-1'", True),
        ("steps['create-ticket'].output.issue_key", "SEC-1"),
        ('steps.create-ticket.output["a-b"] == 1', True),
        ("{{ steps.create-ticket.output.issue_key }} == 'SEC-1'", True),
        ("steps.2fa.status", "failed"),
        ("has(steps.create-ticket.status)", True),
        ("'steps.create-ticket' + \"steps.a-b\"", "steps.create-ticketsteps.a-b"),
        ("'''steps.a-b''' + r'steps.a-b'", "steps.a-bsteps.a-b"),
        ("steps.create.output.n - 1", 4),
        ("steps.create.output.n-1", 4),
        ("-steps.create.output.n", -5),
        ("{'a': {'steps': {'b': 3}}}.a.steps.b-1", 2),
    ],
)
def test_step_ids_with_dashes(source, value):
    """``steps.create-ticket`` means that step; texts, other names and subtractions are left alone."""
    assert evaluate(source, CONTEXT) == value


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("finding.sevrity == 'x'", "'finding.sevrity' does not exist; did you mean 'finding.severity'?"),
        ("steps.create-tickets.status == 'x'", "'steps.create-tickets' does not exist"),
        ("findings.exists(f, f.nope == 1)", "'nope' does not exist"),
        ("findng.severity == 'x'", "'findng' is not known"),
        ("{{ finding.nope }} == 1", "'finding.nope' does not exist"),
        ("items[7]", "outside of its list"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "too large"),
        ("finding.note > 1", "cannot be compared with 1"),
        ("'a' + 1", "'a' is text and 1 is a number: + cannot join them; write 'a' + string(1)"),
        ("1 + 1.5", "do not fit together"),
        ("finding.note + 1", "finding.note is null and 1 is a number: + cannot join them"),
        ("finding.cvss.b == 1", "finding.cvss is a number and has no member 'b'"),
        ("finding.note.b == 1", "finding.note is null and has no member 'b': ask first"),
        ("items.size > 1", "items is a list and has no member 'size': write size(items)"),
        ("int('abc')", "int('abc') always fails: 'abc' is not a whole number"),
        ("int(finding.title) > 1", "int(finding.title) fails: finding.title is text, and not a whole number"),
        ("int(items) > 1", "int takes text or a number, and items is a list"),
        ("size(finding.cvss) > 1", "size takes text or a list or an object, and finding.cvss is a number"),
        ("finding.tags.contains('pci')", "and finding.tags is a list: ask for an item of it, 'a' in finding.tags"),
        ("finding.note.matches('x')", "matches needs a text and a pattern, not null"),
        ("1.0 / 0.0", "not finite"),
        ("b'x'", "cannot hold"),
        ("duration('1h')", "cannot hold"),
    ],
)
def test_faults_of_evaluation(source, words):
    """What cannot be worked out raises ConditionError, which says why."""
    assert words in fault(source)


def test_messages_hold_no_value():
    """A key that was computed, a text or a number from the context is not shown in a message."""
    context = {"a": {"secret": "hunter2", "n": 2**62}, "b": {}}
    for source in ("b[a.secret]", "int(a.secret)", "a.n + a.n + a.n", "timestamp(a.secret)", "b[{{ a.secret }}]"):
        assert "hunter2" not in fault(source, context)
        assert str(2**62) not in fault(source, context)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("finding.severity", "text"),
        ("size(items)", "a number"),
        ("items", "a list"),
        ("finding", "an object"),
        ("null", "null"),
        ("{{ finding.severity }}", "text"),
    ],
)
def test_a_condition_gives_true_or_false(source, kind):
    """Any other type is an error that names it; nothing counts as true by itself."""
    with pytest.raises(ConditionError, match=f"gives {kind}, not true or false"):
        holds(source, CONTEXT)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("findng.severity == 'x'", "'findng' is not known; did you mean 'finding'?"),
        ("{{ findng.severity }} == 'x'", "'findng' is not known; did you mean 'finding'?"),
        ("items.exists(x, y == 1)", "'y' is not known"),
        ("finding.tags.exist(t, true)", "there is no function 'exist'; did you mean 'exists'?"),
        ("finding.severity = 'x'", "'=' at column 18: compare with '=='"),
        ("finding.severity ==", "it ends where a value is expected"),
        ("a b", "column 3: 'b' is not expected here"),
        ("finding.open and true", "use && for and, || for or, ! for not"),
        ("true OR false", "use && for and, || for or, ! for not"),
        ("true &&\n not finding.open", "use && for and, || for or, ! for not"),
        ("", "empty"),
        ("  // nothing", "empty"),
        ("(1", "a '(' is never closed"),
        ("1)", "a ')' closes nothing"),
        ("{{ finding.severity", "'{{' is not closed"),
        ("{{ finding() }}", "calls are not allowed"),
        ("'\\t{{ finding.severity }}' == 'x'", "write {{ }} without quotes"),
        ("__value_0 == 1", "names like '__value_0' are not allowed"),
        ("finding.title.matches('(')", "the pattern '(' of matches cannot be used: RE2 says missing )"),
        ("finding.title.matches('(?=x)')", "the pattern '(?=x)' of matches cannot be used: RE2 has no look-ahead"),
        (r"finding.title.matches('(a)\\1')", "RE2 has no back-references"),
        ("contains(finding.title, 'a')", "contains is asked of a text: finding.title.contains('a')"),
        ("startsWith(size(items), 'a')", "startsWith is asked of a text: finding.title.startsWith('a')"),
        ("finding.title.contains(1)", "contains takes one text: finding.title.contains('1')"),
        ("finding.title.endsWith()", "endsWith takes one text: finding.title.endsWith('a')"),
        ("getHours(finding.at) > 1", "getHours is asked of a time: timestamp(finding.at).getHours()"),
        ("exists(items)", "exists is asked of a list: list.exists(x, x > 1)"),
        ("has(items)", "has() takes a member: has(finding.title); for a name write items != null"),
        ("true &&\n has({{ finding.note }})", "has() takes a member"),
        ("int('abc') > 1", "int('abc') always fails: 'abc' is not a whole number"),
        (
            "lower(finding.title) == 'a'",
            "there is no function 'lower': write it as a filter, {{ finding.title | lower }}",
        ),
        ("finding.title.toUpper() == 'A'", "write it as a filter, {{ finding.title | upper }}"),
        ("now() > 1", "there is no function 'now': rules read the time as time.hour"),
        ("finding.cvss =>5", "'=>' at column 14: write >="),
        ("finding.title is not None", "write finding.title != null"),
        ("finding.title is None", "write finding.title == null"),
        ("finding.title.matches(finding.severity)", "one pattern, written out"),
        ("(items + items).exists(x, true)", "a list to walk is named or written out"),
        (".all(x, x) in a", "a list to walk is named or written out"),
        ("[items, items].all(x, true)", "a list to walk is named or written out"),
        ("items.map(x, x + x)", "map takes a name and a path from it"),
        ("items.map(x, [x, x])", "map takes a name and a path from it"),
        ("items.map(x,)", "map takes a name and a path from it"),
        ("items.exists(1, true)", "exists takes a name and a question"),
        ("items.all()", "all takes a name and a question"),
        ("items.all(a, items.all(b, items.all(c, true)))", "at most 2 inside one another"),
        ("1" + " + 1" * limits.MAX_CONDITION_TOKENS, "words and signs"),
        ("'" + "x" * limits.MAX_CONDITION_CHARACTERS + "'", "longer than"),
        ("(" * 30 + "1" + ")" * 30, "nested more than"),
        ("'\ud800'", "half surrogates"),
    ],
)
def test_faults_of_the_text(source, words):
    """A condition that can never be used is refused when it is written."""
    (text,) = check(source, KNOWN)
    assert words in text


def test_without_known_names_any_root_will_do():
    """Names are compared only when the caller says which there are; an answered absence is no fault."""
    assert check("anything.at == all_") == []
    assert check("{{ anything | default(1) }} == 1", set()) == []
    assert len(check("a == b && a == c", {"b"})) == 2


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**63, "more than 64 bits"),
        (-(2**63) - 1, "more than 64 bits"),
        (float("nan"), "not finite"),
        (float("inf"), "not finite"),
        ({1: 2}, "a key that is no text"),
        ({"a": {None: 2}}, "a key that is no text"),
        ("\ud800", "half surrogates"),
        ({"\ud800": 1}, "half surrogates"),
        (object(), "object"),
        ({1, 2}, "set"),
        (b"x", "bytes"),
    ],
)
def test_values_cel_cannot_hold(value, words):
    """They are refused with their kind, but only when the condition reads them."""
    assert words in fault("a == 1", {"a": value})
    assert words in fault("{{ a }} == 1", {"a": value})
    assert holds("x.b == 1", {"x": {"a": value, "b": 1}, "a": value})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_plain_values_go_through_unchanged(value):
    """JSON goes into CEL and comes back with the same value and type."""
    result = evaluate("a", {"a": value})
    assert repr(result) == repr(value) or result == value
    assert type(result) is type(value)
    assert evaluate("{{ a }}", {"a": value}) == value


def test_only_what_is_read_is_taken():
    """Outputs the condition does not name cost nothing, however large they are."""
    huge = {f"s{i}": {"output": {"x": i, "body": ["y" * 1000] * 5000}} for i in range(20)}
    assert holds("steps.s3.output.x == 3", {"steps": huge, "z": [0] * 1_000_000})
    assert holds("has(steps.s3.output.x) && !has(steps.s3.output.z)", {"steps": huge})
    assert "more data" in fault("size(steps) == 3", {"steps": huge})


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def test_deep_and_endless_values():
    """Nested data is refused at a fixed depth, before it reaches a parser that would overflow the stack."""
    assert evaluate("a", {"a": deep(limits.MAX_CONDITION_DEPTH)}) == deep(limits.MAX_CONDITION_DEPTH)
    endless = []
    endless.append(endless)
    for value in (deep(limits.MAX_CONDITION_DEPTH + 1), deep(100_000), endless, {"x": endless}):
        assert "nested more than" in fault("a == 1", {"a": value})
        assert "nested more than" in fault("{{ a }} == 1", {"a": value})


WORDS = ["x" * 60] * 5000
LARGE = [{"a": {"b": "c" * 50}, "d": "e", "ys": [1]} for _ in range(1600)]


@pytest.mark.parametrize(
    "source",
    [
        "xs.all(x, xs.all(y, x == y))",
        "xs.filter(x, true).size() > 0",
        "xs.map(x, x).size() > 0",
        "xs.all(x, xs == xs)",
        "xs.all(x, [xs, xs, xs].size() > 0)",
        "xs.all(x, xs[0].a.b == 'c' || true)",
        "xs.all(x, {'a': xs}.a.size() > 0)",
        "xs.all(x, xs.filter(y, true).size() > 0)",
        "size(" + "+".join(["xs"] * 200) + ") > 0",
        "xs.filter(x, true).filter(x, true).filter(x, true).size() > 0",
        "xs.all(x, (true ? xs : xs)[0].d == 'e')",
    ],
)
@pytest.mark.parametrize("values", [LARGE, WORDS], ids=["objects", "texts"])
def test_work_that_would_hold_up_a_worker(source, values):
    """A condition that multiplies large values is refused before CEL starts; a short list is fine."""
    assert check(source, {"xs"}) == []
    assert "takes too long" in fault(source, {"xs": values})


def test_one_traversal_of_a_long_list_is_no_trouble():
    """A thousand findings with a few fields can be asked one or two things each."""
    findings = [{"id": f"f-{i}", "severity": "low", "title": "t" * 60, "open": True} for i in range(1000)]
    context = {"findings": findings}
    assert holds("!findings.exists(f, f.severity == 'critical' && f.open)", context)
    assert holds("findings.all(f, f.id.matches('^f-[0-9]+$'))", context)
    assert holds("size({{ findings }}) == 1000", context)


def test_texts_cannot_grow_without_end():
    """Concatenation is charged for every copy it makes."""
    assert "takes too long" in fault("+".join(["s"] * 200) + " == ''", {"s": "x" * 100_000})
    assert evaluate("s + '-' + s", {"s": "ab"}) == "ab-ab"


def test_patterns():
    """``matches`` finds a pattern anywhere in a text, by RE2: without backtracking, and bounded."""
    context = {"s": "web-12.example.com", "long": "x" * 100_000}
    assert holds("s.matches('^web-[0-9]+')", context)
    assert holds(r"s.matches(r'\.example\.com$') && !s.matches('^db')", context)
    assert holds("!long.matches('(x+x+)+y')", context)
    assert "take too long" in fault("long.matches('(?:x{1,15}){1,15}y') || true", context)
    assert "longer than" in check(f"s.matches('{'x' * (limits.MAX_MATCH_CHARACTERS + 1)}')")[0]
    assert "too large" in check(r"s.matches(r'\pL{200}')")[0]


HOSTILE = [
    "(" * 4000,
    "[" * 4000,
    "{" * 4000,
    "{{" * 2000,
    "'" * 4001,
    '"""' * 1300 + "x",
    "!" * 4000 + "true",
    "-" * 400 + "1",
    "!" * 400 + "true",
    "a" + ".a" * 2000,
    "a" + ".a" * 240,
    "a" + "[0]" * 160,
    "true" + "&&true" * 240,
    "1" + "<1" * 240,
    "1" + "+1" * 240,
    "true?1:" * 100 + "1",
    "true?" * 100 + "1" + ":1" * 100,
    "[" + "1," * 240 + "1]",
    "x" + ".f()" * 100,
    "[1]" + ".filter(x, true)" * 45,
    "Foo{a: 1}",
    "[1].all(a.b, true)",
    "a.b.c(",
    "$" * 4000,
    "\x00",
    "\ufeff1",
    "1e999",
    "0xFFFFFFFFFFFFFFFFFF",
    "-9223372036854775808 % -1",
    "-(-9223372036854775807 - 1)",
    "timestamp('0001-01-01T00:00:00Z') - timestamp('9999-12-31T00:00:00Z')",
    "duration('99999999999999999999h')",
    "optional.none().value()",
    "has(1)",
    "'\\ud800'",
    "{{ a }}" * 60,
    "{{ " + "a|upper" + "|upper" * 500 + " }}",
]


def outcome(source, context):
    """What comes of a text: ``value``, or ``fault`` where a ConditionError was raised; anything else is raised here."""
    assert isinstance(check(source, {"a"}), list)
    try:
        evaluate(source, context)
    except ConditionError:
        return "fault"
    return "value"


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts(source):
    """Whatever the text: a list of faults and at most a ConditionError."""
    assert outcome(source, {"a": {"a": 1}, "x": [1]}) in ("value", "fault")


def test_the_longest_chains_fit_the_smallest_stack():
    """What the bounds let pass does not overflow a thread with 256 KiB of stack (a crash would end the process)."""
    script = """
import threading
from tests.unit.test_conditions import HOSTILE, outcome
threading.stack_size(256 * 1024)
thread = threading.Thread(target=lambda: [outcome(source, {"a": {"a": 1}, "x": [1]}) for source in HOSTILE])
thread.start(); thread.join()
print("alive")
"""
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout == "alive\n", ran.stderr[-500:]
    assert ran.stderr == ""


WORDS_OF_CEL = r"""a b x steps . [ ] ( ) { } {{ }} , ? : ! - + * / % == != < > <= && || in true null 1 0 2.5 'a' "b" ' "
a.b size( has( .all(x, .exists(x, .filter(x, .map(x, .matches('a') steps.a-b {{a.b}} '{{a}}' r' \ // 9e9 1u b' .size()
.contains( timestamp( duration( int( string( __x '''"""
PIECES = st.sampled_from([*WORDS_OF_CEL.split(), "\n"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(PIECES, max_size=14).map(" ".join) | st.lists(PIECES, max_size=14).map("".join) | st.text(), VALUES)
def test_nothing_but_condition_errors(source, value):
    """Any pieces of CEL in any order on any data give a value or a ConditionError."""
    assert outcome(source, {"a": value, "b": [value], "x": 1, "steps": {"a-b": value}}) in ("value", "fault")


def test_programs_are_shared_between_threads():
    """A compiled condition may be run by any thread, for many work in one process."""
    results = []
    evaluate("a > 1", {"a": 1})
    threads = [threading.Thread(target=lambda: results.append(evaluate("a > 1", {"a": 2}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


class PanicException(BaseException):
    """Stands for what PyO3 raises when Rust panics."""


class _Raising:
    def __init__(self, error):
        self.error = error

    def execute(self, values):
        raise self.error


def test_a_panic_is_a_condition_error_and_a_time_limit_is_not(monkeypatch):
    """A fault inside CEL does not end the worker; what is raised from outside to stop it goes through."""
    monkeypatch.setattr(evaluation, "_program", lambda source: _Raising(PanicException("boom")))
    assert "cannot work this expression out" in fault("true", {})
    for error in (KeyboardInterrupt, SystemExit, type("SoftTimeLimitExceeded", (Exception,), {})):
        monkeypatch.setattr(evaluation, "_program", lambda source, error=error: _Raising(error()))
        with pytest.raises(error):
            evaluate("true", {})
