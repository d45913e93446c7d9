"""Any number of tasks share one computation, and none of them can spoil it for the others."""

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

CACHES = [InMemoryCache, AsyncInMemoryCache]


class Wrong(Exception):
    pass


@pytest.fixture(params=CACHES, ids=lambda kind: kind.__name__)
def cache(request):
    return request.param()


def run(main):
    """Run a coroutine that must not hang, and see that nothing of it is left over."""
    noise = []

    async def limited():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: noise.append(context))
        result = await asyncio.wait_for(main, PATIENCE)
        await soon(lambda: len(asyncio.all_tasks()) == 1, "no task is left")
        return result

    result = asyncio.run(limited())
    gc.collect()
    assert noise == []
    return result


class Flight:
    """A coroutine function that a test holds while others wait for it."""

    def __init__(self, cache, result=None, **options):
        self.gate = Gate()
        self.runs = 0
        self.cancelled = 0
        self.result = result
        self.f = cached(cache, singleflight=True, **options)(self._run)

    async def _run(self, x=0):
        self.runs += 1
        try:
            await self.gate.passing_async()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.result() if callable(self.result) else self.result

    async def callers(self, count):
        """So many tasks that call, all of them waiting."""
        before = self.f.cache_info().misses
        tasks = [asyncio.create_task(self.f()) for _ in range(count)]
        await soon(lambda: self.f.cache_info().misses == before + count and self.runs)
        return tasks

    async def share(self, count):
        tasks = await self.callers(count)
        self.gate.open()
        return await asyncio.gather(*tasks, return_exceptions=True)


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


def test_a_cancelled_caller_leaves_the_computation_to_the_others(cache):
    async def main():
        flight = Flight(cache, object)
        tasks = await flight.callers(10)
        for task in tasks[:9]:
            task.cancel()
        await asyncio.wait(tasks[:9])
        assert all(task.cancelled() for task in tasks[:9])
        flight.gate.open()
        value = await tasks[9]
        assert await flight.f() is value
        assert (flight.runs, flight.cancelled) == (1, 0)

    run(main())


def test_the_last_one_to_leave_cancels_the_computation(cache):
    async def main():
        flight = Flight(cache, object)
        tasks = await flight.callers(10)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await soon(lambda: flight.cancelled == 1)
        flight.gate.open()
        assert await flight.f() is not None
        assert flight.runs == 2

    run(main())


def test_a_caller_that_times_out_is_one_that_leaves(cache):
    async def main():
        flight = Flight(cache, object)
        patient = (await flight.callers(1))[0]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(flight.f(), 0.001)
        flight.gate.open()
        assert await patient is not None
        assert (flight.runs, flight.cancelled) == (1, 0)

    run(main())


def test_callers_cancelled_before_their_first_step_leave_nothing_behind(cache):
    async def main():
        flight = Flight(cache, object)
        tasks = [asyncio.create_task(flight.f()) for _ in range(3)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert flight.runs == 0
        flight.gate.open()
        assert await flight.f() is not None

    run(main())


@pytest.mark.parametrize("steps", range(8))
def test_a_caller_cancelled_at_any_of_its_steps_leaves_a_key_that_works(cache, steps):
    async def main():
        async def load():
            for _ in range(3):
                await asyncio.sleep(0)
            return object()

        f = cached(cache, singleflight=True)(load)
        for company in (False, True):
            await _settled(f.invalidate())
            task = asyncio.create_task(f())
            other = asyncio.create_task(f()) if company else None
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(outcome, asyncio.CancelledError) or outcome is not None
            value = await f()
            assert await f() is value
            assert other is None or await other is not None

    run(main())


async def _settled(result):
    return await result if hasattr(result, "__await__") else result


def test_a_computation_that_is_cancelled_from_inside_is_not_shared(cache):
    async def main():
        turns = iter([True, True])

        def result():
            if next(turns, False):
                raise asyncio.CancelledError
            return "done"

        flight = Flight(cache, result)
        outcomes = await flight.share(20)
        cancelled = [o for o in outcomes if isinstance(o, asyncio.CancelledError)]
        assert len(cancelled) == 2
        assert outcomes.count("done") == 18
        assert flight.runs == 3

    run(main())


def test_a_leading_task_that_is_cancelled_itself_is_replaced(cache):
    async def main():
        flight = Flight(cache, object)
        tasks = await flight.callers(5)
        leaders = asyncio.all_tasks() - set(tasks) - {asyncio.current_task()}
        (leader,) = [t for t in leaders if "_computed" in repr(t) or "compute" in repr(t)]
        leader.cancel()
        flight.gate.open()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        values = [o for o in outcomes if not isinstance(o, asyncio.CancelledError)]
        assert len(values) == 4 and len(set(values)) == 1
        assert flight.runs == 2

    run(main())


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
