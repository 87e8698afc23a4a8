"""What earlier tests of this process have left under way, ended."""

from tasks.messages import publisher


def ready_to_publish() -> None:
    """What was published is delivered or given up, and a broker that was away then is used again."""
    assert publisher.drain(60)
    publisher.resume()
