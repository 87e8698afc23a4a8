"""The check of CACAO documents: every rule, and agreement with the published schemas.

The published schemas and sample documents are next to the repository, in ``../shared/cacao``. Tests that need them are
skipped where they are missing, except in CI.
"""

import copy
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cacao.checks.check import MAX_FINDINGS, Finding, check
from tests.support.cacao_documents import (
    AGENTS,
    AUTHENTICATION,
    COMPOSITES,
    ENCODED_COMMANDS,
    MARKINGS,
    TEXT_COMMANDS,
    changes,
    documents,
    mutations,
)
from tests.support.services import missing

PUBLISHED = Path(__file__).parents[4] / "shared" / "cacao"
NOWHERE = "end--11111111-1111-4111-8111-111111111111"
AGENT = "individual--22222222-2222-4222-8222-222222222222"
SAMPLES = 14
Json = dict[str, Any]
Oracle = Callable[[Json], bool]

#: how many documents are drawn, the profile says
drawn = settings(suppress_health_check=list(HealthCheck))


def step_id(kind: str, number: int) -> str:
    return f"{kind}--{number:08x}-0000-4000-8000-000000000000"


START, ACTION, END = step_id("start", 0), step_id("action", 1), step_id("end", 2)


def playbook(steps: Json | None = None, **members: Any) -> Json:
    """A small faultless playbook with other steps or members; ``None`` leaves a member out."""
    document: Json = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": "playbook--33333333-3333-4333-8333-333333333333",
        "name": "Isolate a host",
        "created_by": "identity--44444444-4444-4444-8444-444444444444",
        "created": "2024-01-01T00:00:00.000Z",
        "modified": "2024-01-01T00:00:00.000Z",
        "workflow_start": START,
        "workflow": {START: {"type": "start", "on_completion": ACTION}, ACTION: action(END), END: {"type": "end"}},
        "agent_definitions": {AGENT: {"type": "individual", "name": "Analyst"}},
    }
    document["workflow"].update(steps or {})
    document.update(members)
    return {name: value for name, value in document.items() if value is not None}


def action(following: str, **members: Any) -> Json:
    command = {"type": "manual", "command": "pull the plug"}
    return {"type": "action", "commands": [command], "agent": AGENT, "on_completion": following, **members}


def commanded(command: Json) -> Json:
    return playbook({ACTION: action(END, commands=[command])})


def codes(document: object) -> set[tuple[str, str, bool]]:
    return {(finding.code, finding.pointer, finding.error) for finding in check(document)}


def refused(document: object) -> bool:
    return any(finding.error for finding in check(document))


def at(*path: str) -> str:
    return "/" + "/".join(path)


def steps_at(*path: str) -> str:
    return at("workflow", *path)


# the rules, one by one


def test_a_faultless_playbook_has_no_findings() -> None:
    """The smallest complete playbook has no findings."""
    assert check(playbook()) == []


def test_a_finding_says_where_and_what_to_do() -> None:
    """A finding has a stable code, a pointer, and a sentence with a remedy."""
    assert check(playbook(name=None)) == [
        Finding("missing_property", "", "a playbook needs 'name': add it, a text", error=True)
    ]


@pytest.mark.parametrize("given_value", [None, True, 5, "text", [], [{}], 1.5, object()])
def test_what_is_no_object_is_refused(given_value: object) -> None:
    """Any other value than an object has one finding: that it is none."""
    assert codes(given_value) == {("wrong_value_type", "", True)}


ERRORS: dict[str, tuple[Json, str, str]] = {
    "missing": (playbook(workflow_start=None), "missing_property", ""),
    "wrong type": (playbook(name=5), "wrong_value_type", "/name"),
    "unknown word": (playbook(spec_version="1.0"), "unknown_value", "/spec_version"),
    "no UUID": (playbook(id="playbook--1"), "bad_identifier", "/id"),
    "UUID of version 7": (playbook(id="playbook--33333333-3333-7333-8333-333333333333"), "bad_identifier", "/id"),
    "line after": (
        playbook(created_by=f"identity--{'4' * 8}-4444-4444-8444-{'4' * 12}\n"),
        "bad_identifier",
        "/created_by",
    ),
    "no time": (playbook(created="yesterday"), "bad_timestamp", "/created"),
    "too much": (playbook(priority=101), "out_of_range", "/priority"),
    "no whole number": (playbook(impact=1.5), "wrong_value_type", "/impact"),
    "true is no number": (playbook(impact=True), "wrong_value_type", "/impact"),
    "no ancestors": (playbook(derived_from=[]), "too_few", "/derived_from"),
    "no agents": (playbook({ACTION: action(END)}, agent_definitions={}), "too_few", "/agent_definitions"),
    "end with successor": (
        playbook({END: {"type": "end", "on_completion": ACTION}}),
        "forbidden_property",
        steps_at(END, "on_completion"),
    ),
    "start that fails": (
        playbook({START: {"type": "start", "on_completion": ACTION, "on_failure": END}}),
        "forbidden_property",
        steps_at(START, "on_failure"),
    ),
    "other type": (playbook({ACTION: {"type": "end"}}), "unknown_value", steps_at(ACTION, "type")),
    "command without type": (commanded({}), "missing_property", steps_at(ACTION, "commands", "0")),
    "address": (
        playbook(target_definitions={step_id("ssh", 7): {"type": "ssh", "name": "", "address": {"ipv4": ["here"]}}}),
        "bad_address",
        at("target_definitions", step_id("ssh", 7), "address", "ipv4", "0"),
    ),
    "two keys": (playbook(signatures=[{"thumbprint": "", "public_key": ""}]), "not_exactly_one", "/signatures/0"),
    "countersignature": (
        playbook(signatures=[{"signature": {"signature": {"type": "x"}}}]),
        "unknown_value",
        "/signatures/0/signature/signature/type",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_the_schemas_refuse_is_an_error(name: str) -> None:
    """What breaks the published schemas is an error, at its place."""
    document, code, pointer = ERRORS[name]
    assert (code, pointer, True) in codes(document)


def marked(**members: Any) -> Json:
    name = "marking-tlp--55555555-5555-4555-8555-555555555555"
    marking = {"type": "marking-tlp", "id": name, "created_by": playbook()["created_by"], "tlpv2_level": "TLP:RED"}
    return playbook(data_marking_definitions={name: {**marking, "created": "2024-01-01T00:00:00.000Z", **members}})


def branching(kind: str, ends: tuple[str, str], **members: Any) -> Json:
    """A composite step, after it the action; its two branches are what ``ends`` names."""
    name = step_id(kind, 9)
    ways: Json = {
        "if-condition": {"condition": "x", "on_true": ends[0], "on_false": ends[1]},
        "switch-condition": {"switch": "x", "cases": {"a": ends[0], "b": ends[1]}},
        "parallel": {"next_steps": list(ends)},
    }
    steps: Json = {name: {"type": kind, "on_completion": ACTION, **ways[kind]}}
    steps[START] = {"type": "start", "on_completion": name}
    return playbook({**steps, **members})


LOGIN, WHILE, SWITCH = step_id("http-basic", 6), step_id("while-condition", 8), step_id("switch-condition", 5)
E3, E4 = step_id("end", 3), step_id("end", 4)
A5, OLD = step_id("action", 5), "action--00000000-0000-1000-8000-000000000000"
EXTENSION = "extension-definition--66666666-6666-4666-8666-666666666666"
ENDS: Json = {E3: {"type": "end"}, E4: {"type": "end"}}
LATE, EARLY = "2024-01-02T00:00:00.000Z", "2023-01-01T00:00:00.000Z"

WARNINGS: dict[str, tuple[Json, str, str]] = {
    "unknown property": (playbook(playbook_extension={}), "unknown_property", "/playbook_extension"),
    "unknown kind of step": (
        playbook({step_id("single", 5): {"type": "end"}}),
        "bad_definition_id",
        steps_at(step_id("single", 5)),
    ),
    "no command": (commanded({"type": "bash"}), "missing_alternative", steps_at(ACTION, "commands", "0")),
    "no encoded command": (commanded({"type": "sigma"}), "missing_property", steps_at(ACTION, "commands", "0")),
    "number as command": (
        commanded({"type": "ssh", "command": 5}),
        "wrong_value_type",
        steps_at(ACTION, "commands", "0", "command"),
    ),
    "not encoded": (
        commanded({"type": "yara", "command_b64": "?"}),
        "not_base64",
        steps_at(ACTION, "commands", "0", "command_b64"),
    ),
    "no start line": (
        commanded({"type": "http-api", "command": "GET x"}),
        "bad_start_line",
        steps_at(ACTION, "commands", "0", "command"),
    ),
    "OpenC2 by GET": (
        commanded({"type": "openc2-http", "command": "GET / HTTP/1.1", "content_b64": ""}),
        "openc2_not_post",
        steps_at(ACTION, "commands", "0", "command"),
    ),
    "next step": (playbook({ACTION: action(NOWHERE)}), "undefined_step", steps_at(ACTION, "on_completion")),
    "case": (
        branching("switch-condition", (NOWHERE, E3), **ENDS),
        "undefined_step",
        steps_at(step_id("switch-condition", 9), "cases", "a"),
    ),
    "start": (playbook(workflow_start=NOWHERE), "undefined_step", "/workflow_start"),
    "exception": (playbook(workflow_exception=NOWHERE), "undefined_step", "/workflow_exception"),
    "agent": (playbook({ACTION: action(END, agent=NOWHERE)}), "undefined_agent", steps_at(ACTION, "agent")),
    "target": (playbook({ACTION: action(END, targets=[AGENT])}), "undefined_target", steps_at(ACTION, "targets", "0")),
    "login": (
        playbook(agent_definitions={AGENT: {"type": "individual", "name": "", "authentication_info": LOGIN}}),
        "undefined_authentication_info",
        at("agent_definitions", AGENT, "authentication_info"),
    ),
    "marking": (playbook(markings=[NOWHERE]), "undefined_marking", "/markings/0"),
    "marking's id": (marked(id=NOWHERE), "marking_id_differs", ""),
    "extension": (
        playbook(playbook_extensions={EXTENSION: {}}),
        "undefined_extension",
        at("playbook_extensions", EXTENSION),
    ),
    "extension's property": (
        playbook(playbook_extensions={EXTENSION: {"id": 1}}),
        "bad_extension_property",
        at("playbook_extensions", EXTENSION, "id"),
    ),
    "author": (playbook(created_by=AGENT), "wrong_type_of_id", "/created_by"),
    "own id": (playbook(id=AGENT), "wrong_type_of_id", "/id"),
    "agent's type": (
        playbook(
            agent_definitions={
                AGENT: playbook()["agent_definitions"][AGENT],
                step_id("soarca", 7): {"type": "x", "name": ""},
            }
        ),
        "type_differs_from_id",
        at("agent_definitions", step_id("soarca", 7)),
    ),
    "old UUID": (playbook({OLD: action(END)}), "step_id_not_v4", steps_at(OLD)),
    "UUID twice": (playbook({step_id("end", 1): {"type": "end"}}), "uuid_used_twice", steps_at(step_id("end", 1))),
    "no start step": (playbook(workflow_start=ACTION), "start_is_no_start_step", "/workflow_start"),
    "two starts": (
        playbook({step_id("start", 5): {"type": "start", "on_completion": END}}),
        "several_starts",
        "/workflow",
    ),
    "no end": (playbook(workflow={}), "no_end", "/workflow"),
    "cycle": (playbook({ACTION: action(A5), A5: action(ACTION)}), "cycle", steps_at(A5, "on_completion")),
    "itself": (playbook({ACTION: action(ACTION)}), "cycle", steps_at(ACTION, "on_completion")),
    "branch without end": (
        playbook(
            {
                ACTION: action(WHILE),
                WHILE: {"type": "while-condition", "condition": "x", "on_true": A5, "on_completion": END},
                A5: action(WHILE),
            }
        ),
        "branch_without_end",
        steps_at(A5, "on_completion"),
    ),
    "nothing follows": (playbook({START: {"type": "start"}}), "no_successor", steps_at(START)),
    "shared end": (branching("if-condition", (END, E3), **ENDS), "shared_end", steps_at(END)),
    "shared end of two": (branching("parallel", (A5, E3), **ENDS, **{A5: action(E3)}), "shared_end", steps_at(E3)),
    "join": (
        branching("parallel", (A5, OLD), **ENDS, **{A5: action(LOGIN), OLD: action(LOGIN), LOGIN: action(E3)}),
        "parallel_join",
        steps_at(LOGIN),
    ),
    "same branch twice": (
        branching("parallel", (A5, A5), **{A5: action(E3), E3: {"type": "end"}}),
        "parallel_join",
        steps_at(A5),
    ),
    "never reached": (playbook({A5: action(END)}), "unreachable_step", steps_at(A5)),
    "both": (playbook({ACTION: action(END, on_failure=END)}), "on_completion_not_alone", steps_at(ACTION)),
    "no cases": (
        playbook({SWITCH: {"type": "switch-condition", "switch": "x", "cases": {}, "on_completion": END}}),
        "no_cases",
        steps_at(SWITCH),
    ),
    "microseconds": (playbook(created="2023-05-26T15:56:00.123456Z"), "not_milliseconds", "/created"),
    "seconds in a marking": (marked(created="2024-01-01T00:00:00Z"), "not_milliseconds", ""),
    "30 February": (playbook(created="2023-02-30T00:00:00.000Z"), "no_such_date", "/created"),
    "modified early": (playbook(modified=EARLY), "modified_before_created", "/modified"),
    "never valid": (playbook(valid_from=LATE, valid_until=LATE), "never_valid", "/valid_until"),
    "no activities": (playbook(playbook_types=["attack"]), "activities_missing", ""),
    "no types": (playbook(playbook_types=[], playbook_activities=["x"]), "too_few", "/playbook_types"),
    "argument": (
        playbook({ACTION: action(END, in_args=["__x__"])}),
        "undefined_variable",
        steps_at(ACTION, "in_args", "0"),
    ),
    "use": (
        commanded({"type": "ssh", "command": "ping __x__:value"}),
        "undefined_variable",
        steps_at(ACTION, "commands", "0", "command"),
    ),
    "use in an agent": (
        playbook(
            agent_definitions={AGENT: {"type": "individual", "name": "", "contact": {"contact_details": "__x__:value"}}}
        ),
        "undefined_variable",
        at("agent_definitions", AGENT, "contact", "contact_details"),
    ),
    "variable's name": (
        playbook(playbook_variables={"x": {"type": "string"}}),
        "bad_variable_name",
        "/playbook_variables/x",
    ),
    "external": (
        playbook({ACTION: action(END, step_variables={"__x__": {"type": "string", "external": True}})}),
        "external_step_variable",
        steps_at(ACTION, "step_variables", "__x__"),
    ),
    "no delay": (playbook({ACTION: action(END, delay=0)}), "zero_delay", steps_at(ACTION, "delay")),
    "timeout": (playbook({ACTION: action(END, timeout=-1)}), "negative_timeout", steps_at(ACTION, "timeout")),
    "key without name": (
        playbook(authentication_info_definitions={LOGIN: {"type": "http-basic", "kms": True}}),
        "kms_without_key",
        at("authentication_info_definitions", LOGIN),
    ),
    "bare reference": (playbook(external_references=[{"name": "x"}]), "missing_alternative", "/external_references/0"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_only_the_text_forbids_is_a_warning(name: str) -> None:
    """What the published schemas let pass and the standard or its readers do not is a warning, at its place."""
    document, code, pointer = WARNINGS[name]
    found = codes(document)
    assert any((here, error) == (code, False) and (place == pointer or not pointer) for here, place, error in found), (
        found
    )
    assert not refused(document)


def test_legal_rarities_are_no_findings() -> None:
    """Command and agent types of one's own, variables with underscores inside, and one agent as target are legal."""
    own = step_id("soarca", 7)
    variables = {name: {"type": "mine", "value": None} for name in ("__a__", "__a__b__")}
    command = {"type": "ftp", "command": "x__a__b__:value __a__:value y__:value", "whatever": 1}
    agents = {own: {"type": "soarca", "name": "x", "own": 1}}
    document = playbook(
        {ACTION: action(END, commands=[command], agent=own, targets=[own])},
        playbook_variables=variables,
        agent_definitions=agents,
        target_definitions=agents,
    )
    assert check(document) == []


def test_branches_may_go_two_ways_to_one_end() -> None:
    """Success and failure inside one branch may share that branch's end."""
    failing = {**action(END), "on_success": A5, "on_failure": END}
    del failing["on_completion"]
    assert check(playbook({ACTION: failing, A5: action(END)})) == []


def test_secrets_are_not_repeated() -> None:
    """A message about a password of the wrong type or about an unknown member does not show the value."""
    login = {"type": "http-basic", "password": ["s3cr3t"], "pasword": "s3cr3t", "kms_key_identifier": 5}
    found = check(playbook(authentication_info_definitions={LOGIN: login}))
    assert len(found) == 3
    assert "s3cr3t" not in repr(found)


# faultless documents and damaged ones


@drawn
@given(documents())
def test_faultless_documents_have_no_findings(document: Json) -> None:
    """Whatever faultless document is drawn, nothing is found in it, and it is left as it was."""
    before = copy.deepcopy(document)
    assert check(document) == []
    assert document == before


@drawn
@given(st.data())
def test_damaged_documents_have_errors(data: st.DataObject) -> None:
    """Every damage to a faultless document is an error."""
    damaged = data.draw(documents().flatmap(mutations))
    assert refused(damaged)


@pytest.mark.gate
def test_the_documents_drawn_have_everything() -> None:
    """Together the random documents hold every type of step, command, agent, login and marking."""
    seen: Counter[str] = Counter()

    @settings(drawn, max_examples=100, phases=[Phase.generate])
    @given(documents())
    def draw(document: Json) -> None:
        seen.update(name.partition("--")[0] for name in document["workflow"])
        seen.update(command["type"] for step in document["workflow"].values() for command in step.get("commands", ()))
        for section in ("agent", "target", "authentication_info", "data_marking"):
            seen.update(name.partition("--")[0] for name in document.get(f"{section}_definitions", ()))
        seen.update(list(document))

    draw()
    commands = {*TEXT_COMMANDS, *ENCODED_COMMANDS, "http-api", "openc2-http"}
    members = ["playbook_variables", "playbook_extensions", "signatures", "external_references", "workflow_exception"]
    assert not {*commands, *COMPOSITES, "playbook-action", *AGENTS, *AUTHENTICATION, *MARKINGS, *members} - set(seen)


# hostile documents


def chain(count: int) -> Json:
    """One action after the other."""
    steps: Json = {step_id("action", n + 10): action(step_id("action", n + 11)) for n in range(count)}
    return playbook({**steps, ACTION: action(step_id("action", 10)), step_id("action", count + 10): action(END)})


def diamonds(count: int) -> Json:
    """Conditions whose branches meet in the next condition: 2^count paths."""
    steps: Json = {}
    for n in range(10, 10 + 3 * count, 3):
        left, right, following = step_id("action", n + 1), step_id("action", n + 2), step_id("if-condition", n + 3)
        condition = {"type": "if-condition", "condition": "x", "on_true": left, "on_false": right, "on_completion": END}
        steps |= {step_id("if-condition", n): condition, left: action(following), right: action(following)}
    return playbook({**steps, ACTION: action(step_id("if-condition", 10))})


def nested(count: int, kind: str = "parallel") -> Json:
    """Composite steps in each other."""
    steps: Json = {}
    for n in range(10, 10 + 3 * count, 3):
        inner = step_id(kind, n + 3) if n + 3 < 10 + 3 * count else step_id("end", 7)
        steps[step_id(kind, n)] = {"type": kind, "next_steps": [inner, step_id("end", n + 1)]}
        steps[step_id(kind, n)]["on_completion"] = step_id("end", n + 2)
        steps |= {step_id("end", n + 1): {"type": "end"}, step_id("end", n + 2): {"type": "end"}}
    return playbook({**steps, step_id("end", 7): {"type": "end"}, ACTION: action(step_id(kind, 10))})


def ladder(count: int) -> Json:
    """Every action leads back to the first one, and every condition to the one before."""
    steps: Json = {step_id("action", n): action(step_id("action", n + 1)) for n in range(10, 10 + count)}
    for step in steps.values():
        step["on_failure"] = step_id("action", 10)
    return playbook({**steps, ACTION: action(step_id("action", 10))})


def signed(count: int) -> Json:
    """Countersignatures of countersignatures."""
    signature: Json = {}
    for _ in range(count):
        signature = {"signature": signature}
    return playbook(signatures=[signature])


def deep(count: int) -> Json:
    """A value as deep as memory allows, where anything may stand."""
    value: Any = "__x__:value"
    for _ in range(count):
        value = [value]
    return commanded({"type": "ftp", "command": "x", "own": value})


BOMBS: dict[str, Callable[[int], Json]] = {
    "chain": chain,
    "diamonds": diamonds,
    "nested": nested,
    "ladder": ladder,
    "signed": signed,
    "deep": deep,
    "unknown": lambda count: {**playbook(), **{f"x{n}": n for n in range(count)}},
    "variables": lambda count: commanded({"type": "ssh", "command": "__a" * count + "__x__:value" * count}),
    "underscores": lambda count: playbook({ACTION: action(END, in_args=["_" * 5 * count])}),
    "long key": lambda count: playbook({"a" * 50 * count: {"commands": [{}] * count}}),
    "long id": lambda count: playbook(id="a-" * 50 * count),
    "many cases": lambda count: (
        branching("switch-condition", (END, E3), **ENDS)
        | {"markings": [step_id("marking-tlp", n) for n in range(count)]}
    ),
}


def effort(document: Json) -> int:
    """How many function calls a check makes."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        check(document)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("name", BOMBS)
def test_the_work_is_linear_in_the_document(name: str) -> None:
    """A document four times as long takes about four times the work, whatever its paths and its depth."""
    assert effort(BOMBS[name](800)) < 5 * effort(BOMBS[name](200))


@pytest.mark.parametrize("number", [2_000, pytest.param(10_000, marks=pytest.mark.gate)])
@pytest.mark.parametrize("name", BOMBS)
def test_hostile_documents_have_a_bounded_answer(name: str, number: int) -> None:
    """A document with thousands of anything is answered with a bounded number of short findings."""
    found = check(BOMBS[name](number))
    assert len(found) <= MAX_FINDINGS + 1
    assert max((len(finding.pointer) + len(finding.message) for finding in found), default=0) < 2000
    assert (len(found) > MAX_FINDINGS) == any(finding.code == "more_findings" for finding in found)


def test_warnings_do_not_crowd_out_errors() -> None:
    """The one error stands first, before a hundred warnings that come earlier in the document."""
    document = {**{f"x{n}": n for n in range(1000)}, **playbook(name=5)}
    found = check(document)
    assert (found[0].code, found[0].pointer, found[0].error) == ("wrong_value_type", "/name", True)
    assert found[-1].code == "more_findings"


@pytest.mark.parametrize("text", ["\ud800", "a\u202eb\u0000", "\x1b[31m", "é" * 500, "~/~1", "'\"\n", "_" * 300])
def test_any_text_may_stand_anywhere(text: str) -> None:
    """Odd texts as keys and as values are named without control characters, and pointers keep them as they are."""
    document = playbook({text: {text: text}, ACTION: {text: text, "type": text}}, **{text: text, "id": text})
    found = check(document)
    assert refused(document)
    assert all(finding.message.isprintable() for finding in found)
    assert any(text.replace("~", "~0").replace("/", "~1") in finding.pointer for finding in found)


def test_a_signature_that_holds_itself_ends() -> None:
    """What no JSON text can say does not keep the check busy either."""
    signature: Json = {"type": "jss"}
    signature["signature"] = signature
    assert refused(playbook(signatures=[signature]))


# the published schemas and samples


@pytest.fixture(scope="module")
def published() -> Path:
    """Where the published schemas and samples are."""
    if not (PUBLISHED / "schemas" / "playbook.json").exists():
        missing("the published CACAO schemas are not next to the repository, in ../shared/cacao")
    return PUBLISHED


@pytest.fixture(scope="module")
def valid(published: Path) -> Oracle:
    """Whether a document is valid under the published schemas, read as the draft-07 they say they are."""
    try:
        import jsonschema  # type: ignore[import-untyped, unused-ignore]
        import referencing
    except ImportError:
        missing("jsonschema is not installed (the check is compared with it)")
    schemas = {schema["$id"]: schema for schema in _schemas(published)}
    resources = [(name, referencing.Resource.from_contents(schema)) for name, schema in schemas.items()]
    registry = referencing.Registry().with_resources(resources)
    root = next(schema for name, schema in schemas.items() if name.endswith("/playbook.json"))
    validator = jsonschema.Draft7Validator(root, registry=registry)

    def judge(document: Json) -> bool:
        return bool(validator.is_valid(document))

    return judge


def _schemas(published: Path) -> Iterator[Json]:
    for path in sorted((published / "schemas").rglob("*.json")):
        schema = json.loads(path.read_text())
        if path.name == "data-marking.json":
            # An IEP marking's references must be texts there and, by this schema, objects: nothing is both.
            lenient = copy.deepcopy(schema)
            lenient["$id"] = schema["$id"].replace("/data-marking.json", "/data-marking-of-iep.json")
            del lenient["properties"]["external_references"]
            yield lenient
        if path.name == "marking-iep.json":
            schema["allOf"][0]["$ref"] = "data-marking-of-iep.json"
        yield schema


def test_the_samples_are_judged_as_by_the_schemas(published: Path, valid: Oracle) -> None:
    """Each of the public samples has errors exactly where the schemas refuse it."""
    samples = {path.name: json.loads(path.read_text()) for path in sorted((published / "samples").glob("*.json"))}
    assert len(samples) == SAMPLES
    assert {name: not refused(sample) for name, sample in samples.items()} == {
        name: valid(sample) for name, sample in samples.items()
    }


def test_the_known_troubles_of_samples_are_found(published: Path) -> None:
    """The sample with a cycle has it named, and so has the one whose next step is missing."""

    def found(name: str) -> set[str]:
        return {finding.code for finding in check(json.loads((published / "samples" / name).read_text()))}

    assert "cycle" in found("soarca-cycle.json")
    assert "undefined_step" in found("soarca-missing-step.json")
    assert "shared_end" in found("soarca-caldera-flow-control.json")


@drawn
@given(documents())
def test_faultless_documents_are_valid(valid: Oracle, document: Json) -> None:
    """The published schemas have nothing against the random documents either."""
    assert valid(document)


@drawn
@given(st.data())
def test_damaged_documents_are_invalid(valid: Oracle, data: st.DataObject) -> None:
    """Each damage makes a document invalid under the published schemas, as the check says."""
    damaged = data.draw(documents().flatmap(mutations))
    assert not valid(damaged)
    assert refused(damaged)


@drawn
@given(st.data())
def test_any_change_is_judged_as_by_the_schemas(valid: Oracle, data: st.DataObject) -> None:
    """With anything put anywhere, the check has errors exactly if the published schemas refuse the document."""
    changed = data.draw(documents().flatmap(changes))
    assert refused(changed) == (not valid(changed))


@pytest.mark.parametrize("table", [ERRORS, WARNINGS], ids=["errors", "warnings"])
def test_every_rule_is_as_grave_as_in_the_schemas(valid: Oracle, table: dict[str, tuple[Json, str, str]]) -> None:
    """The examples of errors are invalid under the schemas, those of warnings valid, but for what is said here."""
    # Python's reading of the schemas lets a line follow; the text of the standard allows a delay of nothing
    differs = {"line after", "no delay"}
    judged = {name: valid(document) for name, (document, _, _) in table.items()}
    assert {name for name, (document, _, _) in table.items() if judged[name] == refused(document)} <= differs
