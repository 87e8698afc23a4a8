"""A private certificate authority for the sink's TLS port, per measurement."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def make(directory: Path) -> tuple[Path, Path]:
    """Write two PEM files: trusted authorities, and 127.0.0.1's certificate with key.

    The first holds the system's authorities too, as an operator's would: reading them is part of the cost of TLS.
    """
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Bench authority", root_key, "Bench authority", root_key, authority=True)
    leaf = certificate("127.0.0.1", key, "Bench authority", root_key, authority=False)
    known = ssl.get_default_verify_paths().cafile or SYSTEM
    trusted, server = directory / "trusted.pem", directory / "server.pem"
    system = Path(known).read_bytes() if Path(known).exists() else b""
    trusted.write_bytes(system + root.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server.write_bytes(leaf.public_bytes(Encoding.PEM) + secret)
    return trusted, server


def certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    """A certificate for ``subject``, valid for a day, signed by ``issuer``."""
    now = dt.datetime.now(dt.UTC)
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    usage = dict.fromkeys(USAGES, False) | {"digital_signature": True, "key_cert_sign": authority}
    builder = (
        x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
    )
    if not authority:
        address = x509.IPAddress(ipaddress.ip_address(subject))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
