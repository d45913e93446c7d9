"""The options of cached, as the documentation shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache, InMemoryCache, cached
from cachine.decorators.cached import KeyContext

cache = InMemoryCache()


def lazily() -> InMemoryCache[str]:
    return InMemoryCache()


def by_context(ctx: KeyContext, user_id: int) -> str:
    return f"{ctx.full_name}:{ctx.module}:{ctx.qualname}:{ctx.version}:{user_id}"


def by_arguments(user_id: int) -> str:
    return f"user:{user_id}"


def by_all(*args: object, **kwargs: object) -> str:
    return f"{args}{kwargs}"


def tags_of(user_id: int) -> Sequence[str]:
    return [f"user:{user_id}"]


def is_good(result: str) -> bool:
    return bool(result)


names = ["a", "b"]

everything = cached(
    cache,
    ttl=timedelta(minutes=5),
    key_builder=by_context,
    condition=is_good,
    cache_none=True,
    jitter=0.5,
    stale_ttl=600,
    singleflight=True,
    tags=["users"],
    tags_from_result=lambda result: [f"user:{result}"],
    version="v2",
)


@everything
def full(user_id: int) -> str:
    return str(user_id)


@everything
async def full_too(user_id: int) -> int:
    return user_id


@cached(cache, 60, "user:{user_id}", None, False, 1.5, 120, True, ["users"], None, "v1")
def by_position(user_id: int) -> str:
    return str(user_id)


@cached(cache, key_builder=by_arguments, tags=tags_of)
def functions(user_id: int) -> str:
    return str(user_id)


@cached(cache, key_builder=by_all, tags=("a", "b"), ttl=None)
def tuples(user_id: int) -> str:
    return str(user_id)


@cached(cache, tags={"a", "b"}, tags_from_result=lambda _: None)
def sets(user_id: int) -> str:
    return str(user_id)


@cached(cache, tags=(name.upper() for name in names))
def generators(user_id: int) -> str:
    return str(user_id)


# The parameters of a lambda are known, up to four of them.


@cached(cache, key_builder=lambda user_id: f"user:{user_id}", tags=lambda user_id: [f"u:{user_id}"])
def one(user_id: int) -> str:
    return str(user_id)


@cached(
    cache,
    key_builder=lambda ctx, user_id, page: f"{ctx.full_name}:{user_id}:{page}",
    tags=lambda user_id, page: [f"user:{user_id}", f"page:{page}"],
    condition=lambda result: result is not None and result.isdigit(),
)
def two(user_id: int, page: int) -> str | None:
    return str(user_id + page)


@cached(cache, key_builder=lambda: "all", tags=lambda: ["all"])
def none() -> str:
    return ""


@cached(
    cache,
    key_builder=lambda a, b, c=1, d=2: f"{a}:{b}:{c}:{d}",
    tags=lambda a, b, c=1, d=2: [f"{a}:{b}:{c}:{d}"],
)
def four(a: int, b: int, c: int = 1, d: int = 2) -> int:
    return a + b + c + d


assert_type(full(1), str)
assert_type(by_position(1), str)
assert_type(functions(1), str)
assert_type(tuples(1), str)
assert_type(sets(1), str)
assert_type(generators(1), str)
assert_type(one(1), str)
assert_type(two(1, 2), "str | None")
assert_type(none(), str)
assert_type(four(1, 2, 3), int)


# The cache, at once or at the first call.


@cached(lazily)
def late(number: int) -> str:
    return str(number)


@cached(InMemoryCache)
def own(number: int) -> str:
    return str(number)


@cached(lambda: cache)
def by_lambda(number: int) -> str:
    return str(number)


@cached(cache.with_namespace("reports"))
def viewed(number: int) -> str:
    return str(number)


assert_type(late(1), str)
assert_type(own.invalidate(1), bool)
assert_type(by_lambda.invalidate(1), bool)
assert_type(viewed.invalidate(1), bool)


async def use() -> None:
    assert_type(await full_too(1), int)


@cached(AsyncInMemoryCache(), 60, by_context, tags=lambda user_id: [f"user:{user_id}"], jitter=1)
async def options_too(user_id: int) -> str:
    return str(user_id)
