"""Values, keys and times of the wrong type."""

from __future__ import annotations

from datetime import datetime

from cachine import InMemoryCache
from cachine.strategies import LRUEviction

numbers = InMemoryCache[int]()


def compute_text() -> str:
    return ""


async def compute_async() -> int:
    return 1


InMemoryCache("10")  # error
InMemoryCache(max_size=1.5)  # error
InMemoryCache(10, "lru")  # error
InMemoryCache(10, LRUEviction)  # error
InMemoryCache(namespace=5)  # error
InMemoryCache(10, None, "a", 100)  # error
InMemoryCache(max_weight=10, weigher=len)  # error
InMemoryCache(max_weight=10, weigher=lambda value: 1)  # error
InMemoryCache(max_entries=10)  # error

numbers.set("a", "b")  # error
numbers.set("a", None)  # error
numbers.set(1, 1)  # error
numbers.set("a")  # error
numbers.set("a", 1, "60")  # error
numbers.set("a", 1, ttl=datetime.now())  # error
numbers.set("a", 1, 60, ["x"])  # error
numbers.set("a", 1, tags="x")  # error
numbers.set("a", 1, tags=[1])  # error
numbers.get(1)  # error
numbers.get("a", 1, 2)  # error
numbers.delete()  # error
numbers.expire("a")  # error
numbers.expire("a", None)  # error
numbers.expire("a", datetime.now())  # error
numbers.expire_at("a", "tomorrow")  # error
numbers.touch("a", "60")  # error
numbers.incr("a", 1.5)  # error
numbers.incr("a", ttl="60")  # error
numbers.add_tags("a", "x")  # error
numbers.invalidate_tags("x")  # error
numbers.get_many("abc")  # error
numbers.get_many([1])  # error
numbers.set_many([("a", 1)])  # error
numbers.set_many({"a": "b"})  # error
numbers.set_many({1: 1})  # error
numbers.delete_many("a")  # error
numbers.clear(True)  # error
numbers.with_namespace(5)  # error
numbers.closed = True  # error
numbers.unknown()  # error

numbers.get_or_set("a", "b")  # error
numbers.get_or_set("a", compute_text)  # error
numbers.get_or_set("a", compute_async)  # error
numbers.get_or_set("a", 1, "60")  # error
numbers.get_or_set("a", 1, tags="x")  # error
numbers.get_or_set("a", 1, jitter="x")  # error
numbers.get_or_set("a", 1, cache_none=0.5)  # error
numbers.get_or_set("a", 1, singleflight=True)  # error
numbers.get_or_set("a", 1, expires=5)  # error

one: int = numbers.get("a")  # error
two: str = numbers.get("a", 0)  # error
three: "dict[str, str]" = numbers.get_many(["a"])  # error
four: InMemoryCache[str] = numbers.with_namespace("a")  # error
five: InMemoryCache[str] = numbers  # error
six: str = numbers.get_or_set("a", 1)  # error


def closing() -> None:
    with numbers as opened:
        opened.set("a", "b")  # error


async def wrongly_async() -> None:
    await numbers.get("a")  # error
    async with numbers:  # error
        pass
