"""E-mail: checks, renders and sends a message.

In order of time: ``check`` names the faults of a config; ``message`` renders sender, recipients, subject and text, and
refuses what could add a header or a recipient; ``deliver`` sends it with ``providers.egress.smtp``.
"""

import contextlib
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from config import spans
from config.errors import Problem
from config.types import Json
from event_loop import loop
from expressions import templates
from expressions.templates import as_text
from playbooks.states import Mode
from providers import http, members
from providers.base import Call, ProviderError
from providers.egress import addresses, smtp
from providers.egress.smtp import PORTS, one_line, recipients

KEYS = ("kind", "host", "port", "username", "password", "tls", "from", "to", "subject", "body")
MAX_RECIPIENTS = 100
MAX_ADDRESS = 500
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_NAME = re.compile(r"[^\"<>\x00-\x1f\x7f]*\Z")
_BETWEEN_COMMAS = re.compile(r"(?:\{\{.*?\}\}|[^,])+")


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Every fault of an e-mail channel's config."""
    problems = members.check(config, KEYS, ("host", "from", "to", "subject", "body"))
    problems += http.check_texts(config, ("from", "subject", "body"), names)
    tls = config.get("tls", "starttls")
    if not isinstance(tls, str) or tls not in PORTS:
        problems.append(Problem("/tls", "must be starttls, implicit or none"))
    elif tls == "none" and config.get("username"):
        problems.append(Problem("/username", "a password is not sent without TLS: use tls starttls or implicit"))
    port = config.get("port", 25)
    if not isinstance(port, int) or isinstance(port, bool) or port not in range(1, 65536):
        problems.append(Problem("/port", "must be a number between 1 and 65535"))
    if bool(config.get("username")) != bool(config.get("password")):
        problems.append(Problem("/username", "username and password belong together"))
    return problems + _check_host(config.get("host")) + _check_recipients(config.get("to"), names)


def message(call: Call) -> EmailMessage:
    """The rendered message.

    Raises:
        ProviderError: ``template_error``, ``invalid_address``.
    """
    config, context = call.config, call.context
    mail = EmailMessage(policy=SMTP)
    with http.rendering():
        sender = _mailbox(templates.render_text(config["from"], context))
        mail["From"] = sender
        mail["To"] = [_mailbox(text) for text in _recipients(config["to"], context)]
        mail["Subject"] = one_line(templates.render_text(config["subject"], context))
        body = templates.render_text(config["body"], context)
    mail["Date"] = format_datetime(datetime.now(UTC))
    digest = hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}@{sender.domain}>"  # repeated attempts are recognisable as one message
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body.encode(errors="replace").decode())
    return mail


def described(call: Call) -> Json:
    """The message as reports show it."""
    mail = message(call)
    return {
        "type": "smtp",
        "host": call.config["host"],
        "to": recipients(mail),
        "subject": str(mail["Subject"]),
        "body": mail.get_content().rstrip("\n"),
    }


def deliver(call: Call) -> Json:
    """Send the message; the output has accepted and refused recipients.

    Raises like ``smtp.deliver``.
    """
    if call.mode == Mode.SANDBOX:
        call.report.intercepted_calls.append(described(call))
        return {"simulated": True}
    with spans.span("SMTP", call.trace, kind="client") as span:
        span.tell(execution=call.execution_id)
        return loop.offload(smtp.deliver, message(call), call)


def _mailbox(text: str) -> Address:
    """Exactly one address, perhaps with a name before it in angle brackets."""
    name, bracket, rest = text.strip().rpartition("<")
    address = rest.removesuffix(">") if bracket and rest.endswith(">") else text.strip()
    name = name.strip().removeprefix('"').removesuffix('"')
    if _ADDRESS.match(address) and _NAME.match(name) and len(text) <= MAX_ADDRESS:
        with contextlib.suppress(ValueError, MessageError):  # some spellings only the e-mail library refuses
            return Address(name, addr_spec=address)
    raise ProviderError("invalid_address", f"'{one_line(text[:100])}' is not exactly one e-mail address")


def _recipients(source: Any, context: Mapping[str, Any]) -> list[str]:
    """The recipients one by one.

    Commas in the config separate them; an inserted value holds one recipient, or is a list.
    """
    texts = _BETWEEN_COMMAS.findall(source) if isinstance(source, str) else source
    found = []
    for text in texts:
        value = templates.render(text.strip(), context)
        found += [as_text(item) for item in value] if isinstance(value, list) else [as_text(value)]
    if not 1 <= len(found) <= MAX_RECIPIENTS:
        raise ProviderError("invalid_address", f"a message has between 1 and {MAX_RECIPIENTS} recipients")
    return found


def _check_host(host: Any) -> list[Problem]:
    if not isinstance(host, str) or not host:
        return [] if host in (None, "") else [Problem("/host", "must be text")]
    try:
        addresses.hostname(host)
    except ProviderError as error:
        return [Problem("/host", error.message)]
    return []


def _check_recipients(value: Any, names: set[str]) -> list[Problem]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [problem.under("/to") for problem in templates.check(value, names)]
    return http.check_texts({"to": value}, ("to",), names)
