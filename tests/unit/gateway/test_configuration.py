"""The configuration folder: all or nothing, every fault at its line, one canonical form."""

import json

import pytest
import yaml

from gateway.configuration.folder import load
from gateway.configuration.generation import EMPTY, Generation, read
from gateway.configuration.rule_lists import MAX_EXPRESSIONS, MAX_PATTERNS, MAX_RULES
from gateway.rules.decide import decide
from playbooks.credentials import MASK
from tests.support.gateway_folder import AROUND, FOLDER, PROVIDERS, RULES, loaded
from tests.support.rules import facts

KEY = b"k" * 32


def faults(**changes):
    found = loaded(**changes)
    assert found.generation is None
    return found.faults


def test_a_folder_becomes_a_generation():
    """Rules, providers, breakers and chains are there, and decide as written."""
    found = loaded()
    assert found.faults == []
    generation = found.generation
    assert set(generation.providers) == set(yaml.safe_load(PROVIDERS)["providers"])
    assert generation.breakers()["email"].fallback_provider == "slack"
    assert generation.breakers()["slack"].failure_threshold == 5
    assert generation.chains["enrich-and-tell"]["first_step"] == "look"
    rules = generation.ruleset()
    verdict = decide(rules.candidates(*facts().key), facts(payload={"priority": "urgent"}))
    assert (verdict.kind, verdict.effect.target_provider) == ("reroute", "slack")
    assert rules.listed()[1] == {
        "name": "urgent-by-slack",
        "priority": 5,
        "enabled": True,
        "description": None,
        "mode": "enforce",
        "file": "rules/a.yaml",
        "action": "reroute",
        "origins": ["chain", "dispatch", "event", "group", "recurring"],
        "tenants": None,
    }


def test_an_empty_folder_is_an_empty_generation():
    """No files, or empty ones, mean no rules and no providers."""
    assert load({}, AROUND).generation == EMPTY
    assert loaded(providers="", chains="# none yet\n", rules_a="rules:\n").generation == EMPTY


def test_the_json_is_canonical_and_comes_back():
    """The text is the same whatever the order of files and members, and reads back to the same generation."""
    generation = loaded().generation
    turned = {file: yaml.safe_dump(yaml.safe_load(FOLDER[file]), sort_keys=True) for file in reversed(FOLDER)}
    assert load(turned, AROUND).generation.text() == generation.text()
    again = read(generation.text())
    assert again.text() == generation.text()
    assert (again.rules, again.chains, again.breakers()) == (generation.rules, generation.chains, generation.breakers())
    assert again.ruleset().listed() == generation.ruleset().listed()
    assert json.loads(generation.text())["rules"] == generation.rules


def test_the_digest_covers_credentials_and_reveals_none():
    """Another password is another digest, under a key; the text has masks only."""
    written = PROVIDERS.replace("${MAIL_PASSWORD}", "correct-horse")
    one, other = (loaded(providers=written.replace("horse", word)).generation for word in ("horse", "mare"))
    assert one.text() == other.text()
    assert "correct-" not in one.text()
    assert MASK in one.text()
    assert one.digest(KEY) != other.digest(KEY)
    assert one.digest(KEY) == loaded(providers=written).generation.digest(KEY)
    assert one.digest(KEY) != one.digest(b"x" * 32)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"rules_a": RULES.replace("eq: urgent", "eqq: urgent")},
            "rules/a.yaml:7 /rules/0/condition/all/0/eqq: there is",
        ),
        (
            {"rules_a": RULES.replace("r: slack", "r: slak")},
            "rules/a.yaml:12 /rules/0/action/target_provider: there is no",
        ),
        ({"rules_a": RULES.replace("name: enrich", "name: enrihc")}, "did you mean 'enrich-and-tell'?"),
        (
            {"rules_b": "rules:\n" + RULES[RULES.index("  - name: research") :]},
            "there are two rules named 'research': the other is at rules/a.yaml:13",
        ),
        ({"rules_a": "rules: [\n"}, "rules/a.yaml:2 /: not YAML"),
        ({"rules_a": "rules:\n  - name: @x\n"}, "rules/a.yaml:2 /: not YAML: no text begins with @ without quotes"),
        ({"rules_a": "rules:\n  - name: 'x\n"}, "not YAML: the quote that opens on line 2 is not closed"),
        ({"rules_a": "rules:\n  - &a {name: x}\n  - *a\n"}, "rules/a.yaml:2 /: anchors and aliases are not taken"),
        ({"rules_a": "rules:\n  name: x\n"}, "rules/a.yaml:2 /rules: must be a list of rules"),
        ({"rules_a": "ruls: []\n"}, "rules/a.yaml:1 /ruls: 'ruls' does not belong here: rules; did you mean 'rules'?"),
        ({"rules_a": "- x\n"}, "rules/a.yaml:1 /: a file is an object with rules"),
        ({"rules_a": "x" * 10_000_000}, "rules/a.yaml:1 /: the file has 10000000 characters"),
        (
            {"rules_a": "rules:\n- name: x\n  condition: " + "{not: " * 40 + "x" + "}" * 40},
            "rules/a.yaml:3 /: must not be nested",
        ),
        ({"rules_a": RULES.replace("priority: 5", "priority: 99999999999999999999")}, "must fit into 64 bits"),
        (
            {"providers": PROVIDERS.replace("kind: log", "kind: lgo")},
            "providers.yaml:20 /providers/note/kind: there is no kind",
        ),
        (
            {"providers": PROVIDERS.replace("username:", "usernmae:").replace("    password: ${MAIL_PASSWORD}\n", "")},
            "did you mean 'username'?",
        ),
        (
            {"providers": PROVIDERS.replace("${TOKEN}", "${TOKNE}")},
            "providers.yaml:14 /providers/ticket/headers/Authorization",
        ),
        ({"providers": PROVIDERS.replace("${TOKEN}", "${a b}")}, "is written ${NAME}"),
        (
            {"providers": PROVIDERS.replace("${TOKEN}", "${TOCSIN_SECRET_KEY}")},
            "TOCSIN_SECRET_KEY is Tocsin's own setting and is not given to providers",
        ),
        ({"providers": PROVIDERS.replace("https://tickets", "ftp://tickets")}, "/providers/ticket/url: "),
        (
            {"providers": PROVIDERS.replace("max_attempts: 3", "max_attempts: 30")},
            "/providers/ticket/retry/max_attempts",
        ),
        (
            {"providers": PROVIDERS.replace("timeout_seconds: 10", "timeout_seconds: 0.5")},
            "/providers/ticket/timeout_seconds",
        ),
        (
            {"providers": PROVIDERS.replace("behaviour: fail", "behaviour: explode")},
            "must be one of ok, fail, slow, answer",
        ),
        ({"providers": PROVIDERS.replace("kind: action, action: act-isolate", "kind: action")}, "needs action"),
        (
            {"providers": PROVIDERS.replace("  email: {fail", "  emial: {fail")},
            "/circuit_breakers/emial: there is no provider",
        ),
        (
            {"providers": PROVIDERS.replace("provider: slack", "provider: slak")},
            "fallback_provider: there is no provider 'slak'",
        ),
        ({"providers": PROVIDERS.replace("threshold: 3", "threshold: 0")}, "must be a whole number of calls from 1"),
        (
            {"providers": PROVIDERS.replace("  slack:\n", "  slack: {fallback_provider: email}\n")},
            "the fallbacks lead in a circle: email → slack → email",
        ),
    ],
)
def test_faults_have_their_place(changes, expected):
    """Each fault is ``file:line pointer: what``, and one is enough to load nothing."""
    found = faults(**changes)
    assert any(expected in fault for fault in found), found
    assert len(found) == 1, found


def test_unknown_files_are_faults():
    """A file that no configuration has is named, with the one that is meant."""
    [fault] = load({"provider.yaml": ""}, AROUND).faults
    assert "did you mean 'providers.yaml'?" in fault
    [fault] = load({"time_interval.yaml": ""}, AROUND).faults
    assert "did you mean 'time_intervals.yaml'?" in fault
    [fault] = load({"chains.yaml": "", "chains.yml": ""}, AROUND).faults
    assert "chains.yml:1 /: there is chains.yaml too" in fault


def test_a_file_that_cannot_be_read_hides_no_second_fault():
    """What depends on an unreadable file is not reported as missing."""
    assert len(faults(providers="providers: [\n")) == 1
    assert len(faults(providers=PROVIDERS.replace("kind: slack", "kind: slcak"))) == 1


@pytest.mark.gate
def test_the_number_of_rules_is_bounded():
    """100,000 rules are one clear fault."""
    rule = "- {name: r%d, condition: {field: action.id, exists: true}, action: {type: deny}}\n"
    text = "rules:\n" + "".join(rule % number for number in range(MAX_RULES + 1))
    [fault] = faults(rules_a=text)
    assert "more than 10000 rules" in fault
    assert "keys and values" in faults(rules_a="rules:\n" + "- {name: r}\n" * 100_000)[0]


@pytest.mark.parametrize(
    ("condition", "most", "word"),
    [
        ("expression: \"action.id == '%d'\"", MAX_EXPRESSIONS, "expressions"),
        ("field: action.id, matches: '^%d'", MAX_PATTERNS, "patterns"),
    ],
)
def test_what_is_kept_compiled_is_bounded(condition, most, word):
    """Expressions and patterns beyond what is kept compiled are a fault."""
    rule = "- {name: r%d, condition: {any: [{%s}, {field: action.id, eq: x}]}, action: {type: deny}}\n"
    lines = [rule % (number, condition % number) for number in range(most + 1)]
    [fault] = faults(rules_a="rules:\n" + "".join(lines[1:]), rules_b="rules:\n" + lines[0])
    assert f"more than {most} {word}" in fault


def test_thousands_of_faults_are_bounded():
    """A file full of faults gives a hundred and says that there are more."""
    found = faults(rules_a="rules:\n" + "- {name: 1, acton: x}\n" * 5000)
    assert len(found) <= 101
    assert any("only the first 100" in fault for fault in found)


def test_generations_compare_by_value():
    """Two generations of equal parts are equal."""
    assert Generation() == EMPTY
    assert loaded().generation == loaded().generation
