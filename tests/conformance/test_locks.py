"""Locks: one holder at a time, whoever waits, and whatever becomes of the holder's block."""

import copy
import pickle
import time
from datetime import timedelta

import pytest

from cachine.exceptions import CacheTimeoutError, ClosedError, ConfigError, InvalidKeyError
from cachine.middleware import MetricsMiddleware

from .column import stacked


@pytest.fixture
def elsewhere(column):
    """What entering a lock in another thread, or task, comes to: the token, or what it raised."""

    async def tried(lock):
        async def call():
            try:
                async with lock as inside:
                    return inside.token
            except Exception as error:
                return error

        (result,) = await column.together(call, 1)
        return result

    return tried


def is_taken(result):
    """Whether somebody else had the lock."""
    return isinstance(result, CacheTimeoutError)


async def test_one_holder_at_a_time(cache, elsewhere):
    async with cache.lock("name") as lock:
        assert lock.name == "name" and type(lock.token) is int and lock.lost is False
        error = await elsewhere(cache.lock("name", timeout=0))
        assert is_taken(error)
        assert (error.operation, error.retryable) == ("lock", True)
        assert "'name' was not free within 0 s" in str(error)
        assert type(await elsewhere(cache.lock("other", timeout=0))) is int
    assert type(await elsewhere(cache.lock("name", timeout=0))) is int
    assert lock.lost is False


async def test_entering_gives_the_lock_itself(cache, elsewhere):
    lock = cache.lock("name")
    async with lock as entered:
        assert entered is lock


@pytest.mark.parametrize("timeout", [0.05, timedelta(milliseconds=50)], ids=["float", "timedelta"])
async def test_who_waits_gives_up_after_the_timeout_and_not_before(cache, elsewhere, timeout):
    async with cache.lock("name"):
        began = time.monotonic()
        assert is_taken(await elsewhere(cache.lock("name", timeout=timeout)))
        assert time.monotonic() - began >= 0.05


async def test_who_gave_up_leaves_nothing_behind(cache, column, elsewhere):
    lock = cache.lock("name", timeout=0.001)
    async with cache.lock("name"):
        for _ in range(3):
            assert is_taken(await elsewhere(lock))
    assert type(await elsewhere(lock)) is int


async def test_who_waits_gets_it_when_it_is_left(cache, column):
    inside, tokens = column.gate(), []

    async def call(place):
        if place == 0:
            async with cache.lock("name") as lock:
                inside.open()
                await column.turn()
                tokens.append(lock.token)
        else:
            await inside.passed()
            async with cache.lock("name", timeout=20) as lock:
                tokens.append(lock.token)

    places = iter(range(2))
    await column.together(lambda: call(next(places)), 2)
    assert len(tokens) == 2 and tokens[0] < tokens[1]


@pytest.mark.parametrize("is_shared", [True, False], ids=["one object", "objects of their own"])
async def test_a_counter_that_callers_change_in_turn_is_exact(cache, column, is_shared):
    one, count, tokens = cache.lock("name"), [0], []

    async def call():
        for _ in range(5):
            async with one if is_shared else cache.lock("name") as lock:
                before = count[0]
                await column.turn()
                count[0] = before + 1
                tokens.append(lock.token)

    await column.together(call, 20)
    assert count == [100]
    assert tokens == sorted(set(tokens)), "each holder has a larger one"


async def test_tokens_grow_over_objects_names_of_no_holder_and_time(cache, column):
    tokens = []
    for _ in range(3):
        async with cache.lock("name") as lock:
            assert lock.token == lock.fence
            tokens.append(lock.token)
        column.advance(1)
        async with lock:
            tokens.append(lock.token)
        assert lock.token == tokens[-1], "that of the last holder"
    assert tokens == sorted(set(tokens))


async def test_views_have_locks_of_their_own_namespace(cache, elsewhere):
    inner, same = cache.with_namespace("inner"), cache.with_namespace("inner")
    async with inner.lock("name"):
        for name in ("name", "inner:name"):
            assert type(await elsewhere(cache.lock(name, timeout=0))) is int
        assert is_taken(await elsewhere(same.lock("name", timeout=0)))


async def test_a_wrapped_cache_has_the_locks_of_the_one_it_wraps(column, elsewhere):
    plain = column.plain(namespace="n")
    for wrapped in (MetricsMiddleware(plain), stacked(plain) if column.keeps_objects else plain):
        async with column.awaited(wrapped).lock("name") as lock:
            assert is_taken(await elsewhere(column.awaited(plain).lock("name", timeout=0)))
            assert "namespace='n'" in repr(lock)


async def test_what_a_block_raises_passes_unchanged_and_the_lock_is_free(cache, elsewhere):
    class Odd(Exception):
        pass

    for error in (Odd(1), KeyError("key"), SystemExit(3)):
        lock = cache.lock("name")
        with pytest.raises(type(error)) as caught:
            async with lock:
                raise error
        assert caught.value is error
        assert caught.value.__context__ is None and caught.value.__cause__ is None
        assert type(await elsewhere(cache.lock("name", timeout=20))) is int
        assert "not held" in repr(lock) and lock.lost is False


async def test_who_holds_a_lock_can_not_take_it_again(cache, elsewhere):
    lock = cache.lock("name")
    async with lock:
        token = lock.token
        for again in (lock, cache.lock("name"), cache.lock("name", timeout=0)):
            with pytest.raises(RuntimeError, match="already held by this (thread|task)"):
                async with again:
                    pass
        assert lock.token == token and lock.lost is False
        assert is_taken(await elsewhere(cache.lock("name", timeout=0))), "it is still held"
        async with cache.lock("other"):
            pass
    async with lock:
        assert lock.token > token


async def test_clear_spares_locks_and_a_lock_is_no_key(cache, column, elsewhere):
    inner = cache.with_namespace("inner")
    async with inner.lock("name") as lock:
        assert await inner.exists("name") is False
        await inner.set("name", "value")
        assert await inner.get("name") == "value"
        await inner.clear()
        await cache.clear(dangerously_clear_all=True)
        assert is_taken(await elsewhere(inner.lock("name", timeout=0)))
        assert lock.lost is False
    token = lock.token
    await cache.clear(dangerously_clear_all=True)
    async with inner.lock("name") as lock:
        assert lock.token > token


async def test_a_lock_has_no_token_before_it_is_entered(cache):
    lock = cache.lock("name")
    for name in ("token", "fence"):
        with pytest.raises(RuntimeError, match="no token before it was entered"):
            getattr(lock, name)
    assert lock.lost is False and "not held" in repr(lock)
    with pytest.raises(RuntimeError, match="is not held"):
        await lock.__aexit__(None, None, None)


async def test_a_lock_says_what_it_is_and_can_not_be_copied(cache):
    async with cache.with_namespace("inner").lock("name") as lock:
        plain = getattr(lock, "blocking", lock)
        assert repr(plain) == f"{type(plain).__name__}('name', namespace='inner', held)"
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="can't be copied or pickled"):
                act(plain)


async def test_a_closed_cache_gives_no_lock(column, make):
    cache = column.make()
    lock = cache.lock("name")
    await cache.close()
    with pytest.raises(ClosedError):
        async with lock:
            pass
    with pytest.raises(ClosedError):
        cache.lock("name")


async def test_a_cache_that_is_closed_in_a_block_does_not_spoil_it(column):
    cache, other = column.make(), column.make()
    async with cache.lock("name") as lock:
        await cache.close()
    assert lock.lost is False
    await other.close()


async def test_a_view_that_is_closed_gives_back_its_lock(cache, elsewhere):
    view = cache.with_namespace("inner")
    async with view.lock("name"):
        await view.close()
    again = cache.with_namespace("inner")
    assert type(await elsewhere(again.lock("name", timeout=0))) is int


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("",), InvalidKeyError),
        ((b"name",), TypeError),
        ((1,), TypeError),
        ((None,), TypeError),
        (("\ud800",), InvalidKeyError),
        (("name", 0), ConfigError),
        (("name", -1), ConfigError),
        (("name", timedelta(0)), ConfigError),
        (("name", timedelta(seconds=-1)), ConfigError),
        (("name", None), TypeError),
        (("name", "30"), TypeError),
        (("name", True), TypeError),
        (("name", float("nan")), ValueError),
        (("name", 30, -0.1), ConfigError),
        (("name", 30, timedelta(seconds=-1)), ConfigError),
        (("name", 30, "1"), TypeError),
        (("name", 30, False), TypeError),
        (("name", 30, float("nan")), ValueError),
    ],
)
async def test_a_wrong_argument_is_refused_at_once(cache, arguments, error):
    with pytest.raises(error) as caught:
        cache.lock(*arguments)
    assert type(caught.value) is error


async def test_times_may_be_as_long_as_one_likes(cache):
    for ttl, timeout in ((float("inf"), float("inf")), (timedelta.max, timedelta.max), (1e300, 0)):
        async with cache.lock("name", ttl, timeout) as lock:
            assert lock.lost is False


async def test_a_name_may_have_any_character(cache, elsewhere):
    for name in ("a b", "{x}", "ü", "a:b", "%\n", "x" * 200):
        async with cache.lock(name):
            assert is_taken(await elsewhere(cache.lock(name, timeout=0)))
