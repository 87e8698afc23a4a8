"""The document's embeddings, request by request, as written there."""

from collections.abc import Iterator

import pytest

from tests.support import embeddings
from tests.support.api import Door, assert_problem
from tests.support.embeddings import Server

SIMILARITY = "POST /v1/embeddings/similarity"
PATH = "/v1/embeddings/similarity"
BODY = {
    "text": "The database connection pool is exhausted and queries are timing out",
    "topic": "Infrastructure issues, server problems",
}


@pytest.fixture
def server(door: Door) -> Iterator[Server]:
    """A provider of embeddings."""
    with pytest.MonkeyPatch.context() as patch, embeddings.serving(patch) as made:
        yield made


@pytest.mark.documented(SIMILARITY, 200, "text topic")
@pytest.mark.usefixtures("server")
def test_compute_a_similarity(door: Door) -> None:
    """The similarity, a number from -1 to 1, and the topic; and nothing else."""
    answer = door.call("POST", PATH, door.key("operator"), json=BODY)
    assert answer.status_code == 200, answer.text
    assert answer.json == {"similarity": answer.json["similarity"], "topic": BODY["topic"]}
    assert -1 <= answer.json["similarity"] <= 1


@pytest.mark.documented(SIMILARITY, 401)
@pytest.mark.documented(SIMILARITY, 403)
@pytest.mark.usefixtures("server")
def test_who_may_not(door: Door) -> None:
    """401 without a key; 403 for a viewer, who dispatches nothing."""
    assert_problem(door.call("POST", PATH, None, json=BODY), 401)
    assert_problem(door.call("POST", PATH, door.key("viewer"), json=BODY), 403)


@pytest.mark.documented(SIMILARITY, 404)
def test_without_a_provider(door: Door) -> None:
    """404 that says which setting is missing."""
    problem = assert_problem(door.call("POST", PATH, json=BODY), 404)
    assert problem["code"] == "not_configured"
    assert "TOCSIN_EMBEDDINGS_PROVIDER" in problem["detail"]


@pytest.mark.documented(SIMILARITY, 429)
@pytest.mark.usefixtures("server")
def test_five_in_a_minute(door: Door) -> None:
    """The sixth of a caller is refused and says when to come back; another caller's first is not."""
    asked = [door.call("POST", PATH, json=BODY) for _ in range(6)]
    assert [one.status_code for one in asked] == [200] * 5 + [429]
    assert assert_problem(asked[-1], 429)["retryable"]
    assert 1 <= int(asked[-1].headers["Retry-After"]) <= 60
    assert door.call("POST", PATH, door.key(), json=BODY).status_code == 200


@pytest.mark.documented(SIMILARITY, 500)
@pytest.mark.parametrize(("status", "retryable"), [(503, True), (429, True), (401, False)])
def test_a_provider_that_fails(door: Door, server: Server, status: int, *, retryable: bool) -> None:
    """500 that says whether trying again may help, and nothing of the text or the key."""
    server.status, server.answer = status, {"error": f"{BODY['text']} {embeddings.KEY}"}
    answer = door.call("POST", PATH, json=BODY)
    problem = assert_problem(answer, 500)
    assert (problem["code"], problem["retryable"]) == ("embedding_failed", retryable)
    assert str(status) in problem["detail"]
    assert embeddings.KEY not in answer.text
    assert BODY["text"] not in answer.text
