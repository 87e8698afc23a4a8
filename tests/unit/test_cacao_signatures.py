"""Signatures of CACAO documents: verified with the key they carry, and nothing fetched."""

import base64
import copy
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from playbooks.cacao.signatures import signed_text, verified
from tests.support.cacao import Json, document, manual

STEPS = {"start.s": {"on_completion": "action.a"}, "action.a": manual("Größe: 1.0"), "end.e": {}}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def signed(key: Any, algorithm: str, make: Any) -> Json:
    """A document with one signature."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = {
        "type": "jss",
        "hash_algorithm": "sha-256",
        "algorithm": algorithm,
        "public_key": base64.b64encode(public).decode(),
    }
    given = document(STEPS)
    value = make(signed_text(given, signature))
    return {**given, "signatures": [{**signature, "value": base64.urlsafe_b64encode(value).decode().rstrip("=")}]}


def as_jws(value: bytes) -> bytes:
    one, other = decode_dss_signature(value)
    return one.to_bytes(32) + other.to_bytes(32)


CASES = {
    "RS256": lambda: signed(RSA, "RS256", lambda text: RSA.sign(text, padding.PKCS1v15(), hashes.SHA256())),
    "PS256": lambda: signed(
        RSA, "PS256", lambda text: RSA.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    ),
    "ES256": lambda: signed(EC, "ES256", lambda text: as_jws(EC.sign(text, ec.ECDSA(hashes.SHA256())))),
    "Ed25519": lambda: signed(ED, "Ed25519", ED.sign),
}


def codes(given: Json) -> list[str]:
    return [one.code for one in verified(given)]


@pytest.mark.parametrize("algorithm", CASES)
def test_a_signature_fits_its_document_and_no_other(algorithm: str) -> None:
    """The document as its signer left it is said to be that; with one letter changed it is not."""
    given = CASES[algorithm]()
    assert codes(given) == ["signature_valid"]
    assert codes({**given, "name": "Tesu"}) == ["signature_invalid"]


def test_of_two_signatures_each_stands_alone() -> None:
    """A second signature does not break the first: each is made over the document with that one alone."""
    first, second = CASES["RS256"](), CASES["Ed25519"]()
    both = {**first, "signatures": [*first["signatures"], *second["signatures"]]}
    assert codes(both) == ["signature_valid", "signature_valid"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"public_key": "%%%"}, "signature_unread"),
        ({"public_key": None, "cert_url": "https://example.org/key"}, "signature_unverified"),
        ({"algorithm": "XMSS-SHA2_10_256"}, "signature_unverified"),
        ({"hash_algorithm": "md5"}, "signature_unverified"),
        ({"value": 5}, "signature_unread"),
        ({"revoked": True}, "signature_revoked"),
    ],
)
def test_what_cannot_be_verified_is_said(change: Json, code: str) -> None:
    """A broken key, one that lies elsewhere, and an algorithm we do not know make no fault, and are told apart."""
    given = copy.deepcopy(CASES["RS256"]())
    given["signatures"][0].update(change)
    assert codes(given) == [code]


@pytest.mark.parametrize("signatures", [None, [], "x", [5], [{}]])
def test_nonsense_is_no_trouble(signatures: Any) -> None:
    """Whatever stands there, nothing is raised."""
    assert set(codes({**document(STEPS), "signatures": signatures})) <= {"signature_unread", "signature_unverified"}
