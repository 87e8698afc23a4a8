"""Watching shows each change, ends with one line, and never touches what it watches."""

import json

import pytest
from scripted_server import Reply, problem
from terminal import on_terminal, plain, run_of, shell

RUN = "/api/playbooks/executions/pexec-1"


def stream(*messages):
    """A stream that has ended."""
    blocks = [f"id: {n}\nevent: {one['type']}\ndata: {json.dumps(one)}\n\n" for n, one in enumerate(messages, 1)]
    return Reply(200, "".join(blocks), {"Content-Type": "text/event-stream"})


def step(name, status, **more):
    return {"type": "step_changed", "run_id": "pexec-1", "step": name, "status": status, **more}


def ended(status="completed", **more):
    state = run_of(status, **more)
    for one in state["steps"]:
        one["status"] = "completed"
    return state


@pytest.fixture
def watched(routes):
    """A run that waits, is approved and completes."""
    changes = [step("enrich", "running"), step("enrich", "completed"), step("ask", "waiting"), step("ask", "completed")]
    routes[f"GET {RUN}/events"] = [stream(*changes, {"type": "run_changed", "status": "completed"}), Reply(204)]
    routes[f"GET {RUN}"] = [{"data": run_of()}, {"data": ended()}]
    return routes


def test_a_line_for_each_change_and_one_at_the_end(tocsin, watched):
    """Outside a terminal each change is a line; the last one says how it ended."""
    done = tocsin("watch", "pexec-1")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["pexec-1", "Isolate", "laptop-7", "running"]
    assert [line.split()[1:3] for line in lines[1:5]] == [
        ["enrich", "running"],
        ["enrich", "completed"],
        ["ask", "waiting"],
        ["ask", "completed"],
    ]
    assert "tocsin approve pexec-1 ask" in lines[3]
    assert lines[-1] == "✓ pexec-1 completed in 4.1 s"


@pytest.mark.parametrize(
    ("status", "error", "code", "said"),
    [
        (
            "failed",
            {"code": "http_error", "message": "502", "step_id": "isolate"},
            1,
            "failed in 4.1 s at step isolate: 502",
        ),
        ("failed", {"message": "lost", "outcome_unknown": True}, 1, "(whether it had its effect is unknown)"),
        ("cancelled", None, 8, "⊘ pexec-1 cancelled"),
    ],
)
def test_the_exit_code_tells_how_it_ended(tocsin, routes, status, error, code, said):
    """1 where it failed, 8 where it was cancelled."""
    routes[f"GET {RUN}/events"] = [stream(), Reply(204)]
    routes[f"GET {RUN}"] = {"data": ended(status, error=error)}
    done = tocsin("watch", "pexec-1")
    assert done.code == code
    assert said in done.out.splitlines()[-1]


def test_programs_get_json(tocsin, watched):
    """``jsonl`` has each change and the last state, ``json`` the last state, ``id`` the id."""
    lines = [json.loads(line) for line in tocsin("watch", "pexec-1", "-o", "jsonl").out.splitlines()]
    assert [one.get("status") for one in lines] == [
        "running",
        "completed",
        "waiting",
        "completed",
        "completed",
        "completed",
    ]
    assert lines[-1]["execution_id"] == "pexec-1"
    watched[f"GET {RUN}/events"] = [Reply(204)]
    assert tocsin("watch", "pexec-1", "-o", "json").json["status"] == "completed"
    assert tocsin("watch", "pexec-1", "-o", "id").out == "pexec-1\n"


def test_it_stops_where_it_is_wished(server, routes):
    """``--until paused`` ends where a person has to decide, with 0."""
    routes[f"GET {RUN}/events"] = [stream(step("ask", "waiting")), stream()]
    routes[f"GET {RUN}"] = [{"data": run_of()}, {"data": run_of("paused")}]
    done = shell(server, "watch", "pexec-1", "--until", "paused", LC_ALL="C.UTF-8")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "‖ pexec-1 paused in 4.1 s")


def test_its_time_is_limited(server, routes):
    """After ``--timeout`` it ends with 7, cancels nothing and says how to."""
    routes[f"GET {RUN}/events"] = problem(503, "busy")
    routes[f"GET {RUN}"] = {"data": run_of()}
    done = shell(server, "watch", "pexec-1", "--timeout", "0.2", LC_ALL="C.UTF-8")
    assert done.returncode == 7
    assert done.stdout.splitlines()[-1] == "● pexec-1 is still running; nothing is cancelled"
    assert "tocsin runs cancel pexec-1" in done.stderr
    assert {one.method for one in server.requests} == {"GET"}


def test_what_was_started_is_watched(tocsin, watched, server):
    """``run --watch`` sends the parameters, follows the run and ends with its exit code."""
    watched["GET /api/playbooks/pb-isolate"] = {"data": {"id": "pb-isolate", "parameters": []}}
    watched["POST /api/playbooks/pb-isolate/run"] = Reply(
        202, {"data": {"execution_id": "pexec-1", "status": "pending"}}
    )
    done = tocsin("run", "pb-isolate", "--target", "laptop-7", "-p", "reason=x", "--watch")
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("✓ pexec-1 completed")
    post = next(one for one in server.requests if one.method == "POST")
    assert json.loads(post.body) == {"target_asset_id": "laptop-7", "parameters": {"reason": "x"}}
    assert "idempotency-key" in post.headers


def test_without_an_id_the_newest_is_watched(tocsin, watched):
    """``watch`` alone follows the newest run."""
    watched["GET /api/playbooks/executions"] = {"data": [run_of()], "meta": {}}
    assert tocsin("watch").out.splitlines()[-1] == "✓ pexec-1 completed in 4.1 s"


def test_a_single_execution_is_watched_by_its_id(tocsin, routes):
    """The id says whether a run or an execution is meant."""
    execution = {"execution_id": "exec-1", "action_name": "Block", "status": "running"}
    over = {**execution, "status": "timeout", "error": {"message": "too late"}}
    routes["GET /api/actions/executions/exec-1"] = [{"data": execution}, {"data": over}]
    done = tocsin("watch", "exec-1")
    assert (done.code, done.out.splitlines()[-1]) == (1, "✗ exec-1 timeout: too late")


def test_a_terminal_shows_a_live_tree(server, watched):
    """The steps are drawn with their marks, what waits with the command that decides, and one last line."""
    pytest.importorskip("rich")
    watched[f"GET {RUN}"] = [{"data": run_of()}, {"data": run_of()}, {"data": ended()}]
    code, drawn = on_terminal(server, "watch", "pexec-1")
    assert code == 0
    assert "\x1b[" in drawn
    text = plain(drawn)
    assert "├─ ✓ enrich   Look it up" in text
    assert "├─ ◌ ask      waits: " in text or "├─ ◌ ask    " in text
    assert "tocsin approve pexec-1 ask" in text
    assert "└─ · isolate  Isolate" in text
    assert text.rstrip().splitlines()[-1] == "✓ pexec-1 completed in 4.1 s"


def test_forty_columns_are_enough_for_it(server, watched):
    """No line of the tree is wider than the terminal."""
    code, drawn = on_terminal(server, "watch", "pexec-1", columns=40)
    assert code == 0
    assert max(len(line) for line in plain(drawn).splitlines()) <= 40


def test_ctrl_c_leaves_the_run_alone(server, routes):
    """Ctrl-C ends the watching with 130, says how to cancel, and cancels nothing."""
    routes[f"GET {RUN}"] = {"data": run_of()}
    routes[f"GET {RUN}/events"] = problem(503, "busy")
    code, drawn = on_terminal(server, "watch", "pexec-1", strike=b"enrich")
    assert code == 130
    text = plain(drawn)
    assert "pexec-1 is still running; nothing is cancelled" in text
    assert "tocsin runs cancel pexec-1" in text
    assert "Traceback" not in text
    assert {one.method for one in server.requests} == {"GET"}
