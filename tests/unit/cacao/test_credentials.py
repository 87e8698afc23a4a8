"""An imported document is shown without its credentials, and otherwise unchanged."""

from typing import Any

import pytest
from hypothesis import given

from cacao.checks.check import check
from cacao.model.credentials import MASK, without
from cacao.reading.importer import convert
from tests.support.cacao import NOW, Json, document, http, manual, sid
from tests.support.cacao_documents import documents

STEPS: Json = {
    "start.s": {"on_completion": "action.a"},
    "action.a": http(
        "GET https://user:hidden-1@example.org/x?a=1&api_key=hidden-2 HTTP/1.1",
        headers={
            "Authorization": ["Bearer hidden-3"],
            "X-Api-Key": ["hidden-4"],
            "Cookie": ["a=hidden-5"],
            "Accept": ["text/plain"],
        },
        on_completion="end.e",
    ),
    "end.e": {},
}


def infos(*given: Json) -> Json:
    return {sid(f"http-basic.{number}"): one for number, one in enumerate(given)}


def test_credentials_are_masked_wherever_they_stand() -> None:
    """In headers, addresses, authentication information and values named like a password; the rest stays."""
    given = document(
        STEPS,
        signatures=[{"type": "jss"}],
        agent_definitions={
            sid("organization.us"): {"type": "organization", "name": "Us", "password": "hidden-6"},
            sid("http-api.b"): {
                "type": "http-api",
                "name": "B",
                "address": {"url": ["https://a:hidden-7@b.example.org"]},
            },
        },
        authentication_info_definitions=infos(
            {"type": "http-basic", "user_id": "me", "password": 12345678},
            {"type": "http-basic", "user_id": "me", "password": "hidden-8", "passphrase": "hidden-9"},
            {
                "type": "http-basic",
                "authentication_info_extensions": {"x": {"client_secret": "hidden-10", "realm": "r"}},
            },
        ),
    )
    found = without(given, "pb-x")
    assert "hidden" not in str(found)
    assert "12345678" not in str(found)
    command = found["workflow"][sid("action.a")]["commands"][0]
    assert command["command"] == f"GET https://{MASK}@example.org/x?a=1&api_key={MASK} HTTP/1.1"
    assert command["headers"] == {
        "Authorization": [MASK],
        "X-Api-Key": [MASK],
        "Cookie": [MASK],
        "Accept": ["text/plain"],
    }
    assert "signatures" not in found
    extension = found["authentication_info_definitions"][sid("http-basic.2")]["authentication_info_extensions"]
    assert extension == {"x": {"client_secret": MASK, "realm": "r"}}


@pytest.mark.parametrize(
    "members",
    [
        {"workflow": {sid("switch-condition.x"): {"type": "switch-condition", "cases": {"token": sid("action.a")}}}},
        {
            "workflow": {
                sid("action.a"): {**manual(), "step_variables": {"__token__": {"type": "string", "value": "x"}}}
            }
        },
        {
            "workflow": {
                sid("action.a"): {
                    "commands": [{"type": "http-api", "headers": {"Authorization": ["Bearer __token__:value"]}}]
                }
            }
        },
        {
            "authentication_info_definitions": infos(
                {"type": "http-basic", "user_id": "a", "password": "__pass__:value"}
            )
        },
        {"authentication_info_definitions": infos({"type": "user-auth", "kms": True, "kms_key_identifier": "k"})},
        {"description": "The password: see https://me@example.org", "signatures": [{"type": "jss"}]},
        {"agent_definitions": 5, "target_definitions": ["x"], "authentication_info_definitions": "y"},
    ],
)
def test_what_is_no_credential_stays(members: Json) -> None:
    """Names of cases and variables, references to variables and to keys, and words for people."""
    given = {**document(STEPS), "workflow": {}, **members}
    assert without(given, "pb-x") == given


def test_what_was_masked_is_done_by_hand_when_it_comes_back() -> None:
    """No request is made with a mask for a password."""
    found = convert(without(document(STEPS), "pb-x"), now=NOW)
    assert [step["type"] for step in found.definition["steps"]] == ["approval"]
    assert ["credentials were taken out" in one.message for one in found.remarks] == [True]


@given(document=documents())
def test_what_is_shown_of_a_valid_document_is_valid(document: Json) -> None:
    """Whatever is masked, and of what is shown nothing is masked any more."""
    found: dict[str, Any] = without(document, "pb-x")
    assert [one for one in check(found) if one.error] == []
    assert without(found, "pb-x") == found
