"""The members of a config: unknown ones are named, never ignored."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean

#: the most unknown members that are named
MOST_NAMED = 20
#: characters of a name that a message shows
_SHOWN_CHARACTERS = 64
#: a member that belongs to the action itself → how it is written there
_OF_ACTION = {
    "timeout": "timeout_seconds",
    "timeout_seconds": "timeout_seconds",
    "timeout_ms": "timeout_seconds",
    "retries": "retry.max_attempts",
    "max_retries": "retry.max_attempts",
    "max_attempts": "retry.max_attempts",
    "attempts": "retry.max_attempts",
    "retry": "retry",
    "backoff": "retry.backoff_seconds",
    "backoff_seconds": "retry.backoff_seconds",
    "jitter": "retry.jitter",
    "idempotent": "idempotent",
    "parameters": "parameters",
    "enabled": "enabled",
    "tags": "tags",
}
#: other words for members of configs
_SYNONYMS = {
    "uri": "url",
    "endpoint": "url",
    "webhook_url": "url",
    "link": "url",
    "verb": "method",
    "http_method": "method",
    "payload": "body",
    "data": "body",
    "json": "body",
    "content": "body",
    "header": "headers",
    "command": "script",
    "code": "script",
    "cmd": "script",
    "shell": "interpreter",
    "language": "interpreter",
    "function": "handler",
    "recipients": "to",
    "sender": "from",
    "server": "host",
    "user": "username",
    "expires_in": "expires_in_seconds",
    "channel_type": "kind",
    "type": "kind",
}


def check(config: Mapping[str, Any], known: Collection[str], required: Collection[str] = ()) -> list[Problem]:
    """Every required member that is missing, and every unknown one."""
    problems = [Problem(f"/{name}", f"required: give '{name}'") for name in required if config.get(name) in (None, "")]
    unknown = [str(name) for name in config if name not in known]
    problems += [Problem(step(name), _words(name, known)) for name in islice(unknown, MOST_NAMED)]
    if len(unknown) > MOST_NAMED:
        problems.append(Problem("", f"and {len(unknown) - MOST_NAMED} more that are not known"))
    return problems


def _words(name: str, known: Collection[str]) -> str:
    shown = name[:_SHOWN_CHARACTERS]
    if name.lower() in _OF_ACTION:
        member = _OF_ACTION[name.lower()]
        return f"'{shown}' is no member of this config: it is the action's own '{member}', next to config"
    synonyms = {word: member for word, member in _SYNONYMS.items() if member in known}
    hint = did_you_mean(name, known, synonyms=synonyms)
    return f"'{shown}' is no member of this config, which has {', '.join(known)}{hint}"
