"""The check of a CACAO 2.0 playbook document.

1. The tables of object types (``objects``) check every value. What the published JSON schemas, read as draft-07,
   refuse is an error. What only the text of the standard forbids is a warning, and so is what no table knows: the
   schemas do not look into commands, unknown properties and objects of unknown types, and real documents rely on it.
2. ``references`` checks that what a document names exists, ``order`` that its steps follow each other as the standard
   asks, ``consistency`` that its statements fit together. All of these are warnings: such a document can be stored and
   shown, though perhaps not run.

Any JSON value is accepted: the work is linear in the document, nothing recurses over it, the findings are bounded.
"""

from collections.abc import Mapping
from typing import Any

from cacao.checks.consistency import check_consistency, check_signature
from cacao.checks.order import check_order
from cacao.checks.references import check_references
from cacao.model.findings import MAX_FINDINGS, Finding, Findings, below
from cacao.model.graph import Graph
from cacao.model.objects import PLAYBOOK, SIGNATURE

__all__ = ["MAX_FINDINGS", "Finding", "check"]


def check(document: object) -> list[Finding]:
    """The faults of a document, errors first; none for a valid one.

    Raises nothing, whatever the JSON.
    """
    found = Findings()
    PLAYBOOK.check(document, "", found, error=True)
    if isinstance(document, dict):
        _check_signatures(document, found)
        graph = Graph(document)
        check_references(document, graph, found)
        check_order(graph, found)
        check_consistency(document, graph, found)
    return found.listed()


def _check_signatures(document: Mapping[str, Any], found: Findings) -> None:
    """Check signatures and the countersignatures in them, however many signers."""
    signatures = document.get("signatures")
    for index, first in enumerate(signatures if isinstance(signatures, list) else ()):
        signature, pointer, seen = first, below("/signatures", index), set[int]()
        # only JSON text is certainly a tree: an object built in memory may contain itself
        while isinstance(signature, dict) and id(signature) not in seen:
            seen.add(id(signature))
            check_signature(signature, pointer, found)
            signature, pointer = signature.get("signature"), below(pointer, "signature")
            if signature is not None:
                SIGNATURE.check(signature, pointer, found, error=True)
