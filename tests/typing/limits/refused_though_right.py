"""Right code that a checker refuses all the same, marked with the checker that does.

A line here that passes one day is good news: take its mark away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Protocol, overload

from typing_extensions import Self

from cachine import InMemoryCache, cached

cache = InMemoryCache()


# mypy loses ``Self`` in whatever a decorator makes of a method. The name of the class is kept.


class Query:
    @cached(cache)
    def itself(self) -> Self:
        return self

    @cached(cache)
    def named(self) -> Query:
        return self


Query().itself()  # error: mypy
Query().named()


# An attribute that is an object with ``__get__`` and not a function: pyright does not look behind
# it when it compares the class with a protocol or with a base, nor does mypy when a plain method
# takes its place.


class Finder(Protocol):
    def find(self, number: int) -> str: ...


class AbstractFinder(ABC):
    @abstractmethod
    def find(self, number: int) -> str: ...


class Cached(AbstractFinder):
    @cached(cache)
    def find(self, number: int) -> str:  # error: pyright
        return str(number)


class CachedAgain(Cached):
    @cached(cache)
    def find(self, number: int) -> str:  # error: pyright
        return str(number)


class NotCached(Cached):
    def find(self, number: int) -> str:  # error
        return str(number)


class Alone:
    @cached(cache)
    def find(self, number: int) -> str:
        return str(number)


finder: Finder = Alone()  # error: pyright


# A static method that would take the instance, too, is taken for a method when it is read from one.


class Text:
    @staticmethod
    @cached(cache)
    def of(value: object) -> str:
        return str(value)


Text.of(1)
Text().of(1)  # error


# Of several signatures the first is kept.


@overload
def double(value: int) -> int: ...
@overload
def double(value: str) -> str: ...
def double(value: int | str) -> int | str:
    return value * 2


double_cached = cached(cache)(double)
double_cached(1)
double_cached("a")  # error


# Whether a cache that may be anything is asynchronous nobody knows. Give it a type.

untyped: Any = cache


@cached(untyped)  # error
def of_untyped(number: int) -> int:
    return number


# pyright knows the parameters of a lambda up to four of them, and no others.

cached(cache, tags=lambda a, b, c, d, e: [f"{a}{b}{c}{d}{e}"])  # error: pyright
cached(cache, tags=lambda *args: [f"{args}"])  # error: pyright


# One str is an iterable of str, so what may be one is refused with it. Say Sequence, set, list.


def tagged(tags: Iterable[str]) -> None:
    cache.set("a", 1, tags=tags)  # error
    cache.set("a", 1, tags=list(tags))
