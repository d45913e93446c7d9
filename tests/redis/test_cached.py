"""Cached functions whose results are in Redis: the promises of the decorator, across processes' eyes.

Each test runs with a blocking cache on a function, an asynchronous one on a coroutine function, and
a blocking one on a coroutine function.
"""

import asyncio
import gc
import threading
import weakref

import pytest
from functions import Keyed, door, eventually, left_behind  # noqa: F401

from cachine import RedisCache, cached
from cachine.exceptions import ConfigError, SerializationError, UnkeyableArgumentError
from cachine.serializers import JSONSerializer


def test_another_cache_object_finds_what_was_computed(door):
    runs = []

    def load(user):
        runs.append(user)
        return {"user": user, "tags": [1, 2.5, None]}

    first = cached(door.cache(namespace="app"), ttl=60)(door.function(load))
    assert door.run(first, 7) == {"user": 7, "tags": [1, 2.5, None]}

    def again(user):
        raise AssertionError("it was stored")

    again.__name__ = again.__qualname__ = load.__name__
    second = cached(door.cache(namespace="app"), ttl=60, key_builder=lambda user: first.cache_key(user))(
        door.function(again)
    )
    assert door.run(second, 7) == {"user": 7, "tags": [1, 2.5, None]}
    assert runs == [7]
    info = first.cache_info()
    assert (info.hits, info.misses, info.errors) == (0, 1, 0)


def test_the_entry_is_the_plain_key_and_plain_json(door):
    load = cached(door.cache(namespace="app"), ttl=60)(door.function(lambda n: {"n": n}))
    door.run(load, 1)
    key = "app:" + load.cache_key(1)
    assert door.server.command("GET", key) == b'{"n":1}'
    assert 59_000 < door.server.command("PTTL", key) <= 60_000
    assert door.server.command("DBSIZE") == 1, "no token is left"


def test_fifty_callers_compute_once(door):
    runs = []
    started = threading.Event()

    def load(n):
        runs.append(n)
        started.wait(0.05)
        return [n] * 3

    function = cached(door.cache(), ttl=60, singleflight=True)(door.function(load))
    assert door.together(function, [3] * 50) == [[3, 3, 3]] * 50
    assert runs == [3]
    assert door.server.command("DBSIZE") == 1


def test_an_exception_is_shared_and_leaves_nothing(door):
    runs = []

    def load(n):
        runs.append(n)
        raise LookupError(n)

    function = cached(door.cache(), ttl=60, singleflight=True)(door.function(load))
    for _ in range(2):
        with pytest.raises(LookupError):
            door.run(function, 1)
    assert runs == [1, 1]
    assert not left_behind(door.server), "the right to store was given back"


def test_a_stale_value_is_answered_and_refreshed_once(door, clock, eventually):
    runs = []

    def load(n):
        runs.append(n)
        return len(runs)

    function = cached(door.cache(), ttl=60, stale_ttl=120)(door.function(load))

    if door.is_coroutine:

        async def scene():
            assert await function(1) == 1
            door.server.age(61)
            assert await function(1) == 1, "answered at once"
            while await function(1) != 2:
                await asyncio.sleep(0.005)

        asyncio.run(scene())
    else:
        assert function(1) == 1
        door.server.age(61)
        assert function(1) == 1
        eventually(lambda: function(1) == 2)
    assert runs == [1, 1]
    door.server.age(121)
    assert door.run(function, 1) == 3, "past the stale window it is a miss"


def test_a_refresh_that_fails_backs_off_and_keeps_the_stale_value(door, clock, eventually, caplog):
    runs = []

    def load(n):
        runs.append(n)
        if len(runs) > 1:
            raise LookupError(n)
        return "old"

    function = cached(door.cache(), ttl=60, stale_ttl=600)(door.function(load))

    async def scene():
        assert await function(1) == "old"
        door.server.age(61)
        for _ in range(5):
            assert await function(1) == "old"
            for _ in range(50):
                await asyncio.sleep(0.001)

    if door.is_coroutine:
        asyncio.run(scene())
    else:
        assert function(1) == "old"
        door.server.age(61)
        assert function(1) == "old"
        eventually(lambda: len(runs) == 2)
        eventually(lambda: "refresh failed" in caplog.text)
        assert [function(1) for _ in range(20)] == ["old"] * 20
    assert len(runs) == 2, "the next attempt waits"


@pytest.mark.parametrize("write", ["delete", "set", "invalidate", "clear", "incr"])
def test_a_write_during_the_computation_fences_it(door, write):
    cache = door.cache(namespace="app")
    other = RedisCache("127.0.0.1", door.server.port, namespace="app")

    def load(n):
        key = function.cache_key(n)
        if write == "delete":
            other.delete(key)
        elif write == "set":
            other.set(key, "newer")
        elif write == "incr":
            other.incr(key)
        elif write == "clear":
            other.clear()
        else:
            other.invalidate_tags([f"n:{n}"])
        return "older"

    function = cached(cache, ttl=60, tags=lambda n: [f"n:{n}"])(door.function(load))
    assert door.run(function, 5) == "older", "the caller gets what it asked for"
    found = other.get(function.cache_key(5))
    assert found == {"set": "newer", "incr": 1}.get(write)
    other.close()


def test_an_invalidation_reaches_tags_that_only_the_result_knows(door):
    other = RedisCache("127.0.0.1", door.server.port)
    hit = []

    def load(n):
        if hit:
            other.invalidate_tags(["late"])
        return n

    function = cached(door.cache(), ttl=60, tags_from_result=lambda _: ["late"])(door.function(load))
    assert door.run(function, 1) == 1
    assert other.get(function.cache_key(1)) == 1
    assert other.invalidate_tags(["late"]) == 1
    assert other.get(function.cache_key(1)) is None
    hit.append(1)
    assert door.run(function, 1) == 1
    assert other.get(function.cache_key(1)) is None, "invalidated while it was computed"
    other.close()


def test_conditions_and_none_are_honoured(door):
    runs = []

    def load(n):
        runs.append(n)
        return None if n == 0 else n

    cache = door.cache()
    function = cached(cache, ttl=60, condition=lambda value: value != 2)(door.function(load))
    for n in (0, 0, 1, 1, 2, 2):
        assert door.run(function, n) == (n or None)
    assert runs == [0, 0, 1, 2, 2]
    keeping = cached(cache, ttl=60, cache_none=True, version="2")(door.function(load))
    for _ in range(2):
        assert door.run(keeping, 0) is None
    assert runs == [0, 0, 1, 2, 2, 0]


def test_management(door):
    runs = []

    def load(n):
        runs.append(n)
        return n

    function = cached(door.cache(namespace="app"), ttl=60)(door.function(load))
    other = cached(door.cache(namespace="app"), ttl=60, version="other")(door.function(load))
    for n in (1, 2):
        door.run(function, n)
        door.run(other, n)
    assert door.finish(function.invalidate(1)) is True
    assert door.finish(function.invalidate(1)) is False
    assert door.run(function, 1) == 1
    assert runs == [1, 1, 2, 2, 1]
    assert door.run(function.refresh, 1) == 1
    assert runs == [1, 1, 2, 2, 1, 1]
    door.finish(function.cache_clear())
    door.run(other, 1)
    assert runs == [1, 1, 2, 2, 1, 1], "the other version keeps its entries"
    door.run(function, 2)
    assert runs == [1, 1, 2, 2, 1, 1, 2]
    named = cached(door.cache(), key_builder="n:{n}")(door.function(load))
    door.run(named, 1)
    with pytest.raises(ConfigError, match="key_builder"):
        door.finish(named.cache_clear())


def test_arguments_need_a_form_that_processes_share(door):
    class Service:
        pass

    function = cached(door.cache(), ttl=60)(door.function(lambda thing, n: n))
    with pytest.raises(UnkeyableArgumentError, match="thing"):
        door.run(function, Service(), 1)
    assert door.run(function, Keyed("a"), 1) == 1
    assert door.run(function, Keyed("a"), 2) == 2
    assert door.run(function, Keyed("b"), 1) == 1
    assert function.cache_info().misses == 3


def test_an_unreadable_value_is_computed_anew_and_replaced(door, caplog):
    cache = door.cache(serializer=JSONSerializer())
    function = cached(cache, ttl=60)(door.function(lambda n: {"n": n}))
    key = function.cache_key(1)
    door.server.command("SET", key, "{broken")
    assert door.run(function, 1) == {"n": 1}
    assert door.server.command("GET", key) == b'{"n":1}'
    assert "unreadable value" in caplog.text


def test_a_result_that_can_not_be_kept_is_returned_and_warned_about_once(door, caplog):
    function = cached(door.cache(), ttl=60, singleflight=True)(door.function(lambda n: object))
    for _ in range(3):
        assert door.run(function, 1) is object
    assert caplog.text.count("not stored") == 1
    assert not left_behind(door.server)
    with pytest.raises(SerializationError):
        door.finish(door.cache().set("k", object))


def test_nothing_of_a_call_is_kept_alive(door):
    function = cached(door.cache(), ttl=60, singleflight=True)(door.function(lambda big: 1))
    big = Keyed()
    gone = weakref.ref(big)
    door.run(function, big)
    door.run(function, big)
    del big
    gc.collect()
    assert gone() is None


def test_a_failing_function_leaves_no_cycle(door):
    def load(big):
        raise LookupError("no")

    function = cached(door.cache(), ttl=60, singleflight=True)(door.function(load))
    big = Keyed()
    gone = weakref.ref(big)
    with pytest.raises(LookupError):
        door.run(function, big)
    del big
    gc.collect()
    assert gone() is None


def test_a_function_that_asks_for_itself_does_not_wait_for_itself(door):
    cache = door.cache()
    if door.is_coroutine:

        @cached(cache, ttl=60, singleflight=True)
        async def count(n, depth=0):
            if depth == 0:
                return await count(n) if calls.append(n) is None and len(calls) < 3 else "end"
            return None

        calls = []
        assert asyncio.run(count(1)) == "end"
    else:
        calls = []

        @cached(cache, ttl=60, singleflight=True)
        def count(n):
            calls.append(n)
            return count(n) if len(calls) < 3 else "end"

        assert count(1) == "end"
    assert calls == [1, 1, 1]


def test_get_or_set_shares_one_computation_and_counts(redis_server):
    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port, namespace="g")
    runs = []
    assert cache.get_or_set("k", lambda: runs.append(1) or "v", ttl=60, tags=["t"]) == "v"
    assert cache.get_or_set("k", lambda: runs.append(1) or "w", ttl=60, tags=["t"]) == "v"
    stats = cache.get_stats()
    assert (runs, stats["hits"], stats["misses"], stats["sets"]) == ([1], 1, 1, 1)
    assert cache.invalidate_tags(["t"]) == 1
    assert cache.get("k") is None
    cache.close()
