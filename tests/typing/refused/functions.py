"""Calls that do not fit the function, and decorations that are refused at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cachine import AsyncInMemoryCache, InMemoryCache, cached

cache = InMemoryCache()
async_cache = AsyncInMemoryCache()


@cached(cache, ttl=60)
def greet(name: str, times: int = 1, *, loud: bool = False) -> list[str]:
    return [name.upper() if loud else name] * times


@cached(cache)
def nothing() -> None: ...


greet()  # error
greet(1)  # error
greet("a", "b")  # error
greet("a", 1, True)  # error
greet("a", volume=1)  # error
greet("a", name="a")  # error
greet.invalidate()  # error
greet.invalidate(1)  # error
greet.invalidate("a", volume=1)  # error
greet.refresh("a", "b")  # error
greet.cache_key("a", loud="yes")  # error
greet.cache_clear("a")  # error
greet.cache_info().hit  # error
greet.__wrapped__(1)  # error
greet.cache_clean()  # error
nothing(1)  # error
nothing.invalidate(1)  # error

number: int = greet("a")  # error
text: str = greet.refresh("a")  # error
flag: str = greet.invalidate("a")  # error
wrong_arguments: Callable[[int], list[str]] = greet  # error
wrong_result: Callable[[str], str] = greet  # error


# The cache.


def make_nothing() -> None: ...


def make_with(size: int) -> InMemoryCache[Any]:
    return InMemoryCache(size)


class OnlyGet:
    def get(self, key: str, default: Any = None) -> Any: ...


class NoDefault:
    def get(self, key: str) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...


class IntKeys:
    def get(self, key: int, default: Any = None) -> Any: ...
    def set(self, key: int, value: Any) -> None: ...


cached()  # error
cached(None)  # error
cached({})  # error
cached("redis://localhost")  # error
cached(make_nothing)  # error
cached(make_with)  # error
cached(OnlyGet())  # error
cached(NoDefault())  # error
cached(IntKeys())  # error
cached(lambda: None)  # error


@cached  # error
def bare(value: int) -> int:
    return value


@cached  # error
def bare_and_empty() -> int:
    return 1


# A synchronous function can't wait for an asynchronous cache.


@cached(async_cache)  # error
def cannot_wait(value: int) -> int:
    return value


@cached(AsyncInMemoryCache)  # error
def cannot_wait_either(value: int) -> int:
    return value


cached(lambda: async_cache)(len)  # error
cached(cache)(5)  # error
cached(cache)()  # error
