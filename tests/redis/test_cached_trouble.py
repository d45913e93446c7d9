"""Cached functions in Redis when something is in the way: races, signals, a server that is gone."""

import asyncio
import functools
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from functions import door, eventually, left_behind  # noqa: F401

from cachine import AsyncRedisCache, RedisCache, _core, _remote, _renewal, cached
from cachine.exceptions import CacheConnectionError


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
    left = left_behind(door.server)
    assert not any("~t:" in key for key in left), "the right was given back"


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


@pytest.mark.parametrize("is_coroutine", [False, True], ids=["threads", "tasks"])
@pytest.mark.parametrize("change", ["delete", "tags", "clear"])
def test_an_error_from_before_an_invalidation_is_not_shared(redis_server, is_coroutine, change):
    redis_server.command("FLUSHALL")
    kind = AsyncRedisCache if is_coroutine else RedisCache
    cache = kind("127.0.0.1", redis_server.port, namespace="ns")
    # Of what could be another process: it shares no computation with the first.
    elsewhere = RedisCache("localhost", redis_server.port, namespace="ns")
    source, begun, go = [1], threading.Event(), threading.Event()

    def body(seen):
        begun.set()
        go.wait(20)
        raise LookupError(seen)

    if is_coroutine:

        @cached(cache, ttl=60, singleflight=True, tags=["t"])
        async def load(n):
            await asyncio.get_running_loop().run_in_executor(None, body, source[0])

    else:

        @cached(cache, ttl=60, singleflight=True, tags=["t"])
        def load(n):
            body(source[0])

    def change_it():
        begun.wait(20)
        source[0] = 2
        if change == "delete":
            elsewhere.delete(load.cache_key(1))
        elif change == "tags":
            elsewhere.invalidate_tags(["t"])
        else:
            elsewhere.clear()

    def told(error):
        return error.args[0]

    if is_coroutine:

        async def scene():
            first = asyncio.ensure_future(load(1))
            await asyncio.get_running_loop().run_in_executor(None, change_it)
            second = asyncio.ensure_future(load(1))
            while load.cache_info().coalesced == 0:
                await asyncio.sleep(0.001)
            go.set()
            results = await asyncio.gather(first, second, return_exceptions=True)
            await cache.close()
            return results

        results = asyncio.run(scene())
    else:
        results = [None, None]

        def call(place):
            try:
                load(1)
            except LookupError as error:
                results[place] = error

        first = threading.Thread(target=call, args=(0,))
        first.start()
        change_it()
        second = threading.Thread(target=call, args=(1,))
        second.start()
        while load.cache_info().coalesced == 0:
            time.sleep(0.001)
        go.set()
        first.join()
        second.join()
        cache.close()
    assert [told(error) for error in results] == [1, 2]
    elsewhere.close()


@pytest.mark.parametrize("is_coroutine", [False, True], ids=["threads", "tasks"])
def test_who_joins_a_computation_of_its_process_asks_nobody(redis_server, is_coroutine):
    redis_server.command("FLUSHALL")
    kind = AsyncRedisCache if is_coroutine else RedisCache
    cache = kind("127.0.0.1", redis_server.port)
    begun, go = threading.Event(), threading.Event()

    def body():
        begun.set()
        return go.wait(20)

    def reads():
        told = redis_server.command("INFO", "commandstats").decode()
        return told.partition("cmdstat_get:calls=")[2].partition(",")[0]

    if is_coroutine:

        @cached(cache, ttl=60, singleflight=True)
        async def load(n):
            return await asyncio.get_running_loop().run_in_executor(None, body)

        async def scene():
            calls = [asyncio.ensure_future(load(1))]
            await asyncio.get_running_loop().run_in_executor(None, begun.wait, 20)
            before = reads()
            calls += [asyncio.ensure_future(load(1)) for _ in range(20)]
            while load.cache_info().coalesced < 20:
                await asyncio.sleep(0.001)
            asked = (before, reads())
            go.set()
            assert await asyncio.gather(*calls) == [True] * 21
            await cache.close()
            return asked

        before, after = asyncio.run(scene())
    else:

        @cached(cache, ttl=60, singleflight=True)
        def load(n):
            return body()

        with ThreadPoolExecutor(21) as pool:
            calls = [pool.submit(load, 1)]
            begun.wait(20)
            before = reads()
            calls += [pool.submit(load, 1) for _ in range(20)]
            while load.cache_info().coalesced < 20:
                time.sleep(0.001)
            after = reads()
            go.set()
            assert [call.result() for call in calls] == [True] * 21
        cache.close()
    assert before == after
    info = load.cache_info()
    assert (info.misses, info.coalesced) == (21, 20), "each call counts once"


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
    right = _renewal.right_to_store("server", filler, call, token)
    held = _renewal.keep(right)
    gone = weakref.ref(held)
    assert _renewal._lives(gone)
    del held  # As a signal between two lines does it.
    assert gone() is None and not _renewal._lives(gone)

    async def scene():
        held = _renewal.keep_on_loop(cache._links, right)
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
def test_a_right_is_not_renewed_for_ever(redis_server, monkeypatch, is_coroutine):
    monkeypatch.setattr(_renewal, "PERIOD", 0.02)
    monkeypatch.setattr(_renewal, "MAX_HOLD", 0.1)
    redis_server.command("FLUSHALL")
    kind = AsyncRedisCache if is_coroutine else RedisCache
    cache = kind("127.0.0.1", redis_server.port)

    def renewals():
        told = redis_server.command("INFO", "commandstats").decode()
        return told.partition("cmdstat_pexpire:calls=")[2].partition(",")[0]

    def is_still():
        before = renewals()
        time.sleep(0.2)  # Ten renewals would fit in here.
        return renewals() == before

    if is_coroutine:

        @cached(cache, ttl=60, singleflight=True)
        async def slow(n):
            while not await asyncio.to_thread(is_still):
                pass
            return n

        async def scene():
            assert await slow(1) == 1
            await cache.close()

        asyncio.run(scene())
    else:

        @cached(cache, ttl=60, singleflight=True)
        def slow(n):
            while not is_still():
                pass
            return n

        assert slow(1) == 1
        cache.close()


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
