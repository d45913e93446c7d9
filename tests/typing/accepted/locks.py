"""Locks: the same types from every cache, wrapped or not."""

from __future__ import annotations

from datetime import timedelta

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache, AsyncRedisCache, InMemoryCache, RedisCache
from cachine.locks import AsyncLock, Lock
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware

memory = InMemoryCache[int]()
LOCK: Lock = memory.lock("name")

assert_type(memory.lock("name", 30, None), Lock)
assert_type(memory.lock("name", ttl=1.5, timeout=0), Lock)
assert_type(memory.lock("name", timedelta(seconds=1), timedelta(0)), Lock)
assert_type(RedisCache().lock("name"), Lock)
assert_type(memory.with_namespace("n").lock("name"), Lock)
assert_type(MetricsMiddleware(CompressionMiddleware(memory)).lock("name"), Lock)
assert_type(AsyncInMemoryCache().lock("name"), AsyncLock)
assert_type(AsyncRedisCache().lock("name", timeout=timedelta(minutes=1)), AsyncLock)
assert_type(EncryptionMiddleware(AsyncRedisCache(), "a long enough key").lock("name"), AsyncLock)

with memory.lock("name") as lock:
    assert_type(lock, Lock)
    assert_type(lock.name, str)
    assert_type(lock.token, int)
    assert_type(lock.fence, int)
    assert_type(lock.lost, bool)


def raises() -> int:
    with LOCK:
        return 1


async def main(given: AsyncLock) -> int:
    async with AsyncInMemoryCache().lock("name") as entered:
        assert_type(entered, AsyncLock)
        assert_type(entered.token, int)
    async with given:
        return given.fence
