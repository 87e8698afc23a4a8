"""The API inherits what its parent has imported, and gevent patches that before it imports anything."""

import subprocess
import sys

from tests.support.processes import ROOT, clean_environment

#: what keeps a lock, or a state for each thread, of the library as it was, and why it does no harm
HARMLESS = {
    "celery._state": "the current app and task of a thread: the API has one app, and no task",
    "worker.forked.patching.Place": "the note of a lock that was replaced",
}
#: the same of what the API makes itself
HARMLESS_OF_API = {"api.http.load.Load": "a mutex for additions, whose holder waits for nothing (config.locks)"}


def test_nothing_that_the_api_inherits_waits_without_gevent(tmp_path) -> None:
    """Imports come first, then the fork, then gevent, then the API: no name, default or lock of before is left."""
    env = clean_environment(TOCSIN_ENV="development", TOCSIN_VAR_DIR=str(tmp_path))
    command = [sys.executable, "-m", "tests.support.natives"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = dict.fromkeys(("inherited", "with the API"), frozenset())
    for line in done.stdout.splitlines():
        when, _, what = line.partition(": ")
        if when in found:
            found[when] |= {what}
    inherited, with_api = frozenset(HARMLESS), frozenset({**HARMLESS, **HARMLESS_OF_API})
    assert found == {"inherited": inherited, "with the API": with_api}, done.stdout
    assert "Warning" not in done.stderr
