"""Chains: each becomes a playbook that the checks and the plan accept."""

import json

import pytest
import yaml

from expressions import templates
from expressions.conditions import evaluation
from gateway.configuration import chains
from gateway.configuration.chain_templates import Rewriting
from gateway.configuration.provider_kinds import PARAMETERS
from playbooks import plan
from playbooks.checks.playbook import check
from tests.support.gateway_folder import CHAINS, loaded

WRITTEN = yaml.safe_load(CHAINS)["chains"]
ACTIONS = {f"provider:{name}": {"parameters": list(PARAMETERS)} for name in ("look-up", "pager", "slack", "drill")}


def compiled(number):
    return chains.compiled(WRITTEN[number]).definition


def chain(*steps, **more):
    return yaml.safe_dump({"chains": [{"name": "c", "steps": list(steps), **more}]})


def call(name, **more):
    return {"name": name, "provider": "drill", "action_type": "a", **more}


def test_a_branch_may_lead_backwards_but_not_in_a_circle():
    """The order of the list need not be the order of running."""
    branch = {"field": "body.x", "operator": "eq", "value": 1, "target": "work"}
    steps = [call("start", branches=[branch]), call("close"), call("work", default_next="close")]
    steps[1]["branches"] = []
    text = yaml.safe_dump({"chains": [{"name": "c", "steps": steps}]})
    assert "never end" in loaded(chains=text, rules_a=None).faults[0]
    ordered = [steps[0], call("close", default_next="last"), steps[2], call("last")]
    assert loaded(chains=chain(*ordered), rules_a=None).faults == []


@pytest.mark.parametrize("number", range(len(WRITTEN)))
def test_a_chain_is_a_playbook(number):
    """The checks and the plan take it; ``provider:NAME`` stands among the actions."""
    definition = compiled(number)
    assert check(definition, ACTIONS, {"chain:enrich-and-tell"}) == []
    made = plan.compile(definition)
    assert made.nodes[made.blocks[""].first]


def test_the_steps_of_a_chain():
    """Calls, pauses, retries and branches are those of the chain."""
    definition = compiled(0)
    assert definition["timeout_minutes"] == 2
    look, first, second, page, tell = definition["steps"]
    assert look["action_ref"] == "provider:look-up"
    assert look["retry"] == {"max_attempts": 3, "backoff_seconds": 0.5, "jitter": False}
    assert (look["on_success"], look["on_failure"]) == (first["id"], "continue")
    assert (first["on_true"], first["on_false"]) == ("call", second["id"])
    assert (second["on_true"], second["on_false"]) == ("tell", "tell")
    assert page["parameters"]["payload"] == {
        "summary": "risk {{ steps.look.output.risk }} on {{ origin.payload.host | upper() }}"
    }
    assert tell["delay_seconds"] == 5
    assert "vars.prev.text" in tell["parameters"]["payload"]["text"]
    assert "execution.id" in tell["parameters"]["payload"]["text"]
    assert tell["on_success"] == "end"
    both, wait, close = compiled(1)["steps"]
    assert [branch["on_failure"] for branch in both["branches"]] == ["continue", "continue"]
    assert both["branches"][1]["steps"][0]["playbook_ref"] == "chain:enrich-and-tell"
    assert (wait["type"], wait["seconds"], wait["on_success"]) == ("delay", 2, "close")
    assert both["on_success"] == wait["id"]
    assert close["parameters"]["origin"]["payload"] == {"host": "{{ steps.one.output.host }}"}


def run(definition, answers, payload, name=""):
    """Walk the plan of a chain's playbook with given answers (None fails): the calls and how it ends."""
    made, calls, records, variables = plan.compile(definition), [], {}, {}

    def block(at):
        while at != plan.END:
            node = made.nodes[at]
            context = {
                "origin": {"payload": payload, "action_type": "t", "metadata": {}, "namespace": "n", "tenant": "t"},
                "steps": records,
                "vars": variables,
                "execution": {"id": "run-1"},
            }
            link = node.on_success
            if node.type == "condition":
                link = node.on_true if evaluation.holds(node.step["expression"], context) else node.on_false
            elif node.type == "action":
                calls.append((at, templates.render(node.step["parameters"], context)["payload"]))
                answer = answers[at]
                records[at] = {"output": answer, "status": "completed" if answer is not None else "failed"}
                if answer is None and node.on_failure is None:
                    return "failed"
                link = node.on_success if answer is not None else node.on_failure
                if answer is not None and "outputs" in node.step:
                    own = {**context, "output": answer}
                    variables.update({one: templates.render(text, own) for one, text in node.step["outputs"].items()})
            at = link
        return "completed"

    return calls, block(made.blocks[""].first)


@pytest.mark.parametrize(
    ("answers", "steps", "end"),
    [
        ({"look": {"risk": 9}, "call": {"text": "called"}, "tell": {}}, ["look", "call", "tell"], "completed"),
        ({"look": {"risk": 1, "text": "calm"}, "tell": {}}, ["look", "tell"], "completed"),
        ({"look": {"risk": "9"}, "tell": {}}, ["look", "tell"], "completed"),
        ({"look": None, "tell": {}}, ["look", "tell"], "completed"),
        ({"look": {"risk": 9}, "call": None}, ["look", "call"], "failed"),
    ],
)
def test_a_chain_does_what_it_says(answers, steps, end):
    """Branches, skipped failures and aborts lead where the chain says; each step reads the answer before it."""
    calls, ended = run(compiled(0), answers, {"host": "web"})
    assert [step for step, _ in calls] == steps
    assert ended == end
    payloads = dict(calls)
    assert payloads["look"] == {"host": "web"}
    if "call" in steps:
        assert payloads["call"] == {"summary": "risk 9 on WEB"}
    if "tell" in steps:
        before = answers[steps[-2]] or {}
        assert payloads["tell"] == {"text": f"{before.get('text', 't')} (run-1, 2)"}


RECORD = {"output": {"risk": 7, "name": "x", "deep": {"list": ["a"]}, "none": None, "on": True}, "status": "completed"}


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("body.risk", "eq", 7, True),
        ("body.risk", "eq", 7.0, True),
        ("body.risk", "eq", "7", False),
        ("body.risk", "neq", "7", True),
        ("body.risk", "gt", 6.5, True),
        ("body.risk", "lt", 7, False),
        ("body.risk", "gte", "7", False),
        ("body.name", "eq", "x", True),
        ("body.name", "contains", "x", True),
        ("body.name", "gt", "w", True),
        ("body.on", "eq", True, True),
        ("body.on", "eq", 1, False),
        ("body.none", "exists", None, False),
        ("body.missing", "exists", None, False),
        ("body.missing", "eq", None, True),
        ("body.missing.deeper", "gt", 1, False),
        ("body.missing", "neq", "x", True),
        ("body.risk.x", "eq", 1, False),
        ("body.deep.list", "exists", None, True),
        ("body.deep.list", "contains", "a", False),
        ("body", "exists", None, True),
        ("success", "eq", True, True),
        ("success", "neq", True, False),
    ],
)
def test_branches_compare_and_never_fail(field, operator, value, expected):
    """A branch is true or false, whatever the answer holds."""
    source = chains._expression("a-b", {"field": field, "operator": operator, "value": value})
    assert evaluation.holds(source, {"steps": {"a-b": RECORD}}) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ prev.body.x }}", "{{ steps.s.output.x }}"),
        ("{{ prev.x | default('a') | upper }}!", '{{ steps.s.output.x | default("a", false) | upper() }}!'),
        ("{{ prev }}", "{{ steps.s.output }}"),
        ("{{ prev.status }}", "{{ steps.s.status }}"),
        ("{{ steps.a-b.response_body[0].c }}", '{{ steps["a-b"].output[0].c }}'),
        ("{{ steps['a b'].x }}", '{{ steps["a b"].output.x }}'),
        ("{{ origin.payload['a-b'] }}", '{{ origin.payload["a-b"] }}'),
        ("{{ chain_id }}/{{ step_index }}", "{{ execution.id }}/{{ 3 }}"),
        ("{% raw %}{{ x }}{% endraw %}", "{% raw %}{{ x }}{% endraw %}"),
        ("no template {x}", "no template {x}"),
    ],
)
def test_templates_are_rewritten(text, expected):
    """Names of chains become names of playbooks; everything else keeps its meaning."""
    rewriting = Rewriting(("steps", "s", "output"), 3)
    assert rewriting.value(text) == expected
    assert rewriting.problems == []
    assert templates.check(expected) == []


def test_a_rewritten_template_gives_the_same_value():
    """Filters, constants and defaults survive the rewriting."""
    text = "{{ prev.n | default(none) }}|{{ prev.t | truncate(3) | lower }}|{{ prev.l | join(', ') }}"
    text += "|{{ prev.q | default('it\"s') }}"
    context = {"steps": {"s": {"output": {"n": None, "t": "ABCDEF", "l": ["a", "b"]}}}}
    rewritten = Rewriting(("steps", "s", "output"), 0).value(text)
    assert templates.render(rewritten, context) == templates.render(text, {"prev": context["steps"]["s"]["output"]})


def test_origin_is_the_dispatch():
    """A chain's one parameter has the members of the dispatch; labels are metadata."""
    dispatch = {
        "namespace": "n",
        "tenant": "t",
        "provider": "p",
        "action_type": "a",
        "payload": {"x": 1},
        "labels": {"l": "1"},
    }
    values = chains.origin(dispatch)
    assert values["origin"]["metadata"] == {"l": "1"}
    assert values["origin"]["payload"] == {"x": 1}
    assert json.dumps(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (chain(call("a"), call("a")), "/chains/0/steps/1/name: the id 'a' is used twice"),
        (
            chain(call("a", provider="drlil")),
            "/chains/0/steps/0/provider: there is no provider 'drlil'; did you mean 'drill'?",
        ),
        (chain(call("a", acton_type="x")), "did you mean 'action_type'?"),
        (chain({"name": "a", "provider": "drill"}), "needs its action_type"),
        (chain({"name": "a"}), "exactly one of provider, sub_chain and parallel"),
        (chain(call("a b")), "so that templates can name it"),
        (chain(call("next")), "/chains/0/steps/0/name: 'next' has a meaning of its own"),
        (chain({"name": "a", "providr": "drill"}), "parallel, and 'providr' is none; did you mean 'provider'?"),
        (chain({"name": "a", "chain": "c"}), "and 'chain' is none; did you mean 'sub_chain'?"),
        (chain(call("a", on_failure="skp")), "must be one of abort, skip, dlq; did you mean 'skip'?"),
        (chain(call("a", on_failure="continue")), "must be one of abort, skip, dlq; did you mean 'skip'?"),
        (chain(call("a", retry={"max_retries": 10})), "/retry/max_retries: must be a whole number from 0 to 9"),
        (chain(call("a", retry={"max_retries": 3, "strategy": "linear"})), "'linear' is not available"),
        (chain(call("a", delay_seconds=-1)), "/delay_seconds"),
        (chain(call("a", payload_template="{x")), "/payload_template: must be an object, or the text of a JSON object"),
        (chain(call("a", payload_template={"x": "{{ prev.y }}"})), "the first step has no step before it"),
        (chain(call("a", payload_template={"x": "{{ steps.b.y }}"})), "/payload_template/x: there is no step 'b'"),
        (chain(call("a", payload_template={"x": "{{ orign.y }}"})), "did you mean 'origin'?"),
        (chain(call("a", payload_template={"x": "{{ prev.y"})), "/payload_template/x: "),
        (
            chain(call("a", branches=[{"field": "body.x", "operator": "eq", "value": 1, "target": "b"}])),
            "there is no step 'b'",
        ),
        (
            chain(call("a", branches=[{"field": "bdy", "operator": "eq", "value": 1, "target": "a"}])),
            "must be success, body",
        ),
        (chain(call("a", branches=[{"field": "body", "operator": "equals", "target": "a"}])), "must be one of eq, neq"),
        (
            chain(call("a", default_next="b"), call("b", default_next="a")),
            "/chains/0/steps/1/default_next: leads back to 'a': the chain would never end",
        ),
        (chain({"name": "a", "sub_chain": "d"}), "there is no chain 'd'"),
        (chain({"name": "a", "sub_chain": "c"}), "the chain 'c' runs itself"),
        (chain({"name": "a", "parallel": {"steps": [call("x")], "join": "any"}}), "'any' is not available"),
        (
            chain({"name": "a", "parallel": {"steps": [call("x"), call("y")], "max_concurrency": 1}}),
            "all steps in parallel begin",
        ),
        (chain(call("a"), on_cancel={"provider": "x"}), "'on_cancel' in chains comes with a later release"),
        (chain({"name": "a", "wait_for_signal": {}}), "exactly one of provider"),
        (chain(), "must be a list of 1 to 200 steps"),
    ],
)
def test_faults_of_chains_have_their_place(text, expected):
    """Each fault is reported where the chain has it, not where its playbook would."""
    found = loaded(chains=text, rules_a=None).faults
    assert any(expected in fault for fault in found), found
    assert all(fault.startswith("chains.yaml:") for fault in found)
