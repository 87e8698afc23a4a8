"""Foreign messages, as an attacker with access to the broker writes them."""

import base64
import gzip
import json
import uuid
from typing import Any

_ID = "exec-0199f3c2a1b4-6d0e8f2c41"
#: what no log may repeat
CANARY = "CANARY-IN-A-MESSAGE"


def headers(**changes: Any) -> dict[str, Any]:
    """The headers of a message as this system writes it, except these."""
    ids = {"id": _ID, "root_id": _ID, "parent_id": None, "group": None}
    plain = {"lang": "py", "task": "tocsin.run", "eta": None, "expires": None, "retries": 0, "timelimit": [None, None]}
    return {**plain, **ids, "argsrepr": f"('act-1', '{CANARY}')", "kwargsrepr": "{}", **changes}


def body(ids: Any = (_ID,), named: Any = None, **embed: Any) -> bytes:
    """The body of one."""
    nothing = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps([ids, named or {}, {**nothing, **embed}]).encode()


def odd_headers() -> dict[str, dict[str, Any]]:
    """What is odd → headers."""
    return {
        "no headers": {},
        "a list for the task": headers(task=["tocsin.run"]),
        "an object for the task": headers(task={"name": CANARY}),
        "an unknown task": headers(task=f"tocsin.{CANARY}"),
        "a task of Celery's": headers(task="celery.chord_unlock"),
        "a list for the id": headers(id=[_ID]),
        "an object for the id": headers(id={"a": 1}),
        "a NUL in the id": headers(id=f"exec-\x00{CANARY}"),
        "a long id": headers(id=CANARY * 5000),
        "a number for an eta": headers(eta=10**30),
        "nonsense for an eta": headers(eta=CANARY),
        "a list for expires": headers(expires=[1]),
        "text for retries": headers(retries="x"),
        "text for time limits": headers(timelimit=CANARY),
        "an object for the arguments that are shown": headers(argsrepr={"a": CANARY}),
        "lanes that are none": headers(lanes={"a": 1}),
        "more lanes than ids": headers(lanes=["a", "b", "c"]),
        "a compression that there is not": headers(compression=CANARY),
        "a list for the compression": headers(compression=["application/x-gzip"]),
        "compressed": headers(compression="application/x-gzip"),
    }


def odd_bodies() -> dict[str, bytes]:
    """What is odd → body."""
    link = {"task": "os.system", "args": [CANARY], "kwargs": {}, "options": {"task_id": _ID}}
    return {
        "an empty body": b"",
        "no JSON": CANARY.encode(),
        "no UTF-8": b"\xff\xfe\x00",
        "NULs": b"\x00" * 100,
        "a number": b"7",
        "an object": b'{"task": ["x"]}',
        "a list of one": b"[[]]",
        "deeply nested": b"[" * 200_000,
        "a list for an id": body([[_ID]]),
        "an object for an id": body([{"id": _ID}]),
        "a number for an id": body([7]),
        "no list for the ids": body(CANARY),
        "a NUL in an id": body([f"exec-\x00{CANARY}"]),
        "a long id": body([CANARY * 5000]),
        "very many ids": body([_ID] * 10_000),
        "a named argument": body(named={CANARY: 1}),
        "an odd chain": body(chain=CANARY),
        "a chain of others' tasks": body(chain=[link]),
        "an odd chord": body(chord=[1]),
        "callbacks": body(callbacks=[link]),
        "a type of kombu's": b'[["' + _ID.encode() + b'"], {}, {"__type__": "datetime", "__value__": 7}]',
        "compressed": gzip.compress(b"[" + b" " * 10_000_000 + b"]"),
    }


def envelope(queue: str, its_headers: Any, its_body: bytes, **changes: Any) -> dict[str, Any]:
    """A message as kombu keeps it in Redis, with these properties changed."""
    place = {"exchange": "", "routing_key": queue}
    usual = {"delivery_mode": 2, "delivery_info": place, "priority": 0, "body_encoding": "base64"}
    properties = {"correlation_id": _ID, **usual, "delivery_tag": str(uuid.uuid4()), **changes}
    text = base64.b64encode(its_body).decode()
    plain = {"content-encoding": "utf-8", "content-type": "application/json"}
    return {**plain, "body": text, "headers": its_headers, "properties": properties}


def odd_envelopes(queue: str) -> dict[str, str]:
    """Name of an oddity → an element of a queue's Redis list."""
    good = envelope(queue, headers(), body())
    return {
        "no JSON": f"{CANARY} garbage",
        "spaces": " " * 5000,
        "a list": json.dumps([CANARY]),
        "a text": json.dumps(CANARY),
        "null": "null",
        "an empty object": "{}",
        "deeply nested": "[" * 200_000,
        "NULs": "\x00" * 100,
        "no properties": json.dumps({**good, "properties": None}),
        "no delivery tag": json.dumps({**good, "properties": {"delivery_info": good["properties"]["delivery_info"]}}),
        "a list for the delivery tag": json.dumps(envelope(queue, headers(), body(), delivery_tag=[1])),
        "no delivery info": json.dumps(envelope(queue, headers(), body(), delivery_info=None)),
        "an empty delivery info": json.dumps(envelope(queue, headers(), body(), delivery_info={})),
        "an unknown encoding": json.dumps(envelope(queue, headers(), body(), body_encoding=CANARY)),
        "no base64": json.dumps({**good, "body": "!"}),
        "a number for a body": json.dumps({**good, "body": 7}),
        "no body": json.dumps({**good, "body": None}),
        "a list for the headers": json.dumps({**good, "headers": [1]}),
        "an unknown content type": json.dumps({**good, "content-type": f"application/{CANARY}"}),
        "pickle": json.dumps({**good, "content-type": "application/x-python-serialize"}),
        "a number for the content type": json.dumps({**good, "content-type": 7}),
        "a type of kombu's": json.dumps({**good, "headers": {"__type__": "uuid", "__value__": 7}}),
    }
