"""Rules decide while processes die: each rule is obeyed, and each execution that was decided has one record.

The load and the faults are those of the crash tests (``test_chaos``), with rules of every kind in force, each about an
action of its own. Afterwards every execution has ended as its rule says, nothing that a rule stops has reached the
receiver, every ended execution has exactly one record, and the counters equal a count of the records.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_chaos import SETTLED, History, Plan, make_actions, unleash
from tests.support.stack import Stack
from tests.support.trail import half_written
from tests.support.waiting import eventually

PROVIDERS = """\
providers:
  elsewhere: {{kind: http, url: "{url}/ok?elsewhere", idempotent: true}}
"""
CHAINS = """\
chains:
  - name: two
    steps:
      - {name: first, provider: elsewhere, action_type: look}
      - {name: second, provider: elsewhere, action_type: tell}
"""
#: what is done about the action of that name
RULES: dict[str, dict[str, Any]] = {
    "denied": {"type": "deny"},
    "suppressed": {"type": "suppress"},
    "once": {"type": "deduplicate", "ttl_seconds": 3600},
    "thrice": {"type": "throttle", "max_count": 3, "window_seconds": 3600},
    "paced": {"type": "throttle", "max_count": 5, "window_seconds": 1, "on_excess": "wait", "max_wait_seconds": 600},
    "rerouted": {"type": "reroute", "target_provider": "elsewhere"},
    "changed": {"type": "modify", "changes": {"word": "changed"}},
    "chained": {"type": "chain", "chain_name": "two"},
    "later": {"type": "schedule", "delay_seconds": 2},
}
#: rule → the statuses in which its executions may end
ENDS = {
    "denied": {"failed"},
    "suppressed": {"cancelled"},
    "once": {"completed", "cancelled"},
    "thrice": {"completed", "cancelled"},
}


@pytest.fixture
def config(stack: Stack) -> Iterator[Path]:
    """The configuration folder of the product, empty."""
    folder = stack.directory / "var/config"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "rules").mkdir(parents=True)
    yield folder
    stack.heal()
    stack.forget_configuration()


def put_in_force(stack: Stack, config: Path, actions: dict[str, tuple[str, dict[str, Any]]]) -> None:
    """Load a rule for each of these actions, and one that only watches all of them."""
    rules = [
        {
            "name": name,
            "condition": {"field": "action.action_type", "eq": actions[name][0]},
            "action": action,
            **({"origins": ["trigger"]} if action["type"] in ("reroute", "chain") else {}),
        }
        for name, action in RULES.items()
    ]
    watch = {"field": "action.action_type", "in_list": [action_id for action_id, _ in actions.values()]}
    rules.append({"name": "watch", "priority": -1, "mode": "shadow", "condition": watch, "action": {"type": "deny"}})
    (config / "providers.yaml").write_text(PROVIDERS.format(url=stack.sink.url))
    (config / "chains.yaml").write_text(CHAINS)
    (config / "rules/all.yaml").write_text(json.dumps({"rules": rules}))
    answer = stack.api.http.post("/v1/rules/reload").json()
    assert (answer["loaded"], answer["errors"]) == (len(rules), []), answer


def check(stack: Stack, history: History) -> None:
    """Each rule was obeyed; the records tell it once."""
    rows = stack.wait_ended(list(history.accepted.values()), SETTLED)
    since = min(stack.row(one)["created_at"] for one in history.kinds)  # what other tests have left is not looked at
    chains = (
        f"SELECT id, status FROM executions WHERE kind = 'playbook' AND cause = 'chain' AND created_at >= {int(since)}"
    )
    ended = ("completed", "failed")
    eventually(lambda: all(row["status"] in ended for row in stack.rows(chains)), SETTLED, "every chain has ended")
    eventually(lambda: stack.queued() == 0, 20, "every left-over message is consumed")
    arrived = stack.sink.keys()
    found: dict[str, list[str]] = {}
    for execution, kind in history.kinds.items():
        found.setdefault(kind, []).append(execution)
    for kind in RULES:
        statuses = Counter(rows[one]["status"] for one in found[kind])
        assert statuses.keys() <= ENDS.get(kind, {"completed"}), (kind, statuses)
    assert not [one for kind in ("denied", "suppressed", "chained") for one in found[kind] if one in arrived]
    assert sum(one in arrived for one in found["once"]) == 1
    assert sum(one in arrived for one in found["thrice"]) == 3
    assert all(one in arrived for kind in ("paced", "changed", "later", "rerouted") for one in found[kind])
    outputs = [json.loads(rows[one]["output"]) for one in found["chained"]]
    assert {one["chain_id"] for one in outputs} == {row["id"] for row in stack.rows(chains)}
    for kind, executions in found.items():
        for one in executions:
            gate = json.loads(rows[one]["gate"])
            assert gate["shadows"] == [["watch", "deny"]], (kind, gate)
    assert half_written(stack) == []
    counted = "SELECT origin, outcome, count(*) AS n FROM audit WHERE outcome IS NOT NULL GROUP BY origin, outcome"

    def told() -> bool:
        shown = stack.api.http.get("/metrics", headers={"Accept": "application/json"}).json()["by_origin"]
        counts: dict[str, dict[str, int]] = {}
        for row in stack.rows(counted):
            counts.setdefault(row["origin"], {})[row["outcome"]] = row["n"]
        return bool(shown == counts)

    eventually(told, 30, "the counters equal a count of the records")


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_rules_are_obeyed_whichever_process_dies(stack: Stack, config: Path) -> None:
    """400 triggers under nine rules, twelve kills, a flush, an empty restart."""
    actions = make_actions(stack)
    word = [{"name": "word", "type": "string", "default": "plain"}]
    for name in RULES:
        url = f"{stack.sink.url}/ok?{name}"
        actions[name] = (stack.api.create_action(config={"url": url}, parameters=word), {})
    put_in_force(stack, config, actions)
    kills = ["worker"] * 3 + ["worker2"] * 3 + ["scripts"] * 2 + ["web"] * 2 + ["beat"] * 2
    plan = Plan(triggers=400, kills=kills, flushes=1, empty_restarts=1, seed=3, callers=8)
    check(stack, unleash(stack, plan, actions=actions))
