"""The actions of the demo, one for each kind of executor that needs no account anywhere."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_TRIAGE = r"""
# Who failed to sign in, and how often? The log comes in as the parameter "log".
declare -A tries
lines=0
while IFS= read -r line; do
  lines=$((lines + 1))
  if [[ $line == *"Failed password"* && $line =~ " from "([0-9a-fA-F.:]+) ]]; then
    address=${BASH_REMATCH[1]}
    tries[$address]=$((${tries[$address]:-0} + 1))
  fi
done <<< "$PARAM_LOG"
suspect=none
most=0
for address in "${!tries[@]}"; do
  if ((tries[$address] > most)); then
    most=${tries[$address]}
    suspect=$address
  fi
done
echo "read $lines lines, ${#tries[@]} addresses failed to sign in"
verdict=quiet
if ((most >= 3)); then verdict=brute-force; fi
printf '{"suspect": "%s", "failures": %d, "verdict": "%s"}\n' "$suspect" "$most" "$verdict"
"""

_LOG = """\
sshd[811]: Failed password for root from 203.0.113.50 port 4711 ssh2
sshd[811]: Failed password for admin from 203.0.113.50 port 4712 ssh2
sshd[812]: Accepted publickey for ana from 192.0.2.7 port 5022 ssh2
sshd[813]: Failed password for bob from 198.51.100.9 port 6001 ssh2
sshd[814]: Failed password for oracle from 203.0.113.50 port 4713 ssh2"""


@dataclass(frozen=True, kw_only=True)
class Showpiece:
    """An action, and how the demo triggers it; ``served_by`` names the process of the Procfile that performs it."""

    definition: Json
    served_by: str
    trigger: Json = field(default_factory=dict)


def showpieces(receiver: str) -> list[Showpiece]:
    """The demo's actions in the order in which they are shown; ``receiver`` is the URL that the first one calls."""
    return [
        Showpiece(
            served_by="worker",
            trigger={
                "target": "web-01",
                "parameters": {"title": "Repeated sign-in failures on web-01", "severity": "high"},
            },
            definition={
                "id": "act-notify-receiver",
                "name": "Notify receiver",
                "type": "webhook",
                "description": "Open a ticket at the ticket system that comes with the demo.",
                "executor": "webhook",
                "parameters": [
                    {"name": "title", "type": "string", "required": True},
                    {
                        "name": "severity",
                        "type": "enum",
                        "required": False,
                        "default": "medium",
                        "options": ["low", "medium", "high", "critical"],
                    },
                ],
                "config": {
                    "url": f"{receiver}/tickets",
                    "method": "POST",
                    "body": {"title": "{{ title }}", "severity": "{{ severity }}", "asset": "{{ target }}"},
                },
                "tags": ["demo"],
                "timeout_seconds": 30,
            },
        ),
        Showpiece(
            served_by="scripts",
            trigger={"target": "web-01", "parameters": {"log": _LOG}},
            definition={
                "id": "act-triage-script",
                "name": "Triage script",
                "type": "script",
                "description": "Find in a log who failed to sign in most often; runs isolated, without network.",
                "executor": "local",
                "parameters": [{"name": "log", "type": "string", "required": True}],
                "config": {"interpreter": "bash", "script": _TRIAGE.lstrip()},
                "tags": ["demo"],
                "timeout_seconds": 30,
            },
        ),
    ]


def block_ip() -> Json:
    """An action made of a Python function of ``examples/actions``: there for the reader to trigger."""
    return {
        "id": "act-block-ip",
        "name": "Block IP",
        "type": "containment",
        "description": "Block an address for some hours (examples/actions/block_ip.py; it only writes the rule down).",
        "executor": "local",
        "parameters": [
            {"name": "ip", "type": "string", "required": True},
            {
                "name": "duration_hours",
                "type": "integer",
                "required": False,
                "default": 24,
                "validation": {"min": 1, "max": 720},
            },
            {"name": "reason", "type": "string", "required": False, "default": ""},
        ],
        "config": {"handler": "block_ip"},
        "tags": ["demo"],
        "timeout_seconds": 30,
    }
