"""Rules: try them, switch them, load them and roll them back."""

from __future__ import annotations

import click

from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.suggestions import complete
from tocsin.cli.verb import declare

rules, embeddings = noun("rules"), noun("embeddings")
_REQUEST = ("namespace", "tenant", "provider", "action_type", "origin", "payload", "metadata", "status", "fingerprint")
_TRYING = ("dedup_key", "include_disabled", "evaluate_all", "evaluate_at", "mock_state", "mock_events")


def _get(here: Session, _: Request, rule: str) -> None:
    """One of the rules; the server has no operation for it."""
    from tocsin.cli.failures import MISSING, Failure
    from tocsin.cli.output.formats import show_one

    known = {one["name"]: one.to_dict() for one in here.items("listRules", {}, {})}
    if rule not in known:
        import difflib

        near = difflib.get_close_matches(rule, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise Failure(f"There is no rule {rule}{hint}", MISSING, "not_found")
    show_one(here, known[rule], "Rule")


declare(rules, "list", "listRules", "The rules in force, in the order in which they are asked.")
declare(
    rules,
    "get",
    "listRules",
    "One rule.",
    act=_get,
    more=[click.Argument(["rule"], metavar="RULE_NAME", shell_complete=complete("rule_name"))],
)
declare(
    rules,
    "evaluate",
    "evaluateRules",
    "What the rules would decide, rule by rule; nothing goes out.",
    members=(*_REQUEST, *_TRYING),
    file="may",
)
declare(
    rules,
    "simulate",
    "simulateRules",
    "Decide what came once more, by other rules.",
    members=("rules", "hours", "from", "to", "limit", "namespace", "tenant"),
    file="may",
)
declare(rules, "coverage", "getCoverage", "What the rules cover, and which of them nothing reaches.")
declare(rules, "history", "listGenerations", "The configurations that were in force, the newest first.")
declare(
    rules,
    "rollback",
    "rollBackRules",
    "Put an earlier configuration in force again.",
    arguments=("generation",),
    asks="Put configuration {generation} in force again?",
)
declare(rules, "reload", "reloadRules", "Load the configuration folder; what has faults changes nothing.")
declare(rules, "enable", "enableRule", "Switch a rule on.", fixed={"enabled": True}, said="{rule_name} is on.")
declare(
    rules,
    "disable",
    "enableRule",
    "Switch a rule off.",
    fixed={"enabled": False},
    asks="Switch the rule {rule_name} off?",
    said="{rule_name} is off.",
)
declare(embeddings, "compare", "compareTexts", "How near a text is to a topic.", arguments=("text", "topic"))
