"""The action that the demo triggers by itself: a script of ``examples/actions``, in the sandbox."""

from config.types import Json

_LOG = """\
sshd[811]: Failed password for root from 203.0.113.50 port 4711 ssh2
sshd[811]: Failed password for admin from 203.0.113.50 port 4712 ssh2
sshd[812]: Accepted publickey for ana from 192.0.2.7 port 5022 ssh2
sshd[813]: Failed password for bob from 198.51.100.9 port 6001 ssh2
sshd[814]: Failed password for oracle from 203.0.113.50 port 4713 ssh2"""

#: its id, and the name under which it is printed
SHOWN, NAME = "act-triage-script", "Triage script"
#: the process of the Procfile that performs it
SERVED_BY = "web"
TRIGGER: Json = {"target": "web-01", "parameters": {"log": _LOG}}
