"""Asking how a cache is, what it counted, and ending its use."""

import pytest

from cachine.exceptions import CacheError, ClosedError

#: Every operation of a cache, with arguments that are right.
OPERATIONS = {
    "get": lambda cache: cache.get("key"),
    "set": lambda cache: cache.set("key", 1),
    "delete": lambda cache: cache.delete("key"),
    "exists": lambda cache: cache.exists("key"),
    "clear": lambda cache: cache.clear(dangerously_clear_all=True),
    "ttl": lambda cache: cache.ttl("key"),
    "expire": lambda cache: cache.expire("key", 1),
    "expire_at": lambda cache: cache.expire_at("key", 1),
    "persist": lambda cache: cache.persist("key"),
    "touch": lambda cache: cache.touch("key", 0),
    "incr": lambda cache: cache.incr("key"),
    "decr": lambda cache: cache.decr("key"),
    "add_tags": lambda cache: cache.add_tags("key", []),
    "invalidate_tags": lambda cache: cache.invalidate_tags([]),
    "get_or_set": lambda cache: cache.get_or_set("key", 1),
    "get_many": lambda cache: cache.get_many([]),
    "set_many": lambda cache: cache.set_many({}),
    "delete_many": lambda cache: cache.delete_many([]),
}


async def test_ping_of_a_healthy_cache(cache, column):
    health = await cache.ping()
    assert set(health) == {"healthy", "latency_ms", "backend"}
    assert health["healthy"] is True
    assert type(health["latency_ms"]) is float
    assert 0 <= health["latency_ms"] < 1000
    assert health["backend"] == column.backend
    assert await cache.ping_ok() is True


async def test_ping_of_a_closed_cache_says_so_and_raises_nothing(cache, column):
    await cache.close()
    health = await cache.ping()
    assert health["healthy"] is False
    assert "closed" in health["error"]
    assert health["backend"] == column.backend
    assert await cache.ping_ok() is False


async def test_ping_leaves_no_trace(cache):
    await cache.ping()
    stats = cache.get_stats()
    assert (stats["hits"], stats["misses"], stats["sets"]) == (0, 0, 0)


async def test_stats_count_what_was_done(cache, column):
    empty = cache.get_stats()
    assert empty == {
        "hits": 0,
        "misses": 0,
        "hit_rate": 0.0,
        "errors": 0,
        "avg_latency_ms": 0.0,
        "sets": 0,
        "deletes": 0,
        "stale": 0,
        "coalesced": 0,
        "evictions": 0,
        "raw_bytes": 0,
        "compressed_bytes": 0,
        "saved_seconds": 0.0,
    }
    await cache.set("a", 1)
    await cache.set("b", 1, 1)
    for key in ("a", "a", "b", "x"):
        await cache.get(key)
    column.advance(1)
    await cache.get("b")
    await cache.delete("a")
    await cache.delete("a")
    stats = cache.get_stats()
    counts = {name: stats[name] for name in ("hits", "misses", "hit_rate", "sets", "deletes")}
    assert counts == {"hits": 3, "misses": 2, "hit_rate": 0.6, "sets": 2, "deletes": 1}
    assert [type(value) for value in stats.values()].count(float) == 3


async def test_looking_at_an_entry_without_reading_it_is_no_hit(cache):
    await cache.set("key", 1, 60)
    await cache.exists("key")
    await cache.ttl("key")
    await cache.expire("key", 60)
    await cache.touch("key")
    await cache.persist("key")
    await cache.add_tags("key", ["tag"])
    stats = cache.get_stats()
    assert (stats["hits"], stats["misses"]) == (0, 0)


async def test_many_reads_count_one_by_one(cache):
    await cache.set_many({"a": 1, "b": 2})
    await cache.get_many(["a", "b", "x"])
    await cache.delete_many(["a", "x"])
    stats = cache.get_stats()
    assert [stats[name] for name in ("hits", "misses", "sets", "deletes")] == [2, 1, 2, 1]


async def test_the_latency_of_reads_is_a_number_of_milliseconds(column):
    cache = column.make()
    for _ in range(1000):
        await cache.get("key")
    assert 0 <= cache.get_stats()["avg_latency_ms"] < 1000


async def test_stats_start_again_from_zero(cache):
    await cache.set("a", 1)
    await cache.get("a")
    assert cache.reset_stats() is None
    stats = cache.get_stats()
    assert not any(stats.values())
    await cache.get("a")
    assert cache.get_stats()["hit_rate"] == 1.0


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_closed_cache_refuses_every_operation_and_says_what_to_do(cache, operation):
    await cache.set("key", 1)
    await cache.close()
    with pytest.raises(ClosedError, match=f"{operation}: .*closed.*create") as caught:
        await OPERATIONS[operation](cache)
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.operation == operation
    assert caught.value.retryable is False


async def test_closing_again_changes_nothing(cache):
    assert await cache.close() is None
    assert await cache.close() is None
    with pytest.raises(ClosedError, match="with_namespace"):
        cache.with_namespace("a")
    assert cache.get_stats()["hits"] == 0, "what was counted can be read to the last"
    assert "closed" in repr(getattr(cache, "blocking", cache))


async def test_with_closes_at_the_end_of_its_block(column):
    async with column.make() as cache:
        await cache.set("key", 1)
        assert await cache.get("key") == 1
    with pytest.raises(ClosedError):
        await cache.get("key")
    with pytest.raises(ClosedError, match="closed"):
        async with cache:
            pass


async def test_with_closes_when_its_block_raises_and_swallows_nothing(column):
    cache = column.make()
    with pytest.raises(ZeroDivisionError):
        async with cache:
            raise ZeroDivisionError
    with pytest.raises(ClosedError):
        await cache.get("key")


async def test_a_cache_is_true_even_when_it_is_empty(cache):
    assert bool(getattr(cache, "blocking", cache)) is True
