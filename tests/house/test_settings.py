"""Settings, docs/settings.md and .env.example have the same variables, groups and defaults."""

import itertools
import os
import re
from pathlib import Path

import pytest

from config import settings
from config.embeddings import Embeddings

ROOT = Path(__file__).parents[2]
CODE = (ROOT / "config/settings.py").read_text()
PAGE = (ROOT / "docs/settings.md").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()

#: what gunicorn and the Procfile read stands in a group of its own, behind those of the code
OTHERS = ("Read by other programs", ["WEB_CONCURRENCY", "TOCSIN_FLOWER_PORT", "TOCSIN_FLOWER_AUTH"])
#: what the page says in words of a setting that has no value until it is given, or finds one by itself
WORDS = {"none", "empty", "found"}
#: settings whose defaults the page describes
DESCRIBED = {
    "TOCSIN_BROKER_URL": ("the Redis above", ""),
    "TOCSIN_CACAO_IDENTITY": ("Tocsin's own", settings.TOCSIN_IDENTITY),
    "TOCSIN_SECRET_KEY": ("none (required in production)", ""),
    "TOCSIN_FLOWER_AUTH": ("none (required for Flower)", ""),
}


def _groups(text: str, heading: str, name: str) -> list[tuple[str, list[str]]]:
    """Each heading with the names that stand below it."""
    pieces = re.split(heading, text, flags=re.MULTILINE)[1:]
    return [
        (title, re.findall(name, below, re.MULTILINE)) for title, below in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def _of_the_code() -> list[tuple[str, list[str]]]:
    declared = CODE[CODE.index("class Settings:") : CODE.index("    @property")]
    groups = _groups(declared, r"^    # (\w.*)$", r"^    (\w+): ")
    # one field, two variables: a key, or several
    return [
        (title, [name for field in names for name in _VARIABLES.get(field, [f"TOCSIN_{field.upper()}"])])
        for title, names in groups
    ]


_VARIABLES = {"secret_keys": ["TOCSIN_SECRET_KEY", "TOCSIN_SECRET_KEYS"]}
#: the names that every program with spans has
_ENDPOINTS = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
_VARIABLES["embeddings"] = [f"TOCSIN_EMBEDDINGS_{field.upper()}" for field in Embeddings.__dataclass_fields__]
_VARIABLES["spans_endpoint"] = [*_ENDPOINTS, "OTEL_SDK_DISABLED"]


def _documented() -> dict[str, str]:
    """Variable → what the page says of its default."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))


def _exemplified() -> dict[str, str]:
    """Variable → its value in .env.example."""
    return dict(re.findall(r"^#(\w+)=(.*)$", EXAMPLE, re.MULTILINE))


def test_the_page_has_the_settings_of_the_code():
    """The page has exactly the settings, in the same groups and order."""
    assert _groups(PAGE, r"^## (.+)$", r"^\| `(\w+)` \|") == [*_of_the_code(), OTHERS]


def test_the_example_has_the_settings_of_the_page():
    """.env.example has every variable, in the same groups and order."""
    assert _groups(EXAMPLE, r"^## (.+)$", r"^#(\w+)=") == _groups(PAGE, r"^## (.+)$", r"^\| `(\w+)` \|")


def test_every_setting_has_its_comment():
    """Above each field stands one comment that says what it decides."""
    declared = CODE[CODE.index("class Settings:") : CODE.index("    @property")].splitlines()
    assert not [
        line
        for before, line in itertools.pairwise(declared)
        if re.match(r"    \w+: ", line) and not before.startswith("    #: ")
    ]


def test_settings_are_read_in_the_order_of_their_groups():
    """``load`` names the fields in the order of the class."""
    read = re.findall(r"^        (\w+)=", CODE[CODE.index("    return Settings(") :], re.MULTILINE)
    assert read == list(settings.Settings.__dataclass_fields__)


def test_the_page_says_the_defaults_of_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What an empty environment gives is what the page calls the default."""
    loaded = _loaded_without_environment(monkeypatch, tmp_path)
    folders = {"<var>": str(loaded.var_dir), "<config>": str(loaded.config_dir)}
    values = vars(loaded) | {f"embeddings_{field}": value for field, value in vars(loaded.embeddings).items()}
    wrong = {}
    for name, said in _documented().items():
        field = name.removeprefix("TOCSIN_").lower()
        if name in DESCRIBED:
            assert said == DESCRIBED[name][0]
        elif field in values and field != "secret_keys":
            value = values[field]
            literal = re.fullmatch("`(.*)`", said)
            text = literal[1] if literal else said
            for word, folder in folders.items():
                text = text.replace(word, folder)
            text = str(Path(text).absolute()) if isinstance(value, Path) else text
            same = text == _written(value) if literal else said in WORDS and not value
            wrong |= {} if same else {name: (said, value)}
    assert not wrong
    assert loaded.cacao_identity == settings.TOCSIN_IDENTITY
    assert loaded.broker_url == loaded.redis_url


def _loaded_without_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> settings.Settings:
    for name in {*_documented(), *_exemplified()}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOCSIN_SECRET_KEY", "k7Qz4mW1x9Rt2vB6nL8pD3sF5gH0jYcA")
    monkeypatch.chdir(folder)
    return settings.load()


def _written(value: object) -> str:
    """A value as an environment variable."""
    if isinstance(value, tuple) and value and isinstance(value[0], Path):
        return os.pathsep.join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_example_shows_the_defaults():
    """.env.example has the page's defaults, empty where the page describes one."""
    wrong = {}
    for name, shown in _exemplified().items():
        said = _documented()[name]
        literal = re.fullmatch("`(.*)`", said)
        default = literal[1].replace("<config>", "<var>/config").replace("<var>", "var") if literal else ""
        if shown != (DESCRIBED[name][1] if name in DESCRIBED else default):
            wrong[name] = (shown, said)
    assert not wrong
