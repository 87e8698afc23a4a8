"""``/v1/audit/verify``, ``key``, ``export`` and ``{id}/proof``: what they answer, and to which caller."""

import gzip
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from store import access, audit
from store.blocks import merkle, seals
from store.engine import db
from store.records import notes
from store.records.notes import Note
from tasks.clock.trail import verification
from tasks.offload import pool
from tests.support.api import Door, assert_problem
from tests.support.processes import ROOT
from tests.support.sealed import seal_all, tampering


def note(tenant: str = "default", **more: Any) -> str:
    """A record of a tenant."""
    members = {"namespace": "mail", "provider": "email", "action_type": "send", "payload": {"to": "ä@example.com"}}
    this = Note(workspace_id=tenant, caller="key", outcome="suppressed", began_at=db.now_ms(), **{**members, **more})
    with db.write() as connection:
        access.ensure_workspace(connection, tenant, tenant)
        notes.note(connection, this)
    return this.id


def verified(door: Door, key: str | None = "", **body: Any) -> dict[str, Any]:
    """What a check finds."""
    answer = door.call("POST", "/v1/audit/verify", key=key, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture
def both(first_database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def test_all_is_as_it_was_sealed(both: Door) -> None:
    """By GET and POST, with a body or without; what waits for its seal is counted."""
    note()
    before = verified(both)
    assert (before["valid"], before["records_checked"], before["newest_seal"]) == (True, 0, None)
    assert before["unsealed"] > 0
    rows = seal_all()
    after = both.call("GET", "/v1/audit/verify").json
    assert (after["valid"], after["records_checked"], after["unsealed"]) == (True, rows, 0)
    assert after == verified(both) == both.call("POST", "/v1/audit/verify").json
    assert (after["complete"], after["seals_checked"], after["newest_seal"]["number"]) == (True, 1, 1)


def test_the_filters_say_which_rows_count(both: Door) -> None:
    """A namespace, a tenant, a period; a tenant beyond the grants is refused, as in the list."""
    for tenant in ("default", "acme", "acme.eu", "other"):
        note(tenant)
    note(namespace="chat")
    seal_all()
    wide, narrow = both.key(grants=[{"tenants": ["*"]}]), both.key(grants=[{"tenants": ["acme"]}])
    only = both.key(grants=[{"tenants": ["*"], "namespaces": ["chat"]}])
    assert verified(both, key=wide, namespace="mail")["records_checked"] == 4
    assert verified(both, key=wide, tenant="acme")["records_checked"] == 1
    assert verified(both, key=narrow)["records_checked"] == 2
    assert verified(both, key=only)["records_checked"] == 1
    assert verified(both, key=wide, to="2020-01-01T00:00:00Z")["records_checked"] == 0
    assert verified(both, key=wide, **{"from": "2020-01-01T00:00:00Z", "namespace": "mail"})["records_checked"] == 4
    assert_problem(both.call("POST", "/v1/audit/verify", key=narrow, json={"tenant": "other"}), 403)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"form": "2020-01-01T00:00:00Z"}, "/form"),
        ({"from": "2021-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}, "/to"),
        ({"from": "yesterday"}, "/from"),
        ({"anchor": "12"}, "/anchor"),
        ({"anchor": "1:" + "A" * 64}, "/anchor"),
        ({"cursor": "bm9uZQ"}, "/cursor"),
        ({"tenant": 7}, "/tenant"),
    ],
)
def test_a_mistake_is_named(door: Door, body: dict[str, Any], pointer: str) -> None:
    """With its place, and nothing is checked."""
    problem = assert_problem(door.call("POST", "/v1/audit/verify", json=body), 400)
    assert [one["pointer"] for one in problem["errors"]] == [pointer]
    if pointer != "/tenant":
        query = "&".join(f"{name}={value}" for name, value in body.items())
        problem = assert_problem(door.call("GET", f"/v1/audit/verify?{query}"), 400)
        assert [one["pointer"] for one in problem["errors"]] == [f"/query{pointer}"]


def test_what_is_broken_is_said_to_all_and_shown_to_those_who_may_see_it(both: Door) -> None:
    """A tenant learns that the trail is not as it was sealed; which row of another it is, it does not."""
    note("acme")
    note("other")
    seal_all()
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'x' WHERE workspace_id = 'other' AND outcome IS NOT NULL")
        row_id = connection.exec_driver_sql("SELECT id FROM audit WHERE actor = 'x'").scalar_one()
    shown = verified(both, key=both.key(grants=[{"tenants": ["*"]}]))
    assert (shown["valid"], shown["first_broken_at"]) == (False, str(row_id))
    assert shown["faults"] == [{"kind": "row_changed", "seal": 1, "record_id": str(row_id)}]
    hidden = verified(both, key=both.key(grants=[{"tenants": ["acme"]}]))
    assert (hidden["valid"], hidden["first_broken_at"], hidden["faults"][0]["record_id"]) == (False, None, None)


def test_a_long_check_goes_on_where_it_stopped(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices by helper processes; after its time it answers with a cursor, which belongs to its question alone."""
    pool.end()  # a helper process of an earlier test has the database of that test
    monkeypatch.setattr(seals, "MOST_ROWS", 100)
    for _ in range(4):
        with db.write() as connection:
            for number in range(700):
                audit.record(connection, "default", "me", "tested", f"thing-{number}")
    rows = seal_all()
    whole = verified(door)
    assert (whole["records_checked"], whole["complete"]) == (rows, True)
    monkeypatch.setattr(verification, "LONGEST", 0.0)
    part = verified(door)
    assert (part["complete"], part["valid"], part["records_checked"]) == (False, True, verification.FEW)
    assert_problem(door.call("POST", "/v1/audit/verify", json={"cursor": part["next_cursor"], "tenant": "a"}), 403)
    wrong = {"cursor": part["next_cursor"], "tenant": "default"}
    assert_problem(door.call("POST", "/v1/audit/verify", json=wrong), 400)
    answers = [part]
    while answers[-1]["next_cursor"]:
        answers.append(verified(door, cursor=answers[-1]["next_cursor"]))
    assert {**answers[-1], "unsealed": 0} == whole
    assert len(answers) == rows // verification.FEW + 1
    pool.end()


def test_an_anchor_that_was_kept_is_compared(both: Door) -> None:
    """It is the chain's, or the check says so."""
    note()
    seal_all()
    newest = verified(both)["newest_seal"]
    assert verified(both, anchor=f"1:{newest['hash']}")["valid"]
    for other in (f"2:{newest['hash']}", f"1:{'0' * 64}"):
        shown = verified(both, anchor=other)
        assert (shown["valid"], shown["faults"][0]["kind"]) == (False, "anchor_differs")


def check_record(proof: dict[str, Any], key: str) -> subprocess.CompletedProcess[str]:
    """Run the lines of the documentation."""
    page = (ROOT / "docs/gateway.md").read_text()
    lines = re.search(r"```python\n(# check_record\.py.*?)```", page, re.DOTALL)
    assert lines is not None
    assert len([line for line in lines[1].splitlines() if line.strip()]) <= 30
    words = [sys.executable, "-c", lines[1], key]
    return subprocess.run(words, input=json.dumps(proof), capture_output=True, text=True, check=False)


def test_a_proof_checks_with_the_lines_of_the_documentation(both: Door) -> None:
    """For every place in a block of an odd number; and with anything altered it does not."""
    names = [note() for _ in range(7)]
    assert_problem(both.call("GET", f"/v1/audit/{names[0]}/proof"), 409)
    note("acme", given_id="mine/1")
    seal_all()
    key = both.call("GET", "/v1/audit/key").json["keys"][0]["public_key"]
    proofs = [both.call("GET", f"/v1/audit/{name}/proof").json for name in names]
    with db.read() as connection:
        count = seals.numbered(connection, 1).row_count
    assert count % 2
    for proof in (proofs[0], proofs[-1]):
        done = check_record(proof, key)
        assert done.returncode == 0, done.stderr
        assert f"Record {proof['record_id']} is as it was sealed in block 1" in done.stdout
    last = proofs[-1]
    assert both.call("GET", f"/v1/audit/{last['record_id']}/proof").json == last
    for altered in (
        {**last, "row": {**last["row"], "actor": "another"}},
        {**last, "row": proofs[0]["row"]},
        {**last, "seal": {**last["seal"], "sealed_at": 1}},
        {**last, "signature": "00" * 64},
    ):
        assert check_record(altered, key).returncode != 0
    foreign = both.key(grants=[{"tenants": ["acme"]}])
    assert_problem(both.call("GET", f"/v1/audit/{last['record_id']}/proof", key=foreign), 404)
    assert both.call("GET", "/v1/audit/mine/1/proof", key=foreign).status_code == 200
    for unknown in ("none", "999999", "9" * 30, "-1"):
        assert_problem(both.call("GET", f"/v1/audit/{unknown}/proof"), 404)


def test_every_row_of_a_block_has_a_proof_that_leads_to_its_root() -> None:
    """Whatever the number of rows."""
    for number in range(1, 35):
        leaves = merkle.leaves(str(one).encode() for one in range(number))
        for place in range(number):
            found = leaves[place]
            for side, other in merkle.path(leaves, place):
                pair = other + found if side == "left" else found + other
                found = merkle.sha256(b"\1" + pair).digest()
            assert found == merkle.root(leaves)


def test_records_are_exported_as_lines(both: Door) -> None:
    """The list's records with its filters, part by part, compressed where the caller wants that."""
    names = [note() for _ in range(5)]
    note(namespace="chat")
    listed = both.call("GET", "/v1/audit?namespace=mail").json["records"]
    lines: list[Any] = []
    cursor, parts = "", 0
    while cursor is not None:
        query = f"namespace=mail&limit=2{f'&cursor={cursor}' if cursor else ''}"
        answer = both.call("GET", f"/v1/audit/export?{query}")
        assert answer.status_code == 200, answer.text
        assert answer.content_type == "application/x-ndjson"
        lines += map(json.loads, answer.text.splitlines())
        cursor, parts = answer.headers.get("Next-Cursor"), parts + 1
    assert (parts, lines, len(names)) == (3, listed, len(listed))
    answer = both.call("GET", "/v1/audit/export?namespace=mail", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert [json.loads(line) for line in gzip.decompress(answer.data).splitlines()] == listed
    for query in ("limit=1001", "limit=0", "offset=5", "cursor=bm9uZQ", "outcome=odd"):
        assert_problem(both.call("GET", f"/v1/audit/export?{query}"), 400)
