"""Threads and tasks of several loops share one computation; a loop that ends strands nobody."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from cachine import InMemoryCache, _read_through, cached

from .crowd import PATIENCE, Aside, Crowd, Gate, eventually, soon


def run_in_thread(make):
    """A coroutine in a loop of its own, in a thread of its own."""
    return Aside(lambda: asyncio.run(asyncio.wait_for(make(), PATIENCE)))


class Mixed:
    """One key that threads ask for with `get_or_set` and tasks with a cached coroutine function."""

    def __init__(self):
        self.gate = Gate()
        self.runs = []
        self.cache = InMemoryCache()
        self.result = object
        self.f = cached(self.cache, singleflight=True)(self._run)
        self.key = self.f.cache_key()

    async def _run(self):
        self.runs.append(threading.get_ident())
        await self.gate.passing_async()
        return self.result()

    def _block(self):
        self.runs.append(threading.get_ident())
        self.gate.passing()
        return self.result()

    def blocking(self):
        return self.cache.get_or_set(self.key, self._block)

    async def tasks(self, count):
        return await asyncio.gather(*(self.f() for _ in range(count)), return_exceptions=True)

    def wait_for(self, callers):
        stats = self.cache.get_stats
        eventually(lambda: stats()["coalesced"] == callers - 1, f"{callers} callers are there")


@pytest.mark.parametrize("leader", ["thread", "task"])
@pytest.mark.parametrize("outcome", [object, lambda: None, lambda: 1 / 0])
def test_threads_and_tasks_of_three_loops_cost_one_computation(leader, outcome):
    mixed = Mixed()
    mixed.result = outcome
    if leader == "thread":
        first = Aside(mixed.blocking)
    else:
        first = run_in_thread(lambda: mixed.tasks(1))
    mixed.gate.arrived()
    loops = [run_in_thread(lambda: mixed.tasks(300)) for _ in range(3)]
    threads = Crowd(100, mixed.blocking)
    mixed.wait_for(1001)
    mixed.gate.open()
    outcomes = [*threads.join(), *(one for loop in loops for one in loop.result())]
    try:
        own = first.result()
    except ZeroDivisionError as error:
        own = error
    outcomes += own if leader == "task" else [own]
    assert len(mixed.runs) == 1
    assert len(outcomes) == 1001
    assert len({id(one) for one in outcomes}) == 1


def test_a_loop_that_ends_hands_its_computation_to_another():
    mixed = Mixed()

    async def leave():
        # The caller stays, and asyncio.run cancels what is left of the loop.
        asyncio.ensure_future(mixed.f())
        await soon(lambda: mixed.runs)
        await soon(lambda: mixed.cache.get_stats()["coalesced"] == 110)

    leaving = run_in_thread(leave)
    mixed.gate.arrived()
    loop = run_in_thread(lambda: mixed.tasks(100))
    threads = Crowd(10, mixed.blocking)
    leaving.result()
    mixed.gate.open()
    values = {id(one) for one in [*loop.result(), *threads.join()]}
    assert len(values) == 1
    assert len(mixed.runs) == 2


@pytest.mark.parametrize("waiting", ["tasks", "threads"])
def test_a_loop_that_is_closed_with_a_computation_in_it_strands_nobody(waiting):
    mixed = Mixed()
    holder = []

    def leave():
        loop = asyncio.new_event_loop()
        holder.append(loop.create_task(mixed.f()))
        loop.run_until_complete(soon(lambda: mixed.runs))
        present.set()
        closing.wait(PATIENCE)
        loop.close()

    present, closing = threading.Event(), threading.Event()
    leaving = Aside(leave)
    assert present.wait(PATIENCE)
    if waiting == "tasks":
        others = run_in_thread(lambda: mixed.tasks(20))
    else:
        others = Crowd(20, mixed.blocking)
    mixed.wait_for(21)
    mixed.gate.open()
    closing.set()
    leaving.result()
    outcomes = others.result() if waiting == "tasks" else others.join()
    assert len({id(one) for one in outcomes}) == 1
    assert len(mixed.runs) == 2
    forget(holder)


def forget(tasks):
    """Drop tasks whose loop was closed, without the noise that they make."""
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()
    tasks.clear()
    gc.collect()


def test_a_refresh_in_a_loop_that_was_closed_does_not_stop_the_next_one(clock):
    runs = []
    cache = InMemoryCache()

    @cached(cache, ttl=10, stale_ttl=1000)
    async def f():
        runs.append(1)
        if len(runs) == 2:
            await asyncio.get_running_loop().create_future()
        return len(runs)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(f())
    clock.advance(10)
    assert loop.run_until_complete(f()) == 1
    loop.run_until_complete(soon(lambda: len(runs) == 2))
    left = [task for task, _ in _read_through.tasks.values() if task.get_loop() is loop]
    assert len(left) == 1
    loop.close()
    clock.advance(0.5)

    async def again():
        assert await f() == 1
        clock.advance(0.5)
        assert await f() == 1
        await soon(lambda: cache.get(f.cache_key()) == 3)

    asyncio.run(again())
    assert _read_through.tasks == {}
    forget(left)


def test_one_function_serves_loop_after_loop(cache):
    @cached(cache, singleflight=True)
    async def f(x):
        await asyncio.sleep(0)
        return [x]

    first = asyncio.run(f(1))
    assert all(asyncio.run(f(1)) is first for _ in range(5))
    assert asyncio.run(f(2)) == [2]


def test_a_cancelled_task_of_one_loop_leaves_the_computation_to_those_of_another():
    mixed = Mixed()

    async def leave():
        task = asyncio.ensure_future(mixed.f())
        await soon(lambda: mixed.runs)
        await soon(lambda: mixed.cache.get_stats()["coalesced"] == 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        mixed.gate.open()
        # The computation goes on in this loop, as long as it runs.
        await soon(lambda: mixed.cache.exists(mixed.key))

    leaving = run_in_thread(leave)
    mixed.gate.arrived()
    others = run_in_thread(lambda: mixed.tasks(10))
    leaving.result()
    assert len({id(one) for one in others.result()}) == 1
    assert len(mixed.runs) == 1


def test_the_last_to_leave_cancels_a_computation_of_another_loop():
    mixed = Mixed()
    ended = []

    async def lead():
        async def run():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(threading.get_ident())

        mixed.f = cached(mixed.cache, singleflight=True)(run)
        task = asyncio.ensure_future(mixed.f())
        await soon(lambda: mixed.f.cache_info().coalesced == 1)
        task.cancel()
        leading.append(threading.get_ident())
        await soon(lambda: ended)

    async def follow():
        await soon(lambda: hasattr(mixed.f, "cache_info") and mixed.f.cache_info().misses)
        task = asyncio.ensure_future(mixed.f())
        await soon(lambda: leading)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    leading = []
    one, other = run_in_thread(lead), run_in_thread(follow)
    other.result()
    one.result()
    assert ended == leading


def test_an_interrupted_thread_that_was_the_last_cancels_the_computation(script):
    text = """
import asyncio, os, signal, threading
from cachine import InMemoryCache, cached
cache = InMemoryCache()
started, ended = threading.Event(), threading.Event()

@cached(cache, singleflight=True)
async def f():
    started.set()
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()

async def lead():
    task = asyncio.ensure_future(f())
    while cache.get_stats()["coalesced"] < 1:
        await asyncio.sleep(0)
    task.cancel()
    while not task.done():
        await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    while not ended.is_set():
        await asyncio.sleep(0)

key = f.cache_key()
thread = threading.Thread(target=lambda: asyncio.run(lead()))
thread.start()
started.wait(20)
try:
    cache.get_or_set(key, lambda: 1)
except KeyboardInterrupt:
    print("interrupted", ended.wait(20))
thread.join(20)
print(cache.get_or_set(key, lambda: "next"))
"""
    assert script(text) == "interrupted True\nnext\n"
