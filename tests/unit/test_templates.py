"""Templates: what they can say, what they cannot, and that inserted data stays data."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressions import limits
from expressions.templates import (
    TemplateError,
    check,
    check_json,
    names,
    render,
    render_json,
    render_text,
)

CONTEXT = {
    "finding": {"title": 'SQL "injection"', "cvss": 9.8, "tags": ["web", "db"], "note": None},
    "parameters": {"ip_address": "203.0.113.50", "hours": 48, "force": False},
    "steps": {"block-ip": {"output": {"rules": [{"id": "fw-789"}]}}},
    "ip_address": "203.0.113.50",
}

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
HOSTILE = st.sampled_from(
    [
        '"',
        "\\",
        '\\"',
        '","admin":true,"x":"',
        "{{ parameters.hours }}",
        "{% for x in y %}",
        "\u2028\x00\x7f\r\n",
        "\\u0022",
        "</script>",
        "%0100000000d",
        "{0.__class__}",
    ]
)
ATTACKS = st.one_of(st.text(), HOSTILE, st.lists(HOSTILE, max_size=4).map("".join))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ finding.cvss }}", 9.8),
        ("{{parameters.force}}", False),
        ("{{ finding.note }}", None),
        ("{{ finding.tags }}", ["web", "db"]),
        ("{{ finding.tags[1] }}", "db"),
        ("{{ finding.tags.0 }}", "web"),
        ("{{ steps['block-ip'].output.rules[0].id }}", "fw-789"),
        ("{{ 'constant' }}", "constant"),
    ],
)
def test_an_expression_that_stands_alone_keeps_the_type_of_its_value(template, value):
    """A text that is one expression becomes the value itself, not its spelling."""
    rendered = render(template, CONTEXT)
    assert rendered == value
    assert type(rendered) is type(value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("for {{ parameters.hours }} h", "for 48 h"),
        ("forced: {{ parameters.force }}", "forced: false"),
        ("note: {{ finding.note }}.", "note: ."),
        ("tags {{ finding.tags }}", 'tags ["web","db"]'),
        ("cvss {{ finding.cvss }}", "cvss 9.8"),
        ("a {# never shown #}b", "a b"),
        ("{% raw %}{{ x }}{% endraw %}!", "{{ x }}!"),
        ("ends with a line\n{{ ip_address }}\n", "ends with a line\n203.0.113.50\n"),
    ],
)
def test_inside_a_text_every_value_has_one_spelling(template, text):
    """Texts as they are, booleans lower-case, null as nothing, numbers and containers as compact JSON."""
    assert render(template, CONTEXT) == text


def test_structures_are_filled_in_with_their_keys():
    """Every text of a structure is a template, keys included; other values pass through."""
    source = {"{{ ip_address }}": ["{{ parameters.hours }}", 1, None], "url": "https://fw/{{ ip_address }}"}
    assert render(source, CONTEXT) == {
        "203.0.113.50": [48, 1, None],
        "url": "https://fw/203.0.113.50",
    }


def test_two_keys_that_become_one_are_refused():
    """A value must not silently replace another under the same key."""
    with pytest.raises(TemplateError, match="two keys become the same"):
        render({"{{ ip_address }}": 1, "203.0.113.50": 2}, CONTEXT)


def test_text_without_markup_is_returned_as_the_very_same_object():
    """Plain text of any length is no template: it is neither read nor limited nor changed."""
    text = "line one\r\n%s {x} 100%\r\n" * 20_000
    assert render(text, {}) is text
    assert render_text(text, {}) is text
    assert check(text, set()) == []


@given(value=st.text())
def test_what_is_inserted_is_never_a_template(value):
    """Values go in once, as they are, braces and all."""
    assert render_text("<{{ v }}>", {"v": value}) == f"<{value}>"
    assert render("{{ v }}", {"v": value}) == value


@given(value=ATTACKS)
def test_a_text_arrives_verbatim_inside_and_outside_of_a_json_string(value):
    """No text can end the string it is put into, wherever in a JSON body it goes."""
    body = render_json(
        '{"quoted": "{{ v }}", "within": "<{{ v }}|{{ v }}>", "bare": {{ v }}, "list": [{{v}},"x"], "{{v}}k": 1}',
        {"v": value},
    )
    parsed = json.loads(body)
    assert parsed["quoted"] == value
    assert parsed["within"] == f"<{value}|{value}>"
    assert parsed["bare"] == value
    assert parsed["list"] == [value, "x"]
    assert parsed[value + "k"] == 1


@given(value=JSON_VALUES)
def test_any_json_value_arrives_verbatim_where_a_value_may_stand(value):
    """Outside of quotes an expression inserts a JSON value of the same type."""
    parsed = json.loads(render_json('{"a": {{ v }}, "b": "{{ v | json }}"}', {"v": value}))
    assert parsed["a"] == value
    assert json.loads(parsed["b"]) == value


@pytest.mark.parametrize("value", ["\ud800", "x\udc00y"])
def test_half_surrogates_survive_a_json_body_as_escapes(value):
    """JSON can carry what UTF-8 cannot: the body can be sent and means the same."""
    body = render_json('{"a": "{{ v }}"}', {"v": value})
    assert json.loads(body.encode()) == {"a": value}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ('{"a": "\\{{ v }}"}', "backslash"),
        ('{"a": "\\u00{{ v }}"}', "backslash"),
        ('{"a": 1{{ v }}}', "glued"),
        ('{"a": {{ v }}{{ v }}}', "glued"),
        ('{"a": "{{ v }}"{{ v }}}', "glued"),
        ('{"a": {{ v }}x}', "glued"),
        ('{"a": {{ v }} ', "not JSON"),
        ('{"a": NaN, "b": {{ v }}}', "not JSON"),
        ("", "not JSON"),
    ],
)
def test_json_templates_that_cannot_be_safe_or_json_are_refused_before_any_value_is_known(template, why):
    """The fault is in the template, so it is found when the action is written as well as when it runs."""
    with pytest.raises(TemplateError, match=why):
        check_json(template)
    with pytest.raises(TemplateError, match=why):
        render_json(template, {"v": 22})


def test_a_good_json_template_passes_the_check_without_values():
    """The template alone distinguishes the positions of values, texts and keys."""
    check_json('{"channel": "{{ channel }}", "n": {{ n }}, "{{ k }}": [{{ x }}, {{ y }}]}')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), b"bytes"])
def test_what_json_cannot_say_is_refused(value):
    """No template writes NaN, or the Python spelling of an object."""
    for template in ('{"a": {{ v }}}', '{"a": "{{ v }}"}'):
        with pytest.raises(TemplateError, match="cannot be written as JSON"):
            render_json(template, {"v": value})
    with pytest.raises(TemplateError):
        render_text("a {{ v }}", {"v": value})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ findings.title }}", "'findings' is not known; did you mean 'finding'?"),
        ("{{ finding.titel }}", "'finding.titel' does not exist; did you mean 'finding.title'?"),
        ("{{ finding.tags[7] }}", "'finding.tags[7]' does not exist: the list has 2 items"),
        ("{{ finding.title.x }}", "'finding.title.x' does not exist: 'finding.title' is text"),
        ("{{ finding.tags.x }}", "'finding.tags.x' does not exist: 'finding.tags' is a list"),
        ("{{ finding.note.x }}", "'finding.note.x' does not exist: 'finding.note' is null"),
    ],
)
def test_a_missing_name_is_named_with_what_was_probably_meant(template, message):
    """A misspelt path fails, says which step of it does not exist, and offers the nearest."""
    with pytest.raises(TemplateError) as caught:
        render(template, CONTEXT)
    assert str(caught.value).startswith(message)


def test_a_fault_in_a_structure_begins_with_its_place():
    """In a large configuration the message leads to the template that failed."""
    with pytest.raises(TemplateError, match=r"^/headers/X-A~1B/0: 'nobody' is not known"):
        render({"headers": {"X-A/B": ["{{ nobody }}"]}}, CONTEXT)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ a.b.c | default('x') }}", "x"),
        ("{{ finding.note | default('none') }}", "none"),
        ("{{ parameters.force | default(true) }}", False),
        ("{{ parameters.force | default('no', true) }}", "no"),
        ("{{ a | default(parameters.hours) }}", 48),
        ("{{ a | upper | default('-') }}", "-"),
        ("{{ a | default }}", ""),
        ("{{ finding.title | upper | truncate(5) }}", "SQL …"),
        ("{{ '  Ab ' | trim | lower }}", "ab"),
        ("{{ finding.tags | join('+') }}", "web+db"),
        ("{{ finding.tags | join }}", "web, db"),
        ("{{ finding.tags | length }}", 2),
        ("{{ finding.tags | first }}{{ finding.tags | last }}", "webdb"),
        ("{{ ip_address | replace('.', '-') }}", "203-0-113-50"),
        ("{{ finding.tags | json }}", '["web","db"]'),
        ("{{ parameters.hours | string }}", "48"),
        ("{{ ' 42 ' | int }}", 42),
        ("{{ 'a b/ü&' | urlencode }}", "a%20b%2F%C3%BC%26"),
    ],
)
def test_filters_do_what_their_names_say(template, value):
    """The closed list, and ``default`` for what is missing or null."""
    assert render(template, CONTEXT) == value


@pytest.mark.parametrize(
    "template",
    [
        "{{ finding.cvss | first }}",
        "{{ '' | replace('', 'x') }}",
        "{{ '4x' | int }}",
        "{{ parameters.force | int }}",
        "{{ parameters.hours | length }}",
        "{{ finding.title | truncate('x') }}",
        "{{ parameters.empty | default('') | first }}",
        "{{ a | default(missing) }}",
    ],
)
def test_a_filter_that_does_not_fit_its_value_fails(template):
    """Nothing is guessed: a value of the wrong kind is an error of the template."""
    with pytest.raises(TemplateError):
        render(template, CONTEXT)


REFUSED = [
    "{{ 10**100000000 }}",
    "{{ 'a' * 100000000 }}",
    "{{ '%0100000000d' % 1 }}",
    "{{ 'a' ~ 'b' }}",
    "{{ finding.title.upper() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ finding.__class__ }}",
    "{{ finding['__class__'] }}",
    "{{ __builtins__ }}",
    "{{ '{0.__class__}' | format(finding) }}",
    "{{ finding | attr('__class__') }}",
    "{{ finding | map(attribute='x') }}",
    "{{ finding | tojson }}",
    "{{ lipsum.__globals__ }}",
    "{{ range(10000000) }}",
    "{{ x if y else z }}",
    "{{ x is defined }}",
    "{{ x and y }}",
    "{{ not x }}",
    "{{ -x }}",
    "{{ x > 1 }}",
    "{{ [1, 2] }}",
    "{{ {'a': 1} }}",
    "{{ x[1:2] }}",
    "{{ x[y] }}",
    "{{ x[true] }}",
    "{{ x, y }}",
    "{{ x | default(value='a') }}",
    "{{ x | join(*y) }}",
    "{{ x | upper(1) }}",
    "{{ x | replace('a') }}",
    "{% for x in y %}{% endfor %}",
    "{% set x = 1 %}",
    "{% include '/etc/passwd' %}",
    "{% macro x() %}{% endmacro %}",
    "{% if x %}{% endif %}",
    "{% filter upper %}a{% endfilter %}",
    "{{",
    "{{ }}",
    "{{ x",
    "{#",
    "text {#-",
    "{{ 1e999 }}",
    "{{ 18446744073709551616 }}",
    "{{ 0x" + "f" * 16_000 + " }}",
    "{{ " + "1" * 16_000 + " }}",
    "{{ '\\ud800' }}",
    "{{ '\ud800' }}",
    "{{ " + "(" * 16_000,
    "{{ " + "not " * 4_000 + "x }}",
    "{{ " + "[" * 16_000,
    "{{ x" + ".y" * 8_000 + " }}",
    "{{ x" + "|upper" * 2_500 + " }}",
    "{{ x" + "|default(x" * 25 + ")" * 25 + " }}",
    "{{" * 8_000,
    "{%" * 8_000,
    "{#" * 8_000,
    "{{ '" + "\\" * 16_000,
    "{{ x }}" * (limits.MAX_EXPRESSIONS + 1),
    "{{ x }}" + "a" * limits.MAX_TEMPLATE_CHARACTERS,
]


@pytest.mark.parametrize("template", REFUSED, ids=lambda template: template[:40])
def test_everything_else_is_refused_when_it_is_read(template):
    """Calls, arithmetic, statements, escapes and bombs are refused by reading alone, so none of them ever runs."""
    assert len(check(template)) == 1
    with pytest.raises(TemplateError):
        names(template)
    with pytest.raises(TemplateError):
        render(template, {"x": {"y": "v"}})


@given(st.text(alphabet="{}%#|.[]()'\"\\ axy01-_~\n", max_size=60))
def test_no_text_makes_the_parser_fail_in_another_way(text):
    """Whatever is written between the braces either renders to something JSON keeps, or raises TemplateError."""
    template = "{{" + text + "}}"
    try:
        rendered = render(template, {"a": {"x": "1"}, "x": ["y"], "y": "text"})
    except TemplateError as error:
        rendered = str(error)
    assert json.loads(json.dumps(rendered)) == rendered


@pytest.mark.parametrize(
    "template",
    [
        "{{ v }}{{ v }}",
        "{{ v | replace('a', 'bb') }}",
        "{{ many | join(v) }}",
        "{{ quotes" + " | json" * 15 + " }}",
        "{{ sharp | upper }}",
        "{{ many | string | urlencode }}",
    ],
)
def test_no_template_grows_what_it_is_given_beyond_the_limit(template):
    """Neither repetition nor a chain of filters makes more than the bound."""
    context = {
        "v": "a" * (limits.MAX_RENDERED_CHARACTERS - 1),
        "many": ["%"] * (limits.MAX_RENDERED_CHARACTERS // 5),
        "quotes": '"' * 1000,
        "sharp": "ß" * (limits.MAX_RENDERED_CHARACTERS - 1),
    }
    with pytest.raises(TemplateError, match="longer than"):
        render(template, context)


def test_a_structure_cannot_multiply_a_large_value():
    """The bound holds for all the texts and containers of one structure together."""
    large = {"v": ["a" * 100] * 2_000}
    render(["{{ v }}"], large)
    with pytest.raises(TemplateError, match="together"):
        render(["{{ v }}"] * 10, large)


def test_attributes_of_python_objects_are_out_of_reach():
    """A path looks up keys: methods and attributes of what it meets do not exist, keys of the same name do."""
    for template in ("{{ finding.items }}", "{{ finding.title.upper }}", "{{ finding.tags.append }}"):
        with pytest.raises(TemplateError, match="does not exist"):
            render(template, CONTEXT)
    assert render("{{ o.items }}", {"o": {"items": 3}}) == 3

    class Opaque:
        secret = "s"

    with pytest.raises(TemplateError, match="does not exist"):
        render("{{ opaque.secret }}", {"opaque": Opaque()})


def test_deep_structures_are_refused_and_deep_values_only_where_they_must_be_written():
    """Neither a deep configuration nor a deep value exhausts the stack."""
    deep = "{{ v }}"
    for _ in range(100):
        deep = {"a/b": [deep]}
    with pytest.raises(TemplateError, match="nested more than"):
        render(deep, {"v": 1})
    assert check(deep, {"v"})[0].detail.startswith("containers are nested")
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TemplateError):
        render_text("x {{ v }}", {"v": value})


def test_slashes_in_keys_do_not_count_as_depth():
    """A key that is a path of its own is one level, and its pointer is escaped."""
    key = "/".join("abcdefgh" * 8)
    assert render({key: "{{ v }}"}, {"v": 1}) == {key: 1}
    assert check({"a/b~": "{{ w }}"}, {"v"})[0].pointer == "/a~1b~0"


def test_names_are_the_roots_of_all_expressions():
    """Roots of values, of filter arguments and of replacements; no constants, no later steps."""
    assert names("{{ a.b }} {{ c | default(d.e) }} {{ f | join(g) }} {{ 'x' }} h") == {"a", "c", "d", "f", "g"}
    assert names("no template") == set()


def test_check_names_every_unknown_root_by_its_place():
    """All faults of a configuration at once, with the nearest known name; a ``default`` excuses its own name."""
    problems = check(
        {
            "url": "https://x/{{ ip_adress }}",
            "headers": {"X-{{ nobody }}": "{{ ip_address }}"},
            "list": ["{{ maybe | default('') }}", "{{ a() }}", "{{ maybe | default(neither) }}"],
        },
        {"ip_address", "target"},
    )
    assert [(problem.pointer, problem.detail.split(";")[0]) for problem in problems] == [
        ("/url", "'ip_adress' is not known"),
        ("/headers/X-{{ nobody }}", "the key: 'nobody' is not known"),
        ("/list/1", "line 1: calls are not allowed"),
        ("/list/2", "'neither' is not known"),
    ]
    assert problems[0].detail.endswith("did you mean 'ip_address'?")
    assert check("{{ anything.at.all }}") == []


def test_values_do_not_appear_in_messages():
    """A value may be a secret: no failure shows it."""
    context = {"key": "hunter2-hunter2", "keys": ["hunter2-hunter2"]}
    for template in ("{{ key.x }}", "{{ keys.x }}", "{{ key | int }}", "{{ key | first }}", "{{ keys | int }}"):
        with pytest.raises(TemplateError) as caught:
            render(template, context)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(TemplateError) as caught:
        render_json('{"a": {{ key }} {{ key }}}', context)
    assert "hunter2" not in str(caught.value)


def test_the_caller_chooses_how_values_are_escaped():
    """Only values are escaped, never the text around them."""
    escape = {"<": "&lt;"}
    rendered = render_text("<b>{{ v }}</b>", {"v": "<i>"}, lambda value: value.translate(str.maketrans(escape)))
    assert rendered == "<b>&lt;i></b>"


def test_any_mapping_can_be_the_context():
    """The names come from whatever mapping the caller has."""
    assert render("{{ a.b }}", MappingProxyType({"a": {"b": 1}})) == 1


def test_the_documented_slack_body_renders():
    """The body template of the documented example, with a message that tries to break out."""
    body = render_json(
        '{"channel": "{{ channel }}", "text": "{{ message }}"}',
        {"channel": "#security", "message": 'a "quoted"\nline'},
    )
    assert json.loads(body) == {"channel": "#security", "text": 'a "quoted"\nline'}
