"""Wrong code that no checker can refuse: it is refused when it runs.

A mark that becomes necessary here is good news: move the line to ``refused``.
"""

from __future__ import annotations

from collections.abc import Iterator

from cachine import InMemoryCache, cached

cache = InMemoryCache()


# A bool is an int to a checker.
cached(cache, ttl=True)
cache.set("a", 1, ttl=False)


# What a generator yields can be read once.
@cached(cache)
def generator(number: int) -> Iterator[int]:
    yield number


# The fields of a template, and the parameters of callbacks, belong to a function that is not known
# yet when the options are read.
@cached(cache, key_builder="user:{user}", tags=lambda user: [f"user:{user}"])
def by_id(user_id: int) -> str:
    return str(user_id)


# What a function returns is not compared with what the cache was said to hold.
@cached(InMemoryCache[int]())
def text(number: int) -> str:
    return str(number)


# Options that belong together.
InMemoryCache(max_weight=10)
cached(cache, stale_ttl=60)
