"""The whole OpenAPI document, walked by an independent tool against the running product."""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.stack import Stack

_CHECKS = Path(__file__).parents[1] / "support/fuzz_checks.py"
_CONFIG = """
hooks = {hooks}
request-timeout = 40  # a reader may wait 30 seconds for news
checks.max_response_time = 40

[generation]
allow-x00 = false  # NUL is legal in JSON and no database stores it: it is refused, which a schema cannot say

[warnings]
fail-on = ["missing_auth", "rate_limited"]  # whoever gets only 401 and 429 has tested nothing

[dictionaries]
waiting.values = {waiting}
ended.values = {ended}

[[operations]]
include-operation-id = ["cancelExecution", "approveExecution", "rejectExecution"]
parameters."path.execution_id" = {{ dictionary = "waiting", probability = 0.5 }}

[[operations]]
include-operation-id = "getExecution"
parameters."path.execution_id" = {{ dictionary = "ended", probability = 0.5 }}

[[operations]]  # not every fault can be said in a schema; which these may be is checked in the hooks
include-operation-id = ["createAction", "replaceAction", "changeAction", "createKey"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]  # each action declares parameters of its own
include-operation-id = "triggerAction"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]
"""
#: for how long wrong keys are not counted, seconds
_LONGEST = 600


def _forgive_wrong_keys(stack: Stack) -> None:
    """Let this machine present any number of wrong keys: the run tries each operation with several.

    The brake on guessing answers 429 in place of the 401 that is looked for; it has tests of its own.
    """
    this_minute = int(time.time()) // 60
    for minute in range(this_minute, this_minute + _LONGEST // 60 + 2):
        stack.redis.client().set(f"tocsin:rate:wrong-key/127.0.0.1/{minute}", -1_000_000, ex=2 * _LONGEST)


def _executions(stack: Stack) -> tuple[list[str], list[str]]:
    """Executions that can be approved, rejected and cancelled, and others that have ended."""
    asks = stack.api.create_action(type="approval", executor="approval", config={})
    ids = [stack.api.trigger(asks) for _ in range(24)]
    for execution_id in ids:
        stack.api.in_status(execution_id, "waiting")
    for execution_id in ids[-4:]:  # the newest, which lists show first: readers need not wait for news of them
        assert stack.api.cancel(execution_id).status_code == 200
    return ids[:-4], ids[-4:]


def _cancel_everything(stack: Stack) -> None:
    """Nothing that the run has triggered is to be carried out when the workers are back."""
    for row in stack.rows("SELECT id FROM executions WHERE due_at IS NOT NULL"):
        stack.api.cancel(row["id"])
    assert not stack.rows("SELECT id FROM executions WHERE due_at IS NOT NULL")


@pytest.mark.wide
@pytest.mark.timeout(_LONGEST)
def test_schemathesis_finds_nothing(stack: Stack, tmp_path: Path) -> None:
    """No input made from the document, legal or not, is answered with a 5xx, an undocumented status or a wrong body."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    _forgive_wrong_keys(stack)
    waiting, ended = _executions(stack)
    config = _CONFIG.format(hooks=json.dumps(str(_CHECKS)), waiting=json.dumps(waiting), ended=json.dumps(ended))
    (tmp_path / "schemathesis.toml").write_text(config)
    for name in ("worker", "scripts"):
        stack.kill(name)  # actions made from the documented examples name hosts that nobody here may call
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    command = [
        *(tool, "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{stack.url}/api/openapi.json"),
        *("-H", f"Authorization: Bearer {stack.api.key}", "--checks", "all"),
        *("--max-examples", "40", "--seed", "7"),
        *("--exclude-operation-id", "revokeKey"),  # it would revoke the key it comes with; the matrix test walks it
    ]
    try:
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=_LONGEST - 60)
        assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
        assert stack.api.http.get("/api/keys").status_code == 200, "the run has revoked the key it came with"
    finally:
        _cancel_everything(stack)
