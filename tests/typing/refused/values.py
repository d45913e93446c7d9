"""Mistakes with serializers and middleware."""

from __future__ import annotations

from cachine import AsyncInMemoryCache, InMemoryCache
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware, MetricsMiddleware
from cachine.serializers import ExactSerializer, JSONSerializer, PickleSerializer

numbers = InMemoryCache[int]()
MetricsMiddleware({})  # error
MetricsMiddleware(InMemoryCache)  # error
MetricsMiddleware(numbers, 1)  # error
CompressionMiddleware(numbers, algorithm=1)  # error
CompressionMiddleware(numbers, level="9")  # error
EncryptionMiddleware(numbers)  # error
EncryptionMiddleware(numbers, key=b"key")  # error
EncryptionMiddleware(numbers, "key", old_keys=["old"])  # error
MetricsMiddleware(numbers).set("a", "b")  # error
InMemoryCache(serializer="json")  # error
InMemoryCache(serializer=object())  # error
numbers.set("a", 1, serializer=1)  # error
numbers.get("a", None, JSONSerializer())  # error
JSONSerializer(True)  # error
PickleSerializer(signing_key=1)  # error
ExactSerializer().register(1)  # error
ExactSerializer().loads("text")  # error


async def use() -> None:
    wrapped = MetricsMiddleware(AsyncInMemoryCache[int]())
    await wrapped.set("a", "b")  # error
    with wrapped:  # error
        pass
