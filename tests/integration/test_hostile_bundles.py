"""Bundles that are broken on purpose, and code that misuses its pipes: a refusal, never an error of the server's."""

import html
import json
import os
import resource
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tocsin.actions.bundles import archive

from config.settings import settings
from store.bundles import archives, versions
from store.engine import db
from tasks.bundles import loading
from tasks.offload import pool
from tests.support.api import Door
from tests.support.bundles import ECHO, bundle, manifest, packed, push, pushed
from tests.support.hostile import CANARY, armed, carried_out
from tests.support.receiving import Receiver, receiver

#: writes a line to the worker in the runner's place, and ends
SAYING = """
writing = context.is_cancelled.__self__._writing
writing.write({line!r} + chr(10)); writing.flush(); os._exit(0)
"""
#: the same while the files are imported
DESCRIBING = """
import gc, os
for one in gc.get_objects():
    if type(one).__name__ == "Conversation":
        one._writing.write({line!r} + chr(10)); one._writing.flush(); os._exit(0)
"""


@pytest.fixture
def calls() -> Iterator[Receiver]:
    """A receiver on the loopback interface."""
    with receiver() as one:
        yield one


@pytest.fixture
def door(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """The application; calls to this machine are allowed."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path / "var"))
    settings.cache_clear()
    return Door()


def _directory(content: bytes, change: Callable[[bytearray, int], None]) -> bytes:
    """An archive whose first entry in the directory was changed."""
    changed = bytearray(content)
    change(changed, changed.index(b"PK\x01\x02"))
    return bytes(changed)


def _elsewhere(content: bytearray, at: int) -> None:
    """The directory begins later than it says: entries begin before the archive."""
    end = content.index(b"PK\x05\x06")
    struct.pack_into("<L", content, end + 16, struct.unpack_from("<L", content, end + 16)[0] + 500)


def _unreadable_name(content: bytearray, at: int) -> None:
    """The local header says that its name is UTF-8, and has something else there."""
    local = content.index(b"PK\x03\x04")
    struct.pack_into("<H", content, local + 6, 0x800)
    content[local + 30] = 0xFF


def _no_name(content: bytearray, at: int) -> None:
    """A name that is empty."""
    content[at + 46] = 0


@pytest.mark.parametrize("change", [_elsewhere, _unreadable_name, _no_name])
def test_a_broken_directory_is_a_fault(door: Door, change: Callable[[bytearray, int], None]) -> None:
    """Entries that lead nowhere and names that are no text are named, or it is no archive."""
    answer = push(door, _directory(bundle(), change))
    assert answer.status_code in (415, 422), answer.text


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"vendor/a": "x", "vendor/a/b.py": "x"}, "lies in a folder that is a file, too"),
        ({"vendor/A": "x", "vendor/a/b.py": "x"}, "lies in a folder that is a file, too"),
        ({"bundle.toml": manifest() + "a = " + "[" * 5000}, "is no TOML"),
    ],
)
def test_files_that_cannot_be_there(door: Door, files: dict[str, str], says: str) -> None:
    """A file that is a folder, too, and a manifest of a thousand brackets are faults of the bundle."""
    answer = push(door, packed({"bundle.toml": manifest(), "actions/a.py": ECHO, **files}))
    assert answer.status_code == 422, answer.text
    assert says in answer.text


def test_broken_entries_count_as_unpacked() -> None:
    """Many large entries with wrong checksums are given up as soon as they have too many bytes together."""
    piece = b"\0" * (archive.MOST_UNPACKED // 4)
    good = packed({f"vendor/{number}.txt": piece for number in range(8)})
    broken = good.replace(struct.pack("<L", zlib.crc32(piece)), b"\1\2\3\4")
    files, faults = archive.unpack(broken)
    assert files == {}
    assert "32 MiB together" in faults[-1].message
    assert len(faults) == 5, "four of them fit"


def test_a_machine_without_a_sandbox_says_so(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper process tells the web's own that nothing can be isolated here: 503, not an error of the server's."""
    monkeypatch.setenv("TOCSIN_BWRAP", "/nowhere/bwrap")
    fresh = pool.Pool()  # its helper process starts with this setting
    monkeypatch.setattr(pool, "_pool", fresh)
    answer = push(door, bundle())
    fresh.end()
    assert (answer.status_code, answer.json["code"]) == (503, "sandbox_unavailable"), answer.text


@pytest.mark.parametrize(
    "function",
    [
        '{"id": "a", "place": ["\\ud800", 1], "description": "\\u0000"}',
        '{"id": "a", "description": "\\ud800"}',
        '{"id": "a", "description": 5}',
        '{"id": "a", "type": []}',
        '{"id": "a", "output": [[]]}',
        '{"id": "a", "parameters": {}}',
        '{"id": "a", "parameters": ' + "[" * 900 + "]" * 900 + "}",
        '{"id": "a", "timeout_seconds": NaN}',
        '{"id": "a"}, {"id": "a"}',
    ],
    ids=range(9),
)
def test_a_description_that_no_function_has(door: Door, function: str) -> None:
    """What code writes in place of its description is refused where no answer and no database could hold it."""
    forged = DESCRIBING.format(line='{"functions": [' + function + '], "faults": []}')
    answer = push(door, bundle(ECHO + forged))
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_bundle"), answer.text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"error": {"code": [], "message": {}}}', "handler_failed"),
        ('{"error": {"code": "handler_failed", "message": "\\ud800 \\u0000"}}', "handler_failed"),
        ('{"error": {"message": ' + "[" * 900 + "]" * 900 + "}}", "handler_failed"),
        ('{"output": ' + "[" * 900 + "]" * 900 + "}", "bad_output"),
        ('{"output": {"\\ud800": 1}}', "bad_output"),
    ],
    ids=range(5),
)
def test_a_last_line_that_no_function_writes(door: Door, line: str, code: str) -> None:
    """The execution ends with an error of its own, and can be read."""
    armed(door)
    ended = carried_out(door, code=SAYING.format(line=line))
    assert (ended["status"], ended["error"]["code"]) == ("failed", code)
    assert door.call("GET", "/api/actions/executions").status_code == 200


def test_a_message_of_half_characters_can_be_read(door: Door) -> None:
    """An exception whose text is no text leaves an execution that can be shown."""
    armed(door)
    ended = carried_out(door, code="raise ValueError(chr(0xd800) + chr(0))")
    assert ended["error"]["message"] == "ValueError: ?\ufffd"


def test_a_flood_of_empty_lines_ends_the_function(door: Door) -> None:
    """Empty lines count, too: the worker does not read them for as long as the action may take."""
    armed(door)
    code = "fd = context.is_cancelled.__self__._writing.fileno()\nwhile True: os.write(fd, b'\\n' * 65536)"
    assert carried_out(door, code=code)["error"]["code"] == "script_limit"


def test_answers_that_nobody_reads_are_not_kept(door: Door, calls: Receiver) -> None:
    """A function that asks and never reads makes two calls: the worker keeps no more answers for it."""
    armed(door, calls.host)
    calls.answer = lambda _call: (200, {}, b"\x01" * 1_000_000)
    code = """
import json
writing = context.is_cancelled.__self__._writing
if os.fork():
    os.kill(os.getpid(), signal.SIGSTOP)
while True:
    writing.write(json.dumps({"call": {"method": "GET", "url": url}}) + chr(10)); writing.flush(); time.sleep(0.2)
"""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert carried_out(door, code=code, url=calls.url)["error"]["code"] == "script_limit"
    assert len(calls.calls) <= 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10


def test_a_secret_is_not_filled_in_without_end(door: Door, calls: Receiver) -> None:
    """A short body that names a large secret thousands of times is refused before it is made."""
    armed(door, calls.host)
    assert door.call("PUT", "/api/bundles/acme/secrets/TOKEN", json={"value": "y" * 8000}).status_code == 204
    code = "context.http.post(url, json=[context.secrets['TOKEN'] * int(1e4)])"
    assert carried_out(door, code=code, url=calls.url)["error"]["code"] == "bad_request"
    few = carried_out(door, code=code.replace("1e4", "100"), url=calls.url)
    assert few["status"] == "completed", few["error"]
    assert [len(call.body) for call in calls.calls] == [800_004]


def test_a_revealed_secret_at_the_end_of_a_long_message(door: Door) -> None:
    """A message is cut after its secrets are masked, so that the beginning of one is not left over."""
    armed(door, secrets="TOKEN = { reveal = true }")
    for spare in range(8, len(CANARY), 6):
        code = f"raise ValueError('x' * ({4096 - len('ValueError: ')} - {spare}) + context.secrets['TOKEN'])"
        assert CANARY[:8] not in json.dumps(carried_out(door, code=code)["error"])


@pytest.mark.parametrize(
    ("value", "repeated"),
    [
        ("ab/cd/efgh+ij=", lambda value: json.dumps(value).replace("/", "\\/").encode()),
        ('pa"ssüword&1', lambda value: json.dumps(value, ensure_ascii=False).encode()),
        ("pässword-x1", lambda value: b"\xff" + value.encode()),
        ("a<b>&c'd\"ef", lambda value: html.escape(value).encode()),
        ("zz+/yy==aa", lambda value: quote(value, safe="").lower().encode()),
    ],
    ids=["slashes", "characters", "bytes", "html", "url"],
)
def test_a_receiver_repeats_a_secret_in_its_own_spelling(
    door: Door, calls: Receiver, value: str, repeated: Callable[[str], bytes]
) -> None:
    """The function reads eight stars whatever the receiver has made of the secret: JSON, HTML, a URL, other bytes."""
    armed(door, calls.host)
    assert door.call("PUT", "/api/bundles/acme/secrets/TOKEN", json={"value": value}).status_code == 204
    calls.answer = lambda _call: (200, {"X-Names": "plain"}, repeated(value))
    code = "found['a'] = context.http.post(url, json=[context.secrets['TOKEN']]).content.decode('latin-1')"
    ended = carried_out(door, code=code, url=calls.url)
    assert ended["output"]["a"].strip('"ÿ') == "********", ended


def test_odd_texts_of_a_call(door: Door, calls: Receiver) -> None:
    """The query is sent although the URL has a fragment; half a character is the caller's mistake."""
    armed(door, calls.host)
    assert carried_out(door, code="context.http.get(url + '/a#b', params={'q': 1})", url=calls.url)["error"] is None
    assert calls.calls[0].path == "/a?q=1"
    for wrong in ("params={'q': chr(0xd800)}", "auth=Basic(chr(0xd800), 'x')"):
        ended = carried_out(door, code=f"context.http.get(url, {wrong})", url=calls.url)
        assert ended["error"]["code"] == "bad_request", ended["error"]


def test_a_strange_file_in_the_folder_of_a_bundle(door: Door) -> None:
    """A name that is no text makes the folder a changed one: it is written again."""
    digest = pushed(door, bundle())["digest"]
    loading.contents(digest)
    folder = settings().var_dir / "bundles" / digest
    Path(os.fsdecode(bytes(folder) + b"/actions/\xff.py")).write_text("x")
    assert "actions/firewall.py" in loading.contents(digest)[0]
    assert [path.name for path in (folder / "actions").iterdir()] == ["firewall.py"]


def _version(name: str, digest: str) -> versions.Version:
    about: dict[str, Any] = {"name": name, "version": "1.0.0", "description": "", "python": "", "hosts": []}
    return versions.Version(
        name=name,
        version="1.0.0",
        digest=digest,
        manifest={**about, "secrets": {}},
        functions=[],
        bytes=1,
        created_at=db.now_ms(),
        created_by="test",
    )


@pytest.mark.on_both
def test_two_bundles_have_one_content(database: str) -> None:
    """One bundle is deleted while another one with the same content is pushed, anywhere: the bytes stay."""
    Door()
    with db.write() as connection:
        archives.keep(connection, "same", b"bytes")
        versions.add(connection, "default", _version("one", "same"))
    kept = threading.Event()

    def second() -> None:
        with db.write() as connection:
            archives.keep(connection, "same", b"bytes")
            versions.add(connection, "default", _version("two", "same"))
            kept.set()
            time.sleep(0.5)

    pushing = threading.Thread(target=second)
    pushing.start()
    assert kept.wait(10)
    with db.write() as connection:
        versions.remove(connection, "default", "one")
        archives.drop_unused(connection)
    pushing.join()
    with db.write() as connection:
        assert archives.read(connection, "same") == b"bytes"
        versions.remove(connection, "default", "two")
        archives.drop_unused(connection)
        assert archives.read(connection, "same") is None
