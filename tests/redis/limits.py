"""Orders for a worker: count requests against a limit, as fast as it goes."""

from __future__ import annotations

import asyncio
import threading
import time

from cachine import AsyncRedisCache, RedisCache

SETTINGS = {"namespace": "ns", "timeout": 20, "connect_timeout": 20}


def hammer(worker, number, kind, user, window, seconds, callers):
    """Count requests of a user from several threads or tasks; what each of them saw.

    A request is the moment before it, the moment after it, and the number that it got. The clock is
    the machine's, so the moments of all processes can be compared.
    """
    if kind == "async":
        return asyncio.run(_tasks(worker, number, user, window, seconds, callers))
    cache = RedisCache("127.0.0.1", worker.port, **SETTINGS)
    cache.ping()
    seen = [[] for _ in range(callers)]

    def body(requests):
        before = time.monotonic()
        while before < end:
            got = cache.incr(f"limit:{user}", 1, ttl_on_create=window)
            after = time.monotonic()
            requests.append((before, after, got))
            before = after

    worker.ready(number)
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=body, args=(each,)) for each in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


async def _tasks(worker, number, user, window, seconds, callers):
    cache = AsyncRedisCache("127.0.0.1", worker.port, **SETTINGS)
    await cache.ping()
    worker.ready(number)
    end = time.monotonic() + seconds

    async def body():
        requests, before = [], time.monotonic()
        while before < end:
            got = await cache.incr(f"limit:{user}", 1, ttl_on_create=window)
            after = time.monotonic()
            requests.append((before, after, got))
            before = after
        return requests

    return await asyncio.gather(*(body() for _ in range(callers)))
