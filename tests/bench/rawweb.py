"""The floor's API: each POST publishes its canvas and answers 202.

``/trigger`` is one task (``/trigger/slow`` and ``/trigger/tls`` call other addresses of the sink), ``/sequence`` a
chain (``/sequence/50`` one of fifty), ``/fan`` a chord.
"""

from flask import Flask, request
from rawcelery import call, fan, sequence
from shapes import SEQUENCE

web = Flask(__name__)


@web.post("/trigger")
@web.post("/trigger/<where>")
def trigger(where: str | None = None):
    more = (where,) if where else ()
    return accepted(call.delay(request.get_json()["parameters"]["id"], *more))


@web.post("/sequence")
@web.post("/sequence/<int:steps>")
def run_sequence(steps: int = SEQUENCE):
    return accepted(sequence(request.get_json()["parameters"]["id"], steps))


@web.post("/fan")
def run_fan():
    return accepted(fan(request.get_json()["parameters"]["id"]))


def accepted(result):
    return {"data": {"execution_id": result.id, "status": "pending"}}, 202


@web.get("/health")
def health():
    return {"status": "ok"}
