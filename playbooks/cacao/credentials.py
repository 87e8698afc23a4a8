"""The credentials in a document: kept out of what is shown.

A CACAO document carries passwords and tokens in the clear. ``without`` gives the document as it may be shown: each is
replaced by the standard's own way to say where it lies, a key management system and the key's name there.
"""

from collections.abc import Mapping
from typing import Any

#: the properties of authentication information that are secret
SECRET = frozenset({"password", "token", "private_key", "oauth_header"})
_DEFINITIONS = "authentication_info_definitions"


def secret_values(document: Mapping[str, Any]) -> list[str]:
    """Every secret of a document, for masking."""
    return [value for info in _infos(document).values() for name, value in info.items() if _is_secret(name, value)]


def without(document: Mapping[str, Any], playbook_id: str) -> dict[str, Any]:
    """The document with references in the place of secrets; the same document where it has none.

    Signatures were made over the document with its secrets: without these they would not fit, and are left out.
    """
    infos = _infos(document)
    safe = {key: _referred(info, f"tocsin:{playbook_id}/{key}") for key, info in infos.items()}
    if safe == infos:
        return dict(document)
    kept = {key: value for key, value in document.items() if key != "signatures"}
    return {**kept, _DEFINITIONS: {**document[_DEFINITIONS], **safe}}


def _referred(info: Mapping[str, Any], reference: str) -> dict[str, Any]:
    kept = {name: value for name, value in info.items() if not _is_secret(name, value)}
    if len(kept) == len(info):
        return kept
    empty = {"oauth_header": "", "token": ""} if info.get("type") == "oauth2" else {}  # its schema wants both
    return {**empty, **kept, "kms": True, "kms_key_identifier": reference}


def _is_secret(name: str, value: Any) -> bool:
    return name in SECRET and isinstance(value, str) and bool(value)


def _infos(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = document.get(_DEFINITIONS)
    return {key: one for key, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
