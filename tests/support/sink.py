"""The receiver of effects: an HTTP server process that records every call.

``/ok`` answers 200; ``/slow?seconds=S`` answers after S seconds; ``/slow-first?seconds=S&then=T`` does so to the first
call of each Idempotency-Key and answers the others after T, or at once; ``/status/N`` answers with that status;
``/echo?status=N`` answers with everything it was sent, headers included; ``/parrot/N`` with the body alone;
``/fail-first/N`` answers 503 to the first N calls of each Idempotency-Key. A call is written down when it has
arrived, before it is answered.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.processes import ROOT, Process, clean_environment
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Arrival:
    """One call: time (``time.monotonic``, one clock for the machine), path, content."""

    at: float
    path: str
    key: str
    body: str


class Sink:
    """The test's side of it."""

    def __init__(self, directory: Path) -> None:
        self.book = directory / "sink.jsonl"
        self.book.touch()
        command = [sys.executable, "-m", "tests.support.sink", str(self.book)]
        self._process = Process(command, directory / "sink.log", env=clean_environment(), cwd=ROOT)
        port = eventually(lambda: self._process.log.read_text().strip(), 20, "the sink listens")
        self.url = f"http://127.0.0.1:{port}"

    def arrivals(self, path: str = "") -> list[Arrival]:
        """Every call whose path with query begins with ``path``, in order."""
        lines = self.book.read_text().split("\n")[:-1]
        calls = [Arrival(**json.loads(line)) for line in lines]
        return [call for call in calls if call.path.startswith(path)]

    def keys(self, path: str = "") -> Counter[str]:
        """How often each Idempotency-Key has arrived."""
        return Counter(call.key for call in self.arrivals(path))

    def stop(self) -> None:
        """End the server."""
        self._process.end()


class _Server:
    def __init__(self, book: Path) -> None:
        self.book = book.open("a", buffering=1)
        self.seen: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path, key = request.split(" ")[1], headers.get("idempotency-key", "")
            call = {"at": time.monotonic(), "path": path, "key": key, "body": body.decode(errors="replace")}
            self.book.write(json.dumps(call) + "\n")
            status, answer = await self.answer(path, key, {"headers": headers, "body": call["body"]})
            text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + text
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the caller died or gave up: what had arrived is written down
        finally:
            writer.close()

    async def answer(self, path: str, key: str, given: dict) -> tuple[int, object]:
        place = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        parts = place.path.strip("/").split("/")
        if parts[0] == "slow":
            await asyncio.sleep(float(query["seconds"]))
        if parts[0] == "slow-first":
            self.seen[key] += 1
            await asyncio.sleep(float(query["seconds"] if self.seen[key] == 1 else query.get("then", 0)))
        if parts[0] == "status":
            return int(parts[1]), {"status": parts[1]}
        if parts[0] == "echo":
            return int(query.get("status", 200)), given
        if parts[0] == "parrot":
            return int(parts[1]), given["body"]
        if parts[0] == "fail-first":
            self.seen[key] += 1
            return (503 if self.seen[key] <= int(parts[1]) else 200), {"call": self.seen[key]}
        return 200, {"ok": True}


async def _main(book: Path) -> None:
    server = await asyncio.start_server(_Server(book).serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
