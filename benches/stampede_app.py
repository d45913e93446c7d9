"""The web application of ``stampede.py``: one slow answer, kept by the library that PEER names.

Every row of :data:`APPS` makes an application with the same two paths: ``/item/{number}``, which
takes :data:`SECONDS` to compute, and ``/ready``, which takes no time. What is computed is counted
in a file, outside of every cache.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI

#: How long the answer takes to compute.
SECONDS = 0.3
TTL = 60

PORT = int(os.environ["STAMPEDE_REDIS"])
_runs = os.open(os.environ["STAMPEDE_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def compute(number: int) -> dict[str, int]:
    """The answer, for tasks."""
    os.write(_runs, b".")
    await asyncio.sleep(SECONDS)
    return {"number": number}


def compute_on_thread(number: int) -> dict[str, int]:
    """The answer, for threads."""
    os.write(_runs, b".")
    time.sleep(SECONDS)
    return {"number": number}


def plain(function, lifespan=None) -> FastAPI:
    """An application whose answer is what a function returns."""
    application = FastAPI(lifespan=lifespan)
    if asyncio.iscoroutinefunction(function):

        @application.get("/item/{number}")
        async def item(number: int):
            return await function(number)
    else:

        @application.get("/item/{number}")
        def item(number: int):
            return function(number)

    return application


def no_cache() -> FastAPI:
    """What the machine and the web framework take."""
    return plain(compute)


def one_future() -> FastAPI:
    """What no library can be faster than: a future in each worker, and no server to ask."""
    futures: dict[int, asyncio.Task] = {}

    async def shared(number: int):
        if number not in futures:
            futures[number] = asyncio.ensure_future(compute(number))
        return await asyncio.shield(futures[number])

    return plain(shared)


def cachine_async() -> FastAPI:
    """Ours."""
    from cachine import AsyncRedisCache, cached

    cache = AsyncRedisCache("127.0.0.1", PORT, namespace="bench")
    return plain(cached(cache, ttl=TTL, singleflight=True)(compute))


def cachine_sync() -> FastAPI:
    """Ours, for threads; the framework gives the requests to its pool of 40."""
    from cachine import RedisCache, cached

    cache = RedisCache("127.0.0.1", PORT, namespace="bench")
    return plain(cached(cache, ttl=TTL, singleflight=True)(compute_on_thread))


def cashews_lock() -> FastAPI:
    """cashews, with its lock in Redis."""
    from cashews import cache

    cache.setup(f"redis://127.0.0.1:{PORT}/1")
    return plain(cache(ttl=TTL, key="item:{number}", lock=True)(compute))


def aiocache_plain() -> FastAPI:
    """aiocache, without a lock."""
    from aiocache import cached

    return plain(cached(**_aiocache())(compute))


def aiocache_stampede() -> FastAPI:
    """aiocache, with its lock in Redis."""
    from aiocache import cached_stampede

    return plain(cached_stampede(lease=2, **_aiocache())(compute))


def _aiocache():
    from aiocache import Cache
    from aiocache.serializers import JsonSerializer

    def name(function, number):
        return f"item:{number}"

    where = {"endpoint": "127.0.0.1", "port": PORT, "db": 2}
    return {
        "ttl": TTL,
        "cache": Cache.REDIS,
        "key_builder": name,
        "serializer": JsonSerializer(),
        **where,
    }


def dogpile() -> FastAPI:
    """dogpile.cache, with its lock in Redis, for threads."""
    from dogpile.cache import make_region

    arguments = {
        "host": "127.0.0.1",
        "port": PORT,
        "db": 3,
        "distributed_lock": True,
        "thread_local_lock": False,
        "lock_timeout": 5,
    }
    region = make_region().configure(
        "dogpile.cache.redis", expiration_time=TTL, arguments=arguments
    )
    return plain(region.cache_on_arguments()(compute_on_thread))


def fastapi_cache() -> FastAPI:
    """fastapi-cache2, which has no lock."""
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.redis import RedisBackend
    from fastapi_cache.decorator import cache
    from redis.asyncio import Redis

    @asynccontextmanager
    async def lifespan(_):
        FastAPICache.init(RedisBackend(Redis(host="127.0.0.1", port=PORT, db=4)), prefix="bench")
        yield

    return plain(cache(expire=TTL)(compute), lifespan)


APPS = {
    "no cache": no_cache,
    "one future per worker": one_future,
    "cachine, async": cachine_async,
    "cachine, sync": cachine_sync,
    "cashews lock=True": cashews_lock,
    "aiocache cached": aiocache_plain,
    "aiocache cached_stampede": aiocache_stampede,
    "dogpile.cache": dogpile,
    "fastapi-cache2": fastapi_cache,
}


def application() -> FastAPI:
    """The one that PEER names."""
    made = APPS[os.environ["STAMPEDE_PEER"]]()

    @made.get("/ready")
    async def ready():
        return {}

    return made
