"""The floor's API: ``POST /trigger`` puts one task on the queue and answers 202; nothing is validated."""

from flask import Flask, request
from rawcelery import call

web = Flask(__name__)


@web.post("/trigger")
def trigger():
    key = request.get_json()["parameters"]["id"]
    result = call.delay(key)
    return {"data": {"execution_id": result.id, "status": "pending"}}, 202


@web.get("/health")
def health():
    return {"status": "ok"}
