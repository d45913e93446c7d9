"""Cached functions whose results are in Redis: the promises of the decorator, across processes' eyes.

Each test runs with a blocking cache on a function, an asynchronous one on a coroutine function, and
a blocking one on a coroutine function.
"""

import asyncio
import functools
import gc
import threading
import time
import weakref

import pytest

from cachine import AsyncRedisCache, RedisCache, _core, _remote, _renewal, cached
from cachine.exceptions import CacheConnectionError, ConfigError, SerializationError, UnkeyableArgumentError
from cachine.serializers import JSONSerializer


class Door:
    """How a function is written, and how its callers meet."""

    def __init__(self, is_coroutine, cache_class, server):
        self.is_coroutine = is_coroutine
        self.cache_class = cache_class
        self.server = server

    def cache(self, **options):
        return self.cache_class("127.0.0.1", self.server.port, **options)

    def function(self, body):
        """A function that does what the body does."""
        if not self.is_coroutine:
            return body

        @functools.wraps(body)
        async def function(*args, **kwargs):
            await asyncio.sleep(0)
            return body(*args, **kwargs)

        return function

    def run(self, function, *args):
        result = function(*args)
        return self.finish(result)

    def finish(self, result):
        if hasattr(result, "__await__"):
            async def wait():
                return await result

            return asyncio.run(wait())
        return result

    def together(self, function, arguments):
        """The results of calls that start at once."""
        if self.is_coroutine:

            async def gather():
                return await asyncio.gather(*(function(each) for each in arguments))

            return asyncio.run(gather())
        results = {}
        barrier = threading.Barrier(len(arguments))

        def body(place, each):
            barrier.wait()
            results[place] = function(each)

        threads = [threading.Thread(target=body, args=pair) for pair in enumerate(arguments)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [results[place] for place in range(len(arguments))]


class Keyed:
    """An argument with a key of its own."""

    def __init__(self, name="big"):
        self.name = name

    def __cache_key__(self):
        return self.name


@pytest.fixture
def eventually():
    """Wait until something that a thread does beside the test has become true."""

    def wait(is_true):
        end = time.monotonic() + 20
        while not is_true():
            assert time.monotonic() < end
            time.sleep(0)

    return wait


@pytest.fixture(params=["plain", "coroutine", "coroutine on a blocking cache"])
def door(request, redis_server):
    redis_server.command("FLUSHALL")
    is_coroutine = request.param != "plain"
    kind = AsyncRedisCache if request.param == "coroutine" else RedisCache
    return Door(is_coroutine, kind, redis_server)


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
    assert door.server.command("DBSIZE") == 0, "the right to store was given back"


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
            assert [await function(1) for _ in range(20)] == [1] * 20 or runs == [1, 1]
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
    assert door.server.command("DBSIZE") == 0
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


def _raised(error):
    raise error


def test_what_a_function_raises_passes_untouched(door):
    class Odd(Exception):
        pass

    for error in (StopIteration("x"), StopAsyncIteration(), Odd(1), GeneratorExit):
        if door.is_coroutine and isinstance(error, StopIteration):
            continue  # A coroutine can't raise it.
        kind = error if isinstance(error, type) else type(error)

        raises = functools.partial(_raised, error)
        function = cached(door.cache(), ttl=60, singleflight=True, version=kind.__name__)(
            door.function(lambda n: raises())  # noqa: B023
        )
        with pytest.raises(kind):
            door.run(function, 1)


def test_tags_that_no_frame_can_hold_leave_the_answer(door, caplog):
    function = cached(door.cache(), ttl=60, tags_from_result=lambda _: ["t" * 70_000])(
        door.function(lambda n: n)
    )
    assert door.run(function, 7) == 7
    assert door.run(function, 7) == 7
    assert "not stored" in caplog.text
    assert not any("~t:" in key for key in door.server.keys()), "the right was given back"


def test_tags_from_an_iterator_are_kept(redis_server):
    redis_server.command("FLUSHALL")
    with RedisCache("127.0.0.1", redis_server.port) as cache:
        assert cache.get_or_set("k", lambda: 1, tags=iter(["a", "b"])) == 1
        assert cache.invalidate_tags(["b"]) == 1


def test_a_refresh_whose_result_can_not_be_kept_backs_off(door, clock, eventually, caplog):
    runs = []

    def load(n):
        runs.append(n)
        return "old" if len(runs) == 1 else object

    function = cached(door.cache(), ttl=60, stale_ttl=600)(door.function(load))

    async def scene():
        assert await function(1) == "old"
        door.server.age(61)
        for _ in range(60):
            assert await function(1) == "old"
            await asyncio.sleep(0.002)

    if door.is_coroutine:
        asyncio.run(scene())
    else:
        assert function(1) == "old"
        door.server.age(61)
        assert function(1) == "old"
        eventually(lambda: len(runs) == 2)
        eventually(lambda: "refresh not stored" in caplog.text)
        assert [function(1) for _ in range(20)] == ["old"] * 20
    assert len(runs) == 2


def test_a_forced_refresh_wins_over_what_began_before(redis_server):
    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port)
    begun, go, runs = threading.Event(), threading.Event(), []

    @cached(cache, ttl=60, singleflight=True)
    def load(n):
        runs.append(n)
        if len(runs) == 1:
            begun.set()
            assert go.wait(20)
            return "old"
        return "new"

    older = threading.Thread(target=load, args=(1,))
    older.start()
    assert begun.wait(20)
    assert load.refresh(1) == "new"
    go.set()
    older.join()
    assert cache.get(load.cache_key(1)) == "new"
    cache.close()


def test_a_closed_cache_does_not_hide_what_the_function_raises(door):
    cache = door.cache()

    def load(n):
        cache._close()
        for links in cache._loops:
            links.closed = True
        raise ValueError(n)

    function = cached(cache, ttl=60)(door.function(load))
    with pytest.raises(ValueError, match="1"):
        door.run(function, 1)


def test_a_value_found_late_is_looked_at_again_before_it_is_shared(redis_server):
    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port)
    real = _core.Filler.claim

    function = cached(cache, ttl=60, singleflight=True)(lambda n: "computed")
    key = function.cache_key(1)
    seen = {}

    class Slow:
        """Between the claim, which finds the older value, and its sharing a newer one is set."""

        def __init__(self, filler):
            self.filler = filler

        def __getattr__(self, name):
            return getattr(self.filler, name)

        def claim(self, *arguments):
            # As another process does it, of which the flights here do not hear.
            redis_server.command("SET", key, '"older"')
            found = real(self.filler, *arguments)
            redis_server.command("DEL", key)
            late = threading.Thread(target=lambda: seen.update(late=function(1)))
            late.start()
            while function.cache_info().coalesced < 1:
                time.sleep(0)
            redis_server.command("SET", key, '"newer"')
            seen["thread"] = late
            return found

    remote = function._decorated.foreign
    remote.filler = Slow(remote.filler)
    assert function(1) in ("older", "newer")
    seen["thread"].join()
    assert seen["late"] == "newer"
    cache.close()


def test_a_computation_inside_another_does_not_wait_for_ever_for_another_process(
    door, monkeypatch
):
    monkeypatch.setattr(_remote, "NESTED_WAIT", 0.05)
    cache = door.cache()

    def inner(n):
        return n + 1

    inner = cached(cache, ttl=60, singleflight=True)(door.function(inner))
    # Another process computes it, and perhaps waits for what is computed here.
    elsewhere = RedisCache("127.0.0.1", door.server.port)
    terms = _core.Terms(60, None, None, True)
    call = elsewhere._flights._call(inner.cache_key(1), terms)
    how, token = _core.Filler(elsewhere).claim(call, None, False, True, False)
    assert how == _remote.GIVEN and token is not None

    if door.is_coroutine:

        @cached(cache, ttl=60, singleflight=True)
        async def outer(n):
            return await inner(n) * 10

        assert asyncio.run(outer(1)) == 20
    else:

        @cached(cache, ttl=60, singleflight=True)
        def outer(n):
            return inner(n) * 10

        assert outer(1) == 20
    elsewhere.close()


def test_a_computation_that_is_torn_away_is_not_renewed(redis_server):
    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port)
    filler = _core.Filler(cache)
    call = cache._flights._call("key", _core.Terms(60, None, None, True))
    _, token = filler.claim(call, None, False, True, False)
    held = _renewal.on_thread(filler, call, token)
    gone = weakref.ref(held)
    assert _renewal._lives(gone)
    del held  # As a signal between two lines does it.
    assert gone() is None and not _renewal._lives(gone)

    async def scene():
        held = _renewal.on_loop(cache._links, filler, call, token)
        timer, gone = held.timer, weakref.ref(held)
        del held
        assert gone() is None
        timer._callback(*timer._args)

    asyncio.run(scene())
    cache.close()


def test_who_can_reach_the_server_does_not_join_who_can_not(redis_server):
    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port)
    begun, go, source = threading.Event(), threading.Event(), ["older"]

    @cached(cache, ttl=60, singleflight=True)
    def load(n):
        value = source[0]
        if value == "older":
            begun.set()
            assert go.wait(20)
        return value

    class Broken:
        """A server that fails for a moment."""

        def __init__(self, filler, what):
            self.filler = filler
            self.what = what

        def __getattr__(self, name):
            if name == self.what and not begun.is_set():
                raise CacheConnectionError("gone for a moment")
            return getattr(self.filler, name)

    load.cache_key(1)
    remote = load._decorated.foreign
    for what in ("look", "claim"):
        begun.clear()
        go.clear()
        source[0] = "older"
        load.invalidate(1)
        whole, remote.filler = remote.filler, Broken(remote.filler, what)
        older = []
        thread = threading.Thread(target=lambda: older.append(load(1)))
        thread.start()
        assert begun.wait(20)
        # Another process invalidates what is being computed, and says so to its callers.
        source[0] = "newer"
        assert load(1) == "newer"
        go.set()
        thread.join()
        assert older == ["older"]
        remote.filler = whole
    cache.close()


def test_fifty_callers_without_a_server_compute_once(door, own_redis):
    runs = []

    def load(n):
        runs.append(n)
        time.sleep(0.05)
        return n

    cache = door.cache_class("127.0.0.1", own_redis.port, timeout=0.3)
    function = cached(cache, ttl=60, singleflight=True)(door.function(load))
    own_redis.kill()
    assert door.together(function, [3] * 50) == [3] * 50
    assert len(runs) <= 2


@pytest.mark.parametrize("is_coroutine", [False, True], ids=["thread", "task"])
def test_a_right_is_renewed_while_its_function_runs(redis_server, monkeypatch, is_coroutine):
    monkeypatch.setattr(_renewal, "PERIOD", 0.02)
    redis_server.command("FLUSHALL")
    kind = AsyncRedisCache if is_coroutine else RedisCache
    cache = kind("127.0.0.1", redis_server.port)

    def is_renewed():
        (token,) = redis_server.keys("*~t:*")
        return redis_server.command("PTTL", token) > 4_000

    def shorten():
        (token,) = redis_server.keys("*~t:*")
        redis_server.command("PEXPIRE", token, 2_000)

    end = time.monotonic() + 20
    if is_coroutine:

        @cached(cache, ttl=60, singleflight=True)
        async def slow(n):
            shorten()
            while not is_renewed():
                assert time.monotonic() < end
                await asyncio.sleep(0.001)
            return n

        assert asyncio.run(slow(1)) == 1
    else:

        @cached(cache, ttl=60, singleflight=True)
        def slow(n):
            shorten()
            while not is_renewed():
                assert time.monotonic() < end
                time.sleep(0)
            return n

        assert slow(1) == 1
    assert redis_server.command("GET", slow.cache_key(1)) == b"1"
    assert redis_server.keys("*~t:*") == []


def test_a_right_without_an_end_is_given_one(redis_server, monkeypatch):
    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port)
    filler, terms = _core.Filler(cache), _core.Terms(60, None, None, True)
    call = cache._flights._call("key", terms)
    filler.claim(call, None, False, True, False)
    (token,) = redis_server.keys("*~t:*")
    redis_server.command("PERSIST", token)
    how, _ = filler.claim(cache._flights._call("key", terms), None, False, True, False)
    assert how == _remote.HELD
    assert 0 < redis_server.command("PTTL", token) <= 5_000
    cache.close()


def test_ctrl_c_in_a_function_does_not_wait_for_a_frozen_server(own_redis):
    cache = RedisCache("127.0.0.1", own_redis.port, timeout=30)

    @cached(cache, ttl=60, singleflight=True)
    def load(n):
        own_redis.freeze()
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load(1)
    assert time.monotonic() - began < 5
    own_redis.thaw()
    cache.close()
