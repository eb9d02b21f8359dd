"""A member commits as a member only."""

from types import SimpleNamespace
from typing import Any

from tests.support.fakes_runtime import OPENS, answer, started, stored


async def test_a_member_without_generation_commits_nothing_until_it_has_one():
    """History 65 found it: thawed while the group was empty, a member moved its next owner's offset back."""
    bench = await started(0)
    consumer: Any = bench.consumer
    await bench.batch(stored(0, topic=OPENS, key=b"a"), answer(0, b"a"))
    consumer._coordinator = SimpleNamespace(generation=-1)
    assert await bench.commit() == {}
    consumer._coordinator.generation = 3
    assert (await bench.commit())[OPENS, 0] == 1
