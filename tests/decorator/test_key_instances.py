"""`self` in a key: by identity, never kept alive, and never taken for another (P1, P7 and P8)."""

from __future__ import annotations

import enum
import functools
import gc
import threading
import weakref
from dataclasses import dataclass

import pytest
from cachine import InMemoryCache, cached

from .crowd import together


def make(cache, slots=None):
    class Service:
        if slots is not None:
            __slots__ = slots

        def __init__(self, name):
            self.name = name

        @cached(cache)
        def load(self, x=0):
            return self.name, x

    return Service


@pytest.mark.parametrize("slots", [None, ("name",), ("name", "__weakref__"), ("name", "__dict__")])
def test_every_kind_of_instance_hits_its_own_entries(cache, slots):
    Service = make(cache, slots)
    one, other = Service("one"), Service("other")
    for _ in range(3):
        assert one.load(1) == ("one", 1)
        assert other.load(1) == ("other", 1)
    info = Service.load.cache_info()
    assert (info.hits, info.misses, info.currsize) == (4, 2, 2)


@pytest.mark.parametrize("slots", [None, ("name",)])
def test_five_hundred_short_lived_instances_never_get_the_value_of_another(cache, slots):
    Service = make(cache, slots)
    addresses = set()
    for number in range(500):
        service = Service(number)
        addresses.add(id(service))
        assert service.load() == (number, 0)
        assert service.load() == (number, 0)
        del service
    if slots is None:
        assert len(addresses) < 500, "addresses are used anew, which this is about"
    assert Service.load.cache_info().hits == 500


def test_five_hundred_short_lived_arguments_never_get_the_value_of_another(cache):
    class Thing:
        def __init__(self, number):
            self.number = number

    @cached(cache)
    def f(thing):
        return thing.number

    assert [f(Thing(number)) for number in range(500)] == list(range(500))


def test_instances_are_not_kept_alive_and_their_entries_go_with_them(cache):
    Service = make(cache)
    service = Service("a")
    service.load(1), service.load(2)
    alive = weakref.ref(service)
    assert len(cache) == 2
    del service
    assert alive() is None, "the last reference is gone, and no collector was needed"
    assert len(cache) == 0


def test_an_instance_in_a_cycle_is_collected_with_its_entries(cache):
    Service = make(cache)
    service = Service("a")
    service.name = service
    service.load()
    alive = weakref.ref(service)
    del service
    gc.collect()
    # The stored value holds the instance here: the cache is part of the cycle, not the owner.
    Service.load.cache_clear()
    gc.collect()
    assert alive() is None
    assert len(cache) == 0


def test_an_instance_without_weak_references_lives_as_long_as_its_entries(cache):
    Service = make(cache, ("name",))
    service = Service("a")
    service.load(1)
    held = [each for each in gc.get_objects() if type(each) is Service]
    assert held == [service]
    del held, service
    gc.collect()
    assert len([each for each in gc.get_objects() if type(each) is Service]) == 1
    Service.load.cache_clear()
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is Service]


def test_a_dataclass_counts_as_itself_and_not_by_its_fields(cache):
    @dataclass
    class Shop:
        name: str

        @cached(cache)
        def price(self, x):
            return [self.name, x]

    one, twin = Shop("a"), Shop("a")
    assert one == twin
    assert one.price(1) is one.price(1)
    assert one.price(1) is not twin.price(1)
    alive = weakref.ref(one)
    del one
    assert alive() is None


def test_with_a_cache_key_instances_count_by_value(cache):
    class Shop:
        def __init__(self, number):
            self.number = number

        def __cache_key__(self):
            return self.number

        @cached(cache)
        def price(self, x):
            return [self.number, x]

    first = Shop(1).price(2)
    assert Shop(1).price(2) is first
    assert Shop(2).price(2) is not first
    assert len(cache) == 2


def test_members_of_an_enum_count_by_name(cache):
    class Unit(enum.Enum):
        METRE = 1
        FOOT = 2

        @cached(cache)
        def factor(self, x):
            return [self.name, x]

    assert Unit.METRE.factor(1) is Unit.METRE.factor(1)
    assert Unit.METRE.factor(1) is not Unit.FOOT.factor(1)


def test_self_has_any_name_in_a_class_body(cache):
    class Shop:
        @cached(cache)
        def price(this, x):
            return [x]

    one, other = Shop(), Shop()
    assert one.price(1) is one.price(1) is not other.price(1)
    alive = weakref.ref(one)
    del one
    assert alive() is None


def test_subclasses_and_parents_share_a_function_but_no_entries(cache):
    Service = make(cache)

    class Special(Service):
        pass

    special, plain = Special("s"), Service("p")
    assert (special.load(), plain.load()) == (("s", 0), ("p", 0))


def test_instances_that_die_in_other_threads_leave_nothing_behind(cache):
    Service = make(cache)
    turns = threading.Semaphore(0)

    def work():
        turns.release()
        for number in range(200):
            service = Service(number)
            assert service.load(number) == (number, number)
            del service

    results = together(8, work)
    assert results == [None] * 8
    gc.collect()
    assert len(cache) == 0


def test_copies_of_a_cache_object_do_not_share_instances():
    one, other = InMemoryCache(), InMemoryCache()
    first, second = make(one)("1"), make(other)("2")
    assert first.load() == ("1", 0) and second.load() == ("2", 0)
    assert (len(one), len(other)) == (1, 1)


def test_a_property_and_a_wrapper_over_a_cached_method_tell_instances_apart(cache):
    def wrapping(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    class Alike:
        def __init__(me, number):
            me.number = number

        def __eq__(me, other):
            return True

        def __hash__(me):
            return 1

        @property
        @cached(cache)
        def shown(me):
            return me.number

        @wrapping
        @cached(cache)
        def wrapped(me):
            return me.number

    one, two = Alike(1), Alike(2)
    assert [one.shown, two.shown, one.wrapped(), two.wrapped()] == [1, 2, 1, 2]
    seen = weakref.ref(one)
    del one
    gc.collect()
    assert seen() is None
