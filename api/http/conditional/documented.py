"""The documentation of conditional requests: their headers, and the answers that they lead to."""

from api.http.blueprint import Blueprint

_TAGS = {"type": "string", "maxLength": 4096, "pattern": r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'}
_EXAMPLE = '"pKx0jRlnGZtKQ3bD"'

#: the documentation of the headers, and of ETag in an answer
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "description": "The ETag that the reader knows. Where it is still the present one the answer is 304; with wait, the"
    " answer comes at once where it is not.",
    "schema": _TAGS,
    "example": _EXAMPLE,
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag on which the change is based. Where the definition is another one by now, nothing is "
    "changed: 412 with the code changed.",
    "schema": _TAGS,
    "example": _EXAMPLE,
}
IF_NONE_THERE = {
    "in": "header",
    "name": "If-None-Match",
    "description": "With *, the definition is created; where there is one of this id, nothing is changed: 412.",
    "schema": _TAGS,
    "example": "*",
}
ETAG = {"ETag": {"description": "Names this state; for If-None-Match and If-Match.", "schema": {"type": "string"}}}
#: documents the answer to a reader who knows the present state
UNCHANGED = Blueprint.also(304, None, words="It is as the reader knows it; without a body.", headers=ETAG)
