"""The actions of the demo, none of which needs an account anywhere.

``showpiece`` is a script that is triggered by itself; ``for_playbooks`` are the calls of which the example playbooks
are made; ``block_ip`` is a Python function for the reader to try.
"""

from dataclasses import dataclass, field

from config.types import Json

_TRIAGE = r"""
# Who failed to sign in, and how often? The log comes in as the parameter "log".
declare -A tries
lines=0
while IFS= read -r line; do
  lines=$((lines + 1))
  if [[ $line == *"Failed password"* && $line =~ " from "([0-9a-fA-F.:]+) ]]; then
    address=${BASH_REMATCH[1]}  # digits, letters, dots, colons: nothing that arithmetic could take for code
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
    """An action, and the demo's trigger for it.

    ``served_by`` names the process of the Procfile that performs it.
    """

    definition: Json
    served_by: str
    trigger: Json = field(default_factory=dict)


def showpiece() -> Showpiece:
    """The script that the demo triggers by itself, in the sandbox."""
    return Showpiece(
        served_by="workers",
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
    )


#: id, type, path at the receiver, parameters, and purpose
_CALLS = (
    ("act-notify", "notification", "/chat", ("channel", "message"), "Write to a channel of the chat."),
    ("act-create-ticket", "webhook", "/tickets", ("title", "severity", "asset"), "Open a ticket."),
    ("act-lookup-asset", "enrichment", "/assets", ("asset",), "Look up who an asset belongs to."),
    ("act-check-reputation", "enrichment", "/reputation", ("indicator",), "Ask what is known of an indicator."),
    ("act-firewall-block", "containment", "/firewall/block", ("address",), "Block an address at the firewall."),
    ("act-firewall-unblock", "remediation", "/firewall/unblock", ("address",), "Unblock an address again."),
    ("act-restrict-access", "containment", "/firewall/restrict", ("asset",), "Let only administrators reach an asset."),
    ("act-quarantine-mail", "containment", "/mail/quarantine", ("message_id",), "Take a mail out of all mailboxes."),
    ("act-isolate-host", "containment", "/hosts/isolate", ("host",), "Cut a host off the network."),
    ("act-patch", "remediation", "/patches", ("host", "patch", "phase"), "Take a patch through a phase on a host."),
    ("act-check-compliance", "investigation", "/compliance", ("host", "check"), "See whether a host keeps a rule."),
    ("act-start-scan", "investigation", "/scans", ("network",), "Start a scan of a network."),
    ("act-read-scan", "investigation", "/scans/state", ("scan_id",), "Read how far a scan is, and its findings."),
)


def for_playbooks(receiver: str) -> list[Json]:
    """The actions of the example playbooks, calls of the made-up systems.

    ``receiver`` is the URL of these systems. A playbook knows an action by its id: define these ids as calls of your
    own systems, and the playbooks work there.
    """
    return [
        {
            "id": action_id,
            "name": action_id.removeprefix("act-").replace("-", " ").capitalize(),
            "type": kind,
            "description": description,
            "executor": "webhook",
            "parameters": [{"name": name, "type": "string", "required": True} for name in names],
            "config": {"url": receiver + path, "body": {name: f"{{{{ {name} }}}}" for name in names}},
            "tags": ["demo"],
            "timeout_seconds": 30,
        }
        for action_id, kind, path, names, description in _CALLS
    ]


def block_ip() -> Json:
    """An action from ``examples/actions`` for the reader to trigger."""
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
