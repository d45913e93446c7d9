"""Waiting for locks in Redis, and being cancelled, interrupted or thrown away at it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest
from doors import PATIENCE, SLACK, within
from holders import Foreign, calls, door, key, sync  # noqa: F401

from cachine import AsyncRedisCache, RedisCache, _turns
from cachine.exceptions import CacheTimeoutError

TESTS = str(Path(__file__).parents[1])


# Waiting.


def test_who_waits_for_another_process_gets_it_and_gives_up_in_time(door):
    lock = door.cache().lock("name", timeout=0.1)
    with Foreign(door.server) as foreign:
        with within(0.1 + SLACK), pytest.raises(CacheTimeoutError, match="within 0.1 s"):
            door.enter(lock)
        later = threading.Timer(0.1, foreign.locker.unlock, (foreign.hold,))
        later.start()
        patient = door.cache().lock("name", timeout=PATIENCE)
        door.enter(patient)
        later.join()
        assert patient.token > foreign.hold.token
        door.leave(patient)


def test_an_abandoned_lock_is_taken_when_it_ends_and_not_later(door):
    foreign = Foreign(door.server, ttl=0.3)
    assert foreign.take()
    lock = door.cache().lock("name", timeout=PATIENCE)
    with within(0.3 + SLACK):
        door.enter(lock)
    assert not foreign.renew()
    door.leave(lock)
    foreign.cache.close()


def test_a_thousand_tasks_are_one_client_to_the_server(own_redis):
    async def main():
        cache = AsyncRedisCache("127.0.0.1", own_redis.port, namespace="ns", timeout=20)
        got, threads = [], threading.active_count()

        async def body(number):
            async with cache.lock("name"):
                got.append(number)

        with Foreign(own_redis):
            tasks = [asyncio.create_task(body(number)) for number in range(1000)]
            await asyncio.sleep(0.2)
            before, began = calls(own_redis), time.monotonic()
            while calls(own_redis) < before + 20:
                await asyncio.sleep(0.01)
            taken = time.monotonic() - began
            assert taken > 20 * 0.02, "each pause is between 25 and 50 ms"
            assert not got and threading.active_count() <= threads + 1
        await asyncio.gather(*tasks)
        assert got == list(range(1000)), "first come, first served"
        assert key(own_redis) is None
        await cache.close()

    asyncio.run(main())


def test_threads_and_tasks_of_many_loops_exclude_each_other(own_redis):
    count = [0]
    blocking = RedisCache("127.0.0.1", own_redis.port, namespace="ns", timeout=20)
    cache = AsyncRedisCache("127.0.0.1", own_redis.port, namespace="ns", timeout=20)
    one, other = blocking.lock("name"), cache.lock("name")

    def thread():
        for _ in range(5):
            with one:
                before = count[0]
                time.sleep(0)
                count[0] = before + 1

    async def task():
        for _ in range(5):
            async with other:
                before = count[0]
                await asyncio.sleep(0)
                count[0] = before + 1

    async def tasks():
        await asyncio.gather(*(task() for _ in range(5)))

    bodies = [thread] * 10 + [lambda: asyncio.run(tasks())] * 4
    threads = [threading.Thread(target=body) for body in bodies]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert count == [10 * 5 + 4 * 25]
    blocking.close()
    asyncio.run(cache.close())


def test_a_thread_does_not_wait_for_a_task_that_it_would_stop(own_redis):
    async def main():
        blocking = RedisCache("127.0.0.1", own_redis.port, namespace="ns")
        cache = AsyncRedisCache("127.0.0.1", own_redis.port, namespace="ns")
        async with cache.lock("name"):
            with pytest.raises(RuntimeError, match="already held"), blocking.lock("name"):
                pass
        blocking.close()
        await cache.close()

    asyncio.run(main())


# Cancelled, interrupted, thrown away.


async def free(cache):
    """Whether the lock is free: here and in the server."""
    try:
        async with cache.lock("name", timeout=0):
            return True
    except CacheTimeoutError:
        return False


def in_loop(server, scene, timeout=5):
    """Run a scene with a cache in a loop."""

    async def main():
        cache = AsyncRedisCache("127.0.0.1", server.port, namespace="ns", timeout=timeout)
        await cache.ping()
        await scene(cache)
        end = time.monotonic() + PATIENCE
        while not await free(cache):
            assert time.monotonic() < end, "something is still held"
            await asyncio.sleep(0.002)
        await cache.close()

    asyncio.run(main())


async def entering(cache):
    async with cache.lock("name"):
        raise AssertionError("it was to be cancelled before")


async def cancelled(task):
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_cancelled_in_the_queue_of_this_process(own_redis):
    async def scene(cache):
        async with cache.lock("name"):
            task = asyncio.create_task(entering(cache))
            await asyncio.sleep(0.01)
            await cancelled(task)

    in_loop(own_redis, scene)


def test_cancelled_while_another_process_holds_it(own_redis):
    async def scene(cache):
        with Foreign(own_redis) as foreign:
            task = asyncio.create_task(entering(cache))
            await asyncio.sleep(0.05)
            await cancelled(task)
            assert foreign.renew(), "nobody else's was touched"

    in_loop(own_redis, scene)


def test_cancelled_while_the_answer_is_on_the_way(own_redis):
    async def scene(cache):
        own_redis.freeze()
        task = asyncio.create_task(entering(cache))
        await asyncio.sleep(0.05)
        await cancelled(task)
        own_redis.thaw()

    in_loop(own_redis, scene)


class At:
    """A locker that lets something happen when the answer to a call is there, and not yet seen."""

    def __init__(self, locker, method, act):
        self.locker = locker
        self.method = method
        self.act = act

    def __getattr__(self, name):
        found = getattr(self.locker, name)
        if name != self.method:
            return found

        def call(*arguments, at):
            # First in line, before the task that waits.
            at[1].add_done_callback(lambda _: self.act())
            return found(*arguments, at=at)

        return call


def test_cancelled_when_the_answer_is_there(own_redis):
    async def scene(cache):
        lock = cache.lock("name")

        async def body():
            async with lock:
                raise AssertionError("it was to be cancelled before")

        task = asyncio.create_task(body())
        lock._locker = At(lock._locker, "lock", task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    in_loop(own_redis, scene)


def test_cancelled_in_the_block_and_while_it_is_given_back(own_redis):
    async def scene(cache):
        begun = asyncio.Event()

        async def body():
            async with cache.lock("name"):
                begun.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(body())
        await begun.wait()
        await cancelled(task)

        async def leaving():
            async with cache.lock("name"):
                own_redis.freeze()

        task = asyncio.create_task(leaving())
        await asyncio.sleep(0.05)
        await cancelled(task)
        own_redis.thaw()

    in_loop(own_redis, scene)


def test_a_coroutine_that_is_closed_gives_back_what_is_on_the_way(own_redis):
    async def scene(cache):
        own_redis.freeze()
        coroutine = entering(cache)
        coroutine.send(None)
        coroutine.close()
        own_redis.thaw()

    in_loop(own_redis, scene)


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "collected"])
def test_a_loop_that_was_closed_with_a_waiter_strands_nobody(own_redis, is_kept):
    cache = AsyncRedisCache("127.0.0.1", own_redis.port, namespace="ns")
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    got = []

    async def body(name):
        async with cache.lock("name"):
            got.append(name)

    lock = cache.lock("name")
    second.run_until_complete(lock.__aenter__())
    lost = first.create_task(body("lost"))
    first.run_until_complete(asyncio.sleep(0.01))
    found = second.create_task(body("found"))
    second.run_until_complete(asyncio.sleep(0.01))
    first.close()
    lost._log_destroy_pending = False
    if not is_kept:
        del lost, first
        gc.collect()
    second.run_until_complete(lock.__aexit__(None, None, None))
    second.run_until_complete(asyncio.wait_for(found, PATIENCE))
    assert got == ["found"]
    second.run_until_complete(cache.close())
    second.run_until_complete(second.shutdown_asyncgens())
    second.close()


def test_a_loop_that_was_closed_by_a_holder_leaves_it_to_the_end_of_the_lock(
    own_redis, monkeypatch
):
    monkeypatch.setattr(_turns, "WATCH", 0.01)
    cache = AsyncRedisCache("127.0.0.1", own_redis.port, namespace="ns")
    blocking = RedisCache("127.0.0.1", own_redis.port, namespace="ns")
    loop = asyncio.new_event_loop()
    lock = cache.lock("name", ttl=0.5)
    loop.run_until_complete(lock.__aenter__())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    with within(0.5 + SLACK), blocking.lock("name", timeout=PATIENCE) as other:
        assert other.token > lock.token
        assert lock.lost is True
    blocking.close()
    asyncio.run(cache.close())


def test_a_lock_that_is_collected_is_given_back_and_not_renewed(sync):
    cache = sync.cache()
    lock = cache.lock("name")
    lock.__enter__()
    del lock
    gc.collect()
    sync.eventually(lambda: key(sync.server) is None)
    with cache.lock("name", timeout=0):
        pass


def test_what_a_collected_task_held_ends_by_itself(own_redis):
    cache = AsyncRedisCache("127.0.0.1", own_redis.port, namespace="ns")

    async def scene():
        lock = cache.lock("name", ttl=0.3)
        await lock.__aenter__()
        del lock
        gc.collect()
        end = time.monotonic() + PATIENCE
        while key(own_redis) is not None:
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
        async with cache.lock("name", timeout=0):
            pass
        await cache.close()

    asyncio.run(scene())


#: A main thread that is interrupted by Ctrl-C while it does something about a lock.
INTERRUPTED = f"""
import os, signal, sys, threading, time
sys.path.append({TESTS!r})
from cachine import RedisCache, _core
from servers import Raw

PORT, PROCESS = int(sys.argv[1]), int(sys.argv[2])
cache = RedisCache("127.0.0.1", PORT, namespace="ns", timeout=5)
assert cache.ping_ok()

def strike():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    thaw()

def freeze():
    os.kill(PROCESS, signal.SIGSTOP)
    time.sleep(0.05)

def thaw():
    os.kill(PROCESS, signal.SIGCONT)

def interrupted(act):
    began = time.monotonic()
    thread = threading.Thread(target=strike)
    thread.start()
    try:
        act()
    except KeyboardInterrupt as error:
        kept = error  # With all of its frames.
    else:
        raise SystemExit("it was not interrupted")
    assert time.monotonic() - began < 4
    thread.join()
    with Raw(("127.0.0.1", PORT)) as raw:
        end = time.monotonic() + 20
        while any(b"~l:" in key for key in raw.command("KEYS", "*")):
            assert time.monotonic() < end, "something is still held"
            time.sleep(0.005)
    done = []

    def other():
        with cache.lock("name", timeout=20):
            done.append(1)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert done, "the queue is stuck"

def entering():
    with cache.lock("name"):
        raise SystemExit("it was to be interrupted before")
"""


@pytest.mark.parametrize(
    "scene",
    [
        """
def act():
    # Another process has it; it ends while nobody looks.
    locker, hold = _core.Locker(cache, "name", 1), _core.Hold()
    assert locker.lock(hold) is None
    entering()
""",
        """
def act():
    freeze()
    entering()
""",
        """
def act():
    with cache.lock("name"):
        time.sleep(20)
""",
        """
def act():
    with cache.lock("name"):
        freeze()
""",
    ],
    ids=["another process has it", "the answer is on the way", "in the block", "given back"],
)
def test_ctrl_c_leaves_nothing_behind(run, own_redis, scene):
    program = INTERRUPTED + scene + "\ninterrupted(act)\n"
    run(program, own_redis.port, own_redis.process.pid)


def test_signals_at_any_moment_leave_nothing_behind(run, own_redis):
    run(
        f"""
import signal, sys, threading, time
sys.path.append({TESTS!r})
from cachine import RedisCache
from servers import Raw

PORT = int(sys.argv[1])
cache = RedisCache("127.0.0.1", PORT, namespace="ns", timeout=5)
count = 0

class Struck(BaseException):
    pass

def strike(*_):
    raise Struck

signal.signal(signal.SIGALRM, strike)
for number in range(300):
    lock = cache.lock("name", timeout=20)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + 13 * number % 900))
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
assert count > 50, count
done = []

def other():
    with cache.lock("name", timeout=20):
        done.append(1)

thread = threading.Thread(target=other)
thread.start()
thread.join()
assert done
with Raw(("127.0.0.1", PORT)) as raw:
    end = time.monotonic() + 20
    while any(b"~l:" in key for key in raw.command("KEYS", "*")):
        assert time.monotonic() < end, "something is still held"
        time.sleep(0.005)
""",
        own_redis.port,
    )
