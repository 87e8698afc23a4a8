"""What earlier tests of this process have left under way, ended."""

from tasks.messages import publisher


def ready_to_publish() -> None:
    """What was rung is delivered or given up, and a broker that was away then is not left alone any more."""
    assert publisher.drain(60)
    publisher._mine()._rest_until = 0.0
