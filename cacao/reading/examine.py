"""Everything that is reported about a CACAO document before its import."""

from collections.abc import Mapping
from typing import Any

from cacao.checks.check import check
from cacao.checks.signatures import verified
from cacao.model.findings import Finding
from cacao.reading.drafts import upgraded


def examined(document: Mapping[str, Any], now: str) -> tuple[dict[str, Any], list[Finding]]:
    """The document in the present form, and all findings.

    These are changes of form, faults, and the state of its signatures.
    """
    present, upgrades = upgraded(document)
    return present, [*upgrades, *check(present), *verified(document, now)]
