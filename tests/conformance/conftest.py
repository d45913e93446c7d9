"""The columns as fixtures, and coroutine functions as tests."""

import asyncio
import inspect
import time

import pytest

from .column import COLUMNS


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine function in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=COLUMNS, ids=lambda column: column.__name__)
def column(request, clock):
    """One kind of cache."""
    kind = request.param
    if kind.server_fixture is None:
        return kind(clock)
    return kind(clock, request.getfixturevalue(kind.server_fixture))


@pytest.fixture
def make(request, clock):
    """Make a cache of a kind of column, as a user has it."""

    def make(kind):
        server = kind.server_fixture
        server = () if server is None else (request.getfixturevalue(server),)
        return kind(clock, *server).plain()

    return make


@pytest.fixture
def cache(column):
    """A new cache without a namespace."""
    return column.make()


@pytest.fixture
def eventually():
    """Wait until something that a thread or task does beside the test has become true."""

    async def wait(is_true, what):
        end = time.monotonic() + 20
        while True:
            found = is_true()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return
            assert time.monotonic() < end, f"it never came to pass that {what}"
            await asyncio.sleep(0)

    return wait
