"""The products that can be compared, and those measured for each work."""

import argparse
from collections.abc import Callable
from functools import partial

import services
import slow
from layouts import Layout, RawCelery
from product import Tocsin
from sinkclient import Sink

Make = Callable[..., Layout]

#: side -> what it starts, one after the other, in the order in which they are measured
SIDES: dict[str, tuple[Make, ...]] = {
    "raw": (RawCelery,),
    "sqlite": (partial(Tocsin, database="sqlite"),),
    "sqlite-full": (partial(Tocsin, database="sqlite", synchronous="FULL"),),
    "postgres": (partial(Tocsin, database="postgres"),),
    "rabbitmq": (partial(RawCelery, broker="rabbitmq"), partial(Tocsin, database="sqlite", broker="rabbitmq")),
}
USUAL = ("raw", "sqlite", "postgres")
#: work that looks into Redis for the messages
REDIS_ONLY = {"deep"}


def layouts(options: argparse.Namespace, sink: Sink, work: set[str]) -> list[Layout]:
    """Fresh layouts for one round of some work."""
    chosen = [side for side in SIDES if side in options.sides]
    if work & REDIS_ONLY or services.rabbitmq_missing():
        chosen = [side for side in chosen if side != "rabbitmq"]
    makes = [(side, make) for side in chosen for make in SIDES[side]]
    if "slow" not in work:
        return [made(make, sink, options) for _, make in makes]
    found = [RawCelery(sink)] if "raw" in chosen else []
    return [*found, *(made(make, sink, options, threads=slow.SLOTS) for _, make in makes)]


def made(make: Make, sink: Sink, options: argparse.Namespace, **more: int) -> Layout:
    """A layout; with Flower when that was asked for."""
    layout = make(sink, **more)
    if isinstance(layout, Tocsin):
        layout.flower = options.flower
    return layout


def left_out(options: argparse.Namespace) -> list[str]:
    """What was asked for and cannot be measured, each with the reason."""
    if "rabbitmq" not in options.sides:
        return []
    missing, never = services.rabbitmq_missing(), ", ".join(sorted(options.work & REDIS_ONLY))
    if missing:
        return [f"rabbitmq is left out: {missing}"]
    return [f"rabbitmq is left out of {never}: the queue is filled through Redis"] if never else []
