"""Writes ``docs/cli.md`` from the commands: ``python sdk/tools/commands.py``.

The page is this module's introduction, then a table for each noun with its verbs, their arguments and options.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cli.md"
sys.path.insert(0, str(ROOT / "sdk"))

import click  # noqa: E402
from tocsin.cli.failures import MEANINGS  # noqa: E402
from tocsin.cli.root import NOUNS, OTHERS, SHORT, root  # noqa: E402
from tocsin.cli.session import shared_options  # noqa: E402

_INTRODUCTION = """\
# The command line

`make run` installs the command `tocsin` into `.venv/bin`. Next to a running server it needs no configuration: it finds
the checkout that runs in this folder or above it.

```sh
tocsin run pb-critical-vuln-response --target web-01 --watch
tocsin trigger act-block-ip -p ip=203.0.113.50 --watch
tocsin runs list --status failed --since 24h
tocsin doctor
```

Elsewhere install it with `pip install './sdk[cli]'` (Python 3.9 or newer), and keep an address and a key with
`tocsin login --url https://tocsin.example.com`, or set `TOCSIN_URL` and `TOCSIN_API_KEY`. Profiles are in
`~/.config/tocsin/config.toml`, which only its owner may read. An argument wins over the environment, the environment
over `TOCSIN_PROFILE`, that over the default profile, and that over a running checkout.

## What all commands share

Each command takes these options:

{options}

A table shows the first 50 items of a list; `--limit N` shows the first N, `--all` all of them. The other formats have
all items unless `--limit` is given. Tables are as wide as the terminal and never cut an id. Without a terminal, and
with `NO_COLOR`, there are no colours.

**Parameters** of actions and playbooks are read as their declared type says: `-p ip=203.0.113.50`,
`-p hosts:='["a", "b"]'` (JSON), `-p body=@file` (the text of a file), `--params FILE` (YAML or JSON, `-` for standard
input). A secret parameter that is required and not given is asked for without echo.

**Destructive commands** ask on a terminal; elsewhere they take `--yes`.

**Times** are written `2026-12-01T08:00:00Z`, or as a span: `--since 24h` is a day ago, `--expires-at 30d` in 30 days.

**Watching** (`tocsin watch ID`, `--watch`) draws the run as a live tree on a terminal and writes a line per change
elsewhere, a JSON object per change with `-o jsonl`. It goes on by itself when the server is restarted, and ends with
one line. `--until paused` stops where a person has to decide, `--timeout 60` after a minute. Ctrl-C ends the
watching only: the run goes on.

**Exit codes**:

| code | meaning |
|---|---|
{codes}

With `-o json` errors are JSON on standard error, with the members `code`, `message`, `status`, `errors`, `request_id`
and `exit_code`.

**Completion** of commands and ids: `eval "$(tocsin completion bash)"`, the same for `zsh`, and
`tocsin completion fish > ~/.config/fish/completions/tocsin.fish`.
"""


def page() -> str:
    """The whole page."""
    shared = [_row(one, click.Context(root, info_name="tocsin")) for one in shared_options()]
    options = "\n".join(["| option | |", "|---|---|", *shared])
    codes = "\n".join(f"| {code} | {words} |" for code, words in MEANINGS.items())
    return "\n".join([_INTRODUCTION.format(options=options, codes=codes), *_sections()]).rstrip("\n") + "\n"


def _sections() -> Iterator[str]:
    ctx = click.Context(root, info_name="tocsin")
    yield "## The commands\n\n`tocsin NOUN VERB --help` tells what each option means.\n"
    for name, (_, words) in NOUNS.items():
        group = root.get_command(ctx, name)
        assert isinstance(group, click.Group)
        rows = [_command(one, f"{name} {verb}") for verb, one in group.commands.items()]
        yield f"### {name}\n\n{words}\n\n{_table(rows)}"
    for title, some in (("Short forms", SHORT), ("Others", OTHERS)):
        commands = [(name, root.get_command(ctx, name)) for name in some]
        yield f"### {title}\n\n{_table([_command(one, name) for name, one in commands if one is not None])}"


def _table(rows: list[str]) -> str:
    return "\n".join(["| command | | options |", "|---|---|---|", *rows, ""])


def _command(command: click.Command, name: str) -> str:
    usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name))).replace("[OPTIONS]", "")
    # the page describes how to set up a shell
    words = " ".join((command.help or "").partition("\b")[0].split())
    shared = {one.name for one in shared_options()}
    options = [one for one in command.params if isinstance(one, click.Option) and one.name not in shared]
    named = " ".join(f"`{max(one.opts, key=len)}`" for one in options)
    usage = usage.replace("|", "\\|")
    return f"| `{' '.join([name, *usage.split()])}` | {words} | {named} |"


def _row(option: click.Parameter, ctx: click.Context) -> str:
    names, words = (one.replace("|", "\\|") for one in option.get_help_record(ctx) or ("", ""))
    return f"| `{names}` | {words} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
