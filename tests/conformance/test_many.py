"""Several keys at once."""

from collections import OrderedDict

import pytest


async def test_get_many_has_what_was_found_in_the_order_asked_for(cache):
    await cache.set_many({"a": 1, "b": None, "c": 3})
    assert list((await cache.get_many(["c", "x", "a", "b"])).items()) == [
        ("c", 3),
        ("a", 1),
        ("b", None),
    ]
    assert await cache.get_many([]) == {}
    assert await cache.get_many(["x"]) == {}


async def test_keys_may_be_any_iterable_and_come_twice(cache):
    await cache.set("a", 1)
    await cache.set("b", 2)
    for keys in (("b", "a", "b"), iter(["b", "a", "b"]), {"b": 0, "a": 0}, (k for k in "ba")):
        assert list((await cache.get_many(keys)).items()) == [("b", 2), ("a", 1)]
    assert await cache.get_many(keys={"a"}) == {"a": 1}
    assert await cache.delete_many(["a", "b", "a", "x"]) == 2
    assert await cache.delete_many(keys=["a", "b"]) == 0
    assert await cache.delete_many([]) == 0


async def test_set_many_gives_all_of_them_the_same_life(cache, column):
    assert await cache.set_many({"a": 1, "b": 2}, 10) is None
    assert await cache.set_many(mapping=OrderedDict(c=3), ttl=20) is None
    assert await cache.set_many({}) is None
    assert [await cache.ttl(key) for key in "abc"] == [10, 10, 20]
    await cache.set_many({"a": 1}, 0)
    assert await cache.exists("a") is False
    column.advance(10)
    assert await cache.get_many("abc"[i] for i in range(3)) == {"c": 3}


async def test_set_many_replaces_values_and_tags(cache):
    await cache.set("a", 1, tags=["tag"])
    await cache.set_many({"a": 2})
    assert await cache.invalidate_tags(["tag"]) == 0
    assert await cache.get("a") == 2


@pytest.mark.parametrize("keys", ["abc", b"abc", 1, None], ids=repr)
async def test_keys_that_are_no_iterable_of_str_are_refused(cache, keys):
    await cache.set("a", 1)
    for operation in ("get_many", "delete_many"):
        message = f"{operation}: keys must be an iterable of str, not .*{type(keys).__name__}"
        with pytest.raises(TypeError, match=message):
            await getattr(cache, operation)(keys)
    assert await cache.get("a") == 1


@pytest.mark.parametrize("mapping", [[("a", 1)], "a", None, {"a"}], ids=repr)
async def test_what_is_no_mapping_is_refused(cache, mapping):
    with pytest.raises(TypeError, match=f"set_many: .*mapping.*, not {type(mapping).__name__}"):
        await cache.set_many(mapping)
    assert await cache.exists("a") is False


async def test_what_an_iterable_of_keys_raises_goes_to_the_caller(cache):
    def keys():
        yield "a"
        raise TypeError("mine")

    await cache.set("a", 1)
    for operation in (cache.get_many, cache.delete_many):
        with pytest.raises(TypeError, match="^mine$"):
            await operation(keys())
    assert await cache.get("a") == 1


async def test_a_wrong_time_stores_none_of_them(cache):
    with pytest.raises(TypeError):
        await cache.set_many({"a": 1, "b": 2}, "10")
    assert await cache.get_many(["a", "b"]) == {}
