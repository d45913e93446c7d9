"""Caches of somebody's own, with the two methods that cached needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Generic, TypeVar

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache, InMemoryCache, cached

T = TypeVar("T")


class Exact:
    def get(self, key: str, default: object = None) -> object:
        return default

    def set(self, key: str, value: object, ttl: float | None = None) -> None: ...


class Careless:
    def get(self, key: str, default: Any = None) -> Any:
        return default

    def set(self, key: str, value: Any, ttl: Any = None, **options: Any) -> Any: ...


class Truthful:
    def get(self, name: str, otherwise: Any) -> Any:
        return otherwise

    def set(self, name: str, content: Any, seconds: float = 60) -> bool:
        return True


class Waiting:
    async def get(self, key: str, default: object = None) -> object:
        return default

    async def set(self, key: str, value: object, ttl: float | None = None) -> None: ...


class WaitingCareless:
    async def get(self, key: str, default: Any = None) -> Any:
        return default

    async def set(self, key: str, value: Any, **options: Any) -> Any: ...


class Subclass(InMemoryCache[T], Generic[T]):
    def set(
        self, key: str, value: T, ttl: float | timedelta | None = None, **options: Any
    ) -> None:
        super().set(key, value, ttl, **options)


class AsyncSubclass(AsyncInMemoryCache[Any]):
    async def get(self, key: str, default: Any = None, *, serializer: Any = None) -> Any:
        return await super().get(key, default, serializer=serializer)


class Wrapper:
    """Callable, and a cache all the same."""

    def __call__(self) -> int:
        return 1

    def get(self, key: str, default: Any = None) -> Any:
        return default

    def set(self, key: str, value: Any, ttl: float | None = None) -> None: ...


@cached(Exact())
def exact(number: int) -> str:
    return str(number)


@cached(Careless(), 60)
def careless(number: int) -> str:
    return str(number)


@cached(Truthful())
def truthful(number: int) -> str:
    return str(number)


@cached(Waiting())
async def waiting(number: int) -> str:
    return str(number)


@cached(WaitingCareless())
async def waiting_careless(number: int) -> str:
    return str(number)


@cached(Subclass[str](10))
def subclass(number: int) -> str:
    return str(number)


@cached(AsyncSubclass())
async def async_subclass(number: int) -> str:
    return str(number)


@cached(Wrapper())
def wrapper(number: int) -> str:
    return str(number)


@cached(lambda: Exact())
def late(number: int) -> str:
    return str(number)


@cached(Exact())
async def on_plain(number: int) -> str:
    return str(number)


assert_type(exact(1), str)
assert_type(exact.invalidate(1), bool)
assert_type(careless(1), str)
assert_type(careless.invalidate(1), bool)
assert_type(truthful.invalidate(1), bool)
assert_type(subclass.invalidate(1), bool)
assert_type(wrapper.invalidate(1), bool)
assert_type(late.invalidate(1), bool)


async def use() -> None:
    assert_type(await waiting(1), str)
    assert_type(await waiting.invalidate(1), bool)
    assert_type(await waiting_careless.invalidate(1), bool)
    assert_type(await async_subclass.invalidate(1), bool)
    assert_type(await on_plain(1), str)
    assert_type(on_plain.invalidate(1), bool)
