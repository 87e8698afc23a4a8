"""The floor's worker: the least a Celery project does, without a record.

``call`` makes one HTTP POST to the sink. Runs of several calls are Celery's own canvases: ``sequence`` a chain whose
tasks pass on what the sink answered, ``fan`` a chord that Redis counts. No database, no authentication; no result is
kept but those that a chord needs.
"""

import os

from celery import Celery, chain, chord
from shapes import ARMS, SEQUENCE

try:
    import requests  # noqa: TID251 - the client a plain Celery project uses; comes with the test tools

    CLIENT = f"requests {requests.__version__}"
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=256))  # for a pool of threads
except ImportError:
    import httpx

    CLIENT = f"httpx {httpx.__version__}"
    session = httpx.Client()

BROKER = os.environ.get("RAW_BROKER", "memory://")  # noqa: TID251
app = Celery("rawcelery", broker=BROKER, backend=os.environ.get("RAW_BACKEND"))  # noqa: TID251
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
SINK = os.environ.get("RAW_SINK", "")  # noqa: TID251
ADDRESSES = {
    "hook": f"{SINK}/hook",
    "slow": f"{SINK}/slow",
    "tls": f"{os.environ.get('RAW_TLS_SINK', '')}/hook",  # noqa: TID251
}


@app.task(name="call")
def call(key: str, where: str = "hook") -> None:
    answer = session.post(ADDRESSES[where], json={"id": key, "text": f"measured {key}"}, timeout=30)
    answer.raise_for_status()
    answer.json()


@app.task(name="part")
def part(value: str, key: str, number: int, of: int, after: int) -> str:
    """One call of a run; returns what the sink answered."""
    body = {"id": key, "part": number, "of": of, "after": after, "value": value}
    answer = session.post(f"{SINK}/part", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()["value"]


@app.task(name="arm", ignore_result=False)
def arm(key: str, number: int) -> str:
    return part("", key, number, ARMS + 1, 0)


@app.task(name="join")
def join(values: list[str], key: str) -> None:
    part(values[-1], key, ARMS + 1, ARMS + 1, ARMS)


def sequence(key: str, steps: int = SEQUENCE):
    later = [part.s(key, number, steps, number - 1) for number in range(2, steps + 1)]
    return chain(part.s("", key, 1, steps, 0), *later).apply_async()


def fan(key: str):
    return chord([arm.si(key, number) for number in range(1, ARMS + 1)])(join.s(key))
