"""The documentation: complete, true to the routes, and served without help from outside; health and metrics."""

import json
import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.health import Gauge
from api.http import openapi, writes
from config.settings import settings
from store import worker_processes
from store.engine import db
from tests.house.test_words import banned
from tests.support.api import Door
from tests.support.services import RedisServer
from tests.support.waiting import eventually

#: 503 that has the shape of every other answer there, not that of a problem
STATES = {(f"GET {path}", "503") for path in ("/health", "/metrics", "/metrics/prometheus")}
#: one verb for each thing that an operation does
VERBS = {"Approve", "Cancel", "Compare", "Create", "Delete", "Disable", "Enable", "Export", "Get", "Import", "List"}
VERBS |= {"Pause", "Reject", "Replace", "Resume", "Retry", "Revoke", "Run", "Send", "Trigger", "Update", "Validate"}
VERBS |= {"Close", "Dispatch", "End", "Evaluate", "Flush", "Lift", "Open", "Preview", "Reload"}
VERBS |= {"Activate", "Push", "Set"}
VERBS |= {"Follow", "Replay", "Restore", "Rotate", "Sign", "Simulate", "Stop", "Test", "Verify"}


def operations(door: Door) -> dict[str, dict[str, Any]]:
    """``METHOD path`` → operation of the OpenAPI document."""
    document = door.call("GET", "/api/openapi.json", key=None).json
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def permissions(door: Door) -> dict[str, list[str]]:
    """``METHOD path`` → the permissions that the handler asks for, of every route."""
    found = {}
    for rule in door.app.url_map.iter_rules():
        path = re.sub(r"<[^:]+:(\w+)>", r"{\1}", rule.rule)
        view = door.app.view_functions[rule.endpoint]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found[f"{method} {path}"] = getattr(view, "permissions", [])
    return found


def test_the_document_says_what_it_is(door: Door) -> None:
    """Version 3.1, with title, version, description, contact and both ways to authenticate."""
    document = door.call("GET", "/api/openapi.json", key=None).json
    assert document["openapi"].startswith("3.1")
    assert all(document["info"][name] for name in ("title", "version", "description", "contact"))
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_every_route_is_documented_once(door: Door) -> None:
    """The canonical paths are there, the paths under /api/v1 and /compat are not, and nothing else is."""
    unlisted = ("/api/v1/", "/compat/", "/docs", "/v1/approvals/{rest}")
    indexes = {"GET /", "GET /api/", "GET /openapi.json", "GET /api/openapi.json"}
    served = {name for name in permissions(door) if not name.split()[1].startswith(unlisted)} - indexes
    assert set(operations(door)) == served


def test_every_operation_belongs_to_a_resource(door: Door) -> None:
    """Each has one tag, the resource that its path is about; each tag is described and used; summaries share verbs."""
    document = door.call("GET", "/api/openapi.json", key=None).json
    tags = [tag["name"] for tag in document["tags"]]
    assert all(tag["description"].endswith(".") for tag in document["tags"])
    found = operations(door)
    assert [name for name in tags if [name] not in [one["tags"] for one in found.values()]] == []
    for name, operation in found.items():
        [tag] = operation["tags"]
        path = re.sub("^/(api|v1|admin)/", "", name.split()[1]).strip("/")
        whole, _, part = path.partition("/")
        expected = f"{whole.removesuffix('s')} executions" if "executions" in part else whole
        assert tag == {"metrics": "health", "circuit-breakers": "providers", "me": "server"}.get(whole, expected), name
        assert operation["summary"].split()[0] in VERBS, name
        assert len(operation["summary"].split()) <= 7, name


def texts(part: Any) -> Iterator[str]:
    """Every summary and description below a part of the document."""
    if isinstance(part, dict):
        yield from (part[name] for name in ("summary", "description") if isinstance(part.get(name), str))
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from texts(inner)


def test_the_document_speaks_of_named_things(door: Door) -> None:
    """Its texts have none of the words that code and pages may not use."""
    found = set(texts(door.call("GET", "/api/openapi.json", key=None).json))
    assert len(found) > 300
    assert [text for text in found if banned(text)] == []


def test_who_knows_the_address_alone_finds_the_rest(door: Door) -> None:
    """The root and /api lead to documentation, document and health, each of which answers; no key is needed."""
    first = door.call("GET", "/", key=None)
    assert (first.status_code, first.json["name"]) == (200, "Tocsin")
    document = door.call("GET", first.json["openapi"], key=None).json
    assert document["info"]["version"] == first.json["version"]
    assert door.call("GET", "/openapi.json", key=None).json == document
    for path in ("/api", "/api/", "/api/v1"):
        assert door.call("GET", path, key=None).json == first.json
    for name in ("documentation", "health", "metrics", "api"):
        with door.call("GET", first.json[name], key=None) as answer:
            assert answer.status_code == 200, name
    assert "launcher.key" in document["info"]["description"]


def test_every_operation_is_explained_with_examples(door: Door) -> None:
    """Each has an id of its own, a summary, a description, and an example of every body that it takes or gives."""
    documented = operations(door)
    ids = [operation["operationId"] for operation in documented.values()]
    assert len(set(ids)) == len(ids)
    for name, operation in documented.items():
        assert operation["summary"].endswith("."), name
        assert operation["description"], name
        if "requestBody" in operation:
            bodies = operation["requestBody"]["content"]
            assert bodies, name
            assert all("example" in content for content in bodies.values()), name
        for status, answer in operation["responses"].items():
            assert answer["description"], f"{name} {status}"
            for kind, content in answer.get("content", {}).items():
                assert "example" in content, f"{name} {status} {kind}"
                problem = int(status) >= 400 and (name, status) not in STATES
                assert (kind == "application/problem+json") == problem, f"{name} {status}"


def test_every_guarded_operation_names_its_permission_and_its_errors(door: Door) -> None:
    """Security says which permission is needed; 400, 401, 403, 429 and 503 are always possible, 404 with an id."""
    needed = permissions(door)
    for name, operation in operations(door).items():
        if not needed[name]:
            continue
        assert operation["security"] == [{"bearer": needed[name]}, {"apiKey": needed[name]}], name
        expected = {"400", "401", "403", "429", "503"}
        expected |= {"404"} if "{" in name else set()
        expected |= {"413", "415"} if "requestBody" in operation else set()
        assert expected <= set(operation["responses"]), name


def test_references_in_the_document_lead_somewhere(door: Door) -> None:
    """Every $ref names a component that is there."""
    text = door.call("GET", "/api/openapi.json", key=None).text
    schemas = json.loads(text)["components"]["schemas"]
    names = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', text))
    assert names
    assert names <= set(schemas)


def test_the_page_needs_nothing_from_outside(door: Door) -> None:
    """Every script and style of the documentation page is served by this server."""
    page = door.call("GET", "/docs", key=None)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 4
    for link in links:
        assert link.startswith("/docs/")
        with door.call("GET", link, key=None) as answer:
            assert answer.status_code == 200, link
    assert not re.search(r"https?://", page.text)


def test_health_names_what_is_missing(door: Door) -> None:
    """Without workers and Redis it is degraded and says so, yet it serves."""
    answer = door.call("GET", "/health")
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["database"], answer.json["workers"]) == ("degraded", "ok", [])


def work(door: Door) -> None:
    """A worker that takes work has written its row."""
    with db.write() as connection:
        now = db.now_ms()
        worker_processes.beat(
            connection, "steps@test", queues="urgent,steps", pid=1, started_at=now, consumed_at=now, running=2
        )


@pytest.mark.usefixtures("redis_server")
def test_health_is_ok_when_work_is_done(door: Door) -> None:
    """With Redis and a worker that takes work, all is well; the worker is listed."""
    work(door)
    answer = door.call("GET", "/health").json
    worker = {"name": "steps@test", "queues": ["urgent", "steps"], "state": "consuming", "running": 2}
    worker |= {"clock_skew_ms": None, "stalled_ms": None}  # on SQLite there is one clock; nothing is known of its loop
    assert (answer["status"], answer["workers"]) == ("ok", [worker])


@pytest.mark.usefixtures("redis_server")
def test_a_stranger_hears_whether_all_is_well_and_nothing_else(door: Door) -> None:
    """Without a key, or with one that may not read, no host, queue or count is shown; a wrong key is refused."""
    mute = door.key("operator", scopes=("execute:actions",))
    for key in (None, mute):
        door.app.extensions["tocsin.gauge"] = Gauge()
        assert door.call("GET", "/health", key=key).json == {"status": "degraded"}
        assert door.call("GET", "/metrics", key=key).json == {"status": "degraded"}
    work(door)
    door.app.extensions["tocsin.gauge"] = Gauge()
    for key in (None, mute):
        assert door.call("GET", "/health", key=key).json == {"status": "ok"}
        assert door.call("GET", "/metrics", key=key).json == {"status": "ok"}
        for path, accept in (("/metrics", "text/plain"), ("/metrics/prometheus", "*/*")):
            text = door.call("GET", path, key=key, headers={"Accept": accept}).text
            assert [line for line in text.splitlines() if not line.startswith("#")] == ["tocsin_ok 1.0"]
    for path in ("/health", "/metrics", "/metrics/prometheus"):
        assert door.call("GET", path, key="tcn_000000000000_wrong").status_code == 401


def test_a_flood_without_a_key_leaves_health_open(monkeypatch: pytest.MonkeyPatch, sqlite_database: str) -> None:
    """Whatever an address has asked for, the load balancer behind the same address still hears how the system is."""
    monkeypatch.setenv("TOCSIN_RATE_LIMIT", "3/minute")
    settings.cache_clear()
    door = Door()
    flood = [door.call("GET", "/api/openapi.json", key=None).status_code for _ in range(9)]
    flood += [door.call("GET", "/api/actions", key=None).status_code for _ in range(60)]
    assert flood.count(429) > 20
    assert [door.call("GET", path, key=None).status_code for path in ("/health", "/metrics") * 9] == [200] * 18


def test_health_is_unavailable_without_the_database(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A database that is away makes /health and every operation answer 503, without its address."""
    monkeypatch.setenv("TOCSIN_DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/hidden.db")
    settings.cache_clear()
    db.dispose()
    for key in (None, "", "tcn_000000000000_wrong"):
        for path in ("/health", "/metrics"):
            answer = door.call("GET", path, key=key)
            assert (answer.status_code, answer.json) == (503, {"status": "degraded"})
        assert "tocsin_ok 0.0" in door.call("GET", "/metrics/prometheus", key=key).text
    refused = door.call("GET", "/api/actions")
    assert (refused.status_code, refused.json["code"], refused.json["retryable"]) == (503, "unavailable", True)
    assert refused.headers["Retry-After"] == "1"
    assert "hidden" not in refused.text


@pytest.fixture
def full_disk(sqlite_database: str) -> Iterator[Callable[[], None]]:
    """Lets no file of this process grow beyond what the database's log has come to, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        log = Path(settings().database_url.removeprefix("sqlite:///") + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("redis_server")
def test_health_is_unavailable_when_the_disk_is_full(
    door: Door, monkeypatch: pytest.MonkeyPatch, full_disk: Callable[[], None]
) -> None:
    """A database that takes no writes shows in /health, without a key by 503 alone, until it does again."""
    monkeypatch.setattr(writes, "EVERY", 0.0)
    work(door)
    assert door.call("GET", "/health").json["database"] == "ok"
    assert door.app.extensions["tocsin.gauge"].writes.drain(20)
    action, before = door.create()["id"], resource.getrlimit(resource.RLIMIT_FSIZE)
    full_disk()
    eventually(lambda: door.call("GET", "/health").status_code == 503, 20, "/health shows it")
    assert door.call("POST", f"/api/actions/{action}/trigger", json={"parameters": {}}).status_code == 503
    keyed, stranger = door.call("GET", "/health"), door.call("GET", "/health", key=None)
    assert (keyed.json["status"], keyed.json["database"]) == ("degraded", "read_only")
    assert (stranger.status_code, stranger.json) == (503, {"status": "degraded"})
    assert door.call("GET", "/metrics", key=None).json == {"status": "degraded"}
    assert door.call("GET", "/api/actions").status_code == 200
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    eventually(lambda: door.call("GET", "/health").json["status"] == "ok", 20, "it is over")


def test_asking_for_health_writes_now_and_then(door: Door) -> None:
    """However many ask, one small write is made, of one row that is no worker's."""
    for _ in range(50):
        answer = door.call("GET", "/health")
    assert answer.json["workers"] == []
    assert door.app.extensions["tocsin.gauge"].writes.drain(20)
    with db.read() as connection:
        rows = list(connection.execute(sa.select(worker_processes.processes.c.name)))
    assert len(rows) == 1
    with db.write() as connection:
        worker_processes.sweep(connection)
    with db.read() as connection:
        assert not list(connection.execute(sa.select(worker_processes.processes.c.name)))


@pytest.mark.parametrize("setting", [("maxmemory", "1"), ("replicaof", "127.0.0.1 9")])
def test_health_shows_that_redis_takes_no_writes(
    door: Door, redis_server: RedisServer, setting: tuple[str, str]
) -> None:
    """Full, or a replica: /health answers 200, degraded, with Redis as read_only."""
    work(door)
    client, (name, value) = redis_server.client(), setting
    undo = ("REPLICAOF", "NO", "ONE") if name == "replicaof" else ("CONFIG", "SET", "maxmemory", "0")
    client.execute_command(*(("REPLICAOF", *value.split()) if name == "replicaof" else ("CONFIG", "SET", name, value)))
    try:
        door.app.extensions["tocsin.gauge"] = Gauge()
        keyed = door.call("GET", "/health")
        assert (keyed.status_code, keyed.json["status"], keyed.json["redis"]) == (200, "degraded", "read_only")
    finally:
        client.execute_command(*undo)
    door.app.extensions["tocsin.gauge"] = Gauge()
    assert door.call("GET", "/health").json["redis"] == "ok"


def test_metrics_count_in_both_forms(door: Door) -> None:
    """JSON by default; Prometheus text for clients that prefer text, or at its own path."""
    door.trigger(door.create()["id"])
    assert door.call("GET", "/metrics", key="").json["executions"] == {"pending": 1}
    scraper = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    for path, accept in (("/metrics", "text/plain"), ("/metrics", scraper), ("/metrics/prometheus", "*/*")):
        text = door.call("GET", path, key="", headers={"Accept": accept})
        assert text.content_type.startswith("text/plain")
        assert 'tocsin_executions{status="pending"} 1.0' in text.text
        assert "tocsin_backlog 1.0" in text.text


def test_the_document_is_made_by_a_child() -> None:
    """It is read from what the child has made; where that has made nothing, or none was begun, it is made here."""
    made, failing, unbegun = openapi.Document(), openapi.Document(), openapi.Document()
    made.begin(lambda: str(os.getpid()).encode())
    failing.begin(lambda: os._exit(1))
    whose = int(made.get(lambda: b"0"))
    assert whose not in (0, os.getpid())
    assert int(made.get(lambda: b"0")) == whose
    assert [document.get(lambda: b"here") for document in (failing, unbegun)] == [b"here", b"here"]


def test_the_document_is_there_when_the_end_of_its_maker_is_forgotten() -> None:
    """Gevent drops what it knows of a child a minute after its end; the first reader may come later."""
    forgotten = openapi.Document()
    forgotten.begin(lambda: b"made")
    assert forgotten._maker is not None
    os.waitpid(forgotten._maker[0], 0)
    assert forgotten.get(lambda: b"here") == b"made"
