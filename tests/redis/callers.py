"""Orders for a worker: have a cached function, and callers in threads or tasks that ask for it.

The function counts its runs on the server and says there when it begins. Then it takes some time,
or waits until the test lets it go; see ``Entry`` in :mod:`processes`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time

from servers import Raw

from cachine import AsyncRedisCache, RedisCache, cached


def make(worker, number, kind, seconds=None, ends="value", via="cached", port=None, **options):
    """Make the cached function of a worker.

    Args:
        worker: whose.
        number: of the order.
        kind: ``sync`` or ``async``.
        seconds: how long the function takes; None: until the test lets it go.
        ends: whether it ends with a ``value``, with one that a condition ``refuses``, with one that
            is ``unstorable``, with ``None``, or ``raises``.
        via: ``cached`` or ``get_or_set``.
        port: of the server, when the cache is to use another one than the function.
        options: of ``cached``.
    """
    cache_class = AsyncRedisCache if kind == "async" else RedisCache
    settings = {"namespace": "ns", "timeout": 20, "connect_timeout": 20}
    cache = cache_class("127.0.0.1", port or worker.port, **settings)
    source = _Source(worker, seconds, ends)
    options = {"ttl": 60, "singleflight": True, **options}
    if ends == "refuses":
        options["condition"] = lambda value: False
    # The same name in all of them, so that they share its keys.
    load = source.load_async if kind == "async" else source.load
    if via == "cached":
        function = cached(cache, key_builder=lambda key: key, **options)(load)
    else:
        options.pop("singleflight")

        def function(key):
            return cache.get_or_set(key, lambda: load(key), **options)

    worker.kept.update(function=function, loops={}, tasks={})
    worker.kept["call"] = _tasks if kind == "async" else _threads
    # Connected, and everything imported.
    ping = cache.ping()
    assert (asyncio.run(ping) if kind == "async" else ping)["healthy"]


class _Source:
    """What the function asks for its answer."""

    def __init__(self, worker, seconds, ends):
        self.worker = worker
        self.seconds = seconds
        self.ends = ends

    def load(self, key):
        """The function, for threads."""
        number, source = self._begin(key)
        if self.seconds is None:
            self._wait(key, number)
        else:
            time.sleep(self.seconds)
        return self._end(number, source)

    async def load_async(self, key):
        """The function, for tasks."""
        number, source = self._begin(key)
        if self.seconds is None:
            await asyncio.to_thread(self._wait, key, number)
        else:
            await asyncio.sleep(self.seconds)
        return self._end(number, source)

    def _begin(self, key):
        with Raw(("127.0.0.1", self.worker.port)) as raw:
            source = raw.command("GET", f"source:{key}")
            number = raw.command("INCR", f"runs:{key}")
            raw.command("RPUSH", f"began:{key}", json.dumps([self.worker.name, number]))
        return number, source and source.decode()

    def _wait(self, key, number):
        with Raw(("127.0.0.1", self.worker.port)) as raw:
            raw.command("BLPOP", f"gate:{key}:{number}", 0)

    def _end(self, number, source):
        if self.ends == "raises":
            raise LookupError(number)
        if self.ends == "None":
            return None
        if self.ends == "unstorable":
            return _Unstorable()
        return [self.worker.name, number, source]


class _Unstorable:
    """No serializer takes it."""


def info(worker, number):
    """What the function has counted."""
    return worker.kept["function"].cache_info()._asdict()


def call(worker, number, key, callers, loop=0):
    """Have callers ask at once; what they got."""
    if threading.current_thread() is threading.main_thread():
        return _here(worker, number, key)
    return worker.kept["call"](worker, number, key, callers, loop)


def cancel(worker, number, of, which):
    """Cancel tasks of a call."""
    loop, tasks = worker.kept["tasks"][of]
    for place in which:
        loop.call_soon_threadsafe(tasks[place].cancel)


class _Got:
    """What the callers of an order got."""

    def __init__(self):
        self.values = []
        self.errors = []
        self.slowest = 0.0

    def add(self, since, value=None, error=None):
        self.slowest = max(self.slowest, time.monotonic() - since)
        if error is not None:
            self.errors.append(type(error).__name__)
        else:
            self.values.append("unstorable" if isinstance(value, _Unstorable) else value)


def _here(worker, number, key):
    got, since = _Got(), time.monotonic()
    try:
        worker.ready(number)
        since = time.monotonic()
        got.add(since, worker.kept["function"](key))
    except BaseException as error:
        got.add(since, error=error)
    return vars(got)


def _threads(worker, number, key, callers, loop):
    got, go = _Got(), threading.Event()

    def body():
        go.wait()
        since = time.monotonic()
        try:
            got.add(since, worker.kept["function"](key))
        except Exception as error:
            got.add(since, error=error)

    threads = [threading.Thread(target=body) for _ in range(callers)]
    for thread in threads:
        thread.start()
    worker.ready(number)
    go.set()
    for thread in threads:
        thread.join()
    return vars(got)


def _tasks(worker, number, key, callers, place):
    loop = worker.kept["loops"].get(place)
    if loop is None:
        loop = worker.kept["loops"][place] = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
    got = _Got()

    async def body(go):
        await go.wait()
        since = time.monotonic()
        try:
            got.add(since, await worker.kept["function"](key))
        except (Exception, asyncio.CancelledError) as error:
            got.add(since, error=error)

    async def begin():
        go = asyncio.Event()
        tasks = [loop.create_task(body(go)) for _ in range(callers)]
        await asyncio.sleep(0)
        return go, tasks

    go, tasks = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    worker.kept["tasks"][number] = loop, tasks
    worker.ready(number)

    async def finish():
        go.set()
        await asyncio.gather(*tasks)

    asyncio.run_coroutine_threadsafe(finish(), loop).result()
    return vars(got)
