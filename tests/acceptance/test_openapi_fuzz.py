"""The whole OpenAPI document, walked by an independent tool against the running product."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: NUL is legal in JSON and cannot be stored by PostgreSQL: we refuse it, which a schema cannot say
_CONFIG = "[generation]\nallow-x00 = false\n"


@pytest.mark.wide
@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(stack, tmp_path):
    """No input made from the document, legal or not, is answered with a 5xx, an undocumented status or a wrong body."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    (tmp_path / "schemathesis.toml").write_text(_CONFIG)
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    command = [
        *(tool, "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{stack.url}/api/openapi.json"),
        *("-H", f"Authorization: Bearer {stack.api.key}", "--checks", "all", "--max-examples", "25", "--seed", "7"),
        *("--exclude-operation-id", "revokeKey"),  # it would revoke the key it comes with; the matrix test walks it
    ]
    ran = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False, timeout=500)
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "No issues found" in ran.stdout or "failures" not in ran.stdout.lower().rsplit("summary", 1)[-1]
    assert "returned only 401" not in ran.stdout, ran.stdout[-3000:]
