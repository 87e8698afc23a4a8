"""Example bodies of bundles."""

from typing import Any

_FUNCTION: dict[str, Any] = {
    "action_id": "act-acme-firewall-block_ip",
    "id": "block_ip",
    "description": "Block an address at the firewall.",
    "type": "remediation",
    "parameters": [{"name": "ip", "type": "string", "required": True}],
    "output": {"type": "object"},
    "file": "actions/firewall.py",
    "line": 12,
}
_BRIEF: dict[str, Any] = {
    "name": "acme-firewall",
    "version": "1.2.0",
    "digest": "0b0c9a60b2d41f3c0b0c9a60b2d41f3c0b0c9a60b2d41f3c0b0c9a60b2d41f3c",
    "active": True,
    "description": "Blocks addresses at the firewall.",
    "python": ">=3.9",
    "hosts": ["fw.acme.example"],
    "bytes": 2048,
    "created_at": "2026-04-28T09:15:00.000Z",
    "created_by": "3f1c9a60b2d4",
}
VERSION: dict[str, Any] = {
    **_BRIEF,
    "secrets": [
        {
            "name": "FW_TOKEN",
            "description": "token of the firewall's API",
            "reveal": False,
            "is_set": True,
            "updated_at": "2026-04-28T09:16:00.000Z",
        }
    ],
    "functions": [_FUNCTION],
}
BUNDLE: dict[str, Any] = {
    "name": "acme-firewall",
    "active_version": "1.2.0",
    "created_at": "2026-04-20T12:00:00.000Z",
    "updated_at": "2026-04-28T09:15:00.000Z",
    "active": VERSION,
}
ITEM: dict[str, Any] = {**BUNDLE, "active": _BRIEF}
BRIEF = _BRIEF
CHANGES: dict[str, Any] = {
    "before": "1.1.0",
    "after": "1.2.0",
    "hosts": {"added": ["fw.acme.example"], "removed": []},
    "secrets": {"added": ["FW_TOKEN"], "removed": [], "revealed": [], "without_value": ["FW_TOKEN"]},
    "actions": {
        "added": ["act-acme-firewall-block_ip"],
        "removed": [],
        "changed": [
            {
                "id": "act-acme-firewall-unblock_ip",
                "members": ["timeout_seconds"],
                "parameters": {"added": ["reason"], "removed": [], "changed": []},
            }
        ],
    },
    "same_content": False,
}
PUSHED: dict[str, Any] = {**VERSION, "changes": CHANGES}
