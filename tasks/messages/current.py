"""The task that is carried out, where Celery does not know it.

Celery keeps the present task and its request for each thread or greenlet. A worker carries out a message on its event
loop and talks to the broker from another thread. Both are given the task here, so that what is published there names
the message that has led to it, and a retry keeps its chain.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from celery import Task, current_task
from celery._state import _task_stack

from event_loop import loop
from event_loop.waiting import inside

Result = TypeVar("Result")


@contextmanager
def task_of(task: Task, request: Any) -> Iterator[None]:
    """Have this thread or greenlet carry out a task for a request."""
    _task_stack.push(task)
    task.request_stack.push(request)
    try:
        yield
    finally:
        task.request_stack.pop()
        _task_stack.pop()


def off_loop(work: Callable[..., Result], *given: Any, **more: Any) -> Result:
    """What ``work(...)`` returns or raises, which talks to the broker; on the event loop a thread calls it.

    The broker may be slow or stand still; the executions that need nothing of it go on.
    """
    if not inside():
        return work(*given, **more)
    task = current_task._get_current_object() if current_task else None  # noqa: SLF001 - the task behind the proxy
    if task is None:
        return loop.offload(work, *given, **more)
    request = task.request_stack.top

    def with_task() -> Result:
        with task_of(task, request):
            return work(*given, **more)

    return loop.offload(with_task)
