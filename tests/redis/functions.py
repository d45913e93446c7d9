"""Functions over Redis: how one is written for each kind of cache, and how its callers meet."""

import asyncio
import functools
import threading
import time

import pytest

from cachine import AsyncRedisCache, RedisCache

__all__ = ["Door", "Keyed", "door", "eventually", "left_behind"]


class Door:
    """How a function is written, and how its callers meet."""

    def __init__(self, is_coroutine, cache_class, server):
        self.is_coroutine = is_coroutine
        self.cache_class = cache_class
        self.server = server

    def cache(self, **options):
        return self.cache_class("127.0.0.1", self.server.port, **options)

    def function(self, body):
        """A function that does what the body does."""
        if not self.is_coroutine:
            return body

        @functools.wraps(body)
        async def function(*args, **kwargs):
            await asyncio.sleep(0)
            return body(*args, **kwargs)

        return function

    def run(self, function, *args):
        result = function(*args)
        return self.finish(result)

    def finish(self, result):
        if hasattr(result, "__await__"):
            async def wait():
                return await result

            return asyncio.run(wait())
        return result

    def together(self, function, arguments):
        """The results of calls that start at once."""
        if self.is_coroutine:

            async def gather():
                return await asyncio.gather(*(function(each) for each in arguments))

            return asyncio.run(gather())
        results = {}
        barrier = threading.Barrier(len(arguments))

        def body(place, each):
            barrier.wait()
            results[place] = function(each)

        threads = [threading.Thread(target=body, args=pair) for pair in enumerate(arguments)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [results[place] for place in range(len(arguments))]


#: Milliseconds that word of an ending stands, or that it is just gone.
LEFT = (*range(5001), -2)


def left_behind(server):
    """The keys that a computation left whose result is not stored.

    For some seconds it leaves word for those in other processes who may be waiting for it.
    """

    def is_ending(key):
        value = server.command("GET", key)
        return value is None or (value.startswith(b"!") and server.command("PTTL", key) in LEFT)

    return [key for key in server.keys() if not (":~cachine~t:" in f":{key}" and is_ending(key))]


class Keyed:
    """An argument with a key of its own."""

    def __init__(self, name="big"):
        self.name = name

    def __cache_key__(self):
        return self.name


@pytest.fixture
def eventually():
    """Wait until something that a thread does beside the test has become true."""

    def wait(is_true):
        end = time.monotonic() + 20
        while not is_true():
            assert time.monotonic() < end
            time.sleep(0)

    return wait


@pytest.fixture(params=["plain", "coroutine", "coroutine on a blocking cache"])
def door(request, redis_server):
    redis_server.command("FLUSHALL")
    is_coroutine = request.param != "plain"
    kind = AsyncRedisCache if request.param == "coroutine" else RedisCache
    return Door(is_coroutine, kind, redis_server)
