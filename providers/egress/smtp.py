"""Delivers a message to a mail server.

In order of time: ``deliver`` opens a connection to a checked address, secures it as configured (the certificate must be
the configured host's, and there is no falling back to plain text), logs in if asked to, checks a last time whether the
execution is still ours, and sends the message. Meanwhile a watcher ends the connection when the execution is no longer
ours or its time is used up. A reply that does not end is not read to its end.
"""

import contextlib
import os
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any, BinaryIO

from config.types import Json
from providers.base import Abandoned, Call, ProviderError, TimedOut
from providers.egress import client as egress

PORTS = {"starttls": 587, "implicit": 465, "none": 25}
REPLY_SECONDS = 30.0
REPLY_LINES, REPLY_BYTES = 100, 64 << 10
_LOOK_SECONDS = 0.5
_TEMPORARY = range(400, 500)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def deliver(mail: EmailMessage, call: Call) -> Json:
    """Send the message; the output has accepted and refused recipients.

    Raises:
        ProviderError: ``smtp_failed`` (retryable when the server's code is 4xx), ``smtp_tls_failed``, and what
            ``egress.connect`` raises.
        TimedOut: the action's own time is used up.
        Abandoned: the execution is no longer ours.
    """
    config, watch = call.config, _Watch(call)
    tls = config.get("tls", "starttls")
    client = _Client(call, watch, tls)
    with client.failures(), watch:
        client.connect(config["host"], config.get("port", PORTS[tls]))
        client.ehlo()
        if tls == "starttls":
            client.starttls(context=ssl.create_default_context())
        if config.get("username"):
            client.login(config["username"], config["password"])
        refused = client.send_message(mail)
        with contextlib.suppress(smtplib.SMTPException, OSError, _TooMuch):  # the message is theirs already
            client.quit()
    accepted = [address for address in recipients(mail) if address not in refused]
    call.log("WARNING" if refused else "INFO", f"the mail server accepted the message for {len(accepted)} recipients")
    return {
        "accepted": accepted,
        "refused": {address: f"{code} {_words(text)}" for address, (code, text) in refused.items()},
        "message_id": str(mail["Message-ID"]),
    }


def recipients(mail: EmailMessage) -> list[str]:
    """The addresses in ``To``, without names."""
    return [address.addr_spec for address in mail["To"].addresses]


def one_line(text: str) -> str:
    """Text without anything that could end a header line."""
    return _CONTROL.sub(" ", text.encode(errors="replace").decode()).strip()


class _Watch:
    """Ends the watched connection when the call is aborted."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._over = threading.Event()
        self._guard: socket.socket | None = None
        self._thread = threading.Thread(target=self._look, name="smtp-watch", daemon=True)
        self.abandoned = False

    def guard(self, connection: socket.socket) -> None:
        """Watch this connection.

        A descriptor of our own stays valid when TLS wraps the socket.
        """
        self._guard = socket.socket(fileno=os.dup(connection.fileno()))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        if self._guard:
            self._guard.close()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self.abandoned = self._call.aborted()
            if (self.abandoned or not self._call.seconds_left) and self._guard:
                with contextlib.suppress(OSError):  # it has ended by itself
                    self._guard.shutdown(socket.SHUT_RDWR)
                return


class _TooMuch(Exception):  # noqa: N818 - private to this module
    """A reply that does not end.

    It is no OSError: smtplib would take that for a lost connection.
    """


class _Replies:
    """The server's replies, each read up to a bound."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.begin()

    def begin(self) -> None:
        """Begin to count another reply."""
        self._lines, self._room = REPLY_LINES, REPLY_BYTES

    def readline(self, limit: int) -> bytes:
        """The next line, of at most ``limit`` bytes."""
        line = self._stream.readline(limit)
        self._lines -= 1
        self._room -= len(line)
        if self._lines < 0 or self._room < 0:
            raise _TooMuch(f"it replied with more than {REPLY_LINES} lines or {REPLY_BYTES >> 10} KiB")
        return line

    def close(self) -> None:
        """Read no further."""
        self._stream.close()


class _Client(smtplib.SMTP):
    """smtplib over a connection that egress checked."""

    def __init__(self, call: Call, watch: _Watch, tls: str) -> None:
        super().__init__(local_hostname="localhost", timeout=REPLY_SECONDS)
        self._call, self._watch, self._tls = call, watch, tls
        self._handed_over = False

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        """Connect and read the greeting.

        The host is also the name that its certificate must have.
        """
        self._host = host
        return super().connect(host, port, source_address)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        bare = egress.connect(host, port, self._call)
        bare.settimeout(timeout)
        self._watch.guard(bare)
        address = bare.getsockname()[0]
        self.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        if self._tls == "implicit":
            return ssl.create_default_context().wrap_socket(bare, server_hostname=host)
        return bare

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply; give up one that does not end.

        smtplib keeps all lines of a reply in memory.
        """
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        if self.file is not None:
            self.file.begin()
        return super().getreply()

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Transmit the message; from here on it may have been accepted.

        That holds although no answer comes. The server may have taken long until here, so the call checks again that
        the execution is still ours.
        """
        self._call.checkpoint()
        self._handed_over = True
        return super().data(msg)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Ends the connection after a failure, and raises it as ours."""
        try:
            yield
        except (smtplib.SMTPException, OSError, ValueError, _TooMuch) as error:
            raise self._explained(error) from error
        finally:
            self.close()

    def _explained(self, error: Exception) -> Exception:
        if self._watch.abandoned:
            return Abandoned()
        if not self._call.seconds_left:
            late = TimedOut()
            late.unknown = self._handed_over
            return late
        if isinstance(error, ssl.SSLError | smtplib.SMTPNotSupportedError):
            return ProviderError("smtp_tls_failed", f"the mail server offers no safe connection or login: {error}")
        codes = _codes(error)
        if codes:
            temporary = all(code in _TEMPORARY for code in codes)
            return ProviderError("smtp_failed", f"the mail server refused: {_reply(error)}", retryable=temporary)
        message = f"the mail connection failed: {one_line(str(error)) or type(error).__name__}"
        broken = isinstance(error, OSError) and type(error) is not smtplib.SMTPException  # the latter is our fault
        return ProviderError("smtp_failed", message, retryable=broken, unknown=self._handed_over)


def _codes(error: Exception) -> list[int]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return [code for code, _ in error.recipients.values()]
    return [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []


def _reply(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{address}: {code} {_words(text)}" for address, (code, text) in error.recipients.items())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return str(error)


def _words(text: bytes | str) -> str:
    return one_line(text.decode(errors="replace") if isinstance(text, bytes) else text)[:500]
