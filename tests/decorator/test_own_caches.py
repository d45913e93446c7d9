"""A cache class of the user's own is used through its methods, and never past them."""

from __future__ import annotations

import asyncio

import pytest
from cachine import InMemoryCache, cached
from cachine.exceptions import ConfigError

from .crowd import Aside, Crowd, Gate, eventually
from .ducks import AsyncDuck, AsyncPickling, Duck, Hiding, Pickling


def patched():
    """One whose instance has methods of its own."""
    cache, seen = InMemoryCache(), Duck()
    cache.get, cache.set = seen.get, seen.set
    return cache


@pytest.mark.parametrize("make", [Duck, Pickling, patched])
@pytest.mark.parametrize("singleflight", [False, True])
def test_values_come_from_the_methods(make, singleflight):
    cache = make()
    runs = []

    @cached(cache, ttl=60, singleflight=singleflight)
    def f(x):
        runs.append(x)
        return ["value", x]

    assert [f(1), f(x=1), f(2)] == [["value", 1], ["value", 1], ["value", 2]]
    assert runs == [1, 2]
    assert cache.get(f.cache_key(1)) == ["value", 1]
    info = f.cache_info()
    assert (info.hits, info.misses, info.errors) == (1, 2, 0)


@pytest.mark.parametrize("make", [AsyncDuck, AsyncPickling])
@pytest.mark.parametrize("singleflight", [False, True])
def test_values_come_from_the_asynchronous_methods(make, singleflight):
    async def main():
        cache = make()
        runs = []

        @cached(cache, ttl=60, singleflight=singleflight)
        async def f(x):
            runs.append(x)
            return ["value", x]

        assert await f(1) == await f(1) == ["value", 1]
        assert runs == [1]
        assert await cache.get(f.cache_key(1)) == ["value", 1]
        assert await f.invalidate(1) is True
        assert await f.refresh(1) == ["value", 1]
        assert await f(1) == ["value", 1]
        assert runs == [1, 1]
        assert f.cache_info().hits == 2

    asyncio.run(main())


@pytest.mark.parametrize("make", [Duck, Pickling])
def test_a_synchronous_cache_of_ones_own_under_a_coroutine_function(make):
    async def main():
        f = cached(make(), singleflight=True)(load)
        outcomes = await asyncio.gather(*(f(1) for _ in range(20)))
        assert outcomes == [["value", 1]] * 20
        assert runs == [1]

    runs = []

    async def load(x):
        runs.append(x)
        await asyncio.sleep(0)
        return ["value", x]

    asyncio.run(main())


def test_the_ttl_is_handed_over_only_where_there_is_one():
    ttls = []
    for options in ({"ttl": 60}, {}, {"ttl": 60, "jitter": 30}):
        duck = Duck()
        cached(duck, **options)(lambda: 1)()
        ttls += [entry[2] for entry in duck.log if entry[0] == "set"]
    assert ttls[:2] == [60.0, None]
    assert 60 <= ttls[2] <= 90


@pytest.mark.parametrize("make", [Duck, Pickling])
def test_any_number_of_threads_cost_one_computation(make):
    cache, gate, runs = make(), Gate(), []

    @cached(cache, singleflight=True)
    def f():
        runs.append(1)
        gate.passing()
        return "value"

    crowd = Crowd(50, f)
    eventually(lambda: f.cache_info().coalesced == 49)
    gate.open()
    assert crowd.join() == ["value"] * 50
    assert len(runs) == 1


def test_what_a_cache_hides_is_computed_and_never_read_behind_its_back():
    cache = Hiding()
    runs = []

    @cached(cache, singleflight=True)
    def f():
        runs.append(1)
        return len(runs)

    assert [f(), f(), f()] == [1, 2, 3]
    assert InMemoryCache.get(cache, f.cache_key()) == 3


def test_a_value_that_arrives_between_the_look_and_the_computation_is_read_by_the_method():
    class Slow(Pickling):
        gate = None

        def get(self, key, default=None):
            found = super().get(key, default)
            if self.gate is not None:
                gate, self.gate = self.gate, None
                gate.passing()
            return found

    cache = Slow()
    f = cached(cache, singleflight=True)(lambda: ["value"])
    gate = cache.gate = Gate()
    late = Aside(f)
    gate.arrived()
    assert f() == ["value"]
    gate.open()
    assert late.result() == ["value"], "and not the bytes of the store"


def test_methods_and_closures_on_an_inherited_store_have_identities():
    cache = Pickling()

    class Shop:
        @cached(cache)
        def price(self, x):
            return id(self), x

    one, other = Shop(), Shop()
    assert one.price(1) == (id(one), 1) and other.price(1) == (id(other), 1)
    assert one.price(1) == (id(one), 1)
    assert len(cache) == 2
    del one
    assert len(cache) == 1, "entries of an instance that is gone are dropped here too"
    factory = [cached(cache)(lambda x, rate=rate: (rate, x)) for rate in (1, 2)]
    assert [f(1) for f in factory] == [(1, 1), (2, 1)]


def test_hashable_arguments_on_an_inherited_store_hit():
    class Plain:
        pass

    f = cached(Pickling())(lambda x: 1)
    argument = Plain()
    f(argument), f(argument)
    assert f.cache_info().hits == 1


def test_clearing_a_function_needs_a_cache_that_knows_its_entries():
    cache = Pickling()
    f, g = cached(cache)(lambda x: x), cached(cache)(lambda y: y)
    f(1), f(2), g(1)
    f.cache_clear()
    assert len(cache) == 1
    assert f.cache_info()[:4] == (0, 0, None, 0)
    duck = cached(Duck())(lambda x: x)
    with pytest.raises(ConfigError, match="Duck does not know which entries belong to"):
        duck.cache_clear()


def test_tags_and_stale_values_need_a_cache_of_ours():
    inherited = Pickling()
    f = cached(inherited, tags=["t"], tags_from_result=lambda value: [f"v:{value}"])(lambda x: x)
    f(1)
    assert inherited.invalidate_tags(["v:1"]) == 1
    f(1)
    assert inherited.invalidate_tags(["t"]) == 1
    for options in ({"tags": ["t"]}, {"tags_from_result": lambda value: []}):
        with pytest.raises(ConfigError, match="tags need a cache of this package"):
            cached(Duck(), **options)(lambda: 1)
    for cache in (Duck(), Pickling()):
        with pytest.raises(ConfigError, match="stale_ttl needs a cache of this package"):
            cached(cache, ttl=1, stale_ttl=2)(lambda: 1)
