"""The life of an entry, to the moment: fresh, stale with one refresh behind it, gone."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import pytest
from cachine import InMemoryCache, cached
from cachine.exceptions import ConfigError

from .crowd import Gate, eventually, together

BOTH = pytest.mark.parametrize("singleflight", [False, True])


class Source:
    """A function that returns 1, 2, 3 and so on."""

    def __init__(self, **options):
        self.runs = 0
        self.cache = InMemoryCache()
        self.f = cached(self.cache, **options)(self._next)

    def _next(self):
        self.runs += 1
        return self.runs

    def refreshed(self, value):
        """Wait until a background refresh has stored this value."""
        key = self.f.cache_key()
        eventually(lambda: self.cache.get(key) == value, f"{value} is stored")


@BOTH
def test_the_timeline_of_the_seed(clock, singleflight):
    source = Source(ttl=60, stale_ttl=120, singleflight=singleflight)
    f = source.f
    assert f() == 1
    clock.advance(59.999)
    assert f() == 1
    assert source.runs == 1, "fresh: nothing is computed"
    clock.advance(0.001)
    assert f() == 1, "stale from 60 s on: answered at once"
    source.refreshed(2)
    assert source.runs == 2
    clock.advance(59.999)
    assert f() == 2, "the refreshed value has a whole life of its own"
    clock.advance(60.001)
    assert f() == 3, "at 120 s it is gone, and the call waits for a new one"
    assert source.runs == 3
    info = f.cache_info()
    assert (info.hits, info.misses, info.stale) == (3, 2, 1)


@BOTH
def test_the_last_moment_of_the_stale_window_and_the_first_after_it(clock, singleflight):
    source = Source(ttl=60, stale_ttl=120, singleflight=singleflight)
    source.f()
    clock.advance(119.999)
    assert source.f() == 1
    source.refreshed(2)
    other = Source(ttl=60, stale_ttl=120, singleflight=singleflight)
    other.f()
    clock.advance(120)
    assert other.f() == 2


@BOTH
def test_a_stale_hit_starts_exactly_one_refresh_for_any_number_of_callers(clock, singleflight):
    gate = Gate()
    runs = []

    @cached(InMemoryCache(), ttl=10, stale_ttl=100, singleflight=singleflight)
    def f():
        runs.append(1)
        if len(runs) > 1:
            gate.passing()
        return len(runs)

    f()
    clock.advance(10)
    assert together(50, f) == [1] * 50
    gate.arrived()
    assert [f() for _ in range(20)] == [1] * 20
    assert len(runs) == 2
    gate.open()
    eventually(lambda: f() == 2)
    assert len(runs) == 2


def test_tasks_get_the_stale_value_at_once_and_start_one_refresh(clock):
    async def main(singleflight):
        runs = []
        opened = asyncio.Event()

        @cached(InMemoryCache(), ttl=10, stale_ttl=100, singleflight=singleflight)
        async def f():
            runs.append(1)
            if len(runs) > 1:
                await opened.wait()
            return len(runs)

        await f()
        clock.advance(10)
        assert await asyncio.gather(*(f() for _ in range(100))) == [1] * 100
        assert len(runs) <= 2
        opened.set()
        while await f() != 2:
            await asyncio.sleep(0)
        assert len(runs) == 2

    for singleflight in (False, True):
        asyncio.run(main(singleflight))


def test_a_sub_second_ttl_is_kept(clock):
    source = Source(ttl=0.25)
    assert source.f() == 1
    clock.advance(0.249)
    assert source.f() == 1
    clock.advance(0.001)
    assert source.f() == 2


def test_times_may_be_timedeltas(clock):
    source = Source(ttl=timedelta(minutes=1), stale_ttl=timedelta(minutes=2))
    source.f()
    clock.advance(timedelta(seconds=60))
    assert source.f() == 1
    source.refreshed(2)


@pytest.mark.parametrize("stale_ttl", [60, 59, 0, -1])
def test_a_stale_ttl_that_is_no_longer_than_ttl_leaves_no_stale_window(clock, stale_ttl):
    source = Source(ttl=60, stale_ttl=stale_ttl)
    assert source.f() == 1
    clock.advance(59.999)
    assert source.f() == 1
    clock.advance(0.001)
    assert source.f() == 2
    assert source.f.cache_info().stale == 0


def test_a_stale_ttl_without_ttl_is_refused():
    with pytest.raises(ConfigError, match="stale_ttl=60 without ttl"):
        cached(InMemoryCache(), stale_ttl=60)
    with pytest.raises(ValueError):
        cached(InMemoryCache(), stale_ttl=60)


@pytest.mark.parametrize("ttl", [0, -1, -0.5, timedelta(0)])
def test_a_ttl_that_is_not_positive_stores_nothing(clock, ttl):
    source = Source(ttl=ttl)
    assert [source.f(), source.f()] == [1, 2]
    assert len(source.cache) == 0


def test_without_ttl_a_result_is_fresh_for_ever(clock):
    source = Source()
    source.f()
    clock.advance(1e9)
    assert source.f() == 1
    assert source.cache.ttl(source.f.cache_key()) is None


def test_jitter_adds_up_to_so_many_seconds_and_spreads(clock):
    cache = InMemoryCache()
    f = cached(cache, ttl=100, jitter=50)(lambda x: x)
    for number in range(400):
        f(number)
    lives = [cache.ttl(f.cache_key(number)) for number in range(400)]
    assert all(100 <= life <= 150 for life in lives)
    tenths = [sum(100 + 5 * at < life <= 105 + 5 * at for life in lives) for at in range(10)]
    assert all(tenth > 10 for tenth in tenths), f"about 40 each are expected: {tenths}"


def test_jitter_moves_both_ends_of_the_stale_window_alike(clock):
    cache = InMemoryCache()
    f = cached(cache, ttl=100, stale_ttl=300, jitter=50)(lambda x: object())
    values = {number: f(number) for number in range(60)}
    # What is left when it turns stale is the same for all: 200 s.
    lives = {number: cache.ttl(f.cache_key(number)) for number in values}
    assert len(set(lives.values())) > 10
    assert all(300 <= life <= 350 for life in lives.values())
    clock.advance(100)
    fresh = [number for number in values if lives[number] > 301]
    assert fresh and all(f(number) is values[number] for number in fresh)
    assert f.cache_info().stale <= len(values) - len(fresh)


def test_without_jitter_all_end_at_once(clock):
    cache = InMemoryCache()
    f = cached(cache, ttl=100)(lambda x: x)
    assert {cache.ttl(f.cache_key(number)) for number in range(50) if f(number) == number} == {100}


@pytest.mark.parametrize("option", ["ttl", "stale_ttl", "jitter"])
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (math.nan, ValueError),
        (True, TypeError),
        (False, TypeError),
        ("60", TypeError),
        (b"60", TypeError),
        ([60], TypeError),
        (60 + 0j, TypeError),
    ],
)
def test_a_wrong_time_is_refused_at_decoration(option, wrong, error):
    with pytest.raises(error, match=option):
        cached(InMemoryCache(), **{"ttl": 60, option: wrong})


@pytest.mark.parametrize("ttl", [math.inf, 1e30, 10**40, timedelta.max])
def test_huge_times_saturate(clock, ttl):
    source = Source(ttl=ttl, stale_ttl=ttl, jitter=ttl)
    source.f()
    clock.advance(1e9)
    assert source.f() == 1


def test_get_or_set_has_the_same_timeline(clock, cache):
    made = iter(range(1, 10))

    def get():
        return cache.get_or_set("k", lambda: next(made), 60, stale_ttl=120)

    assert get() == 1
    clock.advance(60)
    assert get() == 1
    eventually(lambda: cache.get("k") == 2)
    clock.advance(120)
    assert get() == 3


def test_a_refreshed_entry_ends_by_the_time_of_the_refresh_and_not_of_the_first_write(clock):
    source = Source(ttl=60, stale_ttl=120)
    source.f()
    clock.advance(119)
    source.f()
    source.refreshed(2)
    clock.advance(100)
    assert source.f() == 2
    source.refreshed(3)


def test_expire_and_touch_give_a_fresh_life_and_end_the_stale_window(clock):
    source = Source(ttl=60, stale_ttl=120)
    f, key = source.f, source.f.cache_key()
    f()
    clock.advance(60)
    assert source.cache.expire(key, 30)
    clock.advance(29)
    assert f() == 1
    assert f.cache_info().stale == 0
    clock.advance(1)
    assert f() == 2


def test_the_stale_window_in_real_seconds():
    source = Source(ttl=0.05, stale_ttl=60)
    assert source.f() == 1
    seen = []
    eventually(lambda: seen.append(source.f()) or seen[-1] >= 2)
    assert set(seen) == {1, 2}, "the old value until the new one was there"
