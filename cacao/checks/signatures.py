"""The signatures of a CACAO document: which of them fit it.

A signature covers the document with that one signature, without its value, in ``signatures``: canonicalised (RFC 8785),
hashed, and the hash, in lower-case hexadecimal, signed. Only keys in the signature itself are used: nothing is fetched,
so ``cert_url`` and ``thumbprint`` remain unverified. A signature that fits proves that the document is as its signer
left it, and nothing about the signer's identity.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from cacao.model.findings import Finding
from cacao.model.values import moment

_HASHES = {"sha-256": "sha256", "sha256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_MOST = 20


def verified(document: Mapping[str, Any], now: str = "") -> list[Finding]:
    """A finding about each signature of a document; signatures are never required.

    ``now`` (RFC 3339, UTC) is the time at which they have to be valid; without it validity periods are not checked.
    """
    given = document.get("signatures")
    signatures = given if isinstance(given, list) else []
    found = []
    for number, signature in enumerate(signatures[:_MOST]):
        code, message = _verdict(document, signature, now) if isinstance(signature, dict) else _UNREAD
        found.append(Finding(code, f"/signatures/{number}", message, error=False))
    if len(signatures) > _MOST:
        text = f"Only the first {_MOST} signatures are verified."
        found.append(Finding("signatures_not_read", f"/signatures/{_MOST}", text, error=False))
    return found


_UNREAD = ("signature_unread", "The signature cannot be read.")
_INVALID = ("signature_invalid", "The signature does not fit: the document is not as its signer left it.")
_VALID = ("signature_valid", "The signature fits: the document is as the holder of this key left it.")


def _verdict(document: Mapping[str, Any], signature: Mapping[str, Any], now: str) -> tuple[str, str]:
    from cryptography import x509  # costs six MiB, which most processes never need
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        key = _key(signature)
        if key is None:
            return "signature_unverified", "The signature names no key that could be used without fetching anything."
        _check(key, str(signature.get("algorithm")), _decoded(signature.get("value")), signed_text(document, signature))
    except InvalidSignature:
        return _INVALID
    except (UnsupportedAlgorithm, LookupError) as error:
        return "signature_unverified", f"The signature cannot be verified here: {str(error)[:100]}."
    except (ValueError, TypeError, x509.InvalidVersion, rfc8785.CanonicalizationError):
        return _UNREAD
    return _standing(document, signature, now) or _VALID


def _standing(document: Mapping[str, Any], signature: Mapping[str, Any], now: str) -> tuple[str, str] | None:
    """The reason why a fitting signature does not count, or None.

    It is revoked, outside of its validity period, or about another document.
    """
    if signature.get("revoked") is True:
        return "signature_revoked", "The signature was revoked by its signer."
    begin, end = (moment(str(signature.get(name))) for name in ("valid_from", "valid_until"))
    present = moment(now)
    if present is not None and end is not None and end <= present:
        return "signature_expired", "The signature fits, and is no longer valid."
    if present is not None and begin is not None and begin > present:
        return "signature_not_yet_valid", "The signature fits, and is not valid yet."
    for name, of in (("related_to", "id"), ("related_version", "modified")):
        if name in signature and signature[name] != document.get(of):
            return "signature_unrelated", f"The signature fits, and its '{name}' names another document or version."
    return None


def signed_text(document: Mapping[str, Any], signature: Mapping[str, Any]) -> bytes:
    """The bytes that a signature covers.

    Raises:
        LookupError: the hash algorithm is unknown.
        CanonicalizationError: a number is one that JSON cannot carry exactly.
    """
    name = _HASHES.get(str(signature.get("hash_algorithm")).lower())
    if name is None:
        raise LookupError("its hash algorithm is not known")
    without_value = {key: one for key, one in signature.items() if key != "value"}
    text = rfc8785.dumps({**document, "signatures": [without_value]})
    return hashlib.new(name, text).hexdigest().encode()


def _key(signature: Mapping[str, Any]) -> Any:
    """The public key in a signature, None if it is stored elsewhere."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if isinstance(signature.get("public_key"), str):
        text = "".join(signature["public_key"].split())
        return serialization.load_der_public_key(base64.b64decode(text))
    chain = signature.get("public_cert_chain")
    if isinstance(chain, list) and chain and isinstance(chain[0], str):
        return x509.load_der_x509_certificate(base64.b64decode(chain[0])).public_key()
    return None


def _decoded(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(_UNREAD[1])
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error as error:
        raise ValueError(_UNREAD[1]) from error


def _check(key: Any, algorithm: str, value: bytes, text: bytes) -> None:
    """Raise InvalidSignature unless the value fits the text.

    Raises LookupError for an unknown algorithm or type of key.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    digests = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    family, digest = algorithm[:2], digests.get(algorithm[2:])
    if isinstance(key, rsa.RSAPublicKey) and digest is not None and family in ("RS", "PS"):
        scheme = padding.PKCS1v15() if family == "RS" else padding.PSS(padding.MGF1(digest), digest.digest_size)
        key.verify(value, text, scheme, digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None and family == "ES":
        half = len(value) // 2  # as in JWS: the two numbers concatenated
        both = (int.from_bytes(value[:half]), int.from_bytes(value[half:]))
        key.verify(encode_dss_signature(*both), text, ec.ECDSA(digest))
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and algorithm.startswith("Ed"):
        key.verify(value, text)
    else:
        raise LookupError(f"the algorithm {algorithm[:40]} with this key is not known")
