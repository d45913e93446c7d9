"""What can be called can be decorated; what can be read only once can not (P9 to P11)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import math
from unittest import mock

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached


def test_functions_methods_and_lambdas(cache):
    class Shop:
        @cached(cache)
        def price(self, x):
            return [x]

    function = cached(cache)(lambda x: [x])
    shop = Shop()
    assert function(1) is function(1)
    assert shop.price(1) is shop.price(1) is Shop.price(shop, 1)


ORDERS = ["class over cached", "cached over class", "static over cached", "cached over static"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("is_async", [False, True])
def test_class_and_static_methods_in_either_order(cache, order, is_async):
    descriptor = classmethod if "class" in order else staticmethod
    keep = cached(cache)
    wraps = [keep, descriptor] if order.endswith(("class", "static")) else [descriptor, keep]

    def decorate(function):
        return wraps[0](wraps[1](function))

    class Shop:
        if is_async:

            async def price(*args):
                return list(args)
        else:

            def price(*args):
                return list(args)

        price = decorate(price)

    class Special(Shop):
        pass

    def call(where, x):
        result = where.price(x)
        return asyncio.run(_awaited(result)) if is_async else result

    first = call(Shop, 1)
    assert call(Shop(), 1) is first
    assert first == ([Shop, 1] if descriptor is classmethod else [1])
    assert call(Special, 1) == ([Special, 1] if descriptor is classmethod else [1])
    assert (call(Special, 1) is first) == (descriptor is staticmethod)
    assert call(Shop, 2) is not first


async def _awaited(result):
    return await result


@pytest.mark.parametrize("order", ["cached over class", "cached over static"])
def test_the_management_of_class_and_static_methods_is_bound_like_their_calls(cache, order):
    descriptor = classmethod if "class" in order else staticmethod

    class Shop:
        @cached(cache)
        @descriptor
        def price(*args):
            return list(args)

    first = Shop.price(1)
    assert Shop().price.cache_key(1) == Shop.price.cache_key(1)
    assert cache.get(Shop.price.cache_key(1)) is first
    assert Shop.price.invalidate(1) is True
    assert Shop.price.refresh(1) == first
    assert Shop.price.cache_info().currsize == 1


def test_properties(cache):
    class Shop:
        runs = 0

        @property
        @cached(cache)
        def price(self):
            self.runs += 1
            return [self.runs]

    shop = Shop()
    assert shop.price is shop.price
    assert Shop().price is not shop.price
    with pytest.raises(TypeError, match="below @property"):
        cached(cache)(Shop.price)


def test_callable_objects_partials_classes_and_builtins(cache):
    class Adder:
        def __init__(self, by):
            self.by = by

        def __call__(self, x, y=0):
            return [self.by + x + y]

    one, two = cached(cache)(Adder(1)), cached(cache)(Adder(2))
    assert (one(1), two(1), one(x=1, y=0)) == ([2], [3], [2])
    assert one(1) is one(x=1)
    partial = cached(cache)(functools.partial(Adder(1), y=5))
    assert partial(1) is partial(1) == [7]
    made = cached(cache)(Adder)
    assert made(3) is made(by=3)
    assert isinstance(made(3), Adder)
    builtins = [(len, ("abc",)), (max, (1, 2, 3)), (math.gcd, (4, 6)), (int, ("7",))]
    for builtin, arguments in builtins:
        f = cached(cache)(builtin)
        assert f(*arguments) == builtin(*arguments) == f(*arguments)
        assert f.cache_info().hits == 1
    upper, other = cached(cache)("abc".upper), cached(cache)("xyz".upper)
    assert (upper(), other()) == ("ABC", "XYZ")


def test_wraps_chains_keep_the_signature_of_the_innermost(cache):
    def log(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    @cached(cache)
    @log
    @log
    def f(a, b=2):
        return [a, b]

    assert f(1) is f(a=1, b=2)
    assert str(inspect.signature(f)) == "(a, b=2)"


def test_decorators_of_ours_stack(cache):
    near, far = InMemoryCache(), AsyncInMemoryCache()

    @cached(near)
    @cached(cache)
    def f(x):
        return [x]

    first = f(1)
    assert f.invalidate(1) is True
    assert f(1) is first, "the far one still has it"
    assert (len(near), len(cache)) == (1, 1)

    @cached(near)
    @cached(far)
    async def g(x):
        return [x]

    async def main():
        first = await g(1)
        assert g.invalidate(1) is True, "the near one is synchronous, and so is this"
        assert await g(1) is first
        assert g.cache_clear() is None

    asyncio.run(main())


class AsyncCallable:
    async def __call__(self, x):
        return [x]


def _marked():
    def coroutine_in_disguise(x):
        return _awaited(asyncio.sleep(0, [x]))

    if hasattr(inspect, "markcoroutinefunction"):
        return inspect.markcoroutinefunction(coroutine_in_disguise)
    coroutine_in_disguise._is_coroutine = asyncio.coroutines._is_coroutine
    return coroutine_in_disguise


async def plain(x):
    return [x]


ASYNC = {
    "function": plain,
    "partial": functools.partial(plain),
    "object": AsyncCallable(),
    "bound": AsyncCallable().__call__,
    "marked": _marked(),
    "mock": mock.AsyncMock(side_effect=plain),
    "wrapped": functools.wraps(plain)(functools.partial(plain)),
}


@pytest.mark.parametrize("kind", list(ASYNC))
@pytest.mark.parametrize("make", [InMemoryCache, AsyncInMemoryCache])
def test_every_kind_of_coroutine_function(kind, make):
    f = cached(make())(ASYNC[kind])

    async def main():
        return await f(1) is await f(1) == [1]

    assert asyncio.run(main())
    assert inspect.iscoroutinefunction(f)


def test_a_plain_function_that_returns_a_coroutine_never_hands_it_out_twice(cache, lines):
    f = cached(cache)(lambda x: plain(x))

    async def main():
        return await f(1), await f(1)

    assert asyncio.run(main()) == ([1], [1])
    assert len(cache) == 0
    assert "can be used only once" in lines()[0]


def generator(x):
    yield x


async def async_generator(x):
    yield x


class Generates:
    def __call__(self, x):
        yield x


GENERATORS = [
    generator,
    async_generator,
    functools.partial(generator),
    Generates(),
    Generates().__call__,
    staticmethod(generator),
    classmethod(async_generator),
    lambda x: (yield x),
]


@pytest.mark.parametrize("function", GENERATORS, ids=repr)
def test_generators_are_refused_at_decoration(cache, function):
    with pytest.raises(TypeError, match="is a generator.*return a list instead"):
        cached(cache)(function)


ONCE = {
    "generator": lambda x: (y for y in range(x)),
    "map": lambda x: map(int, range(x)),
    "iterator": lambda x: iter(list(range(x))),
}


@pytest.mark.parametrize("kind", list(ONCE))
def test_a_result_that_is_used_up_is_never_cached(cache, kind, lines):
    f = cached(cache, singleflight=True)(ONCE[kind])
    assert [list(f(3)) for _ in range(3)] == [[0, 1, 2]] * 3
    assert len(cache) == 0
    (line,) = lines()
    assert "not stored" in line and "return a list instead" in line


def test_what_can_be_read_many_times_is_cached(cache):
    results = [range(3), [1], {1: 2}.keys(), "text", contextlib.nullcontext(), generator]
    f = cached(cache)(lambda at: results[at])
    for at, result in enumerate(results):
        assert f(at) is f(at) is result
    assert f.cache_info().hits == len(results)
