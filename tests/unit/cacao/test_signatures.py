"""Signatures of CACAO documents: verified with the key they carry, and nothing fetched."""

import base64
import copy
import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from cacao.checks.check import check
from cacao.checks.signatures import signed_text, verified
from cacao.writing import signing
from tests.support.cacao import Json, document, manual

NOW = "2026-11-01T00:00:00.000Z"
STEPS = {"start.s": {"on_completion": "action.a"}, "action.a": manual("Größe: 1.0"), "end.e": {}}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def signed(key: Any, algorithm: str, make: Any, says: Json | None = None) -> Json:
    """A document with one signature."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = {
        "type": "jss",
        "hash_algorithm": "sha-256",
        "algorithm": algorithm,
        "public_key": base64.b64encode(public).decode(),
        **(says or {}),
    }
    given = document(STEPS)
    value = make(signed_text(given, signature))
    return {**given, "signatures": [{**signature, "value": base64.urlsafe_b64encode(value).decode().rstrip("=")}]}


def as_jws(value: bytes) -> bytes:
    one, other = decode_dss_signature(value)
    return one.to_bytes(32) + other.to_bytes(32)


def _odd() -> str:
    """A certificate of a version that there is not."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, EC.public_key(), 1, day, day + dt.timedelta(1)).sign(EC, hashes.SHA256())
    der = made.public_bytes(serialization.Encoding.DER)
    return base64.b64encode(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)).decode()


ODD = _odd()
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
        ({"revoked": True}, "signature_invalid"),
        ({"public_key": None, "public_cert_chain": [ODD]}, "signature_unread"),
    ],
)
def test_what_cannot_be_verified_is_said(change: Json, code: str) -> None:
    """A broken key, one stored elsewhere, and an unknown algorithm raise nothing, and have codes of their own."""
    given = copy.deepcopy(CASES["RS256"]())
    given["signatures"][0].update(change)
    assert codes(given) == [code]


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ({"revoked": True}, "signature_revoked"),
        ({"valid_until": "2026-10-31T00:00:00.000Z"}, "signature_expired"),
        ({"valid_from": "2026-11-02T00:00:00.000Z"}, "signature_not_yet_valid"),
        ({"valid_from": "2026-10-31T00:00:00.000Z", "valid_until": "2026-11-02T00:00:00.000Z"}, "signature_valid"),
        ({"related_to": "playbook--00000000-0000-4000-8000-000000000000"}, "signature_unrelated"),
        ({"related_version": "2025-01-01T00:00:00.000Z"}, "signature_unrelated"),
    ],
)
def test_a_signature_that_fits_need_not_count(says: Json, code: str) -> None:
    """It may be revoked, out of its time, or of another document or version by its own words."""
    given = signed(ED, "Ed25519", ED.sign, says)
    assert [one.code for one in verified(given, NOW)] == [code]


def test_signatures_beyond_those_that_are_read_are_mentioned() -> None:
    """The answer does not claim that they were verified."""
    given = CASES["Ed25519"]()
    found = verified({**given, "signatures": given["signatures"] * 25})
    assert [one.code for one in found] == [*["signature_valid"] * 20, "signatures_not_read"]


@pytest.mark.parametrize("signatures", [None, [], "x", [5], [{}]])
def test_nonsense_is_no_trouble(signatures: Any) -> None:
    """Whatever stands there, nothing is raised."""
    assert set(codes({**document(STEPS), "signatures": signatures})) <= {"signature_unread", "signature_unverified"}


OURS = {
    "RS256": RSA,
    "ES256": EC,
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ED,
    "Ed448": ed448.Ed448PrivateKey.generate(),
}


def signed_by_us(given: Json, key: Any) -> Json:
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(*kinds)
    return signing.signed(given, pem, signee="Us", identity=given["created_by"], now=NOW)


@pytest.mark.parametrize("algorithm", OURS)
def test_what_we_sign_is_valid_and_fits(algorithm: str) -> None:
    """The kind of the key decides the algorithm; the document stays faultless and other signatures stay in it."""
    given = CASES["RS256"]()
    before = copy.deepcopy(given)
    found = signed_by_us(given, OURS[algorithm])
    assert given == before
    assert found["signatures"][0] == given["signatures"][0]
    assert found["signatures"][1]["algorithm"] == algorithm
    assert codes(found) == ["signature_valid", "signature_valid"]
    assert codes({**found, "name": "Tesu"}) == ["signature_invalid", "signature_invalid"]
    assert [one for one in check({**found, "signatures": found["signatures"][1:]}) if one.error] == []


@pytest.mark.parametrize(
    "pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"], ids=["", "x", "pem"]
)
def test_no_key_is_no_signature(pem: bytes) -> None:
    """What cannot be read says so."""
    with pytest.raises(signing.NotSigned, match="no private key"):
        signing.signed(document(STEPS), pem, signee="Us", identity="x", now=NOW)


def test_a_key_of_another_kind_is_named() -> None:
    """A curve that no reader of CACAO knows is refused."""
    with pytest.raises(signing.NotSigned, match="NIST"):
        signed_by_us(document(STEPS), ec.generate_private_key(ec.SECP256K1()))


def test_a_number_that_programs_read_differently_is_not_signed() -> None:
    """Whole numbers above 2^53 are no two programs' same."""
    with pytest.raises(signing.NotSigned, match="number"):
        signed_by_us({**document(STEPS), "x": 2**60}, ED)
