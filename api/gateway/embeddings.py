"""``/v1/embeddings``: the similarity of a text and a topic, for those who write rules that compare by meaning."""

from typing import Any

from flask import Response, current_app
from marshmallow import ValidationError, fields, validate

from api.http.auth import caller, requires
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.rate_limits import SIMILARITIES
from api.http.schemas import Strict, described
from config.errors import NoEmbedding, NotConfigured
from gateway.rules.condition_checks import MAX_TOPIC_CHARACTERS
from gateway.semantics import texts
from gateway.semantics.similarity import EmbeddingFailed, Topic, Uncounted
from tasks.policy.meaning import HERE, is_configured

blueprint = Blueprint("embeddings", __name__, tag="embeddings")

_TEXT = "The database connection pool is exhausted and queries are timing out"
_TOPIC = "Infrastructure issues, server problems"


def _with_words(text: str) -> None:
    if text and not texts.has_words(text):
        raise ValidationError("has no word in it that could mean something")


class SimilarityQuestion(Strict):
    """A text and a topic."""

    text = fields.String(
        required=True,
        validate=[validate.Length(1, texts.MAX_CHARACTERS), _with_words],
        metadata=described("The text to compare. A rule compares the first 4,096 characters of a longer one."),
    )
    topic = fields.String(
        required=True,
        validate=[validate.Length(1, MAX_TOPIC_CHARACTERS), _with_words],
        metadata=described("The topic to compare it with, as a rule names it."),
    )


class Similarity(Answer):
    """How similar they are."""

    similarity = fields.Float(metadata=described("The cosine of their embeddings, from -1 to 1; four decimals."))
    topic = fields.String(metadata=described("The topic."))


@blueprint.post("/embeddings/similarity")
@requires("dispatch")
@blueprint.arguments(SimilarityQuestion(), example={"text": _TEXT, "topic": _TOPIC})
@blueprint.answers(
    200,
    Similarity(),
    example={"similarity": 0.1798, "topic": _TOPIC},
    words="The similarity.",
    fails=(404, 500, "not_configured", "embedding_failed"),
    takes_body=True,
)
def compare_texts(given: dict[str, Any]) -> Response:
    """Compare a text with a topic.

    By meaning, as semantic_match in rules does, to find the threshold of a rule. Five comparisons of a caller are
    computed in any minute. 404 where the operator has configured no provider of embeddings; 500 where the provider
    fails, with retryable.
    """
    if not is_configured():
        raise NotConfigured("No provider of embeddings is configured: TOCSIN_EMBEDDINGS_PROVIDER is none.")
    who = f"similarity/{caller().key_id}"
    refusal = "This key may have 5 similarities computed in a minute."
    current_app.extensions["tocsin.limiter"].allow_exactly(SIMILARITIES, who, refusal)
    try:
        found = Uncounted(HERE).similarity(Topic(given["topic"]), given["text"])
    except EmbeddingFailed as error:
        raise NoEmbedding(str(error), retryable=error.retryable) from error
    return answer({"similarity": found, "topic": given["topic"]})
