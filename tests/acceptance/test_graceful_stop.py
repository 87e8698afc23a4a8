"""The web process stops in good order."""

from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_what_was_accepted_is_published_before_the_process_ends(first_stack: Stack) -> None:
    """Triggered while Redis does not answer, told to stop: as soon as Redis is back the messages are there."""
    stack = first_stack
    action = stack.api.create_action(config={"url": stack.sink.url, "method": "POST"})
    for name in ("worker", "beat"):  # nobody takes the messages, and nobody publishes in place of the web process
        stack.kill(name)
    before = stack.queued("steps")
    stack.redis.freeze()
    for _ in range(5):
        stack.api.trigger(action)
    web = stack.running["web"]
    ends = stack.log("web").count("Worker exiting")
    web.popen.terminate()
    eventually(lambda: stack.log("web").count("Worker exiting") > ends, 20, "every request is answered", every=0.05)
    stack.redis.thaw()
    web.popen.wait(timeout=30)
    assert stack.queued("steps") == before + 5
