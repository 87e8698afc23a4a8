"""A secret is never shown, however its action ends.

Two canaries travel through everything: one as a secret parameter, one as an Authorization header of the action's
config. Then every place that keeps or shows anything is searched for any part of them.
"""

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.flower import Flower
from tests.support.stack import Stack
from tests.support.waiting import eventually

TOKEN = [{"name": "token", "type": "secret", "required": True}]
PADDED = [*TOKEN, {"name": "pad", "type": "string", "required": False, "default": ""}]


class Canary:
    """A secret that needs quoting, around a word that only base64 changes."""

    def __init__(self, around: str = "{}") -> None:
        self.word = secrets.token_hex(20)
        self.text = around.format(self.word)

    def forms(self) -> list[str]:
        """What to search: the word's beginning, in clear and in base64 alignments."""
        encoded = [base64.b64encode(b"\0" * shift + self.word.encode()).decode()[4:20] for shift in range(3)]
        return [self.word[:12], *encoded]

    def places(self, texts: dict[str, str]) -> list[str]:
        """The names of the texts that hold it, with what stands around."""
        found = []
        for name, text in texts.items():
            for form in self.forms():
                at = text.find(form)
                if at >= 0:
                    found.append(f"{name}: ...{text[max(0, at - 150) : at + 60]!r}")
                    break
        return found


class Witness:
    """Watcher of every API answer, every Redis command, every command line."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.answers: list[str] = []
        self.commands: list[str] = []
        self.command_lines: set[str] = set()
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator["Witness"]:
        """Watch until the block ends."""
        self.stack.api.http.event_hooks = {"response": [self._note]}
        threads = [threading.Thread(target=look) for look in (self._watch_redis, self._watch_processes)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            self.stack.api.http.event_hooks = {}

    def _note(self, response: httpx.Response) -> None:
        response.read()
        self.answers.append(f"{response.headers}\n{response.text}")

    def _watch_redis(self) -> None:
        with self.stack.redis.client().monitor() as monitor:
            while not self._over.is_set():
                command = monitor.next_command()
                self.commands.append(command["command"])

    def _watch_processes(self) -> None:
        while not self._over.wait(0.02):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        self.command_lines.add((entry / "cmdline").read_bytes().decode(errors="replace"))
                    except OSError:
                        continue

    def everything(self) -> dict[str, str]:
        """All visible output of the product, by place."""
        seen = {f"API answer {number}": text for number, text in enumerate(self.answers)}
        seen["Redis commands"] = "\n".join(self.commands)
        seen["command lines"] = "\n".join(self.command_lines)
        var = self.stack.directory / "var"
        files = [*self.stack.directory.glob("*.log"), *self.stack.directory.glob("*.aof"), *var.rglob("*")]
        seen |= {str(path): path.read_bytes().decode("latin-1") for path in files if path.is_file()}
        tables = self.stack.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        seen |= {f"table {row['name']}": str(self.stack.rows(f"SELECT * FROM {row['name']}")) for row in tables}
        seen["Flower"] = Flower(self.stack).get("/api/tasks").text
        return seen


def hook(stack: Stack, path: str, header: Canary, **more: object) -> dict:
    """An action that sends both canaries in URL, header and body."""
    return {
        "parameters": TOKEN,
        "config": {
            "url": f"{stack.sink.url}{path}&token={{{{ token }}}}",
            "headers": {"Authorization": f"Bearer {header.text}"},
            "body": {"login": {"token": "{{ token }}"}},
        },
        **more,
    }


def script(text: str, interpreter: str = "bash", **more: object) -> dict:
    """An action that runs a script with the secret."""
    config = {"interpreter": interpreter, "script": text}
    return {"type": "script", "executor": "local", "parameters": TOKEN, "config": config, **more}


def test_no_secret_is_seen_anywhere(sqlite_stack: Stack) -> None:
    """No outcome of an action, no provider, no dry run shows secrets."""
    stack, parameter, header = sqlite_stack, Canary('p/w "{}"&+='), Canary("h{}==")
    tell_all = 'env; cat; echo "$PARAM_TOKEN" >&2; echo "{\\"got\\": \\"$PARAM_TOKEN\\"}"'
    retry = {"max_attempts": 2, "backoff_seconds": 0}
    handler = {"type": "script", "executor": "local", "parameters": TOKEN, "config": {"handler": "tell_secret"}}
    definitions = {
        "success": hook(stack, "/echo?x", header),
        "failure": hook(stack, "/echo?status=500", header),
        "retry": hook(stack, "/echo?status=503", header, retry=retry),
        "timeout": hook(stack, "/slow?seconds=30", header, timeout_seconds=1),
        "refused": hook(stack, "/echo?x", header) | {"idempotent": False},
        "script": script(tell_all),
        "failing script": script(f"{tell_all}; exit 1"),
        "endless script": script(f"{tell_all}; sleep 30", timeout_seconds=1),
        "python": script("import os, sys; print(sys.stdin.read()); sys.exit(os.environ['PARAM_TOKEN'])", "python"),
        "function": handler,
    }
    flower = Flower(stack)
    flower.start()
    flower.wait_for_tasks()
    with Witness(stack).watching() as witness:
        values, executions = {"token": parameter.text}, []
        actions = {name: stack.api.create_action(**definition) for name, definition in definitions.items()}
        for action_id in actions.values():
            executions += [stack.api.trigger(action_id, values, key=f"key {action_id}")]
            executions += [stack.api.trigger(action_id, values, **{mode: True}) for mode in ("sandbox", "dry_run")]
        wrong = stack.api.post_trigger(actions["success"], {"token": {"inner": parameter.text}})
        assert wrong.status_code == 422
        rows = stack.wait_ended(executions, 150)
        for path in [f"/api/actions/executions/{execution}" for execution in executions]:
            assert stack.api.http.get(path).status_code == 200
        for path in ["/api/actions", "/api/actions/executions", "/metrics", "/health"]:
            assert stack.api.http.get(path, params={"per_page": 100}).status_code == 200
        for action_id in actions.values():
            for path in ("", "/versions", "/executions"):
                assert stack.api.http.get(f"/api/actions/{action_id}{path}").status_code == 200
        eventually(lambda: executions[0] in flower.tasks(), 60, "Flower has heard of it")
        time.sleep(0.5)  # the last task events are on their way to Flower
        stack.redis.client().ping()  # wakes the watcher of Redis up
    assert {row["status"] for row in rows.values()} == {"completed", "failed", "timeout"}
    assert any(parameter.word in call.body for call in stack.sink.arrivals()), "the secret itself was sent"
    seen = witness.everything()
    assert "tocsin.run" in seen["Redis commands"]
    assert executions[0] in seen["Flower"]
    assert parameter.places(seen) == []
    assert header.places(seen) == []


def test_a_cut_leaves_no_beginning_of_a_secret(sqlite_stack: Stack) -> None:
    """A long answer or log line cut inside a secret is masked."""
    stack, canary = sqlite_stack, Canary()
    config = {
        "url": f"{stack.sink.url}/parrot/500",
        "headers": {"Content-Type": "text/plain"},
        "body_template": "{{ pad }}{{ token }}",
    }
    action_id = stack.api.create_action(parameters=PADDED, config=config)
    limits = (100, 128, 200, 256, 500, 512, 1000, 1024, 2000, 2048, 4000, 4096)
    pads = {limit: {"token": canary.text, "pad": "x" * (limit - 20)} for limit in limits}
    executions = {f"limit {limit}": stack.api.trigger(action_id, values) for limit, values in pads.items()}
    executions["log line"] = stack.api.trigger(
        stack.api.create_action(type="script", executor="local", parameters=TOKEN, config={"handler": "tell_secret"}),
        {"token": canary.text},
    )
    shown = {name: {**stack.api.ended(execution), "parameters": None} for name, execution in executions.items()}
    assert canary.places({name: str(execution) for name, execution in shown.items()}) == []


@pytest.mark.parametrize("interpreter", ["bash", "python"])
def test_a_secret_of_several_lines_is_masked_in_each(sqlite_stack: Stack, interpreter: str) -> None:
    """A private key printed over several log lines shows in none."""
    stack, lines = sqlite_stack, [Canary() for _ in range(4)]
    key = "\n".join(["-----BEGIN KEY-----", *(line.text for line in lines), "-----END KEY-----"])
    text = 'echo "$PARAM_TOKEN"' if interpreter == "bash" else "import os; print(os.environ['PARAM_TOKEN'])"
    action_id = stack.api.create_action(**script(text, interpreter))
    shown = {"execution": str(stack.api.ended(stack.api.trigger(action_id, {"token": key})))}
    assert [found for line in lines for found in line.places(shown)] == []
