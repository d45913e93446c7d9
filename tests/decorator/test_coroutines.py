"""What a call of a cached coroutine function gives is a coroutine, to whoever asks."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import sys
import traceback
import warnings
import weakref

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached


class Wrong(Exception):
    pass


@pytest.fixture(params=[InMemoryCache, AsyncInMemoryCache], ids=lambda kind: kind.__name__)
def cache(request):
    return request.param()


@pytest.fixture(params=[False, True], ids=["alone", "singleflight"])
def f(request, cache):
    @cached(cache, singleflight=request.param)
    async def f(x, *, pause=0):
        await asyncio.sleep(pause)
        return [x]

    return f


def test_it_is_a_coroutine_for_everybody_who_asks(f):
    call = f(1)
    assert isinstance(call, collections.abc.Coroutine)
    assert inspect.isawaitable(call) and asyncio.iscoroutine(call)
    assert inspect.iscoroutinefunction(f)
    assert (call.__name__, call.__qualname__) == ("f", f.__qualname__)
    call.close()
    if sys.version_info < (3, 14):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert asyncio.iscoroutinefunction(f)


def test_every_way_to_run_one_works_on_a_miss_and_on_a_hit(f):
    async def main(x):
        awaited = await f(x)
        task = await asyncio.create_task(f(x))
        future = await asyncio.ensure_future(f(x))
        gathered = await asyncio.gather(f(x), f(x))
        waited = await asyncio.wait_for(f(x), 10)
        shielded = await asyncio.shield(f(x))
        done, _ = await asyncio.wait([asyncio.ensure_future(f(x))])
        (first,) = [await each for each in asyncio.as_completed([f(x)])]
        values = [awaited, task, future, *gathered, waited, shielded, done.pop().result(), first]
        assert all(value is awaited for value in values)
        return awaited

    first = asyncio.run(main(1))
    assert asyncio.run(f(1)) is first, "asyncio.run takes it as it is"
    assert asyncio.run(f(2)) == [2]
    assert f.cache_info().misses == 2


if hasattr(asyncio, "eager_task_factory"):

    def test_eager_tasks_run_it_too(f):
        async def main():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            first, second = asyncio.create_task(f(1)), asyncio.create_task(f(1))
            assert await first == await second == [1]
            assert await asyncio.create_task(f(1)) == [1]

        asyncio.run(main())


def test_a_task_of_it_has_a_name_and_a_stack(f):
    async def main():
        task = asyncio.create_task(f(1, pause=1000))
        await asyncio.sleep(0)
        assert "f()" in repr(task) or " f" in repr(task)
        assert isinstance(task.get_stack(), list)
        task.print_stack(file=open("/dev/null", "w"))  # noqa: SIM115
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(main())
        gc.collect()


def test_debug_mode_has_nothing_to_complain_about(f):
    assert asyncio.run(f(1), debug=True) == asyncio.run(f(1), debug=True) == [1]


def test_nothing_runs_until_it_is_awaited(cache):
    runs = []

    @cached(cache)
    async def f(x):
        runs.append(x)

    call = f(1)
    assert runs == []
    call.close()
    assert runs == []


def test_one_that_was_never_awaited_warns_like_any_coroutine(f):
    with pytest.warns(RuntimeWarning, match=r"coroutine '.*f' was never awaited"):
        f(1)
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(1).close()
        asyncio.run(f(1))
        gc.collect()


def test_it_can_be_awaited_once(f):
    async def main():
        for call in (f(1), f(1)):  # A miss and a hit.
            await call
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                await call
        closed = f(2)
        closed.close()
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await closed

    asyncio.run(main())


def test_a_second_task_can_not_await_one_that_is_running(f):
    async def main():
        call = f(1, pause=1000)

        async def wait():
            await call

        first = asyncio.create_task(wait())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="being awaited already"):
            await wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_arguments_are_let_go_when_it_is_over():
    class Argument:
        pass

    f = cached(InMemoryCache(), condition=lambda value: False)(_nothing)
    argument = Argument()
    alive = weakref.ref(argument)
    call = f(argument)
    asyncio.run(call)
    del argument
    gc.collect()
    assert alive() is None
    assert call is not None


async def _nothing(x):
    return None


def test_an_exception_leads_to_the_line_that_raised_it(f):
    @cached(InMemoryCache())
    async def fails():
        raise Wrong("here")

    async def main():
        try:
            await fails()
        except Wrong as error:
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]

    assert asyncio.run(main())[-1] == "fails"


def test_a_misfit_is_raised_by_the_function_itself(f):
    with pytest.raises(TypeError, match=r"f\(\) missing 1 required positional argument: 'x'"):
        asyncio.run(f())
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        asyncio.run(f(1, z=2))
