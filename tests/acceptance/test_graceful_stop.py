"""The web process stops in good order."""

from tests.support.stack import Stack


def test_what_was_accepted_is_published_before_the_process_ends(stack: Stack) -> None:
    """Triggered while Redis does not answer, told to stop at once: the messages are there when the process is gone."""
    action = stack.api.create_action(config={"url": stack.sink.url, "method": "POST"})
    for name in ("worker", "beat"):  # nobody takes the messages, and nobody publishes in place of the web process
        stack.kill(name)
    before = stack.queued("steps")
    stack.redis.freeze()
    for _ in range(5):
        stack.api.trigger(action)
    web = stack.running["web"]
    web.popen.terminate()
    stack.redis.thaw()
    web.popen.wait(timeout=30)
    assert stack.queued("steps") == before + 5
