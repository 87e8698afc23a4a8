"""docs/custom-actions.md says the truth: its examples run, and the example bundle passes its own tests."""

import doctest
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tocsin.actions.bundles import archive
from tocsin.actions.bundles.manifest import MOST_HOSTS, MOST_SECRETS, parse

from config.error_codes import bundles
from providers.bundled import reading, requests
from tests.support.processes import ROOT, clean_environment

PAGE = (ROOT / "docs/custom-actions.md").read_text()
#: (language, text) of each fenced block, in order
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_do_what_the_page_shows(tmp_path: Path) -> None:
    """Each block of code loads, and each session that follows prints what stands there."""
    for number, source in enumerate(text for language, text in BLOCKS if language == "python"):
        (tmp_path / f"example_{number}.py").write_text(source)
    names: dict[str, Any] = {"folder": tmp_path, "examples": ROOT / "examples/bundles"}
    parser, runner, shown = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False), 0
    for language, text in BLOCKS:
        if language == "pycon":
            session = parser.get_doctest(text, names, "docs/custom-actions.md", None, 0)
            runner.run(session, clear_globs=False)
            names.update(session.globs)
            shown += len(session.examples)
    assert shown > 6
    assert runner.summarize(verbose=False).failed == 0


def test_the_manifest_on_the_page_is_one() -> None:
    """Every block of TOML is a bundle.toml without faults."""
    blocks = [text for language, text in BLOCKS if language == "toml"]
    assert blocks
    for text in blocks:
        manifest, faults = parse(text.encode())
        assert (manifest is not None, faults) == (True, [])


def test_limits_and_codes_are_those_of_the_code() -> None:
    """The page has the numbers of the code, and explains each code that only bundles have."""
    for words in (
        f"{archive.MOST_PACKED >> 20} MiB; {archive.MOST_FILES} files of {archive.MOST_UNPACKED >> 20} MiB together",
        f"| {reading.MOST_FUNCTIONS}, {MOST_HOSTS}, {MOST_SECRETS} |",
        f"{reading.IMPORT_SECONDS:g} seconds",
        f"{requests.MOST_CALLS:,} an attempt",
    ):
        assert words in PAGE, words
    for row in bundles.ROWS:
        assert f"`{row.code}`" in PAGE or row.code == "version_active"


def test_the_example_bundle_passes_its_tests() -> None:
    """Its recordings are enough: nothing is called."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tocsin.actions.pytest_plugin", "-p", "no:cacheprovider"]
    environment = clean_environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHONDONTWRITEBYTECODE="1")
    folder = ROOT / "examples/bundles/acme-firewall"
    words = [*command, "-c", "/dev/null", "--rootdir", str(folder), str(folder / "tests")]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
