"""Cachine: the caching library that people stop looking after.

>>> from cachine import InMemoryCache, cached
>>> cache = InMemoryCache()
>>> @cached(cache, ttl=60)
... def double(x):
...     return 2 * x
>>> double(21)
42
"""

from cachine import _fork
from cachine.backends.inmemory import AsyncInMemoryCache, InMemoryCache
from cachine.decorators.cached import cached

__all__ = ["AsyncInMemoryCache", "InMemoryCache", "cached"]
