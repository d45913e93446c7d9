"""The two doors to Redis behind one face: a test is written once, as if every call blocked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import glob
import inspect
import itertools
import time

from cachine import AsyncRedisCache, RedisCache, cached

#: The deadline of a call, in seconds, and what a busy machine may add to it.
TIMEOUT = 0.5
SLACK = 0.5

OPTIONS = {
    "host": "127.0.0.1",
    "namespace": "ns",
    "timeout": TIMEOUT,
    "connect_timeout": TIMEOUT,
}

#: No wait in these tests is longer: what has not happened by then never will.
PATIENCE = 20.0

#: Every function gets a name of its own. On a shared store the name is all that is known of it.
_numbers = itertools.count()


@contextlib.contextmanager
def within(seconds):
    """Fail when the block takes longer.

    The time does not count that threads of this process were ready to run while the processors were
    busy with other programs: it says nothing about the cache. A thread that waits is not ready.
    """
    begin, queued = time.monotonic(), _queued()
    yield
    taken = time.monotonic() - begin
    excused = max(0.0, _queued() - queued)
    assert taken - excused < seconds, f"it took {taken:.3f} s ({excused:.3f} s excused)"


def _queued():
    """How long the threads of this process have waited for a processor; 0 where nobody knows."""
    total = 0
    for path in glob.glob("/proc/self/task/*/schedstat"):
        with contextlib.suppress(OSError), open(path) as file:  # A thread may just have ended.
            total += int(file.read().split()[1])
    return total / 1e9


def eventually(condition, what):
    """Wait until a condition holds; fail when it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"in vain waited until {what}"
        time.sleep(0.005)


class Door:
    """Makes caches, and closes them in the end."""

    cache_class = RedisCache

    def __init__(self):
        self.made = []

    def make(self, port, **options):
        """A cache on ``127.0.0.1`` with short deadlines and the namespace ``ns``."""
        return self.taken(self.cache_class(port=port, **{**OPTIONS, **options}))

    def taken(self, cache):
        """A cache that somebody made, as the tests use it."""
        self.made.append(cache)
        return cache

    def cached(self, cache, **options):
        """``@cached``, for a plain function; what it makes is called like one."""

        def decorate(function):
            function.__qualname__ = f"function{next(_numbers)}"
            return cached(cache, **options)(function)

        return decorate

    def turn(self):
        """Let the cache see what happened to its connections."""

    def close(self):
        """Close every cache."""
        for cache in self.made:
            cache.close()


class AsyncDoor(Door):
    """The same, with each call run to its end in one event loop."""

    cache_class = AsyncRedisCache

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def taken(self, cache):
        return super().taken(Waited(cache, self.loop))

    def cached(self, cache, **options):
        def decorate(function):
            async def later(*args):
                return function(*args)

            later.__qualname__ = f"function{next(_numbers)}"
            decorated = cached(cache.cache, **options)(later)

            def call(*args):
                return self.loop.run_until_complete(decorated(*args))

            call.cache_info = decorated.cache_info
            return call

        return decorate

    def turn(self):
        async def turns():
            for _ in range(20):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def close(self):
        super().close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class Waited:
    """An asynchronous cache whose coroutine functions block."""

    def __init__(self, cache, loop):
        self.cache = cache
        self.loop = loop

    def __repr__(self):
        return repr(self.cache)

    def with_namespace(self, namespace):
        return Waited(self.cache.with_namespace(namespace), self.loop)

    def __getattr__(self, name):
        found = getattr(self.cache, name)
        if not inspect.iscoroutinefunction(found):
            return found

        @functools.wraps(found)
        def call(*args, **kwargs):
            return self.loop.run_until_complete(found(*args, **kwargs))

        return call


#: Both, by the names that the tests show.
DOORS = {"sync": Door, "async": AsyncDoor}
