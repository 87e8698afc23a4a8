"""Playbook definitions: the forms users write, the form that is stored, and the faults that are named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks import plan
from playbooks.checks.playbook import check, warnings
from playbooks.definitions.durations import seconds
from playbooks.definitions.normalise import next_version, normalise, slug

DOCUMENTED = {
    "name": "Critical Finding Alert",
    "version": "1.0.0",
    "description": "Notify team and create ticket for critical findings.",
    "trigger": {"event": "finding.new", "conditions": {"severity": "critical"}},
    "steps": [
        {
            "id": "notify",
            "name": "Notify Security Team",
            "type": "action",
            "action_ref": "act-slack-notify",
            "parameters": {"channel": "#security-alerts", "message": "Critical finding: {{ finding.title }}"},
            "on_success": "create-ticket",
        },
        {
            "id": "create-ticket",
            "name": "Create JIRA Ticket",
            "type": "action",
            "action_ref": "act-jira-create",
            "parameters": {"project": "SEC", "summary": "{{ finding.title }}", "priority": "Critical"},
        },
    ],
    "on_failure": "abort",
    "timeout_minutes": 30,
    "tags": ["incident-response"],
}
EVERY_TYPE = {
    "name": "Everything",
    "parameters": [{"name": "hosts", "type": "array"}, {"name": "limit", "type": "integer", "default": 3}],
    "exception_step": "cleanup",
    "steps": [
        {"id": "look-up", "type": "action", "action_ref": "act-look", "outputs": {"score": "{{ output.score }}"}},
        {
            "id": "severe",
            "type": "condition",
            "expression": "vars.score > parameters.limit",
            "on_true": "kind",
            "on_false": "end",
        },
        {
            "id": "kind",
            "type": "switch",
            "expression": "steps.look-up.output.kind",
            "cases": {"host": "hosts-loop"},
            "default": "pause",
        },
        {
            "id": "hosts-loop",
            "type": "for_each",
            "items": "{{ hosts }}",
            "as": "host",
            "steps": [
                {"id": "block", "type": "action", "action_ref": "act-block", "target": "{{ host }}"},
                {
                    "id": "poll",
                    "type": "loop",
                    "while": "steps.check.output.done != true",
                    "steps": [
                        {
                            "id": "check",
                            "type": "action",
                            "action_ref": "act-check",
                            "parameters": {"id": "{{ steps.block.output.id }}", "n": "{{ index }} of {{ host }}"},
                        }
                    ],
                },
            ],
        },
        {"id": "pause", "type": "delay", "duration": "5m"},
        {
            "id": "both",
            "type": "parallel",
            "branches": [
                [{"id": "left", "type": "playbook", "playbook_ref": "pb-left"}],
                {"name": "right", "on_failure": "continue", "steps": [{"id": "right", "type": "delay", "seconds": 1}]},
            ],
        },
        {
            "id": "ask",
            "type": "approval",
            "message": "Really, after {{ steps.both.status }}?",
            "timeout_minutes": 5,
            "on_reject": "cleanup",
        },
        {
            "id": "cleanup",
            "type": "action",
            "action_ref": "act-clean",
            "parameters": {"why": "{{ steps.ask.error.message | default('') }} {{ previous_step.status }}"},
        },
    ],
}


def action(step_id, **more):
    return {"id": step_id, "type": "action", "action_ref": "act-a", **more}


def book(*steps, **more):
    return {"name": "Test", "steps": list(steps), **more}


def pointers(definition, *known):
    return [problem.pointer for problem in check(definition, *known)]


def test_the_documented_playbook_is_accepted_and_gets_the_documented_defaults():
    """A playbook of the REST documentation needs no change."""
    assert check(DOCUMENTED) == []
    form = normalise(DOCUMENTED)
    assert {field: form[field] for field in DOCUMENTED} == DOCUMENTED
    assert (form["parameters"], form["max_retries"], form["enabled"]) == ([], 0, True)
    assert (form["target_required"], form["exception_step"]) == (False, None)
    assert normalise(book())["timeout_minutes"] == 10_080
    assert normalise(book())["trigger"] == {"event": "manual", "conditions": {}}


def test_every_type_of_step_is_accepted_and_compiles():
    """A definition without faults has a plan."""
    assert check(EVERY_TYPE) == []
    assert list(plan.compile(normalise(EVERY_TYPE)).nodes)[:4] == ["look-up", "severe", "kind", "hosts-loop"]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({"type": "action", "action": "act-a"}, {"type": "action", "action_ref": "act-a"}),
        ({"type": "action", "action_id": "act-a"}, {"type": "action", "action_ref": "act-a"}),
        ({"type": "action", "next": "end"}, {"type": "action", "on_success": "end"}),
        ({"type": "condition", "if": "true"}, {"type": "condition", "expression": "true"}),
        ({"type": "condition", "condition": "true"}, {"type": "condition", "expression": "true"}),
        ({"type": "loop", "condition": "true"}, {"type": "loop", "while": "true"}),
        ({"type": "loop", "expression": "true"}, {"type": "loop", "while": "true"}),
        ({"type": "delay", "duration_seconds": 5}, {"type": "delay", "seconds": 5}),
        ({"type": "delay", "duration": "PT5M"}, {"type": "delay", "seconds": 300}),
        ({"type": "delay", "delay_seconds": 5}, {"type": "delay", "seconds": 5}),
        ({"type": "delay", "seconds": 1, "delay_seconds": 5}, {"type": "delay", "seconds": 1, "delay_seconds": 5}),
        ({"type": "approval", "timeout_minutes": 2}, {"type": "approval", "timeout_seconds": 120}),
        ({"type": "approval", "on_approve": "end"}, {"type": "approval", "on_success": "end"}),
        ({"type": "approval", "on_reject": "end"}, {"type": "approval", "on_failure": "end"}),
        ({"type": "playbook", "playbook": "pb-a"}, {"type": "playbook", "playbook_ref": "pb-a"}),
        ({"type": "playbook", "playbook_id": "pb-a"}, {"type": "playbook", "playbook_ref": "pb-a"}),
        ({"type": "action", "when": None, "action": "act-a"}, {"type": "action", "action_ref": "act-a"}),
    ],
)
def test_other_spellings_become_the_canonical_members(written, stored):
    """What users write in one of several ways is stored in one, wherever the step stands."""
    step = {"id": "a", **written}
    result = {"id": "a", "name": "a", **stored}
    assert normalise(book(step))["steps"] == [result]
    loop = {"id": "l", "type": "for_each", "items": [1], "steps": [step]}
    assert normalise(book(loop))["steps"][0]["steps"] == [result]


def test_the_branches_of_a_parallel_step_have_one_form():
    """A bare list is a branch, and each of ``steps`` is a branch of its own."""
    one, two = {"id": "a", "name": "a", "type": "action"}, {"id": "b", "name": "b", "type": "action"}
    branches = [{"steps": [one]}, {"steps": [two]}]
    assert normalise(book({"id": "p", "type": "parallel", "steps": [one, two]}))["steps"][0]["branches"] == branches
    listed = {"id": "p", "type": "parallel", "branches": [[one], {"steps": [two]}]}
    assert normalise(book(listed))["steps"][0]["branches"] == branches


def test_trigger_and_parameters_have_one_form():
    """A bare event name is a trigger, and users' words for types are those of actions."""
    form = normalise(
        {"trigger": "finding.new", "variables": [{"name": "a", "type": "Finding"}, {"name": "b", "type": "List"}]}
    )
    assert form["trigger"] == {"event": "finding.new", "conditions": {}}
    assert [(one["name"], one["type"]) for one in form["parameters"]] == [("a", "object"), ("b", "array")]
    assert normalise({"trigger": {"event": "schedule", "cron": "0 8 * * 1"}})["trigger"]["timezone"] == "UTC"


def test_a_member_in_two_spellings_is_a_fault():
    """Which of the two is meant cannot be known."""
    assert pointers(book(action("a", action="act-b"))) == ["/steps/0/action"]
    assert pointers(book(action("a"), parameters=[], variables=[])) == ["/variables"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "type", "steps", "branches", "name", "event"]), inner, max_size=4)
    ),
    max_leaves=8,
)
WORDS = st.sampled_from(["a", "b", "c", "end", "next", "abort", "5m", "{{ steps.a.output }}", "steps.b.status == 'x'"])
STEPS = st.recursive(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "name", "when", "next", "on_success", "on_failure", "outputs", "seconds", "if"]),
            WORDS | JSON,
            max_size=5,
        ),
        max_size=4,
    ),
    lambda inner: st.lists(
        st.fixed_dictionaries(
            {"id": WORDS, "type": st.sampled_from([*"xy", "action", "condition", "delay", "parallel", "loop"])},
            optional={
                "steps": inner,
                "branches": st.lists(inner, max_size=3),
                "condition": WORDS | JSON,
                "duration": WORDS | JSON,
                "delay_seconds": WORDS | JSON,
                "timeout_minutes": WORDS | JSON,
                "on_true": WORDS,
                "on_failure": WORDS,
            },
        ),
        max_size=4,
    ),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {"steps": STEPS | JSON},
        optional=dict.fromkeys(
            ["name", "id", "trigger", "parameters", "inputs", "on_failure", "exception_step", "tags", "enabled"],
            JSON | WORDS,
        ),
    )
)
def test_any_object_is_accepted_or_answered_with_its_faults(definition):
    """Nothing breaks the check, normalising twice changes nothing, and what is accepted compiles."""
    before = repr(definition)
    form = normalise(definition)
    assert json.dumps(normalise(form), sort_keys=True) == json.dumps(form, sort_keys=True)  # NaN is itself here
    faults = check(definition)
    assert check(form) == faults
    assert repr(definition) == before
    if not faults:
        plan.compile(form)
        warnings(form)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": None}, "/name"),
        ({"id": "a/b"}, "/id"),
        ({"version": "1"}, "/version"),
        ({"description": 5}, "/description"),
        ({"trigger": "Finding"}, "/trigger/event"),
        ({"parameters": [{"name": "steps"}]}, "/parameters/0/name"),
        ({"parameters": {}}, "/parameters"),
        ({"steps": None}, "/steps"),
        ({"steps": []}, "/steps"),
        ({"steps": {"a": 1}}, "/steps"),
        ({"steps": [action("a"), 5]}, "/steps/1"),
        ({"on_failure": "stop"}, "/on_failure"),
        ({"on_failure": []}, "/on_failure"),
        ({"max_retries": 11}, "/max_retries"),
        ({"timeout_minutes": 0}, "/timeout_minutes"),
        ({"tags": "a"}, "/tags"),
        ({"enabled": "yes"}, "/enabled"),
        ({"target_required": 1}, "/target_required"),
        ({"exception_step": "b"}, "/exception_step"),
        ({"exception_step": "a"}, "/exception_step"),
        ({"exception_step": ["a"]}, "/exception_step"),
        ({"step": []}, "/step"),
    ],
)
def test_each_fault_of_the_top_level_is_named_at_its_place(changes, pointer):
    """One thing wrong, one problem, with its pointer into the definition."""
    assert pointers({**book(action("a")), **changes}) == [pointer]


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        ({"type": "delay", "seconds": 1}, "/id"),
        (action("a.b"), "/id"),
        (action("next"), "/id"),
        (action(5), "/id"),
        ({"id": "a"}, "/type"),
        ({"id": "a", "type": "acton"}, "/type"),
        ({"id": "a", "type": ["action"]}, "/type"),
        (action("a", on_true="end"), "/on_true"),
        (action("a", name=""), "/name"),
        (action("a", description="a" * 1025), "/description"),
        (action("a", when=""), "/when"),
        (action("a", when="finding.severity =="), "/when"),
        (action("a", delay_seconds=-1), "/delay_seconds"),
        (action("a", timeout_seconds=0), "/timeout_seconds"),
        (action("a", retry=3), "/retry"),
        (action("a", retry={"max_attempts": 11}), "/retry/max_attempts"),
        (action("a", continue_on_error="yes"), "/continue_on_error"),
        (action("a", outputs=["x"]), "/outputs"),
        (action("a", outputs={"a b": "x"}), "/outputs/a b"),
        (action("a", outputs={"x": "{{ output. }}"}), "/outputs/x"),
        (action("a", on_success="abort"), "/on_success"),
        (action("a", on_success=5), "/on_success"),
        (action("a", on_failure="b"), "/on_failure"),
        ({"id": "a", "type": "action"}, "/action_ref"),
        (action("a", action_ref="{{ x }}"), "/action_ref"),
        (action("a", parameters=[]), "/parameters"),
        (action("a", parameters={"x": {"y": ["{{ a + b }}"]}}), "/parameters/x/y/0"),
        (action("a", target=5), "/target"),
        ({"id": "a", "type": "condition"}, "/expression"),
        ({"id": "a", "type": "condition", "expression": 5}, "/expression"),
        ({"id": "a", "type": "switch", "expression": "1"}, "/cases"),
        ({"id": "a", "type": "switch", "expression": "1", "cases": {}}, "/cases"),
        ({"id": "a", "type": "switch", "expression": "1", "cases": {"1": "b"}}, "/cases/1"),
        ({"id": "a", "type": "parallel"}, "/branches"),
        ({"id": "a", "type": "parallel", "branches": []}, "/branches"),
        ({"id": "a", "type": "parallel", "branches": [[]]}, "/branches/0/steps"),
        ({"id": "a", "type": "parallel", "branches": [5]}, "/branches/0"),
        ({"id": "a", "type": "parallel", "branches": [action("b")]}, "/branches/0"),
        ({"id": "a", "type": "parallel", "branches": [[{"id": "b"}]]}, "/branches/0/steps/0/type"),
        ({"id": "a", "type": "parallel", "branches": [{"steps": [action("b")], "x": 1}]}, "/branches/0/x"),
        ({"id": "a", "type": "loop", "while": "true"}, "/steps"),
        ({"id": "a", "type": "loop", "steps": [action("b")]}, "/while"),
        (
            {"id": "a", "type": "loop", "while": "true", "max_iterations": 1001, "steps": [action("b")]},
            "/max_iterations",
        ),
        ({"id": "a", "type": "for_each", "steps": [action("b")]}, "/items"),
        ({"id": "a", "type": "for_each", "items": "hosts", "steps": [action("b")]}, "/items"),
        ({"id": "a", "type": "for_each", "items": [0] * 1001, "steps": [action("b")]}, "/items"),
        ({"id": "a", "type": "for_each", "items": [0], "as": "steps", "steps": [action("b")]}, "/as"),
        (
            {"id": "a", "type": "for_each", "items": [0], "max_concurrency": 51, "steps": [action("b")]},
            "/max_concurrency",
        ),
        ({"id": "a", "type": "delay"}, "/seconds"),
        ({"id": "a", "type": "delay", "duration": "soon"}, "/seconds"),
        ({"id": "a", "type": "delay", "seconds": 2_592_001}, "/seconds"),
        ({"id": "a", "type": "approval", "approvers": "ana"}, "/approvers"),
        ({"id": "a", "type": "approval", "on_timeout": "retry"}, "/on_timeout"),
        ({"id": "a", "type": "playbook"}, "/playbook_ref"),
    ],
)
def test_each_fault_of_a_step_is_named_at_its_place(step, pointer):
    """One thing wrong, one problem."""
    assert pointers(book(step)) == ["/steps/0" + pointer]


def test_faults_come_with_a_remedy():
    """Misspelt words are recognised."""
    found = check(
        book(
            {"id": "a", "type": "acton"},
            action("look-up", paramters={}),
            action("c", on_failure="lok-up", parameters={"x": "{{ steps.lookup.output }} {{ vars.scor }}"}),
            action("d", outputs={"score": 1}),
        )
    )
    assert [problem.detail.rpartition("did you mean ")[2] for problem in found] == [
        "'action'?",
        "'parameters'?",
        "'look-up'?",
        "'look-up'?",
        "'score'?",
    ]


def test_ids_are_unique_in_the_whole_playbook_and_links_stay_in_their_block():
    """A link into another block has another fault than one to nowhere."""
    loop = {"id": "l", "type": "loop", "while": "false", "steps": [action("a"), action("b", on_success="c")]}
    found = check(book(action("a", on_success="b"), loop, action("c")))
    assert [problem.pointer for problem in found] == [
        "/steps/1/steps/0/id",
        "/steps/0/on_success",
        "/steps/1/steps/1/on_success",
    ]
    assert "the body of 'l'" in found[1].detail
    assert "the top level" in found[2].detail
    inner = book(action("a"), {**loop, "steps": [action("b")]}, exception_step="b")
    assert pointers(inner) == ["/exception_step"]


def test_steps_that_nothing_leads_to_are_faults():
    """A branch target is entered by its branch only; a step nothing leads to never runs."""
    assert pointers(book(action("a", on_success="c"), action("b"), action("c"))) == ["/steps/1"]
    assert pointers(book(action("a", on_success="end"), action("b"))) == ["/steps/1"]
    assert pointers(book(action("a", on_success="end", on_failure="b"), action("b"))) == []
    assert pointers(book(action("a", on_success="end"), action("b"), exception_step="b")) == []


def test_links_that_lead_back_are_faults():
    """Repeated steps belong in a loop; the fault names the link that closes the circle."""
    decide = {"id": "c", "type": "condition", "expression": "true", "on_true": "a", "on_false": "end"}
    found = check(book(action("a"), action("b"), decide))
    assert [problem.pointer for problem in found] == ["/steps/2/on_true"]
    assert "'a' → 'b' → 'c' → 'a'" in found[0].detail
    assert "type loop" in found[0].detail
    assert pointers(book(action("a", on_failure="a"))) == ["/steps/0/on_failure"]
    switch = {"id": "s", "type": "switch", "expression": "1", "cases": {"x": "a", "y": "s"}}
    assert pointers(book(action("a", on_success="s"), switch)) == ["/steps/1/cases/x", "/steps/1/cases/y"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ steps.a.output.x }}", "its own record"),
        ("{{ steps.later.output.x }}", "never runs before"),
        ("{{ steps.none.output.x }}", "there is no step 'none'"),
        ("{{ steps | json }}", "name the step"),
        ("{{ steps.first.ouput.x }}", "did you mean 'output'?"),
        ("{{ previous_step.stats }}", "did you mean 'status'?"),
        ("{{ vars.none }}", "'vars.none' does not exist"),
        ("{{ parameters.hots }}", "did you mean 'host'?"),
        ("{{ hots }}", "did you mean 'host'?"),
        ("{{ index }}", "'index' is not known"),
        ("{{ output }}", "'output' is not known"),
    ],
)
def test_references_to_what_cannot_be_there_are_faults(text, words):
    """Each path of a template is followed as far as the definition goes."""
    steps = [action("first"), action("a", parameters={"x": text}), action("later")]
    found = check(book(*steps, parameters=[{"name": "host"}]))
    assert [problem.pointer for problem in found] == ["/steps/1/parameters/x"]
    assert words in found[0].detail


def test_conditions_are_read_like_templates():
    """A condition with an unknown step, a step chosen by a value, or an unknown name is refused."""
    steps = ["steps.none.status == 'x'", "steps[parameters.host].status == 'x'", "hots == 'x'"]
    found = check(book(*(action(f"a{n}", when=when) for n, when in enumerate(steps)), parameters=[{"name": "host"}]))
    assert [problem.pointer for problem in found] == ["/steps/0/when", "/steps/1/when", "/steps/2/when"]


def test_a_playbook_without_declared_parameters_takes_any():
    """Bare names are then the caller's business."""
    assert check(book(action("a", parameters={"x": "{{ anything }} {{ parameters.other }}"}))) == []


def test_references_across_blocks_follow_the_order_of_the_blocks():
    """A later step reads what is inside an earlier container; a body cannot read its own container."""
    body = action("inner", parameters={"x": "{{ steps.l.output }}"})
    loop = {"id": "l", "type": "loop", "while": "steps.inner.output.x != 1", "steps": [body]}
    after = action("after", parameters={"x": "{{ steps.inner.output.y }}"})
    assert pointers(book(loop, after)) == ["/steps/0/steps/0/parameters/x"]
    early = action("early", parameters={"x": "{{ steps.inner.output.y }}"})
    assert pointers(book(early, {**loop, "steps": [action("inner")]})) == ["/steps/0/parameters/x"]


ACTIONS = {
    "act-a": {"parameters": [{"name": "ip", "type": "string", "required": True}], "enabled": True},
    "act-b": {
        "parameters": [{"name": "hours", "type": "integer", "required": False}, {"name": "key", "type": "secret"}],
        "enabled": False,
        "type": "containment",
    },
}


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        ({"action_ref": "act-a", "parameters": {"ip": "10.0.0.1"}}, None),
        ({"action_ref": "act-a", "parameters": {"ip": "{{ event.ip }}"}}, None),
        ({"action_ref": "act-a"}, "/parameters/ip"),
        ({"action_ref": "act-a", "parameters": {"ip": 5}}, "/parameters/ip"),
        ({"action_ref": "act-a", "parameters": {"ip": "x", "pi": "{{ event.ip }}"}}, "/parameters/pi"),
        ({"action_ref": "act-b", "parameters": {"hours": "{{ event.hours }}"}}, None),
        ({"action_ref": "act-b", "parameters": {"hours": "5"}}, "/parameters/hours"),
        ({"action_ref": "act-b", "parameters": {"key": "hunter2"}}, "/parameters/key"),
        ({"action_ref": "act-b", "parameters": {"key": "{{ 'hunter2' }}"}}, "/parameters/key"),
        ({"action_ref": "act-b", "parameters": {"key": "Bearer {{ event.key }}"}}, None),
        ({"action_ref": "act-c"}, "/action_ref"),
        ({"type": "playbook", "playbook_ref": "pb-b"}, None),
        ({"type": "playbook", "playbook_ref": "pb-c"}, "/playbook_ref"),
        ({"type": "playbook", "playbook_ref": "pb-own"}, "/playbook_ref"),
    ],
)
def test_calls_are_checked_against_what_there_is(step, pointer):
    """Unknown actions and playbooks and wrong literal parameters are named before anything runs."""
    definition = book({"id": "a", "type": "action", **step}, id="pb-own")
    expected = [] if pointer is None else ["/steps/0" + pointer]
    assert pointers(definition, ACTIONS, ["pb-b", "pb-own"]) == expected


def test_what_is_allowed_but_perhaps_not_meant_is_a_warning():
    """Waiting without end, disabled actions, failures passed over, retries that never happen."""
    risky = action("b", action_ref="act-b", continue_on_error=True)
    definition = book({"id": "ask", "type": "approval"}, risky, on_failure="retry")
    assert check(definition, ACTIONS) == []
    assert [problem.pointer for problem in warnings(definition, ACTIONS)] == [
        "/max_retries",
        "/steps/0",
        "/steps/1/action_ref",
        "/steps/1",
    ]
    assert warnings(DOCUMENTED) == []


@pytest.mark.parametrize(("token", "faults"), [("hunter2", ["/steps/0/parameters/token"]), ("{{ event.token }}", [])])
def test_a_secret_for_another_playbook_is_not_written_out(token, faults):
    """The playbook that a step starts says which of its parameters are secret."""
    step = {"id": "a", "type": "playbook", "playbook_ref": "pb-b", "parameters": {"token": token, "note": "n"}}
    known = {"pb-b": {"parameters": [{"name": "token", "type": "secret"}, {"name": "note", "type": "string"}]}}
    assert pointers(book(step), ACTIONS, known) == faults


def nested(depth):
    steps = [action("inner")]
    for level in range(depth):
        steps = [{"id": f"l{level}", "type": "loop", "while": "false", "steps": steps}]
    return book(*steps)


def test_blocks_are_nested_at_most_five_deep():
    """Six are too many, and thousands are answered as quickly."""
    assert check(nested(5)) == []
    assert pointers(nested(6)) == ["/steps/0" * 6]
    assert len(check(nested(50_000))) == 1


@pytest.mark.parametrize(
    "definition",
    [
        book(
            *(action(f"s{n}", parameters={"x": f"{{{{ steps.s{n - 1}.output }}}}"} if n else {}) for n in range(5000))
        ),
        book(*(action(f"s{n}", on_failure="none") for n in range(5000))),
        book(*(action(f"s{n}", on_success="s0", on_failure=f"s{n + 1}") for n in range(5000))),
        book(*(action(f"s{n}") for n in range(10_000))),
        book(*(action("s", **{f"m{n}": 1 for n in range(20)}) for _ in range(3000))),
        book(action("a", parameters={f"p{n}": "{{ unknwon }}" for n in range(30_000)}), parameters=[{"name": "a"}]),
        book(action("a", parameters={f"p{n}": f"{{{{ a{n} }}}}" for n in range(30_000)})),
        book(
            *(
                {
                    "id": f"s{n}",
                    "type": "condition",
                    "expression": "true",
                    "on_true": f"s{n + 1}" if n % 3 == 0 else "next",
                    "on_false": f"s{n + 2}" if n % 3 == 0 else "next",
                }
                for n in range(3000)
            )
        ),
    ],
    ids=["chain", "lost links", "circles", "too many", "members", "unknown", "templates", "diamonds"],
)
@pytest.mark.gate
def test_large_definitions_are_checked_to_the_end(definition):
    """The work grows with the size of the definition, not with its paths; at most a hundred faults are named."""
    assert len(check(definition)) <= 101


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (5, 5),
        (0.5, 0.5),
        ("90", 90),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86_400),
        ("PT5M", 300),
        ("1h30m", 5400),
        ("P1DT12H", 129_600),
        ("pt0.5s", 0.5),
        ("1.5h", 5400),
        (" 2 H ", 7200),
    ],
)
def test_durations_are_read_in_the_usual_forms(text, length):
    """Seconds, one or more units, or ISO 8601."""
    assert seconds(text) == length
    assert type(seconds(text)) is type(length)


@pytest.mark.parametrize("text", ["", "P", "PT", "x", "-5", -5, "5m2h", True, None, float("nan"), [], "9" * 30])
def test_other_durations_are_refused(text):
    """The message says which forms there are."""
    with pytest.raises(ValueError, match="'30s', '5m'"):
        seconds(text)


def test_ids_and_versions_are_made_as_for_actions():
    """``pb-`` and the name; a change of what runs raises the minor number, a change of words the patch number."""
    assert slug("Critical Finding Alert") == "pb-critical-finding-alert"
    assert slug("封锁") == "pb-playbook"
    old = normalise({**DOCUMENTED, "version": "1.2.3"})
    assert next_version(old, old) == "1.2.3"
    assert next_version(old, {**old, "description": "new"}) == "1.2.4"
    assert next_version(old, {**old, "trigger": {"event": "manual", "conditions": {}}}) == "1.3.0"
    assert next_version(old, {**old, "steps": [], "name": "new"}) == "1.3.0"


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"type": "delay", "parameters": {"seconds": 5}}, {"type": "delay", "seconds": 5}),
        ({"type": "delay", "parameters": {"duration": "5m"}}, {"type": "delay", "seconds": 300}),
        ({"type": "delay", "duration": "5m", "parameters": {"seconds": 300}}, {"type": "delay", "seconds": 300}),
        ({"type": "delay", "seconds": 5, "parameters": {}}, {"type": "delay", "seconds": 5}),
        (
            {"type": "approval", "parameters": {"message": "Go?", "timeout_minutes": 2, "on_reject": "end"}},
            {"type": "approval", "message": "Go?", "timeout_seconds": 120, "on_failure": "end"},
        ),
    ],
)
def test_a_delay_and_an_approval_read_their_members_from_parameters(given: Any, form: Any) -> None:
    """In each spelling; what is said twice alike is said once."""
    definition = {"name": "x", "steps": [{"id": "a", **given}]}
    assert check(definition) == []
    stored = normalise(definition)
    assert stored["steps"] == [{"id": "a", "name": "a", **form}]
    assert normalise(stored) == stored


@pytest.mark.parametrize(
    ("given", "pointer", "words"),
    [
        ({"type": "delay", "seconds": 5, "parameters": {"seconds": 6}}, "/steps/0/parameters/seconds", "keep one of"),
        ({"type": "delay", "duration": "1m", "parameters": {"seconds": 6}}, "/steps/0/parameters/seconds", "keep one"),
        ({"type": "delay", "seconds": 5, "parameters": {"second": 5}}, "/steps/0/parameters/second", "'seconds'"),
        ({"type": "approval", "parameters": {"mesage": "Go?"}}, "/steps/0/parameters/mesage", "did you mean 'message'"),
        (
            {"type": "approval", "message": "a", "parameters": {"message": "b"}},
            "/steps/0/parameters/message",
            "keep one",
        ),
        ({"type": "delay", "parameters": {"seconds": -1}}, "/steps/0/seconds", "must be a number of seconds"),
        ({"type": "delay", "seconds": 5, "parameters": [5]}, "/steps/0/parameters", "must be an object"),
    ],
)
def test_what_the_parameters_of_a_delay_or_an_approval_say_wrongly_is_named(
    given: Any, pointer: str, words: str
) -> None:
    """Twice and differently, unknown, or no value for the member."""
    found = check({"name": "x", "steps": [{"id": "a", **given}]})
    assert [(problem.pointer, words in problem.detail) for problem in found if problem.pointer == pointer] == [
        (pointer, True)
    ]
