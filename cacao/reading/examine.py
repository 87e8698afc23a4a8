"""Everything that is reported about a CACAO document before its import."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cacao.checks.check import check
from cacao.checks.signatures import verified
from cacao.model.findings import Finding
from cacao.reading.drafts import upgraded

#: warnings of the standard that are faults to an import: the workflow leads nowhere, or has no end
BROKEN = frozenset({"undefined_step", "start_is_no_start_step", "no_start", "no_work", "unknown_step_type", "cycle"})


def examined(document: Mapping[str, Any], now: str) -> tuple[dict[str, Any], list[Finding]]:
    """The document in the present form, and all findings.

    These are changes of form, faults, and the state of its signatures.
    """
    present, upgrades = upgraded(document)
    found = [*upgrades, *check(present), *verified(document, now)]
    judged = [replace(one, error=True) if one.code in BROKEN else one for one in found]
    return present, sorted(judged, key=lambda one: not one.error)
