"""Secrets are masked in all that comes back, in every form; innocent text stays unchanged."""

import base64
import json
import secrets
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.secrets.redact import CUT, MASK, Redactor, texts

#: a secret is made of these letters and an innocent text is not, so the one cannot stand in the other by chance
_SECRET = st.text(alphabet='ABCDEFGHabcdefgh"\\/+&=% \n\u00fc\U0001f511', min_size=12, max_size=60).filter(
    lambda text: min(map(len, text.splitlines())) >= 8 and text == text.strip()
)
_INNOCENT = st.text(alphabet="opqrstuvw 0123456789:;,.\u00e9", max_size=60)
_WAYS = st.lists(
    st.sampled_from([quote, quote_plus, lambda text: quote(text, safe=""), lambda text: text]), min_size=1, max_size=1
)


def within_json(text: str, depth: int) -> str:
    for _ in range(depth):
        text = json.dumps({"k": text})
    return text


@given(_SECRET, _INNOCENT, _INNOCENT, _WAYS, st.integers(0, 4))
def test_no_form_of_a_secret_survives_in_any_nesting(secret, before, after, ways, depth):
    """In clear, in a URL or in JSON inside JSON, in a list, an object or a key: the secret is gone, the rest stays."""
    redact = Redactor([secret])
    form = within_json(secret, depth) if depth else ways[0](secret)
    masked = redact({"list": [before + form + after], form: {"deep": form}})
    shown = json.dumps(masked, ensure_ascii=False)
    assert form not in shown
    assert secret not in shown
    assert not any(letter in shown.replace('"k"', "").replace('"deep"', "") for letter in "ABCDEFGH")
    assert masked["list"][0].startswith(before)
    assert masked["list"][0].endswith(after)


@given(st.binary(max_size=5), st.text(alphabet="ABCDEFGH0123", min_size=16, max_size=60))
def test_base64_around_a_secret_does_not_carry_it(before, secret):
    """Whatever stands before it in the encoded bytes, a secret cannot be decoded out of a text."""
    text = "Basic " + base64.b64encode(before + secret.encode() + b":rest").decode()
    masked = Redactor([secret]).text(text)
    assert MASK in masked
    whole = [base64.b64encode(b"\0" * shift + secret.encode()).decode()[4:-4] for shift in range(3)]
    assert not any(form in masked for form in whole)


@given(_SECRET, st.recursive(_INNOCENT | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=4)))
def test_innocent_text_is_unchanged(secret, value):
    """What holds no secret comes back equal, cut or not."""
    redact = Redactor([secret])
    assert redact(value) == value
    assert redact("x" * 2046 + "\u00e9") == "x" * 2046 + "\u00e9"
    assert redact("0123456789" + CUT) == "0123456789" + CUT


@pytest.mark.parametrize("filler", ["x", "\u00fc"])
def test_what_a_cut_leaves_of_a_secret_is_masked(filler):
    """A text that was cut, with a mark or at the length of an answer's beginning, may end within a secret."""
    secret = secrets.token_hex(30)
    redact = Redactor([secret])
    marked = filler * 100 + secret[:17] + CUT
    assert redact(marked) == filler * 100 + MASK + CUT
    body = (filler.encode() * 2048)[: 2048 - 17] + secret[:17].encode()
    assert secret[:4] not in redact(body.decode(errors="replace"))
    whole = "uncut, with " + secret[:4]
    assert redact(whole) == whole


def test_lines_of_a_long_secret_are_masked_one_by_one():
    """A key that is printed line by line shows none of them, not even beyond the lines of which all forms are known."""
    lines = [secrets.token_hex(16) for _ in range(600)]
    redact = Redactor(["\n".join(lines)])
    assert redact([f"line {line}." for line in lines]) == [f"line {MASK}."] * 600
    assert redact("the end of it") == "the end of it"


def test_a_secret_too_large_to_be_looked_for_hides_whole_texts():
    """Rather than let a part of it pass, every text that could hold a line of it is masked."""
    redact = Redactor(["\n".join(f"{number:09d}" for number in range(20_000))])
    assert redact({"ok": ["no secret in here", 7]}) == {"ok": [MASK, 7]}


def test_short_secrets_are_masked_where_they_stand_alone():
    """Three letters would be found in innocent words."""
    assert Redactor(["abc"])(["abc", "abcd", "x abc"]) == [MASK, "abcd", "x abc"]


def test_the_longest_form_goes_first():
    """One secret that begins another does not leave the other's rest behind."""
    assert Redactor(["hunter2", "hunter2-and-more"]).text("a hunter2-and-more b hunter2") == f"a {MASK} b {MASK}"


def test_a_text_that_almost_holds_a_secret_everywhere_is_masked_as_a_whole():
    """Comparing it at each place would take too long, and letting it pass could leak."""
    redact = Redactor(["a" * 8000])
    assert redact.text(("a" * 7999 + "b") * 10) == MASK
    assert redact.text("a" * 8000 + "b") == MASK + "b"


def test_every_text_of_a_value_is_found() -> None:
    """Whatever holds a secret, its text is known: an object, a list, a tuple, a number."""
    held = {"a": ["one", {"b": "two"}], "": ("three", "four"), "c": 5, "d": None}
    assert texts(held) == ["one", "two", "three", "four", "5"]
