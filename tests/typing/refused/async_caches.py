"""The same mistakes on the asynchronous cache, and results that are not awaited."""

from __future__ import annotations

from cachine import AsyncInMemoryCache

numbers = AsyncInMemoryCache[int]()


async def compute_text() -> str:
    return ""


def compute_text_plainly() -> str:
    return ""


async def use() -> None:
    await numbers.set("a", "b")  # error
    await numbers.set(1, 1)  # error
    await numbers.set("a", 1, "60")  # error
    await numbers.set("a", 1, tags="x")  # error
    await numbers.get(1)  # error
    await numbers.expire("a", None)  # error
    await numbers.incr("a", 1.5)  # error
    await numbers.incr("a", None)  # error
    await numbers.invalidate_tags("x")  # error
    await numbers.get_many("abc")  # error
    await numbers.set_many({"a": "b"})  # error
    await numbers.get_or_set("a", compute_text)  # error
    await numbers.get_or_set("a", compute_text_plainly)  # error
    await numbers.get_or_set("a", "b")  # error
    await numbers.get_or_set("a", 1, tags="x")  # error
    await numbers.get_or_set("a", 1, expires=5)  # error
    await numbers.get_stats()  # error
    await numbers.with_namespace("a")  # error
    numbers.set("a", 1)  # error
    numbers.clear(dangerously_clear_all=True)  # error
    numbers.close()  # error
    one: int = await numbers.get("a")  # error
    two: int = numbers.get("a", 0)  # error
    three: str = await numbers.get("a", 0)  # error
    with numbers:  # error
        pass
    print(one, two, three)


AsyncInMemoryCache("10")  # error
AsyncInMemoryCache(weigher=len)  # error
