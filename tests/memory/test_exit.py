"""The end of the process: code 0, whatever is under way."""

import pytest

#: Daemon threads that run user code inside of operations when the process ends. They are ended by
#: the interpreter wherever they are, up to CPython 3.13 by unwinding their stacks.
AT_WORK = """
import itertools, sys, threading
from cachine import InMemoryCache

sys.setswitchinterval(1e-6)
steps = 0

def busy(*_):
    '''Gives other threads their turn while it runs.'''
    global steps
    for _ in range(30):
        steps += 1
    return 1

class Value:
    __del__ = busy

numbers = itertools.count()
cache = InMemoryCache(max_size=4)
"""

WORK = {
    "set over a value with a finalizer": "cache.set('key', Value())",
    "eviction of values with finalizers": "cache.set(str(steps), Value())",
    "delete of a value with a finalizer": "cache.set('key', Value()); cache.delete('key')",
    "get of an expired value": "cache.set('key', Value(), 0.001); busy(); cache.get('key')",
    "invalidation": "cache.set('key', Value(), tags=['tag']); cache.invalidate_tags(['tag'])",
    "tags from a generator": "cache.set('key', 1, tags=(str(busy()) for _ in range(5)))",
    "weigher": "weighed.set('key', 1)",
    "weigher of a computed value": "weighed.get_or_set(str(next(numbers)), lambda: 1)",
    "factory": "cache.get_or_set(str(next(numbers)), busy)",
    "value of a factory": "cache.get_or_set(str(next(numbers)), Value)",
    "plain": "cache.set(str(steps % 9), busy()); cache.get('1'); cache.incr('counter')",
}


@pytest.mark.parametrize("work", WORK)
def test_a_process_ends_while_daemon_threads_are_inside_of_operations(run, work):
    program = f"""
weighed = InMemoryCache(max_weight=10, weigher=busy)

def forever():
    while True:
        {WORK[work]}

for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
while steps < 20_000:
    pass
"""
    for _ in range(3):  # Each time the threads are somewhere else.
        run(AT_WORK + program)


def test_a_process_ends_while_a_computation_runs_and_others_wait_for_it(run):
    run(
        AT_WORK
        + """
gate = threading.Event()
for _ in range(8):
    ask = lambda: cache.get_or_set("key", gate.wait)
    threading.Thread(target=ask, daemon=True).start()
while cache.get_stats()["coalesced"] < 7:
    pass
"""
    )


def test_a_process_ends_while_a_refresh_runs(run):
    run(
        AT_WORK
        + """
from cachine import _core

clock = _core.FakeClock()
clock.install()
cache = InMemoryCache()
begun = threading.Event()

def compute():
    if next(numbers) >= 12:
        begun.set()
        while True:
            busy()
    return Value()

for _ in range(2):
    for key in "abcdefghijkl":
        cache.get_or_set(key, compute, 60, stale_ttl=120)
    clock.advance(60)
begun.wait()
"""
    )


def test_a_full_cache_at_the_end_of_the_process_is_no_trouble(run):
    output = run(
        """
import atexit
from cachine import AsyncInMemoryCache, InMemoryCache, cached

cache = InMemoryCache(max_size=5000)

class Value:
    def __init__(self):
        self.cache, self.me = cache, self

    def __del__(self):
        # At this time the interpreter may have taken everything else away.
        try:
            self.cache.get("key")
            self.cache.set("last", self)
            self.cache.clear(dangerously_clear_all=True)
        except (AttributeError, TypeError, NameError, ImportError):
            pass

for number in range(3000):
    cache.set(str(number), Value(), 60, tags=["tag"])
cache.set("me", cache)

@cached(cache, ttl=60)
def function(argument):
    return Value()

function(1)
cache.set("function", function)
left_open = AsyncInMemoryCache()
atexit.register(lambda: print(len(cache), cache.get("me") is cache, flush=True))
"""
    )
    assert output.strip() == "3003 True"


def test_a_cache_is_closed_by_the_collector_without_noise(run):
    output = run(
        """
import gc
from cachine import AsyncInMemoryCache, InMemoryCache

for kind in (InMemoryCache, AsyncInMemoryCache):
    kind(max_size=5).with_namespace("a")
    cache = kind()
    cache.me = cache
    del cache
    gc.collect()
"""
    )
    assert output == ""


@pytest.mark.parametrize(
    ("raised", "code"), [("SystemExit(3)", 3), ("SystemExit(0)", 0), ("KeyboardInterrupt()", -2)]
)
def test_what_ends_the_process_passes_through_a_computation(run, raised, code):
    run(
        AT_WORK
        + f"""
def stop():
    raise {raised}

cache.get_or_set("key", stop)
""",
        code=code,
    )


def test_an_event_loop_that_ends_in_the_middle_of_a_computation_leaves_the_cache_usable(run):
    run(
        """
import asyncio
from cachine import AsyncInMemoryCache

cache = AsyncInMemoryCache()

async def main():
    begun = asyncio.Event()

    async def endless():
        begun.set()
        await asyncio.Event().wait()

    tasks = [asyncio.ensure_future(cache.get_or_set("key", endless)) for _ in range(3)]
    await begun.wait()

asyncio.run(main())
assert asyncio.run(cache.get_or_set("key", lambda: 1)) == 1
"""
    )


def test_every_import_order_and_a_reload_of_the_package_works(run):
    run(
        """
import importlib
import cachine.backends.inmemory
import cachine.exceptions
import cachine

cache = cachine.InMemoryCache()
cache.set("key", 1)
importlib.reload(cachine.exceptions)
importlib.reload(cachine)
assert cache.get("key") == 1
"""
    )
