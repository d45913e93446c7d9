"""Values that a serializer refuses and bytes that nobody can read, around cached functions."""

import asyncio
import logging

import pytest
from cachine.exceptions import DeserializationError, IntegrityError, SerializationError
from cachine.middleware import EncryptionMiddleware
from cachine.serializers import JSONSerializer

from cachine import AsyncInMemoryCache, InMemoryCache, _log, cached

from .conftest import KEY


@pytest.fixture
def lines(caplog):
    """The lines that cachine logged, as they are when this is called."""
    _log._last.clear()
    caplog.set_level(logging.WARNING, logger="cachine")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "cachine"]


def test_a_result_that_can_not_be_kept_is_returned_and_told_once_with_its_path(lines):
    cache = InMemoryCache(serializer=JSONSerializer())

    @cached(cache, singleflight=True)
    def compute(secret):
        return {"user": {"tags": [1, 2, 3, {secret}]}}

    for number in range(3):
        assert compute(f"hunter{number}") == {"user": {"tags": [1, 2, 3, {f"hunter{number}"}]}}
        _log._last.clear()
    (line,) = lines()
    assert "$.user.tags[3]" in line and "set" in line and "compute" in line
    assert "hunter" not in line
    assert compute.cache_info().errors == 3
    assert compute.cache_info().currsize == 0


def test_waiters_share_a_result_that_can_not_be_kept():
    cache = AsyncInMemoryCache(serializer=JSONSerializer())
    calls = []

    @cached(cache, singleflight=True)
    async def compute():
        calls.append(None)
        await asyncio.sleep(0)
        return {1}

    async def main():
        return await asyncio.gather(*(compute() for _ in range(20)))

    assert asyncio.run(main()) == [{1}] * 20
    assert len(calls) == 1


def test_a_direct_set_raises_and_leaves_what_was_there():
    cache = InMemoryCache(serializer=JSONSerializer())
    cache.set("key", [1])
    with pytest.raises(SerializationError, match=r"\$\[0\]"):
        cache.set("key", [object()])
    assert cache.get("key") == [1]


def test_a_serializer_that_asks_for_the_key_it_writes_does_not_wait_for_itself():
    class Asking:
        asked = 0

        def dumps(self, value):
            self.asked += 1
            if self.asked < 5:
                assert cache.get_or_set("key", lambda: "inner") == "inner"
            return value.encode()

        def loads(self, data):
            return data.decode()

    cache = InMemoryCache(serializer=Asking())
    assert cache.get_or_set("key", lambda: "outer") == "outer"
    assert cache.get("key") in ("outer", "inner")


def test_of_several_values_all_are_stored_or_none():
    cache = InMemoryCache(serializer=JSONSerializer())
    with pytest.raises(SerializationError):
        cache.set_many({"a": 1, "b": "two", "c": {3}})
    assert len(cache) == 0
    cache.set_many({"a": 1, "b": "two"}, 60)
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": "two"} and cache.ttl("b") == 60


@pytest.mark.parametrize("bad", [b"", b"\xc1", b"{", b"null", "text", 2**70, object()], ids=repr)
def test_a_value_that_can_not_be_read_is_a_miss_and_is_replaced(bad, lines):
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=KEY)
    calls = []

    @cached(cache)
    def compute():
        calls.append(None)
        return "computed"

    compute()
    base.set(compute.cache_key(), bad)
    with pytest.raises(DeserializationError):
        cache.get(compute.cache_key())
    assert [compute(), compute()] == ["computed"] * 2
    assert len(calls) == 2
    (line,) = lines()
    assert "unreadable value" in line and "compute" in line
    base.set("key", bad)
    assert cache.get_or_set("key", lambda: "made") == "made" == cache.get("key")


def test_an_entry_that_was_copied_to_another_key_does_not_open():
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=KEY)
    cache.set("user:1:role", "admin")
    cache.set("user:2:role", "guest")
    base.set("user:2:role", base.get("user:1:role"))
    with pytest.raises(IntegrityError):
        cache.get("user:2:role")
    other = EncryptionMiddleware(InMemoryCache(namespace="n"), key=KEY)
    other.wrapped.set("user:1:role", base.get("user:1:role"))
    with pytest.raises(IntegrityError):
        other.get("user:1:role")


def test_no_flipped_bit_returns_a_value():
    base = InMemoryCache()
    cache = EncryptionMiddleware(base, key=KEY)
    cache.set("key", {"a": [1, 2.5, "x", None, (b"y",)]})
    stored = base.get("key")
    for at in range(len(stored) * 8):
        flipped = bytearray(stored)
        flipped[at // 8] ^= 1 << at % 8
        base.set("key", bytes(flipped))
        with pytest.raises(DeserializationError):
            cache.get("key")
    for length in range(len(stored)):
        base.set("key", stored[:length])
        with pytest.raises(DeserializationError):
            cache.get("key")


async def test_a_waiting_task_gets_the_new_value_of_an_unreadable_entry():
    base = AsyncInMemoryCache()
    cache = EncryptionMiddleware(base, key=KEY)
    await base.set("key", b"garbage")

    async def make():
        await asyncio.sleep(0)
        return (1,)

    answers = await asyncio.gather(*(cache.get_or_set("key", make) for _ in range(20)))
    assert answers == [(1,)] * 20
