"""The check of a CACAO 2.0 playbook document.

1. Every value is held against the tables of object types (``objects``). What the published JSON schemas, read as
   draft-07, refuse is an error; what only the text of the standard rules is a warning, and so is what no table knows:
   the schemas forget to look into commands, unknown properties and objects of unknown types, and real documents
   rely on it.
2. What a document names must be there (``references``), its steps must follow each other as the standard wants
   (``order``), and what it says must fit together (``consistency``): all warnings, for such documents can be kept
   and shown, though perhaps not be run.

Any JSON value may be given: the work is linear in the document, no recursion follows it, and the findings are bounded.
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
    """What is wrong with a document, errors first: nothing for a valid one. Raises nothing, whatever JSON says."""
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
    """Signatures and the countersignatures in them, whatever the number of signers."""
    signatures = document.get("signatures")
    for index, first in enumerate(signatures if isinstance(signatures, list) else ()):
        signature, pointer, seen = first, below("/signatures", index), set[int]()
        # only JSON text is a tree for certain: what was built otherwise may hold itself
        while isinstance(signature, dict) and id(signature) not in seen:
            seen.add(id(signature))
            check_signature(signature, pointer, found)
            signature, pointer = signature.get("signature"), below(pointer, "signature")
            if signature is not None:
                SIGNATURE.check(signature, pointer, found, error=True)
