"""Refreshes in the background: what fails stays stale and backs off; threads are few."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest
from cachine import InMemoryCache, _log, _refresh, cached

from .crowd import Gate, eventually, soon


class Refreshed:
    """A stale function whose runs after the first are scripted, and counted when they end."""

    def __init__(self, clock, then, **options):
        self.clock = clock
        self.then = then
        self.runs = 0
        self.f = cached(InMemoryCache(), ttl=10, stale_ttl=10_000, **options)(self._run)
        assert self.f() == "old"
        clock.advance(10)

    def _run(self):
        self.runs += 1
        return "old" if self.runs == 1 else self.then()

    def hit(self):
        """One stale hit, and the refresh that it may have started brought to its end."""
        before = self.runs
        assert self.f() == "old"
        eventually(self.is_idle, "no refresh is under way")
        return self.runs - before

    @staticmethod
    def is_idle():
        pool = _refresh._pool
        return not pool.jobs and len(pool.sleepers) == pool.running

    def pauses(self, steps):
        """After how long each of the next refreshes is tried; the clock moves in small steps."""
        found = []
        waited = 0.0
        while len(found) < steps:
            self.clock.advance(0.25)
            waited += 0.25
            if self.hit():
                found.append(waited)
                waited = 0.0
        return found


def fail():
    raise ValueError("no")


BACK_OFF = [0.5, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize("singleflight", [False, True])
def test_a_failing_refresh_backs_off_from_half_a_second_to_thirty(clock, singleflight):
    source = Refreshed(clock, fail, singleflight=singleflight)
    assert source.hit() == 1
    assert source.hit() == 0, "not again at once"
    assert source.pauses(len(BACK_OFF)) == BACK_OFF


REFUSALS = {
    "condition": {"condition": lambda value: value == "old"},
    "none": {"cache_none": False},
    "callback": {"condition": lambda value: value == "old" or fail()},
    "tags": {"tags_from_result": lambda value: [] if value == "old" else fail()},
}


@pytest.mark.parametrize("why", list(REFUSALS))
def test_a_refresh_whose_result_is_not_stored_backs_off_too(clock, why):
    source = Refreshed(clock, lambda: None if why == "none" else "new", **REFUSALS[why])
    assert source.hit() == 1
    assert source.pauses(4) == BACK_OFF[:4]
    assert source.f() == "old"


def test_after_a_refresh_that_works_the_back_off_begins_anew(clock):
    results = [fail, fail, lambda: "old", fail, fail]
    source = Refreshed(clock, lambda: results.pop(0)())
    assert source.hit() == 1
    assert source.pauses(2) == [0.5, 1]
    clock.advance(10)
    assert source.hit() == 1
    assert source.pauses(1) == [0.5]


def test_the_back_off_of_one_key_is_not_that_of_another(clock):
    runs = []

    @cached(InMemoryCache(), ttl=10, stale_ttl=1000)
    def f(x):
        runs.append(x)
        if len(runs) > 2:
            raise ValueError
        return x

    f(1), f(2)
    clock.advance(10)
    f(1)
    eventually(lambda: len(runs) == 3 and Refreshed.is_idle())
    f(1)
    f(2)
    eventually(lambda: runs == [1, 2, 1, 2])


def test_the_stale_value_ends_at_its_end_however_its_refreshes_went(clock):
    source = Refreshed(clock, fail)
    source.hit()
    clock.advance(10_000)
    with pytest.raises(ValueError, match="no"):
        source.f()


@pytest.mark.parametrize("why", ["raises", "refused"])
def test_a_refresh_that_fails_is_logged_once_an_interval(clock, lines, monkeypatch, why):
    now = [0.0]
    monkeypatch.setattr(_log, "monotonic", lambda: now[0])
    options = {} if why == "raises" else {"condition": lambda value: value == "old"}
    source = Refreshed(clock, fail if why == "raises" else (lambda: "new"), **options)
    source.hit()
    source.pauses(3)
    (line,) = lines()
    what = "refresh failed" if why == "raises" else "refresh not stored"
    assert line.startswith(what) and "_run" in line and "stale" in line
    now[0] = _log.INTERVAL
    source.pauses(1)
    assert len(lines()) == 2
    assert "3 more since the last line" in lines()[1]


def test_tasks_back_off_alike_and_log_alike(clock, lines):
    async def main():
        runs = []

        @cached(InMemoryCache(), ttl=10, stale_ttl=1000, singleflight=True)
        async def f():
            runs.append(1)
            if len(runs) > 1:
                await asyncio.sleep(0)
                raise ValueError
            return "old"

        async def hit():
            assert await f() == "old"
            await soon(lambda: len(asyncio.all_tasks()) == 1)
            return len(runs)

        await f()
        clock.advance(10)
        assert await hit() == 2
        assert await hit() == 2
        for expected, pause in enumerate(BACK_OFF[:5], 3):
            clock.advance(pause - 0.01)
            assert await hit() == expected - 1
            clock.advance(0.01)
            assert await hit() == expected

    asyncio.run(main())
    (line,) = lines()
    assert line.startswith("refresh failed")


def test_a_write_during_a_refresh_wins(clock):
    gate = Gate()
    source = Refreshed(clock, lambda: gate.passing() or "refreshed")
    cache, key = source.f._decorated.cache, source.f.cache_key()
    assert source.f() == "old"
    gate.arrived()
    cache.set(key, "written")
    gate.open()
    eventually(source.is_idle)
    assert cache.get(key) == "written"


def test_a_refresh_sees_the_context_of_the_call_that_started_it(clock):
    who = contextvars.ContextVar("who", default="nobody")
    seen = []
    source = Refreshed(clock, lambda: seen.append(who.get()) or "old")
    contextvars.copy_context().run(lambda: (who.set("ann"), source.hit()))
    assert seen == ["ann"]


def test_a_thread_that_is_told_to_exit_by_a_refresh_stays(clock):
    def leave():
        raise SystemExit(3)

    source = Refreshed(clock, leave)
    for pause in BACK_OFF[:10]:
        assert source.hit() == 1
        clock.advance(pause)


def test_a_refresh_is_no_part_of_the_computation_that_started_it(clock):
    cache = InMemoryCache()
    runs = []

    @cached(cache, singleflight=True)
    def outer():
        runs.append(1)
        found = inner()
        eventually(lambda: outer.cache_info().coalesced == 1, "the refresh waits for this")
        return found, "outer"

    @cached(cache, ttl=10, stale_ttl=100)
    def inner():
        return "old" if not runs else outer()

    assert inner() == "old"
    clock.advance(10)
    assert outer() == ("old", "outer")
    eventually(lambda: inner() == ("old", "outer"))
    assert len(runs) == 1


def test_refresh_tasks_are_kept_while_they_run(clock):
    async def main():
        runs = []
        future = asyncio.get_running_loop().create_future()
        cache = InMemoryCache()

        @cached(cache, ttl=10, stale_ttl=1000)
        async def f():
            runs.append(1)
            if len(runs) > 1:
                await future
            return len(runs)

        await f()
        clock.advance(10)
        await f()
        await soon(lambda: len(runs) == 2)
        for _ in range(3):
            gc.collect()
            await asyncio.sleep(0)
        future.set_result(None)
        await soon(lambda: cache.get(f.cache_key()) == 2)

    asyncio.run(main())
