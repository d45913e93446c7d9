"""Methods of every kind, read from the class, an instance, a subclass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache, InMemoryCache, cached

T = TypeVar("T")
cache = InMemoryCache()
async_cache = AsyncInMemoryCache()


class Service:
    @cached(cache, ttl=60)
    def method(self, number: int, *, text: str = "") -> list[str]:
        return [text] * number

    @cached(cache)
    async def plain(self, number: int) -> str:
        return str(number)

    @cached(async_cache)
    async def awaited(self, number: int) -> str:
        return str(number)

    @classmethod
    @cached(cache)
    def class_over(cls, number: int) -> str:
        return cls.__name__ * number

    @cached(cache)
    @classmethod
    def class_under(cls, number: int) -> str:
        return cls.__name__ * number

    @classmethod
    @cached(async_cache)
    async def class_awaited(cls, number: int) -> str:
        return cls.__name__ * number

    @classmethod
    @cached(cache)
    def create(cls) -> Service:
        return cls()

    @staticmethod
    @cached(cache)
    def static_over(number: int) -> str:
        return str(number)

    @cached(cache)
    @staticmethod
    def static_under(number: int) -> str:
        return str(number)

    @staticmethod
    @cached(cache)
    def static_empty() -> str:
        return ""

    @staticmethod
    @cached(async_cache)
    async def static_awaited(number: int) -> str:
        return str(number)

    @staticmethod
    @cached(cache)
    def static_anything(value: object) -> str:
        return str(value)

    @property
    @cached(cache)
    def total(self) -> int:
        return 1


class Derived(Service):
    @property
    def more(self) -> list[str]:
        return self.method(2)


service = Service()

assert_type(service.method(1, text="a"), "list[str]")
assert_type(service.method(number=1), "list[str]")
assert_type(service.method.invalidate(1, text="a"), bool)
assert_type(service.method.refresh(1), "list[str]")
assert_type(service.method.cache_key(1), str)
assert_type(service.method.cache_clear(), None)
assert_type(service.method.cache_info().hits, int)
assert_type(service.method.__name__, str)
assert_type(service.method.__wrapped__(service, 1), "list[str]")
assert_type(service.method.__func__(service, 1), "list[str]")
assert_type(service.total, int)
bound: Callable[[int], list[str]] = service.method

assert_type(Service.method(service, 1, text="a"), "list[str]")
assert_type(Service.method.invalidate(service, 1), bool)
assert_type(Service.method.__wrapped__(service, 1), "list[str]")
assert_type(Service.method.cache_info().hits, int)

assert_type(Derived().method(1), "list[str]")
assert_type(Derived.method(Derived(), 1), "list[str]")

assert_type(Service.class_over(1), str)
assert_type(Service.class_under(number=1), str)
assert_type(service.class_over(1), str)
assert_type(service.class_under(1), str)
assert_type(Derived.class_over(1), str)
assert_type(Derived().class_under(1), str)
assert_type(Service.class_over.invalidate(1), bool)
assert_type(Service.class_under.refresh(1), str)
assert_type(Service.create(), Service)
assert_type(Derived.create.cache_key(), str)

assert_type(Service.static_over(1), str)
assert_type(Service.static_under(1), str)
assert_type(service.static_over(number=1), str)
assert_type(service.static_under(1), str)
assert_type(Service.static_over.invalidate(1), bool)
assert_type(service.static_under.refresh(1), str)
assert_type(Service.static_empty(), str)
assert_type(service.static_empty.invalidate(), bool)
assert_type(Service.static_anything(1), str)


async def use() -> None:
    assert_type(await service.plain(1), str)
    assert_type(service.plain.invalidate(1), bool)
    assert_type(await service.plain.refresh(1), str)
    assert_type(await service.awaited(1), str)
    assert_type(await service.awaited.invalidate(1), bool)
    assert_type(await service.awaited.cache_clear(), None)
    assert_type(await service.awaited.refresh(number=1), str)
    assert_type(service.awaited.cache_key(1), str)
    assert_type(await Service.awaited(service, 1), str)
    assert_type(await Service.awaited.invalidate(service, 1), bool)
    assert_type(await Service.class_awaited(1), str)
    assert_type(await service.class_awaited.invalidate(1), bool)
    assert_type(await Service.static_awaited(1), str)
    assert_type(await service.static_awaited.invalidate(1), bool)
    assert_type(await asyncio.gather(service.plain(1), service.awaited(2)), "tuple[str, str]")


# Generic classes, and those with more than one.


class Box(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item

    @cached(cache)
    def open(self, times: int) -> list[T]:
        return [self.item] * times


assert_type(Box(1).open(2), "list[int]")
assert_type(Box("a").open.refresh(2), "list[str]")


class Mixin:
    @cached(cache)
    def tell(self: Any, number: int) -> str:
        return str(self) * number


assert_type(Mixin().tell(1), str)


class Named(Protocol):
    name: str


class Person:
    name = "a"

    @cached(cache)
    def greet(self: Named, times: int) -> str:
        return self.name * times


assert_type(Person().greet(2), str)
