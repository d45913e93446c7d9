"""Caches in Redis: the same types as in memory, behind other constructors."""

from __future__ import annotations

from datetime import timedelta

from typing_extensions import assert_type

from cachine import AsyncRedisCache, RedisCache, cached
from cachine.backends.redis.async_ import AsyncRedisCache as AlsoAsync
from cachine.backends.redis.sync import RedisCache as AlsoSync
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware
from cachine.serializers import JSONSerializer

cache: RedisCache[int] = RedisCache("localhost", 6379, 0, namespace="n", timeout=timedelta(seconds=1))
other = RedisCache[str](url="redis://localhost", serializer=JSONSerializer(), max_connections=5)

assert_type(cache.get("a"), "int | None")
assert_type(cache.get("a", 0), int)
assert_type(cache.get("a", "x"), "int | str")
assert_type(cache.get_many(["a"]), "dict[str, int]")
assert_type(cache.incr("n", ttl_on_create=60), int)
assert_type(cache.ttl("a"), "int | None")
assert_type(cache.get_or_set("a", lambda: 1, ttl=60, tags=["t"]), int)
assert_type(cache.with_namespace("inner"), "RedisCache[int]")
assert_type(cache.invalidate_tags({"t"}), int)
cache.set("a", 1, 60, tags=["t"])
with cache as entered:
    assert_type(entered, "RedisCache[int]")
same: type[RedisCache[int]] = AlsoSync
also: type[AsyncRedisCache[int]] = AlsoAsync

stacked = MetricsMiddleware(CompressionMiddleware(cache))
assert_type(stacked.get("a"), "int | None")


@cached(cache, ttl=60, singleflight=True)
def double(number: int) -> int:
    return 2 * number


assert_type(double(1), int)
assert_type(double.invalidate(1), bool)


@cached(cache, ttl=60)
async def beside(number: int) -> int:
    return number


async def main() -> None:
    tasks: AsyncRedisCache[int] = AsyncRedisCache(host="localhost")
    assert_type(await tasks.get("a"), "int | None")
    assert_type(await tasks.get("a", 0), int)
    assert_type(await tasks.get_many(["a"]), "dict[str, int]")
    assert_type(await beside(1), int)
    secret = EncryptionMiddleware(tasks, "a key that is long enough")
    assert_type(await secret.get("a"), "int | None")
    async with tasks as entered:
        assert_type(entered, "AsyncRedisCache[int]")

    @cached(tasks, ttl=60, stale_ttl=120)
    async def triple(number: int) -> int:
        return 3 * number

    assert_type(await triple(1), int)
    assert_type(await triple.invalidate(1), bool)
