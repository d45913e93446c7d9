"""Caches as users write them: objects with `get` and `set`, classes that inherit from ours."""

from __future__ import annotations

import asyncio
import pickle

from cachine import AsyncInMemoryCache, InMemoryCache


class Duck:
    """Any object with `get` and `set`."""

    def __init__(self):
        self.data = {}
        self.log = []

    def get(self, key, default=None):
        self.log.append(("get", key))
        return self.data.get(key, default)

    def set(self, key, value, ttl=None):
        self.log.append(("set", key, ttl))
        self.data[key] = value

    def delete(self, key):
        return self.data.pop(key, None) is not None


class AsyncDuck:
    def __init__(self):
        self.duck = Duck()
        self.data = self.duck.data

    async def get(self, key, default=None):
        await asyncio.sleep(0)
        return self.duck.get(key, default)

    async def set(self, key, value, ttl=None):
        await asyncio.sleep(0)
        self.duck.set(key, value, ttl)

    async def delete(self, key):
        return self.duck.delete(key)


class Pickling(InMemoryCache):
    """Keeps bytes, where a look past its methods would find what nobody stored."""

    def get(self, key, default=None):
        found = super().get(key, None)
        return default if found is None else pickle.loads(found)

    def set(self, key, value, ttl=None, **options):
        super().set(key, pickle.dumps(value), ttl, **options)


class Hiding(InMemoryCache):
    """Shows nothing of what it has."""

    def get(self, key, default=None):
        return default


class AsyncPickling(AsyncInMemoryCache):
    async def get(self, key, default=None):
        found = await super().get(key, None)
        return default if found is None else pickle.loads(found)

    async def set(self, key, value, ttl=None, **options):
        await asyncio.sleep(0)
        await super().set(key, pickle.dumps(value), ttl, **options)
