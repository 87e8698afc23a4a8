"""Ask the rules in force about one execution.

In order of time: the values of an execution are known and valid; the caller asks here, before an executor gets
anything. A trigger, a dispatch and a scheduled run are decided once, when they are accepted; a step of a run at each of
its attempts, because each calls the receiver.

An execution that no rule concerns costs one look into memory: no query, no transaction, and its facts are not built.
"""

from collections.abc import Callable
from typing import NamedTuple

from gateway import current
from gateway.facts import Facts, Key
from gateway.rules.decide import ALLOWED, decide
from gateway.verdicts import Verdict
from tasks.policy.recorded import Trail


class Decision(NamedTuple):
    """What the rules decide about an execution with these facts."""

    facts: Facts
    verdict: Verdict


_TRAIL = Trail()


def judge(key: Key, facts: Callable[[], Facts]) -> Decision | None:
    """The decision about an execution; None where no rule has anything to say.

    ``facts`` returns what the rules read, secrets masked. It is called only when a rule concerns the key.

    Raises:
        Unavailable: a rule asks for what was recorded, and the database is away.
    """
    found = current.current().candidates(*key)
    if not found:
        return None
    seen = facts()
    verdict = decide(found, seen, _TRAIL)
    return None if verdict == ALLOWED else Decision(seen, verdict)
