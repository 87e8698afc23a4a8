"""The vocabulary of playbook definitions: members, aliases and limits."""

from types import MappingProxyType

from playbooks.definitions.parameters import RESERVED

MEMBERS = (
    "id",
    "name",
    "version",
    "description",
    "trigger",
    "parameters",
    "steps",
    "on_failure",
    "max_retries",
    "timeout_minutes",
    "tags",
    "enabled",
    "target_required",
    "exception_step",
)
STRATEGIES = ("abort", "continue", "retry")

#: the members of a step that hold templates, and those that hold conditions
TEMPLATES = ("parameters", "target", "message", "items", "outputs")
CONDITIONS = ("when", "expression", "while")

#: the members of every step
COMMON = (
    "id",
    "name",
    "type",
    "description",
    "when",
    "continue_on_error",
    "on_success",
    "on_failure",
)
#: type → the members that a step of it must have, and those that it may have
REQUIRED = MappingProxyType(
    {
        "action": ("action_ref",),
        "condition": ("expression",),
        "switch": ("expression", "cases"),
        "parallel": ("branches",),
        "loop": ("while", "steps"),
        "for_each": ("items", "steps"),
        "delay": ("seconds",),
        "approval": (),
        "playbook": ("playbook_ref",),
    }
)
OPTIONAL = MappingProxyType(
    {
        "action": ("parameters", "target", "delay_seconds", "timeout_seconds", "retry", "outputs"),
        "condition": ("on_true", "on_false"),
        "switch": ("default",),
        "parallel": ("timeout_seconds",),
        "loop": ("max_iterations", "interval_seconds", "timeout_seconds"),
        "for_each": ("as", "max_concurrency", "timeout_seconds"),
        "delay": (),
        "approval": (
            "message",
            "approvers",
            "audience",
            "not_by_starter",
            "quorum",
            "reject_quorum",
            "notify",
            "reminder_seconds",
            "on_timeout",
            "timeout_seconds",
        ),
        "playbook": ("parameters", "target", "timeout_seconds", "outputs"),
    }
)
#: types without parameters of their own: members of the step may stand there
MEMBERS_IN_PARAMETERS = ("delay", "approval")
TYPES = tuple(REQUIRED)
BRANCH_MEMBERS = ("name", "steps", "on_failure")

#: alias → member
TOP_ALIASES = MappingProxyType({"variables": "parameters", "inputs": "parameters"})
COMMON_ALIASES = MappingProxyType({"next": "on_success"})
ALIASES = MappingProxyType(
    {
        "action": {"action": "action_ref", "action_id": "action_ref"},
        "condition": {"condition": "expression", "if": "expression"},
        "loop": {"expression": "while", "condition": "while"},
        "delay": {"duration_seconds": "seconds", "duration": "seconds"},
        "approval": {"on_approve": "on_success", "on_reject": "on_failure", "timeout_minutes": "timeout_seconds"},
        "playbook": {"playbook": "playbook_ref", "playbook_id": "playbook_ref"},
    }
)
#: what other products call a type of step → its type; these are suggested, not understood
TYPE_SYNONYMS = MappingProxyType(
    {
        **dict.fromkeys(("wait", "sleep", "pause", "timer"), "delay"),
        **dict.fromkeys(
            ("http", "http_request", "webhook", "script", "task", "call", "command", "notification", "function"),
            "action",
        ),
        **dict.fromkeys(("if", "if-condition", "if_condition", "decision", "branch", "when", "filter"), "condition"),
        **dict.fromkeys(("case", "choice", "router"), "switch"),
        **dict.fromkeys(("foreach", "for", "each", "map", "iterate", "batch"), "for_each"),
        **dict.fromkeys(("while", "while-condition", "until", "repeat"), "loop"),
        **dict.fromkeys(("fork", "concurrent", "all", "split"), "parallel"),
        **dict.fromkeys(("manual", "human", "approve", "input", "ask", "question"), "approval"),
        **dict.fromkeys(("subplaybook", "sub_playbook", "sub-playbook", "subflow", "workflow", "run"), "playbook"),
    }
)
#: what other products call a member of a step → the member
MEMBER_SYNONYMS = MappingProxyType(
    {
        "then": "on_true",
        "else": "on_false",
        "do": "steps",
        "uses": "action_ref",
        "ref": "action_ref",
        "workflow": "playbook_ref",
        **dict.fromkeys(("params", "with", "args", "arguments", "inputs", "input"), "parameters"),
        **dict.fromkeys(("over", "in", "list", "for", "foreach"), "items"),
        **dict.fromkeys(("item", "var", "variable"), "as"),
        **dict.fromkeys(("concurrency", "parallelism"), "max_concurrency"),
        **dict.fromkeys(("sleep", "wait", "minutes", "hours"), "seconds"),
        **dict.fromkeys(("timeout", "timeout_ms"), "timeout_seconds"),
        **dict.fromkeys(("retries", "max_retries"), "retry"),
        **dict.fromkeys(("only_if", "run_if"), "when"),
        **dict.fromkeys(("question", "prompt", "text"), "message"),
        **dict.fromkeys(("assignees", "approver"), "approvers"),
        **dict.fromkeys(("requester_may_approve", "four_eyes"), "not_by_starter"),
        **dict.fromkeys(("notify_provider", "provider", "channel"), "notify"),
        "reminder": "reminder_seconds",
        **dict.fromkeys(("asset", "host", "target_asset_id"), "target"),
        **dict.fromkeys(("output", "publish", "export", "set"), "outputs"),
        **dict.fromkeys(("on_error", "catch", "rescue"), "on_failure"),
        **dict.fromkeys(("goto", "then_goto", "on_complete", "on_completion"), "on_success"),
        **dict.fromkeys(("ignore_errors", "allow_failure"), "continue_on_error"),
        **dict.fromkeys(("title", "label"), "name"),
    }
)
#: the same for the members of a playbook
TOP_SYNONYMS = MappingProxyType(
    {
        **dict.fromkeys(("params", "args", "arguments", "input"), "parameters"),
        **dict.fromkeys(("on", "triggers", "when", "schedule", "cron", "event"), "trigger"),
        **dict.fromkeys(("tasks", "workflow", "actions", "nodes"), "steps"),
        **dict.fromkeys(("timeout", "timeout_seconds"), "timeout_minutes"),
        "labels": "tags",
        "title": "name",
        "retries": "max_retries",
        "disabled": "enabled",
        "on_error": "on_failure",
    }
)
#: aliases of the types of parameters, in lower case
PARAMETER_TYPES = MappingProxyType({"finding": "object", "asset": "object", "list": "array"})

#: members that lead to another step → the words that each accepts besides a step id
LINKS = MappingProxyType(
    {
        "on_success": ("next", "end"),
        "on_true": ("next", "end"),
        "on_false": ("next", "end"),
        "default": ("next", "end"),
        "on_failure": ("next", "end", "abort", "continue"),
        "on_timeout": ("next", "end", "abort", "continue"),
    }
)
#: words with a meaning in links: no step can have such an id
LINK_WORDS = frozenset({"next", "end", "abort", "continue", "retry"})
#: the names that every template and condition of a playbook may start from
ROOTS = frozenset({"parameters", "steps", "previous_step", "finding", "asset", "event", "execution", "vars", "target"})
#: names that neither a loop variable nor a parameter can have
RESERVED_NAMES = RESERVED | ROOTS
#: except these: such a parameter replaces the event's value where no event has started the run
GIVEN_BY_EVENTS = frozenset({"finding", "asset"})

#: steps of one playbook, in all blocks together
MAX_STEPS = 5000
#: containers inside containers; deeper steps should be a playbook of their own
MAX_DEPTH = 5
MAX_BRANCHES = 1000
MAX_CASES = 200
MAX_ITEMS = 1000
MAX_OUTPUTS = 100
MAX_APPROVERS = 100
MAX_ITERATIONS = 1000
MAX_CONCURRENCY = 50
#: 30 days
MAX_WAIT_SECONDS = 2_592_000
MAX_RETRIES = 10
#: a year, and the week that a run has by default
MAX_TIMEOUT_MINUTES = 525_600
DEFAULT_TIMEOUT_MINUTES = 10_080
#: characters of the definition as JSON: a request body and what ``normalise`` adds to it
MAX_DEFINITION_CHARACTERS = 2 * 1024 * 1024
#: texts with ``{{ }}`` and conditions of one playbook; reading one takes some 0.1 ms
MAX_TEMPLATES = 20_000
