"""A Celery app whose task edits its chain and reports it."""

import json
import os

import redis
from celery import Celery, Task

from tasks.runs.handoff import Handoff

SOCKET = os.environ["CHAIN_SOCKET"]  # noqa: TID251
QUEUE = "links"
#: the list to which the tasks report
TOLD = "told"

app = Celery("chains", broker=f"redis+socket://{SOCKET}", set_as_current=False)
app.conf.update(task_default_queue=QUEUE, task_acks_late=True, broker_connection_retry_on_startup=True)


@app.task(bind=True, name="link")
def link(self: Task, name: str, what: str) -> None:
    """Report the links; then remove the next (``taken``), ``cut``, or keep them."""
    links = [one["options"]["task_id"] for one in reversed(self.request.chain or [])]
    client = redis.Redis(unix_socket_path=SOCKET)
    client.rpush(TOLD, json.dumps({"id": self.request.id, "root": self.request.root_id, "links": links}))
    client.close()
    following = links[0] if links else None
    if what == "taken":
        Handoff(self).leave(following, taken=True)
    elif what == "cut":
        Handoff(self).leave(None)
    else:
        Handoff(self).leave(following)
