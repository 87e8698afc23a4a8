"""The codes with which an execution, a step or a run ends."""

from config.error_codes.entry import ErrorCode, ended

ROWS: tuple[ErrorCode, ...] = (
    ended(
        "apprise_failed",
        "Apprise could not confirm the message.",
        "Look whether it came; check the address of the service.",
    ),
    ended(
        "approval_expired", "The time for a decision is up.", "Run it again; give the approval more time or a reminder."
    ),
    ended(
        "attempts_exhausted",
        "The action lost its worker too often.",
        "Look into the workers' log. Find out whether it had its effect before you repeat it.",
    ),
    ended(
        "bad_expression",
        "A condition or an expression could not be evaluated.",
        "The message names the part; a dry run shows it, too.",
    ),
    ended("bad_items", "The items of a loop are no list, or too many.", "Let `items` give a list of at most 1,000."),
    ended("bad_output", "What the function returned is not JSON.", "Return text, numbers, lists and objects only."),
    ended(
        "bad_parameters",
        "A parameter is missing or has another type.",
        "Compare the step with the declared parameters.",
    ),
    ended("bad_template", "A template could not be filled in.", "The message names the template and what it lacks."),
    ended("branch_failed", "A branch failed.", "Look at the steps of the branch that the message names."),
    ended(
        "connection_failed",
        "The receiver could not be reached.",
        "Check host, port and network; such a failure is retried.",
    ),
    ended(
        "egress_refused",
        "The address is not allowed.",
        "The operator allows it in TOCSIN_EGRESS_ALLOW, if it is meant.",
    ),
    ended(
        "environment",
        "A variable of the environment that the provider names is not set.",
        "The operator sets it for the workers.",
    ),
    ended("handler_failed", "The function raised an exception.", "The execution's logs have its message."),
    ended("http_status", "The receiver answered {status}.", "`details` has the status and the body of its answer."),
    ended(
        "http_timeout",
        "The receiver did not answer in time.",
        "It may have done the work: look there first. Give the action more time if it is slow.",
    ),
    ended("invalid_address", "The address of a recipient is not valid.", "Correct the recipient."),
    ended(
        "invalid_config", "The config of the action is not valid.", "Validate the action; the message names the member."
    ),
    ended("invalid_header", "A header is not valid.", "Headers hold printable text without line breaks."),
    ended(
        "loop_limit",
        "The loop did not end within its iterations.",
        "Look why its condition still holds, or raise `max_iterations`.",
    ),
    ended("mock_failure", "The mock provider fails, as it is configured.", "Nothing: it is meant for tests."),
    ended(
        "model_unreadable",
        "The local model for comparing texts cannot be read.",
        "The operator installs the model again.",
    ),
    ended("no_tokens", "The text has nothing that the model knows.", "Compare longer texts."),
    ended(
        "pass_failed", "An item or an iteration failed.", "Look at the steps of the iteration that the message names."
    ),
    ended(
        "playbook_failed",
        "The playbook that the step started did not complete.",
        "Look at the run that the step's output names.",
    ),
    ended("rejected", "The approval was rejected.", "The message has the note of who has rejected it."),
    ended("response_too_large", "The answer is too large.", "Ask the receiver for less: at most 1 MiB is read."),
    ended(
        "response_unreadable",
        "The answer could not be unpacked.",
        "The receiver's compression is broken, or not what it says.",
    ),
    ended(
        "run_too_large",
        "The run has come to more steps than it may have.",
        "Loop over fewer items, or split the playbook.",
    ),
    ended(
        "script_failed",
        "The script ended with exit code {exit_code}.",
        "`details.stderr` and the logs have what it said.",
    ),
    ended(
        "script_limit",
        "The script exceeded a limit.",
        "The message names the limit: time, memory, processes or output.",
    ),
    ended("smtp_failed", "The mail server refused or failed.", "The message has the server's answer."),
    ended(
        "smtp_tls_failed", "The mail server offers no valid TLS.", "Check its certificate and the provider's settings."
    ),
    ended(
        "stalled",
        "Nothing of the run was under way any more.",
        "Retry the run, and tell the operator: this should not happen.",
    ),
    ended(
        "step_failed",
        "A step failed.",
        "`step_id` names it, `cause` is the code of its own error. Retry the run when that is mended.",
    ),
    ended(
        "stopped",
        "Nothing of the tenant goes out until the stop is lifted.",
        "Wait until the stop is lifted; `GET /health` lists stops.",
    ),
    ended("template_error", "A template could not be filled in.", "The message names the template and what it lacks."),
    ended(
        "timeout",
        "The time-out was reached.",
        "It may have had its effect: look first. Give it more time if it is slow.",
    ),
    ended(
        "tls_verification_failed",
        "The certificate of the receiver is not valid.",
        "Renew the certificate, or correct the host.",
    ),
    ended("too_many_runs", "The run may not start more runs.", "Loop over fewer items, or split the playbook."),
    ended(
        "unknown_handler",
        "The worker has no function of that name.",
        "Look at `function_files` of `GET /health`: a file may have faults.",
    ),
    ended(
        "worker_lost",
        "The worker was lost; it is not known whether the action had its effect.",
        "Find out whether it had its effect before you repeat it.",
    ),
)
