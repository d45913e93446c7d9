"""What a decorated function offers beside being called, and how much it is still the function."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import pickle
import pydoc
import typing
import weakref

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached

PLAIN, TASKS = InMemoryCache(), AsyncInMemoryCache()


@cached(PLAIN, ttl=60)
def plain(x: int, y: str = "a") -> list:
    """Docs of plain."""
    return [x, y]


@cached(TASKS, ttl=60)
async def tasks(x: int, y: str = "a") -> list:
    """Docs of tasks."""
    return [x, y]


@cached(PLAIN)
async def mixed(x):
    return [x]


class Shop:
    def __init__(self, name="s"):
        self.name = name

    @cached(PLAIN)
    def price(self, x: int) -> list:
        """Docs of price."""
        return [self.name, x]

    @cached(TASKS)
    async def load(self, x: int) -> list:
        """Docs of load."""
        return [self.name, x]


@pytest.fixture(autouse=True)
def _empty():
    for function in (plain, mixed, Shop.price):
        function.cache_clear()
    for function in (tasks, Shop.load):
        asyncio.run(function.cache_clear())


def test_cache_info_counts_like_functools_and_more():
    plain(1), plain(1), plain(2)
    info = plain.cache_info()
    assert (info.hits, info.misses, info.maxsize, info.currsize) == (1, 2, None, 2)
    assert info[:4] == (1, 2, None, 2)
    assert (info.stale, info.coalesced, info.errors) == (0, 0, 0)
    bounded = cached(InMemoryCache(max_size=2))(lambda x: x)
    assert [bounded(x) for x in range(5)] == list(range(5))
    assert bounded.cache_info() == (0, 5, 2, 2, 0, 0, 0)


def test_the_key_of_a_call_opens_the_cache():
    plain(1)
    key = plain.cache_key(x=1, y="a")
    assert PLAIN.get(key) == [1, "a"]
    assert PLAIN.delete(key) is True
    assert plain.cache_info().currsize == 0
    spaced = InMemoryCache(namespace="n")
    f = cached(spaced)(lambda x: x)
    f(1)
    assert not f.cache_key(1).startswith("n:")
    assert spaced.get(f.cache_key(1)) == 1


def test_invalidate_removes_one_call_and_says_whether_there_was_one():
    plain(1), plain(2)
    assert plain.invalidate(y="a", x=1) is True
    assert plain.invalidate(1) is False
    assert plain.cache_info().currsize == 1


def test_refresh_computes_anew_whatever_is_stored():
    first = plain(1)
    second = plain.refresh(1)
    assert second == first and second is not first
    assert plain(1) is second
    assert plain.refresh(9) is plain(9)


def test_cache_clear_removes_the_entries_of_this_function_alone():
    cache = InMemoryCache()
    f, g = cached(cache)(lambda x: x), cached(cache)(lambda y: y)
    f(1), f(2), g(1)
    cache.set("other", 1)
    assert f.cache_clear() is None
    assert f.cache_info() == (0, 0, None, 0, 0, 0, 0)
    assert g.cache_info().currsize == 1 and cache.get("other") == 1
    named = cached(cache, key_builder="n:{x}")(lambda x: x)
    named(1)
    named.cache_clear()
    assert not cache.exists("n:1")


def test_on_an_asynchronous_cache_they_are_coroutine_functions():
    async def main():
        first = await tasks(1)
        key = tasks.cache_key(1)
        assert await TASKS.get(key) is first
        assert await tasks.invalidate(1) is True
        assert await tasks.invalidate(1) is False
        second = await tasks.refresh(1)
        assert await tasks(1) is second
        assert await tasks.cache_clear() is None
        assert tasks.cache_info().currsize == 0

    asyncio.run(main())
    for name in ("invalidate", "cache_clear", "refresh"):
        assert inspect.iscoroutinefunction(getattr(tasks, name)), name
    for name in ("cache_info", "cache_key"):
        assert not inspect.iscoroutinefunction(getattr(tasks, name)), name


def test_a_coroutine_function_on_a_plain_cache_is_managed_plainly_but_for_its_refresh():
    async def main():
        await mixed(1)
        assert mixed.invalidate(1) is True
        assert await mixed.refresh(1) == [1]
        assert mixed.cache_clear() is None

    asyncio.run(main())
    assert inspect.iscoroutinefunction(mixed.refresh)
    assert not inspect.iscoroutinefunction(mixed.invalidate)
    assert not inspect.iscoroutinefunction(mixed.cache_clear)


@pytest.mark.parametrize("name", ["invalidate", "cache_clear", "refresh"])
def test_they_can_be_awaited_before_a_late_cache_is_there(name):
    async def load(x):
        return [x]

    async def main():
        f = cached(AsyncInMemoryCache)(load)
        arguments = () if name == "cache_clear" else (1,)
        await getattr(f, name)(*arguments)
        assert inspect.iscoroutinefunction(getattr(f, name))
        await getattr(f, name)(*arguments)

    asyncio.run(main())


def test_bound_methods_have_all_of_it_and_know_their_instance():
    one, other = Shop("one"), Shop("other")
    first = one.price(1)
    other.price(1)
    assert PLAIN.get(one.price.cache_key(1)) is first
    assert one.price.cache_key(1) != other.price.cache_key(1)
    assert one.price.invalidate(x=1) is True
    assert one.price.invalidate(x=1) is False
    assert one.price.refresh(1) == ["one", 1]
    assert other.price.cache_info().currsize == 2
    assert Shop.price.cache_key(one, 1) == one.price.cache_key(1)
    one.price.cache_clear()
    assert Shop.price.cache_info().currsize == 0


def test_bound_coroutine_methods_have_all_of_it_too():
    async def main():
        shop = Shop()
        first = await shop.load(1)
        assert await TASKS.get(shop.load.cache_key(1)) is first
        assert await shop.load.invalidate(1) is True
        assert await shop.load.refresh(1) == ["s", 1]
        await shop.load.cache_clear()

    asyncio.run(main())
    for name in ("invalidate", "cache_clear", "refresh"):
        assert inspect.iscoroutinefunction(getattr(Shop().load, name)), name
    assert not inspect.iscoroutinefunction(Shop().load.cache_key)


def test_the_function_below_is_there_untouched():
    assert plain.__wrapped__(1) == [1, "a"]
    assert plain.cache_info().misses == 0
    assert inspect.unwrap(plain) is plain.__wrapped__
    assert asyncio.run(tasks.__wrapped__(1)) == [1, "a"]
    assert Shop().price.__wrapped__ is Shop.price.__wrapped__


def test_names_docs_annotations_and_signature_are_those_of_the_function():
    for function, name in ((plain, "plain"), (tasks, "tasks")):
        assert function.__name__ == function.__qualname__ == name
        assert function.__doc__ == f"Docs of {name}."
        assert function.__module__ == __name__
        assert function.__annotations__ == function.__wrapped__.__annotations__
        assert typing.get_type_hints(function) == {"x": int, "y": str, "return": list}
        assert str(inspect.signature(function)) == "(x: 'int', y: 'str' = 'a') -> 'list'"
        assert f"Docs of {name}." in pydoc.render_doc(function)
        assert repr(function).startswith("<cached <function ")
    shop = Shop()
    for method, name in ((shop.price, "price"), (shop.load, "load")):
        assert (method.__name__, method.__qualname__) == (name, f"Shop.{name}")
        assert method.__doc__ == f"Docs of {name}."
        assert method.__module__ == __name__
        assert str(inspect.signature(method)) == "(x: 'int') -> 'list'"
        assert method.__self__ is shop
        assert method.__func__ is getattr(Shop, name)
    assert inspect.ismethod(shop.price)
    assert inspect.isroutine(plain) and callable(plain)


def test_attributes_of_the_function_are_there_and_new_ones_stay():
    def load(x):
        return x

    load.tag, load.refresh = "kept", "not the function's to say"
    f = cached(PLAIN)(load)
    f.more = 1
    assert (f.tag, f.more) == ("kept", 1)
    assert f.refresh(1) == 1
    del f.more
    assert not hasattr(f, "more")


def test_functions_are_pickled_and_copied_by_name():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(plain, protocol)) is plain
        assert pickle.loads(pickle.dumps(tasks, protocol)) is tasks
    assert copy.copy(plain) is copy.deepcopy(plain) is plain
    assert copy.deepcopy({"f": tasks})["f"] is tasks


def test_bound_methods_are_pickled_and_copied_with_their_instance():
    method = Shop("x").price
    again = pickle.loads(pickle.dumps(method))
    assert again(1) == ["x", 1]
    assert again.__self__ is not method.__self__
    assert copy.copy(method) == method
    deep = copy.deepcopy(method)
    assert deep.__self__ is not method.__self__
    assert deep.__func__ is method.__func__
    assert deep(2) == ["x", 2]


def test_bound_methods_are_equal_when_function_and_instance_are():
    one, other = Shop(), Shop()
    assert one.price == one.price and hash(one.price) == hash(one.price)
    assert one.price != other.price
    assert one.price != one.load
    assert one.price != Shop.price
    assert {one.price: 1}[one.price] == 1


def test_weak_references_work_and_functions_are_collected():
    def make():
        return cached(InMemoryCache())(lambda x: x)

    f = make()
    f(1)
    alive, below = weakref.ref(f), weakref.ref(f.__wrapped__)
    assert alive() is f
    del f
    gc.collect()
    assert alive() is None and below() is None
    shop = Shop()
    method = weakref.WeakMethod(shop.price)
    assert method()(1) == ["s", 1]
    del shop
    gc.collect()
    assert method() is None


def test_the_tools_of_the_standard_library_take_it_for_a_function():
    assert functools.partial(plain, 1)() == [1, "a"]
    assert list(map(plain, [1, 2])) == [[1, "a"], [2, "a"]]

    class Other:
        again = functools.partialmethod(plain, y="z")

    @functools.wraps(plain)
    def around(*args, **kwargs):
        return plain(*args, **kwargs)

    assert around.__wrapped__ is plain and around(1) is plain(1)
    assert str(inspect.signature(Other.again)).startswith("(x: 'int'")
