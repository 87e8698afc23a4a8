"""Webhooks are verified as Standard Webhooks says, and what fails is named."""

import base64
import hashlib
import hmac
import json
import random
import time

import pytest
from tocsin.webhooks import SignatureInvalid, verify

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of ours..").decode()
BODY = b'{"type":"run.completed","data":{"id":"pexec-1"}}'


def signed(body=BODY, secret=SECRET, moment=None, identity="msg_1"):
    """The headers of a webhook."""
    moment = str(int(time.time() if moment is None else moment))
    key = base64.b64decode(secret[len("whsec_") :])
    mac = hmac.new(key, f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    mark = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": identity, "webhook-timestamp": moment, "webhook-signature": mark}


def test_a_webhook_of_ours_is_read():
    """The event comes back; names of headers may be written in any case, the body be text or bytes."""
    assert verify(BODY, signed(), SECRET)["type"] == "run.completed"
    headers = {name.title(): value for name, value in signed().items()}
    assert verify(BODY.decode(), headers, SECRET[len("whsec_") :])["data"] == {"id": "pexec-1"}


def test_secrets_rotate():
    """While a secret changes the sender signs with both, or the receiver knows both."""
    old, new = signed(), signed(secret=OTHER)
    both = {**old, "webhook-signature": f"{old['webhook-signature']} v1a,AAAA {new['webhook-signature']}"}
    assert verify(BODY, both, OTHER)
    assert verify(BODY, both, SECRET)
    assert verify(BODY, new, [SECRET, OTHER])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": None}, "missing_header"),
        ({"webhook-timestamp": None}, "missing_header"),
        ({"webhook-timestamp": "yesterday"}, "missing_header"),
        ({"webhook-signature": ""}, "missing_header"),
        ({"webhook-signature": "v1,AAAA"}, "no_match"),
        ({"webhook-signature": "v1,not base64!"}, "no_match"),
        ({"webhook-signature": "v2," + signed()["webhook-signature"][3:]}, "no_match"),
        ({"webhook-id": "msg_2"}, "no_match"),
    ],
)
def test_what_is_wrong_is_named(change, reason):
    """Each check has its word."""
    headers = {name: value for name, value in {**signed(), **change}.items() if value is not None}
    with pytest.raises(SignatureInvalid, match=reason) as raised:
        verify(BODY, headers, SECRET)
    assert raised.value.reason == reason


def test_old_new_changed_and_foreign_are_refused():
    """A replay, a clock that is wrong, another body and another secret are each refused with their word."""
    for given, reason in (
        ((BODY, signed(moment=time.time() - 301), SECRET), "too_old"),
        ((BODY, signed(moment=time.time() + 302), SECRET), "too_new"),
        ((BODY + b" ", signed(), SECRET), "no_match"),
        ((BODY, signed(), OTHER), "no_match"),
        ((BODY, signed(), "whsec_%%%"), "bad_secret"),
        ((BODY, signed(), ""), "bad_secret"),
    ):
        with pytest.raises(SignatureInvalid) as raised:
            verify(*given)
        assert raised.value.reason == reason
    assert verify(BODY, signed(moment=time.time() - 3000), SECRET, tolerance=4000)


def test_it_agrees_with_the_public_package():
    """On 1,000 messages, sound ones and spoilt ones, the public implementation says the same."""
    public = pytest.importorskip("standardwebhooks")
    draw = random.Random(7)
    agreed = {True: 0, False: 0}
    for number in range(1000):
        secret = "whsec_" + base64.b64encode(draw.randbytes(draw.choice((16, 24, 32)))).decode()
        body = json.dumps({"n": number, "text": "ä" * draw.randrange(5), "list": [draw.random()]}).encode()
        moment = time.time() + draw.choice((0, 0, 0, -200, 200, -310, 310, -9000))
        headers = signed(body, secret, moment, identity=f"msg_{number}")
        spoil = draw.randrange(6)
        if spoil == 0:
            body = body.replace(b"n", b"m", 1)
        elif spoil == 1:
            headers.pop(draw.choice(sorted(headers)))
        elif spoil == 2:
            headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
        elif spoil == 3:
            headers["webhook-id"] += "x"
        try:
            theirs = public.Webhook(secret).verify(body, headers)
        except public.WebhookVerificationError:
            theirs = None
        try:
            ours = verify(body, headers, secret)
        except SignatureInvalid:
            ours = None
        assert ours == theirs, (number, headers)
        agreed[ours is not None] += 1
    assert min(agreed.values()) > 200


@pytest.mark.parametrize("moment", ["9" * 16, "9" * 400, "9" * 5000, "-1", "1.5", "\u0661"])
def test_a_time_of_any_length_is_refused(moment):
    """Who may send what he likes cannot make the check fail otherwise than as refused."""
    with pytest.raises(SignatureInvalid, match="missing_header"):
        verify(BODY, {**signed(), "webhook-timestamp": moment}, SECRET)


def test_what_utf8_cannot_say_fits_no_signature():
    """Lone surrogates in a header or a body, as some frameworks make them of stray bytes, are refused."""
    with pytest.raises(SignatureInvalid, match="no_match"):
        verify(BODY, {**signed(), "webhook-id": "\udc80"}, SECRET)
    with pytest.raises(SignatureInvalid, match="no_match"):
        verify("\ud800", signed(), SECRET)
