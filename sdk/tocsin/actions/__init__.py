"""Custom actions: functions of Python that become actions of Tocsin.

An author imports from here, on the own machine as in the sandbox of a worker; nothing but the standard library is
needed. docs/custom-actions.md has the whole story::

    from typing import Annotated

    from tocsin.actions import Bearer, Context, Range, Retry, action

    @action(type="remediation", retry=3, timeout=30, tags=["firewall"])
    def block_ip(ip: str, hours: Annotated[int, Range(1, 720)] = 24, *, context: Context) -> dict:
        '''Block an address at the firewall.'''
        answer = context.http.post(
            "https://fw.acme.example/rules",
            json={"src": ip, "hours": hours},
            auth=Bearer(context.secrets["FW_TOKEN"]),
        )
        if answer.status == 423:
            raise Retry("the policy is locked", after=10)
        return {"rule_id": answer.raise_for_status().json()["id"]}
"""

from tocsin.actions.calls import action, invoke
from tocsin.actions.context import Context
from tocsin.actions.errors import ActionError, HttpFailed, Retry
from tocsin.actions.http import Answer, Basic, Bearer, Http
from tocsin.actions.notes import Length, Pattern, Range, Secret
from tocsin.actions.placeholders import Secrets
from tocsin.actions.signatures import Handler

__all__ = [
    "ActionError",
    "Answer",
    "Basic",
    "Bearer",
    "Context",
    "Handler",
    "Http",
    "HttpFailed",
    "Length",
    "Pattern",
    "Range",
    "Retry",
    "Secret",
    "Secrets",
    "action",
    "invoke",
]

for _public in (ActionError, HttpFailed, Retry):  # a traceback names what an author imports
    _public.__module__ = __name__
