"""The floor's API: each POST puts its canvas on the queue and answers 202; nothing is validated.

``/trigger`` is one task, ``/sequence`` a chain, ``/fan`` a chord.
"""

from flask import Flask, request
from rawcelery import call, fan, sequence

web = Flask(__name__)


@web.post("/trigger")
def trigger():
    key = request.get_json()["parameters"]["id"]
    result = call.delay(key)
    return {"data": {"execution_id": result.id, "status": "pending"}}, 202


@web.post("/sequence")
def run_sequence():
    result = sequence(request.get_json()["parameters"]["id"])
    return {"data": {"execution_id": result.id, "status": "pending"}}, 202


@web.post("/fan")
def run_fan():
    result = fan(request.get_json()["parameters"]["id"])
    return {"data": {"execution_id": result.id, "status": "pending"}}, 202


@web.get("/health")
def health():
    return {"status": "ok"}
