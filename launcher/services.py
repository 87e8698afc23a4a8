"""Runs the processes of the Procfile: start, watch, restart, stop.

Each runs in a session of its own, so that Ctrl-C reaches the launcher alone and it can stop them in order: everything
else first, Redis last. A thread checks them a few times a second and reports what it finds.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from launcher.log_lines import LogTail, last_lines
from launcher.terminal import LauncherError, Terminal

#: how often a process that keeps dying is started again
RESTARTS = 5
#: a process that has lived this long is forgiven its earlier deaths, seconds
_FORGIVEN_AFTER = 60.0
#: how long the processes may take to end on SIGTERM, seconds; a prefork worker without work takes up to 2.7
_GRACE = 4.0
_LOOK_EVERY = 0.1


class Service:
    """One line of the Procfile (or Redis) and its process."""

    def __init__(self, name: str, command: str, log_dir: Path, *, quiet: bool = False) -> None:
        self.name = name
        self.log = log_dir / f"{name}.log"
        self.deaths = 0
        self.restart_at: float | None = None
        self.quiet = quiet
        self.tail = LogTail(self.log)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        with contextlib.suppress(FileNotFoundError):
            self.log.replace(self.log.with_name(f"{name}.log.1"))  # one earlier run is kept

    @property
    def pid(self) -> int:
        """The id of its process, 0 before the first start."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start its process, with both outputs in the log file."""
        self.restart_at = None
        self._started_at = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S602 - the Procfile is written for a shell
                self._command,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ended_with(self) -> int | None:
        """The exit code of a process that has ended, else None.

        A negative code is the signal that ended it.
        """
        return self._process.poll() if self._process else None

    def plan_restart(self) -> float | None:
        """Record a death; returns the seconds until the restart.

        None when the process has died too often.
        """
        lived = time.monotonic() - self._started_at
        self.deaths = 1 if lived > _FORGIVEN_AFTER else self.deaths + 1
        self._signal_group(signal.SIGKILL)  # its children must not go on next to its successor
        if self.deaths > RESTARTS:
            return None
        pause = 0.5 * 2.0 ** (self.deaths - 1)
        self.restart_at = time.monotonic() + pause
        return pause

    def ask_to_end(self) -> None:
        """Send its process SIGTERM."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End its process and all that this process has started."""
        self._signal_group(signal.SIGKILL)
        if self._process:
            self._process.wait()

    def _signal_group(self, what: signal.Signals) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, what)


class Services:
    """All services; ``failed`` is set when one cannot be kept alive."""

    def __init__(self, terminal: Terminal) -> None:
        self.failed = threading.Event()
        self.reason = ""
        self._terminal = terminal
        self._all: dict[str, Service] = {}
        self._patient = True
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._settled = False

    def __getitem__(self, name: str) -> Service:
        return self._all[name]

    def start(self, service: Service) -> None:
        """Start one service and keep it alive from now on."""
        self._all[service.name] = service
        service.start()
        if not self._watcher.is_alive():
            self._watcher.start()

    def settled(self) -> None:
        """End the start: a service that dies later is restarted.

        Before, a death was a failure.
        """
        self._settled = True

    def check(self) -> None:
        """Raises LauncherError when a service could not be kept alive."""
        if self.failed.is_set():
            raise LauncherError(self.reason)

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY):
            for service in list(self._all.values()):
                self._tell_trouble(service)
                if service.restart_at is not None:
                    if time.monotonic() >= service.restart_at:
                        service.start()
                elif (code := service.ended_with()) is not None and not self._stopping.is_set():
                    self._mourn(service, code)

    def _tell_trouble(self, service: Service) -> None:
        if not service.quiet:
            for line in service.tail.news():
                self._terminal.say(f"{service.name}: {line}", "careful")

    def _mourn(self, service: Service, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        pause = service.plan_restart() if self._settled else None
        if pause is not None:
            self._terminal.say(f"{service.name} {how}: restarting it in {pause:.1f} s", "careful")
            return
        often = f" ({service.deaths} times)" if service.deaths > 1 else ""
        self.reason = f"{service.name} {how}{often}. The end of {service.log}:\n{last_lines(service.log)}"
        self.failed.set()
        self._stopping.set()

    def hurry(self) -> None:
        """Stop waiting for any service to end."""
        self._patient = False

    def stop(self) -> None:
        """Stop all of them, Redis last."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()  # it may be about to start one again
        rest = [service for name, service in self._all.items() if name != "redis"]
        self._end(rest)
        self._end([service for service in self._all.values() if service not in rest])

    def _end(self, services: list[Service]) -> None:
        for service in services:
            service.ask_to_end()
        give_up = time.monotonic() + _GRACE
        while self._patient and time.monotonic() < give_up and any(one.ended_with() is None for one in services):
            time.sleep(0.02)
        late = [service.name for service in services if service.ended_with() is None]
        if late and self._patient:
            names = ", ".join(late)
            self._terminal.say(
                f"Killed {names}, which did not stop in time; work under way continues at the next start", "quiet"
            )
        for service in services:
            service.kill()
