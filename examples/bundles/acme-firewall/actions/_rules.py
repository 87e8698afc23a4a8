"""What the actions share."""

import hashlib

RULES = "https://fw.acme.example/api/rules"


def named(key, source):
    """The name of a rule: the same in every attempt of an execution, so that a retry adds no second one."""
    return "tocsin-" + hashlib.sha256(f"{key}/{source}".encode()).hexdigest()[:12]
