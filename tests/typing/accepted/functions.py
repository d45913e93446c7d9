"""A decorated function keeps its arguments and its result, and gets the surface."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from typing_extensions import assert_type

from cachine import InMemoryCache, cached

T = TypeVar("T")
cache = InMemoryCache(max_size=100)


@cached(cache, ttl=60)
def greet(name: str, times: int = 1, *, loud: bool = False) -> list[str]:
    return [name.upper() if loud else name] * times


assert_type(greet("a"), "list[str]")
assert_type(greet("a", 2), "list[str]")
assert_type(greet(name="a", times=2, loud=True), "list[str]")
assert_type(greet.invalidate("a", 2, loud=True), bool)
assert_type(greet.refresh("a", loud=True), "list[str]")
assert_type(greet.cache_key("a"), str)
assert_type(greet.cache_clear(), None)
assert_type(greet.__wrapped__("a", loud=True), "list[str]")
assert_type(greet.__name__, str)
assert_type(greet.__qualname__, str)
assert_type(greet.__module__, str)
assert_type(greet.__doc__, "str | None")

info = greet.cache_info()
assert_type(info.hits, int)
assert_type(info.misses, int)
assert_type(info.maxsize, "int | None")
assert_type(info.currsize, int)
assert_type(info.stale, int)
assert_type(info.coalesced, int)
assert_type(info.errors, int)
hits, misses, maxsize, currsize, *_ = info


@cached(cache)
def nothing() -> None: ...


@cached(cache=cache)
def anything(value: int) -> Any:
    return value


@cached(cache)
def maybe(value: int) -> str | None:
    return str(value) if value else None


@cached(cache)
def many(*names: str, **numbers: int) -> int:
    return len(names) + sum(numbers.values())


@cached(cache)
def first(items: list[T]) -> T:
    return items[0]


assert_type(nothing.invalidate(), bool)
assert_type(anything(1), Any)
assert_type(anything.invalidate(1), bool)
assert_type(maybe(1), "str | None")
assert_type(many(), int)
assert_type(many("a", "b", c=1), int)
assert_type(first([1]), int)
assert_type(first(["a"]), str)


# What else can be called.


class Multiplier:
    def __call__(self, number: int) -> float:
        return number * 2.0


assert_type(cached(cache)(Multiplier())(2), float)
assert_type(cached(cache)(len)("abc"), int)
assert_type(cached(cache)(functools.partial(greet, "a"))(), "list[str]")
assert_type(cached(cache)(lambda: 1)(), int)


# Where a plain function is asked for.


def apply(function: Callable[[str], list[str]], names: Iterable[str]) -> list[list[str]]:
    return list(map(function, names))


assert_type(apply(greet, ["a"]), "list[list[str]]")
assert_type(list(map(maybe, [1, 2])), "list[str | None]")
callbacks: dict[str, Callable[..., object]] = {"greet": greet, "many": many}


# Under and over other decorators.


def logged(function: Callable[[int], T]) -> Callable[[int], T]:
    @functools.wraps(function)
    def call(number: int) -> T:
        return function(number)

    return call


@logged
@cached(cache)
def outside(number: int) -> bytes:
    return bytes(number)


@cached(cache)
@logged
def inside(number: int) -> bytes:
    return bytes(number)


assert_type(outside(1), bytes)
assert_type(inside(1), bytes)
assert_type(inside.invalidate(1), bool)
