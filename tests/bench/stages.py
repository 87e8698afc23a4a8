"""The measured work in the table's order; each stage restarts every side.

W1, W2 and W3 share a stage, because memory and a warm product serve all three.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import chains
import dispatches
import filled
import measure
import profiler
import reads
import slow
import soak
import streams
import tls
import workloads
from layouts import Layout
from measure import Numbers
from product import Tocsin
from shapes import LENGTHS

BEGIN = time.monotonic()


def say(text: str) -> None:
    """A line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - BEGIN:6.1f} s] {text}", file=sys.stderr, flush=True)


def calls_and_runs(layout: Layout, options: argparse.Namespace) -> Numbers:
    """W2, W1 and W3, as far as they are asked for."""
    numbers: Numbers = {}
    for work, measured in (("w2", single_calls), ("w1", sequences), ("w3", fans)):
        if work in options.work:
            numbers |= measured(layout, options)
    return numbers


def single_calls(layout: Layout, options: argparse.Namespace) -> Numbers:
    """Measure W2, one call a trigger, and memory before any other work."""
    measure.warm_up(layout)
    numbers = measure.memory(layout) | measure.idle_latency(layout, options.idle)
    with profiler.profiled(layout, options, "w2", say):
        numbers |= measure.burst(layout, options.seconds)
    say(
        f"{layout.name}: idle {numbers['idle_p50_ms']:.1f} ms, accepted {numbers['accepted_per_s']:.0f}/s, "
        f"completed {numbers['completed_per_s']:.0f}/s, {numbers['cpu_ms']:.2f} ms CPU, "
        f"{numbers['pss_mib']:.0f} MiB, {numbers['other_cores'] * 100:.0f} % of a core used by others"
    )
    return numbers


def sequences(layout: Layout, options: argparse.Namespace) -> Numbers:
    """W1: five calls one after the other."""
    numbers = workloads.sequence_alone(layout, options.idle)
    with profiler.profiled(layout, options, "w1", say):
        numbers |= workloads.sequence_burst(layout, options.runs)
    say(
        f"{layout.name}: sequence {numbers['w1_idle_p50_ms']:.1f} ms, {numbers['w1_runs_per_s']:.0f} runs/s, "
        f"{numbers['w1_cpu_ms']:.2f} ms CPU, {numbers['w1_other_cores'] * 100:.0f} % of a core used by others"
    )
    return numbers


def fans(layout: Layout, options: argparse.Namespace) -> Numbers:
    """W3: fifty calls side by side, and one that joins them."""
    with profiler.profiled(layout, options, "w3", say):
        numbers = workloads.fan(layout, options.joins)
    say(
        f"{layout.name}: fan {numbers['w3_idle_p50_ms']:.1f} ms (p95 {numbers['w3_idle_p95_ms']:.1f}), "
        f"{numbers['w3_cpu_ms']:.1f} ms CPU"
    )
    return numbers


def depth(layout: Layout, options: argparse.Namespace) -> Numbers:
    """Queue depth."""
    measure.warm_up(layout)
    numbers = measure.queue_depth(layout, options.deep, options.window, 1 if options.quick else 3)
    say(
        f"{layout.name}: {numbers['rate_1000']:.0f}/s with 1,000 queued, {numbers['rate_deep']:.0f}/s with "
        f"{options.deep:,}; {numbers['cpu_ms_1000']:.2f} and {numbers['cpu_ms_deep']:.2f} ms CPU"
    )
    return numbers


def lengths(layout: Layout, options: argparse.Namespace) -> Numbers:
    """Chains of 5, 50 and 500 steps."""
    numbers = chains.lengths(layout, options.chain_steps)
    shown = ", ".join(f"{numbers[f'chain_cpu_ms_{length}']:.2f}" for length in LENGTHS)
    say(f"{layout.name}: {shown} ms CPU per step in chains of {', '.join(map(str, LENGTHS))}")
    return numbers


def flight(layout: Layout, options: argparse.Namespace) -> Numbers:
    """One run in flight against many."""
    numbers = chains.flight(layout, options.flight)
    say(
        f"{layout.name}: {numbers['flight_one_cpu_ms']:.2f} ms CPU per step with one run in flight, "
        f"{numbers['flight_many_cpu_ms']:.2f} with {options.flight:,} ({numbers['flight_steps_per_s']:.0f} steps/s)"
    )
    return numbers


def slow_targets(layout: Layout, options: argparse.Namespace) -> Numbers:
    """Calls that take a second."""
    numbers = slow.slow(layout, options.slow_seconds)
    say(
        f"{layout.name}: {numbers['slow_per_s']:.0f} slow calls/s of {slow.SLOTS}, "
        f"a fast action {numbers['slow_fast_p50_ms']:.0f} ms ({numbers['slow_fast_missed']} never seen)"
    )
    return numbers


def secure(layout: Layout, options: argparse.Namespace) -> Numbers:
    """Calls over TLS."""
    numbers = tls.tls(layout, options.idle, options.seconds)
    say(
        f"{layout.name}: idle {numbers['tls_idle_p50_ms_clear']:.1f} ms in clear, {numbers['tls_idle_p50_ms_tls']:.1f} "
        f"over TLS; {numbers['tls_extra_cpu_ms']:+.2f} ms CPU per call"
    )
    return numbers


def gateway(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """Dispatches and the rules that decide them."""
    numbers = dispatches.dispatches(layout, options, say)
    say(
        f"{layout.name}: dispatches {numbers['dispatch_accepted_ratio']:.2f}x of W2 accepted, "
        f"{numbers['dispatch_completed_ratio']:.2f}x completed, answered in {numbers['dispatch_answer_ratio']:.2f}x, "
        f"suppressed {numbers['dispatch_suppressed_ratio']:.2f}x, deduplicated "
        f"{numbers['dispatch_deduplicated_ratio']:.2f}x, throttled {numbers['dispatch_throttled_ratio']:.2f}x, "
        f"gathered {numbers['dispatch_gathered_ratio']:.2f}x of suppressed, in "
        f"batches {numbers['dispatch_batch_ratio']:.2f}x; W1 under 1,000 rules {numbers['dispatch_w1_cpu_ratio']:.3f}x"
    )
    return numbers


def followed(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """Work next to open streams, and how soon an event comes."""
    numbers = streams.streams(layout, options)
    say(
        f"{layout.name}: next to {streams.OPEN} open streams W1 {numbers['streams_w1_ratio']:.2f}x, dispatches "
        f"{numbers['streams_dispatch_ratio']:.2f}x; next to {streams.WHOLE} that have every event W1 "
        f"{numbers['streams_whole_w1_ratio']:.2f}x, dispatches {numbers['streams_whole_dispatch_ratio']:.2f}x; "
        f"an event comes in {numbers['streams_event_p50_ms']:.0f} ms (p95 {numbers['streams_event_p95_ms']:.0f})"
    )
    return numbers


def history(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """Reads of a long history against a short one."""
    numbers = reads.reads(layout, options)
    say(
        f"{layout.name}: lists {numbers['reads_list_ratio_median']:.2f}x of a short history's, the worst "
        f"{numbers['reads_list_ratio_worst']:.2f}x, health {numbers['reads_health_ratio']:.2f}x, tick "
        f"{numbers['reads_tick_ratio']:.2f}x; p99 of an accept next to readers "
        f"{numbers['reads_accept_p99_ratio']:.2f}x, W2 next to retention {numbers['reads_retention_ratio']:.2f}x"
    )
    return numbers


def full(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """W1 and W2 over a long history against a short one."""
    numbers = filled.filled(layout, options)
    say(
        f"{layout.name}: over {options.history:,} executions W2 {numbers['filled_w2_completed_per_s_ratio']:.2f}x "
        f"({numbers['filled_w2_cpu_ms_ratio']:.2f}x CPU), W1 {numbers['filled_w1_runs_per_s_ratio']:.2f}x "
        f"({numbers['filled_w1_cpu_ms_ratio']:.2f}x CPU)"
    )
    return numbers


def sealed(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """The sealed trail."""
    found = reads.inside(layout, "trail", options.trail)
    numbers = {"trail_seal_share": found["seal_s_per_1000"] * 100, "trail_verify_per_s": found["verify_per_s"]}
    say(
        f"{layout.name}: sealing takes {numbers['trail_seal_share']:.2f} % of a core for 1,000 rows/s, "
        f"{numbers['trail_verify_per_s']:,.0f} rows/s are checked by one"
    )
    return numbers


def soaked(layout: Layout, options: argparse.Namespace) -> Numbers:
    """Minutes of mixed work."""
    numbers = soak.soak(layout, options.minutes, options.quick, say)
    say(
        f"{layout.name}: {numbers['soak_runs']:,} runs, {numbers['soak_errors']} errors, "
        f"{numbers['soak_pss_mib_per_h']:+.1f} MiB/h, database {numbers['soak_database_mib']:.0f} MiB"
    )
    return numbers


class Stage(NamedTuple):
    """Work measured on one start of a product; ``rounds`` names an option.

    What only Tocsin has is compared with itself: ``own``. No other product is started for it.
    """

    title: str
    work: tuple[str, ...]
    measured: Callable[..., Numbers]
    rounds: str = "rounds"
    own: bool = False


STAGES = (
    Stage("single calls and runs", ("w1", "w2", "w3"), calls_and_runs),
    Stage("chains", ("chain",), lengths),
    Stage("runs in flight", ("flight",), flight),
    Stage("slow targets", ("slow",), slow_targets),
    Stage("calls over TLS", ("tls",), secure),
    Stage("dispatches", ("dispatch",), gateway, own=True),
    Stage("open streams", ("streams",), followed, own=True),
    Stage("reads of a long history", ("reads",), history, own=True),
    Stage("the same work over a long history", ("filled",), full, own=True),
    Stage("the sealed trail", ("trail",), sealed, own=True),
    Stage("queue depth", ("deep",), depth, "deep_rounds"),
    Stage("soak", ("soak",), soaked, ""),
)
USUAL_WORK = ("w1", "w2", "w3", "deep")
