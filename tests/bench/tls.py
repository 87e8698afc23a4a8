"""The same call in clear and over TLS, both with kept connections.

The sink's certificate is signed by an authority of our own, which the products trust through ``SSL_CERT_FILE``
(Tocsin) and ``REQUESTS_CA_BUNDLE`` (raw Celery).
"""

import measure
from layouts import Layout
from measure import Numbers
from sinkclient import load

MEASURES = ("idle_p50_ms", "completed_per_s", "cpu_ms")


def tls(layout: Layout, idle: int, seconds: float) -> Numbers:
    """Idle latency, rate and CPU of both, and the calls per connection."""
    secure = layout.add_call("tls")
    measure.warm_up(layout, 40)
    load("single", target=secure, key=layout.key, sink=layout.sink.url, count=40, pause=0, prefix="secure")
    numbers: Numbers = {}
    before = layout.sink.totals()["tls_connections"]
    calls = 0
    for kind, target in (("clear", layout.target), ("tls", secure)):
        found = measure.idle_latency(layout, idle, target) | measure.burst(layout, seconds, target)
        numbers |= {f"tls_{name}_{kind}": found[name] for name in MEASURES}
        calls = idle + found["accepted"]
    made = layout.sink.totals()["tls_connections"] - before
    return numbers | {
        "tls_extra_cpu_ms": numbers["tls_cpu_ms_tls"] - numbers["tls_cpu_ms_clear"],
        "tls_cpu_ratio": numbers["tls_cpu_ms_tls"] / numbers["tls_cpu_ms_clear"],
        "tls_connections_per_1000": made * 1000 / calls,
    }
