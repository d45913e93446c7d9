"""Writes, errors and cancelled callers in the middle of a call through somebody's own cache."""

from __future__ import annotations

import asyncio
import threading

import pytest
from cachine import cached

from .crowd import PATIENCE, Aside, Gate, eventually, soon
from .ducks import AsyncDuck, AsyncPickling, Duck, Pickling


@pytest.mark.parametrize("act", ["set", "delete", "clear"])
def test_writes_to_an_inherited_store_fence_what_is_under_way(act):
    cache, gate = Pickling(), Gate()

    @cached(cache, singleflight=True)
    def f():
        gate.passing()
        return "old"

    first = Aside(f)
    gate.arrived()
    acts = {
        "set": lambda: cache.set(f.cache_key(), "written"),
        "delete": lambda: cache.delete(f.cache_key()),
        "clear": lambda: cache.clear(dangerously_clear_all=True),
    }
    acts[act]()
    gate.open()
    assert first.result() == "old"
    assert cache.get(f.cache_key()) == ("written" if act == "set" else None)


@pytest.mark.parametrize("make", [Duck, Pickling])
@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_method_that_raises_is_counted_and_logged_and_the_function_answers(make, broken, lines):
    cache = make()

    def fail(*args, **kwargs):
        raise ConnectionError("down")

    setattr(cache, broken, fail)
    runs = []

    @cached(cache, singleflight=True)
    def f(x):
        runs.append(x)
        return x

    assert [f(1), f(1)] == [1, 1]
    assert runs[0] == 1
    assert f.cache_info().errors == 2
    (line,) = lines()
    assert line.startswith("the cache failed") and "ConnectionError" in line


@pytest.mark.parametrize("broken", ["get", "set"])
def test_an_asynchronous_method_that_raises_is_counted_alike(broken, lines):
    async def fail(*args, **kwargs):
        await asyncio.sleep(0)
        raise ConnectionError("down")

    async def main():
        cache = AsyncDuck()
        setattr(cache, broken, fail)
        f = cached(cache, singleflight=True)(load)
        assert [await f(1), await f(1)] == [[1], [1]]
        assert f.cache_info().errors == 2

    async def load(x):
        return [x]

    asyncio.run(main())
    assert len(lines()) == 1


@pytest.mark.parametrize("option", ["condition", "tags_from_result"])
def test_a_callback_that_raises_after_the_function_loses_no_answer(option, lines):
    def fail(value):
        raise ValueError

    async def load():
        return "answer"

    for make, function in ((Pickling, lambda: "answer"), (AsyncPickling, load)):
        cache = make()
        f = cached(cache, **{option: fail})(function)
        result = asyncio.run(f()) if function is load else f()
        assert result == "answer"
        assert len(cache) == 0
    assert all(line.startswith("a callback failed") for line in lines()) and lines()


def test_once_only_results_of_coroutines_reach_no_cache_of_ones_own():
    async def load():
        return iter([1])

    async def main():
        f = cached(AsyncDuck(), singleflight=True)(load)
        assert [list(await f()), list(await f())] == [[1], [1]]

    asyncio.run(main())


def test_a_disguised_asynchronous_cache_under_a_plain_function_is_refused_at_the_call():
    class Disguised(Duck):
        def get(self, key, default=None):
            async def get():
                return default

            return get()

    with pytest.raises(TypeError, match="no coroutine function"):
        cached(Disguised())(lambda: 1)()


def test_two_functions_of_one_key_share_their_computations_on_any_cache():
    duck, gate, runs = Duck(), Gate(), []

    def load(x):
        runs.append(threading.get_ident())
        gate.passing()
        return "value"

    one, other = (cached(duck, key_builder="k:{x}", singleflight=True)(load) for _ in range(2))
    first = Aside(one, 1)
    gate.arrived()
    second = Aside(other, 1)
    eventually(lambda: other.cache_info().coalesced == 1)
    gate.open()
    assert (first.result(), second.result(), len(runs)) == ("value", "value", 1)


def test_a_cancelled_caller_of_an_asynchronous_cache_leaves_it_to_the_others():
    async def main():
        gate = Gate()

        @cached(AsyncDuck(), singleflight=True)
        async def f():
            await gate.passing_async()
            return "value"

        tasks = [asyncio.create_task(f()) for _ in range(5)]
        await soon(lambda: f.cache_info().coalesced == 4)
        tasks[0].cancel()
        gate.open()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[1:] == ["value"] * 4

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
