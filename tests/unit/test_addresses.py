"""Which places may be called: every spelling that has ever reached the inside of a network."""

import dataclasses
import ipaddress
import socket

import pytest

from config import settings as settings_module
from providers.base import ProviderError
from providers.egress import addresses

PUBLIC = "93.184.216.34"


@pytest.fixture
def allow(monkeypatch, tmp_path):
    """Sets the operator's allow-list for the test; nothing is allowed at first."""
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    base = settings_module.load()

    def change(*networks):
        changed = dataclasses.replace(base, egress_allow=tuple(map(ipaddress.ip_network, networks)))
        monkeypatch.setattr(addresses, "settings", lambda: changed)

    change()
    return change


def answer_with(monkeypatch, *found):
    """Makes the system's resolver give these addresses."""

    def getaddrinfo(host, port, *args, **kwargs):
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [(family[ipaddress.ip_address(a).version], socket.SOCK_STREAM, 6, "", (a, port)) for a in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def refusal(function, *args):
    with pytest.raises(ProviderError) as caught:
        function(*args)
    assert caught.value.code == "egress_refused"
    assert not caught.value.retryable
    return caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        # other spellings of IPv4 addresses that inet_aton() and browsers read
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0X7F.0.0.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.0x1/",
        "http://0/",
        "http://0x/",
        "http://1.2.3.4.5/",
        "http://256.256.256.256/",
        "http://999999999999/",
        "http://1.2.3.4../",
        # letters that become digits or dots
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\u30020\u30021/",
        "http://\u2460\u2461\u2466.0.0.1/",
        "http://\u24bc\u24c4\u24c4\u24bc\u24c1\u24ba.com/",
        "http://stra\u00dfe.example/",
        "http://loc\u00adalhost/",
        "http://local\u200bhost/",
        "http://\uff4cocalhost/",
        # user names, in front of or instead of the host
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com%40127.0.0.1/",
        "http://@example.com/",
        "http://example.com:80@127.0.0.1/",
        # characters on which parsers disagree
        "http://example.com\\@127.0.0.1/",
        "http:\\\\example.com/",
        "http://example.com /",
        " http://example.com/",
        "http://example.com/a b",
        "http://exam\tple.com/",
        "http://example.com/\r\nHost: inside",
        "http://example.com/\x00",
        "http://example.com/\x7f",
        "http://example.com/\u2028",
        "http://example.com/\ud800",
        "http://exa%6dple.com/",
        "http://exa_mple!.com/",
        "http://-example.com/",
        "http://example-.com/",
        "http://a..b/",
        "http://.example.com/",
        "http://./",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 127 + "example/",
        # IPv6 brackets and zones
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://::1/",
        "http://[127.0.0.1]/",
        "http://[::g]/",
        "http://[::1]x/",
        "http://[v1.a]/",
        # schemes
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "dict://127.0.0.1:6379/info",
        "//example.com/",
        "example.com",
        "http:example.com",
        "http:/example.com",
        "http:///example.com",
        "javascript:alert(1)",
        "",
        # ports
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:/",
        "http://example.com:80:80/",
        "http://example.com:-1/",
        "http://example.com:\u0661/",
        "http://example.com:+80/",
        # paths that climb
        "http://example.com/a/../admin",
        "http://example.com/a/%2e%2E/admin",
        "http://example.com/a/.%2e",
        "http://example.com/./a",
        "http://example.com/" + "a" * 9000,
    ],
)
def test_doubtful_urls_are_refused_before_any_lookup(monkeypatch, url):
    """A URL that two programs could read differently is refused, and no name is looked up for it."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("a name was looked up"))
    assert refusal(addresses.parse, url) != ""


@pytest.mark.parametrize(
    ("url", "host", "port", "text"),
    [
        ("http://example.com", "example.com", 80, "http://example.com/"),
        ("HTTPS://Example.COM:443/A?b=C#d", "example.com", 443, "https://example.com/A?b=C"),
        ("http://example.com:8080?x", "example.com", 8080, "http://example.com:8080/?x"),
        ("http://example.com./", "example.com", 80, "http://example.com/"),
        ("http://8.8.8.8./", "8.8.8.8", 80, "http://8.8.8.8/"),
        ("http://my_service:9000/x", "my_service", 9000, "http://my_service:9000/x"),
        ("http://b\u00fccher.example/\u00fc?q=\u00e4", "xn--bcher-kva.example", 80, None),
        ("http://[2606:4700:0:0::1111]:81/", "2606:4700::1111", 81, "http://[2606:4700::1111]:81/"),
        ("http://example.com/a;b=1,2/(c)?d=%20&e[]=f", "example.com", 80, None),
        ("http://example.com/a..b/...", "example.com", 80, "http://example.com/a..b/..."),
        ("http://example.com/?next=http://127.0.0.1/", "example.com", 80, None),
        ("http://example.com?@127.0.0.1", "example.com", 80, "http://example.com/?@127.0.0.1"),
        ("http://example.com#@127.0.0.1", "example.com", 80, "http://example.com/"),
    ],
)
def test_plain_urls_are_rebuilt_in_one_spelling(url, host, port, text):
    """A URL that is understood comes back as host, port and the one text that is used from then on."""
    parsed = addresses.parse(url)
    assert (parsed.host, parsed.port) == (host, port)
    assert parsed.text.isascii()
    assert text is None or parsed.text == text
    assert addresses.parse(parsed.text) == parsed


REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:127.0.0.1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_inside_addresses_are_refused_as_literals_and_as_answers(allow, monkeypatch, address):
    """No address that is not public is called, whether it is written down or a name leads to it."""
    message = refusal(addresses.resolve, addresses.hostname(address), 80)
    assert "TOCSIN_EGRESS_ALLOW" in message
    answer_with(monkeypatch, address)
    refusal(addresses.resolve, "innocent.example", 80)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.128.0.1", "192.0.1.1"])
def test_public_addresses_are_allowed(allow, address):
    """Addresses next to the refused networks are public and may be called, without any look-up."""
    assert addresses.resolve(address, 443) == [address]
    assert addresses.resolve("2606:4700:4700::1111", 443) == ["2606:4700:4700::1111"]


@pytest.mark.parametrize("other", ["10.0.0.5", "::1", "fe80::1", "169.254.169.254"])
def test_one_inside_address_spoils_the_name(allow, monkeypatch, other):
    """A name with one public and one inside address is refused as a whole, in either order."""
    for order in ([PUBLIC, other], [other, PUBLIC]):
        answer_with(monkeypatch, *order)
        assert other in refusal(addresses.resolve, "mixed.example", 80)


def test_zone_ids_in_answers_are_refused(allow, monkeypatch):
    """An answer with a zone id is on a link of this machine; not even an allow-list reaches it."""
    allow("fe80::/10")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(10, 1, 6, "", ("fe80::1%eth0", 80, 0, 2))])
    assert "fe80::1%eth0" in refusal(addresses.resolve, "link.example", 80)


def test_operator_allows_by_network(allow, monkeypatch):
    """An allowed network wins over the refusals, and only that network."""
    allow("10.1.0.0/16", "::1/128")
    assert addresses.resolve("10.1.2.3", 80) == ["10.1.2.3"]
    assert addresses.resolve("::1", 80) == ["::1"]
    refusal(addresses.resolve, "10.2.0.1", 80)
    answer_with(monkeypatch, "10.1.2.3", PUBLIC)
    assert addresses.resolve("inside.example", 80) == ["10.1.2.3", PUBLIC]


@pytest.mark.parametrize(
    ("wrapper", "embedded"),
    [
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("64:ff9b::10.0.0.1", "10.0.0.0/8"),
        ("64:ff9b:1::10.0.0.1", "10.0.0.0/8"),
        ("2002:a00:1::1", "10.0.0.0/8"),
        ("::10.0.0.1", "10.0.0.0/8"),
        ("::ffff:0:10.0.0.1", "10.0.0.0/8"),
        ("2606:4700::5efe:10.0.0.1", "10.0.0.0/8"),
    ],
)
def test_embedded_ipv4_is_judged_too(allow, wrapper, embedded):
    """Allowing only the IPv6 form, or only the IPv4 address inside it, is not enough: both must pass."""
    host = addresses.hostname(wrapper)
    allow("::/0")
    refusal(addresses.resolve, host, 80)
    allow(embedded)
    if not host.startswith("2606:"):
        refusal(addresses.resolve, host, 80)
    allow("::/0", embedded)
    assert addresses.resolve(host, 80) == [host]


def test_unknown_name_is_retryable(allow, monkeypatch):
    """A name that cannot be resolved now may be resolvable later."""

    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ProviderError, match=r"gone\.example") as caught:
        addresses.resolve("gone.example", 80)
    assert (caught.value.code, caught.value.retryable) == ("connection_failed", True)


def test_refusals_do_not_repeat_the_url():
    """A refused URL may carry credentials, so the message does not show it."""
    assert "hunter2" not in refusal(addresses.parse, "http://admin:hunter2@example.com/")
    assert "hunter2" not in refusal(addresses.parse, "http://example.com/../?token=hunter2")
