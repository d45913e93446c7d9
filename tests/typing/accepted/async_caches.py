"""AsyncInMemoryCache with and without the type of its values."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache
from cachine.strategies import LFUEviction

numbers = AsyncInMemoryCache[int](max_size=10, eviction_policy=LFUEviction())


def compute() -> int:
    return 1


async def compute_async() -> int:
    return 1


async def use() -> None:
    assert_type(await numbers.get("a"), "int | None")
    assert_type(await numbers.get("a", None), "int | None")
    assert_type(await numbers.get("a", 0), int)
    assert_type(await numbers.get("a", default="none"), "int | str")
    assert_type(await numbers.set("a", 1, timedelta(hours=1), tags=["x"]), None)
    assert_type(await numbers.delete("a"), bool)
    assert_type(await numbers.exists("a"), bool)
    assert_type(await numbers.clear(dangerously_clear_all=True), None)
    assert_type(await numbers.ttl("a"), "int | None")
    assert_type(await numbers.expire("a", 1.5), bool)
    assert_type(await numbers.expire_at("a", datetime.now()), bool)
    assert_type(await numbers.persist("a"), bool)
    assert_type(await numbers.touch("a", 60), bool)
    assert_type(await numbers.incr("n", 5, ttl_on_create=60), int)
    assert_type(await numbers.decr("n"), int)
    assert_type(await numbers.add_tags("a", {"x"}), bool)
    assert_type(await numbers.invalidate_tags(["x"]), int)
    assert_type(await numbers.get_many(["a", "b"]), "dict[str, int]")
    assert_type(await numbers.set_many({"a": 1}, 60), None)
    assert_type(await numbers.delete_many(("a", "b")), int)
    assert_type(await numbers.ping_ok(), bool)
    assert_type((await numbers.ping())["healthy"], Any)
    assert_type(await numbers.close(), None)

    assert_type(await numbers.get_or_set("a", compute_async), int)
    assert_type(await numbers.get_or_set("a", compute, 60), int)
    assert_type(await numbers.get_or_set("a", 1, stale_ttl=5, tags=["x"]), int)
    assert_type(await numbers.get_or_set("a", lambda: 1), int)
    assert_type(await numbers.get_or_set("a", lambda: compute_async()), int)

    both = await asyncio.gather(numbers.get("a"), numbers.exists("a"))
    assert_type(both, "tuple[int | None, bool]")
    assert_type(await asyncio.create_task(numbers.get("a", 0)), int)

    async with AsyncInMemoryCache[bytes](namespace="files") as files:
        assert_type(files, "AsyncInMemoryCache[bytes]")
        assert_type(await files.get("a"), "bytes | None")


assert_type(asyncio.run(numbers.get("a")), "int | None")

# What never waits is a plain call.
assert_type(numbers.get_stats()["hits"], Any)
assert_type(numbers.reset_stats(), None)
assert_type(numbers.with_namespace("a"), "AsyncInMemoryCache[int]")
assert_type(numbers.closed, bool)
assert_type(numbers.namespace, "str | None")
assert_type(len(numbers), int)


# Without the type of the values.

cache = AsyncInMemoryCache()
assert_type(cache, "AsyncInMemoryCache[Any]")


async def use_untyped(given: AsyncInMemoryCache) -> None:
    await given.set("a", {"b": [1]})
    assert_type(await given.get("a"), "Any | None")
    assert_type(await given.get_or_set("a", compute_async), Any)


# A cache of one's own on ours.


class Loud(AsyncInMemoryCache[str]):
    async def get(self, key: str, default: Any = None, *, serializer: Any = None) -> Any:
        return await super().get(key, default, serializer=serializer)

    async def set(self, key: str, value: str, ttl: Any = None, **options: Any) -> None:
        await super().set(key, value.upper(), ttl, **options)


assert_type(Loud(5).with_namespace("a"), Loud)
