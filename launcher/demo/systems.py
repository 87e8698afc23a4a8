"""The made-up systems that the demo's playbooks work with.

``answer`` gives the answer of the system at a path, ``state`` the state of firewall, mail, hosts and the rest. The rule
of each answer stands in its function's docstring: what is called ``evil`` is malicious, a patch that is called
``broken`` breaks.
"""

from collections.abc import Callable
from typing import Any

from config.types import Json

#: status and body
Answer = tuple[int, Json]

OK = 200
REFUSED = 422

#: the reading of a scan's state that finds it done
_READINGS = 3


class Systems:
    """The state of the made-up systems.

    Not safe for threads: the caller serialises its calls.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._states: dict[str, dict[str, str]] = {
            name: {} for name in ("blocked", "restricted", "quarantined", "isolated", "patches")
        }
        self._paths: dict[str, Callable[[Json], Answer]] = {
            "/tickets": self._ticket,
            "/chat": self._message,
            "/assets": self._asset,
            "/reputation": self._reputation,
            "/firewall/block": lambda given: self._set("blocked", given, "address"),
            "/firewall/unblock": lambda given: self._unset("blocked", given, "address"),
            "/firewall/restrict": lambda given: self._set("restricted", given, "asset"),
            "/mail/quarantine": lambda given: self._set("quarantined", given, "message_id"),
            "/hosts/isolate": lambda given: self._set("isolated", given, "host"),
            "/patches": self._patch,
            "/compliance": self._compliance,
            "/scans": self._scan,
            "/scans/state": self._scan_state,
        }

    def answer(self, path: str, body: Any) -> Answer:
        """The answer to a POST with this body.

        A path that no system has accepts anything.
        """
        system = self._paths.get(path)
        return system(body if isinstance(body, dict) else {}) if system else (OK, {"received": True})

    def state(self) -> dict[str, list[str]]:
        """The blocked, restricted, quarantined and isolated, and each host's patches."""
        states = {name: sorted(entries) for name, entries in self._states.items()}
        return {**states, "patches": sorted(f"{key}: {phase}" for key, phase in self._states["patches"].items())}

    def _count(self, what: str) -> int:
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what]

    def _ticket(self, _given: Json) -> Answer:
        return OK, {"received": True, "ticket": f"DEMO-{self._count('ticket')}"}

    def _message(self, _given: Json) -> Answer:
        return OK, {"received": True, "message_id": f"msg-{self._count('message')}"}

    def _set(self, state: str, given: Json, name: str) -> Answer:
        self._states[state][str(given.get(name))] = ""
        return OK, {name: given.get(name), state: True}

    def _unset(self, state: str, given: Json, name: str) -> Answer:
        self._states[state].pop(str(given.get(name)), None)
        return OK, {name: given.get(name), state: False}

    @staticmethod
    def _asset(given: Json) -> Answer:
        """Names with ``web`` in them belong to the web team."""
        asset = str(given.get("asset"))
        owner = "team-web" if "web" in asset else "team-infrastructure"
        return OK, {"asset": asset, "owner": owner, "on_call": f"{owner}@example.com"}

    @staticmethod
    def _reputation(given: Json) -> Answer:
        """``evil`` is malicious, ``new`` suspicious, all else clean."""
        indicator = str(given.get("indicator"))
        for word, verdict, score in (("evil", "malicious", 95), ("new", "suspicious", 60)):
            if word in indicator:
                return OK, {"indicator": indicator, "verdict": verdict, "score": score}
        return OK, {"indicator": indicator, "verdict": "clean", "score": 5}

    def _patch(self, given: Json) -> Answer:
        """``incompatible`` fails its dry run, ``broken`` breaks when applied."""
        host, patch, phase = (str(given.get(name)) for name in ("host", "patch", "phase"))
        if (phase == "dry_run" and "incompatible" in patch) or (phase == "apply" and "broken" in patch):
            return REFUSED, {"error": f"{patch} cannot be taken through {phase} on {host}"}
        if phase != "dry_run":
            self._states["patches"][f"{patch} on {host}"] = phase
        return OK, {"host": host, "patch": patch, "phase": phase, "changes": 3}

    @staticmethod
    def _compliance(given: Json) -> Answer:
        """Every host keeps every rule but ``mfa``."""
        check = str(given.get("check"))
        kept = check != "mfa"
        detail = "as it should be" if kept else "2 accounts without a second factor"
        return OK, {"host": given.get("host"), "check": check, "compliant": kept, "detail": detail}

    def _scan(self, given: Json) -> Answer:
        return OK, {"scan_id": f"scan-{self._count('scan')}", "network": given.get("network"), "status": "running"}

    def _scan_state(self, given: Json) -> Answer:
        """The third reading finds the scan done, with two findings."""
        scan_id = str(given.get("scan_id"))
        if self._count(scan_id) < _READINGS:
            return OK, {"scan_id": scan_id, "status": "running", "findings": []}
        findings = [
            {"title": title, "severity": severity, "asset": {"id": asset, "tags": tags}}
            for title, severity, asset, tags in (
                ("OpenSSL out of date", "critical", "web-02", ["production"]),
                ("Directory listing", "low", "web-03", ["staging"]),
            )
        ]
        return OK, {"scan_id": scan_id, "status": "done", "findings": findings}
