"""Whether bash can read the variables of a command from its environment.

``${PARAM_IP?}`` is the value of ``__ip__`` where the shell expands a variable and does not read the result again:
between words, and in double quotes. In single quotes it stays literal; in arithmetic, in ``eval`` or in the command of
another interpreter the value would run as code. So one scan over the script follows its quotes; every doubtful script
goes to a person.
"""

import re
from collections.abc import Iterable

_READS_AGAIN = re.compile(
    r"<<|`|\(\(|\[\[|\$\[|\w\[|(?<![\w.-])(?:"
    r"let|eval|declare|typeset|local|readonly|export|unset|read|mapfile|readarray|getopts|test|trap|source|alias|env"
    r"|su|sudo|(?:ba|da|z|k|c|tc|fi|a)?sh|busybox|ssh|xargs|parallel|watch"
    r"|python[0-9.]*|perl|ruby|node|php|lua|[gmn]?awk|sed|bc|dc|jq"
    r")(?![\w.-])"
)
#: ``[ -v x ]`` and ``printf -v x`` read the name of a variable and evaluate its subscript
_TAKES_NAMES, _NAME_OPTION = re.compile(r"(?<!\S)\[|printf"), re.compile(r"-[vR](?!\w)")
#: the text before the name of a command
_BEFORE_COMMAND = re.compile(
    r"(?:^|[\n;|&({!]|\b(?:then|do|else|elif|if|while|until|time|exec|command|builtin|nohup)|\w=\S*[ \t])[ \t]*\"?$"
)
_LOOKED_BACK = 60
_BLANK = frozenset(" \t\n;|&()")


def fault(script: str, places: Iterable[tuple[int, int, str]]) -> str:
    """The reason why the environment cannot provide these variables, or ""."""
    starts = {start for start, _, _ in places}
    if not starts:
        return ""
    if _READS_AGAIN.search(script) or (_TAKES_NAMES.search(script) and _NAME_OPTION.search(script)):
        return "its script may read the value of a variable as code"
    if any(_BEFORE_COMMAND.search(script[max(0, start - _LOOKED_BACK) : start]) for start in starts):
        return "a variable of its script is the name of a command"
    state, position = "", 0
    while position < len(script):
        if position in starts and (state in ("'", "$'") or script[position - 1 : position] in ("$", "\\")):
            return "a variable stands where bash does not fill it in"
        one, two = script[position], script[position : position + 2]
        if two == "${" or (state == '"' and two == "$("):
            return "how its script quotes a variable cannot be told"
        if state == "":
            word_begins = position == 0 or script[position - 1] in _BLANK
            if one == "#" and word_begins:
                end = script.find("\n", position)
                position = len(script) if end < 0 else end
                continue
            state = two if two == "$'" else one if one in "'\"" else ""
            position += 2 if one == "\\" and position + 1 not in starts else len(state) or 1
            continue
        if one == "\\" and state != "'" and position + 1 not in starts:
            position += 2
            continue
        state = "" if one == state[-1] else state
        position += 1
    return "how its script quotes a variable cannot be told" if state else ""
