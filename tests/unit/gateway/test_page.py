"""The examples of docs/gateway.md are a folder without faults, and its rules do what they say."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.configuration.folder import load
from gateway.configuration.providers import Surroundings
from gateway.rules.decide import decide
from tests.support.gateway_folder import check_config
from tests.support.rules import Records, facts

PAGE = Path(__file__).parents[3] / "docs/gateway.md"
ENVIRONMENT = {"PAGER_KEY": "R0123456789012345678901234567890", "TICKETS_TOKEN": "t0ken"}


@pytest.fixture(scope="module")
def generation():
    blocks = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = load(dict(blocks), Surroundings(ENVIRONMENT, check_config))
    assert found.faults == []
    return found.generation


def test_the_examples_are_a_folder(generation):
    """There are twelve rules, and the providers and the chain that they name."""
    assert len(generation.rules) == 12
    assert generation.chains["enrich-and-page"]["total_steps"] == 3


FRIDAY = int(datetime(2026, 7, 3, 19, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("given", "recorded", "rule"),
    [
        ({"origin": "step", "category": "containment", "at": FRIDAY}, {}, "change-freeze"),
        ({"origin": "step", "category": "containment"}, {}, None),
        ({"origin": "trigger", "action_type": "act-isolate-host"}, {}, "five-hosts-an-hour"),
        ({"category": "containment", "metadata": {"target": "dc1.example.org"}}, {}, "never-the-domain-controllers"),
        ({"metadata": {"environment": "staging"}}, {}, "test-alerts"),
        ({"action_type": "send_alert", "provider": "x"}, {}, "once-in-five-minutes"),
        ({"provider": "mail", "payload": {"severity": "critical", "score": 1.0}}, {}, "urgent-to-the-pager"),
        ({"provider": "mail", "payload": {"severity": "low"}}, {}, "mail-in-its-turn"),
        ({"action_type": "pod_restarted"}, {"cluster_down": 1}, "quiet-while-the-cluster-is-down"),
        ({"action_type": "pod_restarted"}, {}, None),
    ],
)
def test_the_rules_match_what_they_say(generation, given, recorded, rule):
    """Each rule decides about the execution that its description means."""
    asked = facts(**given)
    verdict = decide(generation.ruleset().candidates(*asked.key), asked, Records(recorded))
    assert verdict.rule == rule


def test_a_report_about_phishing_needs_a_look(generation):
    """What is similar to the topic waits for an approval; what is not goes out."""

    class Meanings:
        threshold = 0.3

        def similarity(self, topic, text):
            return 0.4 if "phishing" in topic.text and "password" in text else 0.1

        def note(self, result):
            pass

    for text, rule in (("asks for my password", "phishing-needs-a-look"), ("the lamp is broken", None)):
        asked = facts(action_type="forward_report", payload={"description": text})
        rules = generation.ruleset().candidates(*asked.key)
        assert decide(rules, asked, Records({}), meaning=Meanings()).rule == rule


def test_rules_that_continue_leave_their_mark(generation):
    """A mail is marked, and then waits its turn."""
    asked = facts(provider="mail", payload={"severity": "low", "debug": 1})
    verdict = decide(generation.ruleset().candidates(*asked.key), asked, Records({}))
    assert verdict.patches == ({"footer": "Sent by Tocsin", "debug": None},)
    assert verdict.effect.on_excess == "wait"


def test_a_shadow_rule_only_records(generation):
    """More than ten pages in an hour are noted in the verdict, and go out."""

    class Many:
        def count(self, query, most):
            return min(11, most)

    asked = facts(provider="pager", action_type="page")
    verdict = decide(generation.ruleset().candidates(*asked.key), asked, Many())
    assert verdict.rule is None
    assert [shadow.rule for shadow in verdict.shadows] == ["try-a-stricter-limit"]
