"""``/v1/rules``: the rules in force, their load, their switches, their history, and their explanation."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response

from api.gateway import examples, schemas
from api.gateway.dispatch.answers import is_tagged
from api.http import examples as http_examples
from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.times import stamp
from config.errors import Unavailable
from gateway import current, grants
from gateway.facts import Facts
from gateway.grants import Grant
from gateway.rules.recorded import MockRecords
from gateway.rules.trace import Options, trace
from store.engine import db
from store.gateway import configurations
from store.records import matches
from tasks import tenants
from tasks.generations import changes, follow, unknown
from tasks.generations.changes import Author
from tasks.offload import pool
from tasks.policy import meaning

blueprint = Blueprint("rules", __name__, tag="rules")

#: what counts as lately, ms
LATELY = 86_400_000
_SWITCH, _ROLLBACK, _EVALUATION = schemas.Switch(), schemas.Rollback(), schemas.Evaluation()
_RULE_NAME = {
    "in": "path",
    "name": "rule_name",
    "description": "The rule's name.",
    "example": "test-alerts",
    "schema": {"type": "string"},
}


def _author() -> Author:
    return Author(caller().key_id, caller().workspace_id)


@blueprint.get("/v1/rules")
@requires("read:actions")
@blueprint.answers(200, schemas.Rules(), example=examples.RULES, words="The rules, in the order of asking.")
def list_rules() -> Response:
    """List rules.

    Those that may concern a tenant of the caller. matched_24h counts the records of these tenants that each rule has
    decided in the last day.
    """
    follow.look()
    held, own = current.held(), tenants.of(caller())
    shown = [rule for rule in held.ruleset.listed() if grants.may_concern(own, rule["tenants"] or ())]
    counts = _matched(own, [rule["name"] for rule in shown])
    shown = [{**rule, "matched_24h": None if counts is None else counts.get(rule["name"], 0)} for rule in shown]
    return answer(shown if is_tagged() else {"rules": shown, "generation": held.loaded})


def _matched(own: Sequence[Grant], rules: Sequence[str]) -> Mapping[str, int] | None:
    """How often each rule has decided lately; None where counting would take too long."""
    try:
        return pages.read(matches.counted, own, rules, db.now_ms() - LATELY)
    except Unavailable:
        return None


@blueprint.post("/v1/rules/reload")
@requires("manage:rules")
@blueprint.answers(200, schemas.Loading(), example=examples.LOADED, words="What is in force now.")
def reload_rules() -> Response:
    """Reload rules.

    The configuration folder is loaded: rules, providers, circuit breakers and chains together, all or nothing. With any
    fault the answer has errors, and what was in force stays in force. The answer comes when every process that decides
    has the new generation, at most a second later; a process that has not by then looks before it decides. The folder
    is TOCSIN_CONFIG_DIR; a request cannot name another. It needs a grant over all tenants.
    """
    tenants.require_whole(caller())
    return answer(changes.load(_author()).members())


@blueprint.put("/v1/rules/<path:rule_name>/enabled", parameters=[_RULE_NAME])
@requires("manage:rules")
@blueprint.arguments(_SWITCH, example={"enabled": False})
@blueprint.answers(
    200, schemas.Switched(), example=examples.SWITCHED, words="Every process obeys.", fails=(404,), takes_body=True
)
def enable_rule(given: dict[str, Any], rule_name: str) -> Response:
    """Enable or disable a rule.

    The switch stays through every load and restart, whatever the file of the rule says. It needs a grant over the
    tenants that the rule names, over all if it names none.
    """
    follow.look()
    rule = current.held().ruleset.named(rule_name)
    tenants.require_whole(caller(), rule.tenants if rule is not None else ())
    shown = changes.switch(rule_name, enabled=given["enabled"], author=_author())
    return answer({"name": rule_name, "enabled": given["enabled"], "applied": shown})


@blueprint.get("/v1/rules/history")
@requires("read:actions")
@blueprint.arguments(pages.PageQuery(), location="query")
@blueprint.answers(
    200,
    schemas.History(),
    example={"data": [examples.GENERATION], "meta": http_examples.META},
    words="One page of generations, newest first.",
)
def list_generations(query: dict[str, Any]) -> Response:
    """List generations of the configuration.

    The newest hundred are kept.
    """
    with db.read() as connection:
        found = configurations.history(connection, pages.part(query))
        in_force = configurations.standing(connection).generation
    shown = [
        {
            "generation": row.generation,
            "in_force": row.generation == in_force,
            "source": row.source,
            "rules": row.rules,
            "loaded_at": stamp(row.loaded_at),
            "loaded_by": row.loaded_by,
        }
        for row in found.rows
    ]
    return pages.page(shown, found, query)


@blueprint.post("/v1/rules/rollback")
@requires("manage:rules")
@blueprint.arguments(_ROLLBACK, example={"generation": 3})
@blueprint.answers(
    200,
    schemas.Loading(),
    example=examples.LOADED,
    words="What is in force now.",
    fails=(404, "calendar_missing", "calendar_exists"),
    takes_body=True,
)
def roll_back_rules(given: dict[str, Any]) -> Response:
    """Restore an earlier generation.

    It becomes the newest, with the providers that it had. The folder is not changed, and is not loaded again before
    its files change or a reload is asked for. It needs a grant over all tenants.
    """
    tenants.require_whole(caller())
    return answer(changes.roll_back(given["generation"], _author()).members())


@blueprint.post("/v1/rules/evaluate")
@requires("read:actions")
@blueprint.arguments(_EVALUATION, example=examples.EVALUATION)
@blueprint.answers(200, schemas.Trace(), example=examples.TRACE, words="The decision, rule by rule.", takes_body=True)
def evaluate_rules(given: dict[str, Any]) -> Response:
    """Evaluate rules.

    What they would decide about an execution, and why; nothing is executed, counted or recorded. Values that are named
    or written like credentials are masked. Of a semantic_match the similarity is shown.
    """
    tenants.require_named(caller(), given["tenant"])
    follow.look()
    moment = given["evaluate_at"]
    facts = Facts(
        given["origin"],
        given["namespace"],
        given["tenant"],
        given["provider"],
        given["action_type"],
        db.now_ms() if moment is None else int(moment.timestamp() * 1000),
        given["payload"],
        given["metadata"],
        status=given["status"],
        fingerprint=given["fingerprint"],
        dedup_key=given["dedup_key"],
        caller=caller().key_id,
    )
    options, held = Options(given["include_disabled"], given["evaluate_all"]), current.held()
    ruleset, configured = held.ruleset, held.generation.providers
    records = MockRecords(given["mock_state"], given["mock_events"])
    meanings = meaning.prepared(ruleset.rules, facts)
    body = pool.in_turn(trace, ruleset, facts, records, options, held.calendars, meanings).body
    own = tenants.of(caller())
    seen = {rule.name: rule.form for rule in ruleset.rules if grants.may_concern(own, rule.tenants)}
    asked = unknown.warning(given["provider"], configured)
    doubts = ([asked] if asked else []) + unknown.warnings(seen.values(), configured)
    shown = [entry for entry in body["trace"] if entry["rule_name"] in seen]
    return answer({**body, "trace": shown, "warnings": doubts})
