"""Serializers and middleware: a wrapped cache has the type of what it wraps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from typing_extensions import assert_type

from cachine import AsyncInMemoryCache, InMemoryCache, cached
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware
from cachine.serializers import (
    ExactSerializer,
    JSONSerializer,
    MsgPackSerializer,
    PickleSerializer,
)

numbers = InMemoryCache[int](serializer=ExactSerializer())
assert_type(numbers.get("a", serializer=JSONSerializer()), "int | None")
assert_type(numbers.get("a", 0, serializer=MsgPackSerializer(lossy=True)), int)
assert_type(numbers.set("a", 1, serializer=PickleSerializer(signing_key="key")), None)
InMemoryCache(serializer=json)


class Reversed:
    def dumps(self, value: Any) -> bytes:
        return str(value).encode()[::-1]

    def loads(self, data: bytes) -> str:
        return data[::-1].decode()


InMemoryCache[str](serializer=Reversed()).set("a", "b", serializer=Reversed())

compressed = CompressionMiddleware(numbers, algorithm="zstd", level=3, min_size=128)
encrypted = EncryptionMiddleware(compressed, key="key", key_id="v2", old_keys={"v1": "old"})
measured = MetricsMiddleware(encrypted)
assert_type(compressed.get("a"), "int | None")
assert_type(encrypted.get("a", "none"), "int | str")
assert_type(measured.get_or_set("a", lambda: 1), int)
assert_type(measured.get_stats(), dict[str, Any])
assert_type(EncryptionMiddleware.generate_key(), str)
as_cache: InMemoryCache[int] = measured
as_middleware: EncryptionMiddleware = encrypted
with measured as same:
    assert_type(same.get("a"), "int | None")
assert_type(measured.with_namespace("x").get("a"), "int | None")


@cached(measured, ttl=60)
def compute(number: int) -> str:
    return str(number)


assert_type(compute(1), str)


async def use() -> None:
    cache = MetricsMiddleware(
        EncryptionMiddleware(CompressionMiddleware(AsyncInMemoryCache[str]()), "key")
    )
    assert_type(await cache.get("a"), "str | None")
    assert_type(await cache.get("a", serializer=JSONSerializer()), "str | None")
    assert_type(await cache.set("a", "b", 60, serializer=JSONSerializer()), None)
    as_async: AsyncInMemoryCache[str] = cache
    async with as_async as same:
        assert_type(await same.get("a"), "str | None")


@dataclass
class User:
    name: str


serializer = ExactSerializer()


@serializer.register
class Colour(Enum):
    RED = 1


assert_type(serializer.register(User, "user"), type[User])
assert_type(serializer.dumps(User("Ada")), bytes)
