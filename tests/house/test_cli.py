"""The command line reaches all that the OpenAPI document has, and its page is what the commands say."""

import functools

import click
from tocsin._operations import OPERATIONS
from tocsin.cli.options import WORDS
from tocsin.cli.root import COMMANDS, root
from tocsin.cli.session import shared_options
from tocsin.cli.verb import Command

from tests.house.test_sdk import OWN, tool

#: operations without a verb, and why
WITHOUT = {
    "approveByLink": "who has a signed link has a browser; with a key it is approvals approve",
    "rejectByLink": "the same",
    "getApproveLink": "a page for people",
    "getRejectLink": "a page for people",
    "listApprovals": "approvals list has the same",
    "verifyTrail": "audit verify does the same",
}
#: parameters that a verb sets by itself, and why
SET = {
    ("transitionEvent", "to"): "another word for to_state",
}


@functools.cache
def commands():
    """Words → command, of all of them."""
    ctx = click.Context(root, info_name="tocsin")
    found = {}
    for name in COMMANDS:
        command = root.get_command(ctx, name)
        inner = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        found.update({f"{name} {verb}".strip(): one for verb, one in inner})
    return found


def verbs():
    """Operation → the commands that carry it out."""
    found = {}
    for words, command in commands().items():
        for operation in command.carries:
            found.setdefault(operation, {})[words] = command
    return found


def test_every_operation_has_a_verb():
    """What the document has is a command away, except for what is listed with a reason."""
    # the table is that of the document, as test_sdk asserts
    assert set(OPERATIONS) - set(verbs()) == set(WITHOUT)
    assert set(verbs()) <= set(OPERATIONS)


def test_every_query_parameter_is_an_option():
    """Each filter of an operation is an option or an argument of each of its verbs."""
    missing = []
    for operation, some in verbs().items():
        for words, command in some.items():
            given = {parameter.name for parameter in command.params} | {"watch"}
            known = OPERATIONS[operation]
            # whoever follows waits by itself
            wanted = set(known.query) - OWN - ({"wait"} if "followRun" in command.carries else set())
            missing += [f"{words}: {name}" for name in sorted(wanted - given) if (operation, name) not in SET]
    assert not missing


def test_every_command_is_told_in_one_way():
    """Each command has a sentence, takes the shared options, and names its options in the words of the others."""
    shared = {one.name for one in shared_options()}
    for words, command in commands().items():
        assert isinstance(command, Command), words
        assert command.help, words
        assert command.help.split("\n")[0].endswith("."), words
        assert shared <= {one.name for one in command.params}, words
        for one in command.params:
            if isinstance(one, click.Option) and one.name in WORDS:
                assert f"--{WORDS[one.name]}" in one.opts, words


def test_what_destroys_asks():
    """A verb that deletes, cancels, revokes or stops takes ``--yes``."""
    destructive = ("delete", "cancel", "revoke", "rotate", "rollback", "trip", "set", "lift", "flush", "replay")
    for words, command in commands().items():
        if words.split()[-1] in destructive:
            assert "yes" in {one.name for one in command.params}, words


def test_the_page_is_current():
    """``make sdk`` changes nothing: docs/cli.md is what the commands say."""
    page = tool("commands")
    assert page.PAGE.read_text() == page.page(), "docs/cli.md is out of date: make sdk"
