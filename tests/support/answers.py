"""What the product answers in tests, held against its own OpenAPI document.

In order of time: a test's client receives an answer; the operation is found by method and path, then the shape that the
document has for this status and kind of content; the answer is validated against that shape. So ``required``, types,
times, the codes of errors and the statuses themselves are true, and not only said.

Not looked at: what has no operation (an unknown path), what existing clients get below ``/compat``, streams, text that
is not JSON, and answers so large that to validate them would take the test's time.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import httpx
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.test import Client, TestResponse

#: larger answers are not validated, characters
MOST = 64 * 1024
_METHODS = ("get", "post", "put", "patch", "delete")
_ROOT = "urn:document"
#: what a server may say of any request: about its method, its size, a body that it should not have, and when it breaks
_OF_ALL = {405, 408, 413, 414, 415, 431, 500}

formats = FormatChecker(formats=())


@formats.checks("date-time")
def _is_time(value: object) -> bool:
    """Whether a text is a time with its zone; other values are no business of the format."""
    if not isinstance(value, str):
        return True
    try:
        return "T" in value and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


class Operation(NamedTuple):
    """An operation of the document: the pattern of its paths, its pointer, its answers."""

    pattern: re.Pattern[str]
    pointer: str
    responses: dict[str, Any]


class Answers:
    """The answers that a document allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        resource = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_ROOT, resource)
        self._operations = {method: list(self._of(method)) for method in _METHODS}
        self._validators: dict[str, Draft202012Validator] = {}

    def _of(self, method: str) -> Iterator[Operation]:
        """The operations of a method, as they are tried: few blanks first; blanks that slashes may fill last."""
        paths = sorted(self.document["paths"], key=lambda path: (path.count("{"), -len(path)))
        for blank in ("[^/]+", ".+"):
            for path in paths:
                if operation := self.document["paths"][path].get(method):
                    pattern = re.sub(r"\\\{\w+\\\}", blank, re.escape(path))
                    pointer = f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}/responses"
                    yield Operation(re.compile(pattern), pointer, operation["responses"])

    def fault(self, method: str, path: str, status: int, content_type: str, text: str) -> str | None:
        """What the document does not say of an answer; None where it says all of it."""
        plain = re.sub(r"^/api/v1(?=/)", "/api", path).removesuffix("/") or "/"
        given = "get" if method == "HEAD" else method.lower()
        found = next((one for one in self._operations.get(given, ()) if one.pattern.fullmatch(plain)), None)
        documented = found.responses.get(str(status)) if found is not None else None
        if found is None or plain.startswith("/compat") or (documented is None and status in _OF_ALL):
            return None
        if documented is None:
            return f"the status {status} is not documented: {text[:300]}"
        kind = content_type.partition(";")[0]
        if not text or "json" not in kind or "ndjson" in kind:
            return None
        if kind not in documented.get("content", {}):
            return f"{status} as {kind} is not documented"
        return self._invalid(f"{found.pointer}/{status}/content/{kind.replace('/', '~1')}/schema", text)

    def _invalid(self, pointer: str, text: str) -> str | None:
        if len(text) > MOST:
            return None
        if pointer not in self._validators:
            schema = {"$ref": f"{_ROOT}{pointer}"}
            made = Draft202012Validator(schema, registry=self._registry, format_checker=formats)
            self._validators[pointer] = made
        error = best_match(self._validators[pointer].iter_errors(json.loads(text)))
        return f"{error.json_path}: {error.message[:500]}" if error is not None else None


#: of this process: all products in it are of the same source
_known: list[Answers] = []


def _read(load: Callable[[], bytes | str]) -> Answers:
    """The answers that the document allows, which ``load`` gets once."""
    if not _known:
        _known.append(Answers(json.loads(load())))
    return _known[0]


def _check(known: Answers, method: str, path: str, status: int, content_type: str, text: str) -> None:
    fault = known.fault(method, path, status, content_type, text)
    assert fault is None, f"{method} {path} answers what its document does not say: {fault}"


def heard(answer: httpx.Response) -> None:
    """Hold what a product answers that has its own processes against its document; a hook of httpx."""
    asked, kind = answer.request, answer.headers.get("Content-Type", "")
    if _is_json(kind):
        try:
            known = _read(lambda: httpx.get(asked.url.join("/api/openapi.json"), timeout=30).raise_for_status().text)
        except httpx.HTTPError:  # it is being stopped; its next answer is held against the document
            return
        _check(known, asked.method, asked.url.path, answer.status_code, kind, answer.read().decode())


def watch(client: Client, load: Callable[[], bytes | str]) -> None:
    """Hold what this client receives from now on against the document, which ``load`` gets."""
    send = client.open

    def checked(*given: Any, **options: Any) -> TestResponse:
        answer = send(*given, **options)
        asked, kind = answer.request, answer.content_type or ""
        if _is_json(kind):
            _check(_read(load), asked.method, asked.path, answer.status_code, kind, answer.get_data(as_text=True))
        return answer

    client.open = checked  # type: ignore[method-assign]


def _is_json(kind: str) -> bool:
    return "json" in kind and "ndjson" not in kind
