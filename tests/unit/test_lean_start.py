"""What only some requests need is no part of every web process."""

import subprocess
import sys

from tests.support.processes import ROOT, clean_environment

#: libraries that a web process imports with the first request that needs them, if one does; of OpenTelemetry the client
#: of Redis imports other parts where they are installed
LATER = {"argon2", "numpy", "opentelemetry.exporter", "pycurl", "smtplib", "tokenizers", "wordllama"}


def test_a_web_process_starts_without_what_few_requests_need() -> None:
    """Passwords, mail and outbound calls bring megabytes of code that most web processes never run."""
    code = f"import sys, api; print(*({LATER!r} & sys.modules.keys()))"
    environment = clean_environment(TOCSIN_ENV="development")
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, cwd=ROOT, env=environment, text=True) == "\n"
