"""Caches with every stack of middleware, and coroutine functions as tests."""

import asyncio
import inspect
from itertools import permutations

import pytest
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware

from cachine import AsyncInMemoryCache, InMemoryCache

KEY = "correct horse battery staple"

#: Each middleware by its initial, with options that make it do something to a small value.
STEPS = {
    "c": lambda cache: CompressionMiddleware(cache, algorithm="zlib", min_size=0),
    "e": lambda cache: EncryptionMiddleware(cache, key=KEY),
    "m": MetricsMiddleware,
}
ORDERS = ["".join(order) for size in (1, 2, 3) for order in permutations("cem", size)]


def stacked(order, cache):
    """The cache, wrapped from the inside out."""
    for step in order:
        cache = STEPS[step](cache)
    return cache


@pytest.fixture(params=ORDERS)
def order(request):
    """One stack of middleware, from the inside out."""
    return request.param


@pytest.fixture
def cache(order, clock):
    """A memory cache with that stack, on a clock that tests may move."""
    return stacked(order, InMemoryCache(namespace="stack"))


@pytest.fixture
def async_cache(order, clock):
    """An asynchronous one."""
    return stacked(order, AsyncInMemoryCache(namespace="stack"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine function in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
