"""The same promises with RabbitMQ as the broker, where one is at hand (TOCSIN_TEST_AMQP_URL)."""

import os

import pytest

from tests.acceptance.test_chaos import Plan, check, unleash
from tests.support.services import missing
from tests.support.stack import Stack


@pytest.mark.wide
def test_nothing_accepted_is_lost_on_rabbitmq() -> None:
    """Workers, API and beat are killed under load; what was accepted ends, and is not repeated without cause."""
    url = os.environ.get("TOCSIN_TEST_AMQP_URL")  # noqa: TID251
    if not url:
        missing("TOCSIN_TEST_AMQP_URL is not set")
    with Stack("", broker_url=url) as stack:
        kills = ["worker", "worker", "scripts", "web", "beat"]
        check(stack, unleash(stack, Plan(triggers=40, kills=kills, flushes=0, empty_restarts=1, seed=11)))
