"""Executions that end badly in every way, each with a value that nobody may see."""

import time
from collections.abc import Callable
from typing import Any

from tests.support.playbooks import Kit, approval, child, delay, for_each, parallel

#: given as a parameter, repeated in answers, in the output of scripts and in the messages of errors
CANARY = "canary-9c41e7d20b"
_TEXT = [{"name": "message", "type": "string", "required": False, "default": "hello"}]
_SCRIPT = {"type": "script", "executor": "local", "parameters": _TEXT}
_ECHO = 'echo "$PARAM_MESSAGE"; echo "$PARAM_MESSAGE" >&2; '
_NEVER = {"retry": {"max_attempts": 1}}


class Failures:
    """Starts executions that fail; each method returns their ids."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.api = kit.stack.api

    def _act(self, step_id: str, path: str = "ok", **more: Any) -> dict[str, Any]:
        return self.kit.act(step_id, path, CANARY, **more)

    def _action(self, **definition: Any) -> str:
        return self.api.trigger(self.api.create_action(**definition), {"message": CANARY})

    def _call(self, path: str, **more: Any) -> str:
        return self.api.trigger(self.kit.action(path, **more), {"message": CANARY})

    def _run(self, *steps: dict[str, Any], **more: Any) -> str:
        return self.api.run(self.kit.playbook(*steps, **more))

    def short(self) -> dict[str, Callable[[], Any]]:
        """Name → what starts it; all end within a few seconds."""
        kit = self.kit
        return {
            "answered 500": lambda: self._call("parrot/500", **_NEVER),
            "answered 404": lambda: self._call("parrot/404"),
            "refused connection": lambda: self._action(
                config={"url": "http://127.0.0.1:1/{{ message }}"}, parameters=_TEXT, **_NEVER
            ),
            "address not allowed": lambda: self._action(
                config={"url": "http://10.1.2.3/{{ message }}"}, parameters=_TEXT, **_NEVER
            ),
            "no answer in time": lambda: self._call("slow?seconds=20", timeout_seconds=1, **_NEVER),
            "script fails": lambda: self._action(
                **_SCRIPT, config={"interpreter": "bash", "script": f"{_ECHO} exit 7"}, **_NEVER
            ),
            "unknown function": self._unknown,
            "fails twice, then works": lambda: self._call(
                "fail-first/2", retry={"max_attempts": 3, "backoff_seconds": 0.2}
            ),
            "fails every time": lambda: self._call("parrot/503", retry={"max_attempts": 2, "backoff_seconds": 0.2}),
            "cancelled while running": lambda: self._cancelled("running", "slow?seconds=20"),
            "cancelled before a retry": lambda: self._cancelled(
                "waiting", "parrot/503", retry={"max_attempts": 3, "backoff_seconds": 60}
            ),
            "many together": lambda: [self._call(f"parrot/{400 + number % 2 * 100}", **_NEVER) for number in range(12)],
            "bad template": lambda: self._run(
                self._act("first"), kit.act("second", message="{{ steps.first.output.nothing }}")
            ),
            "failed condition": lambda: self._run(
                self._act("first", "parrot/200"),
                {
                    "id": "choose",
                    "type": "condition",
                    "expression": "steps.first.output.message > 5",
                    "on_true": "second",
                },
                self._act("second"),
            ),
            "branch fails": lambda: self._run(
                parallel("p", [self._act("x1"), self._act("x2", "parrot/500")], [self._act("y1")], [self._act("z1")])
            ),
            "branch fails, run continues": lambda: self._run(
                parallel("p", [self._act("x", "parrot/500")], [self._act("y")]),
                self._act("after"),
                on_failure="continue",
            ),
            "item fails": lambda: self._run(for_each("e", [1, 2, 3], self._act("w", "parrot/500"), max_concurrency=2)),
            "items fail, loop goes on": lambda: self._run(
                for_each("e", [1, 2], self._act("w", "parrot/500"), continue_on_error=True), self._act("after")
            ),
            "inner playbook fails": lambda: self._run(
                self._act("before"), child("sub", kit.playbook(self._act("inner", "parrot/500")))
            ),
            "inner playbook disabled": self._disabled,
            "approval rejected": self._rejected,
            "approval expired": lambda: self._run(approval(timeout_seconds=1)),
            "container over its time": lambda: self._run(
                parallel("p", [kit.slow("x", 20)], [delay("rest", 60)], timeout_seconds=1)
            ),
            "run cancelled": self._cancelled_run,
            "step retried by its run": lambda: self._run(
                self._act("a"), self._act("b", "fail-first/1"), on_failure="retry", max_retries=2
            ),
            "dry run": lambda: self.api.run(
                kit.playbook(self._act("a"), parallel("p", [self._act("x")], [self._act("y")])), dry_run=True
            ),
        }

    def long(self) -> dict[str, Callable[[], Any]]:
        """The same for what takes a lease, or more."""
        handler = {"type": "script", "executor": "local"}
        token = [{"name": "token", "type": "secret", "required": True}]

        def raises() -> str:
            action_id = self.api.create_action(**handler, config={"handler": "tell_secret"}, parameters=token)
            return self.api.trigger(action_id, {"token": CANARY})

        return {
            "function raises": raises,
            "script over its time": lambda: self._action(
                **_SCRIPT, config={"interpreter": "bash", "script": f"{_ECHO} sleep 60"}, timeout_seconds=1
            ),
            "function over its time": lambda: self._action(
                **_SCRIPT, config={"handler": "spin"}, timeout_seconds=1, **_NEVER
            ),
            "function stuck in C": lambda: self._action(
                **_SCRIPT, config={"handler": "spin_in_c"}, timeout_seconds=1, **_NEVER
            ),
            "poison": lambda: self._action(**_SCRIPT, config={"handler": "exit_now"}, timeout_seconds=30),
        }

    def _cancelled(self, status: str, path: str, **more: Any) -> str:
        execution = self._call(path, **more)
        self.api.in_status(execution, status)
        assert self.api.cancel(execution).status_code == 200
        return execution

    def _unknown(self) -> str:
        """A function that the workers do not have (any more)."""
        action_id = self.api.create_action(**_SCRIPT, config={"handler": "spin"})
        renamed = "UPDATE action_revisions SET definition = REPLACE(definition, '\"spin\"', '\"gone\"')"
        self.kit.stack.change(f"{renamed} WHERE action_id = :id", id=action_id)
        return self.api.trigger(action_id, {"message": CANARY})

    def _disabled(self) -> str:
        inner = self.kit.playbook(self._act("inner"))
        outer = self.kit.playbook(self._act("before"), child("sub", inner))
        assert self.api.http.post(f"/api/playbooks/{inner}/disable").status_code == 200
        return self.api.run(outer)

    def _rejected(self) -> str:
        run_id = self._run(self._act("before"), approval())
        give_up = time.monotonic() + 30
        while self.api.decide_step(run_id, "ask", "reject", note=CANARY).status_code != 200:
            assert time.monotonic() < give_up
            time.sleep(0.1)
        return run_id

    def _cancelled_run(self) -> str:
        inner = self.kit.playbook(self.kit.slow("inner", 20))
        run_id = self._run(parallel("p", [self.kit.slow("x", 20)], [delay("rest", 60)], [child("sub", inner)]))
        give_up = time.monotonic() + 30
        while not self.kit.stack.rows("SELECT 1 FROM executions WHERE root_id = :id AND status = 'running'", id=run_id):
            assert time.monotonic() < give_up
            time.sleep(0.1)
        assert self.api.post_to_run(run_id, "cancel").status_code == 200
        return run_id
