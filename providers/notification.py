"""Executor ``notification``: messages people through Slack, e-mail, PagerDuty or webhooks.

``config.kind`` chooses the channel and with it the other keys. The message holds values from findings, which may come
from an attacker: Slack's control characters, mail headers and JSON are escaped or refused by place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from config.errors import Problem
from config.types import Json
from expressions import templates
from expressions.suggestions import did_you_mean
from expressions.templates import as_text
from expressions.values import compact
from providers import http, mail, members, webhook
from providers.base import Call, ProviderError
from providers.egress import client
from providers.egress.client import Request

#: the URL of a Slack channel is its password
SECRETS = ("password", "routing_key", "url")
ON_LOOP = True
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_SLACK_KEYS = ("kind", "url", "text", "channel", "username")
_PAGERDUTY_KEYS = ("kind", "routing_key", "event_action", "summary", "source", "severity", "dedup_key", "url")
_PAGERDUTY_TEXTS = ("routing_key", "summary", "source", "severity", "dedup_key")
_EVENT_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = {name: name for name in ("critical", "error", "warning", "info")} | {
    "high": "error",
    "medium": "warning",
    "low": "info",
}
_MAX_SUMMARY = 1024
#: other words for channels
_WORDS = {"mail": "email", "e-mail": "email", "smtp": "email", "http": "webhook", "pager": "pagerduty"}


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Every fault of the config."""
    kind = str(config.get("kind", ""))
    channel = CHANNELS.get(kind)
    if channel is None:
        return [
            Problem("/kind", f"must be one of {', '.join(CHANNELS)}{did_you_mean(kind, CHANNELS, synonyms=_WORDS)}")
        ]
    return channel.check(config, names)


def plan(call: Call) -> Json:
    """The message that ``perform`` would send."""
    return _channel(call).describe(call)


def perform(call: Call) -> Any:
    """Send the message; the output is the channel's answer."""
    return _channel(call).send(call)


@dataclass(frozen=True)
class _Channel:
    check: Callable[[Mapping[str, Any], set[str]], list[Problem]]
    describe: Callable[[Call], Json]
    send: Callable[[Call], Any]


def _channel(call: Call) -> _Channel:
    try:
        return CHANNELS[str(call.config.get("kind", ""))]
    except KeyError:
        raise ProviderError("invalid_config", f"kind must be one of {', '.join(CHANNELS)}") from None


def _over_http(
    check: Callable[[Mapping[str, Any], set[str]], list[Problem]], request: Callable[[Call], Request]
) -> _Channel:
    return _Channel(
        check,
        lambda call: client.described(request(call)),
        lambda call: http.exchange(request(call), call),
    )


def _json_request(call: Call, url: str, payload: Json, purpose: str, hidden: str) -> Request:
    headers = {"Content-Type": "application/json", "Idempotency-Key": call.idempotency_key}
    return Request("POST", url, headers, compact(payload).encode(), purpose, (hidden,))


def _check_slack(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    problems = members.check(config, _SLACK_KEYS, ("url", "text"))
    problems += http.check_url(config, names)
    return problems + http.check_texts(config, ("text", "channel", "username"), names)


def _slack_escape(value: Any) -> str:
    """A value as plain text.

    ``<!channel>``, links and mentions in it stay letters.
    """
    return as_text(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_request(call: Call) -> Request:
    config, context = call.config, call.context
    with http.rendering():
        url = http.render_url(config["url"], context)
        payload = {"text": templates.render_text(config["text"], context, _slack_escape)}
        for key in ("channel", "username"):
            if config.get(key):
                payload[key] = templates.render_text(config[key], context, _slack_escape)
        return _json_request(call, url, payload, "Slack message", hidden=urlsplit(url).path.lstrip("/"))


def _check_pagerduty(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    event_action = config.get("event_action", "trigger")
    closing = event_action in ("acknowledge", "resolve")
    required = ("routing_key", "dedup_key" if closing else "summary")
    problems = members.check(config, (*_PAGERDUTY_KEYS, "custom_details"), required)
    problems += http.check_texts(config, _PAGERDUTY_TEXTS, names)
    problems += http.check_url(config, names)
    if event_action not in _EVENT_ACTIONS:
        problems.append(Problem("/event_action", f"must be one of {', '.join(_EVENT_ACTIONS)}"))
    details = config.get("custom_details")
    return problems + [problem.under("/custom_details") for problem in templates.check(details, names)]


def _pagerduty_request(call: Call) -> Request:
    config, context = call.config, call.context
    with http.rendering():
        texts = {key: templates.render_text(config[key], context) for key in _PAGERDUTY_TEXTS if config.get(key)}
        url = http.render_url(config.get("url") or PAGERDUTY_URL, context)
        payload: Json = {
            "routing_key": texts["routing_key"],
            "event_action": config.get("event_action", "trigger"),
            "dedup_key": texts.get("dedup_key", call.idempotency_key)[:255],
        }
        if payload["event_action"] == "trigger":
            payload["payload"] = _pagerduty_payload(texts, templates.render(config.get("custom_details"), context))
        return _json_request(call, url, payload, "PagerDuty event", hidden=texts["routing_key"])


def _pagerduty_payload(texts: Mapping[str, str], details: Any) -> Json:
    severity = texts.get("severity", "error").lower()
    if severity not in _SEVERITIES:
        raise ProviderError("invalid_config", f"severity must be one of {', '.join(_SEVERITIES)}")
    payload: Json = {
        "summary": texts["summary"][:_MAX_SUMMARY],
        "source": texts.get("source", "tocsin"),
        "severity": _SEVERITIES[severity],
    }
    return payload | ({} if details is None else {"custom_details": details})


def _check_webhook(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    return members.check(config, ("kind", *webhook.KEYS), ("url",)) + webhook.check_members(config, names)


#: what a notification goes out by
CHANNELS = {
    "slack": _over_http(_check_slack, _slack_request),
    "email": _Channel(mail.check, mail.described, mail.deliver),
    "pagerduty": _over_http(_check_pagerduty, _pagerduty_request),
    "webhook": _over_http(_check_webhook, webhook.request),
}
