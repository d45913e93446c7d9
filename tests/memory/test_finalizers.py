"""Finalizers of values that raise, or use the cache that lets them go."""

import gc
import sys

import pytest

from cachine import InMemoryCache
from cachine.strategies import LRUEviction


class Finalized:
    """A value whose finalizer does what it is told."""

    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


#: Every way in which an operation lets a value go.
WAYS = {
    "delete": lambda cache: cache.delete("key"),
    "set": lambda cache: cache.set("key", 1),
    "set of nothing": lambda cache: cache.set("key", 1, 0),
    "set_many": lambda cache: cache.set_many({"key": 1}),
    "delete_many": lambda cache: cache.delete_many(["key"]),
    "expire": lambda cache: cache.expire("key", 0),
    "touch": lambda cache: cache.touch("key", -1),
    "invalidate_tags": lambda cache: cache.invalidate_tags(["tag"]),
    "clear": lambda cache: cache.clear(dangerously_clear_all=True),
    "evict": lambda cache: [cache.set(str(number), 1) for number in range(5)],
    "get_or_set": lambda cache: [cache.get_or_set(str(number), 1) for number in range(5)],
    "incr": lambda cache: [cache.incr(str(number)) for number in range(5)],
    "refused": lambda cache: cache.set("other", cache.get("key"), 0) or cache.delete("key"),
}

#: The same where the value has expired.
EXPIRED_WAYS = {
    "get": lambda cache: cache.get("key"),
    "exists": lambda cache: cache.exists("key"),
    "ttl": lambda cache: cache.ttl("key"),
    "delete": lambda cache: cache.delete("key"),
    "incr": lambda cache: cache.incr("key"),
    "touch": lambda cache: cache.touch("key"),
    "add_tags": lambda cache: cache.add_tags("key", []),
    "get_or_set": lambda cache: cache.get_or_set("key", 1),
    "set of another": lambda cache: cache.set("other", 1),
}

ways = pytest.mark.parametrize(
    ("way", "is_expired"),
    [*((way, False) for way in WAYS.values()), *((way, True) for way in EXPIRED_WAYS.values())],
    ids=[*WAYS, *(f"expired {name}" for name in EXPIRED_WAYS)],
)


def made(act, clock, is_expired):
    cache = InMemoryCache(4, LRUEviction())
    cache.set("key", Finalized(lambda: act(cache)), 60, tags=["tag"])
    if is_expired:
        clock.advance(60)
    return cache


@ways
def test_a_finalizer_may_use_the_cache_that_lets_it_go(clock, way, is_expired):
    seen = []

    def act(cache):
        assert cache.get("key") in {None, 1}, "what leaves is gone before it is finalised"
        cache.set("mine", 1, 60, tags=["tag"])
        assert cache.get("mine") == 1
        cache.incr("count")
        cache.get_or_set("computed", lambda: [cache.get("mine")])
        cache.invalidate_tags(["tag"])
        cache.set("mine", 2)
        cache.delete_many(["mine", "count"])
        cache.clear(dangerously_clear_all=True)
        gc.collect()
        cache.set("last", 1)
        seen.append(1)

    cache = made(act, clock, is_expired)
    way(cache)
    assert seen == [1]
    cache.set("after", 1)
    assert cache.get("after") == 1
    assert len(cache) <= 4


@ways
def test_a_finalizer_that_raises_reaches_the_hook_and_not_the_caller(
    clock, way, is_expired, monkeypatch
):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: raised.append(what.exc_type))

    def act(cache):
        raise ZeroDivisionError

    cache = made(act, clock, is_expired)
    way(cache)
    assert raised == [ZeroDivisionError]
    cache.set("after", 1)
    assert cache.get("after") == 1


def test_a_finalizer_may_close_its_cache_and_let_its_last_reference_go(clock):
    seen = []
    holder = [InMemoryCache(2)]

    def act():
        holder[0].close()
        holder.clear()
        gc.collect()
        seen.append(1)

    holder[0].set("key", Finalized(act))
    holder[0].delete("key")
    assert seen == [1]
    assert holder == []


def test_a_finalizer_may_put_its_value_back():
    class Phoenix:
        def __del__(self):
            if len(lives) < 3:
                lives.append(1)
                cache.set("key", self)

    cache, lives = InMemoryCache(), []
    cache.set("key", Phoenix())
    cache.delete("key")
    assert cache.exists("key"), "a finalizer runs once: the value is back, for good"
    assert isinstance(cache.get("key"), Phoenix)
    assert cache.delete("key") is True
    assert cache.exists("key") is False


def test_finalizers_of_a_whole_cache_run_one_by_one_and_see_a_consistent_store():
    seen = []

    def act():
        seen.append(len(cache))
        cache.set(f"late:{len(seen)}", 1)

    cache = InMemoryCache()
    for number in range(1000):
        cache.set(str(number), Finalized(act), tags=["tag"] if number % 2 else None)
    cache.invalidate_tags(["tag"])
    assert len(seen) == 500
    assert len(cache) == 1000
    cache.clear(dangerously_clear_all=True)
    assert len(seen) == 1000
    assert len(cache) == 500, "what finalizers stored after the clear"
    cache.clear(dangerously_clear_all=True)
    assert len(cache) == 0


def test_a_chain_of_values_that_let_each_other_go_does_not_exhaust_the_stack():
    cache = InMemoryCache()

    class Link:
        def __init__(self, after):
            self.after = after

    chain = None
    for _ in range(100_000):
        chain = Link(chain)
    cache.set("key", chain)
    del chain
    cache.delete("key")


def test_a_finalizer_that_deletes_the_next_value_may_go_on_for_long(monkeypatch):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: raised.append(what.exc_type))
    cache = InMemoryCache()
    for number in range(200):
        cache.set(str(number), Finalized(lambda number=number: cache.delete(str(number + 1))))
    cache.delete("0")
    gc.collect()
    assert set(raised) <= {RecursionError}
    cache.set("after", 1)
    assert cache.get("after") == 1
