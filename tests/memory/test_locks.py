"""Locks in memory: threads, tasks, loops that are closed, the collector, signals, forks."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from cachine import AsyncInMemoryCache, InMemoryCache, _turns
from cachine.exceptions import CacheTimeoutError
from cachine.locks import AsyncLock, Lock


def eventually(is_true):
    """Wait until something that a thread does beside the test has become true."""
    end = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.001)


def entered(cache):
    """Whether a lock is free at this moment, for another thread."""
    result = []

    def body():
        try:
            with cache.lock("name", timeout=0):
                result.append(True)
        except CacheTimeoutError:
            result.append(False)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return result == [True]


async def is_free(cache):
    """The same for another task."""

    async def body():
        try:
            async with cache.lock("name", timeout=0):
                return True
        except CacheTimeoutError:
            return False

    return await asyncio.create_task(body())


def waiting(loop, tasks):
    """Let tasks begin, until each waits."""

    async def turns():
        for _ in range(5):
            await asyncio.sleep(0)

    loop.run_until_complete(turns())
    assert not any(task.done() for task in tasks)


def test_the_types_can_be_named():
    assert type(InMemoryCache().lock("name")) is Lock
    assert type(AsyncInMemoryCache().lock("name")) is AsyncLock


def test_a_hundred_threads_on_one_object_exclude_each_other():
    lock, inside, most = InMemoryCache().lock("name"), [0], [0]

    def body():
        for _ in range(10):
            with lock as mine:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                token = lock.token
                time.sleep(0)
                assert lock.token == token and mine.lost is False
                inside[0] -= 1

    threads = [threading.Thread(target=body) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_thousand_tasks_get_it_in_turn_without_a_thread():
    async def main():
        lock, order, before = AsyncInMemoryCache().lock("name"), [], threading.active_count()

        async def body(number):
            async with lock:
                await asyncio.sleep(0)
                order.append(number)

        await asyncio.gather(*map(body, range(1000)))
        assert order == list(range(1000)), "first come, first served"
        assert threading.active_count() <= before

    asyncio.run(main())


def test_tasks_of_many_loops_exclude_each_other():
    lock, count = AsyncInMemoryCache().lock("name"), [0]

    async def body():
        for _ in range(5):
            async with lock:
                before = count[0]
                await asyncio.sleep(0)
                count[0] = before + 1

    async def main():
        await asyncio.gather(*(body() for _ in range(10)))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [400]


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_queue():
    async def main():
        cache = AsyncInMemoryCache()
        got = []

        async def body(number):
            async with cache.lock("name"):
                got.append(number)

        async with cache.lock("name"):
            tasks = [asyncio.create_task(body(number)) for number in range(3)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.sleep(0)
            # This one is told, and cancelled before it can look.
            tasks[1].get_loop().call_soon(tasks[1].cancel)
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True, True, False]
        assert got == [2]
        assert await is_free(cache)

    asyncio.run(main())


def test_a_task_that_is_told_and_cancelled_at_once_hands_on():
    async def main():
        cache = AsyncInMemoryCache()

        async def body():
            async with cache.lock("name"):
                return "got it"

        lock = cache.lock("name")
        await lock.__aenter__()
        first, second = (asyncio.create_task(body()) for _ in range(2))
        await asyncio.sleep(0)
        leaving = lock.__aexit__(None, None, None)
        with pytest.raises(StopIteration):
            leaving.send(None)
        first.cancel()
        assert await asyncio.wait_for(second, 20) == "got it"
        assert first.cancelled()

    asyncio.run(main())


def test_cancelled_in_the_block_it_is_given_up():
    async def main():
        cache, begun = AsyncInMemoryCache(), asyncio.Event()

        async def body():
            async with cache.lock("name"):
                begun.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(body())
        await begun.wait()
        assert not await is_free(cache)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() and await is_free(cache)

    asyncio.run(main())


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "collected"])
def test_waiters_whose_loop_was_closed_strand_nobody(is_kept):
    cache, got = AsyncInMemoryCache(), []
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def body(name):
        async with cache.lock("name"):
            got.append(name)

    lock = cache.lock("name")
    second.run_until_complete(lock.__aenter__())
    # So many that each waking the next would be too deep.
    lost = [first.create_task(body("lost")) for _ in range(1500)]
    waiting(first, lost)
    found = second.create_task(body("found"))
    waiting(second, [found])
    first.close()
    for task in lost:
        task._log_destroy_pending = False
    if not is_kept:
        lost, task, first = [], None, None
        gc.collect()
    second.run_until_complete(lock.__aexit__(None, None, None))
    second.run_until_complete(asyncio.wait_for(found, 20))
    assert got == ["found"]
    assert second.run_until_complete(is_free(cache))
    second.close()
    lost.clear()


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "holder"])
def test_a_holder_whose_loop_was_closed_strands_nobody(monkeypatch, is_told):
    monkeypatch.setattr(_turns, "WATCH_ASYNC", 0.01)
    cache, got = AsyncInMemoryCache(), []
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def holder():
        async with cache.lock("name") as lock:
            got.append(lock)
            await asyncio.sleep(60)

    async def other():
        async with cache.lock("name"):
            got.append("other")

    lock = cache.lock("name")
    if is_told:
        second.run_until_complete(lock.__aenter__())
    task = first.create_task(holder())
    waiting(first, [task])
    found = second.create_task(other())
    waiting(second, [found])
    if is_told:
        # It is told that it is its turn, and its loop never lets it see that.
        second.run_until_complete(lock.__aexit__(None, None, None))
    first.close()
    second.run_until_complete(asyncio.wait_for(found, 20))
    assert got[-1] == "other"
    assert is_told or got[0].lost is True
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert second.run_until_complete(is_free(cache))
    second.close()


def test_a_new_loop_takes_over_at_once_what_a_closed_one_held():
    cache = AsyncInMemoryCache()
    first = asyncio.new_event_loop()
    lock = cache.lock("name")
    first.run_until_complete(lock.__aenter__())
    assert not first.run_until_complete(is_free(cache))
    first.close()
    assert asyncio.run(is_free(cache))
    assert lock.lost is True


def test_what_a_generator_held_that_was_thrown_away_is_free():
    cache = InMemoryCache()

    def generate():
        with cache.lock("name"):
            yield

    generator = generate()
    next(generator)
    assert not entered(cache)
    del generator
    gc.collect()
    assert entered(cache)


def test_a_lock_object_that_is_collected_is_given_up():
    cache = InMemoryCache()
    lock = cache.lock("name")
    lock.__enter__()
    assert not entered(cache)
    gone = weakref.ref(lock)
    del lock
    gc.collect()
    assert gone() is None and entered(cache)


def test_what_a_collected_lock_wakes_may_be_a_thread_or_a_task():
    cache = AsyncInMemoryCache()
    lock, got = [cache.lock("name")], []

    async def main():
        await lock[0].__aenter__()

        async def body():
            async with cache.lock("name"):
                got.append(1)

        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        lock.clear()
        gc.collect()
        await asyncio.wait_for(task, 20)

    asyncio.run(main())
    assert got == [1]


def test_a_waiting_task_is_not_kept_alive_by_the_lock():
    cache = AsyncInMemoryCache()
    loop = asyncio.new_event_loop()
    lock = cache.lock("name")
    loop.run_until_complete(lock.__aenter__())

    async def body():
        async with cache.lock("name"):
            pass

    task = loop.create_task(body())
    waiting(loop, [task])
    loop.close()
    gone, task._log_destroy_pending = weakref.ref(task), False
    del task, loop
    gc.collect()
    assert gone() is None


def test_another_thread_or_task_may_leave_it():
    cache = InMemoryCache()
    lock = cache.lock("name")
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert entered(cache) and lock.lost is False

    async def main():
        cache = AsyncInMemoryCache()
        lock = cache.lock("name")
        await asyncio.create_task(lock.__aenter__())
        assert not await is_free(cache)
        await lock.__aexit__(None, None, None)
        assert await is_free(cache) and lock.lost is False

    asyncio.run(main())


def test_a_coroutine_without_a_loop_gets_a_free_lock():
    cache = AsyncInMemoryCache()

    async def body():
        async with cache.lock("name") as lock:
            return lock.token

    with pytest.raises(StopIteration) as stop:
        body().send(None)
    assert type(stop.value.value) is int


def test_neither_asyncio_nor_a_thread_is_needed(run):
    run(
        """
import sys, threading
from cachine import InMemoryCache
cache = InMemoryCache()
with cache.lock("name") as lock:
    assert lock.token
assert "asyncio" not in sys.modules and threading.active_count() == 1
"""
    )


def test_ctrl_c_ends_the_wait_and_leaves_the_queue(run):
    run(
        """
import os, signal, threading, time
from cachine import InMemoryCache
cache = InMemoryCache()
held, go, got = threading.Event(), threading.Event(), threading.Event()

def holder():
    with cache.lock("name"):
        held.set()
        go.wait(20)

def other():
    with cache.lock("name"):
        got.set()

def interrupt():
    # Not before the main thread waits.
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=holder).start()
held.wait(20)
threading.Thread(target=interrupt).start()
began = time.monotonic()
try:
    with cache.lock("name"):
        raise SystemExit("it got the lock")
except KeyboardInterrupt as error:
    kept = error  # With all of its frames.
assert time.monotonic() - began < 10
threading.Thread(target=other).start()
go.set()
assert got.wait(20), "who was interrupted is still in the queue"
"""
    )


def test_signals_at_any_moment_leave_nothing_behind(run):
    run(
        """
import signal, threading, time
from cachine import InMemoryCache

cache = InMemoryCache()
count = 0

class Struck(BaseException):
    pass

def strike(*_):
    raise Struck

signal.signal(signal.SIGALRM, strike)
for number in range(3000):
    lock = cache.lock("name")
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 60))
        try:
            with lock:
                pass
            with lock:
                pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Struck:
        count += 1
    del lock
    result = []

    def other():
        with cache.lock("name", timeout=20):
            result.append(1)

    if number % 20 == 0:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert result, number
assert count > 100, count
"""
    )


FORK = """
import asyncio, os, sys, traceback
from cachine import AsyncInMemoryCache, InMemoryCache
from cachine.exceptions import CacheTimeoutError

def forked(child):
    number = os.fork()
    if number == 0:
        code = 1
        try:
            child()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(number, 0)
    assert status == 0, status
"""


def test_a_child_holds_nothing_and_goes_on(run):
    run(
        FORK
        + """
cache = InMemoryCache()
lock = cache.lock("name")

def child():
    try:
        try:
            assert lock.lost is True and "lost" in repr(lock)
            token = lock.token
            with lock:  # It is free here.
                assert lock.lost is False and lock.token > token
        finally:
            lock.__exit__(None, None, None)
    except CacheTimeoutError as error:
        assert "forked" in str(error) and error.retryable is False
    else:
        raise SystemExit("it did not say that it was lost")
    with cache.lock("name", timeout=0):
        pass

with lock:
    forked(child)
    assert lock.lost is False
with lock:
    pass
"""
    )


def test_a_process_ends_while_daemon_threads_hold_and_await_locks(run):
    for _ in range(3):
        run(
            """
import itertools, sys, threading
from cachine import InMemoryCache
sys.setswitchinterval(1e-6)
cache, steps = InMemoryCache(), itertools.count()

def forever():
    while True:
        with cache.lock("name"):
            next(steps)
        lock = cache.lock("other")
        lock.__enter__()
        del lock  # It wakes the next one from the collector.

for _ in range(8):
    threading.Thread(target=forever, daemon=True).start()
while next(steps) < 5000:
    pass
"""
        )
