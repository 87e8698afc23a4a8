"""The words of a row leave the process as plain strings, whatever takes them out of it."""

import json

import pytest
from kombu.utils import json as wire

from playbooks.states import Kind, Mode, Status, WaitingFor
from store.engine import db
from store.executions import transitions
from tests.support import committer
from tests.support.executions import new_execution


def test_what_is_written_with_members_is_read_as_plain_strings(database: str) -> None:
    """A row added and moved with members holds their values, of the type that its driver has for text."""
    with db.write() as connection:
        values = {**new_execution(id="exec-1"), "mode": Mode.SANDBOX}
        transitions.accept(connection, values, publish_again_at=db.now_ms())
        committer.claim(connection, "exec-1")
        transitions.transition(connection, "exec-1", Status.WAITING, waiting_for=WaitingFor.APPROVAL)
        row = transitions.get(connection, "w", "exec-1")
    words = [row.kind, row.mode, row.status, row.waiting_for]
    assert words == ["action", "sandbox", "waiting", "approval"]
    assert {type(word) for word in words} == {str}


@pytest.mark.parametrize("member", [*Kind, *Status, *Mode, *WaitingFor])
def test_a_member_stands_for_its_value(member: Status) -> None:
    """JSON, a broker's message, a text and a dictionary take a member for the word that it equals."""
    word = member.value
    assert json.dumps(member) == wire.dumps(member) == json.dumps(word)
    assert f"{member}" == word
    assert type(str(member)) is str
    assert {member: 1}[word] == 1
