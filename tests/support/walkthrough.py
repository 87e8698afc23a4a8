"""Runs the commands of a page against a running product, and compares the answers.

In order of time: the fenced blocks of the page are read; what the page says to save is saved; the blocks of language
``sh`` run one after the other in one shell, so that a variable lasts to the end of the page; what a block prints is
compared with the ``json`` block that follows it. Ids, times and counters of the demo's systems count as equal.
"""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.processes import clean_environment

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVE = re.compile(r"[Ss]ave this (?:one )?as `([\w.-]+)`[^`]*\Z")
#: for grep: the status of something that has not ended
_UNDER_WAY = r"""'"status": *"(pending|running)"'"""
_API = "http://127.0.0.1:8080"

#: what differs from one run of a page to the next
_VARYING = (
    (re.compile(r"\b(p?exec|event)-[0-9a-f]{16,}(\.[\w.-]+)?"), r"\1-…"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b(DEMO|msg|scan)-\d+"), r"\1-…"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\b[0-9a-f]{12}\b|\b[0-9a-f]{32}\b"), "HEX"),
)
_DURATION = re.compile(r"duration_seconds|\w+_ms")


@dataclass
class Block:
    """Commands of a page, with the answer that it shows for them."""

    line: int
    commands: str
    shown: str | None = None
    printed: str = ""
    trouble: str = ""


@dataclass
class Page:
    """What a page says to save and to enter."""

    files: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)


def read(path: Path) -> Page:
    """The files and commands of a page."""
    text, page, before = path.read_text(), Page(), 0
    for found in _FENCED.finditer(text):
        language, content = found.groups()
        saved = _SAVE.search(text[before : found.start()])
        if saved:
            page.files[saved[1]] = content
        elif language == "sh":
            page.blocks.append(Block(text[: found.start()].count("\n") + 2, content))
        elif language == "json" and page.blocks and page.blocks[-1].shown is None:
            page.blocks[-1].shown = content
        before = found.end()
    return page


def run(page: Page, folder: Path, var: Path, url: str, patience: float) -> None:
    """Enter the commands of a page in a new folder, next to ``var``."""
    folder.mkdir()
    (folder / "var").symlink_to(var)
    for name, content in page.files.items():
        (folder / name).write_text(content)
    parts = [_entered(block.commands.replace(_API, url), number) for number, block in enumerate(page.blocks)]
    subprocess.run(
        ["bash", "-u", "-c", "\n".join(parts)], cwd=folder, env=clean_environment(), timeout=patience, check=False
    )
    for number, block in enumerate(page.blocks):
        block.printed = (folder / f"out-{number}").read_text()
        block.trouble = (folder / f"err-{number}").read_text()


def _entered(commands: str, number: int) -> str:
    """A block for the shell; one that only reads is repeated while what it reads has not ended, as the pages say."""
    once = f"{{\n{commands}\n}} >out-{number} 2>err-{number}"
    if re.search(r"\s(-d|-X|--data-binary)\s", commands):
        return once
    return f"for again in $(seq 100); do\n{once}\ngrep -qE {_UNDER_WAY} out-{number} || break; sleep 0.2\ndone"


def fault(block: Block) -> str:
    """How the answer differs from the one that the page shows; empty if it does not."""
    if block.trouble:
        return f"line {block.line}: the commands complain: {block.trouble}"
    if block.shown is None:
        return f"line {block.line}: the page does not show the answer {block.printed}" if block.printed else ""
    shown, printed = _comparable(block.shown), _comparable(block.printed)
    return "" if shown == printed else f"line {block.line}: the page shows\n{shown}\nand the answer is\n{printed}"


def _comparable(text: str) -> str:
    """A JSON text without what differs from one run to the next."""
    try:
        text = json.dumps(_steady(json.loads(text)), indent=1, ensure_ascii=False)
    except ValueError:
        text = text.strip()
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "DURATION" if _DURATION.fullmatch(name) else _steady(inner) for name, inner in value.items()}
    return [_steady(inner) for inner in value] if isinstance(value, list) else value
