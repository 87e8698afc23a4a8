"""Fill a product's queue without HTTP, in a process of its environment.

In order of time: the bench stops the workers and triggers one model execution with the parameter ``MODEL``;
this program finds the model's message in Redis (and, for Tocsin, its row and its audit row in the database),
and multiplies the bytes: the same message and the same rows with other ids. So 100,000 executions are queued
within seconds, exactly as the product itself would have queued them.
"""

import argparse
import base64
import json
import os
import time
import uuid
from collections.abc import Callable

import redis

MODEL = "preload-model"
BATCH = 1000
PATIENCE = 10.0

Swap = dict[str, str]  # what of the model stands for what in a copy


def find_message(broker: redis.Redis, execution_id: str) -> tuple[str, dict]:
    """The queue that holds the model's message, and the message."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for key in broker.scan_iter(_type="list"):
            for text in broker.lrange(key, 0, -1):
                message = json.loads(text)
                if message.get("headers", {}).get("id") == execution_id:
                    return key, message
        time.sleep(0.05)
    raise SystemExit(f"no message with the task id {execution_id} came to the queue")


def replace(text: str, swap: Swap) -> str:
    """The text with the model's ids replaced."""
    for old, new in swap.items():
        text = text.replace(old, new)
    return text


def copier(message: dict) -> Callable[[Swap], str]:
    """A function that makes a copy of the message."""
    body = base64.b64decode(message["body"]).decode()
    tag = message["properties"]["delivery_tag"]
    frame = json.dumps(message | {"body": "@body@"})

    def copy(swap: Swap) -> str:
        packed = base64.b64encode(replace(body, swap).encode()).decode()
        return replace(frame, swap | {tag: str(uuid.uuid4()), "@body@": packed})

    return copy


class Rows:
    """The model's rows in Tocsin's database, from which copies are added."""

    def __init__(self, execution_id: str) -> None:
        import sqlalchemy as sa

        from store import audit
        from store.engine import db
        from store.executions import transitions
        from tasks.messages.backlog import backlog

        self.insert, self.write, self.now, self.again_at = sa.insert, db.write, db.now_ms, backlog.again_at
        self.executions, self.audit = transitions.executions, audit.audit
        with db.read() as connection:
            mine = sa.select(self.executions).where(self.executions.c.id == execution_id)
            self.execution = dict(connection.execute(mine).mappings().one())
            about = sa.select(self.audit).where(self.audit.c.subject == execution_id)
            self.records = [dict(row) for row in connection.execute(about).mappings()]

    def add(self, swaps: list[Swap]) -> None:
        """Insert a copy for each swap, with times as if accepted now."""
        now = self.now()
        times = {"created_at": now, "due_at": self.again_at(self.execution["queue"], now)}
        bare = [{name: record[name] for name in record if name != "id"} | {"at": now} for record in self.records]
        with self.write() as connection:
            rows = [swapped(self.execution, swap) | times for swap in swaps]
            connection.execute(self.insert(self.executions).inline(), rows)
            connection.execute(
                self.insert(self.audit).inline(), [swapped(record, swap) for record in bare for swap in swaps]
            )


def swapped(row: dict, swap: Swap) -> dict:
    """A copy of a row."""
    return {name: replace(value, swap) if isinstance(value, str) else value for name, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("execution", help="id of the model execution")
    parser.add_argument("prefix", help="begin of the ids the sink will see")
    parser.add_argument("count", type=int)
    parser.add_argument("--recorded", action="store_true", help="copy database rows too (Tocsin)")
    options = parser.parse_args()
    broker = redis.Redis(unix_socket_path=os.environ["BENCH_REDIS"], decode_responses=True)  # noqa: TID251
    queue, message = find_message(broker, options.execution)
    copy = copier(message)
    rows = Rows(options.execution) if options.recorded else None
    for start in range(0, options.count, BATCH):
        stop = min(start + BATCH, options.count)
        swaps = [
            {options.execution: fresh_id(options.execution), MODEL: f"{options.prefix}-{n}"} for n in range(start, stop)
        ]
        if rows:
            rows.add(swaps)
        broker.lpush(queue, *map(copy, swaps))


def fresh_id(model: str) -> str:
    """An id like the model's: a UUID, or Tocsin's shape."""
    prefix, dash, rest = model.partition("-")
    if not dash or "-" in rest:
        return str(uuid.uuid4())
    return f"{prefix}-{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:10]}"


if __name__ == "__main__":
    main()
