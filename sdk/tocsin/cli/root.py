"""The command ``tocsin``: nouns with verbs, and short forms; each is imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, List, Optional, Tuple

import click

from tocsin.cli.session import shared_options

_ROOM = "tocsin.cli."
#: noun → the module and the name of its group in it, and what it is for
NOUNS: Dict[str, Tuple[str, str]] = {
    "actions": ("nouns.actions:actions", "Operations that can be triggered: define, version, trigger them."),
    "executions": ("nouns.executions:executions", "Executions of actions: follow, cancel, decide."),
    "playbooks": ("nouns.playbooks:playbooks", "Combinations of actions: define, run, import, export."),
    "runs": ("nouns.runs:runs", "Executions of playbooks: follow, steer, compare."),
    "approvals": ("nouns.approvals:approvals", "What waits for a decision."),
    "events": ("nouns.events:events", "What happened elsewhere: send it, see its state."),
    "groups": ("nouns.events:groups", "What is gathered for one summary."),
    "dispatch": ("nouns.events:dispatch", "Send something by a provider, as the rules decide."),
    "rules": ("nouns.rules:rules", "The rules that decide what goes out."),
    "providers": ("nouns.providers:providers", "Configured ways out."),
    "breakers": ("nouns.providers:breakers", "Circuit breakers of the providers."),
    "stop": ("nouns.providers:stop", "Let nothing go out, of a tenant or of all."),
    "audit": ("nouns.audit:audit", "The sealed record of what was done, and why."),
    "silences": ("nouns.silences:silences", "What is kept quiet, and how long."),
    "intervals": ("nouns.silences:intervals", "Named spans of time that come back."),
    "recurring": ("nouns.recurring:recurring", "What goes out by a schedule."),
    "embeddings": ("nouns.rules:embeddings", "Texts compared by meaning."),
    "bundles": ("nouns.bundles:bundles", "Custom actions: begin, test, build, push them."),
    "keys": ("nouns.access:keys", "API keys."),
    "users": ("nouns.access:users", "The people who sign in."),
    "stream": ("nouns.server:stream", "What happens, as it happens."),
    "server": ("nouns.server:server", "The server: version, health, numbers."),
    "webhooks": ("local.tools:webhooks", "Webhooks that this server sends."),
    "config": ("local.profiles:config", "The profiles: addresses of servers with their keys."),
}
SHORT: Dict[str, Tuple[str, str]] = {
    "run": ("nouns.playbooks:run", "Run a playbook."),
    "trigger": ("nouns.actions:trigger", "Trigger an action."),
    "watch": ("nouns.runs:watch", "Follow a run or an execution until it ends."),
    "approve": ("nouns.approvals:approve_any", "Approve a run's step, an execution or an approval."),
    "reject": ("nouns.approvals:reject_any", "Reject a run's step, an execution or an approval."),
    "send": ("nouns.events:send", "Report an event, which may start playbooks."),
}
OTHERS: Dict[str, Tuple[str, str]] = {
    "login": ("local.profiles:login", "Keep a key for a server in a profile."),
    "logout": ("local.profiles:logout", "Forget the key of a profile."),
    "whoami": ("nouns.server:whoami", "The caller with its role and permissions."),
    "doctor": ("local.doctor:doctor", "Find out what is wrong between here and the server."),
    "completion": ("local.tools:completion", "Completion for bash, zsh and fish."),
    "api": ("local.tools:api", "Call any path of the API."),
    "help": ("local.tools:help_", "Help on a command or a topic."),
}
Resolved = Tuple[Optional[str], Optional[click.Command], List[str]]
COMMANDS = {**NOUNS, **SHORT, **OTHERS}


class Root(click.Group):
    """Imports a command when it is called."""

    def list_commands(self, _: click.Context) -> List[str]:
        """All commands, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> Optional[click.Command]:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        found: click.Command = getattr(importlib.import_module(_ROOM + module), name)
        return found

    def resolve_command(self, ctx: click.Context, args: List[str]) -> Resolved:
        """The command of a name; for a misspelt one the error names the nearest."""
        return suggesting(self, ctx, args, super().resolve_command)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by kind; none is imported for it."""
        for title, some in (("Nouns", NOUNS), ("Short forms", SHORT), ("Others", OTHERS)):
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in some.items()])


def suggesting(
    group: click.Group, ctx: click.Context, args: List[str], resolve: Callable[[click.Context, List[str]], Resolved]
) -> Resolved:
    """Resolve a command; name the nearest one where there is none."""
    try:
        return resolve(ctx, args)
    except click.UsageError as error:
        import difflib

        near = difflib.get_close_matches(args[0], group.list_commands(ctx), 1)
        known = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(group.list_commands(ctx))}."
        raise click.UsageError(f"There is no command {args[0]!r}. {known}", error.ctx) from None


class Nouns(click.Group):
    """The verbs of a noun."""

    def parse_args(self, ctx: click.Context, args: List[str]) -> List[str]:
        """Read the verb; without one name all of them."""
        if not args and not ctx.resilient_parsing:
            raise click.UsageError(f"{ctx.command_path} takes a verb: {', '.join(self.list_commands(ctx))}.", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: List[str]) -> Resolved:
        """The verb of a name; for a misspelt one the error names the nearest."""
        return suggesting(self, ctx, args, super().resolve_command)

    def list_commands(self, _: click.Context) -> List[str]:
        """The verbs in the order of their declaration."""
        return list(self.commands)


def noun(name: str) -> Nouns:
    """The group of a noun."""
    return Nouns(name, help=NOUNS[name][1], context_settings=SETTINGS)


SETTINGS: Dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

root = Root(
    "tocsin",
    params=shared_options(),
    context_settings=SETTINGS,
    help="Tocsin from the terminal: trigger actions, run playbooks, and all else that the server can do.",
    epilog="Without any setting the server that `make run` has started in this folder or above it is used.",
)
click.version_option(package_name="tocsin", prog_name="tocsin")(root)
