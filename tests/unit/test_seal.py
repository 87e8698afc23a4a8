"""Sealing: what opens where, under which keys, and which keys are fit for it."""

import base64
import hashlib
import random
import secrets

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.settings import SettingsError, load, settings
from store.sealing import seal, subkeys
from store.sealing.seal import Cell, SealBroken

CELL = seal.parameters_cell("acme", "exec-1", "rev-1")
VALUES = {"token": "canary", "list": [1, "ü"]}


@pytest.fixture
def keys(monkeypatch):
    """Sets the secret keys of this process; returns how."""

    def use(*wanted, old="open"):
        monkeypatch.setenv("TOCSIN_SECRET_KEYS", ",".join(wanted))
        monkeypatch.setenv("TOCSIN_SEALED_OLD", old)
        settings.cache_clear()

    use(secrets.token_urlsafe(32))
    yield use
    settings.cache_clear()


def sealed_before(values: bytes) -> str:
    """A value as it was sealed by the versions before: Fernet, under a key derived with BLAKE2b."""
    digest = hashlib.blake2b(settings().secret_key.encode(), digest_size=32, person=b"tocsin-seal").digest()
    return Fernet(base64.urlsafe_b64encode(digest)).encrypt(values).decode()


def test_what_was_sealed_opens_where_it_was_sealed(keys):
    """The values come back, the text shows none of them, and sealing them once more gives another text."""
    text = seal.seal(VALUES, CELL)
    assert seal.unseal(text, CELL) == VALUES
    assert "canary" not in text
    assert base64.b64encode(b"canary").decode()[:6] not in text
    assert seal.seal(VALUES, CELL) != text
    assert seal.is_newest(text)


def test_nothing_is_sealed_as_nothing(keys):
    """An empty column says that there is no secret."""
    assert seal.seal({}, CELL) is None
    assert seal.unseal(None, CELL) == {}


@pytest.mark.parametrize("member", Cell._fields)
def test_a_value_opens_in_its_own_cell_only(keys, member):
    """With another purpose, workspace, table, row or neighbour it does not open."""
    with pytest.raises(SealBroken):
        seal.unseal(seal.seal(VALUES, CELL), CELL._replace(**{member: "other"}))


def test_cells_do_not_run_into_each_other(keys):
    """What ends one member and begins the next makes a difference."""
    text = seal.seal(VALUES, CELL._replace(workspace_id='a", "b', table="c"))
    with pytest.raises(SealBroken):
        seal.unseal(text, CELL._replace(workspace_id="a", table='b", "c'))


def test_an_altered_text_does_not_open(keys):
    """Whatever is changed, cut off or added is a SealBroken and nothing else; so is nonsense."""
    text = seal.seal(VALUES, CELL)
    start = text.rindex(".") + 1
    altered = [text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :] for at in range(len(text) - 4)]
    for wrong in (*altered, text[:start], text[:-4], text + "AAAA", text[:20], "v2", "v2..", "v2.é.é", "é", "x" * 99):
        with pytest.raises(SealBroken):
            seal.unseal(wrong, CELL)


def test_the_first_key_seals_and_all_open(keys):
    """With a second key in front the old values open and are not the newest; without the old key they do not open."""
    old, new = secrets.token_urlsafe(32), secrets.token_hex(32)
    keys(old)
    before = seal.seal(VALUES, CELL)
    keys(new, old)
    assert seal.unseal(before, CELL) == VALUES
    assert not seal.is_newest(before)
    after = seal.seal(VALUES, CELL)
    keys(new)
    assert seal.unseal(after, CELL) == VALUES
    with pytest.raises(SealBroken):
        seal.unseal(before, CELL)


def test_values_of_the_earlier_form_open_until_they_are_refused(keys):
    """They open under any of the keys, and not at all once TOCSIN_SEALED_OLD says so."""
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    keys(old)
    before = sealed_before(b'{"token": "canary"}')
    keys(new, old)
    assert seal.unseal(before, CELL) == {"token": "canary"}
    assert not seal.is_newest(before)
    keys(new, old, old="refuse")
    with pytest.raises(SealBroken):
        seal.unseal(before, CELL)
    keys(new)
    with pytest.raises(SealBroken):
        seal.unseal(before, CELL)


def test_sub_keys_are_those_of_the_standard():
    """HKDF-SHA256 as the library computes it; each purpose and each root key has its own."""
    for root, purpose in (("r" * 32, "seal/config"), ("ü" * 80, "seal/parameters")):
        info = f"{subkeys.VERSION}/{purpose}".encode()
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=b"tocsin", info=info).derive(root.encode())
        assert subkeys.subkey(root, purpose) == derived
    assert len({subkeys.subkey(root, purpose) for root in "ab" for purpose in "cd"}) == 4


WEAK = [
    "short",
    "V2IPJNo5SWu8Wykiz73kdA",  # 16 random bytes
    "a" * 32,
    "ab" * 20,
    "0123456789abcdef" * 2,
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "please-CHANGE-me-before-production!!",
    "my-very-secret-key-that-nobody-knows",
    "put-your-own-32-characters-into-here",
    "YOUR_KEY_OF_32_CHARACTERS_GOES_HERE!",
]


@pytest.mark.parametrize("key", WEAK)
@pytest.mark.parametrize("name", ["TOCSIN_SECRET_KEY", "TOCSIN_SECRET_KEYS"])
def test_a_weak_key_is_refused_at_start(monkeypatch, name, key):
    """The message names the variable, says how to make a good one, and does not show the key."""
    good = secrets.token_urlsafe(32)
    settings()  # kept: what threads of earlier tests read meanwhile
    monkeypatch.setenv(name, f"{good},{key}" if name.endswith("S") else key)
    with pytest.raises(SettingsError, match=rf"{name}\b.*at least 32 random characters.*token_urlsafe") as refused:
        load()
    assert key not in str(refused.value).replace("random characters", "")
    assert good not in str(refused.value)


def urlsafe(random_bytes: bytes) -> str:
    """As ``secrets.token_urlsafe`` spells them."""
    return base64.urlsafe_b64encode(random_bytes).rstrip(b"=").decode()


@pytest.mark.parametrize(("spelled", "length"), [(urlsafe, 32), (urlsafe, 48), (bytes.hex, 16), (bytes.hex, 32)])
@pytest.mark.parametrize("number", [10_000, pytest.param(100_000, marks=pytest.mark.gate)])
def test_random_keys_are_taken(monkeypatch, spelled, length, number):
    """All keys of a generator are fit: of many of each kind none is taken for a word or a pattern."""
    drawn = random.Random(f"{spelled.__name__} {length}")  # the same ones each time: what fails here fails again
    made = [spelled(drawn.randbytes(length)) for _ in range(number)]
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", ",".join(made))
    assert load().secret_keys == tuple(made)


def test_one_spelling_at_a_time(monkeypatch):
    """Both variables at once are refused: it would be unclear which key seals."""
    settings()  # kept: what threads of earlier tests read meanwhile
    monkeypatch.setenv("TOCSIN_SECRET_KEY", secrets.token_urlsafe(32))
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", secrets.token_urlsafe(32))
    with pytest.raises(SettingsError, match="both set"):
        load()
