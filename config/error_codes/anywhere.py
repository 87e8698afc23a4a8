"""The codes that every request may meet, and those of both requests and executions."""

from config.error_codes.entry import ErrorCode, answered, either

ROWS: tuple[ErrorCode, ...] = (
    either(
        400,
        "invalid_request",
        "A value is not valid.",
        "Look at `errors`: each fault has a JSON pointer to its place, and says what is possible there.",
    ),
    answered(
        401,
        "unauthorized",
        "The request carries no valid API key or token.",
        "Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`. It may have expired, or have been revoked.",
    ),
    answered(
        403,
        "forbidden",
        "The key lacks the permission that the operation needs.",
        "The detail names the permission. Use a key of a role that has it, or with wider scopes.",
    ),
    answered(
        403,
        "not_granted",
        "The grants of the key do not cover the tenant, namespace, provider or action type.",
        "The detail names what is not covered. Ask an admin for a key whose grants cover it.",
    ),
    either(
        404,
        "not_found",
        "It does not exist in this workspace.",
        "Compare the id with the list of these things, and the key's workspace with the one that you mean.",
    ),
    answered(
        405,
        "method_not_allowed",
        "The path does not take this method.",
        "The header `Allow` and the detail name the methods that it takes.",
    ),
    answered(
        408,
        "request_timeout",
        "The body did not arrive in time.",
        "Send the body without pauses; then the same request may succeed.",
    ),
    answered(
        409,
        "conflict",
        "The state of the thing does not allow this now.",
        "Read the thing again, and decide by its present state.",
    ),
    answered(
        410,
        "gone",
        "What the link is about has expired or is decided.",
        "Ask for the approval by `GET /v1/approvals`; a link is good once, and until its time is up.",
    ),
    ErrorCode(
        "too_large",
        "The body is too large, or unfolds into too much.",
        "The detail names the limit. Send less, or split it.",
        (413, 422),
    ),
    answered(414, "uri_too_long", "The address is too long.", "Shorten the query; long values belong into a body."),
    answered(
        415,
        "unsupported_media_type",
        "The body is of a kind that is not read here.",
        "Send JSON in UTF-8 with `Content-Type: application/json`; definitions may be YAML, as `application/yaml`.",
    ),
    either(
        422,
        "invalid_parameters",
        "A parameter is not valid.",
        "Look at `errors`, and at the parameters that the action or playbook declares.",
    ),
    answered(
        409,
        "already_created",
        "An earlier copy of the request has created it, and its answer is not kept any more.",
        "`created_id` names it: read it, or use a new key for a new request.",
    ),
    answered(
        400,
        "invalid_cursor",
        "The cursor is none of this list with these filters.",
        "Send `meta.next_cursor` as it was given, with the same filters, or begin without one.",
    ),
    answered(
        422,
        "idempotency_key_reused",
        "The Idempotency-Key was used for a different request.",
        "Use a new key for each new request; repeat a request with the same key only unchanged.",
    ),
    answered(
        429,
        "rate_limited",
        "The key or the address has asked for too much in too short a time.",
        "Wait for as many seconds as `Retry-After` says.",
    ),
    answered(
        431,
        "headers_too_large",
        "The headers of the request are too large.",
        "Send fewer or shorter headers.",
    ),
    either(
        500,
        "internal_error",
        "Tocsin broke; its log says where.",
        "Give the operator the `request_id` or the id of the execution: the log has the reason under it.",
    ),
    answered(
        503,
        "unavailable",
        "The database cannot be reached, or more is asked than can be done; nothing was accepted.",
        "Repeat the request after `Retry-After` seconds, with the same Idempotency-Key.",
    ),
    answered(
        503,
        "overloaded",
        "More is being asked than can be done soon; nothing was accepted.",
        "Repeat the request after `Retry-After` seconds, with the same Idempotency-Key.",
    ),
    answered(
        503,
        "busy",
        "Too much of what takes long to compute is under way.",
        "Repeat the request after `Retry-After` seconds; a smaller definition or period needs no turn.",
    ),
    answered(
        503,
        "stream_off",
        "The operator has switched the event stream off.",
        "Poll instead, for example with `?wait=`, or ask the operator to unset TOCSIN_STREAM=off.",
    ),
)
