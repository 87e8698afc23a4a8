"""The codes about bundles of custom actions, and about the calls of their functions."""

from config.error_codes.entry import ErrorCode, answered, either, ended

ROWS: tuple[ErrorCode, ...] = (
    answered(
        422,
        "invalid_bundle",
        "The bundle has faults.",
        "`faults` names the file and the line of each; `tocsin bundles build` finds them on your machine.",
    ),
    answered(
        409,
        "version_exists",
        "The version of the bundle exists with other content.",
        "A version never changes: give this one a higher version in `bundle.toml`.",
    ),
    answered(409, "version_active", "The version is the active one.", "Activate another version first."),
    answered(
        409,
        "id_taken",
        "The id of a function's action belongs to another action.",
        "Delete that action, or give the function another id.",
    ),
    either(
        503,
        "sandbox_unavailable",
        "Scripts cannot be isolated on this machine.",
        "The operator installs bubblewrap: docs/operations.md.",
    ),
    ended(
        "bundle_missing",
        "The bundle is gone, or its bytes are not what their digest says.",
        "Trigger it again: an execution keeps the version with which it began. If that fails, push the bundle again.",
    ),
    ended("host_not_listed", "The bundle does not list the host.", "Add it to `hosts` in `bundle.toml`, and push."),
    ended(
        "secret_missing",
        "A secret of the bundle has no value.",
        "`PUT /api/bundles/{name}/secrets/{secret}` sets it.",
    ),
    ended(
        "secret_misplaced",
        "A secret stands where it cannot be filled in.",
        "Put it into a header, the authentication, the query or a text of a JSON body.",
    ),
    ended("too_many_calls", "The function made too many calls.", "Make fewer calls, or split the action."),
    ended(
        "bad_request", "The function asked for a call that cannot be made.", "The message says what is wrong with it."
    ),
    ended("bad_answer", "What the receiver answered is not JSON.", "Look at the receiver, or read the answer as text."),
)
