"""The webhook and remote executors against a real HTTP server: what arrives there, and what comes of the answer."""

import base64
import contextlib
import email.utils
import http.server
import json
import threading
import time
from urllib.parse import parse_qs

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from config.settings import settings
from providers import remote, webhook
from providers.base import Call, ProviderError
from providers.egress import curl


class Handler(http.server.BaseHTTPRequestHandler):
    """Remembers what it is sent and answers as the test said."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, self.headers, body))
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def running():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.answer = [], (200, {"Content-Type": "application/json"}, b'{"rule_id": "fw-789"}')
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    with running() as server:
        yield server
        curl.POOL.close()
    settings.cache_clear()


def call(config, context=None, **changes):
    given = {
        "execution_id": "exec-1",
        "idempotency_key": "exec-1/key",
        "config": config,
        "parameters": context or {},
        "context": context or {},
    }
    return Call(**(given | changes))


def fails(executor, a_call):
    with pytest.raises(ProviderError) as caught:
        executor.perform(a_call)
    return caught.value


SLACK = {
    "method": "POST",
    "headers": {"Content-Type": "application/json"},
    "body_template": '{"channel": "{{ channel }}", "text": "{{ message }}"}',
}


def test_documented_example_works(server):
    """The documented action (type notification, executor webhook) posts its JSON, whatever the values contain."""
    config = SLACK | {"url": f"{server.url}/services/T00/B00/xxx"}
    assert webhook.check(config, {"channel", "message"}) == []
    values = {"channel": "#alerts", "message": 'a "quoted"\nline", "channel": "#general'}
    assert webhook.perform(call(config, values)) == {"rule_id": "fw-789"}
    method, path, headers, body = server.seen[0]
    assert (method, path) == ("POST", "/services/T00/B00/xxx")
    assert json.loads(body) == {"channel": "#alerts", "text": values["message"]}
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "exec-1/key"


@pytest.mark.parametrize(
    ("template", "value", "path"),
    [
        ("{base}/users/{{{{ v }}}}/block", "a/b?c#d @\u00fc", "/users/a%2Fb%3Fc%23d%20%40%C3%BC/block"),
        ("{base}/search?q={{{{ v }}}}&n=1", "x&n=2", "/search?q=x%26n%3D2&n=1"),
        ("{base}/users/{{{{ v }}}}", 42, "/users/42"),
    ],
)
def test_values_stay_in_their_part_of_the_url(server, template, value, path):
    """A value can add no path, query or fragment to a URL that the template spells."""
    webhook.perform(call({"url": template.format(base=server.url), "method": "get"}, {"v": value}))
    assert server.seen[0][:2] == ("GET", path)


def test_whole_urls_and_beginnings_are_taken_as_they_are(server):
    """A value that is the URL, or its beginning, is used as it is; what follows the beginning is still escaped."""
    webhook.perform(call({"url": " {{ url }} ", "method": "GET"}, {"url": f"{server.url}/a?b=c&d=e"}))
    webhook.perform(call({"url": "{{ base }}/x/{{ v }}", "method": "GET"}, {"base": f"{server.url}/v1", "v": "a/b"}))
    assert [path for _, path, *_ in server.seen] == ["/a?b=c&d=e", "/v1/x/a%2Fb"]


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("http://{{ v }}/x", "user@127.0.0.1"),
        ("http://{{ v }}/x", "127.0.0.1:9/"),
        ("http://{{ v }}.example/", "127.0.0.1/#"),
        ("http://127.0.0.1{{ v }}/", ":80@evil.example"),
        ("{{ v }}/x", "http://user@127.0.0.1"),
        ("{{ v }}/x", "http://127.0.0.1/?x="),
        ("{{ v }}/x", "file:///etc"),
        ("{{ v }}", "http://user:pass@127.0.0.1/"),
        ("{{ v }}", "http://127.0.0.1/\r\nX: y"),
        ("http://127.0.0.1/users/{{ v }}/block", ".."),
        ("http://127.0.0.1/users/{{ v }}/block", "."),
    ],
)
def test_values_cannot_move_the_call_elsewhere(server, url, value):
    """User names, ports, other hosts and climbing paths in a value are refused, and nothing is sent."""
    assert fails(webhook, call({"url": url}, {"v": value})).code == "egress_refused"
    assert server.seen == []


@pytest.mark.parametrize("value", ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\x00", "\u2028"])
def test_values_cannot_add_headers(server, value):
    """A line break in a header's value ends the attempt."""
    config = {"url": server.url, "headers": {"X-Title": "about {{ v }}"}}
    assert fails(webhook, call(config, {"v": value})).code == "invalid_header"
    assert server.seen == []


def test_bodies_are_written_for_their_content_type(server):
    """JSON keeps types, forms are encoded, other text is left alone, and a missing type is filled in."""
    values = {"n": 3, "s": "a&b=c \u00fc", "o": {"k": [1]}}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for config in (
        {"body": {"n": "{{ n }}", "o": "{{ o }}", "s": ["<{{ s }}>"]}},
        {"body_template": "s={{ s }}&t=1", "headers": form},
        {"body": {"s": "{{ s }}", "n": "{{ n }}"}, "headers": form},
        {"body_template": "n={{ n }}; s={{ s }}"},
        {"body": "{{ s }}", "headers": {"content-type": "text/markdown"}},
        {"body": "{{ s }}"},
    ):
        webhook.perform(call({"url": server.url, **config}, values))
    kinds = [headers["Content-Type"] for _, _, headers, _ in server.seen]
    bodies = [body.decode() for *_, body in server.seen]
    assert json.loads(bodies[0]) == {"n": 3, "o": {"k": [1]}, "s": ["<a&b=c \u00fc>"]}
    assert parse_qs(bodies[1]) == {"s": [values["s"]], "t": ["1"]}
    assert parse_qs(bodies[2]) == {"s": [values["s"]], "n": ["3"]}
    assert bodies[3:] == ["n=3; s=a&b=c \u00fc", "a&b=c \u00fc", '"a&b=c \u00fc"']
    assert kinds == [
        "application/json",
        *[form["Content-Type"]] * 2,
        "text/plain; charset=utf-8",
        "text/markdown",
        "application/json",
    ]


def test_call_without_body_and_with_a_key_of_its_own(server):
    """A GET has no body and no content type; a configured Idempotency-Key is kept."""
    webhook.perform(call({"url": server.url, "method": "GET", "headers": {"idempotency-key": "mine"}}))
    _, _, headers, body = server.seen[0]
    assert (body, headers["Content-Type"], headers.get_all("Idempotency-Key")) == (b"", None, ["mine"])


@pytest.mark.parametrize(
    ("kind", "body", "output"),
    [
        ("application/json", b'{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("application/problem+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/json", b"[1, 2]", {"body": [1, 2]}),
        ("application/json", b"7", {"body": 7}),
        ("text/plain", b"7", {"body": "7"}),
        ("text/html", b"ok", {"body": "ok"}),
        ("text/plain", b' {"a": 1}', {"a": 1}),
        ("application/json", b"", {}),
        ("application/json", b"{broken", {"body": "{broken"}),
        ("application/json", b'{"a": NaN}', {"body": '{"a": NaN}'}),
        ("application/json", b"[" * 40 + b"]" * 40, {"body": "[" * 40 + "]" * 40}),
        ("application/json", b"[" * 100_000, {"body": "[" * 100_000}),
        ("application/json", b'{"a": "\\ud800"}', {"a": "?"}),
        ("image/png", b"\x89PNG\xff", {"body": base64.b64encode(b"\x89PNG\xff").decode(), "encoding": "base64"}),
    ],
)
def test_output_is_the_answer(server, kind, body, output):
    """JSON objects are the output themselves; anything else is under ``body``, and always storable as JSON."""
    server.answer = (200, {"Content-Type": kind}, body)
    lines = []
    result = webhook.perform(call({"url": server.url}, log=lambda *line: lines.append(line)))
    assert result == output
    json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
    assert [level for level, _ in lines] == ["INFO"]
    assert "200" in lines[0][1]


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (500, False), (429, True), (502, True), (504, True)],
)
def test_bad_answers_are_failures_with_their_beginning(server, status, retryable):
    """Status and first 2 KB of the body are kept; only transient failures are tried again."""
    server.answer = (status, {}, b"no! " * 1000)
    error = fails(webhook, call({"url": server.url}))
    assert (error.code, error.retryable, error.details["status"]) == ("http_status", retryable, status)
    assert error.details["body"] == "no! " * 512


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7", 7, 7),
        ("99999", 3600, 3600),
        (lambda: email.utils.formatdate(time.time() + 100, usegmt=True), 90, 100),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ("soon", None, None),
        ("-5", None, None),
    ],
)
def test_retry_after_is_understood(server, text, least, most):
    """Seconds and dates count, up to an hour; nonsense does not."""
    server.answer = (503, {"Retry-After": text() if callable(text) else text}, b"")
    error = fails(webhook, call({"url": server.url}))
    assert error.retryable
    assert error.retry_after is None if least is None else least <= error.retry_after <= most


def test_redirect_is_a_failure_that_says_why(server):
    """A 3xx is not followed and says so."""
    server.answer = (301, {"Location": "http://169.254.169.254/"}, b"")
    error = fails(webhook, call({"url": server.url}))
    assert "redirects are not followed" in error.message
    assert (error.retryable, error.details["location"]) == (False, "http://169.254.169.254/")
    assert len(server.seen) == 1


def test_unknown_name_fails_the_step_and_names_it(server):
    """A template that names what does not exist ends the attempt before anything is sent."""
    error = fails(webhook, call(SLACK | {"url": server.url}, {"channel": "#a"}))
    assert (error.code, error.retryable) == ("template_error", False)
    assert "message" in error.message
    assert server.seen == []


def test_sandbox_and_plan_show_the_rendered_request(server):
    """Both show what would be sent, without credentials; only the sandbox gives an answer."""
    config = SLACK | {"url": f"{server.url}/x", "headers": {"Authorization": "Bearer {{ channel }}"}}
    values = {"channel": "#a", "message": "m"}
    sandboxed = call(config, values, mode="sandbox")
    assert webhook.perform(sandboxed) == {"simulated": True}
    shown = webhook.plan(call(config, values, mode="dry_run"))
    assert sandboxed.report.intercepted_calls == [shown]
    assert (shown["method"], shown["url"], shown["body"]) == ("POST", f"{server.url}/x", {"channel": "#a", "text": "m"})
    assert shown["headers"]["Authorization"] == "********"
    assert server.seen == []


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({}, "/url"),
        ({"url": 7}, "/url"),
        ({"url": "ftp://example.com"}, "/url"),
        ({"url": "ftp://{{ a }}"}, "/url"),
        ({"url": "http://u:p@example.com"}, "/url"),
        ({"url": "http://e.com/{{ nobody }}"}, "/url"),
        ({"url": "http://e.com", "method": "BREW"}, "/method"),
        ({"url": "http://e.com", "method": "HEAD", "body": {}}, "/method"),
        ({"url": "http://e.com", "headers": []}, "/headers"),
        ({"url": "http://e.com", "headers": {"Host": "x"}}, "/headers/Host"),
        ({"url": "http://e.com", "headers": {"X-A": {}}}, "/headers/X-A"),
        ({"url": "http://e.com", "headers": {"X-A": "a\nb"}}, "/headers/X-A"),
        ({"url": "http://e.com", "headers": {"X/A": "{{ nobody }}"}}, "/headers/X~1A"),
        ({"url": "http://e.com", "body": {}, "body_template": "{}"}, "/body"),
        ({"url": "http://e.com", "body": {"a": ["{{ nobody }}"]}}, "/body/a/0"),
        ({"url": "http://e.com", "body_template": 7}, "/body_template"),
        ({"url": "http://e.com", "body_template": '{"a": {{ a }'}, "/body_template"),
        ({"url": "http://e.com", "body_template": '{"a": }'}, "/body_template"),
        ({"url": "http://e.com", "body_tempalte": "x"}, "/body_tempalte"),
        ({"url": "http://e.com", "note": "of another tool"}, "/note"),
    ],
)
def test_faults_are_found_when_the_action_is_written(config, pointer):
    """Each fault of a config is named by its place."""
    assert pointer in {problem.pointer for problem in webhook.check(config, {"a"})}


def test_good_configs_have_no_faults():
    """A config that works has no fault."""
    for config in (
        {
            "url": "https://e.com/{{ a }}",
            "method": "put",
            "headers": {"X-Num": 5, "X": "{{ a }}"},
            "body": [1, "{{ a }}"],
        },
        {"url": "{{ a }}", "body_template": '{"x": "{{ a }}"}'},
        {"url": "https://e.com", "body_template": "plain {{ a }}"},
        {"url": "https://e.com", "body_template": "{{ a }} happened", "headers": {"Content-Type": "text/plain"}},
    ):
        assert webhook.check(config, {"a"}) == []


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "any text of 16 characters or more"])
def test_remote_messages_verify_with_the_standard_library(server, secret):
    """The receiver checks a message with the convention's own library; a changed body does not pass."""
    config = {"target": f"{server.url}/hook", "secret": secret, "headers": {"X-Env": "{{ env }}"}}
    context = {"env": "prod", "action_id": "act-block-ip", "target": "a-1001"}
    assert remote.check(config, set(context)) == []
    lines = []
    parameters = {"ip": "203.0.113.50", "note": 'qu"ote \u00fc'}
    a_call = call(config, context, parameters=parameters, log=lambda *line: lines.append(line))
    assert remote.perform(a_call) == {"rule_id": "fw-789"}
    _, path, headers, body = server.seen[0]
    verifier = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    message = verifier.verify(body, dict(headers))
    assert (path, headers["webhook-id"], headers["X-Env"]) == ("/hook", "exec-1/key", "prod")
    assert message["type"] == "action.triggered"
    assert message["data"] == {
        "execution_id": "exec-1",
        "action_id": "act-block-ip",
        "target": "a-1001",
        "parameters": parameters,
    }
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace(b"203", b"204"), dict(headers))
    assert "203.0.113.50" not in str(lines)


def test_every_attempt_of_a_remote_message_has_the_same_id(server):
    """A second attempt carries the same webhook-id, so that the receiver can drop it, whatever the config says."""
    config = {"target": server.url, "secret": "x" * 16, "headers": {"Webhook-Id": "other"}}
    for _ in range(2):
        remote.perform(call(config))
    assert [headers.get_all("webhook-id") for _, _, headers, _ in server.seen] == [["exec-1/key"]] * 2


def test_reports_do_not_show_the_signature_of_a_message(server):
    """A reader of a dry run or a sandbox report cannot send its message as genuine."""
    config = {"target": server.url, "secret": "x" * 16}
    sandboxed = call(config, mode="sandbox")
    remote.perform(sandboxed)
    for shown in (remote.plan(call(config, mode="dry_run")), *sandboxed.report.intercepted_calls):
        assert shown["headers"]["webhook-id"] == "exec-1/key"
        assert shown["headers"]["webhook-signature"] == "********"
        assert "v1," not in str(shown)


def test_a_remote_message_is_signed_with_each_secret(server):
    """While a receiver changes its secret the old one and the new one verify, and no other."""
    old, new, other = ("whsec_" + base64.b64encode(bytes([number]) * 24).decode() for number in range(3))
    config = {"target": server.url, "secret": [new, old]}
    assert remote.check(config, set()) == []
    remote.perform(call(config))
    _, _, headers, body = server.seen[0]
    for secret in (old, new):
        Webhook(secret).verify(body, dict(headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, dict(headers))


@pytest.mark.parametrize(
    ("size", "fit"), [(1, False), (16, False), (23, False), (24, True), (64, True), (65, False), (200, False)]
)
def test_a_signing_key_has_24_to_64_bytes(server, size, fit):
    """Any other is refused when the action is written, with its place; one that was taken earlier still signs."""
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()
    found = [remote.check({"target": server.url, "secret": each}, set()) for each in (secret, ["x" * 16, secret])]
    assert [[problem.pointer for problem in problems] for problems in found] == (
        [[], []] if fit else [["/secret"], ["/secret/1"]]
    )
    remote.perform(call({"target": server.url, "secret": secret}))
    assert len(server.seen) == 1


@pytest.mark.parametrize("secret", [None, "", "short", 7, "whsec_", "whsec_not base64!", [], {}])
def test_remote_needs_a_secret(server, secret):
    """Unsigned or weakly signed messages are not sent."""
    config = {"target": server.url, "secret": secret}
    assert {problem.pointer for problem in remote.check(config, set())} == {"/secret"}
    assert fails(remote, call(config)).code == "invalid_config"
    assert server.seen == []
