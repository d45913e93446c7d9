"""Options of the wrong type."""

from __future__ import annotations

from datetime import datetime

from cachine import AsyncInMemoryCache, InMemoryCache, cached

cache = InMemoryCache()


def with_key(key: int) -> int:
    return key


cached(cache, ttl="60")  # error
cached(cache, "60")  # error
cached(cache, ttl=datetime.now())  # error
cached(cache, ttl=[60])  # error
cached(cache, jitter="1")  # error
cached(cache, stale_ttl="120")  # error
cached(cache, key_builder=5)  # error
cached(cache, key_builder=with_key)  # error
cached(cache, key_builder=lambda number: 5)  # error
cached(cache, key_builder=None, condition=5)  # error
cached(cache, condition=lambda: True)  # error
cached(cache, condition=True)  # error
cached(cache, cache_none="yes")  # error
cached(cache, singleflight=None)  # error
cached(cache, tags="users")  # error
cached(cache, tags=b"users")  # error
cached(cache, tags=5)  # error
cached(cache, tags=[1, 2])  # error
cached(cache, tags=with_key)  # error
cached(cache, tags=lambda number: 5)  # error
cached(cache, tags=lambda number: "users")  # error
cached(cache, tags_from_result=["users"])  # error
cached(cache, tags_from_result=lambda: ["users"])  # error
cached(cache, tags_from_result=lambda result: 5)  # error
cached(cache, tags_from_result=lambda result: "users")  # error
cached(cache, version=2)  # error
cached(cache, time_to_live=60)  # error
cached(cache, 1, None, None, False, None, None, False, None, None, None, 1)  # error
cached(AsyncInMemoryCache(), ttl="60")  # error
cached(AsyncInMemoryCache(), tags="users")  # error
