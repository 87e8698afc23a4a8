"""All that can be said of a CACAO document before anything is made of it."""

from collections.abc import Mapping
from typing import Any

from cacao.checks.check import check
from cacao.checks.signatures import verified
from cacao.model.findings import Finding
from cacao.reading.drafts import upgraded


def examined(document: Mapping[str, Any], now: str) -> tuple[dict[str, Any], list[Finding]]:
    """The document in the present form, and what was found: changes of form, faults, what its signatures are worth."""
    present, upgrades = upgraded(document)
    return present, [*upgrades, *check(present), *verified(document, now)]
