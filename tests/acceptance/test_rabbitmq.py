"""RabbitMQ as the broker, where TOCSIN_TEST_AMQP_URL names one, keeps the same promises."""

import os

import pytest

from tests.acceptance.test_chaos import Plan, check, unleash
from tests.support.playbooks import Kit, parallel
from tests.support.services import missing
from tests.support.stack import Stack

#: a parallel step whose branches come one by one, and one that comes in bundles
_SIZES = (("narrow", 3), ("wide", 30))


@pytest.mark.wide
def test_nothing_accepted_is_lost_on_rabbitmq() -> None:
    """Accepted executions end once though workers, API and beat are killed."""
    url = os.environ.get("TOCSIN_TEST_AMQP_URL")  # noqa: TID251
    if not url:
        missing("TOCSIN_TEST_AMQP_URL is not set")
    with Stack("", broker_url=url) as stack:
        kills = ["worker", "worker", "scripts", "web", "beat"]
        check(stack, unleash(stack, Plan(triggers=40, kills=kills, flushes=0, empty_restarts=1, seed=11)))
        stack.heal()
        kit = Kit(stack)
        narrow, wide = [parallel(name, *([kit.act(f"{name}{n}")] for n in range(size))) for name, size in _SIZES]
        run_id = stack.api.run(kit.playbook(kit.act("first"), narrow, kit.act("between"), wide, kit.act("last")))
        assert stack.wait_ended([run_id], 30)[run_id]["status"] == "completed"
        called = kit.called(run_id)
        assert (called[0], called[4], called[-1]) == ("first", "between", "last")
        assert len(called) == len(set(called)) == 3 + sum(size for _, size in _SIZES)
