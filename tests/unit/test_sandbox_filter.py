"""The sandbox's filter answers as meant on both machines: its program is run step by step, as the kernel does."""

import errno
import platform
import struct

import pytest

from providers.base import ProviderError
from providers.sandbox import system_calls

ALLOW, KILL = 0x7FFF0000, 0x80000000
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    "x86_64": {"read": 0, "socket": 41, "mmap": 9, "clone": 56, "setsockopt": 54, "fcntl": 72, "mount": 165},
    "aarch64": {"read": 63, "socket": 198, "mmap": 222, "clone": 220, "setsockopt": 208, "fcntl": 25, "mount": 40},
}


def answer(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the program answers to a call."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", program))
    at = held = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            held = struct.unpack_from("<I", data, value)[0]
        elif code == 0x54:
            held &= value
        else:
            holds = {0x15: held == value, 0x25: held > value, 0x35: held >= value, 0x45: held & value}[code]
            at += yes if holds else no


@pytest.fixture(params=["x86_64", "aarch64"])
def call(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Ask the filter of a machine about a call by name or number."""
    monkeypatch.setattr(platform, "machine", lambda: request.param)
    program = system_calls.program()
    machine, numbers = ARCHITECTURE[request.param], NUMBERS[request.param]
    return lambda name, *arguments: answer(program, machine, numbers.get(name, name), *arguments)


def refused(error: int) -> int:
    """The answer that makes a call fail."""
    return 0x00050000 | error


def test_calls_are_allowed_by_list_and_arguments(call) -> None:
    """Listed calls pass, others fail; families, protocols, flags and options decide where they matter."""
    assert call("read") == ALLOW
    assert call("mount") == refused(errno.EPERM)
    assert call(435) == call(467) == call(100_000) == call(0x4000_0000) == refused(errno.ENOSYS)
    assert {family for family in range(46) if call("socket", family, 1, 0) == ALLOW} == {1, 2, 10}
    assert call("socket", 40, 1, 0) == refused(errno.EAFNOSUPPORT)
    assert {protocol for protocol in range(300) if call("socket", 2, 1, protocol) == ALLOW} == {0, 1, 6, 17}
    assert call("mmap", 0, 4096, 3, 0x22) == call("mmap", 0, 4096, 3, 0x01) == ALLOW
    assert call("mmap", 0, 4096, 3, 0x21) == call("mmap", 0, 4096, 3, 0x23) == refused(errno.EPERM)
    assert call("clone", 0x003D0F00) == call("clone", 17) == ALLOW  # a thread, a fork
    assert call("clone", 0x10000011) == refused(errno.EPERM)
    assert {option for option in range(80) if call("setsockopt", 3, 1, option) != ALLOW} == {7, 8, 32, 33, 60, 73}
    assert call("setsockopt", 3, 6, 7) == ALLOW  # of TCP, where 7 is another option
    assert {command for command in range(1000, 1100) if call("fcntl", 3, command) != ALLOW} == {1031}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_calls_in_other_machines_numbers_kill(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that calls as a 32-bit one would pass another list of numbers, so it is ended."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = system_calls.program()
    assert answer(program, 0x40000003, 3) == KILL


def test_an_unknown_machine_runs_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the numbers are not known scripts are refused: a wrong filter would allow anything."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ProviderError) as caught:
        system_calls.program()
    assert caught.value.code == "sandbox_unavailable"
    assert "riscv64" in caught.value.message
