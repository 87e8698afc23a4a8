"""The operator's functions reach a running process: new, changed, unfinished, broken and removed files."""

import contextlib
import itertools
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from providers.functions import Context, invoke
from providers.handlers import snapshot
from providers.handlers.library import EVERY, TOGETHER, Library

HEAD = "from providers.functions import action\n"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float = EVERY) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The library's clock; the file system's says that every file is new, so that the library's decides."""
    monkeypatch.setattr(snapshot, "_age", lambda _state: 0.0)
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def function(name: str, answer: object) -> str:
    return f"{HEAD}@action()\ndef {name}():\n    return {answer!r}\n"


def answers(library: Library) -> dict[str, object]:
    here = Context("exe-1", "", "key-1")
    return {name: invoke(one, {}, here)["result"] for name, one in library.present().handlers.items()}


def settled(library: Library, clock: Clock) -> dict[str, object]:
    """The answers once what has changed counts as finished."""
    clock.later()
    library.present()
    clock.later(snapshot.SETTLES)
    return answers(library)


def test_new_changed_and_removed_files_are_noticed(folder: Path, clock: Clock) -> None:
    """A process sees each without a new start, a change of equal length in the same second too."""
    (folder / "a.py").write_text(function("f", 1))
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": 1}
    (folder / "b.py").write_text(function("g", 1))
    assert settled(library, clock) == {"f": 1, "g": 1}
    (folder / "a.py").write_text(function("f", 2))
    assert settled(library, clock) == {"f": 2, "g": 1}
    (folder / "b.py").unlink()
    assert settled(library, clock) == {"f": 2}
    assert not (folder / "__pycache__").exists()


def test_files_that_others_import_are_noticed_too(folder: Path, clock: Clock) -> None:
    """A change of a helper, or of one in a package below, reaches the functions that use it."""
    (folder / "_shared.py").write_text("WORD = 'one'\n")
    (folder / "below").mkdir()
    (folder / "below" / "__init__.py").write_text("from .deep import *\n")
    (folder / "below" / "deep.py").write_text("NUMBER = 1\n")
    text = "from ._shared import WORD\nfrom .below import NUMBER\n@action()\ndef f():\n    return WORD, NUMBER\n"
    (folder / "a.py").write_text(HEAD + text)
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": ["one", 1]}
    (folder / "_shared.py").write_text("WORD = 'two'\n")
    (folder / "below" / "deep.py").write_text("NUMBER = 2\n")
    assert settled(library, clock) == {"f": ["two", 2]}


def test_a_file_is_not_taken_while_it_may_be_written_to(folder: Path, clock: Clock) -> None:
    """It counts from a second after its last change; until then the version before serves."""
    (folder / "a.py").write_text(function("f", 1))
    library = Library([folder], clock)
    assert answers(library) == {}
    assert settled(library, clock) == {"f": 1}
    half = HEAD + "@action()\ndef f():\n    return 2\n"
    for text in (half, half + function("g", 2)):  # the first half is a valid file, too
        (folder / "a.py").write_text(text)
        clock.later(snapshot.SETTLES / 2)
        assert answers(library) == {"f": 1}
    assert settled(library, clock) == {"f": 2, "g": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who has a file open")
def test_a_file_that_is_open_for_writing_is_not_taken(folder: Path, clock: Clock) -> None:
    """However long its writer pauses, up to a minute, what is there so far is not taken."""
    (folder / "a.py").write_text(function("f", 1))
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": 1}
    with (folder / "a.py").open("w") as writer:
        writer.write(function("f", 2))
        writer.flush()
        clock.later()
        library.present()
        clock.later(snapshot.HELD - 1)
        assert answers(library) == {"f": 1}
    clock.later()
    assert answers(library) == {"f": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who has a file open")
def test_a_file_that_is_never_finished_holds_up_no_other(folder: Path, clock: Clock) -> None:
    """A process that begins leaves it out; one that had a version of it takes the others after some seconds."""
    (folder / "a.py").write_text(function("f", 1))
    (folder / "b.py").write_text(function("g", 1))
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": 1, "g": 1}
    with (folder / "a.py").open("w") as writer:
        writer.write(function("f", 2))
        writer.flush()
        (folder / "b.py").write_text(function("g", 2))
        assert settled(library, clock) == {"f": 1, "g": 1}
        assert settled(Library([folder], clock), clock) == {"g": 2}
        clock.later(TOGETHER)
        assert answers(library) == {"f": 1, "g": 2}
        package = library.present().packages
        clock.later()
        assert library.present().packages is package
    clock.later()
    assert answers(library) == {"f": 2, "g": 2}


def test_a_slow_writer_is_never_met_half_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file is written again and again, every version that is loaded is a whole one."""
    monkeypatch.setattr(snapshot, "SETTLES", 0.02)
    path, library, over = folder / "a.py", Library([folder]), threading.Event()

    def write() -> None:
        for number in range(12):
            with path.open("w") as file:
                file.write(function("first", number))
                file.flush()
                time.sleep(0.04)  # longer than a file has to stay the same
                file.write(function("last", number).removeprefix(HEAD))
            time.sleep(0.06)
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        library._look_at = 0.0
        found = answers(library)
        seen.add((found.get("first"), found.get("last")))
    writer.join()
    assert len(seen) > 3
    assert all(first == last for first, last in seen), seen


def test_a_broken_file_takes_nothing_else_away(folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """It keeps its last good version here, is named with its line, and is forgotten when it is mended."""
    (folder / "a.py").write_text(function("f", 1))
    (folder / "b.py").write_text(function("g", 1))
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": 1, "g": 1}
    (folder / "a.py").write_text(HEAD + "def broken(:\n")
    (folder / "b.py").write_text(function("g", 2))
    assert settled(library, clock) == {"f": 1, "g": 2}
    (fault,) = library.present().faults
    assert (fault.path, fault.line, fault.message.partition(":")[0]) == (folder / "a.py", 2, "SyntaxError")
    assert "a.py, line 2: SyntaxError" in caplog.text
    assert "its last good version stays in use here" in caplog.text
    (folder / "b.py").write_text(function("g", 3))
    assert settled(library, clock) == {"f": 1, "g": 3}
    assert settled(Library([folder], clock), clock) == {"g": 3}  # a process that starts now has none of it
    (folder / "a.py").write_text(function("f", 4))
    assert settled(library, clock) == {"f": 4, "g": 3}
    assert library.present().faults == []


def test_the_last_good_version_of_a_file_still_imports_its_helper(folder: Path, clock: Clock) -> None:
    """When a helper breaks, the functions that use it go on as before, an import inside them too."""
    (folder / "_shared.py").write_text("WORD = 'good'\n")
    (folder / "a.py").write_text(HEAD + "@action()\ndef f():\n    from ._shared import WORD\n    return WORD\n")
    (folder / "b.py").write_text(HEAD + "from ._shared import WORD\n@action()\ndef g():\n    return WORD\n")
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": "good", "g": "good"}
    (folder / "_shared.py").write_text("WORD = \n")
    clock.later()
    library.present()
    clock.later(snapshot.SETTLES)
    found = library.present().handlers
    assert invoke(found["g"], {}, Context("exe-1", "", "key-1")) == {"result": "good"}
    assert [fault.path.name for fault in library.present().faults] == ["b.py"]


def test_loads_leave_no_modules_behind(folder: Path, clock: Clock) -> None:
    """A process that lives for long holds one load, however often files have changed."""
    library = Library([folder], clock)

    def packages() -> set[str]:
        return {name for name in list(sys.modules) if name.startswith("tocsin_actions_")}

    before, finders = packages(), len(sys.meta_path)
    for number in range(20):
        (folder / "a.py").write_text(function("f", number))
        assert settled(library, clock) == {"f": number}
    assert len(packages() - before) == 2
    assert len(sys.meta_path) == finders + 1


def test_a_load_is_replaced_while_other_threads_import(folder: Path, clock: Clock) -> None:
    """The table of modules belongs to all threads: an import elsewhere is no fault of the load."""
    library, over = Library([folder], clock), threading.Event()

    def imports() -> None:
        for number in itertools.cycle(range(100)):
            if over.is_set():
                return
            sys.modules[f"elsewhere_{number}"] = sys
            sys.modules.pop(f"elsewhere_{number - 50}", None)

    other, turn = threading.Thread(target=imports), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        for number in range(20):
            (folder / "a.py").write_text(function("f", number))
            assert settled(library, clock) == {"f": number}
    finally:
        sys.setswitchinterval(turn)
        over.set()
        other.join()
        for number in range(100):
            sys.modules.pop(f"elsewhere_{number}", None)


def test_several_folders_are_one_library(tmp_path: Path, clock: Clock) -> None:
    """The first of a name counts, and a file hides those of the same name in later folders, broken or not."""
    mine, examples = tmp_path / "mine", tmp_path / "examples"
    for place in (mine, examples):
        place.mkdir()
        (place / "block.py").write_text(function("block", place.name))
    (examples / "more.py").write_text(function("more", "examples"))
    library = Library([mine, examples, tmp_path / "absent"], clock)
    assert settled(library, clock) == {"block": "mine", "more": "examples"}
    (mine / "block.py").write_text("1 / 0\n")
    assert settled(Library([mine, examples], clock), clock) == {"more": "examples"}


def test_a_function_that_is_just_being_put_there_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs a function whose file is unfinished waits for it; a name without a file is answered at once."""
    monkeypatch.setattr(snapshot, "SETTLES", 0.3)
    library = Library([folder])
    library.present()  # a moment before: the next look would not be due yet
    (folder / "a.py").write_text(function("f", 1))
    assert library.find("f") is not None
    started = time.monotonic()
    assert library.find("g") is None
    assert library.find(5) is None
    assert time.monotonic() - started < 2


def test_a_file_that_may_not_be_read_is_a_fault_of_its_own(folder: Path, clock: Clock) -> None:
    """The others are loaded, and the fault says why."""
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    (folder / "a.py").write_text(function("f", 1))
    (folder / "b.py").write_text(function("g", 1))
    (folder / "b.py").chmod(0)
    library = Library([folder], clock)
    assert settled(library, clock) == {"f": 1}
    assert "may not read" in library.present().faults[0].message


def test_the_time_limit_of_an_execution_breaks_no_file(folder: Path, clock: Clock) -> None:
    """What a worker raises to end an execution passes through a load, which is made again."""
    limit = type("SoftTimeLimitExceeded", (Exception,), {"__module__": "billiard.exceptions"})
    sys.modules["limit_of_test"] = type("Module", (), {"limit": limit, "due": True})  # type: ignore[assignment]
    try:
        text = "import limit_of_test\nif limit_of_test.due:\n    raise limit_of_test.limit()\n"
        (folder / "a.py").write_text(text + function("f", 1))
        library = Library([folder], clock)
        library.present()
        clock.later(snapshot.SETTLES)
        with contextlib.suppress(limit):
            library.present()
        sys.modules["limit_of_test"].due = False
        clock.later()
        assert answers(library) == {"f": 1}
        assert library.present().faults == []
    finally:
        del sys.modules["limit_of_test"]
