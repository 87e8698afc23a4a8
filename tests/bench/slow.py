"""Slow targets: 200 concurrent calls of a second, and fast calls meanwhile.

In order of time: more slow calls are triggered than can be done in the time; two seconds later counting begins, and
fast actions are triggered one at a time, each awaited. A product that did nothing but wait would do as many calls a
second as it has slots. What is left over when the time is up is not awaited.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import measure
from layouts import Layout
from measure import Numbers
from processes import BenchError
from sinkclient import load

SLOTS = 200
LEAD = 2.0  # seconds after the first trigger before counting begins


def slow(layout: Layout, seconds: float) -> Numbers:
    """Slow calls completed a second, and milliseconds of a fast action meanwhile.

    A fast action that has not arrived after ``seconds`` counts with the time it was awaited (``slow_fast_missed``).
    """
    target = layout.add_call("slow")
    measure.warm_up(layout, 40)
    layout.sink.forget()
    offered = round(SLOTS * (LEAD + seconds + 3))
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        offering = pool.submit(load, "burst", target=target, key=layout.key, seconds=60, most=offered, prefix="slow")
        time.sleep(LEAD)
        probe = {"target": layout.target, "key": layout.key, "sink": layout.sink.url, "prefix": "fast", "pause": 0.05}
        probing = pool.submit(load, "single", count=100_000, within=seconds, patience=seconds, **probe)
        time.sleep(seconds)
        layout.processes.check()
        times = [at for key, at in layout.sink.arrivals().items() if key.startswith("slow")]
        answer, fast = offering.result(), probing.result()
    if answer["accepted"] != offered:
        raise BenchError(f"{layout.name} accepted {answer['accepted']} of {offered} slow calls: {answer['statuses']}")
    counted = sum(began + LEAD <= at < began + LEAD + seconds for at in times)
    return {
        "slow_per_s": counted / seconds,
        "slow_share": counted / seconds / SLOTS,
        "slow_fast_p50_ms": fast["idle_p50_ms"],
        "slow_fast_p95_ms": fast["idle_p95_ms"],
        "slow_fast_missed": fast["missed"],
    }
