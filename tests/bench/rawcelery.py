"""The floor's worker: the least a Celery project does for the same work, with no record of it.

The task makes one HTTP POST to the sink. No database, no authentication; results are ignored.
"""

import os

from celery import Celery

try:
    import requests  # noqa: TID251 - the client a plain Celery project uses; comes with the test tools

    CLIENT = f"requests {requests.__version__}"
    session = requests.Session()
except ImportError:
    import httpx

    CLIENT = f"httpx {httpx.__version__}"
    session = httpx.Client()

app = Celery("rawcelery", broker=os.environ.get("RAW_BROKER", "memory://"))  # noqa: TID251
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
SINK = os.environ.get("RAW_SINK", "")  # noqa: TID251


@app.task(name="call")
def call(key: str) -> None:
    answer = session.post(f"{SINK}/hook", json={"id": key, "text": f"measured {key}"}, timeout=30)
    answer.raise_for_status()
    answer.json()
