"""The sink: the separate HTTP server at which every measured call ends.

It prints its port (and, when it is given a certificate, that of a second one that speaks TLS), then serves until it
is stopped. ``POST /hook`` takes ``{"id": ..., "text": "measured <id>"}``, notes when each id arrived first
(``time.monotonic``, one clock for all processes of a Linux machine) and answers ``{"ok": true}``. ``POST /slow`` is the
same, a second later. ``POST /part`` takes one call of a run of many, ``{"id": ..., "part": 2, "of": 5, "after": 1,
"value": ...}``, and answers a value that the parts ``after`` it must bring along; the id arrives with the last part,
once all others have come. A body that was templated wrongly, or a last part that came too early, counts as a fault.
The other addresses are for the bench itself: ``/count``, ``/arrivals``, ``/forget``, ``/totals`` (calls and
connections over TLS since the start) and ``/wait/<id>``, which answers at the moment the id arrives.
"""

import asyncio
import gc
import json
import re
import ssl
import sys
import time
import zlib

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEADER = "HTTP/1.1 {} \r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
SLOW = 1.0  # seconds
OK = (HEADER.format(200, 12) + '{"ok": true}').encode()


def token(key: str, part: int) -> str:
    """The answer to a part of a run; part 0 has none."""
    return f"{zlib.crc32(f'{key}/{part}'.encode()):08x}" if part else ""


class Ledger:
    """What arrived, when, and who waits for it."""

    def __init__(self) -> None:
        self.calls = 0
        self.connections = 0
        self.forget()

    def forget(self) -> None:
        self.arrivals: dict[str, float] = {}
        self.waiting: dict[str, asyncio.Transport] = {}
        self.parts: dict[str, set[int]] = {}
        self.repeats = 0
        self.faults = 0

    def take(self, body: bytes) -> None:
        self.calls += 1
        try:
            message = json.loads(body)
            key = message["id"]
        except (ValueError, KeyError, TypeError):
            self.faults += 1
            return
        if message.get("text") != f"measured {key}":
            self.faults += 1
        elif key in self.arrivals:
            self.repeats += 1
        else:
            self.arrive(key)

    def take_part(self, body: bytes) -> dict[str, object]:
        self.calls += 1
        try:
            message = json.loads(body)
            key, part, last, value = (message[name] for name in ("id", "part", "of", "value"))
            right = value == token(key, message["after"])
        except (ValueError, KeyError, TypeError):
            self.faults += 1
            return {"ok": False}
        parts = self.parts.setdefault(key, set())
        if not right or (part == last and len(parts) < last - 1):
            self.faults += 1
        elif part in parts:
            self.repeats += 1
        else:
            parts.add(part)
            if part == last:
                self.arrive(key)
        return {"ok": True, "value": token(key, part)}

    def arrive(self, key: str) -> None:
        now = time.monotonic()
        self.arrivals[key] = now
        waiter = self.waiting.pop(key, None)
        if waiter:
            reply(waiter, {"at": now})

    def summary(self) -> dict[str, int]:
        return {"count": len(self.arrivals), "repeats": self.repeats, "faults": self.faults}


def reply(transport: asyncio.Transport, content: object, status: int = 200) -> None:
    body = json.dumps(content).encode()
    transport.write(HEADER.format(status, len(body)).encode() + body)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests may come in pieces or several at once."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pending = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.ledger.connections += transport.get_extra_info("sslcontext") is not None

    def data_received(self, data: bytes) -> None:
        if self.pending:
            data = self.pending + data
        while data:
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                break
            length = LENGTH.search(data, 0, head_end)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if len(data) < end:
                break
            if data.startswith(b"POST /hook"):
                self.ledger.take(data[head_end + 4 : end])
                self.transport.write(OK)
            elif data.startswith(b"POST /part"):
                reply(self.transport, self.ledger.take_part(data[head_end + 4 : end]))
            elif data.startswith(b"POST /slow"):
                asyncio.get_running_loop().call_later(SLOW, self.answer_late, data[head_end + 4 : end])
            else:
                self.inquiry(data.split(b" ", 2)[1].decode())
            data = data[end:]
        self.pending = data

    def answer_late(self, body: bytes) -> None:
        self.ledger.take(body)
        self.transport.write(OK)

    def inquiry(self, path: str) -> None:
        ledger = self.ledger
        if path == "/count":
            reply(self.transport, ledger.summary())
        elif path == "/arrivals":
            reply(self.transport, ledger.summary() | {"arrivals": ledger.arrivals})
        elif path == "/totals":
            reply(self.transport, {"calls": ledger.calls, "tls_connections": ledger.connections})
        elif path == "/forget":
            ledger.forget()
            reply(self.transport, {})
        elif path.startswith("/wait/"):
            key = path.removeprefix("/wait/")
            if key in ledger.arrivals:
                reply(self.transport, {"at": ledger.arrivals[key]})
            else:
                ledger.waiting[key] = self.transport
        else:
            reply(self.transport, {"error": "no such address"}, 404)


async def serve(certificate: str | None) -> None:
    ledger = Ledger()
    loop = asyncio.get_running_loop()
    contexts: list[ssl.SSLContext | None] = [None]
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        contexts.append(context)
    servers = [
        await loop.create_server(lambda: Connection(ledger), "127.0.0.1", 0, backlog=1024, ssl=context)
        for context in contexts
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    gc.freeze()
    await servers[0].serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else None))
