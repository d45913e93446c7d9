"""Reference cycles through a cache: collected when nobody holds them, and not before."""

import gc
import weakref
from collections import Counter

import pytest

from cachine import AsyncInMemoryCache, InMemoryCache, cached


class Value:
    """A value that can be part of a cycle, and watched."""


def tracked():
    """How many objects there are of each class of the package and of this file.

    A weak reference dies as soon as the collector finds a cycle that nobody holds, whether it can
    take the cycle apart or not. What it could not is still counted here.
    """
    gc.collect()
    classes = map(type, gc.get_objects())
    ours = ("cachine", __name__)
    return Counter(
        each.__qualname__
        for each in classes
        if str(each.__dict__.get("__module__")).startswith(ours)
    )


@pytest.fixture(autouse=True)
def _nothing_is_left(clock):
    before = tracked()
    yield
    assert tracked() - before == Counter()
    assert gc.garbage == []


def test_a_cache_whose_value_holds_it_is_collected_with_the_value():
    cache, value = InMemoryCache(), Value()
    value.cache = cache
    cache.set("key", value)
    references = [weakref.ref(cache), weakref.ref(value)]
    del cache, value
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_an_asynchronous_cache_is_collected_as_well():
    import asyncio

    cache, value = AsyncInMemoryCache(), Value()
    value.cache = cache
    asyncio.run(cache.set("key", value))
    references = [weakref.ref(cache), weakref.ref(value)]
    del cache, value
    gc.collect()
    assert [reference() for reference in references] == [None, None]


@pytest.mark.parametrize("held", ["cache", "view", "value"])
def test_while_one_part_of_a_cycle_is_held_all_of_it_lives(held):
    cache, value = InMemoryCache(), Value()
    view = cache.with_namespace("a")
    value.view = view
    value.me = value
    cache.set("key", value, tags=["tag"])
    references = [weakref.ref(value), weakref.ref(view)]
    holder = {"cache": cache, "view": view, "value": value}[held]
    del cache, view, value
    for _ in range(5):
        gc.collect()
        assert references[0]().me is references[0]()
        assert references[1]() is not None
    view = references[1]()
    assert view.get("missing") is None
    del view, holder
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_view_keeps_the_store_of_a_cache_that_is_gone():
    cache = InMemoryCache()
    view = cache.with_namespace("a")
    view.set("key", [1])
    del cache
    gc.collect()
    assert view.get("key") == [1]


def test_a_cycle_of_values_is_collected_when_it_has_left_the_cache():
    cache = InMemoryCache()
    one, other = Value(), Value()
    one.other, other.other = other, one
    reference = weakref.ref(one)
    cache.set("one", one)
    cache.set("other", other)
    del one, other
    gc.collect()
    cache.delete("one")
    gc.collect()
    assert reference() is not None, "the other still holds it"
    cache.delete("other")
    gc.collect()
    assert reference() is None


def test_a_cycle_through_two_caches_is_collected():
    caches = [InMemoryCache(), InMemoryCache()]
    caches[0].set("other", caches[1])
    caches[1].set("other", caches[0])
    references = [weakref.ref(cache) for cache in caches]
    del caches
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_cache_that_holds_itself_is_collected():
    cache = InMemoryCache()
    cache.set("me", cache)
    reference = weakref.ref(cache)
    del cache
    gc.collect()
    assert reference() is None


def test_a_weigher_that_holds_its_cache_is_collected_with_it():
    class Weighing(InMemoryCache):
        def __init__(self):
            super().__init__(max_weight=10, weigher=self.weigh)

        def weigh(self, key, value):
            return 1

    cache = Weighing()
    cache.set("key", [1])
    reference = weakref.ref(cache)
    del cache
    gc.collect()
    assert reference() is None

    other = InMemoryCache(max_weight=10, weigher=lambda key, value: len(other))
    other.set("key", 1)
    reference = weakref.ref(other)
    del other
    gc.collect()
    assert reference() is None


def test_an_attribute_of_a_subclass_closes_no_cycle_for_ever():
    class Own(InMemoryCache):
        pass

    cache = Own()
    cache.me = cache
    cache.view = cache.with_namespace("a")
    cache.set("key", [cache])
    reference = weakref.ref(cache)
    del cache
    gc.collect()
    assert reference() is None


def test_a_cached_function_that_its_cache_holds_is_collected_with_it():
    cache = InMemoryCache()

    @cached(cache)
    def function(argument):
        return argument, function

    function(1)
    cache.set("function", function)
    references = [weakref.ref(cache), weakref.ref(function)]
    del cache, function
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_factory_that_holds_the_cache_is_let_go():
    cache = InMemoryCache()

    class Factory:
        def __call__(self):
            return [cache]

    factory = Factory()
    reference = weakref.ref(factory)
    cache.get_or_set("key", factory, 60, stale_ttl=120)
    del factory
    gc.collect()
    assert reference() is None


def test_an_exception_that_waiters_shared_is_let_go():
    cache, references = InMemoryCache(), []

    class Failure(Exception):
        pass

    def fail():
        error = Failure()
        error.cache = cache
        references.append(weakref.ref(error))
        raise error

    for _ in range(3):
        with pytest.raises(Failure):
            cache.get_or_set("key", fail)
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_collections_between_operations_leave_live_values_alone(clock, generation):
    cache = InMemoryCache(max_size=50)
    references = []
    for number in range(50):
        value = Value()
        value.me, value.cache, value.number = value, cache, number
        cache.set(f"key:{number}", value, 60 if number % 2 else None, tags=["tag"])
        references.append(weakref.ref(value))
        del value
        gc.collect(generation)
    for number, reference in enumerate(references):
        cache.expire(f"key:{number}", 60)
        cache.add_tags(f"key:{number}", ["other"])
        gc.collect(generation)
        assert reference() is cache.get(f"key:{number}")
        assert reference().number == number
    clock.advance(60)
    for number in range(50):
        cache.get(f"key:{number}")
    gc.collect()
    assert [reference() for reference in references] == [None] * 50
