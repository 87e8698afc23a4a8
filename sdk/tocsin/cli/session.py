"""What one command line shares: the settings it was given, the client, and where answers are shown.

The options that every command takes (``--profile``, ``--url``, ``-o``, ``--quiet``) may stand before or after the
verb. The client, and with it httpx, is made when the first call is.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

import click

from tocsin._operations import OPERATIONS

if TYPE_CHECKING:
    from tocsin import Client
    from tocsin._answers import Answer
    from tocsin._sync.pages import Pages

#: a person waits
_TRIES = 3
FORMATS = ("table", "json", "jsonl", "yaml", "id")


class Session:
    """One call of the command line."""

    def __init__(self) -> None:
        self.profile: Optional[str] = None
        self.url: Optional[str] = None
        self.output = "table"
        self.quiet = False
        self._client: Optional[Client] = None

    @property
    def client(self) -> Client:
        """The client of the server that is meant."""
        if self._client is None:
            self._client = self.client_of(self.url)
        return self._client

    def client_of(self, url: Optional[str], api_key: Optional[str] = None) -> Client:
        """A client with the options of this command line."""
        # httpx imports its own command line where click and rich are installed: 50 ms for nothing
        httpx_main = types.ModuleType("httpx._main")
        httpx_main.main = print  # type: ignore[attr-defined]
        sys.modules.setdefault("httpx._main", httpx_main)
        from tocsin import Client

        made = Client(url, api_key, profile=self.profile, tries=_TRIES)
        command = click.get_current_context(silent=True)
        if command is not None:
            command.call_on_close(made.close)
        return made

    def call(
        self,
        operation: str,
        path: Optional[Mapping[str, str]] = None,
        query: Optional[Mapping[str, Any]] = None,
        **more: Any,
    ) -> Answer:
        """Carry out an operation; what is not there is answered with what may be meant."""
        from tocsin._errors import NotFound

        for place, value in (path or {}).items():
            if value in ("", ".", ".."):
                raise click.UsageError(f"{value!r} is not a {place}.", click.get_current_context(silent=True))
        try:
            return self.client._transport.call(operation, path, query, **more)  # noqa: SLF001 - of this package
        except NotFound as error:
            from tocsin.cli.suggestions import meant

            raise meant(self, error, path or {}) from None

    def items(self, operation: str, path: Mapping[str, str], query: Mapping[str, Any]) -> Pages[Any]:
        """The list of an operation, which reads on by itself."""
        from tocsin._model import Model
        from tocsin._sync.pages import Pages

        return Pages(self.call, operation, Model, path, query)

    def show(self, operation: str, answer: Any) -> None:
        """Show what an operation has answered."""
        from tocsin.cli.output.formats import show_one

        known = OPERATIONS[operation]
        body = answer.get(known.within, answer) if known.within and isinstance(answer, dict) else answer
        show_one(self, body, known.answer)

    def say(self, text: str) -> None:
        """Write a hint to standard error, unless ``--quiet`` is given."""
        if not self.quiet:
            click.echo(text, err=True)


def session() -> Session:
    """The session of the command that is carried out."""
    return click.get_current_context().find_object(Session) or Session()


def _setting(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
        found = ctx.find_object(Session)
        if found is None:
            found = ctx.find_root().obj = Session()
            ctx.obj = found
        if value not in (None, False):
            setattr(found, name, value)
        return value

    return keep


def shared_options() -> List[click.Parameter]:
    """The options that every command takes."""
    more: Dict[str, Any] = {"expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["-o", "--output"],
            type=click.Choice(FORMATS),
            help="How to show the answer; table is for people.",
            callback=_setting("output"),
            **more,
        ),
        click.Option(["--profile"], metavar="NAME", help="The profile to use.", callback=_setting("profile"), **more),
        click.Option(["--url"], metavar="URL", help="The server to call.", callback=_setting("url"), **more),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            help="Write the answer alone, without hints.",
            callback=_setting("quiet"),
            **more,
        ),
    ]
