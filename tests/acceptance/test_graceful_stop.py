"""A graceful stop loses and fails nothing that its time allows."""

import os
import signal

import pytest

from tests.support.sandboxes import processes
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: workers that carry actions out
WORKERS = ("worker", "scripts")


def test_what_was_accepted_is_published_before_the_process_ends(first_stack: Stack) -> None:
    """A web process that stops without Redis still publishes its accepted triggers."""
    stack = first_stack
    action = stack.api.create_action(config={"url": stack.sink.url, "method": "POST"})
    for name in ("worker", "beat"):  # no worker takes the messages, and no tick publishes in place of the web process
        stack.kill(name)
    before = stack.queued("steps", "bulk")  # what a caller asks for too fast waits in the second
    stack.redis.freeze()
    for _ in range(5):
        stack.api.trigger(action)
    web = stack.running["web"]
    ends = stack.log("web").count("Worker exiting")
    web.popen.terminate()
    eventually(lambda: stack.log("web").count("Worker exiting") > ends, 20, "every request is answered", every=0.05)
    stack.redis.thaw()
    web.popen.wait(timeout=30)
    assert stack.queued("steps", "bulk") == before + 5


def bash(script: str, **more: object) -> dict:
    """The definition of an action that runs a script."""
    return {"type": "script", "executor": "local", "config": {"interpreter": "bash", "script": script}, **more}


def roll(stack: Stack, drain: int) -> None:
    """Stop the workers, wait for their end, and start them again."""
    for name in WORKERS:
        os.kill(stack.running[name].pid, signal.SIGTERM)
    for name in WORKERS:
        stack.running[name].wait(drain + 60)
        stack.start(name, TOCSIN_DRAIN_SECONDS=str(drain))


def restart_thrice(stack: Stack, seconds: int, drain: int, fits: int) -> dict[str, dict]:
    """Restart thrice, each time before actions of ``seconds`` end; returns their rows.

    ``fits`` is how long an action takes that must not be repeated.
    """
    create, trigger = stack.api.create_action, stack.api.trigger
    for name in WORKERS:
        stack.restart(name, TOCSIN_DRAIN_SECONDS=str(drain), TOCSIN_SCRIPTS_CONCURRENCY="4")
    for name in WORKERS:
        stack.wait_ready(name)
    script = create(**bash(f"sleep {seconds}"))
    begun = {
        "script": trigger(script),
        "call": trigger(create(config={"url": f"{stack.sink.url}/slow?seconds={min(seconds, 28)}&rolled"})),
        "once": trigger(create(**bash(f"sleep {seconds}"), idempotent=False)),
    }
    begun["fits"] = trigger(create(**bash(f"sleep {fits}"), idempotent=False))
    run = stack.api.run(stack.api.create_playbook(steps=[{"id": "wait", "type": "action", "action_ref": script}]))
    begun["step"] = f"{run}.wait"

    def under_way(attempt: int, *kinds: str) -> bool:
        rows = stack.rows("SELECT id, status, attempt FROM executions")
        now = {row["id"]: (row["status"], row["attempt"]) for row in rows}
        return all(now.get(begun[kind]) == ("running", attempt) for kind in kinds)

    for attempt in (1, 2, 3):
        kinds = ("script", "call", "step", "once")[: 4 if attempt == 1 else 3]
        eventually(lambda attempt=attempt, kinds=kinds: under_way(attempt, *kinds), 60, "everything is under way")
        roll(stack, drain)
    stack.wait_ended([run, *begun.values()], 60 + 2 * seconds)
    return {kind: stack.row(execution_id) for kind, execution_id in begun.items()}


def check(stack: Stack, rows: dict[str, dict]) -> None:
    """Check: idempotent executions were handed back, the others have an unknown outcome."""
    for kind in ("script", "call", "step"):
        row = rows[kind]
        assert (row["status"], row["attempt"], row["lapses"]) == ("completed", 4, 0), (kind, row)
    run = stack.row(rows["step"]["run_id"])
    assert run["status"] == "completed", run
    assert (rows["once"]["status"], rows["once"]["attempt"]) == ("failed", 1)
    assert '"worker_lost"' in rows["once"]["error"]
    assert '"outcome_unknown":true' in rows["once"]["error"]


@pytest.mark.gate
def test_a_script_that_gets_the_signal_itself_is_handed_back(sqlite_stack: Stack) -> None:
    """TERM to the pool's processes too ends scripts without a lapse."""
    stack = sqlite_stack
    create, trigger = stack.api.create_action, stack.api.trigger
    nap = f"3.{os.getpid():08}"
    begun = {each: trigger(create(**bash(f"sleep {nap}"), idempotent=each)) for each in (True, False)}
    # a script that was claimed and has not begun is handed back whatever it is
    eventually(lambda: len(processes(nap)) == 2, 30, "both scripts sleep")
    stack.running["scripts"].send(signal.SIGTERM)
    stack.running["scripts"].wait(60)
    stack.start("scripts")
    rows = stack.wait_ended([*begun.values()], 60)
    again, once = rows[begun[True]], rows[begun[False]]
    assert (again["status"], again["attempt"], again["lapses"]) == ("completed", 2, 0)
    assert (once["status"], once["attempt"]) == ("failed", 1)
    assert '"outcome_unknown":true' in once["error"]


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_rolling_restart_with_long_scripts(postgresql_stack: Stack) -> None:
    """Scripts of 32 s are handed back; shorter executions are undisturbed."""
    rows = restart_thrice(postgresql_stack, seconds=32, drain=20, fits=10)
    check(postgresql_stack, rows)
    assert (rows["fits"]["status"], rows["fits"]["attempt"]) == ("completed", 1)
