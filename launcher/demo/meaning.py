"""The demo's comparison by meaning: how similar a text and a topic are, or what it takes to compare them."""

import http
import importlib.util
import json

from launcher.demo.client import Api
from launcher.terminal import Terminal

_QUESTION = {"text": "Please confirm your password at this link", "topic": "phishing mail that asks for credentials"}
_SET = "TOCSIN_EMBEDDINGS_PROVIDER=local make run"
_INSTALL = ".venv/bin/uv pip install -c constraints.txt -e '.[embeddings]'"


def show(terminal: Terminal, api: Api, url: str, key_file: str) -> None:
    """Print the similarity and the command that asks for it; where nothing is configured, the commands that do that."""
    status, found = api.call("POST", "/v1/embeddings/similarity", _QUESTION)
    if status == http.HTTPStatus.OK:
        terminal.say(f'Meaning: "{_QUESTION["text"]}" is {found["similarity"]} like "{_QUESTION["topic"]}"')
        headers = f'-H "Authorization: Bearer $(cat {key_file})" -H "Content-Type: application/json"'
        terminal.detail(f"compare   curl {headers} -d '{json.dumps(_QUESTION)}' {url}/v1/embeddings/similarity")
    elif status == http.HTTPStatus.NOT_FOUND:
        installed = importlib.util.find_spec("wordllama") is not None
        command = _SET if installed else f"{_INSTALL}; {_SET}"
        terminal.say(f"Meaning: rules compare texts by meaning (semantic_match) after {command}")
