"""What a recurring action names: whether its caller may have that carried out, and whether it can be."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from config.errors import CallerError, Conflict, Forbidden, NotFound, Problem, Unavailable, Unprocessable
from gateway.recurring.written import ACTION, DISPATCH, PLAYBOOK
from playbooks.definitions import parameters
from store.access import Caller
from store.definitions import actions, playbooks
from store.engine import db
from tasks import tenants
from tasks.definitions import provided, revisions

#: kind of a target → the permission to have it carried out
_PERMISSIONS = {ACTION: "execute:actions", PLAYBOOK: "execute:playbooks"}
#: what may pass until it fires
_PASSING = frozenset({"provider_disabled", "action_disabled"})


def require(caller: Caller, tenant: str, namespace: str, values: Mapping[str, Any]) -> None:
    """Refuse what the caller may not have carried out by itself.

    Raises:
        Forbidden: no grant covers it, or the permission is missing.
    """
    tenants.require(caller, tenant, namespace, values["provider"], values["action_type"])
    permission = _PERMISSIONS.get(values["target"])
    if permission is not None and not caller.may(permission):
        text = f"A recurring {values['target']} needs the permission {permission!r}, which your key does not carry."
        raise Forbidden(text)


def check(tenant: str, values: Mapping[str, Any]) -> None:
    """Refuse what could not be carried out now.

    Raises:
        Unprocessable: it is not there, or takes other values. Unavailable.
    """
    given = json.loads(values["payload"])
    if values["target"] == DISPATCH:
        _check_dispatch(tenant, values["provider"], given)
    elif values["target"] == ACTION:
        _check_action(tenant, values["action_type"], given)
    else:
        _check_playbook(tenant, values["action_type"], given)


def _check_dispatch(tenant: str, provider: str, payload: Mapping[str, Any]) -> None:
    try:
        provided.provider(tenant, provider)
    except Unavailable:
        raise
    except Conflict as refusal:
        if refusal.code not in _PASSING:
            raise _unusable("/provider", str(refusal)) from refusal
    except NotFound as refusal:
        hint = "; ".join(one["detail"] for one in refusal.members.get("errors", ()))
        raise _unusable("/provider", f"there is no such provider: {hint}") from refusal
    if (action := provided.standing_for(tenant, provider)) is not None:
        _check_values(action.definition["parameters"], payload, "/payload")


def _check_action(tenant: str, action_id: str, values: Mapping[str, Any]) -> None:
    try:
        head = db.read_one(actions.head, tenant, action_id)
    except NotFound as refusal:
        raise _unusable("/target/action", _sentence(refusal)) from refusal
    definition = revisions.action(head.revision_id).definition
    if definition["executor"] == "opservant":
        raise _unusable("/target/action", "needs an agent (executor opservant), and none is connected")
    _check_values(definition["parameters"], values, "/target/parameters")


def _check_playbook(tenant: str, playbook_id: str, values: Mapping[str, Any]) -> None:
    try:
        head = db.read_one(playbooks.head, tenant, playbook_id)
    except NotFound as refusal:
        raise _unusable("/target/playbook", _sentence(refusal)) from refusal
    definition = revisions.playbook(head.revision_id)[0].definition
    if definition["target_required"]:
        raise _unusable("/target/playbook", "needs the asset that it is to work on, which a schedule does not have")
    if definition["parameters"]:
        _check_values(definition["parameters"], values, "/target/parameters")


def _check_values(declared: Any, values: Mapping[str, Any], pointer: str) -> None:
    secret: Collection[str] = parameters.secret_names(declared)
    text = "is secret: what recurs is kept as it is, so give the secret to the action's config"
    problems = [Problem(f"{pointer}/{name}", text) for name in values if name in secret]
    if not problems:
        problems = [problem.under(pointer) for problem in parameters.resolve(declared, values)[1]]
    if problems:
        raise Unprocessable(problems=problems)


def _unusable(pointer: str, detail: str) -> Unprocessable:
    text = "What the recurring action names cannot be carried out."
    return Unprocessable(text, code="invalid_target", problems=[Problem(pointer, detail)])


def _sentence(refusal: CallerError) -> str:
    text = str(refusal).removesuffix(".")
    return text[:1].lower() + text[1:]
