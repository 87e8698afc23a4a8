"""``python -m launcher run|demo``: everything on this machine, with a demo.

In order of time: one launcher per var folder may run, a second one shows where the first one is; what a killed one left
behind is ended; ports are checked; Redis, the schema and the processes of the Procfile come up; the demo is shown.
``run`` then serves until Ctrl-C; ``demo`` stops, with exit code 0 when the demo completed.
"""

import argparse
import signal
import sys
import time
from typing import Any

from environs import EnvError

from config.types import Json
from launcher import embedded_redis, environment, leftovers
from launcher.demo import start as demo
from launcher.demo.receiver import Receiver
from launcher.environment import Installation
from launcher.instance import Instance
from launcher.services import Services
from launcher.start import Start
from launcher.terminal import LauncherError, Terminal

#: a second Ctrl-C counts as impatience only this long after the first, because make may pass one on twice, seconds
_SAME_SIGNAL = 0.7
#: after a failure the logs are read a little longer, because they may have the cause, seconds
_LAST_WORDS = 0.3
#: how long a second start waits for the first one's addresses while that is still coming up, seconds
_FIRST_COMES_UP = 60.0


class Stopped(BaseException):
    """The launcher received a signal to end."""


class Launcher:
    """One run of the command, from start to stop."""

    def __init__(self, terminal: Terminal, place: Installation, instance: Instance) -> None:
        self._terminal = terminal
        self._place = place
        self._instance = instance
        self._services = Services(terminal)
        self._receiver: Receiver | None = None
        self._stop_asked_at: float | None = None

    def run(self, *, stay: bool) -> int:
        """Start everything, show the demo, stop; returns the exit code.

        While ``stay``, it serves before it stops.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            try:
                return self._serve(stay=stay)
            except Stopped:
                return 0 if stay else 130
            except LauncherError as error:
                time.sleep(_LAST_WORDS)
                self._terminal.say(str(error).partition("\n")[0], "bad")
                self._terminal.detail(str(error).partition("\n")[2], "quiet")
                return 1
        finally:
            self._stop_asked_at = self._stop_asked_at or time.monotonic()  # from here on signals only hurry
            self._stop()

    def _serve(self, *, stay: bool) -> int:
        place, terminal = self._place, self._terminal
        ended = leftovers.end(place.var, embedded_redis.socket_path(place.var))
        if ended:
            terminal.say(f"An earlier start was killed: ended the {ended} processes that it left", "careful")
        moved = environment.claim_ports()
        if moved:
            terminal.say(moved, "careful")
        start = Start(terminal, place, self._services)
        start.bring_up()
        self._services.settled()
        facts: Json = {"url": place.url, "flower_url": place.flower_url, "flower_auth_given": place.flower_auth_given}
        completed = True
        if place.settings.development:  # production has no demo data
            self._receiver = Receiver(place.var / "receiver.port")
            self._receiver.start()
            facts["receiver"] = self._receiver.url
            completed = self._demo(self._receiver.url)
        start.wait()
        self._instance.publish(facts)
        if not stay:
            return 0 if completed else 1
        terminal.say("Ready")
        demo.links(terminal, place, facts)
        terminal.detail(f"Ctrl-C stops everything. Your data stays in {place.shown(place.var)}/.")
        self._services.failed.wait()
        self._services.check()
        return 1

    def _demo(self, receiver: str) -> bool:
        try:
            return demo.show(self._terminal, self._place, self._place.url, receiver)
        except LauncherError as error:
            self._terminal.say(f"The demo failed: {error}", "bad")
            return False

    def _on_signal(self, _number: int, _frame: Any) -> None:
        now = time.monotonic()
        if self._stop_asked_at is None:
            self._stop_asked_at = now
            raise Stopped
        if now - self._stop_asked_at > _SAME_SIGNAL:
            self._services.hurry()

    def _stop(self) -> None:
        begun = time.monotonic()
        self._services.stop()
        if self._receiver:
            self._receiver.stop()
        leftovers.end(self._place.var, embedded_redis.socket_path(self._place.var))
        self._terminal.say(f"Stopped everything in {time.monotonic() - begun:.1f} s")


def join_running(terminal: Terminal, place: Installation, instance: Instance, *, stay: bool) -> int:
    """Join the launcher that runs already: show its addresses.

    For ``demo`` the demo runs there.
    """
    give_up = time.monotonic() + _FIRST_COMES_UP
    facts = instance.facts()
    terminal.say(f"Tocsin is already running (process {facts.get('pid', 'unknown')})")
    while "url" not in facts:
        if time.monotonic() > give_up:
            terminal.say("It is still starting; see its terminal", "bad")
            return 1
        time.sleep(0.2)
        facts = instance.facts()
    completed = True
    if not stay and "receiver" in facts:
        completed = demo.show(terminal, place, facts["url"], facts["receiver"])
    demo.links(terminal, place, facts)
    return 0 if completed else 1


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m launcher", description="Start everything and show the demo.")
    parser.add_argument("command", choices=["run", "demo"], help="run serves until Ctrl-C, demo stops by itself")
    parser.add_argument("--since", type=float, help=argparse.SUPPRESS)  # time.monotonic() at which make began
    wanted = parser.parse_args(arguments)
    terminal = Terminal(wanted.since)
    stay = wanted.command == "run"
    try:
        place = environment.load()
        instance = Instance(place.var)
        if not instance.take():
            return join_running(terminal, place, instance, stay=stay)
        try:
            return Launcher(terminal, place, instance).run(stay=stay)
        finally:
            instance.release()
    except (LauncherError, EnvError) as error:
        terminal.say(str(error), "bad")
        return 1
    except (KeyboardInterrupt, Stopped):
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
