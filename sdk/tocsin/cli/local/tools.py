"""What needs no operation of its own: webhooks verified, completion, any path of the API, help."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional, Sequence, Tuple

import click

from tocsin.cli.failures import INVALID, MEANINGS, MISSING, Failure
from tocsin.cli.files import structure_of
from tocsin.cli.root import noun
from tocsin.cli.session import session
from tocsin.cli.verb import Command

webhooks = noun("webhooks")


def _verify(file: str, secret: Sequence[str], header: Sequence[str], tolerance: float) -> None:
    from tocsin.webhooks import SignatureInvalid, verify

    here = session()
    secrets = list(secret) or [one for one in [os.environ.get("TOCSIN_WEBHOOK_SECRET")] if one]
    if not secrets:
        raise click.UsageError("This takes --secret, or TOCSIN_WEBHOOK_SECRET.", click.get_current_context())
    with click.open_file(file, "rb") as opened:
        body = opened.read()
    try:
        event = verify(body, dict(_pair(one, ":", "-H") for one in header), secrets, tolerance)
    except SignatureInvalid as error:
        raise Failure(str(error), INVALID, error.reason) from None
    except ValueError as error:
        raise Failure(f"The signature fits, and the body is no JSON: {error}") from None
    here.say("The webhook is verified.")
    from tocsin.cli.output.formats import show_one

    show_one(here, event)


webhooks.add_command(
    Command(
        "verify",
        params=[
            click.Argument(["file"], metavar="FILE", type=click.Path(allow_dash=True)),
            click.Option(["--secret"], multiple=True, metavar="SECRET", help="whsec_…; several while one is replaced."),
            click.Option(["-H", "--header"], multiple=True, metavar="NAME:VALUE", help="A header as it came."),
            click.Option(["--tolerance"], type=float, default=300, show_default=True, help="Seconds of difference."),
        ],
        callback=_verify,
        help="Check the signature of a webhook whose body is in a file, and say which check fails.",
    )
)


def _pair(text: str, mark: str, option: str) -> Tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found or not name.strip():
        raise click.UsageError(f"{option} takes NAME{mark}VALUE, not {text!r}.", click.get_current_context())
    return name.strip(), value.strip()


def _api(method: str, path: str, query: Sequence[str], data: Optional[str], header: Sequence[str]) -> None:
    here = session()
    if not path.startswith("/") or path.startswith("//"):
        raise click.UsageError("A path begins with one slash, such as /api/actions.", click.get_current_context())
    body: Any = None
    if data is not None:
        body = structure_of(data[1:]) if data.startswith("@") else _json(data)
    found = here.client.request(
        method,
        path,
        query=dict(_pair(one, "=", "-F") for one in query),
        body=body,
        headers=dict(_pair(one, ":", "-H") for one in header),
    )
    if isinstance(found, str):
        click.echo(found.rstrip("\n"))
    elif found is not None:
        from tocsin.cli.output.formats import as_json, as_yaml

        click.echo(as_yaml(found) if here.output == "yaml" else as_json(found))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"-d is no JSON: {error}") from None


api = Command(
    "api",
    params=[
        click.Argument(["method"], type=click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"], case_sensitive=False)),
        click.Argument(["path"]),
        click.Option(["-F", "--query"], multiple=True, metavar="NAME=VALUE", help="A parameter of the query."),
        click.Option(["-d", "--data"], metavar="JSON|@FILE", help="The body."),
        click.Option(["-H", "--header"], multiple=True, metavar="NAME:VALUE", help="A header."),
    ],
    callback=_api,
    help="Call any path of the API, and show the answer as it is.",
)

_HOW = {
    "bash": 'eval "$(tocsin completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(tocsin completion zsh)"   in ~/.zshrc',
    "fish": "tocsin completion fish > ~/.config/fish/completions/tocsin.fish",
}


def _completion(shell: str) -> None:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(kind(click.get_current_context().find_root().command, {}, "tocsin", "_TOCSIN_COMPLETE").source())


completion = Command(
    "completion",
    params=[click.Argument(["shell"], type=click.Choice(list(_HOW)))],
    callback=_completion,
    help="Print the code by which a shell completes commands and ids.\n\n\b\n" + "\n".join(_HOW.values()),
)

_TOPICS: Dict[str, str] = {
    "exit-codes": "\n".join(f"{code:>3}  {words}" for code, words in MEANINGS.items()),
    "parameters": """\
-p ip=203.0.113.50     as the declared type reads it: text, number, true or false, a,b,c
-p hosts:='["a"]'      as JSON
-p body=@FILE          the text of a file; -p handle=@@name is the text @name
--params FILE          a YAML or JSON file with all of them; - reads standard input
A secret parameter that is required and not given is asked for without echo.""",
    "output": """\
-o table   for people: as wide as the terminal, ids whole
-o json    the whole answer; errors are JSON on standard error
-o jsonl   an object a line, written as it is read
-o yaml    the whole answer
-o id      ids alone, a line each
NO_COLOR=1 shows no colours; -q writes the answer alone, without hints.""",
    "environment": """\
TOCSIN_URL, TOCSIN_API_KEY   the server and the key
TOCSIN_PROFILE               the profile in ~/.config/tocsin/config.toml
TOCSIN_WEBHOOK_SECRET        the secret of webhooks verify
NO_COLOR                     no colours
Without any of them the server that `make run` has started in this folder or above it is used.""",
}


def _help(words: Sequence[str]) -> None:
    ctx = click.get_current_context().find_root()
    if not words:
        click.echo(ctx.get_help())
        click.echo(f"\nTopics (tocsin help TOPIC): {', '.join(_TOPICS)}")
        return
    if words[0] in _TOPICS:
        click.echo(_TOPICS[words[0]])
        return
    command: click.Command = ctx.command
    for word in words:
        found = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if found is None:
            raise Failure(f"There is no command or topic {' '.join(words)!r}.", MISSING, "not_found")
        ctx, command = click.Context(found, info_name=word, parent=ctx), found
    click.echo(ctx.get_help())


help_ = Command(
    "help",
    params=[click.Argument(["words"], nargs=-1, metavar="[COMMAND...|TOPIC]")],
    callback=_help,
    help=f"Help on a command, or on a topic: {', '.join(_TOPICS)}.",
)
