"""What importing costs: told by the names of what is loaded, not by a clock."""

import subprocess
import sys
from pathlib import Path

SDK = Path(__file__).parents[1]


def loaded(code: str) -> set:
    """The modules that a fresh Python has loaded after some code."""
    code = f"import sys; sys.path.insert(0, {str(SDK)!r})\n{code}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_neither_httpx_nor_asyncio():
    """``import tocsin`` costs next to nothing, so that scripts and completion stay quick."""
    found = loaded("import tocsin")
    assert "tocsin" in found
    assert found.isdisjoint({"httpx", "asyncio", "ssl", "tocsin.models", "tocsin.errors"})


def test_errors_models_and_webhooks_need_no_httpx():
    """Code that only catches errors, reads answers or checks webhooks loads no HTTP client."""
    found = loaded("import tocsin; tocsin.errors.NotFound; tocsin.models.Run; tocsin.webhooks.verify")
    assert found.isdisjoint({"httpx", "asyncio"})


def test_resources_are_loaded_when_they_are_used():
    """A client loads the resources that it is asked for."""
    found = loaded("import tocsin; tocsin.Client('http://127.0.0.1:1', 'k').runs")
    assert "tocsin._sync.resources.runs" in found
    assert "tocsin._sync.resources.audit" not in found
    assert "tocsin._async.client" not in found


def test_the_command_says_how_to_get_it():
    """Without its extra, the command prints one line that says what to install."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['click'] = None"
    code += "; from tocsin._command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, str(SDK)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "The command line takes a few packages more than the client: pip install 'tocsin[cli]'\n"
