"""Lists: iterated over all their parts, or read part by part."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted_server import KEY, Reply, problem
from tocsin import AsyncClient, errors

ITEMS = [{"execution_id": f"exec-{number}", "status": "completed"} for number in range(7)]


def listing(request):
    """A list of seven, as the server shows it."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
    size = int(query.get("limit") or query.get("per_page") or 20)
    begin = int(query["cursor"]) if "cursor" in query else (int(query.get("page", 1)) - 1) * size
    meta = {"next_cursor": str(begin + size) if begin + size < len(ITEMS) else None}
    if "limit" not in query:
        meta.update(total=len(ITEMS), page=int(query.get("page", 1)), per_page=size)
    return Reply(200, {"data": ITEMS[begin : begin + size], "meta": meta})


@pytest.fixture(autouse=True)
def listed(server):
    """The server has the list."""
    server.replies = [listing]


def queries(server):
    """What was asked, request by request."""
    return [parse_qs(urlsplit(one.path).query) for one in server.requests]


def test_iterating_reads_all_parts(server, client):
    """Every item comes once, in order; each part is asked for by the cursor of the one before, with the filters."""
    found = client.executions.list(status=["completed", "failed"], limit=3)
    assert server.requests == []
    assert [one.execution_id for one in found] == [one["execution_id"] for one in ITEMS]
    assert [one.get("cursor") for one in queries(server)] == [None, ["3"], ["6"]]
    assert all(one["status"] == ["completed,failed"] and one["limit"] == ["3"] for one in queries(server))


def test_without_a_size_parts_are_large(server, client):
    """Who iterates asks for a hundred at a time."""
    assert len(client.executions.list().all()) == 7
    assert queries(server) == [{"limit": ["100"]}]


def test_one_page_has_total_and_cursor(server, client):
    """``page()`` reads one part, with the total and where to go on."""
    page = client.executions.list(limit=3).page()
    assert ([one.execution_id for one in page.items], page.total, page.next_cursor) == (
        ["exec-0", "exec-1", "exec-2"],
        7,
        "3",
    )
    rest = client.executions.list(limit=3, cursor=page.next_cursor).page()
    assert rest.items[0].execution_id == "exec-3"
    assert queries(server)[1] == {"limit": ["3"], "cursor": ["3"]}


def test_from_a_page_by_number_on_it_goes_by_cursor(server, client):
    """A list begun at a page by number goes on behind it."""
    assert [one.execution_id for one in client.executions.list(page=2, per_page=3)] == [
        "exec-3",
        "exec-4",
        "exec-5",
        "exec-6",
    ]
    assert queries(server) == [{"page": ["2"], "per_page": ["3"]}, {"cursor": ["6"], "limit": ["3"]}]


def test_the_first_item_costs_one_request(server, client):
    """``first()`` asks for one item."""
    assert client.executions.list().first().execution_id == "exec-0"
    assert queries(server) == [{"limit": ["1"]}]


def test_since_may_be_so_long_ago(server, client):
    """A ``timedelta`` becomes a moment in UTC; a time without a zone is refused."""
    client.executions.list(since=timedelta(hours=24)).page()
    assert queries(server)[0]["from"][0].endswith("Z")
    from datetime import datetime

    with pytest.raises(ValueError, match="no time zone"):
        client.executions.list(since=datetime(2026, 1, 1)).page()


def test_a_failure_between_parts_is_bridged(server, client, pauses):
    """Reading on over a 429 and a cut connection meets no item twice and misses none."""
    server.replies = [
        listing,
        problem(429, "rate_limited", headers={"Retry-After": "1"}),
        lambda request: listing(request)._replace(cut=20),
        listing,
    ]
    assert [one.execution_id for one in client.executions.list(limit=2)] == [one["execution_id"] for one in ITEMS]
    assert pauses[0] == 1.0


def test_a_list_that_cannot_be_read_says_so(server, client):
    """A refusal is raised where the list is read, not where it is named."""
    server.replies = [problem(400, "invalid_cursor")]
    found = client.executions.list(cursor="nonsense")
    with pytest.raises(errors.BadRequest):
        found.page()


def test_the_asynchronous_list_is_iterated_with_async_for(server):
    """``async for`` reads all parts, too."""

    async def story():
        async with AsyncClient(server.url, KEY) as client:
            assert [one.execution_id async for one in client.executions.list(limit=3)] == [
                one["execution_id"] for one in ITEMS
            ]
            assert (await client.executions.list(limit=3).page()).total == 7

    asyncio.run(story())
