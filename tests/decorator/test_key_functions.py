"""Which functions are the same: closures, defaults, reloads, versions, `__main__` (P6)."""

from __future__ import annotations

import functools
import gc
import importlib
import sys
import types
import weakref

import pytest
from cachine import InMemoryCache, cached


def test_closures_of_one_factory_do_not_share_entries(cache):
    def factory(rate):
        @cached(cache)
        def price(x):
            return rate * x

        return price

    cheap, dear = factory(1), factory(10)
    assert [cheap(2), dear(2), cheap(2), dear(2)] == [2, 20, 2, 20]
    assert cheap.cache_key(2) != dear.cache_key(2)
    assert (cheap.cache_info().currsize, dear.cache_info().currsize) == (1, 1)
    assert cheap.cache_info().hits == dear.cache_info().hits == 1


def test_lambdas_and_redefinitions_of_one_name_do_not_share_entries(cache):
    functions = [cached(cache)(function) for function in (lambda x: x, lambda x: -x)]
    assert [function(1) for function in functions] == [1, -1]

    @cached(cache)
    def same(x):
        return "old", x

    old = same

    @cached(cache)
    def same(x):
        return "new", x

    assert old(1) == ("old", 1) and same(1) == ("new", 1)


@pytest.mark.parametrize("kind", ["positional", "keyword"])
def test_functions_that_differ_in_a_default_do_not_share_entries(cache, kind):
    marks = [object(), object()]

    def factory(mark):
        if kind == "positional":
            return cached(cache)(lambda x, mark=mark: mark)
        return cached(cache)(lambda x, *, mark=mark: mark)

    one, other = factory(marks[0]), factory(marks[1])
    assert one(1) is marks[0] and other(1) is marks[1]


def test_decorating_the_same_function_again_hits_what_it_stored(cache):
    runs = []

    def load(x):
        runs.append(x)
        return [x]

    first = cached(cache, ttl=60)(load)
    value = first(1)
    again = cached(cache, ttl=10, singleflight=True)(load)
    assert again(1) is value
    assert runs == [1]
    assert first.cache_key(1) == again.cache_key(1)


def test_a_closure_made_again_from_the_same_objects_hits(cache):
    rate = object()

    def factory():
        return cached(cache)(lambda x: [rate, x])

    assert factory()(1) is factory()(1)


def test_a_cell_counts_as_it_was_at_the_first_call(cache):
    def factory():
        rate = 1

        @cached(cache)
        def price(x):
            return rate * x

        def change(to):
            nonlocal rate
            rate = to

        return price, change

    price, change = factory()
    assert price(2) == 2
    change(10)
    assert price(2) == 2, "a later rebinding does not make it another function"
    other, change_other = factory()
    change_other(10)
    assert other(2) == 20


def test_an_empty_cell_equals_only_itself(cache):
    def factory():
        @cached(cache)
        def f(x):
            try:
                return [late, x]
            except NameError:
                return ["empty", x]

        if cache is None:
            late = 1
        return f

    one, other = factory(), factory()
    assert one(1) is one(1)
    assert one(1) is not other(1)


def test_what_a_closure_holds_is_not_kept_alive_by_its_entries(cache):
    class Service:
        pass

    def factory(service):
        return cached(cache)(lambda x: [x])

    def keeping(service):
        return cached(cache)(lambda x: [x, service is None])

    for make in (factory, keeping):
        service = Service()
        alive = weakref.ref(service)
        f = make(service)
        f(1)
        del f, service
        gc.collect()
        assert alive() is None


def test_bound_methods_decorated_one_by_one_belong_to_their_instances(cache):
    class Service:
        def __init__(self, name):
            self.name = name

        def load(self, x):
            return self.name, x

    one, other = Service("one"), Service("other")
    loads = [cached(cache)(one.load), cached(cache)(other.load), cached(cache)(one.load)]
    assert [load(1) for load in loads] == [("one", 1), ("other", 1), ("one", 1)]
    assert loads[2].cache_info().hits == 1, "the same method of the same instance"


def test_partials_do_not_share_entries(cache):
    def power(base, exponent):
        return base**exponent

    square, cube = (cached(cache)(functools.partial(power, exponent=n)) for n in (2, 3))
    two, three = (cached(cache)(functools.partial(power, n)) for n in (2, 3))
    assert [square(5), cube(5), two(5), three(5)] == [25, 125, 32, 243]


def test_a_module_that_is_loaded_anew_keeps_its_entries_unless_it_changed(tmp_path, monkeypatch):
    source = """
from cachine import cached
import shelf
runs = globals().get("runs", [])
@cached(lambda: shelf.cache)
def load(x):
    runs.append(x)
    return ["{what}", x]
"""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    shelf = types.ModuleType("shelf")
    shelf.cache = InMemoryCache()
    monkeypatch.setitem(sys.modules, "shelf", shelf)
    path = tmp_path / "loaded_anew.py"
    path.write_text(source.format(what="one"), encoding="utf-8")
    module = importlib.import_module("loaded_anew")
    first = module.load(1)
    importlib.reload(module)
    assert module.load(1) is first
    assert module.runs == [1]
    path.write_text(source.format(what="other"), encoding="utf-8")
    importlib.invalidate_caches()
    importlib.reload(module)
    assert module.load(1) == ["other", 1]
    monkeypatch.delitem(sys.modules, "loaded_anew")


def test_versions_leave_each_other_alone(cache):
    def load(x):
        return object()

    versions = [None, "", "1", "2", "1(", 'i1"']
    functions = [cached(cache, version=version)(load) for version in versions]
    assert len({function.cache_key(1) for function in functions}) == len(versions)
    values = [function(1) for function in functions]
    assert [function(1) for function in functions] == values
    assert len(set(values)) == len(versions)
    assert cached(cache, version="2")(load)(1) is values[3]


def test_one_function_on_two_caches_and_two_namespaces_keeps_them_apart(cache):
    def load(x):
        return object()

    caches = [cache, InMemoryCache(), cache.with_namespace("a"), cache.with_namespace("b")]
    functions = [cached(each)(load) for each in caches]
    assert len({function(1) for function in functions}) == 4
    assert len({function.cache_key(1) for function in functions}) == 1
    functions[2].cache_clear()
    assert [function.cache_info().currsize for function in functions] == [1, 1, 0, 1]


def test_two_functions_of_one_name_on_a_shared_store_are_warned_about_once(lines):
    class Shared(dict):
        def set(self, key, value, ttl=None):
            self[key] = value

    shared = Shared()

    def factory(rate):
        return cached(shared)(lambda x: rate * x)

    one, other = factory(1), factory(10)
    assert one(2) == 2
    assert lines() == []
    assert other(2) == 2, "they share, by name, as every process does"
    assert factory(10)(2) == 2
    (line,) = lines()
    assert "two functions of one name" in line and "version" in line and "key_builder" in line


MAIN = """
from cachine import InMemoryCache, cached
class Thing:
    pass
@cached(InMemoryCache())
def load(x, y=None):
    return x
print(load.cache_key(1, Thing))
"""


def test_main_is_named_after_its_file_or_its_module(script, tmp_path):
    expected = "{0}.load(i1,o{1}\"{0}.Thing())"
    assert script(MAIN, name="shop.py").strip() == expected.format("shop", len("shop.Thing"))
    as_module = script(MAIN, name="shop.py", options=["-m", "shop"])
    assert as_module.strip() == expected.format("shop", len("shop.Thing"))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "__init__.py").write_text("", encoding="utf-8")
    in_package = script(MAIN, name="store/main.py", options=["-m", "store.main"])
    assert in_package.strip() == expected.format("store.main", len("store.main.Thing"))
    package = script(MAIN, name="store/__main__.py", options=["-m", "store"])
    assert package.strip() == expected.format("store", len("store.Thing"))
    assert script(MAIN, options=["-c", MAIN]).strip() == expected.format("__main__", 14)
