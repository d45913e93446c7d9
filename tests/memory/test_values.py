"""Values are the objects themselves: kept, handed back, and let go without running any of them."""

import gc
import sys
import weakref

import pytest

from cachine import InMemoryCache


class Value:
    """A value that can be watched."""


class Hostile:
    """A value none of whose methods may be called."""

    def _never(self, *_):
        raise AssertionError("the cache called a method of a value")

    __eq__ = __hash__ = __bool__ = __len__ = __getattr__ = __iter__ = __repr__ = _never
    __copy__ = __deepcopy__ = __reduce_ex__ = __sizeof__ = __int__ = __index__ = _never


def test_what_comes_back_is_the_object_itself():
    cache = InMemoryCache()
    value = {"list": [1, 2]}
    cache.set("key", value)
    assert cache.get("key") is value
    value["list"].append(3)
    assert cache.get("key") == {"list": [1, 2, 3]}
    assert cache.get_many(["key"])["key"] is value
    assert cache.get_or_set("key", dict) is value


def test_no_method_of_a_value_is_ever_called():
    cache = InMemoryCache(max_size=3)
    value = Hostile()
    cache.set("a", value, 60, tags=["tag"])
    cache.set("a", value)
    assert cache.get("a") is value
    assert cache.exists("a")
    cache.add_tags("a", ["tag"])
    cache.get_or_set("b", lambda: value)
    cache.set_many({"c": value, "d": value, "e": value})
    assert cache.get_many(["e"])["e"] is value
    with pytest.raises(TypeError, match="Hostile"):
        cache.incr("e")
    cache.delete("c")
    cache.invalidate_tags(["tag"])
    cache.clear(dangerously_clear_all=True)
    cache.close()


@pytest.mark.parametrize(
    "take_out",
    [
        lambda cache, clock: cache.delete("key"),
        lambda cache, clock: cache.set("key", 1),
        lambda cache, clock: cache.set("key", 1, 0),
        lambda cache, clock: cache.expire("key", 0),
        lambda cache, clock: cache.expire_at("key", 0),
        lambda cache, clock: cache.touch("key", 0),
        lambda cache, clock: cache.invalidate_tags(["tag"]),
        lambda cache, clock: cache.clear(dangerously_clear_all=True),
        lambda cache, clock: cache.close(),
        lambda cache, clock: [cache.set(key, 1) for key in "ab"],
        lambda cache, clock: (clock.advance(60), cache.get("key")),
        lambda cache, clock: (clock.advance(60), cache.exists("key")),
        lambda cache, clock: (clock.advance(60), cache.incr("key")),
        lambda cache, clock: (clock.advance(60), cache.set("other", 1)),
        lambda cache, clock: (clock.advance(60), cache.delete("other")),
        lambda cache, clock: (clock.advance(60), [cache.get("other") for _ in range(64)]),
    ],
)
def test_a_value_that_leaves_is_let_go_at_once(clock, take_out):
    cache = InMemoryCache(max_size=2)
    value = Value()
    reference = weakref.ref(value)
    cache.set("key", value, 60, tags=["tag"])
    del value
    gc.disable()
    try:
        assert reference() is not None
        take_out(cache, clock)
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "refuse",
    [
        lambda cache, value: cache.set("key", value, 0),
        lambda cache, value: cache.set("", value),
        lambda cache, value: cache.set("key", value, "60"),
        lambda cache, value: cache.set("key", value, tags="tag"),
        lambda cache, value: cache.get("missing", value),
        lambda cache, value: cache.get_or_set("key", lambda: value, condition=lambda _: False),
        lambda cache, value: cache.get_or_set("key", lambda: value, 0),
        lambda cache, value: cache.set_many({"key": value, "": value}),
    ],
)
def test_a_value_that_is_not_stored_is_not_kept(refuse):
    cache, value = InMemoryCache(), Value()
    reference = weakref.ref(value)
    try:
        refuse(cache, value)
    except (TypeError, ValueError):
        pass
    del value
    gc.collect()
    assert reference() is None


def test_keys_and_tags_are_copied_and_not_kept():
    class Text(str):
        __slots__ = ("__weakref__",)

    cache, key, tag = InMemoryCache(), Text("key"), Text("tag")
    references = [weakref.ref(key), weakref.ref(tag)]
    cache.set(key, 1, tags=[tag])
    cache.get_or_set(key, 1)
    del key, tag
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    assert cache.get("key") == 1


def test_reading_a_value_leaks_no_reference():
    cache, value = InMemoryCache(), Value()
    cache.set("key", value)
    cache.set("counter", 10**6)
    before = sys.getrefcount(value)
    none = sys.getrefcount(None)
    for _ in range(1000):
        cache.get("key")
        cache.get("key", None)
        cache.get(key="key", default=value)
        cache.get("missing", value)
        cache.get_many(["key"])
        cache.get_or_set("key", value)
        cache.set("key", value)
        cache.exists("key")
        cache.incr("counter")
        for wrong in (1, "", "\ud800"):
            try:
                cache.get(wrong, value)
            except (TypeError, ValueError):
                pass
    assert sys.getrefcount(value) == before
    assert abs(sys.getrefcount(None) - none) < 500


def test_a_default_is_not_kept_and_may_be_anything():
    cache = InMemoryCache()
    value = Hostile()
    assert cache.get("missing", value) is value
    assert cache.get("missing", default=value) is value
