"""``/api/bundles``: bundles of custom actions."""

from typing import Any

from flask import Response, request
from tocsin.actions.bundles.archive import MOST_PACKED, NotAnArchive
from werkzeug.exceptions import UnsupportedMediaType

from api.bundles import examples, schemas, views
from api.http import body, pages
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, View, answer, notes, nothing
from store.bundles import secrets, versions
from store.engine import db
from tasks.bundles import activation, pushing

blueprint = Blueprint("bundles", __name__, tag="bundles")

_WRITE = "write:bundles"
_ACTIVATION, _SECRET = schemas.BundleActivation(), schemas.BundleNewSecret()
_PUSHED = http_schemas.enveloped(schemas.BundlePushed)
_VERSION = http_schemas.enveloped(schemas.BundleVersion)
_ARCHIVE = {"schema": {"type": "string", "format": "binary"}, "example": "the bytes of acme-firewall-1.2.0.zip"}
_ZIP = {"required": True, "content": {"application/zip": _ARCHIVE}}


def _takes_zip(view: View) -> View:
    notes(view, requestBody=_ZIP)
    view.reads_body = True  # type: ignore[attr-defined]
    return view


@blueprint.get("/bundles")
@requires("read:actions")
@blueprint.arguments(pages.PageQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(schemas.Bundle),
    example={"data": [examples.ITEM], "meta": http_examples.META},
    headers=pages.LINK,
    words="One page of bundles, by name.",
)
def list_bundles(query: dict[str, Any]) -> Response:
    """List bundles.

    Each with its active version, without functions and secrets.
    """
    found = pages.read(versions.search, caller().workspace_id, pages.part(query))
    return pages.page([views.bundle(kept, active) for kept, active in found.rows], found, query)


@blueprint.post("/bundles")
@requires(_WRITE)
@blueprint.arguments(schemas.BundleUpload(), location="query")
@_takes_zip
@blueprint.answers(
    201,
    _PUSHED,
    example={"data": examples.PUSHED},
    words="The version is stored.",
    fails=("in_use", "version_exists", "id_taken", "changed", "invalid_bundle", "sandbox_unavailable"),
    takes_body=True,
    headers=LOCATION,
)
@blueprint.also(
    200,
    _PUSHED,
    example={"data": examples.PUSHED},
    words="The version was there already, or it is a dry run.",
)
def push_bundle(query: dict[str, Any]) -> Response:
    """Push a bundle.

    The body is the archive that ``tocsin bundles build`` makes, of at most 8 MiB. Its files are imported in a sandbox
    without network. A version never changes: other content under a known version is 409 ``version_exists``. Faults are
    422 ``invalid_bundle``, each with its file and line. The version becomes the active one unless ``activate`` is
    false; with ``dry_run`` the answer says what would change, hosts and secrets first, and nothing is stored.
    """
    content = body.read_zip(MOST_PACKED)
    try:
        pushed = pushing.push(caller(), content, **query)
    except NotAnArchive as error:
        raise UnsupportedMediaType(f"The body is no zip archive: {error}") from error
    version = pushed.version
    active = version.version if pushed.active else None
    with db.read() as connection:
        valued = secrets.known(connection, caller().workspace_id, version.name)
    shown = {"data": {**views.version(version, active, valued), "changes": pushed.changes}}
    if query["dry_run"] or not pushed.new:
        return answer(shown)
    return answer(shown, 201, {"Location": f"{request.path.rstrip('/')}/{version.name}"})


@blueprint.get("/bundles/<id:bundle_name>")
@requires("read:actions")
@blueprint.answers(
    200, http_schemas.enveloped(schemas.Bundle), example={"data": examples.BUNDLE}, words="The bundle.", fails=(404,)
)
def get_bundle(bundle_name: str) -> Response:
    """Get a bundle.

    With the functions of its active version, and which secrets have a value. No answer has a value.
    """
    with db.read() as connection:
        kept = versions.get(connection, caller().workspace_id, bundle_name)
        found = [] if kept.active is None else [kept.active]
        active = [versions.find_version(connection, caller().workspace_id, bundle_name, one) for one in found]
        valued = secrets.known(connection, caller().workspace_id, bundle_name)
    return answer({"data": views.bundle(kept, active[0] if active else None, valued)})


@blueprint.delete("/bundles/<id:bundle_name>")
@requires(_WRITE)
@blueprint.arguments(schemas.BundleDeletion(), location="query")
@blueprint.answers(204, words="It is gone.", fails=(404, "in_use"))
def delete_bundle(query: dict[str, Any], bundle_name: str) -> Response:
    """Delete a bundle.

    With its versions, actions and secrets. Executions that have not begun yet fail with ``bundle_missing``. A bundle
    whose actions playbooks use stays (409 ``in_use``) unless ``force`` is true.
    """
    activation.delete(caller(), bundle_name, **query)
    return nothing()


@blueprint.post("/bundles/<id:bundle_name>/activate")
@requires(_WRITE)
@blueprint.arguments(_ACTIVATION, example={"version": "1.1.0"})
@blueprint.answers(
    200,
    _VERSION,
    example={"data": examples.VERSION},
    words="The version is active.",
    fails=(404, "in_use", "id_taken", "changed"),
    takes_body=True,
)
def activate_bundle(given: dict[str, Any], bundle_name: str) -> Response:
    """Activate a version.

    Forward or back. Its functions become the actions of the bundle, in one transaction; those that it lacks are
    deleted. Runs that began before go on with the version that they began with.
    """
    version = activation.activate(caller(), bundle_name, given["version"], force=given["force"])
    with db.read() as connection:
        valued = secrets.known(connection, caller().workspace_id, bundle_name)
    return answer({"data": views.version(version, version.version, valued)})


@blueprint.get("/bundles/<id:bundle_name>/versions")
@requires("read:actions")
@blueprint.arguments(pages.PageQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(schemas.BundleVersion),
    example={"data": [examples.BRIEF], "meta": http_examples.META},
    headers=pages.LINK,
    words="One page of versions, the newest first.",
    fails=(404,),
)
def list_bundle_versions(query: dict[str, Any], bundle_name: str) -> Response:
    """List the versions of a bundle.

    Without functions and secrets; the version itself has them.
    """
    with db.read() as connection:
        kept = versions.get(connection, caller().workspace_id, bundle_name)
    found = pages.read(versions.version_page, caller().workspace_id, bundle_name, pages.part(query))
    return pages.page([views.version(one, kept.active, None) for one in found.rows], found, query)


@blueprint.get("/bundles/<id:bundle_name>/versions/<id:bundle_version>")
@requires("read:actions")
@blueprint.answers(200, _VERSION, example={"data": examples.VERSION}, words="The version.", fails=(404,))
def get_bundle_version(bundle_name: str, bundle_version: str) -> Response:
    """Get a version of a bundle.

    With its functions, hosts and secrets.
    """
    with db.read() as connection:
        kept = versions.get(connection, caller().workspace_id, bundle_name)
        version = versions.get_version(connection, caller().workspace_id, bundle_name, bundle_version)
        valued = secrets.known(connection, caller().workspace_id, bundle_name)
    return answer({"data": views.version(version, kept.active, valued)})


@blueprint.delete("/bundles/<id:bundle_name>/versions/<id:bundle_version>")
@requires(_WRITE)
@blueprint.answers(204, words="It is gone.", fails=(404, "version_active"))
def delete_bundle_version(bundle_name: str, bundle_version: str) -> Response:
    """Delete a version of a bundle.

    Not the active one (409 ``version_active``). Executions that were pinned to it and have not begun yet fail with
    ``bundle_missing``.
    """
    activation.delete_version(caller(), bundle_name, bundle_version)
    return nothing()


@blueprint.put("/bundles/<id:bundle_name>/secrets/<id:secret_name>")
@requires(_WRITE)
@blueprint.arguments(_SECRET, example={"value": "t0ken-of-the-firewall"})
@blueprint.answers(204, words="It is sealed.", fails=(404,), takes_body=True)
def put_bundle_secret(given: dict[str, Any], bundle_name: str, secret_name: str) -> Response:
    """Set a secret of a bundle.

    One that a version lists in its bundle.toml. It is sealed and never shown; the next attempt of an action uses it.
    """
    activation.put_secret(caller(), bundle_name, secret_name, given["value"])
    return nothing()


@blueprint.delete("/bundles/<id:bundle_name>/secrets/<id:secret_name>")
@requires(_WRITE)
@blueprint.answers(204, words="It has no value any more.", fails=(404,))
def delete_bundle_secret(bundle_name: str, secret_name: str) -> Response:
    """Delete the value of a secret.

    Calls that need it fail with ``secret_missing`` from the next attempt on.
    """
    activation.delete_secret(caller(), bundle_name, secret_name)
    return nothing()
