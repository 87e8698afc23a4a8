"""The credentials in a document, kept out of what the API shows.

A CACAO document carries passwords and tokens in the clear, where the standard has a place for them and where it has
none. ``without`` returns the document as it may be shown. Authentication information keeps only properties known to be
harmless; the rest is replaced by the standard's reference to a key management system and the key's name there.
Elsewhere a value whose name is that of a credential is masked, and so are users and secrets in addresses. A value that
is a variable and nothing else (``__token__:value``) is no credential.
"""

import re
from collections.abc import Mapping
from typing import Any

from cacao.model.graph import member
from cacao.model.identity import EXTENSION
from config.types import Json
from playbooks.credentials import MASK, is_secret_header, replaced, spans

#: the properties of authentication information that are not secret
_SHOWN = frozenset({"type", "name", "description", "user_id", "username", "kms", "kms_key_identifier"})
_DEFINITIONS, _EXTENSIONS = "authentication_info_definitions", "authentication_info_extensions"
#: words that make a name that of a credential
_CALLED = re.compile(
    r"(?:^|[^a-z])(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|credentials?|private[_-]?key|"
    r"(?:proxy-)?authorization|(?:set-)?cookie)s?(?:$|[^a-z])",
    re.IGNORECASE,
)
_HARMLESS = frozenset({"kms_key_identifier", "public_key", "token_type"})
#: members with names of their author's choice, and our extension, which has no credentials
_LEFT = frozenset({"cases", "step_variables", EXTENSION})
_VARIABLE = re.compile(r"\s*(?:[A-Za-z]+ )?__[A-Za-z_][A-Za-z0-9_-]*__(?::value)?\s*")
#: user and password before the host of an address, also as variables
_USER = re.compile(r"(?<=://)[^/\s\"'<>@?#]+@")
#: the members that say what is done, by which agent and on what; all others are prose
_PLACES = ("workflow", "agent_definitions", "target_definitions", "playbook_extensions", "external_references")


def without(document: Mapping[str, Any], playbook_id: str) -> Json:
    """The document with references and masks instead of credentials.

    A document without credentials comes back equal. A document with credentials loses its signatures, which cover them.
    """
    safe = dict(document)
    for name in _PLACES:
        if isinstance(document.get(name), dict | list):
            safe[name] = _masked(document[name])
    infos = member(document, _DEFINITIONS)
    if infos:
        safe[_DEFINITIONS] = {
            key: _referred(info, f"tocsin:{playbook_id}/{key}") if isinstance(info, dict) else info
            for key, info in infos.items()
        }
    if safe == document:
        return dict(document)
    return {key: value for key, value in safe.items() if key != "signatures"}


def _referred(info: Mapping[str, Any], reference: str) -> Json:
    kept = {name: value for name, value in info.items() if name in _SHOWN or not _may_be_secret(value)}
    if _EXTENSIONS in info:
        kept[_EXTENSIONS] = _masked(info[_EXTENSIONS])
    if kept.keys() == info.keys():
        return kept
    empty = {"oauth_header": "", "token": ""} if info.get("type") == "oauth2" else {}  # its schema wants both
    return {**empty, **kept, "kms": True, "kms_key_identifier": reference}


def _may_be_secret(value: Any) -> bool:
    """Whether a value may be a secret, neither empty nor a variable."""
    if isinstance(value, str):
        return bool(value) and not _VARIABLE.fullmatch(value)
    return value not in (None, [], {}) and not isinstance(value, bool)


def _masked(value: Any, *, called: bool = False, headers: bool = False) -> Any:
    """A value with its credentials masked.

    ``called`` says that its name is that of a credential, ``headers`` that it holds HTTP headers.
    """
    if isinstance(value, dict):
        secret = is_secret_header if headers else _is_called
        return {
            key: one if key in _LEFT else _masked(one, called=called or secret(key), headers=key.lower() == "headers")
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_masked(one, called=called) for one in value]
    if called and _may_be_secret(value):
        return MASK
    if not isinstance(value, str):
        return value
    text = _USER.sub(f"{MASK}@", value)
    return replaced(text, [span for span in spans(text) if not text.startswith("__", span[0])])


def _is_called(name: str) -> bool:
    return name not in _HARMLESS and _CALLED.search(name) is not None
