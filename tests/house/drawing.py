"""Draws docs/architecture.svg from the imports: ``python -m tests.house.drawing``.

A row for each layer, a box for each package with its rooms and the number of their modules, an arrow to each package
that it imports and none of these does. The layers are those of the contract in setup.cfg, so that the drawing shows
what is checked.
"""

import ast
import configparser
import functools
import sys
from pathlib import Path

from tests.bench.svg import DARK, STYLE, Drawing

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.svg"

WIDTH, MARGIN, ROW, GAP = 1060, 20, 24, 46
_LOOK = """
.box { fill: #f6f8fa; stroke: #6e7781 } .room { font-size: 11px; fill: #3d444d }
.name { font-weight: 600 } .arrow { stroke: #8c959f; stroke-width: 1.2; opacity: 0.75 }
"""
_DARK_LOOK = """
.box { fill: #161b22; stroke: #7d8590 } .room { fill: #c3cad2 } .arrow { stroke: #7d8590 }
"""


def layers() -> list[list[str]]:
    """The packages of each layer in the contract, the highest first."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    lines = contracts["importlinter:contract:layers"]["layers"].split("\n")
    return [[name.strip() for name in line.replace(":", "|").split("|")] for line in lines if line.strip()]


def rooms(package: str) -> list[tuple[str, int]]:
    """A package's rooms with their numbers of modules, its own last."""
    counted: dict[str, int] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        inner = path.relative_to(ROOT / package).parts
        if path.name != "__init__.py" and "migrations" not in inner:
            room = inner[0] if len(inner) > 1 else ""
            counted[room] = counted.get(room, 0) + 1
    return sorted(counted.items(), key=lambda room: (room[0] == "", room[0]))


def imports(package: str, known: set[str]) -> set[str]:
    """The other packages that a package imports."""
    return _imported(package) & known - {package}


@functools.cache
def _imported(package: str) -> set[str]:
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def direct(package: str, known: set[str]) -> set[str]:
    """Its imported packages, without those that one of them imports too."""
    found = imports(package, known)
    return found - {other for one in found for other in imports(one, known)}


def drawn() -> str:
    """The drawing as SVG."""
    floors = layers()
    known = {package for floor in floors for package in floor}
    tallest = [max(1, *(-(-len(rooms(package)) // _columns(package)) for package in floor)) for floor in floors]
    height = 66 + sum(34 + 16 * lines + GAP for lines in tallest) - GAP / 2
    page = Drawing(
        WIDTH, height, "The rooms of Tocsin", "Imports point down; behind each room the number of its modules."
    )
    boxes: dict[str, tuple[float, float, float, float]] = {}
    y = 66.0
    for floor, lines in zip(floors, tallest, strict=True):
        tall = 34 + 16 * lines
        width = (WIDTH - 2 * MARGIN - 24 * (len(floor) - 1)) / len(floor) if len(floor) > 1 else 560
        x = MARGIN if len(floor) > 1 else (WIDTH - width) / 2
        for package in floor:
            boxes[package] = (x, y, width, tall)
            x += width + 24
        y += tall + GAP
    for package, (x, y, width, tall) in boxes.items():
        for other in sorted(direct(package, known)):
            left, top, wide, _ = boxes[other]
            page.line((x + width / 2, y + tall), (left + wide / 2, top), "arrow")
    for package, (x, y, width, tall) in boxes.items():
        page.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}" rx="6" class="box"/>')
        page.text(x + 12, y + 20, package, "name")
        columns = _columns(package)
        for place, (room, number) in enumerate(rooms(package)):
            at = x + 12 + (width - 12) / columns * (place % columns)
            page.text(at, y + 38 + 16 * (place // columns), f"{room or '(itself)'} {number}", "room")
    style = f"<style>{STYLE}{_LOOK}@media (prefers-color-scheme: dark) {{{DARK}{_DARK_LOOK}}}</style>"
    body = "\n".join(page.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="The packages of Tocsin by layer">\n{style}\n'
        f'<rect width="{WIDTH}" height="{height:.0f}" class="page"/>\n{body}\n</svg>\n'
    )


def _columns(package: str) -> int:
    return 5 if package == "tasks" else 2


if __name__ == "__main__":
    PAGE.write_text(drawn())
    sys.stdout.write(f"{PAGE}\n")
