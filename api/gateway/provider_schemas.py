"""The shapes and example bodies of providers and their circuit breakers."""

from typing import Any

from marshmallow import fields, validate

from api.http.base_schema import Answer
from api.http.schemas import Strict, described, moment

_NAME = validate.Length(1, 128)
PROVIDER = {
    "name": "provider",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "The name of a provider.",
}


class Breaker(Answer):
    """A circuit breaker."""

    provider = fields.String(metadata=described("Its provider."))
    state = fields.String(metadata=described("closed, open or half_open."))
    failure_threshold = fields.Integer(metadata=described("Consecutive failures that open it."))
    success_threshold = fields.Integer(metadata=described("Successful probes that close it."))
    recovery_timeout_seconds = fields.Integer(metadata=described("How long nothing goes out before a probe."))
    fallback_provider = fields.String(
        metadata=described("By which provider calls go out meanwhile; absent: by none.", sometimes=True)
    )


class Breakers(Answer):
    """All circuit breakers."""

    circuit_breakers = fields.List(fields.Nested(Breaker), metadata=described("By provider."))


class Turned(Answer):
    """A circuit breaker that was opened or closed by hand."""

    provider = fields.String(metadata=described("Its provider."))
    state = fields.String(metadata=described("Its state now."))
    message = fields.String(metadata=described("What was done."))


class Provider(Answer):
    """A provider."""

    name = fields.String(metadata=described("Its name."))
    kind = fields.String(metadata=described("What it is."))
    description = fields.String(metadata=described("What it is for."))
    enabled = fields.Boolean(metadata=described("Whether anything goes out by it."))
    timeout_seconds = fields.Float(metadata=described("How long one call may take."))
    idempotent = fields.Boolean(metadata=described("Whether a call in doubt is repeated."))
    source = fields.String(metadata=described("Where it comes from; file: the configuration folder."))
    updated_at = moment("When it last changed; ISO 8601, UTC.")
    circuit_breaker = fields.String(allow_none=True, metadata=described("Its circuit breaker; null: none."))


class Providers(Answer):
    """The providers that a grant of the caller covers."""

    providers = fields.List(fields.Nested(Provider), metadata=described("By name."))


class ProviderHealth(Answer):
    """How calls of a provider have ended."""

    provider = fields.String(metadata=described("The provider."))
    calls = fields.Integer(metadata=described("Calls that have ended."))
    failures = fields.Integer(metadata=described("Those that have failed at every attempt."))
    p50_ms = fields.Integer(allow_none=True, metadata=described("Half of them took no longer, acceptance to end."))
    p95_ms = fields.Integer(allow_none=True, metadata=described("Of twenty, nineteen took no longer."))
    circuit_breaker = fields.String(allow_none=True, metadata=described("Its circuit breaker; null: none."))


class Healths(Answer):
    """How the calls of providers have ended lately."""

    providers = fields.List(fields.Nested(ProviderHealth), metadata=described("By name."))
    since = moment("The calls have ended since then; ISO 8601, UTC.")


class Drill(Strict):
    """What a test of a provider sends."""

    tenant = fields.String(
        load_default=None, allow_none=True, validate=_NAME, metadata=described("The tenant; null: the caller's own.")
    )
    action_type = fields.String(load_default="drill", validate=_NAME, metadata=described("The action type."))
    payload = fields.Dict(
        keys=fields.String(),
        load_default=lambda: {"message": "This is a test."},
        metadata=described("The payload.", default={"message": "This is a test."}),
    )


BREAKER = {
    "provider": "email",
    "state": "closed",
    "failure_threshold": 5,
    "success_threshold": 2,
    "recovery_timeout_seconds": 60,
    "fallback_provider": "webhook",
}
BREAKERS = {"circuit_breakers": [BREAKER]}
TRIPPED = {"provider": "email", "state": "open", "message": "circuit breaker tripped"}
RESET = {"provider": "email", "state": "closed", "message": "circuit breaker reset"}
PROVIDERS: dict[str, Any] = {
    "providers": [
        {
            "name": "email",
            "kind": "email",
            "description": "Mail to the people on duty.",
            "enabled": True,
            "timeout_seconds": 30.0,
            "idempotent": False,
            "source": "file",
            "updated_at": "2026-11-29T12:00:00.000Z",
            "circuit_breaker": "closed",
        }
    ]
}
HEALTH: dict[str, Any] = {
    "providers": [
        {"provider": "email", "calls": 120, "failures": 3, "p50_ms": 240, "p95_ms": 900, "circuit_breaker": "closed"}
    ],
    "since": "2026-11-28T12:00:00.000Z",
}
