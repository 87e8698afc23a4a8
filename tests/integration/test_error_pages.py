"""The pages of error codes: each error leads to one, which says what to do, to people without a key."""

import re

import pytest

from api.http.rate_limits import Limiter
from config.error_codes.table import CODES, PAGES
from config.settings import settings
from tests.support.api import Door, assert_problem


def test_the_type_of_an_error_leads_to_the_page_of_its_code(door: Door) -> None:
    """It is a path of the same server, whatever refuses the request: a handler, the framework, a check of values."""
    action = door.create(parameters=[{"name": "ip", "type": "string", "required": True}])["id"]
    refused = [
        door.call("GET", "/api/actions/act-unknown"),
        door.call("GET", "/api/actions", key=None),
        door.call("DELETE", "/api/actions"),
        door.call("POST", "/api/actions", json={"name": "x"}),
        door.call("POST", f"/api/actions/{action}/trigger", json={}),
        door.call("POST", "/api/actions", data=b"x", headers={"Content-Type": "text/plain"}),
    ]
    codes = set()
    for answer in refused:
        body = assert_problem(answer)
        assert body["type"] == f"{PAGES}/{body['code']}"
        page = door.call("GET", body["type"], key=None)
        assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
        assert f"<h1>{body['code']}</h1>" in page.text
        codes.add(body["code"])
    assert len(codes) == len(refused)


def test_there_is_a_page_for_each_code_and_one_for_all(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has meaning, remedy and statuses; no script, nothing from elsewhere, no braces that were left."""
    monkeypatch.setenv("TOCSIN_RATE_LIMIT", "100000/minute")
    settings.cache_clear()
    door.app.extensions["tocsin.limiter"] = Limiter()
    everything = door.call("GET", PAGES, key=None)
    assert everything.status_code == 200
    assert re.findall(r'href="/docs/errors/([a-z_]+)"', everything.text) == list(CODES)
    for code, row in CODES.items():
        page = door.call("GET", f"{PAGES}/{code}", key=None)
        assert page.status_code == 200, code
        assert "What to do" in page.text
        assert all(str(status) in page.text for status in row.statuses)
        assert "<script" not in page.text
        assert not re.search(r"\{(status|exit_code)\}|https?://", page.text)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "max-age" in page.headers["Cache-Control"]


def test_an_unknown_code_is_refused_with_the_nearest(door: Door) -> None:
    """And what was asked for is never part of a page."""
    answer = door.call("GET", f"{PAGES}/in_us", key=None)
    assert "did you mean 'in_use'" in assert_problem(answer, 404)["detail"]
    hostile = door.call("GET", f"{PAGES}/<script>alert(1)</script>", key=None)
    assert hostile.status_code == 404
    assert hostile.content_type == "application/problem+json"


def test_the_documentation_page_is_still_there(door: Door) -> None:
    """Swagger UI has the addresses next to the pages of codes, and a policy of its own."""
    page = door.call("GET", "/docs/", key=None)
    assert page.status_code == 200
    assert "script-src" in page.headers["Content-Security-Policy"]
