"""The API reference of the specification, line by line as printed."""

# ruff: noqa

import datetime as _datetime

import pytest

from cachine import InMemoryCache, cached


@pytest.fixture
def cache(clock):
    """A cache with a namespace, as the reference clears it without a flag."""
    return InMemoryCache(namespace="reference")


def test_cache_operations(cache):
    key, value, tags = "key", "value", ["tag"]
    factory = lambda: "computed"
    datetime = _datetime.datetime.now() + _datetime.timedelta(minutes=5)

    # Get/Set
    assert cache.get(key, default=None) is None
    assert cache.set(key, value, ttl=None) is None
    assert cache.get(key, default=None) == "value"
    assert cache.delete(key) is True
    assert cache.exists(key) is False
    assert cache.clear() is None

    # TTL Management
    cache.set(key, value, ttl=None)
    assert cache.ttl(key) is None                     # Get remaining TTL in seconds
    assert cache.expire(key, ttl=60) is True          # Set new TTL (seconds or timedelta)
    assert cache.ttl(key) == 60
    assert cache.expire_at(key, when=datetime) is True  # Set absolute expiration
    assert 298 <= cache.ttl(key) <= 300
    assert cache.persist(key) is True                 # Remove TTL (never expires)
    assert cache.ttl(key) is None
    assert cache.touch(key, ttl=None) is True         # Update last access time, optionally set TTL
    assert cache.ttl(key) is None

    # Counters
    cache.delete(key)
    assert cache.incr(key, delta=1, ttl_on_create=None) == 1
    assert cache.decr(key, delta=1) == 0

    # Tags
    assert cache.add_tags(key, tags) is True          # Add tags to existing entry
    assert cache.invalidate_tags(tags) == 1           # Remove all entries with these tags

    # Utility
    assert cache.get_or_set(key, factory, ttl=None) == "computed"  # Get cached or compute & cache
    assert cache.ping()["healthy"] is True            # Health check
    assert cache.ping_ok() is True                    # Boolean health check
    assert cache.close() is None                      # Close connections


def test_cache_operations_bare(cache):
    key, value, tags, factory = "key", "value", ["tag"], dict
    datetime = _datetime.datetime(2000, 1, 1)
    cache.get(key, default=None)
    cache.set(key, value, ttl=None)
    cache.delete(key)
    cache.exists(key)
    cache.clear()
    cache.ttl(key)
    cache.expire(key, ttl=60)
    cache.expire_at(key, when=datetime)
    cache.persist(key)
    cache.touch(key, ttl=None)
    cache.incr(key, delta=1, ttl_on_create=None)
    cache.decr(key, delta=1)
    cache.invalidate_tags(tags)
    cache.add_tags(key, tags)
    cache.get_or_set(key, factory, ttl=None)
    cache.ping()
    cache.ping_ok()
    cache.close()


def test_what_the_reference_prints_positionally_can_be_given_so(cache):
    cache.set("key", "value", 60)
    assert cache.expire("key", _datetime.timedelta(minutes=2)) is True
    assert cache.ttl("key") == 120
    assert cache.touch("key", 5) is True
    assert cache.incr("counter", 5, 60) == 5
    assert cache.decr("counter", 5, 60) == 0
    assert cache.get("missing", "default") == "default"
    assert cache.get_or_set("computed", dict, 60) == {}


def test_decorator_parameters(cache):
    @cached(
        cache,                 # Cache instance (required)
        ttl=None,              # Seconds to cache (int or timedelta)
        key_builder=None,      # Custom key function
        condition=None,        # Cache only if condition(result) is True
        cache_none=False,      # Cache None results?
        jitter=None,           # Random 0-N seconds added to TTL
        stale_ttl=None,        # Stale-while-revalidate window
        singleflight=False,    # Prevent duplicate computations
        tags=None,             # Function to generate tags from args
        tags_from_result=None, # Function to generate tags from result
        version=None,          # Version string for cache busting
    )
    def double(x):
        calls.append(x)
        return 2 * x

    calls = []
    assert double(2) == double(2) == 4
    assert calls == [2]


def test_decorator_parameters_all_in_use(cache):
    @cached(
        cache,
        ttl=_datetime.timedelta(minutes=1),
        key_builder="double:{x}",
        condition=lambda result: result > 0,
        cache_none=True,
        jitter=10,
        stale_ttl=120,
        singleflight=True,
        tags=lambda x: [f"number:{x}"],
        tags_from_result=lambda result: [f"result:{result}"],
        version="v2",
    )
    def double(x):
        calls.append(x)
        return 2 * x

    calls = []
    assert double(2) == double(2) == 4
    assert double(-2) == double(-2) == -4
    assert calls == [2, -2, -2]
    assert cache.invalidate_tags(["result:4"]) == 1
    assert double(2) == 4
    assert cache.invalidate_tags(["number:2"]) == 1
