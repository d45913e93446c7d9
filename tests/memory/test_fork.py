"""Fork in the middle of anything: parent and child both go on, each with a cache of its own."""

import pytest

#: What every program here begins with.
HEAD = """
import os, sys, threading, time
from cachine import InMemoryCache

cache = InMemoryCache(max_size=1000)
cache.set("before", [1], tags=["tag"])

def forked(child, parent=lambda: None):
    '''Fork; run one in the child and the other in the parent; both have to end well.'''
    number = os.fork()
    if number == 0:
        try:
            child()
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    parent()
    _, status = os.waitpid(number, 0)
    assert status == 0, status

def everything():
    '''Every kind of operation.'''
    assert cache.get("before") == [1]
    cache.set("after", 2, 60, tags=["other"])
    assert cache.get("after") == 2
    assert cache.incr("counter") == 1
    assert cache.get_or_set("computed", lambda: 3) == 3
    assert cache.invalidate_tags(["other"]) == 1
    assert cache.delete("counter") is True
    assert cache.ping_ok()
    for number in range(300):
        cache.set(str(number), number, 60)
    assert cache.delete_many(["computed", *map(str, range(300))]) == 301
"""


def test_parent_and_child_go_on_with_stores_of_their_own(run):
    run(
        HEAD
        + """
def child():
    everything()
    cache.set("mine", "child")
    cache.clear(dangerously_clear_all=True)

def parent():
    everything()
    assert cache.get("mine") is None

for _ in range(5):
    forked(child, parent)
    assert cache.get("before") == [1]
"""
    )


def test_a_child_of_a_child_works_too(run):
    run(HEAD + "forked(lambda: forked(lambda: forked(everything)))\neverything()")


def test_a_child_exits_through_the_whole_of_the_exit(run):
    output = run(
        HEAD
        + """
import atexit

class Value:
    def __del__(self):
        cache.get("before")

cache.set("value", Value())
cache.set("me", cache)
atexit.register(lambda: (everything(), print("at exit", flush=True)))
number = os.fork()
if number:
    _, status = os.waitpid(number, 0)
    assert status == 0, status
    sys.stdout.flush()
"""
    )
    assert output.split("\n").count("at exit") == 2


def test_a_computation_of_a_thread_that_the_child_does_not_have_is_made_anew(run):
    output = run(
        HEAD
        + """
begun, gate = threading.Event(), threading.Event()

def slow():
    begun.set()
    gate.wait()
    return "slow"

results = []
ask = lambda: results.append(cache.get_or_set("key", slow))
threads = [threading.Thread(target=ask) for _ in range(3)]
for thread in threads:
    thread.start()
begun.wait()
while cache.get_stats()["coalesced"] < 2:
    pass

def child():
    # The three threads are gone; nobody will ever end what they computed.
    assert cache.get_or_set("key", lambda: "anew") == "anew"
    assert cache.get("key") == "anew"
    more = [threading.Thread(target=lambda: cache.get_or_set("other", lambda: 1)) for _ in "abc"]
    for thread in more:
        thread.start()
    for thread in more:
        thread.join()
    everything()

forked(child)
gate.set()
for thread in threads:
    thread.join()
print(results, cache.get("key"))
"""
    )
    assert output.strip() == "['slow', 'slow', 'slow'] slow"


def test_a_computation_under_way_in_an_event_loop_is_made_anew(run):
    run(
        HEAD
        + """
import asyncio
from cachine import AsyncInMemoryCache

async def main():
    shared, begun, gate = AsyncInMemoryCache(), asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await gate.wait()
        return "slow"

    task = asyncio.ensure_future(shared.get_or_set("key", slow))
    await begun.wait()
    number = os.fork()
    if number == 0:
        coroutine = shared.get_or_set("key", lambda: "anew")
        asyncio._set_running_loop(None)
        found = asyncio.new_event_loop().run_until_complete(coroutine)
        os._exit(0 if found == "anew" else 1)
    _, status = os.waitpid(number, 0)
    assert status == 0, status
    gate.set()
    assert await task == "slow"
    assert await shared.get("key") == "slow"

asyncio.run(main())
"""
    )


def test_a_fork_inside_a_computation_ends_it_in_both(run):
    run(
        HEAD
        + """
def compute():
    number = os.fork()
    return (number, os.getpid())

number, pid = cache.get_or_set("key", compute)
assert pid == os.getpid(), "parent and child each have their own result"
everything()
if number == 0:
    os._exit(0)
assert cache.get("key") == (number, pid)
_, status = os.waitpid(number, 0)
assert status == 0, status
"""
    )


@pytest.mark.parametrize("place", ["weigher", "finalizer", "tags"])
def test_a_fork_inside_user_code_that_an_operation_calls_harms_neither(run, place):
    run(
        HEAD
        + f"""
place = {place!r}
children = []

def fork():
    number = os.fork()
    children.append(number)

class Value:
    def __del__(self):
        if place == "finalizer" and not children:
            fork()

def tags():
    fork()
    yield "tag"

def weigher(key, value):
    if key == "fork":
        fork()
    return 1

other = InMemoryCache(max_weight=100, weigher=weigher)
if place == "weigher":
    other.set("fork", 1)
    assert other.get("fork") == 1
elif place == "finalizer":
    other.set("key", Value())
    other.delete("key")
else:
    other.set("key", 1, tags=tags())
    assert other.invalidate_tags(["tag"]) == 1
assert len(children) == 1
other.set("after", 1)
assert other.get("after") == 1
everything()
if children[0]:
    _, status = os.waitpid(children[0], 0)
    assert status == 0, status
"""
    )


def test_a_stale_value_is_refreshed_in_the_child_by_threads_of_its_own(run):
    run(
        HEAD
        + """
from cachine import _core

clock = _core.FakeClock()
clock.install()
cache = InMemoryCache(max_size=1000)
clock.uninstall()
cache.set("before", [1], tags=["tag"])
numbers = iter(range(100))
ask = lambda: cache.get_or_set("key", lambda: next(numbers), 60, stale_ttl=120)

def refreshed():
    before = ask()
    clock.advance(60)
    assert ask() == before
    end = time.monotonic() + 20
    while cache.get("key") == before:
        assert time.monotonic() < end, "the refresh never came"
    everything()

refreshed()
forked(refreshed, refreshed)
"""
    )


def test_processes_of_multiprocessing_use_the_cache_that_they_inherited(run):
    output = run(
        HEAD
        + """
import multiprocessing

def work(number):
    found = cache.get_or_set(f"key:{number % 3}", lambda: number)
    assert cache.get("before") == [1]
    return found % 3 == number % 3

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        print(all(pool.map(work, range(200))))
    assert cache.get("key:0") is None
"""
    )
    assert output.strip() == "True"
