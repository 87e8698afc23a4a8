"""The shapes of the bodies of ``/api/bundles``."""

from marshmallow import ValidationError, fields, validate

from api.http import schemas as http_schemas
from api.http.base_schema import Answer
from api.http.schemas import Strict, described, moment, number, text, without_nul
from playbooks.definitions.parameter_values import MAX_SECRET_CHARACTERS


def _flag(words: str, *, default: bool) -> fields.Boolean:
    """A flag of a query."""
    return fields.Boolean(load_default=default, truthy={"true"}, falsy={"false"}, metadata=described(words))


class BundleUpload(Strict):
    """The query of a push."""

    dry_run = _flag("Check, and answer what would change; store nothing.", default=False)
    activate = _flag("Make it the active version at once.", default=True)
    force = _flag("Delete actions that it lacks though playbooks use them.", default=False)


class BundleActivation(Strict):
    """The version to activate."""

    version = fields.String(
        required=True,
        validate=[validate.Length(1, 64), without_nul()],
        metadata=described("A stored version, newer or older than the active one."),
    )
    force = http_schemas.Flag(
        load_default=False, metadata=described("Delete actions that it lacks though playbooks use them.")
    )


class BundleDeletion(Strict):
    """The query of a deletion."""

    force = _flag("Delete its actions though playbooks use them.", default=False)


def _encodable(value: str) -> None:
    """Raise ValidationError for a text that no header can carry."""
    if any(ord(char) < ord(" ") and char not in "\t\n\r" for char in value):
        raise ValidationError("Must not hold control characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValidationError("Must be text that UTF-8 can write.") from None


class BundleNewSecret(Strict):
    """The value of a secret."""

    value = fields.String(
        required=True,
        validate=[validate.Length(1, MAX_SECRET_CHARACTERS), _encodable],
        metadata=described("It is sealed, and never shown again.", writeOnly=True),
    )


class BundleSecret(Answer):
    """A secret that a version lists."""

    name = text("Its name.")
    description = text("What it is for.")
    reveal = fields.Boolean(metadata=described("Whether the code sees the value, and not a placeholder."))
    is_set = fields.Boolean(metadata=described("Whether it has a value."))
    updated_at = moment("When it was given.", null=True)


class BundleFunction(Answer):
    """A function, which is an action while its version is active."""

    action_id = text("The action.")
    id = text("The function.")
    description = text("The first line of its docstring.", null=True)
    type = text("The type of the action.", null=True)
    parameters = fields.List(fields.Dict(), metadata=described("Its parameters, as an action declares them."))
    output = fields.Dict(allow_none=True, metadata=described("The JSON Schema of its output."))
    file = text("Where it stands.")
    line = number("The line.", null=True)


class BundleVersion(Answer):
    """A version of a bundle."""

    name = text("The bundle.")
    version = text("The version, which never changes.")
    digest = text("SHA-256 of its files' names and contents.")
    active = fields.Boolean(metadata=described("Whether its functions are in the catalogue."))
    description = text("What it is for.")
    python = text("The versions of Python that it runs on; empty for any.")
    hosts = fields.List(fields.String(), metadata=described("The hosts that its code may call."))
    secrets = fields.List(
        fields.Nested(BundleSecret),
        metadata=described("Only of a single version: the secrets that it uses.", sometimes=True),
    )
    functions = fields.List(
        fields.Nested(BundleFunction), metadata=described("Only of a single version: its functions.", sometimes=True)
    )
    bytes = number("The size of the archive.")
    created_at = moment("When it was pushed.")
    created_by = text("Who pushed it.")


class Bundle(Answer):
    """A bundle, with its active version."""

    name = text("Its name.")
    active_version = text("The version whose functions are actions.", null=True)
    created_at = moment("When it was first pushed.")
    updated_at = moment("When it was last changed.")
    active = fields.Nested(BundleVersion, allow_none=True, metadata=described("The active version."))


class BundleSets(Answer):
    """What a set gains and loses."""

    added = fields.List(fields.String(), metadata=described("What is new."))
    removed = fields.List(fields.String(), metadata=described("What is gone."))


class BundleSecretSets(BundleSets):
    """What its secrets gain and lose."""

    revealed = fields.List(fields.String(), metadata=described("Whose value the code sees from now on."))
    without_value = fields.List(fields.String(), metadata=described("Those that have no value yet."))


class BundleActionSets(BundleSets):
    """What its actions gain and lose."""

    changed = fields.List(
        fields.Dict(), metadata=described("Each with its id, the members that differ, and its parameters.")
    )


class BundleChanges(Answer):
    """The difference to the active version; hosts and secrets first."""

    before = text("The active version.", null=True)
    after = text("This version.")
    hosts = fields.Nested(BundleSets, metadata=described("The hosts that its code may call."))
    secrets = fields.Nested(BundleSecretSets, metadata=described("The secrets that it uses."))
    actions = fields.Nested(BundleActionSets, metadata=described("Its actions."))
    same_content = fields.Boolean(metadata=described("Whether all files are those of the active version."))


class BundlePushed(BundleVersion):
    """What became of an upload."""

    changes = fields.Nested(BundleChanges, metadata=described("The difference to the version that was active."))
