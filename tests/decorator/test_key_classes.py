"""Classes in keys, functions that turn out to be methods, methods on shared stores."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

import pytest
from cachine import cached
from cachine.exceptions import UnkeyableArgumentError


def test_a_function_made_a_method_later_counts_its_instance_as_itself(cache):
    @cached(cache)
    def price(self, x):
        return [x]

    @dataclass
    class Shop:
        name: str

    Shop.price = price
    one, twin = Shop("a"), Shop("a")
    assert one.price(1) is one.price(1) is not twin.price(1)


def test_a_function_used_as_a_method_too_still_takes_plain_values(cache):
    @cached(cache)
    def price(x):
        return [x]

    class Shop:
        cost = price

    long, same = 10**30, int("1" + "0" * 30)
    for value, equal in ((long, same), ("ab" * 9, "".join(["ab"] * 9)), ((1, 2), (1, 2))):
        assert price(value) is price(equal)
    assert Shop().cost() is not Shop().cost()


def test_classes_count_by_name_and_local_ones_as_themselves(cache):
    def local(number):
        class Thing:
            @classmethod
            @cached(cache)
            def name(cls):
                return [number, cls]

        return Thing

    one, other = local(1), local(2)
    assert one.name() is one.name()
    assert one.name()[0] == 1 and other.name()[0] == 2


def test_a_local_class_is_not_kept_alive_by_keys_that_name_it(cache):
    f = cached(cache)(lambda x: 1)

    def local():
        class Thing:
            pass

        f(Thing)
        return weakref.ref(Thing)

    alive = local()
    gc.collect()
    assert alive() is None
    assert len(cache) == 0


def test_on_a_store_that_others_share_a_method_says_what_to_do():
    class Shared(dict):
        def set(self, key, value, ttl=None):
            self[key] = value

    class Shop:
        @cached(Shared())
        def price(self, x):
            return [x]

        @cached(Shared(), key_builder=lambda self, x: f"price:{x}")
        def other(self, x):
            return [x]

    with pytest.raises(UnkeyableArgumentError) as caught:
        Shop().price(1)
    message = str(caught.value)
    assert "argument 'self' of" in message and "Shop.price" in message
    assert "__cache_key__()" in message and "key_builder=" in message
    assert Shop().other(1) is Shop().other(1)
