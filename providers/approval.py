"""Executor ``approval``: nothing leaves the machine; the execution waits for a person.

``perform`` renders the question and raises ``Waiting``; the worker then parks the execution until a person
approves or rejects it, or until it expires.
"""

from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.types import Json
from expressions import templates
from playbooks.definitions import asking
from playbooks.states import Mode
from providers import members
from providers.base import Call, ProviderError, Waiting

SECRETS: tuple[str, ...] = ()
ON_LOOP = True

DEFAULT_EXPIRY = 86_400
#: the longest name of an approver
MAX_NAME_CHARACTERS = 255
LONGEST_EXPIRY = 30 * 86_400
MAX_APPROVERS = 100
_KEYS = ("message", "expires_in_seconds", "approvers", "not_by_starter", *asking.MEMBERS)


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """The faults of the config; every key is optional.

    The keys are ``message`` (template) and ``expires_in_seconds`` (1 to 30 days, default one day). ``approvers`` (the
    only ones who may decide) and ``not_by_starter`` are for ``tasks.runs.deciders``, the votes and the notices for
    ``tasks.policy.questions``.
    """
    problems = members.check(config, _KEYS)
    message = config.get("message", "")
    if not isinstance(message, str):
        problems.append(Problem("/message", "Must be text."))
    else:
        problems += [problem.under("/message") for problem in templates.check(message, names)]
    seconds = config.get("expires_in_seconds", DEFAULT_EXPIRY)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= LONGEST_EXPIRY:
        problems.append(Problem("/expires_in_seconds", f"Must be a whole number from 1 to {LONGEST_EXPIRY}."))
    approvers = config.get("approvers", [])
    if not isinstance(approvers, list) or len(approvers) > MAX_APPROVERS or not all(map(_is_name, approvers)):
        words = f"Must be a list of at most {MAX_APPROVERS} ids or names of keys, or roles such as 'role:admin'."
        problems.append(Problem("/approvers", words))
    if not isinstance(config.get("not_by_starter", False), bool):
        problems.append(Problem("/not_by_starter", "Must be true or false."))
    wrong = [(key, fault) for key, rule in asking.RULES.items() if key in config and (fault := rule(config[key]))]
    wrong += asking.clashes(config, ("expires_in_seconds", seconds))
    problems += [Problem(f"/{key}", f"{fault[0].upper()}{fault[1:]}.") for key, fault in wrong]
    return problems


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= MAX_NAME_CHARACTERS


def plan(call: Call) -> Json:
    """The question that ``perform`` would ask, and its expiry."""
    try:
        message = templates.render_text(call.config.get("message", ""), call.context, templates.as_text)
    except templates.TemplateError as error:
        raise ProviderError("template_error", str(error)) from error
    told = {"notify": call.config["notify"]} if "notify" in call.config else {}
    return {"message": message, "expires_in_seconds": call.config.get("expires_in_seconds", DEFAULT_EXPIRY), **told}


def perform(call: Call) -> Any:
    """Ask a person.

    Raises:
        Waiting: always, in live mode: the answer comes from a person.
    """
    question = plan(call)
    if call.mode == Mode.SANDBOX:
        return {"decision": "approved", "simulated": True, "message": question["message"]}
    raise Waiting(seconds=question["expires_in_seconds"], output={"message": question["message"]})
