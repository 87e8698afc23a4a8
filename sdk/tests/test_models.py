"""Answers as objects: decoded when read, read-only, whole, and never validated."""

import copy
import pickle
from datetime import datetime, timedelta, timezone

import pytest
from tocsin import models
from tocsin._model import Model, moment

RUN = {
    "execution_id": "pexec-1",
    "status": "running",
    "created_at": "2026-04-28T12:00:00.053Z",
    "completed_at": None,
    "steps": [{"step_id": "one", "status": "completed", "started_at": "2026-04-28T12:00:01Z"}],
    "brand_new": {"a": [1]},
}


def test_members_are_decoded_when_they_are_read():
    """Nested objects become models, times know their zone, and what the answer lacks is None."""
    run = models.Run(RUN)
    assert run.created_at == datetime(2026, 4, 28, 12, 0, 0, 53000, tzinfo=timezone.utc)
    assert isinstance(run.steps[0], models.RunStep)
    assert run.steps[0].step_id == "one"
    assert run.steps is run.steps
    assert run.completed_at is None
    assert run.playbook_name is None


def test_what_a_class_does_not_know_stays():
    """Unknown members are read by name and are in ``to_dict``; as an attribute they are refused with that advice."""
    run = models.Run(RUN)
    assert run["brand_new"] == {"a": [1]}
    assert "brand_new" in run
    assert run.to_dict() == RUN
    run.to_dict()["brand_new"]["a"].append(2)
    assert run["brand_new"] == {"a": [1]}
    with pytest.raises(AttributeError, match=r"read it as \['brand_new'\]"):
        run.brand_new  # noqa: B018
    with pytest.raises(AttributeError, match="has no 'stauts'; this answer has: execution_id, status"):
        run.stauts  # noqa: B018


def test_nothing_is_validated():
    """A newer server breaks no older client: odd values are shown as they are."""
    run = models.Run({"status": "resting", "created_at": "tomorrow", "steps": {"not": "a list"}, "dry_run": None})
    assert (run.status, run.created_at, run.steps, run.dry_run) == ("resting", "tomorrow", {"not": "a list"}, None)


def test_answers_are_read_only_and_equal_by_content():
    """No member can be set or deleted; two answers with the same content are equal, of another class they are not."""
    run = models.Run(RUN)
    with pytest.raises(AttributeError, match="read-only"):
        run.status = "completed"
    with pytest.raises(AttributeError, match="read-only"):
        del run.status
    assert run == models.Run(dict(RUN))
    assert run != models.Run({**RUN, "status": "failed"})
    assert run != models.RunItem(RUN)
    with pytest.raises(TypeError):
        hash(run)


def test_answers_can_be_copied_and_pickled():
    """Answers pass through queues and caches."""
    run = models.Run(RUN, etag='"7"')
    for other in (pickle.loads(pickle.dumps(run)), copy.copy(run), copy.deepcopy(run)):
        assert other == run
        assert other.etag == '"7"'


def test_an_answer_shows_itself_shortly():
    """``repr`` names class and members, and is short however large the answer."""
    assert repr(models.LogLine({"level": "info", "message": "x"})) == "LogLine(level='info', message='x')"
    assert len(repr(models.LogLine({"message": "x" * 10_000}))) < 300
    assert {"steps", "status", "to_dict"} <= set(dir(models.Run(RUN)))


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-04-28T12:00:00Z", 0),
        ("2026-04-28T12:00:00.5Z", 500_000),
        ("2026-04-28T12:00:00.053+00:00", 53_000),
        ("2026-04-28T14:00:00.123456789+02:00", 123_456),
        ("2026-04-28T12:00:00", 0),
    ],
)
def test_times_are_read_on_every_python(text, microsecond):
    """Z, any number of digits and any offset are understood, also before Python 3.11."""
    found = moment(text)
    assert found.astimezone(timezone.utc) == datetime(2026, 4, 28, 12, 0, 0, microsecond, tzinfo=timezone.utc)
    assert found.utcoffset() in (timedelta(0), timedelta(hours=2))


def test_every_class_can_decode():
    """The annotations of every generated class are understood on this Python."""
    classes = [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, Model)]
    assert len(classes) > 100
    for one in classes:
        for name in one.__annotations__:
            getattr(one({}), name)


def test_a_step_is_of_the_class_of_its_type():
    """Of what has several shapes, ``type`` says which class it is; a type that is not known stays as it came."""
    steps = [
        {"id": "a", "type": "action", "action_ref": "act-a"},
        {"id": "p", "type": "parallel", "branches": [{"steps": [{"id": "d", "type": "delay", "seconds": 1}]}]},
        {"id": "n", "type": "brand_new"},
    ]
    playbook = models.Playbook({"name": "P", "steps": steps})
    first, second, third = playbook.steps
    assert isinstance(first, models.ActionStep)
    assert isinstance(second, models.ParallelStep)
    assert third == steps[2]
