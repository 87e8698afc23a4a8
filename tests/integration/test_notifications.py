"""Notifications against real servers: a mail server, and an HTTP server in the place of Slack and PagerDuty."""

import contextlib
import datetime as dt
import email
import email.policy
import http.server
import json
import socket
import ssl
import threading
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.settings import settings
from providers import notification
from providers.base import Abandoned, Call, ProviderError, TimedOut
from providers.egress import curl

NAMES = {"finding", "who"}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Settings that allow this machine."""
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8,::1/128")
    settings.cache_clear()
    yield monkeypatch
    curl.POOL.close()
    settings.cache_clear()


def call(config, context=None, **changes):
    given = {
        "execution_id": "exec-1",
        "idempotency_key": "exec-1/key",
        "config": config,
        "parameters": {},
        "context": context or {},
    }
    return Call(**(given | changes))


def fails(a_call, kind=ProviderError):
    with pytest.raises(kind) as caught:
        notification.perform(a_call)
    return caught.value


# ---- HTTP channels


class Handler(http.server.BaseHTTPRequestHandler):
    """Remembers what it is sent and answers as Slack does."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers, json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.url = [], f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_slack_message_cannot_shout_for_an_attacker(web):
    """Markup in the config works; the same markup in a value is inert letters."""
    config = {
        "kind": "slack",
        "url": f"{web.url}/services/T/B/hunter2",
        "text": "<!here> *{{ finding.title }}* & more",
        "channel": "#{{ who }}",
        "username": "Tocsin",
    }
    assert notification.check(config, NAMES) == []
    finding = {"title": "<!channel> & <http://evil|click>"}
    lines = []
    a_call = call(config, {"finding": finding, "who": "alerts"}, log=lambda *line: lines.append(line))
    assert notification.perform(a_call) == {"body": "ok"}
    path, headers, body = web.seen[0]
    assert path == "/services/T/B/hunter2"
    assert headers["Idempotency-Key"] == "exec-1/key"
    assert body == {
        "text": "<!here> *&lt;!channel&gt; &amp; &lt;http://evil|click&gt;* & more",
        "channel": "#alerts",
        "username": "Tocsin",
    }
    assert "hunter2" not in str(lines)
    shown = notification.plan(a_call)
    assert shown["url"] == f"{web.url}/********"
    assert "hunter2" not in json.dumps(shown)
    assert shown["body"] == body


def test_pagerduty_alert_is_opened_and_closed(web):
    """A trigger carries summary, source, severity and details; a resolve names the same alert and nothing else."""
    opening = {
        "kind": "pagerduty",
        "url": f"{web.url}/v2/enqueue",
        "routing_key": "R0123456789",
        "summary": "{{ finding.title }}",
        "severity": "{{ finding.severity }}",
        "custom_details": {"score": "{{ finding.score }}"},
    }
    finding = {"title": "t" * 2000, "severity": "HIGH", "score": 9.5}
    closing = {
        "kind": "pagerduty",
        "url": f"{web.url}/v2/enqueue",
        "routing_key": "R0123456789",
        "event_action": "resolve",
        "dedup_key": "{{ who }}",
    }
    for config in (opening, closing):
        assert notification.check(config, NAMES) == []
        notification.perform(call(config, {"finding": finding, "who": "exec-1/key"}))
    assert web.seen[0][2] == {
        "routing_key": "R0123456789",
        "event_action": "trigger",
        "dedup_key": "exec-1/key",
        "payload": {"summary": "t" * 1024, "source": "tocsin", "severity": "error", "custom_details": {"score": 9.5}},
    }
    assert web.seen[1][2] == {"routing_key": "R0123456789", "event_action": "resolve", "dedup_key": "exec-1/key"}
    wrong = call(opening, {"finding": finding | {"severity": "purple"}})
    assert fails(wrong).code == "invalid_config"


def test_pagerduty_sandbox_hides_the_key_and_knows_the_address(web):
    """Without a URL the event goes to PagerDuty; reports show the event but not the routing key."""
    config = {"kind": "pagerduty", "routing_key": "R0123456789", "summary": "s"}
    sandboxed = call(config, mode="sandbox")
    assert notification.perform(sandboxed) == {"simulated": True}
    recorded = sandboxed.report.intercepted_calls[0]
    assert recorded["url"] == "https://events.pagerduty.com/v2/enqueue"
    assert recorded["body"]["routing_key"] == "********"
    assert recorded["body"]["payload"]["summary"] == "s"


def test_any_webhook_is_a_channel(web):
    """The generic channel is the webhook executor under another name."""
    config = {"kind": "webhook", "url": f"{web.url}/any", "body_template": '{"text": "{{ who }}"}'}
    assert notification.check(config, NAMES) == []
    notification.perform(call(config, {"who": "me"}))
    assert web.seen[0][0] == "/any"
    assert web.seen[0][2] == {"text": "me"}


# ---- mail


class Mailbox:
    """The handler of a mail server: keeps accepted messages, refuses the addresses that the test names."""

    def __init__(self):
        self.messages, self.refuse, self.sleep = [], {}, threading.Event()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.messages.append((envelope, session))
        return self.refuse.get("data", "250 OK")


@contextlib.contextmanager
def serving(handler, **options):
    controller = Controller(handler, hostname="127.0.0.1", port=0, ready_timeout=60, **options)
    # port 0: the controller would connect to the configured port to wake the server up, so take a free one first
    with socket.create_server(("127.0.0.1", 0)) as free:
        controller.port = free.getsockname()[1]
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def plain(mailbox):
    """The config of a channel to a running server without TLS."""
    with serving(mailbox) as server:
        yield {
            "kind": "email",
            "host": "127.0.0.1",
            "port": server.port,
            "tls": "none",
            "from": "Tocsin <tocsin@example.com>",
            "to": "soc@example.com",
            "subject": "Alert: {{ finding.title }}",
            "body": "Found: {{ finding.title }}\n.\nEnd \u00fc",
        }


def received(mailbox, number=0):
    envelope, _ = mailbox.messages[number]
    return envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)


def test_mail_arrives_whole(mailbox, plain):
    """Sender, recipients, subject and text arrive, lines with a single dot and umlauts included."""
    config = plain | {"to": ["soc@example.com", "Duty Officer <{{ who }}>"]}
    assert notification.check(config, NAMES) == []
    context = {"finding": {"title": "port 23 \u00fcber alles " * 10}, "who": "duty@example.com"}
    output = notification.perform(call(config, context))
    envelope, message = received(mailbox)
    assert envelope.mail_from == "tocsin@example.com"
    assert envelope.rcpt_tos == ["soc@example.com", "duty@example.com"]
    assert message["From"] == "Tocsin <tocsin@example.com>"
    assert message["Subject"] == ("Alert: " + context["finding"]["title"]).strip()
    assert message.get_content().replace("\r\n", "\n").strip() == f"Found: {context['finding']['title']}\n.\nEnd \u00fc"
    assert message["Auto-Submitted"] == "auto-generated"
    assert output == {
        "accepted": ["soc@example.com", "duty@example.com"],
        "refused": {},
        "message_id": message["Message-ID"],
    }


def test_message_id_is_the_same_for_every_attempt(mailbox, plain):
    """Repeated attempts are one message; another execution is another."""
    context = {"finding": {"title": "t"}}
    for key in ("a", "a", "b"):
        notification.perform(call(plain, context, idempotency_key=key))
    ids = [received(mailbox, number)[1]["Message-ID"] for number in range(3)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b"])
def test_titles_cannot_add_headers(mailbox, plain, end):
    """Line breaks in a subject become blanks, so nothing after them is read as a header or as the body."""
    title = f"hello{end}Bcc: evil@example.com{end}{end}body"
    notification.perform(call(plain, {"finding": {"title": title}}))
    envelope, message = received(mailbox)
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Alert: hello Bcc: evil@example.com")
    assert envelope.rcpt_tos == ["soc@example.com"]


@pytest.mark.parametrize(
    "value",
    [
        "a@example.com, evil@example.com",
        "a@example.com\r\nBcc: evil@example.com",
        "a@example.com>\r\nRCPT TO:<evil@example.com",
        "<a@example.com> SIZE=1",
        "a@example.com;evil@example.com",
        '"a@example.com" evil@example.com',
        "Friends: a@example.com, b@example.com;",
        "nobody",
        "",
        "@example.com",
        "a b@example.com",
        "a@exa mple.com",
        "a@[127.0.0.1]",
        "a..b@example.com",
        "x" * 1000 + "@example.com",
        " " * 5000,
    ],
)
def test_values_cannot_add_recipients(mailbox, plain, value):
    """A value stands for exactly one address, as a recipient and as the sender."""
    context = {"finding": {"title": "t"}, "who": value}
    for config in (
        plain | {"to": "soc@example.com, {{ who }}"},
        plain | {"to": ["{{ who }}"]},
        plain | {"from": "{{ who }}"},
    ):
        assert fails(call(config, context)).code == "invalid_address"
    assert mailbox.messages == []


def test_a_list_value_is_a_list_of_recipients(mailbox, plain):
    """A list given as a whole is taken as recipients, each of which must be one address."""
    context = {"finding": {"title": "t"}, "who": ["a@example.com", "b@example.com"]}
    notification.perform(call(plain | {"to": "{{ who }}"}, context))
    assert received(mailbox)[0].rcpt_tos == context["who"]
    for wrong in ([], ["a@example.com,b@example.com"], ["a@example.com"] * 101):
        assert fails(call(plain | {"to": "{{ who }}"}, context | {"who": wrong})).code == "invalid_address"


def test_some_refused_recipients_are_reported(mailbox, plain):
    """The report names the refused recipients; the others have their mail."""
    mailbox.refuse = {"gone@example.com": "550 no such user"}
    lines = []
    config = plain | {"to": "soc@example.com, gone@example.com"}
    a_call = call(config, {"finding": {"title": "t"}}, log=lambda level, text: lines.append(level))
    output = notification.perform(a_call)
    assert output["accepted"] == ["soc@example.com"]
    assert output["refused"] == {"gone@example.com": "550 no such user"}
    assert lines == ["WARNING"]


@pytest.mark.parametrize(
    ("place", "reply", "retryable"),
    [
        ("soc@example.com", "450 try later", True),
        ("soc@example.com", "550 no such user", False),
        ("data", "452 full", True),
        ("data", "554 spam", False),
    ],
)
def test_refusals_are_temporary_or_final(mailbox, plain, place, reply, retryable):
    """4xx is tried again, 5xx is not."""
    mailbox.refuse = {place: reply}
    error = fails(call(plain, {"finding": {"title": "t"}}))
    assert (error.code, error.retryable, error.unknown) == ("smtp_failed", retryable, False)
    assert reply in error.message


def test_mail_server_inside_is_refused_unless_allowed(environment, mailbox, plain):
    """Mail follows the same rules about addresses as HTTP, and asks whether the execution is still ours."""
    environment.setenv("TOCSIN_EGRESS_ALLOW", "")
    settings.cache_clear()
    assert fails(call(plain, {"finding": {"title": "t"}})).code == "egress_refused"
    environment.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()

    def taken_over():
        raise Abandoned

    fails(call(plain, {"finding": {"title": "t"}}, checkpoint=taken_over), Abandoned)
    assert mailbox.messages == []


def test_sandbox_and_plan_show_the_mail(environment, plain):
    """The mail is rendered and shown, and no connection is made."""
    environment.setattr(socket.socket, "connect", lambda *a: pytest.fail("a connection was made"))
    context = {"finding": {"title": "t"}}
    sandboxed = call(plain, context, mode="sandbox")
    assert notification.perform(sandboxed) == {"simulated": True}
    shown = {
        "type": "smtp",
        "host": "127.0.0.1",
        "to": ["soc@example.com"],
        "subject": "Alert: t",
        "body": "Found: t\n.\nEnd \u00fc",
    }
    assert sandboxed.report.intercepted_calls == [shown]
    assert notification.plan(call(plain, context, mode="dry_run")) == shown


@pytest.fixture
def silent():
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "kind": "email",
            "host": "127.0.0.1",
            "port": server.getsockname()[1],
            "tls": "none",
            "from": "a@example.com",
            "to": "b@example.com",
            "subject": "s",
            "body": "b",
        }


def test_cancelled_mail_is_given_up(silent):
    """A silent server does not hold a cancelled execution."""
    began = time.monotonic()
    fails(call(silent, aborted=lambda: time.monotonic() - began > 0.1), Abandoned)
    assert time.monotonic() - began < 20


def test_mail_ends_with_the_time_of_the_action(silent):
    """A silent server does not hold an action beyond its own timeout."""
    assert fails(call(silent, expires_at=time.monotonic() + 0.2), TimedOut).code == "timeout"


@contextlib.contextmanager
def speaking(silent, speak):
    """The config of a channel to a server that does ``speak(stream)`` with its one client."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            client, _ = server.accept()
            with client, client.makefile("rwb", 0) as stream, contextlib.suppress(OSError):
                speak(stream)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield silent | {"port": server.getsockname()[1]}
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("line", [b"220-x\r\n", b"220-" + b"x" * 8000 + b"\r\n"], ids=["lines", "bytes"])
def test_a_reply_without_end_is_given_up(silent, line):
    """A server that never ends its reply is left after 100 lines or 64 KiB, and not asked again."""

    def babble(stream):
        while True:
            stream.write(line)

    with speaking(silent, babble) as config:
        error = fails(call(config))
    assert (error.code, error.retryable, error.unknown) == ("smtp_failed", False, False)
    assert "100 lines or 64 KiB" in error.message


def test_cancelling_during_a_slow_greeting_sends_no_message(silent):
    """The last look is taken right before DATA: a cancel that came while the server took its time stops the mail."""
    cancelled, got = threading.Event(), []

    def look():
        if cancelled.is_set():
            raise Abandoned

    def greet_late(stream):
        cancelled.set()
        stream.write(b"220 here\r\n")
        while line := stream.readline():
            got.append(line[:4].upper())
            stream.write(b"354 go\r\n" if got[-1] == b"DATA" else b"250 yes\r\n")

    with speaking(silent, greet_late) as config:
        fails(call(config, checkpoint=look), Abandoned)
    assert b"RCPT" in got
    assert b"DATA" not in got


def test_server_that_hangs_up_is_tried_again():
    """A connection that breaks before the message was handed over had no effect."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        config = {"kind": "email", "host": "127.0.0.1", "port": server.getsockname()[1], "tls": "none"}
        texts = {"from": "a@example.com", "to": "b@example.com", "subject": "s", "body": "b"}
        error = fails(call(config | texts))
        thread.join()
    assert (error.code, error.retryable, error.unknown) == ("smtp_failed", True, False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that signs itself: (server's context, path of the certificate)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + pem)
    (folder / "ca.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context, folder / "ca.pem"


def authenticator(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"tocsin", b"hunter2"), handled=False)


def secured(certificate, tls):
    options = {"authenticator": authenticator, "auth_required": True}
    if tls == "starttls":
        return options | {"tls_context": certificate[0], "require_starttls": True}
    return options | {"ssl_context": certificate[0], "auth_require_tls": False}


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the server's view of implicit TLS
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_over_tls_with_login(environment, certificate, mailbox, tls):
    """TLS is verified against the configured name; the password travels only inside it."""
    with serving(mailbox, **secured(certificate, tls)) as server:
        config = {"kind": "email", "port": server.port, "tls": tls, "username": "tocsin", "password": "hunter2"}
        texts = {"from": "a@example.com", "to": "b@example.com", "subject": "s", "body": "b"}
        good = config | texts | {"host": "localhost"}
        assert notification.check(good, NAMES) == []
        assert fails(call(good)).code == "smtp_tls_failed"  # the authority is not known yet
        environment.setenv("SSL_CERT_FILE", str(certificate[1]))
        assert notification.perform(call(good))["accepted"] == ["b@example.com"]
        assert fails(call(good | {"host": "127.0.0.1"})).code == "smtp_tls_failed"  # not the certificate's name
        wrong = fails(call(good | {"password": "wrong"}))
        assert (wrong.code, wrong.retryable) == ("smtp_failed", False)
        assert "wrong" not in wrong.message
    assert len(mailbox.messages) == 1


def test_no_falling_back_to_plain_text(mailbox, plain):
    """A server without STARTTLS gets nothing when STARTTLS is configured (or nothing is: it is the default)."""
    del plain["tls"]
    error = fails(call(plain, {"finding": {"title": "t"}}))
    assert (error.code, error.retryable) == ("smtp_tls_failed", False)
    assert mailbox.messages == []


# ---- configs

MAIL = {"kind": "email", "host": "mail.example.com", "from": "a@b.c", "to": "d@e.f", "subject": "s", "body": "b"}


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({}, {"/kind"}),
        ({"kind": "pigeon"}, {"/kind"}),
        ({"kind": "slack"}, {"/url", "/text"}),
        ({"kind": "slack", "url": "ftp://x", "text": "{{ nobody }}"}, {"/url", "/text"}),
        ({"kind": "slack", "url": "https://x.y", "text": {}}, {"/text"}),
        ({"kind": "email"}, {"/host", "/from", "/to", "/subject", "/body"}),
        (MAIL | {"host": "0x7f.1"}, {"/host"}),
        (MAIL | {"host": 5}, {"/host"}),
        (MAIL | {"port": 0}, {"/port"}),
        (MAIL | {"port": "25"}, {"/port"}),
        (MAIL | {"tls": "maybe"}, {"/tls"}),
        (MAIL | {"tls": "none", "username": "u", "password": "p"}, {"/username"}),
        (MAIL | {"username": "u"}, {"/username"}),
        (MAIL | {"to": 5}, {"/to"}),
        (MAIL | {"to": ["a@b.c", "{{ nobody }}"]}, {"/to/1"}),
        ({"kind": "pagerduty"}, {"/routing_key", "/summary"}),
        ({"kind": "pagerduty", "routing_key": "k", "event_action": "resolve"}, {"/dedup_key"}),
        ({"kind": "pagerduty", "routing_key": "k", "summary": "s", "event_action": "shout"}, {"/event_action"}),
        (
            {"kind": "pagerduty", "routing_key": "k", "summary": "s", "custom_details": {"a": "{{ nobody }}"}},
            {"/custom_details/a"},
        ),
        ({"kind": "webhook"}, {"/url"}),
    ],
)
def test_faults_are_found_when_the_action_is_written(config, pointers):
    """Each fault of a channel's config is named by its place."""
    assert {problem.pointer for problem in notification.check(config, NAMES)} == pointers


def test_unknown_channel_fails_the_step():
    """A config that was never checked fails as data, not as a crash."""
    assert fails(call({"kind": "pigeon"})).code == "invalid_config"
