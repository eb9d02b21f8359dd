"""What a broker's controller has created, the broker itself describes a moment later."""

from typing import Any

import pytest

from paperless.operations import topics
from paperless.operations.topics import TopicsError, _described

UNKNOWN, REFUSED = 3, 29


def described(name: str, partitions: int, error: int = 0) -> dict[str, Any]:
    return {"topic": name, "partitions": [{}] * partitions, "error_code": error}


class Admin:
    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]]


async def test_a_topic_that_is_not_described_yet_is_waited_for():
    admin: Any = Admin(described("t", 0, UNKNOWN), described("t", 0), described("t", 6))
    assert await _described(admin, ["t"]) == [described("t", 6)]


async def test_a_topic_that_stays_hidden_is_named_with_the_reason(monkeypatch):
    monkeypatch.setattr(topics, "KNOWN_WITHIN_S", 0.0)
    admin: Any = Admin(described("t", 0, REFUSED))
    with pytest.raises(TopicsError, match=r"not described: t \(TopicAuthorizationFailedError\)"):
        await _described(admin, ["t"])
