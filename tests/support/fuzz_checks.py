"""Additional checks of schemathesis, and what it leaves out."""

import re
import uuid
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

#: operation → what may be wrong with a body that fits its schema. What no schema can say: that text is printable,
#: that a template or a pattern can be read, what each executor needs, that parameters agree with themselves, that
#: only approvals have the executor approval, that versions go up and ids stay, what time it is, what a role includes,
#: that a password is another word than the name, that labels are given in one of their forms, and names without control
#: characters.
_DEFINITION = r"/(config|parameters)(/.*)?|/executor|/name|/tags/\d+"
#: For playbooks also: what each type of step needs, that links lead somewhere, that what is called is there, what an
#: event is called, that of the names of one member only one is given, and that some runs need an asset.
_PLAYBOOK = r"/(steps|trigger|parameters|variables|inputs)(/.*)?|/name|/tags/\d+|/exception_step"
MAY_BE_WRONG = {
    "POST /api/actions": _DEFINITION,
    "PUT /api/actions/{action_id}": rf"{_DEFINITION}|/id|/version",
    "PATCH /api/actions/{action_id}": rf"{_DEFINITION}|/id|/version",
    "POST /api/playbooks": _PLAYBOOK,
    "POST /api/playbooks/simulate": r"/definition.*|/mocks/.*|/event/event|/playbook_id|",
    "PUT /api/playbooks/{playbook_id}": rf"{_PLAYBOOK}|/id|/version",
    "PATCH /api/playbooks/{playbook_id}": rf"{_PLAYBOOK}|/id|/version",
    "POST /api/playbooks/{playbook_id}/run": "/target_asset_id",
    "POST /api/keys": r"/expires_at|/scopes/\d+",
    "POST /api/users": "/password",
    "PATCH /api/users/{username}": "/password|",
    "POST /v1/dispatch": r"/(metadata(/.*)?|[a-z_]+)",
    "POST /v1/providers/{provider}/test": r"/(tenant|action_type|payload(/.*)?)",
    "PUT /v1/events/{fingerprint}/transition": "/to|/to_state|/query/namespace",
    "POST /v1/dispatch/batch": r"/actions(/\d+)?",
}


#: the kinds of YAML, of which the tool takes the first for all
YAML = ("text/yaml", "text/x-yaml", "text/vnd.yaml", "text/yml", "application/yaml", "application/x-yaml")
#: addresses that read as those of an event or a record too, whose names may have slashes → their own method
_OF_TWO = {
    "/v1/events/{fingerprint}/transition": "PUT",
    "/v1/audit/{record_id}/replay": "POST",
    "/v1/audit/replay": "POST",
}


@schemathesis.serializer(*YAML)
def as_it_is(context: Any, value: Any) -> bytes:
    """An example in YAML, which is a text in the document: sent as that text."""
    return str(value).encode()


#: what a request can be named
_KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
#: what names states of something
_TAGS = re.compile(r'\*|(W/)?".*"', re.DOTALL)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out requests to an address of two things by a method that the other one has, and generated bodies in YAML.

    In the document these are texts, of which no schema says what they mean; what they mean is sent as JSON.
    """
    method: str = case.method.upper()
    if case.media_type == "application/yaml":
        return False
    return method == _OF_TWO.get(case.operation.path, method)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Wait a second at most for an outcome: no worker is alive that would bring one.

    Keys name one request each, so that no request is a copy of another; and tags, which name states that are not the
    present one, are left out. What is wrong on purpose stays.
    """
    legal = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    given = dict(case.headers or {})
    for name in ("If-Match", "If-None-Match"):
        if legal or _TAGS.fullmatch(str(given.get(name))):
            given.pop(name, None)
    if "Idempotency-Key" in given and (legal or _KEY.fullmatch(str(given["Idempotency-Key"]))):
        given["Idempotency-Key"] = uuid.uuid4().hex
    case.headers = given
    if "Prefer" in {one.name for one in case.operation.headers}:
        given = (case.headers or {}).get("Prefer")
        case.headers = {**(case.headers or {}), "Prefer": "wait=1" if given is None else f"wait=1, {given}"}
    if re.fullmatch(r"[\d.]+", str((case.query or {}).get("wait"))) and float(case.query["wait"]) > 1:
        case.query["wait"] = type(case.query["wait"])(1)


@schemathesis.check
def legal_requests_are_refused_for_a_reason(ctx: Any, response: Any, case: Any) -> None:
    """A 400 to a valid body names faults that no schema expresses."""
    allowed = MAY_BE_WRONG.get(case.operation.label)
    legal = case.meta is not None and case.meta.generation.mode.is_positive
    if legal and response.status_code == 400 and allowed is not None:
        pointers = [fault["pointer"] for fault in response.json()["errors"]]
        assert pointers, "nothing is named"
        if len(pointers) > 1 and pointers[-1] == "":  # there are more faults than are listed
            pointers.pop()
        unsaid = [pointer for pointer in pointers if not re.fullmatch(allowed, pointer, re.DOTALL)]
        # 3.0 is whole to JSON Schema; here it is not
        unsaid = [pointer for pointer in unsaid if not isinstance(_at(case.body, pointer), float)]
        assert not unsaid, f"the schema should say it: {unsaid}"


def _at(value: Any, pointer: str) -> Any:
    """What a JSON pointer without escapes and indices leads to."""
    for name in pointer.split("/")[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


@schemathesis.check
class EveryOperationSucceeds:
    """Every operation has succeeded at least once in the fuzz run."""

    def __init__(self) -> None:
        self.tested: set[str] = set()
        self.done: set[str] = set()

    def after_response(self, ctx: Any, response: Any, case: Any) -> None:
        """Note it."""
        self.tested.add(case.operation.label)
        if 200 <= response.status_code < 300:
            self.done.add(case.operation.label)

    def after_run(self, ctx: Any) -> None:
        """Ask for all."""
        missed = sorted(self.tested - self.done)
        assert not missed, f"never answered 2xx: {missed}"
