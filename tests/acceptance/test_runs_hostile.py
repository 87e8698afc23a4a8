"""Hostile texts that reach playbooks, and hostile definitions against the workers.

Texts come with an event, as the title of a finding, and go everywhere a playbook can put them; they arrive as they
are and decide nothing. Definitions are refused when they are made, or fail the step they are in and nothing else.
"""

import json
import socket
import uuid
from typing import Any

import pytest

from tests.support.playbooks import granting, step_rows
from tests.support.stack import Stack

PATIENCE = 90
TEXTS = {
    "harmless": "Open port 22",
    "template": "{{ 7*7 }} {{ parameters }} {{ finding.copy }}",
    "statement": "{% for x in y %}{% endfor %}{# gone? #}",
    "half a template": "}} {{",
    "json": '"}, "admin": true, {"x": "\\',
    "escapes": '\\" \\\\ \\u0041 \\n \\',
    "line ends": "a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1\r\n\u2028\u2029\x0b\x1b[31m",
    "mention": "<!channel> <@U123> @everyone <https://evil.example|click>",
    "a condition": "' || true || '",
    "a link": "wrong",
    "a word of links": "end",
    "a mask": "********",
    "other scripts": "\u202eevil\u202c \U0001f600 \uffff",
    "blank": "   ",
    "number": "0",
    "long": "<{{ x }}>'\"\\" * 5_000,
}


def make(stack: Stack) -> None:
    """The actions and the playbook that the others call, once."""
    if stack.api.http.get("/api/playbooks/pb-say").status_code == 200:
        return
    message = [{"name": "message", "type": "string"}]
    glued = '{"glued": "New: {{ message }}!", "raw": {{ message }}, "target": "{{ target }}"}'
    url = f"{stack.sink.url}/parrot/200"
    plain = {"url": url, "body": {"m": "{{ message }}", "target": "{{ target }}"}}
    stack.api.create_action(id="say", config=plain, parameters=message)
    sending = {"url": url, "headers": {"Content-Type": "application/json"}}
    stack.api.create_action(id="glue", config={**sending, "body_template": glued}, parameters=message)
    stack.api.create_action(id="say-nul", config={**sending, "body_template": '{"m": "a\\u0000b"}'})
    stack.api.create_playbook(id="pb-say", steps=[say("said", "{{ text }}")])


def say(step_id: str, message: str, action: str = "say", **more: Any) -> dict[str, Any]:
    """A step that tells the receiver."""
    return {"id": step_id, "type": "action", "action_ref": action, "parameters": {"message": message}, **more}


def received(stack: Stack) -> dict[str, Any]:
    """Idempotency-Key → the body that the receiver got."""
    return {call.key: json.loads(call.body) for call in stack.sink.arrivals("/parrot")}


def listening(stack: Stack, event: str) -> str:
    """A playbook with the title of a finding in every possible place."""
    return stack.api.create_playbook(
        trigger={"event": event, "conditions": {"kind": "open-port"}},
        steps=[
            say("tell", "{{ finding.title }}", outputs={"kept": "{{ output.m }}"}),
            {
                "id": "same",
                "type": "condition",
                "expression": "finding.title == finding.copy && steps.tell.output.m == finding.title",
                "on_false": "wrong",
            },
            {
                "id": "pick",
                "type": "switch",
                "expression": "finding.title",
                "cases": {"something else": "wrong", "{% if %}": "wrong"},
                "default": "each",
            },
            {
                "id": "each",
                "type": "for_each",
                "items": "{{ finding.titles }}",
                "steps": [say("turn", "{{ item }}", when="item == finding.title")],
            },
            {"id": "sub", "type": "playbook", "playbook_ref": "pb-say", "parameters": {"text": "{{ finding.title }}"}},
            say("aim", "{{ vars.kept }}", target="{{ finding.short }}"),
            {"id": "ask", "type": "approval", "message": "{{ finding.title }}"},
            say("after", "{{ steps.ask.output.message }}", "glue", target="{{ finding.short }}"),
            say("wrong", "a text has decided something"),
        ],
    )


def test_texts_arrive_as_they_are_and_decide_nothing(sqlite_stack: Stack) -> None:
    """Any title of a finding arrives unchanged and decides nothing."""
    stack = sqlite_stack
    make(stack)
    event = f"finding.t{uuid.uuid4().hex[:8]}"
    playbook_id, runs = listening(stack, event), {}
    for name, text in TEXTS.items():
        data = {"kind": "open-port", "title": text, "copy": text, "short": text[:200], "titles": [text, text]}
        answer = stack.api.http.post("/api/events", json={"event": event, "data": data})
        assert answer.status_code == 202, answer.text
        [started] = answer.json()["data"]["started"]
        assert started["playbook_id"] == playbook_id
        runs[name] = started["execution_id"]
    with granting(stack):
        ended = stack.wait_ended(list(runs.values()), PATIENCE)
    rows, calls = step_rows(stack, runs.values()), received(stack)
    ways = {
        name: [
            ended[run_id]["status"],
            *sorted((row["step_id"], row["iteration"], row["status"]) for row in rows[run_id]),
        ]
        for name, run_id in runs.items()
    }
    assert ways["harmless"][0] == "completed"
    for name, text in TEXTS.items():
        run_id = runs[name]
        assert ways[name] == ways["harmless"], (name, [row["error"] for row in rows[run_id]])
        outputs = {row["step_id"]: json.loads(row["output"] or "null") for row in rows[run_id]}
        assert outputs["ask"]["message"] == text, name
        assert outputs["pick"] == {"value": text, "next": "each"}, name
        for place in ("tell", "turn.0", "turn.1", "aim"):
            assert calls[f"{run_id}.{place}"]["m"] == text, (name, place)
        assert calls[f"{run_id}.aim"]["target"] == text[:200], name
        assert calls[f"{outputs['sub']['execution_id']}.said"]["m"] == text, name
        assert calls[f"{run_id}.after"] == {"glued": f"New: {text}!", "raw": text, "target": text[:200]}, name


@pytest.mark.parametrize("character", ["\x00", "\ud800"], ids=["nul", "half a surrogate pair"])
def test_text_that_no_database_keeps_is_refused(sqlite_stack: Stack, character: str) -> None:
    """NUL and half surrogates are answered with 400."""
    body = json.dumps({"event": "finding.new", "data": {"title": f"a{character}b"}})
    answer = sqlite_stack.api.http.post("/api/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


def test_an_event_as_large_as_a_body_may_be_is_refused(sqlite_stack: Stack) -> None:
    """An event with a megabyte of text is refused, with the place."""
    answer = sqlite_stack.api.http.post(
        "/api/events", json={"event": "finding.new", "data": {"title": "x" * 1_000_000}}
    )
    assert answer.status_code == 400, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/data"]


LONG = "x" * 20_000
REFUSED = {
    "a statement": (say("s", "{% for x in y %}{{ x }}{% endfor %}"), "/parameters/message"),
    "a call": (say("s", "{{ range(1000000000) }}"), "/parameters/message"),
    "an attribute": (say("s", "{{ x.__class__.__mro__ }} {{ ''.join(x) }}"), "/parameters/message"),
    "arithmetic": (say("s", "{{ 'x' * 1000000000 }}"), "/parameters/message"),
    "an unknown filter": (say("s", "{{ x | attr('y') }}"), "/parameters/message"),
    "no end": (say("s", "{{ x"), "/parameters/message"),
    "too long": (say("s", "{{ x }}" + LONG), "/parameters/message"),
    "a hostile key": (say("s", "x") | {"parameters": {"message": "x", "{{ x": 1}}, "/parameters/{{ x"),
    "a target": (say("s", "x", target="{{ x() }}"), "/target"),
    "outputs": (say("s", "x", outputs={"y": "{{ output.a + 1 }}"}), "/outputs/y"),
    "when": (say("s", "x", when="true ||"), "/when"),
    "a template in a condition": (say("s", "x", when="{{ x() }} == 1"), "/when"),
    "a long condition": (say("s", "x", when="x == '" + LONG + "'"), "/when"),
    "nested comprehensions": (say("s", "x", when="xs.all(a, xs.all(b, xs.all(c, a == b)))"), "/when"),
    "many brackets": (say("s", "x", when="(" * 600 + "true" + ")" * 600), "/when"),
    "a large pattern": (say("s", "x", when="x.matches('(a{900}){900}')"), "/when"),
    "itself": (say("s", "{{ steps.s.output }}"), "/parameters/message"),
    "somebody else": (say("s", "{{ steps.nobody.output }}"), "/parameters/message"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_definitions_are_refused(sqlite_stack: Stack, name: str) -> None:
    """Nothing of it is created, and the answer points at the member."""
    make(sqlite_stack)
    step, pointer = REFUSED[name]
    answer = sqlite_stack.api.http.post("/api/playbooks", json={"name": f"hostile {name}", "steps": [step]})
    assert answer.status_code == 400, answer.text
    pointers = {one["pointer"] for one in answer.json()["errors"]}
    assert f"/steps/0{pointer}" in pointers, answer.json()["errors"]


def each(items: Any) -> dict[str, Any]:
    """A for_each over something."""
    return {"id": "s", "type": "for_each", "items": items, "steps": [say("inner", "{{ item }}")]}


def asking(expression: str) -> dict[str, Any]:
    """A condition."""
    return {"id": "s", "type": "condition", "expression": expression}


FAILING = {
    "an absent name": (say("s", "{{ absent.deeper }}"), "bad_template"),
    "too much text": (say("s", "{{ long }}" * 9), "bad_template"),
    "an absent name in a condition": (asking("absent == 1"), "bad_expression"),
    "no boolean": (asking("'yes'"), "bad_expression"),
    "a division by zero": (asking("1 / zero == 1"), "bad_expression"),
    "too many turns": (asking("many.all(a, many.all(b, a == b))"), "bad_expression"),
    "when": (say("s", "x", when="absent"), "bad_expression"),
    "a costly pattern": (asking("long.matches('(.*x){30}y')"), "bad_expression"),
    "no list": (each("{{ long }}"), "bad_items"),
    "too many items": (each("{{ many }}"), "bad_items"),
    "a message": ({"id": "s", "type": "approval", "message": "{{ absent }}"}, "bad_template"),
    "NUL for a target": (say("s", "x", target="{{ steps.nul.output.m }}"), "bad_template"),
    "a long text for a target": (say("s", "x", target="{{ long }}"), "bad_template"),
    "NUL for the target of a playbook": (
        {"id": "s", "type": "playbook", "playbook_ref": "pb-say", "target": "{{ steps.nul.output.m }}"},
        "bad_template",
    ),
}


def test_what_cannot_be_worked_out_fails_its_step_and_nothing_else(sqlite_stack: Stack) -> None:
    """An impossible template fails its step; the failure link completes the run."""
    stack = sqlite_stack
    make(stack)
    logged_before = len(stack.log("worker"))  # earlier tests take the broker away from the same workers
    given = {"long": "x" * 60_000, "many": list(range(1001)), "zero": 0}
    nul = {"id": "nul", "type": "action", "action_ref": "say-nul"}
    runs = {}
    for name, (step, _) in FAILING.items():
        ways = ("on_true", "on_false") if step["type"] == "condition" else ("on_success",)
        ending = {**step, **dict.fromkeys(ways, "end"), "on_failure": "then"}
        steps = [nul, ending, say("then", "{{ steps.s.error.code }}")]
        runs[name] = stack.api.run(stack.api.create_playbook(steps=steps), given)
    ended = stack.wait_ended(list(runs.values()), PATIENCE)
    rows = step_rows(stack, runs.values())
    for name, (_, code) in FAILING.items():
        states = {row["step_id"]: row for row in rows[runs[name]]}
        assert states["s"]["status"] == "failed", (name, states["s"])
        assert json.loads(states["s"]["error"])["code"] == code, (name, states["s"]["error"])
        assert states["then"]["status"] == "completed", name
        assert ended[runs[name]]["status"] == "completed", name
    assert "Traceback" not in stack.log("worker")[logged_before:]


@pytest.mark.gate
def test_nothing_a_playbook_asks_for_holds_up_the_others(sqlite_stack: Stack) -> None:
    """Runs that evaluate the costliest conditions delay no other run."""
    make(sqlite_stack)
    costly = "numbers.all(a, numbers.all(b, a + b >= 0))"
    steps = [{"id": f"c{number}", "type": "condition", "expression": costly} for number in range(200)]
    slow = sqlite_stack.api.create_playbook(steps=[*steps, say("done", "x")])
    quick = sqlite_stack.api.create_playbook(steps=[say("one", "x"), say("two", "x")])
    slow_runs = [sqlite_stack.api.run(slow, {"numbers": list(range(100))}) for _ in range(2)]
    quick_runs = [sqlite_stack.api.run(quick) for _ in range(10)]
    ended = sqlite_stack.wait_ended([*slow_runs, *quick_runs], PATIENCE)
    assert {row["error"] for row in ended.values()} == {None}
    first_slow = min(ended[run_id]["completed_at"] for run_id in slow_runs)
    assert min(ended[run_id]["completed_at"] for run_id in quick_runs) < first_slow


@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_too_much_hears_why(sqlite_stack: Stack, *, chunked: bool) -> None:
    """A caller that sends five megabytes before it reads gets its 413.

    Nothing of it is taken, although it would make sense wherever it were cut off.
    """
    stack, size = sqlite_stack, 5_000_000
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = ["POST /api/playbooks HTTP/1.1", "Host: localhost", f"Authorization: Bearer {stack.api.key}"]
    head += ["Content-Type: application/yaml", "Connection: close", length, "", ""]
    playbook = b"id: pb-too-much\nname: Too much\nsteps: [{id: a, type: delay, seconds: 1}]\n"
    body = playbook.ljust(size, b"#")
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as caller:
        caller.sendall("\r\n".join(head).encode())
        caller.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if chunked else body)
        with caller.makefile("rb") as answer:
            assert answer.readline().split()[1] == b"413"
            assert b'"too_large"' in answer.read()
    assert stack.api.http.get("/api/playbooks/pb-too-much").status_code == 404
