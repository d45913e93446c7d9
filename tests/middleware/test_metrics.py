"""What is counted, where, and how it is timed."""

import threading

import pytest
from cachine.exceptions import DeserializationError, SerializationError
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware

from cachine import InMemoryCache, cached

NAMES = {
    "hits",
    "misses",
    "hit_rate",
    "errors",
    "avg_latency_ms",
    "sets",
    "deletes",
    "stale",
    "coalesced",
    "evictions",
    "raw_bytes",
    "compressed_bytes",
    "saved_seconds",
}


def test_every_cache_has_the_same_numbers(cache):
    assert set(cache.get_stats()) == set(InMemoryCache().get_stats()) == NAMES


def test_a_measured_cache_counts_for_itself_and_for_what_it_wraps():
    base = InMemoryCache()
    outer = MetricsMiddleware(base)
    base.set("a", 1)
    base.get("a")
    outer.get("a")
    outer.get("b")
    outer.delete("a")
    mine, whole = outer.get_stats(), base.get_stats()
    assert (mine["hits"], mine["misses"], mine["sets"], mine["deletes"]) == (1, 1, 0, 1)
    assert (whole["hits"], whole["misses"], whole["sets"], whole["deletes"]) == (2, 1, 1, 1)
    outer.reset_stats()
    assert outer.get_stats()["hits"] == 0 and base.get_stats()["hits"] == 2


def test_compression_and_encryption_count_where_what_they_wrap_counts():
    inner = MetricsMiddleware(InMemoryCache())
    outer = EncryptionMiddleware(CompressionMiddleware(inner), key="x" * 20)
    outer.set("a", "text")
    outer.get("a")
    assert outer.get_stats() == inner.get_stats()
    assert outer.get_stats()["hits"] == 1


def test_the_bytes_before_and_after_compression():
    cache = CompressionMiddleware(InMemoryCache(), min_size=0)
    cache.set("a", "x" * 10_000)
    stats = cache.get_stats()
    assert stats["raw_bytes"] == 10_002, "with the quotes of JSON"
    assert 20 < stats["compressed_bytes"] < 200


def test_the_work_that_hits_save_is_what_a_computation_takes(clock):
    cache = MetricsMiddleware(InMemoryCache())

    @cached(cache)
    def slow(number):
        clock.advance(2)
        return number

    @cached(cache)
    def quick(number):
        clock.advance(0.5)
        return number

    for number in (1, 2):
        slow(number)
        quick(number)
    assert cache.get_stats()["saved_seconds"] == 0
    slow(1), slow(2), quick(1)
    assert cache.get_stats()["saved_seconds"] == pytest.approx(4.5)

    def make():
        clock.advance(10)
        return "made"

    cache.get_or_set("key", make)
    cache.get_or_set("key", make)
    assert cache.get_stats()["saved_seconds"] == pytest.approx(14.5)


def test_errors_are_counted_and_are_no_hits():
    base = InMemoryCache()
    cache = MetricsMiddleware(EncryptionMiddleware(base, key="x" * 20))
    base.set("bad", b"not ours")
    with pytest.raises(DeserializationError):
        cache.get("bad")
    with pytest.raises(SerializationError):
        cache.set("worse", object())
    cache.set("int", 5)
    with pytest.raises(SerializationError):
        cache.incr("int")
    stats = cache.get_stats()
    assert (stats["hits"], stats["misses"], stats["errors"], stats["sets"]) == (0, 0, 3, 1)


def test_a_bad_entry_is_one_miss_and_one_error_of_a_function():
    base = InMemoryCache()
    cache = MetricsMiddleware(EncryptionMiddleware(base, key="x" * 20))

    @cached(cache)
    def compute():
        return [1]

    compute()
    base.set(compute.cache_key(), b"\xc1\x01\x0c")
    compute()
    compute()
    info, stats = compute.cache_info(), cache.get_stats()
    assert (info.hits, info.misses, info.errors) == (1, 2, 1)
    assert (stats["hits"], stats["misses"], stats["errors"]) == (1, 2, 1)


def test_evictions_and_waiters_are_counted():
    cache = MetricsMiddleware(InMemoryCache(max_size=2))
    for number in range(5):
        cache.set(f"k{number}", number)
    assert cache.get_stats()["evictions"] == 3
    gate = threading.Event()
    entered = threading.Event()

    def make():
        entered.set()
        assert gate.wait(20)
        return 1

    threads = [threading.Thread(target=cache.get_or_set, args=("new", make)) for _ in range(4)]
    threads[0].start()
    assert entered.wait(20)
    for thread in threads[1:]:
        thread.start()
    while cache.get_stats()["coalesced"] < 3:
        assert any(thread.is_alive() for thread in threads)
    gate.set()
    for thread in threads:
        thread.join()
    stats = cache.get_stats()
    assert (stats["coalesced"], stats["misses"]) == (3, 4)


def test_every_read_of_a_measured_cache_is_timed():
    cache = MetricsMiddleware(InMemoryCache())

    @cached(cache)
    def compute(number):
        return number

    compute(1)
    for number in (2, 2):  # A miss, which is a read too, then a hit.
        cache.reset_stats()
        compute(number)
        assert cache.get_stats()["avg_latency_ms"] > 0
    cache.reset_stats()
    compute(1)
    assert cache.get_stats()["avg_latency_ms"] > 0
    cache.set("key", 1)
    cache.reset_stats()
    cache.get_or_set("key", int)
    assert cache.get_stats()["avg_latency_ms"] > 0


def test_a_namespace_inside_of_a_measured_cache_is_measured_too():
    cache = MetricsMiddleware(InMemoryCache(namespace="a")).with_namespace("b")
    cache.set("key", 1)
    cache.get("key")  # The first of a sample; the next one is timed only where all are.
    first = cache.get_stats()["avg_latency_ms"]
    for _ in range(50):
        cache.get("key")
    assert cache.get_stats()["hits"] == 51
    assert cache.get_stats()["avg_latency_ms"] != first
