"""Every example playbook does what it says, against the demo's systems."""

import os
import re
import sys
from datetime import datetime

import pytest

from launcher.demo import examples as demo
from launcher.demo.receiver import Receiver
from tests.support.client import TERMINAL
from tests.support.processes import ROOT
from tests.support.stack import Stack
from tests.support.waiting import eventually

PLAYBOOKS = sorted((demo.FOLDER / "playbooks").glob("*.yaml"))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    """The made-up systems."""
    server = Receiver(tmp_path_factory.mktemp("receiver") / "port")
    server.start()
    yield server
    server.stop()


class Examples:
    """The examples, registered with a running product as ``make run`` does it."""

    def __init__(self, stack: Stack, receiver: Receiver) -> None:
        self.api, self.http = stack.api, stack.api.http
        self.receiver = receiver
        command = [sys.executable, "-m", "launcher.load", str(demo.FOLDER), "--workspace", "tests"]
        folders = f"{stack.environment['TOCSIN_ACTIONS_DIR']}{os.pathsep}{demo.FOLDER / 'actions'}"
        stack.run_once("load", command, TOCSIN_ACTIONS_DIR=folders, SYSTEMS_URL=receiver.url)

    def start(self, name, target=None, **parameters):
        """Run a playbook; returns the run's id."""
        body = {"parameters": parameters, **({"target_asset_id": target} if target else {})}
        answer = self.http.post(f"/api/playbooks/{name}/run", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["execution_id"]

    def run(self, run_id):
        """A run as the API shows it."""
        answer = self.http.get(f"/api/playbooks/executions/{run_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def reaches(self, run_id, *statuses):
        """The run once it is in one of these states."""

        def look():
            run = self.run(run_id)
            return run if run["status"] in statuses else None

        return eventually(look, 40, f"{run_id} is {' or '.join(statuses)}")

    def ends(self, run_id, status):
        """The steps by their ids, once the run has ended so."""
        run = self.reaches(run_id, *TERMINAL)
        assert run["status"] == status, run
        return {step["step_id"]: step for step in run["steps"]}

    def steps(self, run_id):
        """A run's steps by their ids, each with its last execution."""
        return {step["step_id"]: step for step in self.run(run_id)["steps"]}

    def decide(self, run_id, step_id, word, note):
        """Approve or reject a step as an account other than the starter's."""
        return self.api.decide_step(run_id, step_id, word, note)

    def effects(self, run_id, path=""):
        """The requests of a run's steps to a system, oldest first."""
        seen = self.receiver.requests()
        return [one["body"] for one in seen if one["key"].startswith(f"{run_id}.") and one["path"].startswith(path)]


@pytest.fixture(scope="module")
def loaded():
    """The products, by their addresses, that have the examples: loading them costs a second of importing."""
    return {}


@pytest.fixture
def examples(sqlite_stack, receiver, loaded):
    """The examples on a running product."""
    if sqlite_stack.url not in loaded:
        loaded[sqlite_stack.url] = Examples(sqlite_stack, receiver)
    return loaded[sqlite_stack.url]


def statuses(steps):
    """Step id → status."""
    return {step_id: step["status"] for step_id, step in steps.items()}


def moment(text):
    """A time of the API."""
    return datetime.fromisoformat(text)


# --- critical vulnerability response


def test_a_critical_finding_in_production_is_shielded_and_ticketed(examples):
    """With its example finding five steps complete, the ticket reports the shield."""
    run_id = examples.start("pb-critical-vuln-response", "web-11", notification_channel="#incidents")
    steps = examples.ends(run_id, "completed")
    assert list(steps) == ["enrich", "notify", "in-production", "remediate", "create-ticket"]
    assert set(statuses(steps).values()) == {"completed"}
    assert steps["in-production"]["output"] == {"result": True, "next": "remediate"}
    assert steps["create-ticket"]["output"]["ticket"].startswith("DEMO-")
    assert examples.effects(run_id, "/chat") == [
        {"channel": "#incidents", "message": "CRITICAL: OpenSSL out of date on web-11, which belongs to team-web"}
    ]
    assert examples.effects(run_id, "/tickets") == [
        {"title": "OpenSSL out of date (shielded: true)", "severity": "critical", "asset": "web-11"}
    ]
    assert "web-11" in examples.receiver.state()["restricted"]


def test_an_event_starts_the_response_with_its_own_finding(examples):
    """A critical finding.new starts a run; outside production it shields nothing."""
    finding = {"title": "Weak cipher", "severity": "critical", "asset": {"id": "web-12", "tags": ["staging"]}}
    answer = examples.http.post("/api/events", json={"event": "finding.new", "data": {"finding": finding}})
    assert answer.status_code == 202, answer.text
    started = {one["playbook_id"]: one["execution_id"] for one in answer.json()["data"]["started"]}
    run_id = started["pb-critical-vuln-response"]
    steps = examples.ends(run_id, "completed")
    assert statuses(steps)["remediate"] == "skipped"
    assert examples.effects(run_id, "/tickets")[0]["title"] == "Weak cipher (shielded: false)"
    assert "web-12" not in examples.receiver.state()["restricted"]


def test_a_finding_that_is_not_critical_starts_nothing(examples):
    """The conditions of the trigger keep out what is not meant."""
    finding = {"title": "Banner", "severity": "low", "asset": {"id": "web-13", "tags": []}}
    answer = examples.http.post("/api/events", json={"event": "finding.new", "data": {"finding": finding}})
    assert answer.json()["data"]["started"] == []


# --- phishing triage


def test_a_malicious_mail_is_quarantined(examples):
    """One malicious indicator of three suffices to quarantine a mail."""
    mail = {"message_id": "m-1", "sender": "boss@example.com", "link": "https://evil.example", "attachment_hash": "00"}
    run_id = examples.start("pb-phishing-triage", **mail)
    steps = examples.ends(run_id, "completed")
    assert steps["look-up"]["output"] == {"branches": 3, "failed": 0}
    assert steps["verdict"]["output"] == {"value": "malicious", "next": "quarantine"}
    assert statuses(steps)["ask-the-team"] == "skipped"
    assert len(examples.effects(run_id, "/reputation")) == 3
    assert "m-1" in examples.receiver.state()["quarantined"]
    assert [sent["channel"] for sent in examples.effects(run_id, "/chat")] == ["#phishing", "#reported-mail"]


def test_a_suspicious_mail_is_looked_at_by_a_person(examples):
    """A suspicious mail is ticketed, not quarantined; without an attachment, no lookup."""
    run_id = examples.start("pb-phishing-triage", message_id="m-2", sender="new@example.com", link="https://a.example")
    steps = examples.ends(run_id, "completed")
    assert steps["verdict"]["output"]["value"] == "suspicious"
    assert statuses(steps)["check-attachment"] == "skipped"
    assert len(examples.effects(run_id, "/tickets")) == 1
    assert "m-2" not in examples.receiver.state()["quarantined"]


def test_a_clean_mail_is_thanked_for(examples):
    """A clean mail has one effect: its reporter gets thanks."""
    run_id = examples.start("pb-phishing-triage", message_id="m-3", sender="a@example.com", link="https://b.example")
    examples.ends(run_id, "completed")
    assert [sent["channel"] for sent in examples.effects(run_id, "/chat")] == ["#reported-mail"]
    assert examples.effects(run_id, "/tickets") == []


# --- temporary block


@pytest.mark.gate
def test_an_address_is_unblocked_after_the_delay(examples):
    """The run is paused and the address blocked until the delay ends."""
    run_id = examples.start("pb-temporary-block", address="203.0.113.50")
    seen = examples.reaches(run_id, "paused", *TERMINAL)["status"]
    assert seen in ("paused", "completed")  # it may be over when the machine stood still for that long
    steps = examples.ends(run_id, "completed")
    assert len(examples.effects(run_id, "/firewall/block")) == len(examples.effects(run_id, "/firewall/unblock")) == 1
    assert "203.0.113.50" not in examples.receiver.state()["blocked"]
    waited = moment(steps["unblock"]["started_at"]) - moment(steps["block"]["completed_at"])
    assert waited.total_seconds() >= 5
    assert statuses(steps)["refuse"] == "skipped"


def test_what_must_not_be_blocked_is_refused(examples):
    """The gateway is never blocked; an invalid address starts no run."""
    run_id = examples.start("pb-temporary-block", address="192.0.2.1")
    steps = examples.ends(run_id, "completed")
    assert statuses(steps)["block"] == "skipped"
    assert examples.effects(run_id, "/firewall") == []
    refused = examples.http.post("/api/playbooks/pb-temporary-block/run", json={"parameters": {"address": "localhost"}})
    assert refused.status_code == 422


# --- malware isolation


def test_an_approved_isolation_happens(examples):
    """The run pauses for approval, then isolates the host and notifies."""
    run_id = examples.start("pb-malware-isolation", "laptop-7", file_hash="evil-44d8")
    examples.reaches(run_id, "paused")
    asked = examples.steps(run_id)["approve-isolation"]
    assert asked["status"] == "waiting"
    assert asked["output"]["message"] == "Isolate laptop-7? The file evil-44d8 is malicious."
    assert "laptop-7" not in examples.receiver.state()["isolated"]
    alone = examples.http.post(f"/api/playbooks/executions/{run_id}/steps/approve-isolation/approve", json={})
    assert (alone.status_code, alone.json()["code"]) == (403, "not_by_starter")
    assert examples.decide(run_id, "approve-isolation", "approve", "The user knows").status_code == 200
    steps = examples.ends(run_id, "completed")
    assert steps["approve-isolation"]["output"]["decision"] == "approved"
    assert "laptop-7" in examples.receiver.state()["isolated"]
    assert examples.effects(run_id, "/chat")[0]["message"].endswith("The user knows")
    assert examples.decide(run_id, "approve-isolation", "reject", "too late").status_code == 409


def test_a_rejected_isolation_leaves_a_ticket(examples):
    """Rejected: the host stays on the network, and the ticket says why."""
    run_id = examples.start("pb-malware-isolation", "laptop-8", file_hash="evil-1")
    examples.reaches(run_id, "paused")
    assert examples.decide(run_id, "approve-isolation", "reject", "A test of the red team").status_code == 200
    steps = examples.ends(run_id, "completed")
    assert statuses(steps)["isolate"] == "skipped"
    assert "laptop-8" not in examples.receiver.state()["isolated"]
    assert examples.effects(run_id, "/tickets")[0]["title"] == "laptop-8 was not isolated: A test of the red team"


# --- patch rollout


def test_a_patch_is_rolled_out(examples):
    """Dry run, apply, validate, in this order; nothing is rolled back."""
    run_id = examples.start("pb-patch-rollout", "db-01", patch="KB-1")
    steps = examples.ends(run_id, "completed")
    assert [sent["phase"] for sent in examples.effects(run_id, "/patches")] == ["dry_run", "apply", "validate"]
    assert statuses(steps)["roll-back"] == statuses(steps)["tell-failure"] == "skipped"
    assert examples.effects(run_id, "/chat")[0]["message"] == "KB-1 is on db-01 (3 changes)"


def test_a_patch_that_breaks_is_rolled_back(examples):
    """A patch that fails is rolled back and ticketed; the run completes."""
    run_id = examples.start("pb-patch-rollout", "db-02", patch="KB-broken")
    steps = examples.ends(run_id, "completed")
    assert statuses(steps)["apply"] == "failed"
    assert [sent["phase"] for sent in examples.effects(run_id, "/patches")] == ["dry_run", "apply", "rollback"]
    assert "KB-broken was rolled back on db-02" in examples.effects(run_id, "/tickets")[0]["title"]


def test_a_patch_that_does_not_fit_fails_the_run(examples):
    """A failed dry run changes nothing; the exception step reports the failure."""
    run_id = examples.start("pb-patch-rollout", "db-03", patch="KB-incompatible")
    steps = examples.ends(run_id, "failed")
    assert statuses(steps)["apply"] == "skipped"
    assert statuses(steps)["tell-failure"] == "completed"
    assert [sent["phase"] for sent in examples.effects(run_id, "/patches")] == ["dry_run"]
    assert examples.run(run_id)["error"]["step_id"] == "dry-run"


# --- compliance check


def test_every_rule_is_checked_and_reported(examples):
    """Five rules are checked, the broken one is ticketed, the report counts."""
    run_id = examples.start("pb-compliance-check")
    steps = examples.ends(run_id, "completed")
    assert steps["each-check"]["output"] == {"items": 5, "failed": 0}
    checked = {sent["check"] for sent in examples.effects(run_id, "/compliance")}
    assert checked == {"disk-encryption", "mfa", "firewall", "logging", "patch-level"}
    assert [sent["title"] for sent in examples.effects(run_id, "/tickets")] == [
        "web-01 fails mfa: 2 accounts without a second factor"
    ]
    assert examples.effects(run_id, "/chat")[0]["message"] == "web-01: 5 rules checked, 0 could not be"


def test_the_compliance_check_has_its_next_time(examples):
    """A schedule says when it comes round next."""
    playbook = examples.http.get("/api/playbooks/pb-compliance-check").json()["data"]
    assert moment(playbook["next_run_at"]).minute == 0


# --- scan and respond


def test_a_scan_starts_the_response_for_critical_findings(examples):
    """The loop polls the scan; the critical finding starts the other playbook."""
    run_id = examples.start("pb-scan-and-respond", network="10.0.0.0/24")
    steps = examples.ends(run_id, "completed")
    assert steps["until-done"]["output"] == {"iterations": 3}
    assert len(examples.effects(run_id, "/scans/state")) == 3
    answer = examples.http.get(
        "/api/playbooks/pb-critical-vuln-response/executions",
        params={"target_asset_id": "web-02", "trigger": "playbook"},
    )
    assert answer.status_code == 200, answer.text
    [response] = answer.json()["data"]
    assert response["status"] == "completed"
    assert examples.effects(response["execution_id"], "/tickets")[0]["asset"] == "web-02"


# --- the one of the README


def test_the_first_playbook_of_the_readme_works(examples):
    """The README's first playbook is accepted unchanged and does its work."""
    text = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    headers = {"Content-Type": "application/yaml"}
    made = examples.http.post("/api/playbooks", content=text, headers=headers)
    assert made.status_code == 201, made.text
    try:
        run_id = examples.start(made.json()["data"]["id"], "web-31")
        steps = examples.ends(run_id, "completed")
        assert set(statuses(steps).values()) == {"completed"}
        assert examples.effects(run_id, "/chat")[0]["message"] == "A finding to try it with: ask team-web"
    finally:
        examples.http.delete("/api/playbooks/pb-first-response")


# --- all of them


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_an_example_is_free_of_faults_and_doubts(examples, path):
    """Each file is valid without warnings; registering it again changes nothing."""
    headers = {"Content-Type": "application/yaml"}
    verdict = examples.http.post("/api/playbooks/validate", content=path.read_text(), headers=headers).json()
    assert verdict == {"valid": True, "errors": [], "warnings": []}
    name = f"pb-{path.stem}"
    before = examples.http.get(f"/api/playbooks/{name}").json()["data"]
    after = examples.http.put(f"/api/playbooks/{name}", content=path.read_text(), headers=headers).json()["data"]
    assert before["version"] == after["version"]
    assert before["description"]


#: playbook → parameters and asset of a run that is to complete
RUNS = {
    "pb-compliance-check": ({}, None),
    "pb-critical-vuln-response": ({}, "web-21"),
    "pb-malware-isolation": ({"file_hash": "x"}, "laptop-21"),
    "pb-patch-rollout": ({"patch": "KB-1"}, "db-21"),
    "pb-phishing-triage": ({"message_id": "m", "sender": "s", "link": "l"}, None),
    "pb-scan-and-respond": ({"network": "10.0.0.0/24"}, None),
    "pb-temporary-block": ({"address": "203.0.113.99"}, None),
}


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_dry_run_of_an_example_has_no_effect(examples, path):
    """A dry run predicts completion and sends nothing to any system."""
    name = f"pb-{path.stem}"
    parameters, target = RUNS[name]
    body = {"parameters": parameters, "target_asset_id": target, "dry_run": True}
    answer = examples.http.post(f"/api/playbooks/{name}/run", json=body)
    assert answer.status_code == 202, answer.text
    run = examples.reaches(answer.json()["data"]["execution_id"], *TERMINAL)
    assert run["status"] == "completed"
    assert run["output"]["predicted_status"] == "completed"
    assert examples.effects(run["execution_id"]) == []
