"""A task that is cancelled, wherever it stands, spoils nothing for the others (pitfall P16)."""

from __future__ import annotations

import asyncio

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached

from .crowd import soon
from .flights import Flight, run


@pytest.fixture(params=[InMemoryCache, AsyncInMemoryCache], ids=lambda kind: kind.__name__)
def cache(request):
    return request.param()


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


def test_a_computation_cancelled_before_its_first_step_frees_its_key(cache):
    async def main():
        flight = Flight(cache, object)
        caller = asyncio.create_task(flight.f())
        await asyncio.sleep(0)
        (leader,) = asyncio.all_tasks() - {caller, asyncio.current_task()} - others
        leader.cancel()
        # What is kept holds on to the call, by its traceback; the call must not hold the key.
        (kept,) = await asyncio.gather(caller, return_exceptions=True)
        assert isinstance(kept, asyncio.CancelledError) and flight.runs == 0
        flight.gate.open()
        assert await flight.f() is not None

    async def outer():
        others.update(asyncio.all_tasks())
        await main()

    others = set()
    run(outer())
