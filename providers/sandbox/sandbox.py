"""Runs an untrusted program: isolated by bubblewrap, limited and watched.

In order of time: the first call tries the sandbox once with ``true`` (``probe``) and refuses for good when that fails,
because a script must not run unprotected; the job's files, the filter and the launcher's options go into anonymous
memory files (nothing secret appears in a command line or in a launcher's environment); a worker of root gives its
rights up; bubblewrap sets up the namespaces and starts the program under limits; ``providers.sandbox.watch`` stays with
it to its end.
"""

import contextlib
import fcntl
import functools
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from providers.base import ProviderError
from providers.sandbox import cgroup, recipe, system_calls
from providers.sandbox.launchers import launch
from providers.sandbox.processes import Processes
from providers.sandbox.watch import Conversation, Ended, FinishedProcess, watch

__all__ = ["Conversation", "Ended", "FinishedProcess", "probe", "run"]


def run(
    argv_inside: Sequence[str],
    *,
    stdin: bytes,
    env: Mapping[str, str],
    files: Mapping[str, bytes],
    timeout: float,
    aborted: Callable[[], bool],
    readonly: Sequence[Path] = (),
    conversation: Conversation | None = None,
) -> FinishedProcess:
    """Run a program inside a fresh sandbox and wait for its end.

    ``files`` appear read-only under their path inside (such as ``/job/script``), ``readonly`` folders of the
    machine under their own path; ``timeout`` is in seconds; ``aborted`` is asked every 50 ms. ``conversation`` hears
    the program's output and answers it.

    Raises:
        ProviderError: ``sandbox_unavailable``, this machine cannot isolate a program.
    """
    reason = probe()
    if reason is not None:
        raise recipe.unavailable(reason)
    return _run(list(argv_inside), stdin, env, files, timeout, aborted, readonly, conversation)


@functools.cache
def probe() -> str | None:
    """Why no script can run on this machine, or None.

    Tried once for each process.
    """
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return "the kernel does not list child processes, so their memory could not be watched"
    try:
        tried = _run(["/usr/bin/true"], b"", {}, {"/job/script": b""}, 10, lambda: False, ())
    except ProviderError as error:
        return error.message.removeprefix(recipe.UNAVAILABLE)
    if tried.exit_code != 0:
        return f"a trial ended with {tried.exit_code}: {tried.stderr.decode(errors='replace')[:300]}"
    return None


def _run(
    argv: list[str],
    stdin: bytes,
    env: Mapping[str, str],
    files: Mapping[str, bytes],
    timeout: float,
    aborted: Callable[[], bool],
    readonly: Sequence[Path],
    conversation: Conversation | None = None,
) -> FinishedProcess:
    for folder in readonly:
        if not recipe.reachable(folder):
            raise recipe.unavailable(f"{folder} is missing or closed to uid {recipe.OWNER}")
    with contextlib.ExitStack() as held:
        (status, reported), (gate, opened) = _pipe(held), _pipe(held)
        seccomp = _memory_file(held, system_calls.program())
        contents = {path: _memory_file(held, data) for path, data in files.items()}
        args = _memory_file(held, recipe.options(env, contents, readonly, reported.fileno(), gate.fileno(), seccomp))
        passed = [args, reported.fileno(), gate.fileno(), seccomp, *contents.values()]
        inside = recipe.limited(argv, timeout)
        group = cgroup.make()
        if group is not None:
            held.callback(group.remove)
        process = _start(held, ["--args", str(args), "--", *inside], passed)
        reported.close()  # the launcher's copy is now the last one, so its end is the launcher's end
        return watch(
            process,
            Processes(process, opened, group),
            status.fileno(),
            stdin=stdin,
            timeout=timeout,
            aborted=aborted,
            conversation=conversation,
        )


def _start(held: contextlib.ExitStack, words: list[str], passed: list[int]) -> subprocess.Popen[bytes]:
    """Start bubblewrap in its own session, with an empty environment.

    The environment stays readable inside as pid 1's. A session of its own keeps Ctrl-C in the operator's terminal away
    from it. A worker of root starts it as user ``nobody``, because the limit on processes does not bind root. If that
    user cannot enter bubblewrap's folder (a checkout in /root), the program and its library are passed as memory files.
    """
    path = recipe.bubblewrap()
    env: dict[str, str] = {}
    executable = str(path)
    owner = recipe.OWNER if os.geteuid() == 0 else None
    if not recipe.reachable(path):
        program = _memory_file(held, path.read_bytes())
        libraries = [_memory_file(held, library.read_bytes()) for library in recipe.libraries(path)]
        executable = f"/proc/self/fd/{program}"
        env = {"LD_PRELOAD": ":".join(map("/proc/self/fd/{}".format, libraries))}
        passed = [*passed, program, *libraries]
        # nothing is left to read from them, and --file closes what it has read: they must not stand open inside
        for file in (program, *libraries):
            os.lseek(file, 0, os.SEEK_END)
            words = ["--file", str(file), f"/tmp/{file}", *words]  # noqa: S108 - below the /tmp that is mounted later
    try:
        return launch(
            held,
            executable,
            [str(path), *words],
            env=env,
            cwd="/",
            pass_fds=passed,
            start_new_session=True,
            user=owner,
            group=owner,
            extra_groups=None if owner is None else [],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise recipe.unavailable(f"{path} cannot be started: {error}") from error


def _pipe(held: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    reading, writing = os.pipe()
    return held.enter_context(os.fdopen(reading, "rb")), held.enter_context(os.fdopen(writing, "wb"))


def _memory_file(held: contextlib.ExitStack, data: bytes) -> int:
    """A descriptor of an anonymous, unchangeable file with these contents."""
    file = held.enter_context(os.fdopen(os.memfd_create("job", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC), "r+b"))
    file.write(data)
    file.seek(0)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file.fileno()
