"""The application finds what is the same for every request once, and nothing that differs."""

import flask
import pytest

from api import application
from tests.support.api import Door, assert_problem


def test_there_is_nothing_that_the_application_does_not_look_for(door: Door) -> None:
    """Hooks of blueprints, signals, sessions and what ends with a context would be left out."""
    app = door.app
    door.call("GET", "/health")
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        assert {name for name, found in hooks.items() if found} == {None}
    assert not app.teardown_appcontext_funcs
    assert not any(app.url_value_preprocessors.values())
    signals = (flask.request_started, flask.request_finished, flask.request_tearing_down, flask.appcontext_tearing_down)
    assert not any(signal.receivers for signal in signals)
    assert app.secret_key is None
    with pytest.raises(RuntimeError, match="session"), app.test_request_context():
        flask.session["a"] = 1


def test_a_path_that_was_found_leads_to_the_same_again(door: Door) -> None:
    """The first time the router is asked; each method of a path has its own handler."""
    action = f"/api/actions/{door.create()['id']}"
    for _ in range(2):
        assert door.call("GET", action).json["data"]["id"] == action.rpartition("/")[2]
        assert door.call("POST", f"{action}/trigger", json={}).status_code == 202
        assert door.call("HEAD", action).status_code == 200
        assert door.call("OPTIONS", action).headers["Allow"]
        assert_problem(door.call("POST", action, json={}), 405)
        assert_problem(door.call("GET", "/api/nothing/here"), 404)
    known = door.app.routes
    assert ("GET", action) in known
    assert ("POST", action) not in known
    assert ("GET", "/api/nothing/here") not in known


def test_few_paths_are_remembered(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are asked for, and however long they are."""
    monkeypatch.setattr(application, "_MOST_PATHS", 5)
    for number in range(20):
        assert_problem(door.call("GET", f"/api/actions/act-{number}"), 404)
        assert len(door.app.routes) <= 5
    monkeypatch.setattr(application, "_LONGEST", 20)
    assert_problem(door.call("GET", "/api/actions/act-with-a-long-name"), 404)
    assert not any("long-name" in path for _, path in door.app.routes)


def test_a_mounted_application_answers_below_its_prefix(door: Door) -> None:
    """Where the server names a prefix, paths are what follows it."""
    for _ in range(2):
        answer = door.call("GET", "/health", environ_overrides={"SCRIPT_NAME": "/below"})
        assert answer.status_code == 200
