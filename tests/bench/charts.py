# ruff: noqa: RUF001 - the multiplication sign is what the pictures mean
"""Draw the pictures of docs/performance.md; each is None without its numbers.

``ratios``: every measure with a bound against raw Celery, on a scale where twice and half are equally far from one.
``steps``: what a step costs in chains of different lengths. ``memory``: the processes' memory during the soak.
"""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import tables
from shapes import LENGTHS
from svg import SERIES, Drawing, ticks

WIDTH = 880


def colours(rounds: tables.Rounds) -> dict[str, int]:
    """Each product's series in every picture; raw Celery has the neutral one."""
    known = [name for name in tables.products_of(rounds) if tables.ON_RABBITMQ not in name and "threads" not in name]
    others = [name for name in known if name != tables.FLOOR]
    return {tables.FLOOR: 0} | {name: 1 + n % (len(SERIES) - 1) for n, name in enumerate(others)}


def ratios(rounds: tables.Rounds) -> str | None:
    """Bars to the left and right of one, with must and aim."""
    series = {name: number for name, number in colours(rounds).items() if name != tables.FLOOR}
    found = [
        (row, {name: median(got) for name in series if (got := tables.ratios(rounds, name, row, tables.FLOOR))})
        for row in tables.MAIN
        if row.bound
    ]
    found = [(row, bars) for row, bars in found if bars]
    if not found:
        return None
    left, right, top = 250, WIDTH - 110, 108
    furthest = max(abs(math.log2(value)) for _, bars in found for value in bars.values() if value > 0)
    reach = max(2.0, math.ceil(furthest))  # to four times at least
    heights = [15 * len(bars) + 16 for _, bars in found]
    drawing = Drawing(
        WIDTH,
        top + sum(heights) + 36,
        "Tocsin against raw Celery",
        "Ratios within a round, median of the rounds; logarithmic scale. Raw Celery keeps no record.",
    )
    scale = Scale(-reach, reach, left, right)
    series = {name: number for name, number in series.items() if any(name in bars for _, bars in found)}
    after = drawing.legend(20, 74, list(series), list(series.values()))
    for look, words in (("must", "must"), ("aim", "aim")):
        drawing.line((after + 4, 63), (after + 4, 77), look)
        drawing.text(after + 12, 74, words)
        after += 62
    bottom = top + sum(heights)
    for power in range(-int(reach), int(reach) + 1):
        x = scale.at(power)
        drawing.line((x, top), (x, bottom), "grid" if power else "axis")
        drawing.text(x, top - 8, f"{2**power:g}×", "small", "middle")
    drawing.text(
        (left + right) / 2,
        bottom + 22,
        "times raw Celery (deep queue: times the same product with 1,000 queued)",
        "small",
        "middle",
    )
    y = top
    for (row, bars), height in zip(found, heights, strict=True):
        ratio_row(drawing, scale, row, bars, series, y)
        drawing.line((20, y + height), (WIDTH - 20, y + height), "grid")
        y += height
    return drawing.render()


def ratio_row(
    drawing: Drawing, scale: "Scale", row: tables.Row, bars: dict[str, float], series: dict[str, int], y: float
) -> None:
    """One measure: its name, a bar for each product, must and aim."""
    height = 15 * len(bars) + 16
    label = row.label.removesuffix(", ms").removesuffix(", MiB").removesuffix(" p50")
    drawing.text(20, y + height / 2 + 4, label)
    more = row.bound.startswith(">=")
    drawing.text(WIDTH - 20, y + height / 2 + 4, "more is better" if more else "less is better", "small", "end")
    for number, (name, value) in enumerate(bars.items()):
        start, end = scale.at(0), scale.at(math.log2(value))
        at = y + 8 + 15 * number
        drawing.bar(min(start, end), at + 1, abs(end - start), 12, series[name])
    for look, bound in (("must", row.bound), ("aim", row.aim)):
        if bound:
            x = scale.at(math.log2(float(bound.split()[1])))
            drawing.line((x, y + 3), (x, y + height - 3), look)
    for number, value in enumerate(bars.values()):
        end, at = scale.at(math.log2(value)), y + 8 + 15 * number
        words = (end + 5, "start") if value >= 1 else (end - 5, "end")
        drawing.text(words[0], at + 11, f"{value:.2f}×", "value", words[1])


class Scale(NamedTuple):
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (min(max(value, self.low), self.high) - self.low) / (self.high - self.low) * (
            self.end - self.start
        )


def steps(rounds: tables.Rounds) -> str | None:
    """Two panels of grouped bars: CPU and wall time per step."""
    series = colours(rounds)
    drawing = Drawing(
        WIDTH,
        400,
        "What a step costs",
        "Milliseconds per step in chains of HTTP calls, each templated from the answer to the one before.",
    )
    panels = (
        ("chain_cpu_ms_", "CPU per step, ms (all at once)"),
        ("chain_alone_wall_ms_", "wall per step, ms (one run)"),
    )
    shown: set[str] = set()
    for (prefix, title), left in zip(panels, (60, 490), strict=True):
        found = {
            name: [median(tables.values(rounds, name, f"{prefix}{length}")) for length in LENGTHS]
            for name in series
            if all(tables.values(rounds, name, f"{prefix}{length}") for length in LENGTHS)
        }
        shown |= found.keys()
        if found:
            panel(drawing, found, series, title, left)
    names = [name for name in series if name in shown]
    drawing.legend(20, 74, names, [series[name] for name in names])
    return drawing.render() if shown else None


def panel(drawing: Drawing, found: dict[str, list[float]], series: dict[str, int], title: str, left: float) -> None:
    """Bars in groups, one group for each length of chain."""
    top, bottom, width = 120, 350, 360
    marks = ticks(max(value for values in found.values() for value in values))
    scale = Scale(0, marks[-1], bottom, top)
    drawing.text(left, top - 16, title)
    for mark in marks:
        drawing.line((left, scale.at(mark)), (left + width, scale.at(mark)), "grid" if mark else "axis")
        drawing.text(left - 8, scale.at(mark) + 4, f"{mark:g}", "small", "end")
    group = width / len(LENGTHS)
    bar = min(34.0, (group - 24) / len(found))
    for place, length in enumerate(LENGTHS):
        start = left + group * place + (group - bar * len(found)) / 2
        for number, (name, values) in enumerate(found.items()):
            x, y = start + bar * number, scale.at(values[place])
            drawing.bar(x + 1, y, bar - 2, bottom - y, series[name])
            drawing.text(x + bar / 2, y - 5, f"{values[place]:.2g}", "value", "middle")
        drawing.text(left + group * (place + 0.5), bottom + 18, f"{length}", "", "middle")
    drawing.text(left + width / 2, bottom + 38, "steps in the chain", "small", "middle")


def memory(rounds: tables.Rounds) -> str | None:
    """A panel for each product: each command's memory during the soak."""
    found = {
        name: got[-1] for name in tables.products_of(rounds) if (got := tables.values(rounds, name, "soak_samples"))
    }
    found = {name: samples for name, samples in found.items() if len(samples) > 1}
    if not found:
        return None
    height = 250
    drawing = Drawing(
        WIDTH,
        70 + height * len(found),
        "Memory while working",
        "Proportional memory (PSS) of each process with its children, MiB, at about half of the measured capacity.",
    )
    names = dict.fromkeys(command for samples in found.values() for command in commands(samples))
    series = {name: number % len(SERIES) for number, name in enumerate(names)}
    for number, (name, samples) in enumerate(found.items()):
        memory_panel(drawing, name, samples, series, 70 + height * number)
    return drawing.render()


def memory_panel(drawing: Drawing, name: str, samples: list[dict], series: dict[str, int], top: float) -> None:
    """One product."""
    left, right, upper, lower = 60, WIDTH - 150, top + 26, top + 195
    curves = {command: [sum_of(entry, command) for entry in samples] for command in commands(samples)}
    across = Scale(0, max(samples[-1]["at"] / 60, 0.01), left, right)
    marks = ticks(max(value for values in curves.values() for value in values))
    up = Scale(0, marks[-1], lower, upper)
    drawing.text(left, top + 12, name)
    for mark in marks:
        drawing.line((left, up.at(mark)), (right, up.at(mark)), "grid" if mark else "axis")
        drawing.text(left - 8, up.at(mark) + 4, f"{mark:g}", "small", "end")
    for mark in ticks(across.high):
        if mark <= across.high:
            drawing.text(across.at(mark), lower + 18, f"{mark:g}", "small", "middle")
    drawing.text((left + right) / 2, lower + 36, "minutes", "small", "middle")
    for command, values in curves.items():
        points = [(across.at(entry["at"] / 60), up.at(value)) for entry, value in zip(samples, values, strict=True)]
        drawing.curve(points, series[command])
    ends = {command: up.at(values[-1]) + 4 for command, values in curves.items()}
    for command, y in spread(ends.items()):
        drawing.bar(right + 8, y - 9, 10, 10, series[command])
        drawing.text(right + 22, y, f"{command} {curves[command][-1]:.0f}", "value")


def commands(samples: list[dict]) -> list[str]:
    """The commands in the samples; their children are ``<command>.<number>``."""
    return list(dict.fromkeys(name.partition(".")[0] for entry in samples for name in entry["processes"]))


def sum_of(entry: dict, command: str) -> float:
    """Memory of a command and its children in one sample."""
    return sum(found["Pss"] for name, found in entry["processes"].items() if name.partition(".")[0] == command)


def spread(places: Iterable[tuple[str, float]], apart: float = 15) -> list[tuple[str, float]]:
    """The labels from top to bottom, moved down where they would touch."""
    placed = sorted(places, key=lambda item: item[1])
    moved = placed[:1]
    for _, (name, y) in pairwise(placed):
        moved.append((name, max(y, moved[-1][1] + apart)))
    return moved


class Chart(NamedTuple):
    """A picture and where it goes."""

    file: str
    alt: str
    draw: Callable[[tables.Rounds], str | None]


CHARTS = (
    Chart("ratios.svg", "Ratios to raw Celery with must and aim", ratios),
    Chart("steps.svg", "Cost per step in chains of 5, 50 and 500 steps", steps),
    Chart("soak.svg", "Memory of each process over time", memory),
)
