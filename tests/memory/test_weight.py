"""A cache that is bounded by weight, and the user's code that says what an entry weighs."""

import pytest

from cachine import AsyncInMemoryCache, InMemoryCache
from cachine.exceptions import ConfigError
from cachine.strategies import FIFOEviction, LFUEviction, LRUEviction


def weighed(most=10, **options):
    return InMemoryCache(max_weight=most, weigher=lambda key, value: value, **options)


def left(cache):
    return "".join(key for key in "abcdefgh" if cache.exists(key))


@pytest.mark.parametrize("policy", [LRUEviction, LFUEviction, FIFOEviction])
def test_entries_leave_until_the_new_one_fits(policy):
    cache = weighed(eviction_policy=policy())
    cache.set("a", 4)
    cache.set("b", 3)
    cache.set("c", 3)
    assert left(cache) == "abc"
    cache.set("d", 5)
    assert left(cache) == "cd", "4 alone was not enough"
    assert cache.get_stats()["evictions"] == 2
    cache.set("e", 10)
    assert left(cache) == "e"


def test_an_entry_may_change_its_weight():
    cache = weighed()
    cache.set("a", 2)
    cache.set("b", 2)
    cache.set("a", 8)
    assert left(cache) == "ab"
    cache.set("b", 3)
    assert left(cache) == "b", "the one that is written stays"
    cache.set("c", 7)
    assert left(cache) == "bc"


def test_an_entry_heavier_than_the_whole_is_not_kept_and_costs_no_other():
    cache = weighed()
    cache.set("a", 4)
    cache.set("b", 4)
    cache.set("c", 11)
    assert left(cache) == "ab"
    cache.set("a", 11)
    assert left(cache) == "b", "what it would have replaced is old, and gone"


def test_weight_and_number_may_both_be_bounded():
    cache = weighed(max_size=3)
    for key in "abcd":
        cache.set(key, 1)
    assert left(cache) == "bcd"
    cache.set("e", 9)
    assert left(cache) == "de"


def test_a_weight_of_nothing_is_a_weight():
    cache = weighed()
    for number in range(100):
        cache.set(f"key:{number}", 0)
    assert len(cache) == 100


def test_deleting_and_expiring_give_the_weight_back(clock):
    cache = weighed()
    cache.set("a", 5)
    cache.set("b", 5, 1)
    cache.delete("a")
    cache.set("c", 5)
    assert left(cache) == "bc"
    clock.advance(1)
    cache.set("d", 5)
    assert left(cache) == "cd"
    assert cache.get_stats()["evictions"] == 0
    cache.clear(dangerously_clear_all=True)
    cache.set("e", 10)
    assert left(cache) == "e"


def test_the_weigher_is_asked_with_the_key_of_the_user_and_the_value():
    asked = []

    def weigher(key, value):
        asked.append((key, value))
        return 1

    cache = InMemoryCache(namespace="a", max_weight=10, weigher=weigher)
    cache.set("set", 1)
    cache.set_many({"many": 2})
    cache.incr("counter")
    cache.get_or_set("computed", lambda: 3)
    cache.with_namespace("b").set("child", 4)
    assert asked == [("set", 1), ("many", 2), ("counter", 1), ("computed", 3), ("child", 4)]


@pytest.mark.parametrize(
    "store",
    [
        lambda cache, value: cache.set("key", value),
        lambda cache, value: cache.set_many({"key": value}),
    ],
    ids=["set", "set_many"],
)
class TestAWeigherThatFails:
    """Nothing is stored, and what was there stays."""

    def test_by_raising(self, store):
        cache = InMemoryCache(max_weight=10, weigher=lambda key, value: 1 // value)
        cache.set("key", 1, tags=["tag"])
        with pytest.raises(ZeroDivisionError):
            store(cache, 0)
        assert cache.get("key") == 1
        assert cache.invalidate_tags(["tag"]) == 1

    @pytest.mark.parametrize("weight", [None, 1.5, "1", True, [1]], ids=repr)
    def test_by_returning_another_type(self, store, weight):
        cache = InMemoryCache(max_weight=10, weigher=lambda key, value: value)
        cache.set("key", 1)
        message = f"weigher must return an int, not {type(weight).__name__}"
        with pytest.raises(TypeError, match=message):
            store(cache, weight)
        assert cache.get("key") == 1

    def test_by_returning_less_than_nothing(self, store):
        cache = InMemoryCache(max_weight=10, weigher=lambda key, value: value)
        cache.set("key", 1)
        with pytest.raises(ValueError, match="weigher returned -1: a weight is never negative"):
            store(cache, -1)
        assert cache.get("key") == 1


def test_a_huge_weight_is_too_heavy_and_does_not_overflow():
    cache = weighed(2**62)
    cache.set("a", 2**61)
    cache.set("b", 2**61)
    cache.set("c", 10**30)
    assert left(cache) == "ab"
    cache.set("d", 2**62)
    assert left(cache) == "d"


def test_a_weigher_that_fails_costs_get_or_set_only_the_storing():
    cache = InMemoryCache(max_weight=10, weigher=lambda key, value: 1 // 0)
    assert cache.get_or_set("key", lambda: "value") == "value"
    assert cache.exists("key") is False
    assert cache.get_or_set("key", lambda: "value") == "value", "the flight was ended"


def test_a_weigher_may_use_the_cache_that_it_weighs_for():
    def weigher(key, value):
        if not key.startswith("inner"):
            cache.set(f"inner:{key}", value)
            cache.get(key)
            cache.delete("a")
            cache.invalidate_tags(["tag"])
            assert cache.get_or_set(f"inner:computed:{key}", lambda: 1) == 1
            cache.clear(dangerously_clear_all=True)
        return 1

    cache = InMemoryCache(max_weight=5, weigher=weigher)
    for key in "abcdefgh":
        cache.set(key, 1, tags=["tag"])
        assert cache.get(key) == 1
        assert cache.incr(key) == 1, "its weigher cleared it away: it starts anew"
    assert cache.get_or_set("a", lambda: 1) == 1
    assert cache.exists("a") is False, "its weigher cleared everything while it was on its way"


def test_a_weigher_without_end_is_the_recursion_error_of_its_caller():
    cache = InMemoryCache(max_weight=5, weigher=lambda key, value: cache.set(key, value))
    with pytest.raises(RecursionError):
        cache.set("a", 1)
    assert cache.exists("a") is False


@pytest.mark.parametrize("before", [None, 1000])
def test_a_weigher_that_changes_the_counter_it_weighs_loses_no_step(before):
    steps = iter(())

    def weigher(key, value):
        for step in steps:
            cache.incr(key, step)
        return 1

    cache = InMemoryCache(max_weight=5, weigher=weigher)
    cache.set("counter", before or 0)
    if before is None:
        cache.delete("counter")
    steps = iter([10, 100])
    assert cache.incr("counter") == 111 + (before or 0)
    assert cache.get("counter") == 111 + (before or 0)


@pytest.mark.parametrize("kind", [InMemoryCache, AsyncInMemoryCache])
def test_a_weigher_and_its_bound_belong_together(kind):
    for options in ({"max_weight": 5}, {"weigher": lambda key, value: 1}):
        with pytest.raises(ConfigError, match="max_weight and weigher belong together"):
            kind(**options)
    with pytest.raises(TypeError, match="weigher must be a callable .*, not int"):
        kind(max_weight=5, weigher=1)
    with pytest.raises(TypeError):
        kind(None, None, None, 5, lambda key, value: 1)


def test_a_counter_weighs_what_it_has_become():
    cache = InMemoryCache(max_weight=10, weigher=lambda key, value: value)
    assert cache.incr("small", 4) == 4
    assert cache.incr("large", 4) == 4
    assert cache.incr("large", 3) == 7
    assert (cache.get("small"), cache.get("large")) == (None, 7), "4 and 7 are too much together"
    assert cache.incr("large", 4) == 11
    assert cache.get("large") is None, "too heavy alone"
