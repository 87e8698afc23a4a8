"""The Celery app: its queues, its limits, its behaviour in an outage.

The database is the truth, hence these choices: messages carry ids only; results are not kept (the result backend only
counts the members of chords); a message is acknowledged when its work starts (the lease in the database brings it back,
not the broker); publishing never waits or retries (tick republishes what was lost).
"""

from typing import Any

from celery import Celery

from config.settings import settings
from tasks.broker import PromptAMQP

#: queue → what it carries. A worker asks them in the order of its -Q line: containment goes before the notification
#: that reports it.
QUEUES = {
    "urgent": "remediation and containment: outside calls that stop harm",
    "steps": "every other outside call",
    "notifications": "messages to people",
    "bulk": "what exceeds the allowance of its caller, and the branches of wide steps: small runs overtake it",
    "slow": "calls that got no permit or slot because they, or calls like them, take long; workers requeue them",
    "scripts": "sandboxed scripts and the operator's Python actions, on killable processes",
    "quarantine": "executions that lost their worker twice: retried in isolation",
    "control": "tick and maintenance",
}


def _transport_options(broker_url: str) -> dict[str, Any]:
    if not broker_url.startswith("redis"):
        return {"max_retries": 0, "confirm_publish": True}
    return {
        # fail at once when Redis is away: without this every publish after the first costs seconds
        "max_retries": 0,
        "socket_timeout": 20,  # above the blocking read's own time-out
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": 15,
        # the order of -Q, but bulk first now and then
        "queue_order_strategy": "tasks.queue_order:QueueOrder",
        "visibility_timeout": 3600,
    }


def create_app() -> Celery:
    """The app of this process."""
    app = Celery("tocsin", amqp=PromptAMQP, set_as_current=True)
    url = settings().broker_url
    app.conf.update(
        broker_url=url,
        broker_transport_options=_transport_options(url),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=3,
        result_backend=settings().chords_url,  # counts the members of chords; results are not kept
        result_backend_transport_options={"retry_policy": {"max_retries": 0}, "socket_connect_timeout": 1},
        result_expires=86_400,
        result_chord_expires=86_400,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        task_publish_retry=False,
        task_default_queue="steps",
        task_track_started=False,
        task_create_missing_queues=True,
        worker_consumer="worker.consumer:Consumer",
        worker_direct=True,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=1000,
        # else a thread of the pool raises it again after a reconnect, over the socket that the main loop reads
        worker_enable_prefetch_count_reduction=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,  # a monitor switches events on when it runs; they cost nothing before
        task_annotations={"*": {"send_events": False}},  # tick reports what the database says (tasks.clock.monitors)
        worker_enable_remote_control=True,
        event_queue_expires=60,
        beat_schedule={
            "tick": {"task": "tocsin.tick", "schedule": 1.0, "options": {"queue": "control", "expires": 10}},
            "probe": {"task": "tocsin.probe_workers", "schedule": 15.0, "options": {"queue": "control", "expires": 15}},
            "upkeep": {"task": "tocsin.upkeep", "schedule": 300.0, "options": {"queue": "control", "expires": 300}},
        },
        beat_scheduler="worker.intervals:Intervals",
        beat_max_loop_interval=1,
        enable_utc=True,
        timezone="UTC",
        include=[f"tasks.entrypoints.{name}" for name in ("actions", "completions", "maintenance", "runs", "tick")],
    )
    return app


app = create_app()
