"""An independent tool tests the running product against the whole OpenAPI document."""

import importlib.util
import json
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from api.playbooks.examples import DEFINITION
from api.recurring.examples import NEW
from tests.acceptance.conftest import Stacks
from tests.support import bundles
from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none

_CHECKS = Path(__file__).parents[1] / "support/fuzz_checks.py"
#: gathers each by itself, for longer than the run takes
_CONFIG = """
hooks = {hooks}
request-timeout = 40  # a reader may wait 30 seconds for news
checks.max_response_time = 40

[generation]
allow-x00 = false  # NUL is legal in JSON and no database stores it: it is refused, which a schema cannot say

[warnings]
fail-on = ["missing_auth", "rate_limited"]  # a run with only 401 and 429 has tested nothing

[dictionaries]
{dictionaries}

[[operations]]
include-operation-id = ["cancelExecution", "approveExecution", "rejectExecution"]
parameters."path.execution_id" = {{ dictionary = "waiting", probability = 0.9 }}

[[operations]]
include-operation-id = ["getApproval", "approveApproval", "rejectApproval"]
parameters."path.approval_id" = {{ dictionary = "approvals", probability = 0.7 }}

[[operations]]
include-operation-id = "getGroup"
parameters."path.group_key" = {{ dictionary = "groups", probability = 0.7 }}

[[operations]]
include-operation-id = "flushGroup"
parameters."path.group_key" = {{ dictionary = "doomed_groups", probability = 0.7 }}

[[operations]]
include-operation-id = ["getProof", "getRecord", "explainRecord"]
parameters."path.record_id" = {{ dictionary = "ended", probability = 0.5 }}

[[operations]]
include-operation-id = "getDispatch"
parameters."path.dispatch_id" = {{ dictionary = "dispatches", probability = 0.5 }}

[[operations]]
include-operation-id = ["tripBreaker", "resetBreaker"]
parameters."path.provider" = {{ dictionary = "providers", probability = 0.5 }}

[[operations]]  # it is a dispatch
include-operation-id = "testProvider"
parameters."path.provider" = {{ dictionary = "providers", probability = 0.5 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]

[[operations]]
include-operation-id = ["getExecution", "listExecutionLogs"]
parameters."path.execution_id" = {{ dictionary = "ended", probability = 0.5 }}

[[operations]]  # not every fault can be said in a schema; which these may be is checked in the hooks
include-operation-id = ["createAction", "replaceAction", "changeAction", "createPlaybook"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]  # nor that a silence leaves something out, has an end, and is of a tenant of the caller
include-operation-id = ["createSilence", "changeSilence", "previewSilence"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409"]

[[operations]]
include-operation-id = ["getSilence", "changeSilence", "endSilence"]
parameters."path.silence_id" = {{ dictionary = "silences", probability = 0.7 }}

[[operations]]  # nor that nobody hands on more than they have
include-operation-id = ["createKey", "createUser"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "409"]

[[operations]]
include-operation-id = "changeUser"
parameters."path.username" = {{ dictionary = "users", probability = 0.5 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404"]

[[operations]]
include-operation-id = ["getUser", "enableUser", "disableUser"]
parameters."path.username" = {{ dictionary = "users", probability = 0.5 }}

[[operations]]  # page and limit exclude each other, and a cursor is of one list
include-operation-id = [
    "listActions", "listActionVersions", "listExecutions", "listActionExecutions", "listPlaybooks",
    "listPlaybookVersions", "listRuns", "listPlaybookRuns", "listRunSteps", "listRunLogs", "getRunTimeline", "listKeys",
    "listExecutionLogs",
    "listGenerations",
    "listUsers", "listRecords", "exportRecords", "verifyRecords", "verifyTrail", "listApprovals",
    "listPendingApprovals", "listSilences", "listGroups", "getGroup"
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]

[[operations]]  # labels are pairs, and tenants are others'
include-operation-id = ["listEvents", "getEvent", "transitionEvent"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409"]

[[operations]]  # scopes that agree, schedules, zones and calendars are more than a schema
include-operation-id = ["listRecurring", "createRecurring", "createCalendar", "changeCalendar"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409", "422"]

[[operations]]
include-operation-id = [
    "getRecurring", "changeRecurring", "pauseRecurring", "listFirings", "backfillRecurring"
]
parameters."path.recurring_id" = {{ dictionary = "recurring", probability = 0.8 }}
parameters."query.namespace" = {{ dictionary = "recurring_namespaces", probability = 0.9 }}
parameters."query.tenant" = {{ dictionary = "tenants", probability = 0.9 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409", "422"]

[[operations]]
include-operation-id = ["resumeRecurring", "deleteRecurring"]
parameters."path.recurring_id" = {{ dictionary = "paused_recurring", probability = 0.8 }}
parameters."query.namespace" = {{ dictionary = "recurring_namespaces", probability = 0.9 }}
parameters."query.tenant" = {{ dictionary = "tenants", probability = 0.9 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "409", "422"]

[[operations]]  # rules have more faults than a schema, a period is said in one way, and tenants are others'
include-operation-id = ["simulateRules", "getCoverage"]
parameters."query.tenant" = {{ dictionary = "tenants", probability = 0.9 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403"]

[[operations]]  # each action declares parameters of its own
include-operation-id = "triggerAction"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]

[[operations]]
include-operation-id = ["replacePlaybook", "changePlaybook"]
parameters."path.playbook_id" = {{ dictionary = "playbooks", probability = 0.5 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]  # a document's standard is more than a schema
include-operation-id = "importPlaybook"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "409", "422"]

[[operations]]  # nothing is signed without a key, nor in every form
include-operation-id = "exportPlaybook"
parameters."path.playbook_id" = {{ dictionary = "playbooks", probability = 0.5 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]

[[operations]]
include-operation-id = ["getPlaybook", "enablePlaybook", "listPlaybookVersions", "listPlaybookRuns"]
parameters."path.playbook_id" = {{ dictionary = "playbooks", probability = 0.5 }}

[[operations]]
include-operation-id = "comparePlaybookVersions"
parameters."path.playbook_id" = {{ dictionary = "playbooks", probability = 0.8 }}
parameters."query.from" = {{ dictionary = "versions", probability = 0.8 }}
parameters."query.to" = {{ dictionary = "versions", probability = 0.8 }}

[[operations]]
include-operation-id = ["deletePlaybook", "disablePlaybook"]
parameters."path.playbook_id" = {{ dictionary = "doomed_playbooks", probability = 0.5 }}

[[operations]]  # each playbook declares parameters of its own, and may need an asset
include-operation-id = "runPlaybook"
parameters."path.playbook_id" = {{ dictionary = "playbooks", probability = 0.5 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]

[[operations]]  # a key may have been used for another request
include-operation-id = "retryRun"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]

[[operations]]  # a rule, a generation or a stop that there is not
include-operation-id = ["enableRule", "rollBackRules", "liftStop"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]

[[operations]]  # what it carried may be gone
include-operation-id = "replayRecord"
parameters."path.record_id" = {{ dictionary = "dispatches", probability = 0.7 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]

[[operations]]  # a filter is needed, and tenants are others'
include-operation-id = "replayRecords"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403"]

[[operations]]  # labels are given in one of two forms
include-operation-id = ["dispatch", "dispatchBatch"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]

[[operations]]  # a text needs a word, of any script; a caller has five comparisons a minute
include-operation-id = "compareTexts"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "429"]

[[operations]]  # moments and counts that no schema can say
include-operation-id = "evaluateRules"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]

[[operations]]
include-operation-id = "simulatePlaybook"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]

[[operations]]  # the id of an event may have been that of another one
include-operation-id = "sendEvent"
checks.positive_data_acceptance.expected-statuses = ["2xx", "422"]

[[operations]]
include-operation-id = "cancelRun"
parameters."path.run_id" = {{ dictionary = "doomed_runs", probability = 0.5 }}

[[operations]]
include-operation-id = "pauseRun"
parameters."path.run_id" = {{ dictionary = "waiting_runs", probability = 0.5 }}

[[operations]]
include-operation-id = "resumeRun"
parameters."path.run_id" = {{ dictionary = "paused_runs", probability = 0.5 }}

[[operations]]
include-operation-id = ["getRun", "retryRun", "listRunSteps", "listRunLogs", "getRunTimeline"]
parameters."path.run_id" = {{ dictionary = "ended_runs", probability = 0.5 }}

[[operations]]  # an id of an event is none that a schema can describe
include-operation-id = "followRun"
parameters."path.run_id" = {{ dictionary = "ended_runs", probability = 0.5 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]

[[operations]]
include-operation-id = "comparePlaybookExecutions"
parameters."path.run_id" = {{ dictionary = "ended_runs", probability = 0.8 }}
parameters."query.against" = {{ dictionary = "ended_runs", probability = 0.8 }}

[[operations]]
include-operation-id = ["getBundle", "listBundleVersions", "getBundleVersion", "activateBundle", "putBundleSecret"]
parameters."path.bundle_name" = {{ dictionary = "bundles", probability = 0.8 }}
parameters."path.bundle_version" = {{ dictionary = "bundle_versions", probability = 0.8 }}
parameters."path.secret_name" = {{ dictionary = "secret_names", probability = 0.8 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]  # each can be deleted once, the active version never
include-operation-id = ["deleteBundle", "deleteBundleVersion", "deleteBundleSecret"]
parameters."path.bundle_name" = {{ dictionary = "doomed_bundles", probability = 0.8 }}
parameters."path.bundle_version" = {{ dictionary = "bundle_versions", probability = 0.8 }}
parameters."path.secret_name" = {{ dictionary = "secret_names", probability = 0.8 }}
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]  # page and limit exclude each other, and a cursor is of one list
include-operation-id = "listBundles"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]

[[operations]]
include-operation-id = "approveStep"
parameters."path.run_id" = {{ dictionary = "approved_runs", probability = 0.8 }}
parameters."path.step_id" = {{ dictionary = "steps", probability = 0.8 }}

[[operations]]
include-operation-id = "rejectStep"
parameters."path.run_id" = {{ dictionary = "rejected_runs", probability = 0.8 }}
parameters."path.step_id" = {{ dictionary = "steps", probability = 0.8 }}
"""
#: the actions that the documented examples of playbooks perform, and the parameters they give them
_ACTIONS = {step["action_ref"]: step["parameters"] for step in DEFINITION["steps"]} | {"act-look-up": {}}
#: a group for each number, and the machine of the documented examples, whose event can become what they say at any time
_FOLDER = {
    "providers.yaml": "providers: {fuzzed: {kind: mock}, email: {kind: mock}, mail: {kind: mock}}\n"
    "circuit_breakers: {fuzzed: {failure_threshold: 1000}}",
    "state_machines.yaml": "state_machines: [{name: alert, initial_state: firing, states: [firing, acknowledged],"
    " transitions: [{from: [firing, acknowledged], to: acknowledged}]}]",
    "rules/fuzzed.yaml": "rules: [{name: move, condition: {field: action.action_type, eq: fuzzed},"
    " action: {type: state_machine, state_machine: alert}},"
    " {name: gather, condition: {field: action.action_type, eq: fuzzed-alert},"
    " action: {type: group, group_by: [payload.n], group_wait_seconds: 86400}}]",
}
#: for how long wrong keys are not counted, seconds
_LONGEST = 1_200


def _forgive_wrong_keys(stack: Stack) -> None:
    """Let this machine present any number of wrong keys.

    The brake on guessing answers 429 in place of the 401 that is looked for; it has tests of its own.
    """
    this_minute = int(time.time()) // 60
    for minute in range(this_minute, this_minute + _LONGEST // 60 + 2):
        stack.redis.client().set(f"tocsin:rate:wrong-key/127.0.0.1/{minute}", -1_000_000, ex=2 * _LONGEST)


def _executions(stack: Stack) -> dict[str, list[str]]:
    """Make executions to approve, reject and cancel, and some that have ended."""
    asks = stack.api.create_action(type="approval", executor="approval", config={})
    ids = [stack.api.trigger(asks) for _ in range(44)]
    for execution_id in ids:
        stack.api.in_status(execution_id, "waiting")
    for execution_id in ids[-4:]:  # the newest, which lists show first: readers need not wait for news of them
        assert stack.api.cancel(execution_id).status_code == 200
    return {"waiting": ids[:-4], "ended": ids[-4:]}


def _approvals(stack: Stack) -> dict[str, list[str]]:
    """Make approvals to read and to decide."""
    asks = stack.api.create_action(type="approval", executor="approval", config={})
    ids = [stack.api.trigger(asks) for _ in range(16)]
    for execution_id in ids:
        stack.api.in_status(execution_id, "waiting")
    listed = stack.api.http.get("/v1/approvals?limit=1000").json()["approvals"]
    return {"approvals": [one["id"] for one in listed if one["execution_id"] in ids]}


def _recurring(stack: Stack) -> dict[str, list[str]]:
    """Make recurring actions to read, to change and to pause, and paused ones to resume and to delete."""
    scope = {"namespace": NEW["namespace"], "tenant": NEW["tenant"]}
    ids = [stack.api.http.post("/v1/recurring", json=NEW).json()["id"] for _ in range(24)]
    for recurring_id in ids[12:]:
        assert stack.api.http.post(f"/v1/recurring/{recurring_id}/pause", json=scope).status_code == 200
    named = {"recurring_namespaces": [NEW["namespace"]], "tenants": [NEW["tenant"]]}
    return {"recurring": ids[:12], "paused_recurring": ids[12:], **named}


def _silences(stack: Stack) -> dict[str, list[str]]:
    """Make silences to read, to change and to end."""
    new = {"matchers": [{"name": "never", "value": "sent"}], "duration_seconds": 600, "comment": "fuzzed"}
    return {"silences": [stack.api.http.post("/v1/silences", json=new).json()["id"] for _ in range(8)]}


def _configure(stack: Stack) -> None:
    """Load a machine and rules."""
    folder = stack.directory / "var" / "config"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for name, text in _FOLDER.items():
        (folder / name).write_text(text)
    assert stack.api.http.post("/v1/rules/reload").json()["errors"] == []


def _dispatched(stack: Stack, **given: Any) -> dict[str, Any]:
    """The outcome of a dispatch."""
    dispatch = {"namespace": "fuzzed", "tenant": "default", "provider": "fuzzed", "payload": {}, **given}
    outcome: dict[str, Any] = stack.api.http.post("/v1/dispatch", json=dispatch).json()
    return outcome


def _groups(stack: Stack) -> dict[str, list[str]]:
    """Make groups to read, and others to flush."""
    ids = [_dispatched(stack, action_type="fuzzed-alert", payload={"n": number})["group_id"] for number in range(40)]
    return {"groups": ids[:8], "doomed_groups": ids[8:]}


def _dispatches(stack: Stack) -> dict[str, list[str]]:
    """Make dispatches to read; they are sent by the only provider."""
    ids = [_dispatched(stack, action_type="sent")["action_id"] for _ in range(4)]
    return {"dispatches": ids, "providers": ["fuzzed"]}


def _events(stack: Stack) -> None:
    """Make the event of the documented examples."""
    moved = _dispatched(stack, action_type="fuzzed", fingerprint="alert-cluster1-cpu", status="firing")
    assert moved["outcome"] == "state_changed"


def _playbooks(stack: Stack) -> dict[str, list[str]]:
    """Make playbooks, the example's needs, and runs for each operation on runs."""
    for action_id, given in _ACTIONS.items():
        declared = [{"name": name} for name in given]
        stack.api.create_action(id=action_id, type="approval", executor="approval", config={}, parameters=declared)
    step = {"id": "ask", "type": "approval"}
    playbooks = [stack.api.create_playbook(version="0.1.0", steps=[step]) for _ in range(12)]
    runs = [stack.api.run(playbooks[-1]) for _ in range(18)]
    for run_id in runs:
        eventually(lambda run_id=run_id: stack.api.run_row(run_id)["status"] == "paused", 20, f"{run_id} waits")
    doomed, waiting, paused, approved, rejected, ended = (runs[start : start + 3] for start in range(0, 18, 3))
    for word, ids in (("pause", paused), ("cancel", ended)):  # the newest have ended, as above
        for run_id in ids:
            assert stack.api.post_to_run(run_id, word).status_code == 200
    return {
        "playbooks": playbooks[:6],
        "doomed_playbooks": playbooks[6:-1],
        "versions": ["0.1.0"],
        "steps": [step["id"]],
        "doomed_runs": doomed,
        "waiting_runs": waiting,
        "paused_runs": paused,
        "approved_runs": approved,
        "rejected_runs": rejected,
        "ended_runs": ended,
    }


def _users(stack: Stack) -> dict[str, list[str]]:
    """Make users to read and to change."""
    names = [f"fuzzed-{secrets.token_hex(4)}" for _ in range(4)]
    for name in names:
        wanted = {"username": name, "password": secrets.token_hex(8), "role": "viewer"}
        assert stack.api.http.post("/api/users", json=wanted).status_code == 201
    return {"users": names}


def _bundles(stack: Stack) -> dict[str, list[str]]:
    """Make bundles to read and to activate, and others to delete: each with a second version, and a secret."""
    names = [f"fuzzed-{secrets.token_hex(4)}" for _ in range(10)]
    for name in names:
        for version, query in (("1.0.0", ""), ("1.1.0", "?activate=false")):
            archive = bundles.bundle(name=name, version=version, secrets="FW_TOKEN = {}")
            pushed = stack.api.http.post(
                f"/api/bundles{query}", content=archive, headers={"Content-Type": "application/zip"}
            )
            assert pushed.status_code == 201, pushed.text
        kept = stack.api.http.put(f"/api/bundles/{name}/secrets/FW_TOKEN", json={"value": "fuzzed"})
        assert kept.status_code == 204
    known = {"bundle_versions": ["1.1.0"], "secret_names": ["FW_TOKEN"]}
    return {"bundles": names[:4], "doomed_bundles": names[4:], **known}


def _clear(stack: Stack) -> None:
    """Delete actions and playbooks, and cancel what the fuzz run has started."""
    for action_id in _ACTIONS:
        stack.api.http.delete(f"/api/actions/{action_id}?force=true")
    for row in stack.rows("SELECT id FROM playbooks"):
        stack.api.http.delete(f"/api/playbooks/{row['id']}?force=true")
    alive = "SELECT id, kind FROM executions WHERE due_at IS NOT NULL AND completed_at IS NULL"
    for row in stack.rows(alive):
        if row["kind"] == "playbook":
            stack.api.post_to_run(row["id"], "cancel")
        elif row["kind"] == "action":  # steps are cancelled with their run
            stack.api.cancel(row["id"])
    assert not stack.rows(f"{alive} AND kind <> 'dispatch'")


#: name → database, phases of the tool, its operations. Every value of every schema takes minutes and
#: says nothing of the database, so two halves of the operations run side by side; random values are sent once, on the
#: other database
_RUNS = {
    "sqlite-api": ("sqlite", "examples,coverage", ("--include-path-regex", "^/api/")),
    # none of the ids that are tried in turn is one of a dispatch that can be replayed: random ones are
    "sqlite-others": (
        "sqlite",
        "examples,coverage",
        ("--exclude-path-regex", "^/api/", "--exclude-operation-id", "replayRecord"),
    ),
    # random moments make no period whose times can be made up for
    # nor do random words name two versions of an action
    "postgresql": (
        "postgresql",
        "examples,fuzzing,stateful",
        ("--exclude-operation-id", "backfillRecurring", "--exclude-operation-id", "compareActionVersions"),
    ),
}


def _put_back(stack: Stack) -> None:
    """Leave the product as it was: well, without rules and stops, and with nothing to do."""
    stack.restart("web")
    stack.wait_ready("web")
    _clear(stack)
    for name in ("worker", "scripts"):
        stack.restart(name)
    stack.forget_configuration()
    for tenant in stack.api.http.get("/health").json()["configuration"]["stopped"]:
        stack.api.http.delete("/admin/stop", params={"tenant": tenant})
    for name in ("worker", "scripts"):
        stack.wait_ready(name)
    eventually_none(lambda: stack.rows("SELECT id FROM executions WHERE due_at IS NOT NULL LIMIT 5"), 60, "all ends")
    eventually(lambda: stack.api.health().json()["status"] == "ok", 60, "it is well", every=0.5)


@pytest.mark.wide
@pytest.mark.timeout(_LONGEST)
@pytest.mark.parametrize("run", _RUNS)
def test_schemathesis_finds_nothing(stacks: Stacks, run: str, tmp_path: Path) -> None:
    """No generated input gets a 5xx, an undocumented status or wrong body."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    database, phases, operations = _RUNS[run]
    stack = stacks.of(database)
    stack.restart("web", TOCSIN_EMBEDDINGS_PROVIDER="local")
    stack.wait_ready("web")
    _forgive_wrong_keys(stack)
    _clear(stack)  # what earlier tests have left would be in the way of the examples
    _configure(stack)
    _events(stack)
    known = {**_executions(stack), **_approvals(stack), **_playbooks(stack), **_users(stack), **_groups(stack)}
    known |= {**_silences(stack), **_dispatches(stack), **_recurring(stack), **_bundles(stack)}
    dictionaries = "\n".join(f"{name}.values = {json.dumps(values)}" for name, values in known.items())
    config = _CONFIG.format(hooks=json.dumps(str(_CHECKS)), dictionaries=dictionaries)
    (tmp_path / "schemathesis.toml").write_text(config)
    for name in ("worker", "scripts"):
        stack.kill(name)  # the documented examples name hosts that tests must not call
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    command = [
        *(tool, "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{stack.url}/api/openapi.json"),
        *("-H", f"Authorization: Bearer {stack.api.key}", "--checks", "all"),
        *("--max-examples", "4", "--seed", "7", "--phases", phases, *operations),
        *("--exclude-operation-id", "pushBundle"),  # no schema describes an archive; test_bundles sends them
        *("--exclude-operation-id", "revokeKey"),  # it would revoke the key it comes with; the matrix test has it
        *("--exclude-operation-id", "deleteBundleVersion"),  # the one there is, is active
        *("--exclude-operation-id", "rotateKey"),  # or give it another secret
        *("--exclude-operation-id", "login", "--exclude-operation-id", "logout"),  # the brake on guessing; no session
        *("--exclude-operation-id", "changePassword"),  # no session either
        *("--exclude-operation-id", "followEvents"),  # its answer has no end; the contract's test has it
        *("--exclude-operation-id", "getApproveLink", "--exclude-operation-id", "getRejectLink"),  # only who has a
        *("--exclude-operation-id", "approveByLink", "--exclude-operation-id", "rejectByLink"),  # signature succeeds
    ]
    try:
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=_LONGEST - 60)
        assert ran.returncode == 0, ran.stdout[-40_000:] + ran.stderr[-2000:]
        assert stack.api.http.get("/api/keys").status_code == 200, "the run has revoked the key it came with"
    finally:
        _put_back(stack)
