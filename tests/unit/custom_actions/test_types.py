"""The types of a function: what they are in JSON, which values they take, and what a function receives."""

import dataclasses
import datetime as dt
import enum
import ipaddress
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union

import pytest
from jsonschema import Draft202012Validator
from tocsin.actions import ActionError, Context, Length, Pattern, Range, Secret, action, invoke
from tocsin.actions.calls import TYPES
from tocsin.actions.signatures import MARK

from playbooks.definitions import actions as definitions
from playbooks.definitions import parameters

HERE = Context("exec-1", "web-01", "exec-1")


class Verdict(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@dataclasses.dataclass
class Port:
    number: Annotated[int, Range(1, 65535)]
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclasses.dataclass
class Rule:
    source: ipaddress.IPv4Address
    ports: list[Port]
    until: Optional[dt.datetime] = None


class Note(TypedDict):
    text: str
    author: NotRequired[str]


class Looping(TypedDict):
    inner: list["Looping"]


def handler_of(hint: Any, given: Any = None) -> Any:
    """A function with one parameter of this type, which returns what it received."""

    def function(value):
        return {"type": type(value).__name__, "text": str(value)}

    function.__annotations__ = {"value": hint}
    return getattr(action()(function), MARK)


def received(hint: Any, value: Any) -> Any:
    """What a function with a parameter of this type receives."""
    kept = []

    def function(value):
        kept.append(value)

    function.__annotations__ = {"value": hint}
    invoke(getattr(action()(function), MARK), {"value": value}, HERE)
    return kept[0]


def refused(hint: Any, value: Any) -> str:
    """Why a function with a parameter of this type is not called."""
    with pytest.raises(ActionError) as caught:
        received(hint, value)
    assert caught.value.code == "bad_parameters"
    return caught.value.message


ADDRESS = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
FITTING = [
    (list[str], ["a"], ["a"]),
    (list[Literal["a", "b"]], ["b"], ["b"]),
    (list[Verdict], ["bad"], [Verdict.BAD]),
    (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
    (list[Any], [1, "a"], [1, "a"]),
    (list[bytes], ["as before"], ["as before"]),
    (float, 1, 1),
    (ipaddress.IPv4Address, "203.0.113.7", ipaddress.IPv4Address("203.0.113.7")),
    (ADDRESS, "2001:db8::1", ipaddress.IPv6Address("2001:db8::1")),
    (Optional[ADDRESS], "203.0.113.7", ipaddress.IPv4Address("203.0.113.7")),
    (ipaddress.IPv4Network, "192.0.2.0/24", ipaddress.IPv4Network("192.0.2.0/24")),
    (dt.datetime, "2026-03-01T12:00:00Z", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
    (
        dt.datetime,
        "2026-03-01T12:00:00.25+02:00",
        dt.datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    ),
    (Port, {"number": 22}, Port(22)),
    (
        Rule,
        {"source": "192.0.2.1", "ports": [{"number": 53, "protocol": "udp"}], "until": None},
        Rule(ipaddress.IPv4Address("192.0.2.1"), [Port(53, "udp")]),
    ),
    (Note, {"text": "seen"}, {"text": "seen"}),
    (Annotated[str, Pattern("[a-z]+"), Length(1, 3)], "abc", "abc"),
    (Annotated[list[Annotated[int, Range(0)]], Length(most=2)], [0, 9], [0, 9]),
]


@pytest.mark.parametrize(("hint", "value", "becomes"), FITTING)
def test_a_function_receives_values_of_its_types(hint: Any, value: Any, becomes: Any) -> None:
    """A value of JSON arrives as a value of the annotated type, nested ones too."""
    assert received(hint, value) == becomes


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (list[str], ["a", 1], "value[1]: expected string, got int"),
        (list[bool], [1], "value[0]: expected boolean, got int"),
        (list[Literal["a"]], ["b"], "value[0]: expected one of ['a']"),
        (Literal[1], True, "value: expected one of [1]"),
        (dict[str, int], {"a": "1"}, "value.a: expected integer, got str"),
        (ipaddress.IPv4Address, "2001:db8::1", "value: expected an IPv4 address"),
        (ADDRESS, "web-01", "value: expected text of the format ipv4 or ipv6"),
        (dt.datetime, "2026-03-01T12:00:00", "value: expected a time with its zone"),
        (dt.datetime, "2026-02-30T12:00:00Z", "value: expected a time with its zone"),
        (dt.datetime, 5, "value: expected string, got int"),
        (Port, {}, "value: needs number"),
        (Port, {"number": 22, "prot": "udp"}, "value: has no member prot"),
        (Rule, {"source": "192.0.2.1", "ports": [{"number": 0}]}, "value.ports[0].number: must be at least 1"),
        (Note, {"author": "ada"}, "value: needs text"),
        (Note, [], "value: expected object, got list"),
        (Annotated[int, Range(1, 720)], 721, "value: must be at most 720"),
        (Annotated[float, Range(0.5)], 0, "value: must be at least 0.5"),
        (Annotated[str, Length(2)], "a", "value: must have at least 2 characters"),
        (Annotated[list[str], Length(most=1)], ["a", "b"], "value: must have at most 1 items"),
        (Annotated[str, Pattern("[a-z]+")], "a1", "value: must match the pattern [a-z]+"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_at_its_place(hint: Any, value: Any, says: str) -> None:
    """The message names the place inside the value and what was expected, and never repeats the value."""
    assert says in refused(hint, value)


@pytest.mark.parametrize(
    ("hint", "says"),
    [
        (bytes, "value has a type that JSON does not have"),
        (tuple[int, str], "a type that JSON does not have"),
        (Looping, "a type that holds itself: Looping"),
        (Annotated[str, Range(1)], "Range, which bounds no values of the type string"),
        (Annotated[int, Pattern("a")], "Pattern, which bounds no values of the type integer"),
        (dataclasses.make_dataclass("Odd", [("raw", bytes)]), "Odd.raw has a type that JSON does not have"),
    ],
)
def test_a_type_that_json_lacks_is_refused_where_it_is_written(hint: Any, says: str) -> None:
    """Marking the function raises TypeError with the parameter and the reason."""
    with pytest.raises(TypeError, match=says):
        handler_of(hint)


def test_a_pattern_must_be_one() -> None:
    """A text that is no regular expression is refused where it is written."""
    with pytest.raises(ValueError, match="no regular expression"):
        Pattern("(")


@pytest.mark.parametrize(("hint", "value", "_becomes"), FITTING)
def test_the_catalogue_takes_every_schema(hint: Any, value: Any, _becomes: Any) -> None:
    """The server accepts each declared parameter, and the value; the JSON Schema in it is valid and takes the value."""
    [declared] = handler_of(hint).parameters
    assert parameters.check_definitions([declared]) == []
    stored = parameters.normalise([declared])
    assert parameters.resolve(stored, {"value": value})[1] == []
    if "schema" in declared:
        assert stored[0]["schema"] == declared["schema"]
        Draft202012Validator.check_schema(declared["schema"])
        without_none = {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value
        Draft202012Validator(declared["schema"]).validate(without_none)


def test_bounds_are_rules_of_the_declared_parameter() -> None:
    """Range, Length and Pattern become the validation that the server checks before a worker is asked."""

    @action
    def tag(
        ports: Annotated[list[int], Length(1, 3)],
        hours: Annotated[int, Range(1, 720), "how long"] = 24,
        host: Annotated[Optional[str], Pattern("[a-z]+"), Length(most=63)] = None,
    ) -> None: ...

    by_name = {one["name"]: one for one in getattr(tag, MARK).parameters}
    assert by_name["ports"]["validation"] == {"min_length": 1, "max_length": 3}
    assert by_name["hours"] == {
        "name": "hours",
        "type": "integer",
        "required": False,
        "default": 24,
        "description": "how long",
        "validation": {"min": 1, "max": 720},
    }
    assert by_name["host"]["validation"] == {"pattern": "[a-z]+", "max_length": 63}


def test_a_secret_stays_one_inside_optional() -> None:
    """``Annotated[str, Secret]`` is secret wherever Optional stands, and however it is written."""
    for hint in (
        Annotated[str, Secret],
        Annotated[str, Secret()],
        Optional[Annotated[str, Secret]],
        Annotated[Optional[str], Secret],
    ):
        assert handler_of(hint).parameters[0]["type"] == "secret"


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (None, None),
        (Any, None),
        (bytes, None),
        (dict, {"type": "object"}),
        (str, {"type": "object", "properties": {"result": {"type": "string"}}, "required": ["result"]}),
        (
            Note,
            {
                "type": "object",
                "properties": {"text": {"type": "string"}, "author": {"type": "string"}},
                "required": ["text"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_the_return_type_is_the_schema_of_the_output(hint: Any, schema: Any) -> None:
    """An object has its members, any other value stands under result; a type that says nothing has no schema."""

    def function():
        return None

    function.__annotations__ = {"return": hint}
    assert getattr(action()(function), MARK).output == schema


def test_what_a_function_returns_may_have_its_types() -> None:
    """Dataclasses, enums, times and addresses in what a function returns become JSON."""

    @action
    def answer() -> dict:
        at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
        return {"rule": Rule(ipaddress.IPv4Address("192.0.2.1"), [Port(22)], at), "verdict": Verdict.BAD}

    assert invoke(getattr(answer, MARK), {}, HERE) == {
        "rule": {
            "source": "192.0.2.1",
            "ports": [{"number": 22, "protocol": "tcp"}],
            "until": "2026-03-01T00:00:00+00:00",
        },
        "verdict": "bad",
    }


def test_the_author_says_what_the_action_is() -> None:
    """The decorator keeps what the catalogue is told; the function stays callable as it is."""

    @action("quarantine-host", type="containment", timeout=30, retry=3, idempotent=False, tags=["network"])
    def quarantine(host: str) -> dict:
        """Move a host into the quarantine network."""
        return {"host": host}

    handler = getattr(quarantine, MARK)
    assert quarantine("web-01") == {"host": "web-01"}
    assert (handler.name, handler.description) == ("quarantine-host", "Move a host into the quarantine network.")
    assert handler.wishes == {
        "type": "containment",
        "timeout_seconds": 30,
        "retry": {"max_attempts": 3},
        "idempotent": False,
        "tags": ["network"],
    }


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"type": "firewall"}, "type is one of"),
        ({"timeout": 0}, "timeout is a whole number"),
        ({"timeout": 86_401}, "timeout is a whole number"),
        ({"retry": 11}, "retry is a number of attempts"),
        ({"tags": "network"}, "tags is a list"),
    ],
)
def test_a_setting_that_the_catalogue_does_not_take(settings: dict, says: str) -> None:
    """A wrong setting is refused where it is written."""
    with pytest.raises((TypeError, ValueError), match=says):
        action(**settings)


def test_types_and_bounds_are_those_of_the_catalogue() -> None:
    """What the decorator takes is what the server takes."""
    assert TYPES == definitions.TYPES
    action(timeout=definitions.MAX_TIMEOUT_SECONDS, retry=definitions.MAX_ATTEMPTS)
    for beyond in ({"timeout": definitions.MAX_TIMEOUT_SECONDS + 1}, {"retry": definitions.MAX_ATTEMPTS + 1}):
        with pytest.raises(ValueError, match=r"whole number|number of attempts"):
            action(**beyond)
