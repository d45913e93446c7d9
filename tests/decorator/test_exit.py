"""The end of a process with refreshes and computations under way.

Each program ends with the code it asked for: no thread of ours holds it up, none aborts it. Where
a program looks for trouble it does so many times over, since a thread that dies at exit does so
wherever it happens to stand.
"""

from __future__ import annotations

import pytest

HEAD = """
import asyncio, os, sys, threading, time
from cachine import AsyncInMemoryCache, InMemoryCache, cached, _core
clock = _core.FakeClock()
clock.install()
"""

REFRESH = """
reached = threading.Event()
state = []

@cached(InMemoryCache(), ttl=10, stale_ttl=1000)
def f(x):
    if state:
        reached.set()
        {wait}
    return x

def start():
    for x in range(8):
        f(x)
    state.append(1)
    clock.advance(10)
    for x in range(8):
        assert f(x) == x
    reached.wait(20)
"""

#: What a thread may be doing when the process ends.
WAITS = {
    "asleep": "time.sleep(1000)",
    "busy": "while True: sum(range(1000))",
    "waiting": "threading.Event().wait(1000)",
    "calling": "while True: g(1); g(time.perf_counter_ns())",
}

OTHER = """
class Loud(str):
    def __hash__(self):
        return hash(str(self))

@cached(InMemoryCache(max_size=10), singleflight=True)
def g(x):
    return Loud(x)
"""


@pytest.mark.parametrize("wait", list(WAITS))
def test_a_process_ends_while_refreshes_run(script, wait):
    text = HEAD + OTHER + REFRESH.format(wait=WAITS[wait]) + "start(); print('done')"
    assert script(text) == "done\n"


def test_a_process_ends_with_the_code_it_asked_for(script):
    text = HEAD + REFRESH.format(wait=WAITS["busy"]) + "start(); sys.exit(7)"
    script(text, code=7)


@pytest.mark.parametrize("wait", list(WAITS))
def test_a_process_ends_while_daemon_threads_are_inside_cached_functions(script, wait):
    program = (
        HEAD
        + OTHER
        + """
inside = threading.Semaphore(0)

@cached(InMemoryCache(), singleflight=True)
def f(x):
    inside.release()
    {wait}

class Shop:
    @cached(InMemoryCache())
    def f(self, x):
        inside.release()
        {wait}

for x in range(4):
    # Two that share one computation, and one by a method.
    threading.Thread(target=f, args=(x,), daemon=True).start()
    threading.Thread(target=lambda: f(x=0), daemon=True).start()
    threading.Thread(target=Shop().f, args=(x,), daemon=True).start()
for _ in range(8):
    assert inside.acquire(timeout=20)
print("done")
"""
    )
    assert script(program.format(wait=WAITS[wait])) == "done\n"


def test_a_process_ends_while_loops_in_daemon_threads_run_cached_coroutines(script):
    program = (
        HEAD
        + OTHER
        + """
inside = threading.Semaphore(0)

@cached(InMemoryCache(), singleflight=True)
async def f(x):
    if x < 100:
        inside.release()
        await asyncio.sleep(1000)
    await asyncio.sleep(0)
    return x

async def main(offset):
    async def spin():
        while True:
            await asyncio.gather(*(f(time.perf_counter_ns()) for _ in range(5)))
    await asyncio.gather(f(1), f(1), f(2 + offset), spin(), spin())

for offset in range(3):
    threading.Thread(target=lambda: asyncio.run(main(offset)), daemon=True).start()
for _ in range(3):
    assert inside.acquire(timeout=20)
print("done")
"""
    )
    assert script(program) == "done\n"


def test_a_process_ends_while_daemon_threads_hand_results_to_tasks_and_threads(script):
    # The hand-over wakes loops of other threads: code of Python's that runs inside the engine's.
    program = (
        HEAD
        + """
cache = InMemoryCache()
going = threading.Semaphore(0)

def work(number):
    async def main():
        f = cached(cache, singleflight=True)(shared)
        for turn in range(10**9):
            await asyncio.gather(*(f(turn // 3) for _ in range(3)))
            if turn == 20:
                going.release()
    asyncio.run(main())

async def shared(x):
    await asyncio.sleep(0)
    return x

def threads():
    for turn in range(10**9):
        cache.get_or_set(str(turn // 3), lambda: turn)
        if turn == 20:
            going.release()

for number in range(3):
    threading.Thread(target=work, args=(number,), daemon=True).start()
    threading.Thread(target=threads, daemon=True).start()
for _ in range(6):
    assert going.acquire(timeout=30)
print("done")
"""
    )
    for _ in range(3):
        assert script(program) == "done\n"


def test_asyncio_run_ends_while_refresh_tasks_run(script):
    program = (
        HEAD
        + """
@cached(AsyncInMemoryCache(), ttl=10, stale_ttl=1000, singleflight=True)
async def f(x):
    if state:
        await asyncio.sleep(1000)
    return x

state = []

async def main():
    await f(1)
    clock.advance(10)
    state.append(1)
    assert await f(1) == 1
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 2

asyncio.run(main())
print("done")
"""
    )
    assert script(program) == "done\n"


ASKING = """
import sys, threading
from cachine import InMemoryCache, cached

sys.setswitchinterval(1e-6)
steps = 0

class Argument:
    def {method}(self):
        global steps
        for _ in range(30):
            steps += 1
        return steps % 5

@cached(InMemoryCache(max_size=10))
def f(argument):
    return 1

def forever():
    while True:
        f(Argument())

for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
while steps < 20_000:
    pass
"""


@pytest.mark.parametrize("method", ["__hash__", "__cache_key__"])
def test_a_process_ends_while_daemon_threads_are_asking_an_argument(script, method):
    for _ in range(3):
        assert script(ASKING.format(method=method)) == ""
