"""Rules of every kind in force, and a load that meets them: triggers, dispatches, runs, recurring actions, approvals.

Each rule concerns what is called like it: an action of its own among the triggers, an action type among the dispatches,
a step among the runs. ``Load`` sends in threads of its own, through outages, and keeps what was accepted.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from tests.support.playbooks import delay
from tests.support.stack import Stack
from tests.support.waiting import eventually

NAMESPACE = "every"
PROVIDERS = ("plain", "elsewhere", "mail", "chat", "events", "recurring")
CHAINS = [
    {
        "name": "two",
        "steps": [
            {"name": "first", "provider": "elsewhere", "action_type": "look"},
            {"name": "second", "provider": "elsewhere", "action_type": "tell"},
        ],
    }
]
MACHINES = [
    {
        "name": "alert",
        "initial_state": "open",
        "states": ["open", "firing", "stale", "resolved"],
        "transitions": [
            {"from": "open", "to": "firing", "notify": True, "provider": "events"},
            {"from": ["firing", "stale"], "to": "resolved", "notify": True, "provider": "events"},
        ],
        "timeouts": [
            {"state": "firing", "after_seconds": 2, "transition_to": "stale", "notify": True, "provider": "events"}
        ],
    }
]
ALWAYS = [{"name": "always", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]}]
#: what is done about what is called so
RULES: dict[str, dict[str, Any]] = {
    "denied": {"type": "deny"},
    "suppressed": {"type": "suppress"},
    "allowed": {"type": "allow"},
    "single": {"type": "deduplicate", "ttl_seconds": 3600},
    "three": {"type": "throttle", "max_count": 3, "window_seconds": 3600},
    "paced": {"type": "throttle", "max_count": 5, "window_seconds": 1, "on_excess": "wait", "max_wait_seconds": 600},
    "rerouted": {"type": "reroute", "target_provider": "elsewhere"},
    "changed": {"type": "modify", "changes": {"word": "changed"}},
    "chained": {"type": "chain", "chain_name": "two"},
    "later": {"type": "schedule", "delay_seconds": 2},
    "muted": {"type": "allow"},
    "asked": {"type": "require_approval", "notify": "mail", "requester_may_approve": True},
    "exceeding": {
        "type": "throttle",
        "max_count": 2,
        "window_seconds": 3600,
        "on_excess": "require_approval",
        "notify": "mail",
        "requester_may_approve": True,
    },
}
#: what concerns dispatches alone
OF_DISPATCHES: dict[str, dict[str, Any]] = {
    "gathered": {
        "type": "group",
        "group_by": ["payload.cluster"],
        "group_wait_seconds": 1,
        "group_interval_seconds": 1,
        "max_group_size": 5,
        "notify_provider": "chat",
    },
    "alert": {"type": "state_machine", "state_machine": "alert"},
}
#: the steps of the playbook, each of which meets the rule of its name; the last one is denied
STEPS = ("suppressed", "paced", "rerouted", "changed", "later", "asked", "chained")


def folder(url: str, actions: dict[str, str]) -> dict[str, str]:
    """The files of the configuration: ``actions`` are those of the triggers, by the names of their rules."""
    rules: list[dict[str, Any]] = []
    for name, action in (RULES | OF_DISPATCHES).items():
        called: list[dict[str, Any]] = [{"field": "action.action_type", "eq": name}]
        if name in RULES:
            called.append({"field": "action.action_type", "eq": actions[name]})
            called.append({"field": "action.metadata.step", "eq": name})
        rule: dict[str, Any] = {"name": name, "condition": {"any": called}, "action": action}
        if action["type"] in ("reroute", "chain"):
            rule["origins"] = ["trigger", "dispatch", "step"]
        if name == "muted":
            rule["mute_time_intervals"] = ["always"]
        rules.append(rule)
    every = {"field": "action.namespace", "in_list": [NAMESPACE, "actions", "playbooks"]}
    rules.append({"name": "watch", "priority": -1, "mode": "shadow", "condition": every, "action": {"type": "deny"}})
    providers = {name: {"kind": "http", "url": f"{url}/{name}", "idempotent": True} for name in PROVIDERS}
    return {
        "providers.yaml": json.dumps({"providers": providers}),
        "chains.yaml": json.dumps({"chains": CHAINS}),
        "state_machines.yaml": json.dumps({"state_machines": MACHINES}),
        "time_intervals.yaml": json.dumps({"time_intervals": ALWAYS}),
        "rules/all.yaml": json.dumps({"rules": rules}),
    }


def _again(send: Callable[[], httpx.Response], wanted: tuple[int, ...]) -> httpx.Response:
    """Send until it is answered so; what an outage answers is no answer."""

    def once() -> httpx.Response | None:
        with suppress(httpx.TransportError):
            answer = send()
            assert answer.status_code in wanted or answer.status_code >= 500, answer.text
            return answer if answer.status_code in wanted else None
        return None

    return eventually(once, 90, "it is answered", every=0.1)


class Load:
    """What is sent, and what was accepted of it."""

    def __init__(self, stack: Stack, word: str) -> None:
        self._stack, self._word = stack, word
        url = stack.sink.url
        word_parameter = [{"name": "word", "type": "string", "default": "plain"}]
        self.actions = {
            name: stack.api.create_action(config={"url": f"{url}/ok?{name}"}, parameters=word_parameter)
            for name in (*RULES, "steps")
        }
        #: execution → the rule that its trigger has met
        self.triggers: dict[str, str] = {}
        #: the sender's id → the rule, the answer to it
        self.dispatches: dict[str, tuple[str, dict[str, Any]]] = {}
        self.runs: list[str] = []
        #: approval → the decision that was sent, perhaps several times
        self.decided: dict[str, str] = {}
        #: recurring action → the first of the times that were made due, milliseconds
        self.recurring: dict[str, int] = {}
        self._made: dict[str, list[str]] = {}
        self._over = threading.Event()

    # before it begins

    def prepare(self, recurring: int) -> None:
        """Make the playbooks, and so many recurring actions of each kind; the rules are in force."""
        names = iter(STEPS)
        steps: list[dict[str, Any]] = [
            {"id": name, "type": "action", "action_ref": self.actions["steps"]} for name in itertools.islice(names, 3)
        ]
        steps.append(delay("rest", 1))
        steps += [{"id": name, "type": "action", "action_ref": self.actions["steps"]} for name in names]
        steps.append({"id": "denied", "type": "action", "action_ref": self.actions["steps"], "on_failure": "end"})
        self.playbook = self._stack.api.create_playbook(steps=steps)
        fired = self._stack.api.create_playbook(
            steps=[{"id": "one", "type": "action", "action_ref": self.actions["steps"]}]
        )
        kinds: dict[str, dict[str, Any]] = {
            "dispatch": {"provider": "recurring", "action_type": "tick", "payload": {}},
            "action": {"target": {"action": self.actions["steps"]}},
            "playbook": {"target": {"playbook": fired}},
        }
        common = {"namespace": NAMESPACE, "tenant": "tests", "cron_expr": "* * * * *", "catch_up": "all"}
        for kind, more in kinds.items():
            self._made[kind] = [self._made_recurring({**common, **more}) for _ in range(recurring)]

    def _made_recurring(self, given: dict[str, Any]) -> str:
        answer = self._stack.api.http.post("/v1/recurring", json=given)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def clear(self) -> None:
        """Delete the recurring actions, which would go on."""
        for recurring_id in itertools.chain.from_iterable(self._made.values()):
            self._stack.api.http.delete(f"/v1/recurring/{recurring_id}")

    # what is sent

    def _trigger(self, name: str, number: int) -> None:
        key = f"{self._word}-t-{name}-{number}"
        execution = self._stack.api.insist(self.actions[name], {}, key=key, seconds=90)
        self.triggers[execution] = name
        if number % 3 == 0:
            again = self._stack.api.insist(self.actions[name], {}, key=key, seconds=90)
            assert again == execution, "the same Idempotency-Key made two executions"

    def _dispatch(self, name: str, number: int) -> None:
        given: dict[str, Any] = {"payload": {"host": f"web-{number}", "cluster": number % 3}}
        if name == "single":
            given = {"payload": {}}
        if name == "alert":
            given |= {"fingerprint": self.fingerprint(number), "status": "firing"}
        told = self._send(f"{self._word}-d-{name}-{number}", name, given, {"Prefer": "wait=2"} if number % 2 else {})
        if told["outcome"] == "pending_approval":
            self._follow(told, "reject" if number % 3 == 0 else "approve")
        if name == "alert" and number % 2:  # every other event is resolved
            self._send(f"{self._word}-d-{name}-{number}-over", name, given | {"status": "resolved"}, {})

    def fingerprint(self, number: int) -> str:
        """That of an event."""
        return f"{self._word}-{number}"

    def _send(self, given_id: str, name: str, given: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        where = {"namespace": NAMESPACE, "tenant": "tests", "provider": "plain", "action_type": name}
        body, http = {"id": given_id, **where, **given}, self._stack.api.http
        answer = _again(lambda: http.post("/v1/dispatch", json=body, headers=headers), (200, 202))
        told: dict[str, Any] = answer.json()
        self.dispatches[given_id] = (name, told)
        return told

    def _follow(self, asked: dict[str, Any], word: str) -> None:
        """Decide by the link of the answer; 410 says that a decision whose answer was lost has counted."""
        parts = urlsplit(asked[f"{word}_url"])
        link = f"{self._stack.url}{parts.path}?{parts.query}"
        self.decided[asked["approval_id"]] = word
        answer = _again(lambda: httpx.post(link, timeout=30), (200, 410))
        if answer.status_code == 200:
            assert answer.json()["status"] == {"approve": "approved", "reject": "rejected"}[word], answer.text

    def _run(self, _name: str, number: int) -> None:
        self.runs.append(self._stack.api.insist_on_run(self.playbook, key=f"{self._word}-r-{number}", seconds=90))

    def _make_due(self, kind: str, number: int) -> None:
        """Let the last five minutes of a recurring action come all at once; each minute from now on comes besides."""
        recurring_id, first = self._made[kind][number], int(time.time() // 60 - 5) * 60_000
        earlier = "UPDATE recurring SET next_at = :first, fire_at = :first WHERE id = :id"

        def once() -> bool:
            with suppress(sa.exc.OperationalError):
                self._stack.change(earlier, first=first, id=recurring_id)
                return True
            return False

        eventually(once, 60, "the database can be changed", every=0.1)
        self.recurring[recurring_id] = first

    # all of it

    def send_while(self, harm: Callable[[], None], *, triggers: int, dispatches: int, runs: int) -> None:
        """Send so many of each rule while ``harm`` goes on, the rest afterwards, until all is accepted and decided."""
        calls = [(self._trigger, name, number) for name in RULES for number in range(triggers)]
        calls += [(self._dispatch, name, number) for name in RULES | OF_DISPATCHES for number in range(dispatches)]
        calls += [(self._run, "", number) for number in range(runs)]
        calls += [(self._make_due, kind, number) for kind, made in self._made.items() for number in range(len(made))]
        calls.sort(key=lambda call: call[2])  # of each some at any time, and the numbers of one name in their order
        pace, harmed = threading.Semaphore(0), threading.Event()

        def one(call: tuple[Callable[[str, int], None], str, int]) -> None:
            pace.acquire(timeout=180)
            what, name, number = call
            what(name, number)

        def set_pace() -> None:
            while not harmed.wait(0.06):
                pace.release()
            pace.release(len(calls))

        decider = threading.Thread(target=self._decide)
        decider.start()
        try:
            with ThreadPoolExecutor(12) as pool:
                pacing = pool.submit(set_pace)
                sent = [pool.submit(one, call) for call in calls]
                try:
                    harm()
                finally:
                    harmed.set()
                for future in (pacing, *sent):
                    future.result()
            self._pause_recurring()
            eventually(lambda: not self._open(), 120, "everything ends, and is decided", every=0.25)
        finally:
            self._over.set()
            decider.join()

    def _open(self) -> list[dict[str, Any]]:
        """What goes on: times and windows to come first, because executions come of them.

        A window whose process died with it is due again after its lease.
        """
        queries = (
            f"SELECT id, fire_at FROM recurring WHERE fire_at <= {int(time.time() * 1000)}",
            "SELECT id, state FROM event_groups WHERE due_at IS NOT NULL",
            "SELECT id, state FROM events WHERE timeout_at IS NOT NULL",
            "SELECT id, status FROM executions WHERE completed_at IS NULL",
        )
        with suppress(sa.exc.OperationalError):
            return [row for query in queries for row in self._stack.rows(f"{query} LIMIT 5")]
        return [{}]

    def _pause_recurring(self) -> None:
        """Fire what is due, and nothing from then on."""
        due = "SELECT id FROM recurring WHERE fire_at <= :now"
        eventually(
            lambda: not self._stack.rows(due, now=int(time.time() * 1000)), 60, "all times have come", every=0.25
        )
        for recurring_id in self.recurring:
            _again(lambda one=recurring_id: self._stack.api.http.post(f"/v1/recurring/{one}/pause"), (200, 409))

    def _decide(self) -> None:
        """Decide by requests what triggers and steps wait for, until the end."""
        made = _again(
            lambda: self._stack.api.http.post("/api/keys", json={"name": self._word, "role": "operator"}), (201,)
        )
        other = {"Authorization": f"Bearer {made.json()['data']['key']}"}
        http = self._stack.api.http
        while not self._over.wait(0.3):
            with suppress(httpx.TransportError, KeyError):
                waiting = http.get("/v1/approvals", params={"limit": 200}).json()["approvals"]
                for one in (one for one in waiting if one["namespace"] != NAMESPACE):  # dispatches have links
                    rejected = one["namespace"] == "actions" and int(one["id"][-1], 16) % 3 == 0
                    word = self.decided[one["id"]] = "reject" if rejected else "approve"
                    answer = http.post(f"/api/approvals/{one['id']}/{word}", json={}, headers=other)
                    assert answer.status_code in (200, 409) or answer.status_code >= 500, answer.text
