"""The caches that the suite runs over: a new backend is a new column, not a new test.

Every body is written once, as a coroutine function. An asynchronous cache is awaited as it is; a
blocking one stands behind awaitable methods. Time passes through the column, because only it
knows which clock its cache reads.
"""

import asyncio
import threading
import time

from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware
from cachine.serializers import ExactSerializer

from cachine import AsyncInMemoryCache, AsyncRedisCache, InMemoryCache, RedisCache, _backoff, _read_through

#: The operations that an asynchronous cache has as coroutine functions.
AWAITED = (
    "add_tags",
    "clear",
    "close",
    "decr",
    "delete",
    "delete_many",
    "exists",
    "expire",
    "expire_at",
    "get",
    "get_many",
    "get_or_set",
    "incr",
    "invalidate_tags",
    "persist",
    "ping",
    "ping_ok",
    "set",
    "set_many",
    "touch",
    "ttl",
)
#: Those that are plain calls on every cache.
PLAIN = ("get_stats", "lock", "reset_stats", "with_namespace")


class Blocking:
    """A blocking cache whose operations can be awaited."""

    def __init__(self, cache):
        self.blocking = cache

    def __getattr__(self, name):
        found = getattr(self.blocking, name)
        if name not in AWAITED:
            return found

        async def call(*arguments, **named):
            return found(*arguments, **named)

        return call

    def with_namespace(self, namespace):
        return Blocking(self.blocking.with_namespace(namespace))

    def lock(self, *arguments, **named):
        return BlockingLock(self.blocking.lock(*arguments, **named))

    async def __aenter__(self):
        self.blocking.__enter__()
        return self

    async def __aexit__(self, *error):
        self.blocking.__exit__(*error)


class BlockingLock:
    """A blocking lock that can be entered with ``async with``."""

    def __init__(self, lock):
        self.blocking = lock

    def __getattr__(self, name):
        return getattr(self.blocking, name)

    def __repr__(self):
        return repr(self.blocking)

    async def __aenter__(self):
        assert self.blocking.__enter__() is self.blocking
        return self

    async def __aexit__(self, *error):
        return self.blocking.__exit__(*error)


class Column:
    """One kind of cache: how it is made, how its time passes, how its callers meet."""

    #: What ``ping`` calls the backend.
    backend = ""
    is_async = False
    cache_class = None
    #: Whether what comes back is the object that went in, and not an equal one.
    keeps_objects = True
    #: Whether ``incr`` counts on from an int that ``set`` wrote.
    counts_what_was_set = True
    #: The last so many seconds of a life that a test can tell from its end: on a real server, real
    #: time passes too.
    moment = 0.001
    #: Whether a result whose tags only it knows is stored when other tags were invalidated meanwhile.
    stores_beside_other_tags = True
    #: The fixture of the server that it needs.
    server_fixture = None

    def __init__(self, clock, server=None):
        self.clock = clock
        self.server = server

    def make(self, **options):
        """A new cache, empty, that is awaited."""
        return self.awaited(self.plain(**options))

    def plain(self, **options):
        """The same as a user has it."""
        return self.cache_class(**options)

    def awaited(self, cache):
        """The cache, with operations that can be awaited."""
        return cache if self.is_async else Blocking(cache)

    def advance(self, seconds):
        """Let so much time pass."""
        self.clock.advance(seconds)

    async def together(self, call, times):
        """The results of so many calls that start at once: tasks, or threads if calls block."""
        if self.is_async:
            return await asyncio.gather(*(call() for _ in range(times)))
        results = [None] * times
        barrier = threading.Barrier(times)

        def body(at):
            barrier.wait()
            results[at] = finished(call())

        threads = [threading.Thread(target=body, args=(at,)) for at in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    async def turn(self):
        """Let the other callers go on."""
        if self.is_async:
            await asyncio.sleep(0)
        else:
            time.sleep(0)

    def is_idle(self):
        """Whether no computation is under way in this process, not even a failing one."""
        return not _read_through.leaders and _backoff.is_idle()

    def gate(self):
        """A gate, closed, that a computation beside the test waits at."""
        return AsyncGate() if self.is_async else BlockingGate()

    def factory(self, compute):
        """A coroutine function as a factory that this kind of cache takes."""
        return compute if self.is_async else lambda: finished(compute())


class BlockingGate:
    """Stops a thread."""

    def __init__(self):
        self.event = threading.Event()

    async def passed(self):
        assert self.event.wait(20), "nobody opened the gate"

    def open(self):
        self.event.set()


class AsyncGate:
    """Stops a task."""

    def __init__(self):
        self.is_open = False

    async def passed(self):
        while not self.is_open:
            await asyncio.sleep(0)

    def open(self):
        self.is_open = True


def finished(coroutine):
    """The result of a coroutine that waits for nothing but its turn."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value


class InMemory(Column):
    backend = "inmemory"
    cache_class = InMemoryCache


class AsyncInMemory(Column):
    backend = "inmemory"
    is_async = True
    cache_class = AsyncInMemoryCache


class AsBytes(InMemory):
    """Values as bytes, by the default serializer."""

    keeps_objects = False

    def plain(self, **options):
        return super().plain(serializer=ExactSerializer(), **options)


class Stacked(InMemory):
    """Every middleware around the cache: an int that was set is encrypted, and no counter."""

    keeps_objects = False
    counts_what_was_set = False

    def plain(self, **options):
        return stacked(super().plain(**options))


class AsyncStacked(Stacked):
    cache_class = AsyncInMemoryCache
    is_async = True


class Redis(Column):
    """A real server, whose data ages when the test says so."""

    backend = "redis"
    cache_class = RedisCache
    keeps_objects = False
    moment = 0.5
    # Nothing tells a server beforehand which tags those will be.
    stores_beside_other_tags = False
    server_fixture = "redis_server"

    def __init__(self, clock, server):
        super().__init__(clock, server)
        server.command("FLUSHALL")

    def plain(self, **options):
        return self.cache_class("127.0.0.1", self.server.port, **options)

    def advance(self, seconds):
        super().advance(seconds)
        self.server.age(seconds)


class AsyncRedis(Redis):
    cache_class = AsyncRedisCache
    is_async = True


class StackedRedis(Redis):
    """Every middleware around it."""

    counts_what_was_set = False

    def plain(self, **options):
        return stacked(super().plain(**options))


class AsyncStackedRedis(StackedRedis):
    cache_class = AsyncRedisCache
    is_async = True


def stacked(cache):
    """The cache, compressed, encrypted and measured."""
    cache = CompressionMiddleware(cache, algorithm="lz4", min_size=0)
    cache = EncryptionMiddleware(cache, key="correct horse battery staple")
    return MetricsMiddleware(cache)


COLUMNS = (
    InMemory,
    AsyncInMemory,
    AsBytes,
    Stacked,
    AsyncStacked,
    Redis,
    AsyncRedis,
    StackedRedis,
    AsyncStackedRedis,
)
