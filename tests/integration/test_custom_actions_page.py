"""docs/custom-actions.md says the truth: its examples run."""

import doctest
import re
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT

PAGE = (ROOT / "docs/custom-actions.md").read_text()
#: (language, text) of each fenced block, in order
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_do_what_the_page_shows(tmp_path: Path) -> None:
    """Each block of code loads, and each session that follows prints what stands there."""
    for number, source in enumerate(text for language, text in BLOCKS if language == "python"):
        (tmp_path / f"example_{number}.py").write_text(source)
    names: dict[str, Any] = {"folder": tmp_path}
    parser, runner, shown = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False), 0
    for language, text in BLOCKS:
        if language == "pycon":
            session = parser.get_doctest(text, names, "docs/custom-actions.md", None, 0)
            runner.run(session, clear_globs=False)
            names.update(session.globs)
            shown += len(session.examples)
    assert shown > 3
    assert runner.summarize(verbose=False).failed == 0
