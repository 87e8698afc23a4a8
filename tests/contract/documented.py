"""What the documents that the product answers to name: endpoints, what a request may carry, and statuses.

Facts only, in a notation of its own: ``?name`` is a parameter of the query, ``name:`` a header, a bare name a member of
the body, and ``=word`` a state, a type or an outcome that an answer says. ``test_coverage`` compares the table with the
documents where they are at hand, and with what the contract tests do. The types of a stream's events are not among
these words: their tests are in ``test_stream_contract`` and ``tests/integration/test_streams``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

#: one thing that a contract test does: an endpoint, a status of it, and a name or word of a request with this status
Fact = tuple[str, int, str]


class Endpoint(NamedTuple):
    """An endpoint: its method with its path, what a request may carry, and its statuses."""

    where: str
    names: str = ""
    #: that the documents print
    printed: tuple[int, ...] = ()
    #: when all is well; the documents often print an answer without its number
    well: int = 200
    #: that its answers say
    words: str = ""

    def facts(self) -> Iterator[Fact]:
        """Everything that a contract test has to do with it."""
        for status in sorted({self.well, *self.printed}):
            yield self.where, status, ""
        for name in (*self.names.split(), *(f"={word}" for word in self.words.split())):
            yield self.where, self.well, name


_TRACE = "traceparent: tracestate:"
_SCOPE = "?namespace ?tenant"
_TYPES = "notification remediation webhook script approval"
_SIGNED = "?sig ?expires_at ?kid"

ENDPOINTS = (
    Endpoint("GET /api/actions", "?type ?search ?page ?per_page"),
    Endpoint("POST /api/actions", "name type description executor parameters config", (201,), 201, _TYPES),
    Endpoint("GET /api/actions/{id}"),
    Endpoint("POST /api/actions/{id}/trigger", "target parameters sandbox dry_run", (), 202),
    Endpoint("GET /api/actions/{id}/executions", "?page ?per_page"),
    Endpoint("GET /api/actions/executions/{id}", words="pending running completed failed timeout cancelled"),
    Endpoint("GET /api/playbooks", "?search ?tag ?page ?per_page"),
    Endpoint(
        "POST /api/playbooks", "name version description trigger steps on_failure timeout_minutes tags", (201,), 201
    ),
    Endpoint("GET /api/playbooks/{id}"),
    Endpoint(
        "POST /api/playbooks/{id}/run",
        "Authorization: Content-Type: target_asset_id parameters dry_run",
        (202, 400, 401, 403, 404, 409, 422),
        202,
    ),
    Endpoint("GET /api/playbooks/executions/{id}", words="pending running paused completed failed skipped cancelled"),
    Endpoint("GET /api/playbooks/executions/{id}/steps"),
    Endpoint("POST /api/playbooks/executions/{id}/cancel", "", (200,)),
    Endpoint("GET /api/playbooks/{id}/export", "?format"),
    Endpoint("POST /api/playbooks/import", "", (), 201),
    Endpoint("GET /health"),
    Endpoint("GET /metrics"),
    Endpoint(
        "POST /v1/dispatch",
        f"?dry_run Content-Type: Authorization: {_TRACE} namespace tenant provider action_type payload dedup_key"
        " metadata status fingerprint starts_at ends_at",
        (200,),
        words="executed deduplicated suppressed rerouted throttled failed grouped state_changed pending_approval"
        " chain_started",
    ),
    Endpoint("POST /v1/dispatch/batch", f"?dry_run {_TRACE} actions", (200,)),
    Endpoint("GET /v1/rules"),
    Endpoint("POST /v1/rules/reload"),
    Endpoint("PUT /v1/rules/{name}/enabled", "enabled", (200,)),
    Endpoint(
        "GET /v1/audit",
        f"{_SCOPE} ?provider ?action_type ?outcome ?verdict ?matched_rule ?caller_id ?chain_id"
        " ?from ?to ?limit ?offset",
    ),
    Endpoint("GET /v1/audit/{action_id}"),
    Endpoint("GET /v1/events", f"?status {_SCOPE}"),
    Endpoint("GET /v1/events/{fingerprint}", _SCOPE),
    Endpoint("PUT /v1/events/{fingerprint}/transition", "to_state namespace tenant"),
    Endpoint("GET /v1/approvals", _SCOPE),
    Endpoint("POST /v1/approvals/{namespace}/{tenant}/{id}/approve", _SIGNED),
    Endpoint("POST /v1/approvals/{namespace}/{tenant}/{id}/reject", _SIGNED),
    Endpoint("GET /v1/groups"),
    Endpoint("GET /v1/groups/{group_key}"),
    Endpoint("DELETE /v1/groups/{group_key}"),
    Endpoint("POST /v1/embeddings/similarity", "text topic", (200, 401, 403, 404, 429, 500)),
    Endpoint("GET /v1/stream", "?namespace ?action_type ?outcome ?event_type", (401, 403, 429, 503)),
    Endpoint(
        "POST /v1/recurring",
        "namespace tenant cron_expr timezone provider action_type payload description",
        (201, 400),
        201,
    ),
    Endpoint("GET /v1/recurring", f"{_SCOPE} ?enabled"),
    Endpoint("GET /v1/recurring/{id}", _SCOPE, (200, 404)),
    Endpoint("PUT /v1/recurring/{id}", _SCOPE, (200, 400, 404)),
    Endpoint("DELETE /v1/recurring/{id}", _SCOPE, (204, 404), 204),
    Endpoint("POST /v1/recurring/{id}/pause", _SCOPE),
    Endpoint("POST /v1/recurring/{id}/resume", _SCOPE),
    Endpoint("GET /admin/circuit-breakers", "", (200, 404)),
    Endpoint("POST /admin/circuit-breakers/{provider}/trip", "", (200, 403, 404)),
    Endpoint("POST /admin/circuit-breakers/{provider}/reset", "", (200, 403, 404)),
    Endpoint("POST /v1/auth/login", "username password"),
    Endpoint("POST /v1/auth/logout", "Authorization:"),
)

#: endpoint → why the product does not have it
ABSENT: dict[str, str] = {}

#: facts that stand beside the rule: a preview by a member of the body answers 200, as nothing is created
MORE: tuple[Fact, ...] = (
    ("POST /api/playbooks/import", 200, ""),
    ("POST /api/playbooks/import", 200, "dry_run"),
)


def facts() -> set[Fact]:
    """Everything that the contract tests have to do."""
    made = {fact for endpoint in ENDPOINTS if endpoint.where not in ABSENT for fact in endpoint.facts()}
    return made | set(MORE)


def endpoint_of(method: str, path: str) -> str:
    """The endpoint of a request, below any of its prefixes; empty for one that the documents do not have.

    Of two that fit, ``/v1/dispatch/batch`` and ``/v1/dispatch/{id}``, it is the one with fewer blanks.
    """
    plain = re.sub(r"^/(?:api/v1(?=/)|compat(?=/v1/))", lambda prefix: "/api" if prefix[0] == "/api/v1" else "", path)
    fitting = (one.where for one in ENDPOINTS if _fits(one.where, f"{method} {plain}"))
    return min(fitting, key=lambda where: where.count("{"), default="")


def _fits(where: str, asked: str) -> bool:
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(where)), asked) is not None
