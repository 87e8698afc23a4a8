"""The operator's Python functions: how they are found, described and called."""

import enum
import logging
import threading
from pathlib import Path
from typing import Annotated, Literal

import pytest
from tocsin.actions.signatures import MARK, Handler

from providers.base import ProviderError
from providers.functions import Context, Retry, Secret, action, invoke, load
from providers.sandbox.capture import LINE_BYTES, LINES, LineLog, capture, shorten

EXAMPLES = Path(__file__).parents[2] / "examples" / "actions"
TEXTS = {"type": "array", "items": {"type": "string"}}
HEAD = "from providers.functions import action\n"


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@action()
def everything(  # noqa: PLR0917 - one parameter of each type
    text: str,
    count: int = 3,
    ratio: float = 0.5,
    on: bool = True,
    level: Level = Level.LOW,
    mode: Literal["fast", "slow"] = "fast",
    items: list[str] | None = None,
    extra: Annotated[dict[str, int], "numbers by name"] = {},  # noqa: B006
    token: Annotated[str, Secret] = "",
    *,
    context: Context,
) -> dict:
    """Show everything.

    And more.
    """
    return {"level": level.name, "items": items, "target": context.target, "token_length": len(token)}


HANDLER = getattr(everything, MARK)


def context(log: list | None = None) -> Context:
    lines = [] if log is None else log
    return Context("exe-1", "10.0.0.9", "key-1", lambda level, line: lines.append((level, line)))


def returning(value: object) -> Handler:
    @action("given")
    def function() -> object:
        if isinstance(value, BaseException):
            raise value
        return value

    return getattr(function, MARK)


def test_types_become_the_parameter_schema() -> None:
    """Each annotation has its type in the schema; the context is not a parameter; the docstring describes."""
    assert (HANDLER.name, HANDLER.description) == ("everything", "Show everything.")
    assert HANDLER.parameters == [
        {"name": "text", "type": "string", "required": True},
        {"name": "count", "type": "integer", "required": False, "default": 3},
        {"name": "ratio", "type": "number", "required": False, "default": 0.5},
        {"name": "on", "type": "boolean", "required": False, "default": True},
        {"name": "level", "type": "enum", "required": False, "options": ["low", "high"], "default": "low"},
        {"name": "mode", "type": "enum", "required": False, "options": ["fast", "slow"], "default": "fast"},
        {"name": "items", "type": "array", "required": False, "schema": TEXTS},
        {
            "name": "extra",
            "type": "object",
            "required": False,
            "default": {},
            "description": "numbers by name",
            "schema": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        {"name": "token", "type": "secret", "required": False, "default": ""},
    ]


def test_a_call_gives_python_values() -> None:
    """An enum arrives as its member, a left-out parameter as its default, the context as an object."""
    output = invoke(HANDLER, {"text": "x", "level": "high", "items": None, "unknown": 1}, context())
    assert output == {"level": "HIGH", "items": None, "target": "10.0.0.9", "token_length": 0}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs the parameter text"),
        ({"text": 5}, "text: expected string, got int"),
        ({"text": "x", "count": True}, "count: expected integer, got bool"),
        ({"text": "x", "level": "middle"}, "level: expected one of"),
        ({"text": "x", "token": ["s3cret"]}, "token: expected string, got list"),
    ],
)
def test_parameters_that_do_not_fit(given: dict, says: str) -> None:
    """A missing or ill-typed parameter is refused before the function is called, and its value is not shown."""
    with pytest.raises(ProviderError, match=says) as caught:
        invoke(HANDLER, given, context())
    assert caught.value.code == "bad_parameters"
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("source", ["def f(x): ...", "def f(*x: str): ...", "def f(x: bytes): ..."])
def test_signatures_that_json_cannot_serve(source: str) -> None:
    """A parameter without a type, or of a type that JSON lacks, is refused where it is written."""
    space: dict = {}
    exec(source, space)
    with pytest.raises(TypeError, match="parameter x"):
        action()(space["f"])


@pytest.mark.parametrize(
    ("returned", "output"), [({"a": (1, 2)}, {"a": [1, 2]}), ("done", {"result": "done"}), (None, {"result": None})]
)
def test_what_a_function_returns_becomes_an_object(returned: object, output: dict) -> None:
    """An object stays as it is; any other JSON value is put under "result"."""
    assert invoke(returning(returned), {}, context()) == output


@pytest.mark.parametrize("returned", [{"a": object()}, float("nan"), {"a": "\ud800"}, ["\0"]])
def test_output_that_is_not_json(returned: object) -> None:
    """What cannot be stored as JSON is an error of the function, not of the database later."""
    with pytest.raises(ProviderError) as caught:
        invoke(returning(returned), {}, context())
    assert caught.value.code == "bad_output"


def test_a_failing_function_says_where() -> None:
    """An exception is not retryable; its type, words and place are kept."""
    log: list = []
    with pytest.raises(ProviderError, match="ValueError: no such rule") as caught:
        invoke(returning(ValueError("no such rule")), {}, context(log))
    assert (caught.value.code, caught.value.retryable) == ("handler_failed", False)
    assert log[0][0] == "ERROR"
    assert log[0][1].startswith("test_functions.py, line ")


def test_a_function_may_ask_to_be_tried_again() -> None:
    """Retry makes the failure retryable after the seconds it names."""
    with pytest.raises(ProviderError, match="busy") as caught:
        invoke(returning(Retry("busy", after=30)), {}, context())
    assert (caught.value.retryable, caught.value.retry_after) == (True, 30)


@pytest.mark.parametrize("code", [0, 3, "no more"])
def test_a_function_that_exits_fails_alone(code: object) -> None:
    """sys.exit() in a function is the function's failure, not the end of the worker that runs it."""
    with pytest.raises(ProviderError, match=f"SystemExit: {code}") as caught:
        invoke(returning(SystemExit(code)), {}, context())
    assert (caught.value.code, caught.value.retryable) == ("handler_failed", False)


def test_the_workers_own_exceptions_pass_through() -> None:
    """The exception by which the worker ends an overlong call is not turned into a failure of the function."""
    limit = type("SoftTimeLimitExceeded", (Exception,), {"__module__": "billiard.exceptions"})
    with pytest.raises(limit):
        invoke(returning(limit()), {}, context())
    with pytest.raises(KeyboardInterrupt):
        invoke(returning(KeyboardInterrupt()), {}, context())


def test_the_folder_is_loaded_whatever_is_broken_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Good files give their functions; a broken one is logged with its line; a second name is left out."""
    (tmp_path / "_shared.py").write_text(HEAD + "def word():\n    return 'shared'\n@action()\ndef hidden(): ...\n")
    (tmp_path / "a.py").write_text(HEAD + "from ._shared import *\n@action('greet')\ndef f():\n    return word()\n")
    (tmp_path / "b.py").write_text(HEAD + "x = 1\ny = 1 / 0\n")
    (tmp_path / "c.py").write_text("def broken(:\n")
    (tmp_path / "d.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "e.py").write_text(HEAD + "@action()\ndef greet():\n    return 'second'\n")
    found = load(tmp_path)
    assert list(found) == ["greet"]
    assert invoke(found["greet"], {}, context()) == {"result": "shared"}
    said = caplog.text
    assert "b.py, line 3: ZeroDivisionError" in said
    assert "c.py, line 1: SyntaxError" in said
    assert "d.py, line 2: SystemExit" in said
    assert "another file has the action greet already" in said


def test_a_file_is_imported_once(tmp_path: Path) -> None:
    """Loading the same folder again gives the same functions; a folder that is not there gives none."""
    (tmp_path / "a.py").write_text(HEAD + "@action()\ndef f(): ...\n")
    assert load(tmp_path)["f"].function is load(tmp_path)["f"].function
    assert load(tmp_path / "absent") == {}


def test_logs_and_prints_are_captured_for_their_own_thread(capsys: pytest.CaptureFixture) -> None:
    """Two executions write at the same time: each has its own lines only."""
    both = threading.Barrier(2, timeout=10)
    kept: dict[str, list] = {"one": [], "two": []}

    def speak(name: str) -> None:
        with capture(lambda level, line: kept[name].append((level, line))):
            both.wait()
            print("printed by", name)
            logging.getLogger("operator").warning("logged by %s", name)
            print("unfinished", end="")
            both.wait()

    threads = [threading.Thread(target=speak, args=(name,)) for name in kept]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("outside")
    for name, lines in kept.items():
        assert lines == [("INFO", f"printed by {name}"), ("WARNING", f"logged by {name}"), ("INFO", "unfinished")]
    assert capsys.readouterr().out == "outside\n"


def test_a_log_that_logs_does_not_run_in_circles() -> None:
    """Keeping a captured line may itself log or print; that is not captured again."""
    kept: list = []

    def keep(level: str, line: str) -> None:
        logging.getLogger("store").warning("kept a line")
        kept.append(line)

    with capture(keep):
        logging.getLogger("operator").warning("hello")
    assert kept == ["hello"]


def test_an_execution_cannot_flood_its_log() -> None:
    """Lines are cut at 2 KB on a character's edge and at 200 lines; the rest is counted."""
    kept: list = []
    log = LineLog(lambda level, line: kept.append((level, line)))
    log("INFO", "\n".join(["é" * 3000, "", "a\0b", *["x"] * LINES]))
    log.close()
    assert len(kept[0][1].encode()) <= LINE_BYTES
    assert kept[0][1].endswith("é […]")
    assert kept[1] == ("INFO", "a\ufffdb")
    assert kept[-1] == ("WARNING", "2 more lines were not kept")
    assert len(kept) == LINES + 1
    assert shorten("\ud800") == "?"


def test_the_examples_work() -> None:
    """The functions that ship as examples load and answer as their descriptions say."""
    found = load(EXAMPLES)
    assert set(found) == {"block_ip", "defang_indicators", "hash_file_indicator", "ip_reputation"}
    first = invoke(found["block_ip"], {"ip": "203.0.113.7"}, context())
    assert first["blocked"] is True
    assert first["rule_id"] == invoke(found["block_ip"], {"ip": "203.0.113.7"}, context())["rule_id"]
    assert first["expires_at"].endswith("+00:00")
    with pytest.raises(ProviderError, match="never blocked"):
        invoke(found["block_ip"], {"ip": "127.0.0.1"}, context())
    bad = invoke(found["ip_reputation"], {"ip": "8.8.8.8", "known_bad": ["8.8.0.0/16"]}, context())
    assert (bad["malicious"], bad["score"]) == (True, 100)
    assert invoke(found["ip_reputation"], {"ip": "10.1.2.3"}, context())["class"] == "private"
    text = "see http://evil.example.com/a or mail a@b.example"
    safe = invoke(found["defang_indicators"], {"text": text}, context())["text"]
    assert safe == "see hxxp://evil[.]example[.]com/a or mail a[@]b[.]example"
    assert invoke(found["defang_indicators"], {"text": safe, "direction": "refang"}, context()) == {"text": text}
    assert invoke(found["hash_file_indicator"], {"value": "AB" * 32}, context())["type"] == "sha256"
