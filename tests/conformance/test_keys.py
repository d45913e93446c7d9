"""What a key is, and what every operation says to a wrong one."""

import pytest

from cachine.exceptions import CacheError, InvalidKeyError

#: Every operation that takes a key, called with it.
WITH_KEY = {
    "get": lambda cache, key: cache.get(key),
    "set": lambda cache, key: cache.set(key, 1),
    "delete": lambda cache, key: cache.delete(key),
    "exists": lambda cache, key: cache.exists(key),
    "ttl": lambda cache, key: cache.ttl(key),
    "expire": lambda cache, key: cache.expire(key, 1),
    "expire_at": lambda cache, key: cache.expire_at(key, 1),
    "persist": lambda cache, key: cache.persist(key),
    "touch": lambda cache, key: cache.touch(key),
    "incr": lambda cache, key: cache.incr(key),
    "decr": lambda cache, key: cache.decr(key),
    "add_tags": lambda cache, key: cache.add_tags(key, ["tag"]),
    "get_or_set": lambda cache, key: cache.get_or_set(key, 1),
    "get_many": lambda cache, key: cache.get_many(["fine", key]),
    "set_many": lambda cache, key: cache.set_many({"fine": 1, key: 2}),
    "delete_many": lambda cache, key: cache.delete_many(["fine", key]),
}

operations = pytest.mark.parametrize("operation", WITH_KEY)


@operations
@pytest.mark.parametrize("key", [None, 1, 1.5, b"bytes", ("a",), True], ids=repr)
async def test_a_key_of_another_type_is_refused_by_its_type(cache, operation, key):
    with pytest.raises(TypeError, match=f"{operation}: a key is a str, not {type(key).__name__}"):
        await WITH_KEY[operation](cache, key)
    assert await cache.get_many(["fine"]) == {}, "nothing is half done"


@operations
async def test_an_object_that_no_table_could_hold_is_refused_as_a_key_like_others(cache, operation):
    if operation == "set_many":
        return  # No mapping could hold it either.
    with pytest.raises(TypeError, match="a key is a str, not list"):
        await WITH_KEY[operation](cache, [])


@operations
@pytest.mark.parametrize(
    "key",
    ["", "~cachine~", "~cachine~x", "a:~cachine~", "\ud800", "a\udfffb", "x" * (2**20 + 1)],
    ids=["empty", "marker", "begins", "part", "surrogate", "inside", "long"],
)
async def test_a_string_that_can_be_no_key_says_why(cache, operation, key):
    with pytest.raises(InvalidKeyError, match="key") as caught:
        await WITH_KEY[operation](cache, key)
    error = caught.value
    assert isinstance(error, CacheError)
    assert isinstance(error, ValueError)
    assert error.operation == operation
    assert error.retryable is False
    assert len(str(error)) < 300, "a key of any length must not flood a log"
    assert await cache.get_many(["fine"]) == {}, "nothing is half done"


@operations
async def test_a_key_may_hold_anything_else(cache, operation):
    for key in ("\0", "~", "~cachine", "x~cachine~", ":", "a b\n", "ключ", "🗝", "x" * 5000):
        await WITH_KEY[operation](cache, key)


async def test_a_subclass_of_str_is_the_string_that_it_is(cache):
    class Name(str):
        def __str__(self):
            return "another"

        def __hash__(self):
            return 7

        def __eq__(self, other):
            return False

        def encode(self, *_):
            return b"another"

    await cache.set(Name("key"), "value")
    assert await cache.get("key") == "value"
    assert await cache.get(Name("key")) == "value"
    assert await cache.exists("another") is False
    assert await cache.delete(Name("key")) is True
