"""A computation that needs itself, or one that needs it, goes on instead of waiting (P18)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached

from .crowd import PATIENCE, Aside, Gate, eventually, soon

CACHES = pytest.mark.parametrize("make", [InMemoryCache, AsyncInMemoryCache])


def run(main):
    """Run a coroutine that must not hang."""

    async def limited():
        return await asyncio.wait_for(main, PATIENCE)

    return asyncio.run(limited())


def test_a_function_that_asks_for_its_own_key_computes_it(cache):
    depth = []

    @cached(cache, singleflight=True)
    def f(x):
        depth.append(x)
        return "end" if len(depth) == 3 else f(x)

    assert Aside(f, 1).result() == "end"
    assert depth == [1, 1, 1]
    assert f(1) == "end"


def test_a_function_that_recurses_over_smaller_keys_shares_all_of_them(cache):
    runs = []

    @cached(cache, singleflight=True)
    def fibonacci(n):
        runs.append(n)
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert Aside(fibonacci, 60).result() == 1548008755920
    assert len(runs) == 61


def test_get_or_set_inside_itself_goes_on(cache):
    def make():
        return cache.get_or_set("k", lambda: "inner")

    assert Aside(cache.get_or_set, "k", make).result() == "inner"


@pytest.mark.parametrize("length", [2, 3, 5])
def test_threads_in_a_circle_all_get_a_value(cache, length):
    everybody = threading.Barrier(length)
    first = threading.local()

    @cached(cache, singleflight=True)
    def f(x):
        if not getattr(first, "met", False):
            first.met = True
            everybody.wait(PATIENCE)
            return x, f((x + 1) % length)
        return x, "end"

    asides = [Aside(f, x) for x in range(length)]
    results = [aside.result() for aside in asides]
    assert [result[0] for result in results] == list(range(length))


@CACHES
def test_tasks_in_a_circle_all_get_a_value(make):
    async def main():
        started = []
        begun = asyncio.Event()

        @cached(make(), singleflight=True)
        async def f(x):
            started.append(x)
            if len(started) > 2:
                return x, "end"
            if len(started) == 2:
                begun.set()
            await begun.wait()
            return x, await f(1 - x)

        results = await asyncio.gather(f(0), f(1))
        assert [result[0] for result in results] == [0, 1]

    run(main())


@CACHES
def test_a_coroutine_asks_for_its_own_key_in_every_way_there_is(make):
    async def direct(f):
        return await f(1)

    async def gathered(f):
        return (await asyncio.gather(f(1), f(1), f(2)))[0]

    async def child(f):
        return await asyncio.create_task(f(1))

    async def grandchild(f):
        async def nested():
            return await asyncio.create_task(f(1))

        return await asyncio.create_task(nested())

    async def shielded(f):
        return await asyncio.shield(asyncio.wait_for(f(1), PATIENCE))

    async def main(way):
        depth = []

        @cached(make(), singleflight=True)
        async def f(x):
            depth.append(x)
            await asyncio.sleep(0)
            return "end" if len(depth) > 1 else await way(f)

        assert await f(1) == "end"

    for way in (direct, gathered, child, grandchild, shielded):
        run(main(way))


def test_a_coroutine_asks_for_its_own_key_in_a_worker_thread(cache):
    async def main():
        @cached(cache, singleflight=True)
        def blocking(x):
            return "blocking", x

        @cached(cache, singleflight=True)
        async def f(x):
            return await asyncio.to_thread(again, x)

        def again(x):
            return cache.get_or_set(f.cache_key(x), lambda: ("inner", blocking(x)))

        assert await f(1) == ("inner", ("blocking", 1))

    run(main())


def test_a_loop_in_a_worker_thread_of_the_leader_is_part_of_it(cache):
    depth = []

    @cached(cache, singleflight=True)
    async def f(x):
        depth.append(x)
        if len(depth) > 1:
            return "end"
        return await asyncio.to_thread(lambda: asyncio.run(f(x)))

    async def main():
        return await f(1)

    assert run(main()) == "end"


def test_a_circle_over_threads_and_tasks_and_two_caches_goes_on():
    threads, tasks = InMemoryCache(), InMemoryCache()
    gate = Gate()

    @cached(threads, singleflight=True)
    def from_thread():
        gate.arrived()
        return "thread", asyncio.run(from_task())

    @cached(tasks, singleflight=True)
    async def from_task():
        runs.append(1)
        if len(runs) > 1:
            return "circle"
        await gate.passing_async()
        return "task", await asyncio.to_thread(from_thread)

    runs = []
    one = Aside(lambda: asyncio.run(from_task()))
    other = Aside(from_thread)
    eventually(lambda: from_task.cache_info().coalesced == 1 or from_task.cache_info().misses > 1)
    gate.open()
    assert one.result()[0] == "task"
    assert other.result()[0] == "thread"


def test_a_leader_that_uses_the_default_pool_while_five_hundred_wait(cache):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(2))
        gate, runs = Gate(), []

        @cached(cache, singleflight=True)
        async def f(x):
            runs.append(x)
            await gate.passing_async()
            return await asyncio.gather(*(asyncio.to_thread(lambda: x) for _ in range(10)))

        callers = [asyncio.create_task(f(1)) for _ in range(500)]
        await soon(lambda: f.cache_info().coalesced == 499)
        gate.open()
        assert await asyncio.gather(*callers) == [[1] * 10] * 500
        assert runs == [1]

    run(main())


def test_what_a_leader_left_behind_is_no_part_of_the_next_computation(cache):
    async def main():
        gate, late, runs = Gate(), [], []

        @cached(cache, singleflight=True)
        async def f(x):
            runs.append(x)
            if len(runs) == 1:
                late.append(asyncio.create_task(later()))
                return "first"
            await gate.passing_async()
            return "second"

        async def later():
            await soon(lambda: len(runs) == 2)
            return await f(1)

        assert await f(1) == "first"
        f.invalidate(1)
        second = asyncio.create_task(f(1))
        await soon(lambda: f.cache_info().coalesced == 1)
        gate.open()
        assert await asyncio.gather(second, *late) == ["second", "second"]
        assert len(runs) == 2, "the task that outlived its leader waits like any other"

    run(main())
