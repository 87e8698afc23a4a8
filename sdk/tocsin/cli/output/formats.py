"""The formats: table, json, jsonl, yaml and id."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Iterable, Mapping

import click

from tocsin.cli.output.columns import columns_of, id_of
from tocsin.cli.output.words import draws

if TYPE_CHECKING:
    from tocsin.cli.session import Session

#: what JSON leaves as it is and some terminals obey
_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def as_json(value: Any, *, indent: Any = 2) -> str:
    """A value as JSON that any terminal can show."""
    text = json.dumps(value, indent=indent, ensure_ascii=not draws(), default=str)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_yaml(value: Any) -> str:
    """A value as YAML."""
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=draws(), width=100)
    if _STEERING.search(text):
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=100)
    return text.rstrip("\n")


def show_list(session: Session, items: Iterable[Mapping[str, Any]], model: str) -> None:
    """Show the items of a list; ``jsonl`` and ``id`` write each as soon as it is read."""
    if session.output == "jsonl":
        for one in items:
            click.echo(as_json(one, indent=None))
    elif session.output == "id":
        for one in items:
            click.echo(id_of(model, one))
    elif session.output == "json":
        click.echo(as_json(list(items)))
    elif session.output == "yaml":
        click.echo(as_yaml(list(items)))
    else:
        _table(session, list(items), model)


def _table(session: Session, rows: Any, model: str) -> None:
    from tocsin.cli.output.table import table

    if not rows:
        session.say("There is none.")
        return
    for line in table(rows, columns_of(model, rows[0])):
        click.echo(line)


def show_one(session: Session, value: Any, model: str = "") -> None:
    """Show one object."""
    if isinstance(value, str) and session.output in ("table", "yaml"):
        from tocsin.cli.output.words import safe

        click.echo(safe(value).rstrip("\n"))
    elif session.output == "id":
        click.echo(id_of(model, value))
    elif session.output == "json":
        click.echo(as_json(value))
    elif session.output == "jsonl":
        for one in value if isinstance(value, list) else [value]:
            click.echo(as_json(one, indent=None))
    elif session.output == "yaml":
        click.echo(as_yaml(value))
    else:
        from tocsin.cli.output.table import described

        for line in described(value):
            click.echo(line)
