"""A test starts after the publishing of earlier tests in its process."""

from tasks.messages import publisher


def ready_to_publish() -> None:
    """Wait until publishing has ended, and use the broker again."""
    assert publisher.drain(60)
    publisher.resume()
