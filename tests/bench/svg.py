"""The SVG elements of the pictures, readable on light and dark pages."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

#: neutral for the floor, then one colour for each product: light page, dark page
SERIES = (
    ("#8c959f", "#7d8590"),
    ("#2f6fbf", "#5b9bea"),
    ("#1f8a70", "#3fb99a"),
    ("#a8660f", "#d99a3d"),
    ("#8250a8", "#b38ad8"),
    ("#b5484a", "#e37b7d"),
    ("#3d7a8c", "#6db5c9"),
    ("#9a8a1d", "#cdbb45"),
    ("#c2578f", "#ea8abb"),
)
STYLE = """
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #3d444d }
.page { fill: #ffffff } .title { font-size: 16px; font-weight: 600; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.value { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round }
.grid { stroke: #d8dee4 } .axis { stroke: #6e7781 }
.must { stroke: #b5484a; stroke-width: 2; stroke-dasharray: 3 2 } .aim { stroke: #1f2328; stroke-width: 2 }
"""
DARK = """
text { fill: #c3cad2 } .value { stroke: #0d1117 } .page { fill: #0d1117 } .title { fill: #f0f3f6 }
.small { fill: #9198a1 } .grid { stroke: #2b323b } .axis { stroke: #7d8590 }
.must { stroke: #e37b7d } .aim { stroke: #f0f3f6 }
"""


class Drawing:
    """A page of texts, lines and bars, measured in pixels downwards."""

    def __init__(self, width: float, height: float, title: str, subtitle: str) -> None:
        self.width, self.height = width, height
        self.parts: list[str] = []
        self.title = title
        self.text(20, 28, title, "title")
        self.text(20, 47, subtitle, "small")

    def text(self, x: float, y: float, words: str, look: str = "", anchor: str = "start") -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self.parts.append(f'<text {place} class="{look}">{escape(words)}</text>')

    def line(self, start: tuple[float, float], end: tuple[float, float], look: str) -> None:
        (x1, y1), (x2, y2) = start, end
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{look}"/>')

    def bar(self, x: float, y: float, width: float, height: float, series: int) -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{max(height, 0.5):.1f}"'
        self.parts.append(f'<rect {place} rx="1.5" class="f{series}"/>')

    def curve(self, points: Sequence[tuple[float, float]], series: int) -> None:
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{joined}" class="l{series}"/>')

    def legend(self, x: float, y: float, names: Sequence[str], numbers: Sequence[int] | None = None) -> float:
        """Draw a square and a name per series; returns the next position."""
        for name, series in zip(names, numbers or range(len(names)), strict=True):
            self.bar(x, y - 9, 10, 10, series)
            self.text(x + 15, y, name)
            x += 15 + 7 * len(name) + 18
        return x

    def render(self) -> str:
        """The picture as SVG."""
        light, dark = (
            "".join(
                f".f{n} {{ fill: {pair[page]} }} .l{n} {{ stroke: {pair[page]}; fill: none; stroke-width: 2 }}\n"
                for n, pair in enumerate(SERIES)
            )
            for page in (0, 1)
        )
        style = f"<style>{STYLE}{light}@media (prefers-color-scheme: dark) {{{DARK}{dark}}}</style>"
        size = f'width="{self.width:.0f}" height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        page = f'<rect class="page" width="{self.width:.0f}" height="{self.height:.0f}" rx="8"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(self.title)}">'
        return "\n".join([head, style, page, *self.parts, "</svg>"]) + "\n"


def ticks(most: float) -> list[float]:
    """At most seven round numbers from 0 to ``most`` or just above."""
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    step = next(part * power for part in (0.2, 0.5, 1, 2) if most <= 5 * part * power)
    return [step * n for n in range(math.ceil(most / step) + 1)]
