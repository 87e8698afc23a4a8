"""Rules of the firewall: block an address, list what is blocked, lift a block."""

import ipaddress
from typing import Annotated, TypedDict, Union

from tocsin.actions import Bearer, Context, Range, Retry, action

from ._rules import RULES, named

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class Rule(TypedDict):
    """A rule of the firewall."""

    rule_id: str
    source: str


@action(type="containment", timeout=30, retry=3, tags=["firewall"])
def block_ip(
    ip: Annotated[Address, "IPv4 or IPv6 address"],
    hours: Annotated[int, Range(1, 720), "how long the rule stays"] = 24,
    *,
    context: Context,
) -> Rule:
    """Block an address at the firewall."""
    answer = context.http.post(
        RULES,
        json={"name": named(context.idempotency_key, ip), "source": str(ip), "hours": hours},
        auth=Bearer(context.secrets["FW_TOKEN"]),
    )
    if answer.status == 423:
        raise Retry("the policy is locked", after=10)
    rule = answer.raise_for_status().json()
    context.log(f"rule {rule['id']} blocks {ip} for {hours} hours")
    return {"rule_id": rule["id"], "source": str(ip)}


@action(type="investigation", timeout=30, retry=3, tags=["firewall"])
def list_rules(*, context: Context) -> list[Rule]:
    """List what the firewall blocks."""
    answer = context.http.get(RULES, auth=Bearer(context.secrets["FW_TOKEN"])).raise_for_status()
    return [{"rule_id": rule["id"], "source": rule["source"]} for rule in answer.json()["rules"]]


@action(type="remediation", timeout=30, retry=3, tags=["firewall"])
def lift_block(rule_id: str, *, context: Context) -> dict:
    """Lift a block; one that is gone already is lifted."""
    answer = context.http.delete(f"{RULES}/{rule_id}", auth=Bearer(context.secrets["FW_TOKEN"]))
    if answer.status != 404:
        answer.raise_for_status()
    return {"rule_id": rule_id, "was_there": answer.status != 404}
