"""Coroutine functions stay coroutine functions; an asynchronous cache is managed by awaiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache, InMemoryCache, cached

plain_cache = InMemoryCache()
async_cache = AsyncInMemoryCache()


@cached(plain_cache, ttl=60)
async def plain(number: int, *, text: str = "") -> list[str]:
    return [text] * number


@cached(async_cache, ttl=60)
async def awaited(number: int, *, text: str = "") -> list[str]:
    return [text] * number


@cached(AsyncInMemoryCache)
async def from_class(number: int) -> str:
    return str(number)


@cached(lambda: async_cache)
async def from_lambda(number: int) -> str:
    return str(number)


def make_cache() -> AsyncInMemoryCache[int]:
    return AsyncInMemoryCache()


@cached(make_cache)
async def from_function(number: int) -> int:
    return number


@cached(async_cache)
async def anything(number: int) -> Any:
    return number


async def use() -> None:
    assert_type(await plain(1, text="a"), "list[str]")
    assert_type(plain.invalidate(1, text="a"), bool)
    assert_type(plain.cache_clear(), None)
    assert_type(await plain.refresh(1), "list[str]")
    assert_type(await plain.__wrapped__(1), "list[str]")

    assert_type(await awaited(1, text="a"), "list[str]")
    assert_type(await awaited.invalidate(1, text="a"), bool)
    assert_type(await awaited.cache_clear(), None)
    assert_type(await awaited.refresh(1), "list[str]")
    assert_type(await awaited.__wrapped__(1), "list[str]")
    assert_type(awaited.cache_key(1), str)
    assert_type(awaited.cache_info().hits, int)
    assert_type(awaited.__name__, str)

    assert_type(await from_class(1), str)
    assert_type(await from_class.invalidate(1), bool)
    assert_type(await from_lambda(1), str)
    assert_type(await from_lambda.invalidate(1), bool)
    assert_type(await from_function(1), int)
    assert_type(await from_function.invalidate(1), bool)
    assert_type(await anything(1), Any)

    assert_type(await asyncio.create_task(plain(1)), "list[str]")
    assert_type(await asyncio.create_task(awaited(1)), "list[str]")
    assert_type(await asyncio.create_task(awaited.invalidate(1)), bool)
    assert_type(await asyncio.gather(plain(1), from_class(2)), "tuple[list[str], str]")
    assert_type(await asyncio.wait_for(awaited(1), timeout=1), "list[str]")


assert_type(asyncio.run(plain(1)), "list[str]")
assert_type(asyncio.run(awaited(1)), "list[str]")

calls: list[Callable[[int], Coroutine[Any, Any, list[str]]]] = [plain, awaited]
handlers: list[Callable[[int], Awaitable[object]]] = [plain, awaited, from_class]
