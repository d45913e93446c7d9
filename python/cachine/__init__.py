"""Cachine: the caching library that people stop looking after.

>>> from cachine import InMemoryCache, cached
>>> cache = InMemoryCache()
>>> @cached(cache, ttl=60)
... def double(x):
...     return 2 * x
>>> double(21)
42
"""

from typing import TYPE_CHECKING

from cachine import _fork
from cachine.backends.inmemory import AsyncInMemoryCache, InMemoryCache
from cachine.decorators.cached import cached

if TYPE_CHECKING:
    from cachine.backends.redis.async_ import AsyncRedisCache
    from cachine.backends.redis.sync import RedisCache

__all__ = ["AsyncInMemoryCache", "AsyncRedisCache", "InMemoryCache", "RedisCache", "cached"]

#: Imported when they are first asked for: most programs use one backend.
_LATE = {
    "AsyncRedisCache": "cachine.backends.redis.async_",
    "RedisCache": "cachine.backends.redis.sync",
}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(_LATE[name]), name)
    globals()[name] = found
    return found
