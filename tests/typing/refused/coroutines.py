"""Coroutine functions: arguments are checked before anything is awaited."""

from __future__ import annotations

import asyncio

from cachine import AsyncInMemoryCache, InMemoryCache, cached

plain_cache = InMemoryCache()
async_cache = AsyncInMemoryCache()


@cached(plain_cache)
async def plain(number: int) -> str:
    return str(number)


@cached(async_cache)
async def awaited(number: int) -> str:
    return str(number)


async def use() -> None:
    await plain("a")  # error
    await awaited("a")  # error
    await plain()  # error
    await awaited(1, 2)  # error
    await plain.invalidate(1)  # error
    await plain.cache_clear()  # error
    await awaited.cache_info()  # error
    await awaited.cache_key(1)  # error
    await awaited.invalidate("a")  # error
    await awaited.refresh(text="a")  # error
    plain.invalidate("a")  # error
    one: int = await plain(1)  # error
    two: int = await awaited(1)  # error
    three: str = awaited(1)  # error
    four: bool = awaited.invalidate(1)  # error
    five: str = await awaited.invalidate(1)  # error
    six: str = plain.refresh(1)  # error
    awaited(1)  # error
    awaited.invalidate(1)  # error
    awaited.cache_clear()  # error
    plain(1)  # error
    print(one, two, three, four, five, six)


asyncio.run(awaited("a"))  # error
result: int = asyncio.run(awaited(1))  # error
