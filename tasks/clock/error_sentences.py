"""One fixed sentence for each error code: what monitors may show.

The message of an error can quote a parameter, an answer or a script's output. Monitors, such as Flower, have a password
of their own and no roles, so they show none of that: the code and a sentence from here. The API has the message.
"""

from collections.abc import Mapping
from typing import Any

#: code → sentence; ``{status}`` and ``{exit_code}`` are numbers of the error's details
SENTENCES = {
    "action_disabled": "The action is disabled.",
    "action_missing": "The action is gone.",
    "already_running": "The playbook runs for this asset already.",
    "apprise_failed": "Apprise could not confirm the message.",
    "approval_expired": "The time for a decision is up.",
    "attempts_exhausted": "The action lost its worker too often.",
    "bad_expression": "A condition or an expression could not be evaluated.",
    "bad_items": "The items of a loop are no list, or too many.",
    "bad_output": "What the function returned is not JSON.",
    "bad_parameters": "A parameter is missing or has another type.",
    "bad_template": "A template could not be filled in.",
    "branch_failed": "A branch failed.",
    "connection_failed": "The receiver could not be reached.",
    "egress_refused": "The address is not allowed.",
    "environment": "A variable of the environment that the provider names is not set.",
    "handler_failed": "The function raised an exception.",
    "http_status": "The receiver answered {status}.",
    "http_timeout": "The receiver did not answer in time.",
    "internal_error": "Tocsin broke; the worker's log says where.",
    "invalid_address": "The address of a recipient is not valid.",
    "invalid_config": "The config of the action is not valid.",
    "invalid_header": "A header is not valid.",
    "invalid_parameters": "A parameter is not valid.",
    "invalid_request": "A value is not valid.",
    "loop_limit": "The loop did not end within its iterations.",
    "mock_failure": "The mock provider fails, as it is configured.",
    "model_unreadable": "The local model for comparing texts cannot be read.",
    "no_agent": "No agent is connected that could carry this out.",
    "no_tokens": "The text has nothing that the model knows.",
    "not_found": "The playbook or action does not exist.",
    "pass_failed": "An item or an iteration failed.",
    "not_installed": "An extra of the installation is missing.",
    "playbook_disabled": "The playbook is disabled.",
    "playbook_failed": "The playbook that the step started did not complete.",
    "provider_disabled": "The provider is disabled.",
    "rejected": "The approval was rejected.",
    "response_too_large": "The answer is too large.",
    "response_unreadable": "The answer could not be unpacked.",
    "run_too_large": "The run has come to more steps than it may have.",
    "sandbox_unavailable": "Scripts cannot be isolated on this machine.",
    "script_failed": "The script ended with exit code {exit_code}.",
    "script_limit": "The script exceeded a limit.",
    "sealed": "A sealed value does not open.",
    "smtp_failed": "The mail server refused or failed.",
    "smtp_tls_failed": "The mail server offers no valid TLS.",
    "stalled": "Nothing of the run was under way any more.",
    "step_failed": "A step failed.",
    "stopped": "Nothing of the tenant goes out until the stop is lifted.",
    "target_required": "The asset is missing.",
    "template_error": "A template could not be filled in.",
    "timeout": "The time-out was reached.",
    "tls_verification_failed": "The certificate of the receiver is not valid.",
    "too_deep": "Playbooks start playbooks too deep.",
    "too_many_runs": "The run may not start more runs.",
    "unknown_handler": "The worker has no function of that name.",
    "unprocessable": "A value is not valid.",
    "worker_lost": "The worker was lost; nobody knows whether the action had its effect.",
}
#: for a code without a sentence, which a function of the operator may have made up
OTHER = "failed: The API has the error of this execution."


def sentence(error: Mapping[str, Any] | None) -> str:
    """The code of an error and its sentence, without any value."""
    given = error or {}
    code = str(given.get("code"))
    if code not in SENTENCES:
        return OTHER
    details = given.get("details")
    numbers = {"status": "with another status than 2xx", "exit_code": "other than 0"}
    for name in numbers:
        number = details.get(name) if isinstance(details, dict) else None
        if isinstance(number, int):
            numbers[name] = str(number)
    return f"{code}: {SENTENCES[code].format_map(numbers)}"
