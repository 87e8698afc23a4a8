"""The routes that every kind of versioned definition has, declared once.

A handler of a kind's ``routes`` module carries one decorator of its ``Routes``, which stands for its path, its
permission and its answers. Its name and its docstring are the operation's, and its body has the work done and hands
the outcome to the ``answer_...`` that shapes it. What only one kind has is a plain route of its blueprint.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from flask import Response, request
from marshmallow import fields

from api import versions
from api.http import errors, pages
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.base_schema import Schema
from api.http.blueprint import LOCATION, Blueprint, View, answer, finished, written
from api.http.conditional import entity_tags, preconditions
from api.http.conditional.documented import ETAG, IF_MATCH, IF_NONE_MATCH, IF_NONE_THERE, UNCHANGED
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, Remember, once
from config.errors import Conflict, PreconditionFailed, Problem
from store.callers.actors import Actor
from store.definitions.versioned import DefinitionKind, Kept, Page
from store.engine import db
from store.paging import Found
from tasks.intake.creations import Secret

Decorator = Callable[[View], View]


class ForceQuery(http_schemas.Strict):
    """Whether to take away what others use."""

    force = fields.Boolean(
        load_default=False,
        metadata={
            "description": "Whether to do it although playbooks use it; else 409 in_use names them.",
            "example": False,
        },
    )


@dataclass(frozen=True, kw_only=True)
class DocumentedShape:
    """A schema and an example for the OpenAPI document."""

    schema: Any
    example: Any


@dataclass(frozen=True, kw_only=True)
class Routes(Generic[Kept]):
    """The routes of one kind: decorators for its handlers, and answers."""

    blueprint: Blueprint
    kind: DefinitionKind[Kept]
    #: shapes of a definition, of one in a list, and of one at a version
    one: DocumentedShape
    item: DocumentedShape
    version: DocumentedShape
    #: the bodies of POST and PUT, and that of PATCH
    definition: DocumentedShape
    changes: DocumentedShape
    #: an example of a validation result
    verdict: Mapping[str, Any]
    #: shows a definition, and a revision of the definition of that id
    show: Callable[[Kept], dict[str, Any]]
    show_version: Callable[[str, db.Row], dict[str, Any]]
    #: the members that answers to writes have besides the definition, their description, and the function that makes
    #: them
    written_shape: DocumentedShape | None = None
    written_words: str = ""
    show_more: Callable[[Kept], dict[str, Any]] = lambda _kept: {}
    #: whether bodies may be YAML
    yaml: bool = False
    #: the errors of enabling and disabling
    switch_fails: tuple[int | str, ...] = (404,)
    #: whether disabling one may break others, and is refused unless it is forced
    keeps_enabled: bool = False

    def list(self, query: Schema) -> Decorator:
        """Declare ``GET /KINDs``."""
        answers = self._pages(self.item, f"One page of {self.kind.noun}s.")
        return self._declare("GET", "", "read", answers, self.blueprint.arguments(query, location="query"))

    def create(self, view: View) -> View:
        """Declare ``POST /KINDs``."""
        words = f"The {self.kind.noun} as it is kept{self.written_words}."
        codes = (f"invalid_{self.kind.noun}", "secret_needed", "already_exists", "changed", *error_answers.CREATED)
        answers = self._answers(
            self._written, words, 201, headers=LOCATION | ETAG, fails=(409, 422, *codes), takes_body=True
        )
        return self._declare("POST", "", "write", answers, self._reads(self.definition), takes=(CREATION_KEY,))(view)

    def validate(self, view: View) -> View:
        """Declare ``POST /KINDs/validate``."""
        verdict = DocumentedShape(schema=http_schemas.Verdict(), example=self.verdict)
        answers = self._answers(verdict, "The verdict; faults do not make it fail.", takes_body=True)
        # a body may be checked that could not be stored
        anything = {"anyOf": [self.definition.schema, {"type": "object"}]}
        reads = self._reads(DocumentedShape(schema=anything, example=self.definition.example))
        return self._declare("POST", "/validate", "read", answers, reads)(view)

    def get(self, view: View) -> View:
        """Declare ``GET /KINDs/ID``."""
        answers = self._answers(self._whole, f"The {self.kind.noun}.", headers=ETAG, fails=(404, 412))
        return self._declare("GET", self._id, "read", answers, takes=(IF_NONE_MATCH,))(UNCHANGED(view))

    def replace(self, view: View) -> View:
        """Declare ``PUT /KINDs/ID``."""
        words = "There was none of this id; it is created, because If-None-Match says *."
        created = {"example": self._written.example, "words": words, "headers": LOCATION | ETAG}
        also = self.blueprint.also(201, self._written.schema, **created)
        more = (*self._forcible(), also, self._reads(self.definition))
        answers = self._rewritten("already_exists")
        return self._declare("PUT", self._id, "write", answers, *more, takes=(IF_MATCH, IF_NONE_THERE))(view)

    def change(self, view: View) -> View:
        """Declare ``PATCH /KINDs/ID``."""
        reads = self.blueprint.reads(self.changes.schema, example=self.changes.example)
        more = (*self._forcible(), reads)
        return self._declare("PATCH", self._id, "write", self._rewritten(), *more, takes=(IF_MATCH,))(view)

    def delete(self, view: View) -> View:
        """Declare ``DELETE /KINDs/ID``."""
        answers = self.blueprint.answers(204, words="It is gone.", fails=(404, 409, 412, "in_use", "changed"))
        return self._declare("DELETE", self._id, "write", answers, self._force, takes=(IF_MATCH,))(view)

    def enable(self, view: View) -> View:
        """Declare ``POST /KINDs/ID/enable``."""
        return self._switch("enable", self._whole)(view)

    def disable(self, view: View) -> View:
        """Declare ``POST /KINDs/ID/disable``."""
        example = {"data": {**self.one.example, "enabled": False}}
        shape = DocumentedShape(schema=self._whole.schema, example=example)
        return self._switch("disable", shape, *self._forcible())(view)

    def versions(self, view: View) -> View:
        """Declare ``GET /KINDs/ID/versions``."""
        shape = DocumentedShape(schema=versions.item_of(self.version.schema), example=self.version.example)
        answers = self._pages(shape, "One page of versions, newest first.", fails=(404,))
        takes = self.blueprint.arguments(versions.VersionsQuery(), location="query")
        return self._declare("GET", f"{self._id}/versions", "read", answers, takes)(view)

    def get_version(self, view: View) -> View:
        """Declare ``GET /KINDs/ID/versions/VERSION``."""
        shape = http_schemas.enveloped(self.version.schema)
        whole = DocumentedShape(schema=shape, example={"data": self.version.example})
        answers = self._answers(whole, f"The {self.kind.noun} as it was.", headers=ETAG, fails=(404, 412))
        at = f"{self._id}/versions/<version:version>"
        return self._declare("GET", at, "read", answers, takes=(IF_NONE_MATCH,))(UNCHANGED(view))

    def compare(self, view: View) -> View:
        """Declare ``GET /KINDs/ID/versions/diff``."""
        shape = DocumentedShape(schema=versions.DIFFERENCE, example={"data": versions.DIFFERENCE_EXAMPLE})
        answers = self._answers(shape, "What has changed.", fails=(404,))
        takes = self.blueprint.arguments(versions.DifferenceQuery(), location="query")
        return self._declare("GET", f"{self._id}/versions/diff", "read", answers, takes)(view)

    def restore(self, view: View) -> View:
        """Declare ``POST /KINDs/ID/versions/VERSION/restore``."""
        words = f"The {self.kind.noun} as it is now{self.written_words}."
        answers = self._answers(self._written, words, headers=ETAG, fails=(404, 409, 412, *self._faults))
        at = f"{self._id}/versions/<version:version>/restore"
        return self._declare("POST", at, "write", answers, takes=(IF_MATCH,))(view)

    def answer_page(
        self,
        query: dict[str, Any],
        search: Callable[[db.Connection, str, Mapping[str, Any], Page], Found],
        show: Callable[[Any], dict[str, Any]],
    ) -> Response:
        """The requested page of the list."""
        found = pages.read(search, caller().workspace_id, query, pages.sorted_page(query))
        return pages.page([show(one) for one in found.rows], found, query)

    def answer_created(self, kept: Kept) -> Response:
        """A new definition, with its address."""
        path = request.path.rstrip("/")
        at = path if path.endswith(f"/{kept.id}") and request.method == "PUT" else f"{path}/{kept.id}"
        return self._tagged(kept, 201, {"Location": at}, **self.show_more(kept))

    def answer_once(self, given: Mapping[str, Any], create: Callable[..., Kept]) -> Response:
        """The answer to ``POST``: a new definition, made once under the request's key."""

        def made(remember: Remember) -> Response:
            return self.answer_created(
                create(caller(), given, alongside=lambda connection, kept: remember(connection, kept.id))
            )

        return once(self.kind.noun, given, made, self._again)

    def _again(self, definition_id: str, _secret: Secret) -> Response:
        return self.answer_created(db.read_one(self.kind.get, caller().workspace_id, definition_id))

    def answer_written(self, kept: Kept) -> Response:
        """A definition that was changed."""
        return self._tagged(kept, **self.show_more(kept))

    def answer_one(self, kept: Kept) -> Response:
        """A definition."""
        return self._tagged(kept)

    def answer_get(self, definition_id: str) -> Response:
        """The definition of that id; nothing of it where the reader knows it as it is."""
        kept = db.read_one(self.kind.get, caller().workspace_id, definition_id)
        shown = written(self.show(kept))
        tag = entity_tags.of(shown, preconditions.state_of(kept))
        return preconditions.tagged(lambda headers: finished(f'{{"data":{shown}}}', headers=headers), tag)

    def answer_replaced(
        self, definition_id: str, given: Mapping[str, Any], create: Callable[..., Kept], revise: Callable[..., Kept]
    ) -> Response:
        """What ``PUT`` leads to: a change; with ``If-None-Match: *`` a new definition where there is none of that id.

        Raises:
            PreconditionFailed: there is one, or not the one that the caller means.
        """
        if not preconditions.creates():
            return self.answer_written(revise(caller(), definition_id, given, guard=self.guard(definition_id)))
        try:
            return self.answer_created(create(caller(), {**given, "id": definition_id}))
        except Conflict as error:
            if error.code != "already_exists":
                raise
            raise PreconditionFailed(str(error), code=error.code) from error

    def guard(self, definition_id: str) -> Callable[[db.Connection], None] | None:
        """What the present request relies on of that definition."""
        return preconditions.guard(self.kind, caller().workspace_id, definition_id)

    def answer_versions(self, query: dict[str, Any], definition_id: str) -> Response:
        """The requested page of versions."""
        kept = db.read_one(self.kind.get, caller().workspace_id, definition_id)
        whole = query["definitions"]
        found, who = pages.read(versions.part, self.kind, kept, pages.part(query), whole=whole)
        shown = [
            self._version(kept.id, row, who)
            if whole
            else {"id": kept.id, "version": row.version, **versions.made(row, who)}
            for row in found.rows
        ]
        return pages.page(shown, found, query)

    def answer_version(self, definition_id: str, version: str) -> Response:
        """A definition as it was at that version."""
        row, who = pages.read(versions.at, self.kind, caller().workspace_id, definition_id, version)
        shown = written(self._version(definition_id, row, who))
        return preconditions.tagged(
            lambda headers: finished(f'{{"data":{shown}}}', headers=headers), entity_tags.of(shown)
        )

    def answer_difference(self, query: Mapping[str, Any], definition_id: str) -> Response:
        """What has changed between two versions."""
        both = pages.read(versions.compared, self.kind, caller().workspace_id, definition_id, query)
        return answer({"data": versions.difference(*both)})

    def _version(self, definition_id: str, row: db.Row, who: Mapping[str, Actor]) -> dict[str, Any]:
        return {**self.show_version(definition_id, row), **versions.made(row, who)}

    @functools.cached_property
    def _id(self) -> str:
        return f"/<id:{self.kind.noun}_id>"

    @functools.cached_property
    def _whole(self) -> DocumentedShape:
        return DocumentedShape(schema=http_schemas.enveloped(self.one.schema), example={"data": self.one.example})

    @property
    def _faults(self) -> tuple[str, ...]:
        """The codes with which a new version is refused."""
        return (f"invalid_{self.kind.noun}", "secret_needed", "version_exists", "changed", "in_use", "sealed")

    @property
    def _written(self) -> DocumentedShape:
        return self.written_shape or self._whole

    def _tagged(self, kept: Kept, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> Response:
        shown = self.show(kept)
        tag = entity_tags.of(written(shown), preconditions.state_of(kept))
        return answer({"data": shown, **more}, status, {**(headers or {}), "ETag": f'"{tag}"'})

    def _declare(
        self, method: str, path: str, permission: str, *more: Decorator, takes: Sequence[dict[str, Any]] = ()
    ) -> Decorator:
        things = f"{self.kind.noun}s"
        route = self.blueprint.route(f"/{things}{path}", methods=[method], parameters=takes)

        def decorate(view: View) -> View:
            for one in (*more, requires(f"{permission}:{things}"), route):
                view = one(view)
            return view

        return decorate

    def _reads(self, shape: DocumentedShape) -> Decorator:
        return self.blueprint.reads(shape.schema, example=shape.example, yaml=self.yaml)

    def _answers(self, shape: DocumentedShape, words: str, status: int = 200, **more: Any) -> Decorator:
        return self.blueprint.answers(status, shape.schema, example=shape.example, words=words, **more)

    def _pages(self, shape: DocumentedShape, words: str, **more: Any) -> Decorator:
        example = {"data": [shape.example], "meta": http_examples.META}
        return self._answers(
            DocumentedShape(schema=http_schemas.page_of(shape.schema), example=example),
            words,
            headers=pages.LINK,
            **more,
        )

    def _rewritten(self, *codes: str) -> Decorator:
        words = f"The {self.kind.noun} as it is now{self.written_words}."
        fails = (404, 409, 412, *self._faults, *codes)
        return self._answers(self._written, words, headers=ETAG, fails=fails, takes_body=True)

    def _switch(self, word: str, shape: DocumentedShape, *more: Decorator) -> Decorator:
        fails = (*self.switch_fails, 412, "changed", *(("in_use",) if more else ()))
        answers = self._answers(shape, f"The {self.kind.noun} as it is now.", headers=ETAG, fails=fails)
        return self._declare("POST", f"{self._id}/{word}", "write", answers, *more, takes=(IF_MATCH,))

    @property
    def _force(self) -> Decorator:
        return self.blueprint.arguments(ForceQuery(), location="query")

    def _forcible(self) -> tuple[Decorator, ...]:
        """The argument of what may disable a definition."""
        return (self._force,) if self.keeps_enabled else ()


def answer_verdict(problems: Sequence[Problem], warnings: Sequence[Problem]) -> Response:
    """The result of checking a definition."""
    return answer({"valid": not problems, "warnings": _findings(warnings), "errors": _findings(problems)})


def _findings(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [
        {"path": errors.json_path(problem.pointer), "pointer": problem.pointer, "message": problem.detail}
        for problem in problems
    ]


def id_problems(kind: DefinitionKind[Any], given: Mapping[str, Any], definition_id: str | None) -> list[Problem]:
    """The faults of the id in a definition.

    ``definition_id`` is that of the definition it is meant for, if any.
    """
    wanted = given.get("id")
    if definition_id is None and wanted in http_schemas.RESERVED_IDS:
        return [Problem("/id", f"{wanted!r} is a word of this API's own paths.")]
    if definition_id is not None and wanted not in (None, definition_id):
        return [Problem("/id", f"The id of {kind.one} never changes.")]
    return []
