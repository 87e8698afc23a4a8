"""Signs an exported CACAO document with the operator's own key.

The type of the key decides the algorithm: RS256 for RSA, ES256, ES384 or ES512 for the NIST curves, Ed25519, Ed448. The
signature has the public key, so that the receiver verifies it without fetching anything.
"""

import base64
from collections.abc import Mapping
from typing import Any

import rfc8785

from cacao.checks.signatures import signed_text
from cacao.model.identity import identifier


class NotSigned(Exception):  # noqa: N818 - reads as the condition it is
    """The key cannot sign or the document cannot be signed; says why."""


def signed(document: Mapping[str, Any], pem: bytes, *, signee: str, identity: str, now: str) -> dict[str, Any]:
    """The document with our signature as its last one.

    Raises:
        NotSigned: the private key (PEM, without a password) cannot be used, or the document has a number that not all
        programs read alike.
    """
    from cryptography.hazmat.primitives import serialization  # costs six MiB, which most processes never need

    key = _read(pem)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    algorithm, sign = _scheme(key)
    signature = {
        "type": "jss",
        "id": identifier("jss", str(document["id"]), str(document["modified"]), base64.b64encode(public).decode()),
        "created_by": identity,
        "created": now,
        "modified": now,
        "signee": signee,
        "related_to": document["id"],
        "related_version": document["modified"],
        "hash_algorithm": "sha-256",
        "algorithm": algorithm,
        "public_key": base64.b64encode(public).decode(),
    }
    try:
        text = signed_text(document, signature)
    except (rfc8785.CanonicalizationError, ValueError) as error:
        raise NotSigned("it holds a number that not all programs read alike") from error
    value = base64.urlsafe_b64encode(sign(text)).decode().rstrip("=")
    return {**document, "signatures": [*document.get("signatures", []), {**signature, "value": value}]}


def _read(pem: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NotSigned("it is no private key in PEM without a password") from error


def _scheme(key: Any) -> tuple[str, Any]:
    """The algorithm for a key, and the function that signs bytes."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256", lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return ("Ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "Ed448"), key.sign
    curves: dict[str, tuple[str, hashes.HashAlgorithm]] = {
        "secp256r1": ("ES256", hashes.SHA256()),
        "secp384r1": ("ES384", hashes.SHA384()),
        "secp521r1": ("ES512", hashes.SHA512()),
    }
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in curves:
        raise NotSigned("it is neither RSA nor Ed25519, Ed448 or of a NIST curve")
    algorithm, digest = curves[key.curve.name]
    size = (key.curve.key_size + 7) // 8

    def as_jws(text: bytes) -> bytes:
        """The two numbers of the signature, concatenated (RFC 7518, 3.4)."""
        return b"".join(number.to_bytes(size) for number in decode_dss_signature(key.sign(text, ec.ECDSA(digest))))

    return algorithm, as_jws
