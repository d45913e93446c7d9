"""InMemoryCache with and without the type of its values."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from typing_extensions import assert_type

from cachine import InMemoryCache
from cachine.strategies import FIFOEviction, LFUEviction, LRUEviction

numbers = InMemoryCache[int](max_size=10)
texts: InMemoryCache[str] = InMemoryCache(eviction_policy=LFUEviction(), max_size=5)

assert_type(numbers.get("a"), "int | None")
assert_type(numbers.get("a", None), "int | None")
assert_type(numbers.get("a", 0), int)
assert_type(numbers.get("a", "none"), "int | str")
assert_type(numbers.get("a", default=0.5), "int | float")
assert_type(numbers.set("a", 1), None)
assert_type(numbers.set("a", 1, 60), None)
assert_type(numbers.set("a", 1, ttl=timedelta(hours=1), tags=["x"]), None)
assert_type(numbers.delete("a"), bool)
assert_type(numbers.exists("a"), bool)
assert_type(numbers.clear(dangerously_clear_all=True), None)
assert_type(numbers.ttl("a"), "int | None")
assert_type(numbers.expire("a", 1.5), bool)
assert_type(numbers.expire("a", ttl=timedelta(seconds=1)), bool)
assert_type(numbers.expire_at("a", datetime.now()), bool)
assert_type(numbers.expire_at("a", when=1_900_000_000), bool)
assert_type(numbers.persist("a"), bool)
assert_type(numbers.touch("a"), bool)
assert_type(numbers.touch("a", 60), bool)
assert_type(numbers.incr("n"), int)
assert_type(numbers.incr("n", 5, ttl_on_create=60), int)
assert_type(numbers.decr("n", delta=2), int)
assert_type(numbers.add_tags("a", {"x"}), bool)
assert_type(numbers.add_tags("a", {"x": 1}.keys()), bool)
assert_type(numbers.invalidate_tags(("x", "y")), int)
assert_type(numbers.invalidate_tags(tag for tag in ["x"]), int)
assert_type(numbers.get_many(["a", "b"]), "dict[str, int]")
assert_type(numbers.set_many({"a": 1}, 60), None)
assert_type(numbers.delete_many(iter(["a"])), int)
assert_type(numbers.ping()["healthy"], Any)
assert_type(numbers.ping_ok(), bool)
assert_type(numbers.get_stats()["hits"], Any)
assert_type(numbers.reset_stats(), None)
assert_type(numbers.close(), None)
assert_type(numbers.closed, bool)
assert_type(numbers.namespace, "str | None")
assert_type(numbers.max_size, "int | None")
assert_type(len(numbers), int)
assert_type(numbers.with_namespace("a"), "InMemoryCache[int]")
assert_type(numbers.with_namespace("a").get("b"), "int | None")
assert_type(texts.get("a"), "str | None")

with InMemoryCache[bytes](namespace="files") as files:
    assert_type(files, "InMemoryCache[bytes]")
    assert_type(files.get("a"), "bytes | None")


def compute() -> int:
    return 1


assert_type(numbers.get_or_set("a", compute), int)
assert_type(numbers.get_or_set("a", lambda: 1, 60), int)
assert_type(numbers.get_or_set("a", 1), int)
assert_type(
    numbers.get_or_set(
        "a",
        compute,
        ttl=60,
        stale_ttl=120,
        jitter=1.5,
        tags=["x"],
        tags_from_result=lambda value: [str(value)],
        condition=lambda value: value > 0,
        cache_none=True,
    ),
    int,
)
assert_type(numbers.get_or_set("a", compute, tags=lambda: ["x"]), int)


def weigh(key: str, value: bytes) -> int:
    return len(key) + len(value)


InMemoryCache[bytes](max_weight=1_000_000, weigher=weigh)
InMemoryCache(max_weight=1_000_000, weigher=lambda key, value: len(key) + len(value))
InMemoryCache(10, LRUEviction(), "a")
InMemoryCache(10, eviction_policy=FIFOEviction(), namespace="a")
InMemoryCache(max_size=None, eviction_policy=None, namespace=None)


# Without the type of the values: anything, and no complaint under strict.

cache = InMemoryCache()
assert_type(cache, "InMemoryCache[Any]")
cache.set("a", 1)
cache.set("a", {"b": [2]})
assert_type(cache.get("a"), "Any | None")
assert_type(cache.get_many(["a"]), "dict[str, Any]")
assert_type(cache.get_or_set("a", lambda: 1), Any)
assert_type(cache.with_namespace("b"), "InMemoryCache[Any]")


def take(given: InMemoryCache, also: InMemoryCache[Any]) -> InMemoryCache:
    value = given.get("a", 0)
    also.set("a", value)
    return also


take(cache, numbers)
take(numbers, cache)


class Reports:
    def __init__(self, cache: InMemoryCache | None = None) -> None:
        self.cache = cache or InMemoryCache(max_size=10)

    def read(self, name: str) -> str:
        found: str | None = self.cache.get(name)
        return found or ""


# A cache of one's own on ours.


class Loud(InMemoryCache[str]):
    def get(self, key: str, default: Any = None, *, serializer: Any = None) -> Any:
        return super().get(key, default, serializer=serializer)

    def set(self, key: str, value: str, ttl: Any = None, **options: Any) -> None:
        super().set(key, value.upper(), ttl, **options)


assert_type(Loud(5).with_namespace("a"), Loud)
