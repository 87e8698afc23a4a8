"""The base class of all schemas of the API, and the words of the faults that they find.

The library's own texts appear in no answer: ``worded`` has ours for each of them, in this one place.
"""

import functools
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import marshmallow
from marshmallow import validate
from webargs.multidictproxy import MultiDictProxy

from expressions.suggestions import did_you_mean, nearest

#: the library's text of an unknown member, which ``handle_error`` replaces
UNKNOWN = "Unknown field."
#: unknown members that get a suggestion, which takes some milliseconds, and characters of a name that are shown
_SUGGESTED, _SHOWN_CHARACTERS = 20, 64
#: values that no handler can change for the next request
_FIXED = (str, int, float, bool, tuple, frozenset, type(None))
#: the library's text → ours
_WORDS = {
    "Missing data for required field.": "is required",
    "Field may not be null.": "must not be null: leave it out instead",
    "Not a valid string.": "must be text",
    "Not a valid integer.": "must be a whole number",
    "Not a valid number.": "must be a number",
    "Special numeric values (nan or infinity) are not permitted.": "must be a finite number",
    "Number too large.": "is too large",
    "Not a valid boolean.": "must be true or false",
    "Not a valid mapping type.": "must be an object",
    "Not a valid list.": "must be a list",
    "Not a valid delimited list.": "must be a list, separated by commas",
    "Invalid input type.": "must be a JSON object",
    "Invalid type.": "must be a JSON object",
    "Not a valid utf-8 string.": "must be text in UTF-8",
    "Not a valid aware datetime.": "needs its time zone, as in 2026-04-28T09:00:00Z",
    "Not a valid datetime.": "must be a time in ISO 8601, such as 2026-04-28T09:00:00Z",
    "Invalid value.": "is not possible here",
    "String does not match expected pattern.": "does not have the form that the documentation shows",
    "Shorter than minimum length 1.": "must not be empty",
}
_RANGE = re.compile(r"Must be greater than or equal to (\S+) and less than or equal to (\S+)\.")
_LENGTH = re.compile(r"Length must be between (\d+) and (\d+)\.")
_LONGER = re.compile(r"Longer than maximum length (\d+)\.")
_CHOICE = re.compile(r"Must be one of: (.*)\.", re.DOTALL)


class Schema(marshmallow.Schema):
    """A schema that never changes once made, and is its own copy.

    flask-smorest copies the documentation of a handler at each of its decorators; the copies of the schemas in there
    were five MiB.
    """

    #: other words for members → the members that they mean
    SYNONYMS: ClassVar[Mapping[str, str]] = {}

    #: members of which a body has only one
    APART: ClassVar[frozenset[str]] = frozenset()

    @functools.cached_property
    def of_nothing(self) -> Mapping[str, Any] | None:
        """What it loads where nothing is given, such as no query: worked out once.

        None where it must be asked each time: something is required, or a default is new each time.
        """
        if any(callable(field.load_default) for field in self.load_fields.values()):
            return None
        try:
            loaded = self.load({})
        except marshmallow.ValidationError:
            return None
        return loaded if all(isinstance(value, _FIXED) for value in loaded.values()) else None

    @functools.cached_property
    def _plain(self) -> Mapping[str, Callable[[Any], bool]]:
        """For each member that can be checked without the library, whether a value is one that it takes as it is.

        Empty for a schema whose members hang together in other ways than ``APART`` says.
        """
        hooks = {name for name, found in self._hooks.items() if found}
        if hooks - ({"validates_schema"} if self.APART else set()) or self.of_defaults is None:
            return {}
        checks = {name: _plain_check(field) for name, field in self.load_fields.items()}
        return {name: check for name, check in checks.items() if check is not None}

    @functools.cached_property
    def of_defaults(self) -> Mapping[str, Any] | None:
        """The default of each member, some of which are to be made each time; None where something is required."""
        found = {name: field.load_default for name, field in self.load_fields.items()}
        return None if any(field.required for field in self.load_fields.values()) else found

    def plainly(self, value: Mapping[str, Any]) -> dict[str, Any] | None:
        """What it loads, where every member is of the plainest kind, as in nearly all bodies; None: ask ``load``.

        It is worked out once for a schema what that is, because the library's way through each member costs more than
        all other work on a body.
        """
        checks, defaults = self._plain, self.of_defaults
        if not checks or defaults is None:
            return None
        for name, given in value.items():
            check = checks.get(name)
            if check is None or not check(given):
                return None
        if len(self.APART & value.keys()) > 1:
            return None
        loaded = {}
        for name, default in defaults.items():
            if name in value:
                loaded[name] = value[name]
            elif default is not marshmallow.missing:
                loaded[name] = default() if callable(default) else default
        return loaded

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def handle_error(self, error: marshmallow.ValidationError, data: Any, **_: Any) -> None:
        """Put the faults into our words; unknown members get a suggestion."""
        if not isinstance(error.messages, dict):
            return
        in_query = isinstance(data, MultiDictProxy)
        unknown = [name for name, found in error.messages.items() if found == [UNKNOWN]]
        for count, name in enumerate(unknown):
            error.messages[name] = [self.no_member(str(name), in_query=in_query, suggest=count < _SUGGESTED)]
        for name in error.messages.keys() - set(unknown):
            given = data.get(name) if isinstance(data, Mapping | MultiDictProxy) else None
            error.messages[name] = _reworded(error.messages[name], given)

    def no_member(self, name: str, *, in_query: bool = False, suggest: bool = True) -> str:
        """The words about a member or filter that there is none of."""
        known = [field.data_key or key for key, field in self.load_fields.items()]
        synonyms = {word: member for word, member in self.SYNONYMS.items() if member in known}
        hint = did_you_mean(name, known, synonyms=synonyms) if suggest else ""
        there = f"there are {', '.join(known)}" if known else "there is none here"
        shown = name[:_SHOWN_CHARACTERS]
        return f"there is no {'filter' if in_query else 'member'} '{shown}'; {there}{hint}"


class Answer(Schema):
    """What an answer shows: each member is always there, unless the metadata of its field say ``sometimes``.

    The document says ``required`` of them, so that clients know what they need not ask for. Answers are not dumped by
    their schemas; tests hold what handlers answer against the document.
    """

    #: the members that are always there, where most depend on something else
    ALWAYS: ClassVar[frozenset[str]] = frozenset()

    def on_bind_field(self, field_name: str, field_obj: marshmallow.fields.Field[Any]) -> None:
        """Require the member."""
        always = field_name in self.ALWAYS if self.ALWAYS else not field_obj.metadata.get("sometimes")
        field_obj.required = always and not field_obj.load_only


def _plain_check(field: marshmallow.fields.Field[Any]) -> Callable[[Any], bool] | None:
    """Whether a value is one that the field takes as it is; None where only the library can tell."""
    if field.data_key is not None or field.attribute is not None or field.dump_only:
        return None
    if type(field) is marshmallow.fields.String and all(type(one) is validate.Length for one in field.validators):
        bounds = [(one.min or 0, one.max, one.equal) for one in field.validators if isinstance(one, validate.Length)]
        if any(equal is not None for _, _, equal in bounds):
            return None
        least = max((low for low, _, _ in bounds), default=0)
        most = min((high for _, high, _ in bounds if high is not None), default=sys.maxsize)
        return lambda value: type(value) is str and least <= len(value) <= most
    if type(field) is marshmallow.fields.Dict and field.value_field is None and not field.validators:
        keys = type(field.key_field) in (type(None), marshmallow.fields.String)
        return (lambda value: type(value) is dict) if keys else None
    if getattr(field, "takes_only_booleans", False) and not field.validators:
        return lambda value: type(value) is bool
    return None


def _reworded(found: Any, given: Any) -> Any:
    if isinstance(found, str):
        return worded(found, given)
    if isinstance(found, list):
        return [_reworded(one, given) for one in found]
    if isinstance(found, dict):
        return {name: _reworded(one, _inner(given, name)) for name, one in found.items()}
    return found


def _inner(given: Any, name: Any) -> Any:
    """The part of a value that a fault is about; lists of a query are texts."""
    if isinstance(given, str) and isinstance(name, int):
        given = given.split(",")
    try:
        return given[name]
    except (TypeError, KeyError, IndexError):
        return None


def worded(text: str, given: Any = None) -> str:
    """Our words for one of the library's texts; any other text unchanged."""
    if text in _WORDS:
        return _WORDS[text]
    if found := _RANGE.fullmatch(text):
        return f"must be from {found[1]} to {found[2]}"
    if found := _LENGTH.fullmatch(text):
        return f"must have {found[1]} to {found[2]} characters or items"
    if found := _LONGER.fullmatch(text):
        return f"must have at most {found[1]} characters or items"
    if found := _CHOICE.fullmatch(text):
        return one_of(given, found[1].split(", "))
    return text


def _longer(given: str, known: Iterable[str]) -> str | None:
    """The choice that is the beginning of a word, or begins with it: administrator, admin."""
    word = given.lower()
    return next((one for one in known if len(word) > 2 and (word.startswith(one) or one.startswith(word))), None)  # noqa: PLR2004


def one_of(given: Any, choices: Iterable[str]) -> str:
    """The words about a value that is none of the choices."""
    known = list(choices)
    near = nearest(given, known) or _longer(given, known) if isinstance(given, str) else None
    shown = f"'{given[:_SHOWN_CHARACTERS]}' " if isinstance(given, str) else ""
    return f"{shown}is none of {', '.join(known)}" + (f"; did you mean '{near}'?" if near else "")
