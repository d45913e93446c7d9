"""Any order of wrappers: every operation, every way a value is written, one crossing."""

import asyncio
import inspect
import sys
import threading
import time

import pytest
from cachine.exceptions import ClosedError, ConfigError
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware

from cachine import AsyncInMemoryCache, InMemoryCache, cached

from .conftest import KEY, stacked

VALUES = [None, True, 1, 2**80, 1.5, "text", b"\xc1\x01\x00", "5", b"7", [1], (1, {2}), {"a": {}}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_comes_back_is_what_went_in(cache, value):
    cache.set("key", value)
    found = cache.get("key", "nothing")
    assert (found, type(found)) == (value, type(value))
    assert cache.get_many(["key", "other"]) == {"key": value}


def test_every_operation_works(cache, clock):
    cache.set("a", "one", ttl=10, tags=["t"])
    assert cache.exists("a") and cache.ttl("a") == 10
    assert cache.expire("a", 20) and cache.ttl("a") == 20
    assert cache.touch("a", 30) and cache.ttl("a") == 30
    assert cache.persist("a") and cache.ttl("a") is None
    assert cache.add_tags("a", ["u"]) and cache.get("a") == "one"
    assert cache.invalidate_tags(["u"]) == 1 and cache.get("a") is None
    cache.set_many({"b": (1,), "c": {2}}, 5)
    assert cache.get_many(["c", "b", "d"]) == {"c": {2}, "b": (1,)}
    assert cache.delete_many(["b", "d"]) == 1 and cache.delete("c")
    assert [cache.incr("n", 5), cache.incr("n"), cache.decr("n", 2)] == [5, 6, 4]
    assert cache.get("n") == 4 and cache.ttl("n") is None
    assert cache.get_or_set("e", lambda: [1], ttl=5) == [1] == cache.get("e")
    clock.advance(5)
    assert cache.get("e", "gone") == "gone"
    assert cache.ping()["backend"] == "inmemory" and cache.ping_ok()
    cache.clear()
    assert len(cache) == 0 and cache.get("n") is None


def test_with_returns_the_wrapper_and_closes_what_it_wraps(order):
    base = InMemoryCache()
    with stacked(order, base) as cache:
        assert type(cache).__module__ == "cachine.middleware"
        cache.set("a", 1)
    with pytest.raises(ClosedError):
        cache.get("a")
    with pytest.raises(ClosedError):
        base.get("a")


def test_a_namespace_inside_keeps_the_steps(cache):
    child = cache.with_namespace("child")
    child.set("key", ("secret",))
    assert child.get("key") == ("secret",)
    assert type(child) is type(cache)
    assert cache.get("child:key") == ("secret",), "the same physical key"
    assert child.namespace == "stack:child"
    child.clear()
    assert child.get("key") is None


def test_a_triple_wrapped_hit_crosses_the_border_once():
    cache = stacked("cem", InMemoryCache())
    cache.set("key", {"a": 1})
    crossings = []
    sys.setprofile(lambda frame, event, arg: crossings.append((event, arg)))
    try:
        cache.get("key")
    finally:
        sys.setprofile(None)
    calls = [arg.__name__ for event, arg in crossings if event == "c_call"]
    assert calls == ["get", "setprofile"]
    assert not [event for event, _ in crossings if event == "call"], "no Python in between"


def test_a_decorated_function_keeps_and_finds(cache):
    calls = []

    @cached(cache, ttl=60, singleflight=True, tags=["t"])
    def compute(number):
        calls.append(number)
        return (number, {number})

    assert compute(1) == compute(1) == (1, {1})
    assert compute(1) is not compute(1) or cache.get_stats()["raw_bytes"] == 0
    assert calls == [1]
    assert cache.invalidate_tags(["t"]) == 1
    assert compute(1) == (1, {1})
    assert calls == [1, 1]
    assert cache.get(compute.cache_key(1)) == (1, {1})
    compute.invalidate(1)
    assert compute.refresh(1) == (1, {1})
    assert calls == [1, 1, 1]


def test_a_stale_value_is_refreshed_through_the_steps(cache, clock):
    computed = threading.Event()
    calls = []

    @cached(cache, ttl=10, stale_ttl=20)
    def compute():
        calls.append(None)
        computed.set()
        return ("value", len(calls))

    assert compute() == ("value", 1)
    clock.advance(15)
    computed.clear()
    assert compute() == ("value", 1), "stale, at once"
    assert computed.wait(20)
    deadline = time.monotonic() + 20
    while compute() == ("value", 1):
        assert time.monotonic() < deadline
    assert compute() == ("value", 2)


def test_none_is_a_value(cache):
    cache.set("key", None)
    assert cache.get("key", "default") is None
    calls = []

    @cached(cache, cache_none=True)
    def nothing():
        calls.append(None)

    assert nothing() is None and nothing() is None
    assert len(calls) == 1


async def test_asynchronous_caches_stay_asynchronous(async_cache):
    for name in ("get", "set", "delete", "incr", "get_or_set", "get_many", "clear", "ping"):
        assert inspect.iscoroutinefunction(getattr(async_cache, name)), name
    await async_cache.set("key", (1, 2))
    assert await asyncio.create_task(async_cache.get("key")) == (1, 2)

    async def factory():
        await asyncio.sleep(0)
        return {3}

    answers = await asyncio.gather(*(async_cache.get_or_set("other", factory) for _ in range(50)))
    assert answers == [{3}] * 50 and await async_cache.get("other") == {3}
    calls = []

    @cached(async_cache, ttl=60, singleflight=True)
    async def compute(number):
        calls.append(number)
        await asyncio.sleep(0)
        return (number,)

    assert await asyncio.gather(*(compute(7) for _ in range(50))) == [(7,)] * 50
    assert await compute(7) == (7,)
    assert calls == [7]
    async with async_cache as same:
        assert same is async_cache
    with pytest.raises(ClosedError):
        await async_cache.get("key")


def test_a_step_is_added_once():
    with pytest.raises(ConfigError, match="compresses its values already"):
        stacked("cc", InMemoryCache())
    with pytest.raises(ConfigError, match="encrypts its values already"):
        stacked("ece", InMemoryCache())
    assert stacked("mmm", InMemoryCache()).get("a") is None


@pytest.mark.parametrize("kind", [CompressionMiddleware, MetricsMiddleware])
@pytest.mark.parametrize("wrong", [None, {}, InMemoryCache, "redis://", object()], ids=repr)
def test_only_a_cache_can_be_wrapped(kind, wrong):
    with pytest.raises(TypeError, match=kind.__name__):
        kind(wrong)


def test_a_closed_cache_can_not_be_wrapped():
    base = InMemoryCache()
    base.close()
    with pytest.raises(ClosedError):
        MetricsMiddleware(base)


def test_repr_shows_the_stack_and_no_secret():
    cache = stacked("cem", InMemoryCache(namespace="n"))
    assert repr(cache) == (
        "MetricsMiddleware(EncryptionMiddleware(CompressionMiddleware("
        "InMemoryCache(namespace='n'), algorithm='zlib'), key_id='v1'))"
    )
    assert KEY not in repr(vars(cache)) + repr(cache)
    assert repr(cache.with_namespace("x")).count("namespace='n:x'") == 1


def test_a_subclass_keeps_its_methods_and_its_attributes():
    class Users(InMemoryCache):
        def __init__(self, region):
            super().__init__(namespace=region)
            self.region = region

        def name(self, number):
            return self.get(f"{self.region}:{number}")

    cache = EncryptionMiddleware(Users("eu"), key=KEY)
    cache.set("eu:1", "Ada")
    assert cache.name(1) == "Ada"
    assert isinstance(cache, Users) and isinstance(cache, EncryptionMiddleware)
    assert type(EncryptionMiddleware(Users("us"), key=KEY)) is type(cache), "made once"


def test_a_subclass_of_a_middleware_is_what_it_says():
    class Secret(EncryptionMiddleware):
        def __init__(self, cache):
            super().__init__(cache, KEY, key_id="mine")

    cache = Secret(AsyncInMemoryCache())
    assert isinstance(cache, Secret) and isinstance(cache, AsyncInMemoryCache)
    assert "key_id='mine'" in repr(cache)


def test_views_of_one_store_see_each_other(cache):
    base = cache
    while hasattr(base, "wrapped"):
        base = base.wrapped
    cache.set("key", "value")
    assert base.exists("key") and base.delete("key")
    assert cache.get("key") is None
    assert cache.wrapped.ping_ok()


def test_a_middleware_without_a_cache_says_what_it_wraps():
    for kind in (CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware):
        with pytest.raises(TypeError, match=f"{kind.__name__} wraps a cache"):
            kind()
