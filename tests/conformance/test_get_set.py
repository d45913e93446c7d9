"""Storing, reading, deleting: what a value is, and what a miss is."""

import pytest


async def test_a_value_comes_back_until_it_is_deleted(cache):
    assert await cache.set("key", "value") is None
    assert await cache.get("key") == "value"
    assert await cache.exists("key") is True
    assert await cache.delete("key") is True
    assert await cache.get("key") is None
    assert await cache.exists("key") is False


async def test_a_miss_is_the_default_and_never_an_error(cache):
    marker = object()
    assert await cache.get("missing") is None
    assert await cache.get("missing", marker) is marker
    assert await cache.get("missing", default=marker) is marker
    assert await cache.get(key="missing", default=marker) is marker
    assert await cache.delete("missing") is False
    assert await cache.exists("missing") is False
    assert await cache.ttl("missing") is None


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", b"", [], {}, 10**40, "\0\ud800"])
async def test_a_value_may_be_empty_false_or_none_and_is_still_there(cache, value):
    await cache.set("key", value)
    found = await cache.get("key", "default")
    assert found == value
    assert type(found) is type(value)
    assert await cache.exists("key") is True
    assert await cache.get_many(["key"]) == {"key": value}


async def test_set_replaces_the_value_and_its_life(cache, column):
    await cache.set("key", "old", 10)
    await cache.set("key", "new")
    column.advance(11)
    assert await cache.get("key") == "new"
    assert await cache.ttl("key") is None
    await cache.set("key", "newer", 10)
    column.advance(10)
    assert await cache.get("key") is None


async def test_every_argument_of_set_has_its_name(cache):
    await cache.set(key="key", value="value", ttl=60, tags=["tag"])
    assert await cache.ttl(key="key") == 60
    assert await cache.invalidate_tags(tags=["tag"]) == 1


async def test_set_with_a_wrong_argument_changes_nothing(cache):
    await cache.set("key", "old", 60, tags=["tag"])
    for wrong in ({"ttl": "1"}, {"ttl": True}, {"ttl": float("nan")}, {"tags": "tag"}):
        with pytest.raises((TypeError, ValueError)):
            await cache.set("key", "new", **wrong)
    assert await cache.get("key") == "old"
    assert await cache.ttl("key") == 60
    assert await cache.invalidate_tags(["tag"]) == 1


async def test_keys_that_differ_are_different_entries(cache):
    keys = ["a", "A", " a", "a ", "a:b", "a:", ":a", "é", "e\u0301", "a\0", "a\0b", "0", "00", "~"]
    for number, key in enumerate(keys):
        await cache.set(key, number)
    assert [await cache.get(key) for key in keys] == list(range(len(keys)))
    assert await cache.delete("a\0") is True
    assert await cache.get("a\0b") == keys.index("a\0b")


async def test_deleting_again_and_again_is_true_once(cache):
    await cache.set("key", 1)
    assert [await cache.delete("key") for _ in range(3)] == [True, False, False]


async def test_an_entry_that_has_expired_is_no_entry(cache, column):
    await cache.set("key", "value", 1)
    column.advance(1)
    assert await cache.delete("key") is False
    assert await cache.exists("key") is False
    assert await cache.get("key", "gone") == "gone"
