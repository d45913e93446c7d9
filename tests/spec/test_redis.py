"""The Redis blocks of the specification, typed in as printed; only the port is that of the tests."""

# ruff: noqa

import asyncio

import pytest

from cachine.backends.redis import _options

STEP_3 = '''
from cachine import cached
from cachine import RedisCache
from cachine.serializers import JSONSerializer

# Create Redis cache
cache = RedisCache(
    host="localhost",
    port=6379,
    namespace="myapp",  # Prefix all keys with "myapp:"
    serializer=JSONSerializer()
)

@cached(cache=cache, ttl=300)  # Cache for 5 minutes
def get_user(user_id):
    # Now cached across ALL your servers!
    return database.query_user(user_id)

user = get_user(123)
'''

ASYNC = '''
import asyncio
from cachine import cached
from cachine import AsyncRedisCache

cache = AsyncRedisCache(host="localhost", namespace="myapp")

@cached(cache=cache, ttl=60)
async def fetch_data(item_id):
    # Simulate async API call
    await asyncio.sleep(0)
    calls.append(item_id)
    return {"id": item_id, "data": "..."}

async def main():
    result = await fetch_data(1)  # Slow first time
    result = await fetch_data(1)  # Fast from cache

asyncio.run(main())
'''

SINGLE = '''
from cachine import RedisCache
from cachine.serializers import JSONSerializer

cache = RedisCache(
    host="localhost",
    port=6379,
    db=0,
    password="your-password",  # Optional
    namespace="myapp",
    serializer=JSONSerializer()
)
'''

SERIALIZERS = '''
from cachine.serializers import JSONSerializer, PickleSerializer, MsgPackSerializer
from cachine.backends.redis.sync import RedisCache

# JSON: Safe, human-readable, limited types
cache = RedisCache(host="localhost", serializer=JSONSerializer())
cache.set("data", {"a": 1, "b": [2, 3]})
found.append(cache.get("data"))

# MsgPack: Fast, compact, binary
cache = RedisCache(host="localhost", serializer=MsgPackSerializer())
cache.set("data", {"complex": "object"})
found.append(cache.get("data"))

# Pickle: All Python types, but UNSAFE for untrusted data
cache = RedisCache(host="localhost", serializer=PickleSerializer())
cache.set("data", any_python_object)
found.append(cache.get("data"))
'''


@pytest.fixture
def typed(redis_server, monkeypatch):
    """Run a block as it stands."""
    redis_server.command("FLUSHALL")
    monkeypatch.setitem(_options._DEFAULTS, "port", redis_server.port)

    def run(block, **names):
        exec(compile(block.replace("port=6379", f"port={redis_server.port}"), "block", "exec"), names)
        return names

    return run


class Database:
    def __init__(self):
        self.asked = []

    def query_user(self, user_id):
        self.asked.append(user_id)
        return {"id": user_id}


def test_step_3_scale_to_redis(typed, redis_server):
    database = Database()
    for _ in range(2):  # The second one is another server.
        names = typed(STEP_3, database=database, __name__="app")
        assert names["user"] == {"id": 123}
        names["cache"].close()
    assert database.asked == [123]
    (key,) = redis_server.keys()
    assert key.startswith("myapp:")
    assert redis_server.command("GET", key) == b'{"id":123}'


def test_the_asynchronous_cache(typed):
    calls = []
    typed(ASYNC, calls=calls)
    assert calls == [1]


def test_one_server_with_a_password(redis_secured, monkeypatch):
    block = SINGLE.replace("port=6379", f"port={redis_secured.port}")
    names = {}
    exec(block.replace("your-password", redis_secured.password), names)
    cache = names["cache"]
    cache.set("a", 1)
    assert cache.get("a") == 1
    assert redis_secured.password not in repr(cache)
    cache.clear()
    cache.close()


def test_the_serializers(typed):
    found = []
    kept = {1, (2, 3)}
    typed(SERIALIZERS, found=found, any_python_object=kept)
    assert found == [{"a": 1, "b": [2, 3]}, {"complex": "object"}, kept]


def test_a_rate_limit_holds_to_the_edge_of_its_window(redis_server):
    from cachine import RedisCache

    redis_server.command("FLUSHALL")
    cache = RedisCache("127.0.0.1", redis_server.port, namespace="limits")
    passed = sum(cache.incr("user:1", ttl_on_create=60) <= 100 for _ in range(150))
    assert passed == 100
    assert 59_000 < redis_server.command("PTTL", "limits:user:1") <= 60_000
    redis_server.age(59.5)
    assert cache.incr("user:1", ttl_on_create=60) == 151, "the window is that of the first"
    redis_server.age(1)
    assert cache.incr("user:1", ttl_on_create=60) == 1, "a new window"
    assert redis_server.command("PTTL", "limits:user:1") > 59_000
    cache.close()
