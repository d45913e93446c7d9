"""Any number of tasks share one computation."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import traceback
import weakref

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached

from .crowd import PATIENCE, Gate, soon
from .flights import Flight, run


class Wrong(Exception):
    pass


@pytest.fixture(params=[InMemoryCache, AsyncInMemoryCache], ids=lambda kind: kind.__name__)
def cache(request):
    return request.param()


def test_a_thousand_tasks_cost_one_computation(cache):
    flight = Flight(cache, object)
    outcomes = run(flight.share(1000))
    assert len({id(outcome) for outcome in outcomes}) == 1
    assert flight.runs == 1
    info = flight.f.cache_info()
    assert (info.misses, info.coalesced, info.currsize) == (1000, 999, 1)


def test_none_and_refused_results_are_shared(cache):
    for options in ({}, {"condition": lambda value: False}, {"ttl": 0}):
        flight = Flight(cache, **options, version=str(options))
        assert run(flight.share(100)) == [None] * 100
        assert flight.runs == 1


def test_an_exception_is_shared_as_one_object_that_does_not_grow(cache):
    def fail():
        raise Wrong

    lengths = set()
    for count in (2, 50):
        flight = Flight(cache, fail, version=str(count))
        outcomes = run(flight.share(count))
        assert len({id(outcome) for outcome in outcomes}) == 1
        assert isinstance(outcomes[0], Wrong)
        lines = traceback.extract_tb(outcomes[0].__traceback__)
        assert lines[-1].name == "fail"
        lengths.add(len(lines))
        alive = weakref.ref(outcomes[0])
        del outcomes
        gc.collect()
        assert alive() is None
    assert len(lengths) == 1


def test_five_thousand_keys_in_flight_need_no_thread_each(cache):
    async def main():
        gate, runs = Gate(), []

        @cached(cache, singleflight=True)
        async def f(x):
            runs.append(x)
            while not gate._open.is_set():
                await opened.wait()
            return x

        opened = asyncio.Event()
        before = threading.active_count()
        callers = [asyncio.create_task(f(x)) for x in range(5000) for _ in range(2)]
        await soon(lambda: len(runs) == 5000 and f.cache_info().coalesced == 5000)
        assert threading.active_count() <= before
        gate.open()
        opened.set()
        assert await asyncio.gather(*callers) == [x for x in range(5000) for _ in range(2)]

    run(main())


def test_a_callback_that_raises_is_raised_by_every_caller(cache):
    def tags(*args):
        raise Wrong

    flight = Flight(cache, object, tags=tags)

    async def main():
        return await asyncio.gather(*(flight.f() for _ in range(10)), return_exceptions=True)

    outcomes = run(main())
    assert all(isinstance(outcome, Wrong) for outcome in outcomes)
    assert flight.runs == 0


def test_a_result_that_can_be_used_once_is_computed_by_everybody(cache):
    flight = Flight(cache, lambda: iter([1, 2]))
    outcomes = run(flight.share(20))
    assert [list(outcome) for outcome in outcomes] == [[1, 2]] * 20
    assert flight.runs == 20


def test_a_blocking_call_on_the_loop_of_the_computation_does_not_wait_for_it():
    cache = InMemoryCache()

    async def main():
        @cached(cache, singleflight=True)
        async def f(x):
            await opened.wait()
            return "task"

        opened = asyncio.Event()
        key = f.cache_key(1)

        def blocking():
            return cache.get_or_set(key, lambda: "blocking")

        # One that has not come to its first step, and one that has.
        early = asyncio.create_task(f(1))
        early_block = asyncio.create_task(_call(blocking))
        began = time.monotonic()
        assert await early_block == "blocking"
        opened.set()
        assert await early in ("task", "blocking")
        cache.delete(key)
        opened.clear()
        late = asyncio.create_task(f(1))
        await soon(lambda: f.cache_info().misses == 2)
        assert blocking() == "blocking"
        opened.set()
        assert await late == "task"
        assert time.monotonic() - began < PATIENCE

    run(main())


async def _call(function):
    return function()
