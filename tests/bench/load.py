"""The load generator, a separate process so that its CPU is excluded.

``load.py burst`` keeps some connections busy for some seconds, or for a number of triggers: each sends
the next one as soon as the last was answered, or when its turn comes at a fixed ``--rate`` (latencies
count from the turn then, so that a slow answer cannot hide those it holds up). ``load.py single`` sends triggers one
at a time and waits for each to arrive at the sink. Both print one JSON object with what happened; times are
``time.monotonic`` seconds, latencies milliseconds. Ids are ``<prefix>-<number>``, counted from 0.
"""

import argparse
import asyncio
import collections
import gc
import heapq
import json
import re
import statistics
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
KEPT = 1.0  # seconds for which we trust a server to keep a connection on which nothing happens
GRACE = 30.0  # seconds after the end of a burst in which the last answers may come


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the sorted values lie (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Burst:
    """The state all connections of one burst share."""

    def __init__(self, options: argparse.Namespace) -> None:
        where = urlsplit(options.target)
        self.host, self.port = where.hostname, where.port
        key = f"Authorization: Bearer {options.key}\r\n" if options.key else ""
        key += f"{options.header}\r\n" if options.header else ""
        self.head = (
            f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n{key}"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.prefix = options.prefix
        self.body = options.body.split("%s")
        self.issued = 0
        self.refused: list[str] = []
        self.statuses: collections.Counter[int] = collections.Counter()
        self.latencies: list[float] = []
        self.first_accept = self.last_accept = 0.0
        self.begin = time.monotonic()
        self.end = self.begin + options.seconds
        self.most = options.most
        self.rate = options.rate
        self.turns = 0
        self.returned: list[float] = []
        self.sent: dict[str, float] | None = {} if options.record else None
        self.running = options.connections
        self.idle = asyncio.Event()

    def next_turn(self, now: float) -> float:
        """When to send the next trigger: at once, or by the rate."""
        if not self.rate:
            return now
        if self.returned:
            return heapq.heappop(self.returned)
        self.turns += 1
        return self.begin + (self.turns - 1) / self.rate

    def next_request(self) -> tuple[str, bytes]:
        key = f"{self.prefix}-{self.issued}"
        self.issued += 1
        body = key.join(self.body).encode()
        return key, b"%b%d\r\n\r\n%b" % (self.head, len(body), body)

    def answered(self, key: str, status: int, seconds: float, now: float) -> None:
        self.statuses[status] += 1
        if 200 <= status < 300:
            self.latencies.append(seconds * 1000)
            self.first_accept = self.first_accept or now
            self.last_accept = now
        else:
            self.refused.append(key)

    def over(self, now: float) -> bool:
        return now >= self.end or (self.most is not None and self.issued >= self.most)

    def finished(self) -> None:
        self.running -= 1
        if not self.running:
            self.idle.set()


class Client(asyncio.Protocol):
    """One keep-alive connection of a burst."""

    def __init__(self, burst: Burst) -> None:
        self.burst = burst
        self.data = b""
        self.key = ""
        self.done = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        now = time.monotonic()
        self.turn = self.burst.next_turn(now)
        if self.burst.over(self.turn):
            self.finish()
        elif self.turn <= now:
            self.transmit()
        else:
            self.timer = asyncio.get_running_loop().call_later(self.turn - now, self.transmit)

    def transmit(self) -> None:
        self.timer = None
        self.key, request = self.burst.next_request()
        if self.burst.sent is not None:
            self.burst.sent[self.key] = self.turn
        self.transport.write(request)

    def finish(self) -> None:
        self.done = True
        self.transport.close()
        self.burst.finished()

    def data_received(self, data: bytes) -> None:
        self.data += data
        head_end = self.data.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = LENGTH.search(self.data, 0, head_end)
        if not length or len(self.data) < head_end + 4 + int(length[1]):
            return
        now = time.monotonic()
        self.burst.answered(self.key, int(self.data[9:12]), now - self.turn, now)
        closing = b"connection: close" in self.data[:head_end].lower()
        self.data, self.key = b"", ""
        if self.burst.over(now):
            self.finish()
        elif closing:
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if self.done:
            return
        if self.timer:  # its turn had not come: another connection's
            self.timer.cancel()
            heapq.heappush(self.burst.returned, self.turn)
        if self.key:  # the answer never came: whether it was accepted is unknown
            self.burst.answered(self.key, 0, 0.0, 0.0)
        self.burst.reconnecting = asyncio.get_running_loop().create_task(connect(self.burst))


async def connect(burst: Burst) -> None:
    loop = asyncio.get_running_loop()
    while not burst.over(time.monotonic()):
        try:
            await loop.create_connection(lambda: Client(burst), burst.host, burst.port)
        except OSError:
            burst.statuses[0] += 1
            await asyncio.sleep(0.05)
        else:
            return
    burst.finished()


async def run_burst(options: argparse.Namespace) -> dict[str, object]:
    gc.freeze()
    burst = Burst(options)
    connecting = [asyncio.create_task(connect(burst)) for _ in range(options.connections)]
    await asyncio.wait_for(burst.idle.wait(), options.seconds + GRACE)
    await asyncio.gather(*connecting)
    accepted = len(burst.latencies)
    return {
        "accepted": accepted,
        "accepted_per_s": accepted / max(burst.last_accept - burst.begin, 1e-9),
        "post_p50_ms": percentile(burst.latencies, 0.5),
        "post_p99_ms": percentile(burst.latencies, 0.99),
        "issued": burst.issued,
        "refused": burst.refused,
        "statuses": burst.statuses,
        "cpu_s": time.process_time(),
        "begin": burst.begin,
        "first_accept": burst.first_accept,
        "last_accept": burst.last_accept,
        "sent": burst.sent,
    }


def run_single(options: argparse.Namespace) -> dict[str, object]:
    """Send one trigger at a time, await each, and pause."""
    target, sink = urlsplit(options.target), urlsplit(options.sink)
    product = HTTPConnection(target.hostname, target.port, timeout=30)
    witness = HTTPConnection(sink.hostname, sink.port, timeout=options.patience)
    headers = {"Content-Type": "application/json"}
    if options.key:
        headers["Authorization"] = f"Bearer {options.key}"
    latencies, missed, over = [], 0, time.monotonic() + options.within
    for number in range(options.count):
        if time.monotonic() > over:
            break
        key = f"{options.prefix}-{number}"
        body = json.dumps({"parameters": {"id": key}}).encode()
        begin = time.monotonic()
        product.request("POST", target.path, body, headers)
        answer = product.getresponse()
        content = answer.read()
        if not 200 <= answer.status < 300:
            raise SystemExit(f"the trigger was answered {answer.status}: {content[:500]!r}")
        witness.request("GET", f"/wait/{key}")
        try:
            arrived = json.loads(witness.getresponse().read())["at"]
        except TimeoutError:
            if options.within == float("inf"):
                raise SystemExit(f"{key} did not arrive within {options.patience:g} s") from None
            missed += 1
            arrived = time.monotonic()
            witness.close()
        latencies.append((arrived - begin) * 1000)
        if arrived - begin > KEPT:
            product.close()
        time.sleep(options.pause)
    return {
        "idle_p50_ms": statistics.median(latencies),
        "idle_p95_ms": percentile(latencies, 0.95),
        "count": len(latencies),
        "missed": missed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["burst", "single"])
    parser.add_argument("--target", required=True, help="URL that takes the triggers")
    parser.add_argument("--sink", default="", help="URL of the sink")
    parser.add_argument("--key", default="", help="API key")
    parser.add_argument("--prefix", default="id", help="begin of the ids")
    parser.add_argument("--body", default='{"parameters": {"id": "%s"}}', help="body of a burst; the id stands for %%s")
    parser.add_argument("--header", default="", help="one more header of a burst")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--most", type=int, help="triggers after which a burst ends before its time")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0, help="triggers a second of a burst; 0: as fast as answered")
    parser.add_argument("--record", type=int, default=0, help="1: report when each trigger of a burst was to be sent")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between single triggers")
    parser.add_argument("--within", type=float, default=float("inf"), help="seconds after which no single one is sent")
    parser.add_argument("--patience", type=float, default=60, help="seconds in which a single one has to arrive")
    options = parser.parse_args()
    result = asyncio.run(run_burst(options)) if options.kind == "burst" else run_single(options)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
