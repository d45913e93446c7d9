"""What people make of the classes: subclasses, copies, pickles, and wrong constructors."""

import copy
import pickle
import weakref

import pytest

from cachine import AsyncInMemoryCache, InMemoryCache
from cachine.exceptions import CacheTimeoutError, ClosedError, ConfigError

KINDS = (InMemoryCache, AsyncInMemoryCache)
kinds = pytest.mark.parametrize("kind", KINDS)


class Tenant(InMemoryCache):
    """A subclass with an argument, an attribute and a method of its own."""

    def __init__(self, tenant, **options):
        super().__init__(namespace=tenant, **options)
        self.tenant = tenant

    def get(self, key, default=None):
        return self.tenant, super().get(key, default)


def test_a_subclass_may_take_other_arguments():
    cache = Tenant("acme", max_size=1)
    cache.set("key", 1)
    assert cache.get("key") == ("acme", 1)
    assert cache.namespace == "acme"
    assert cache.max_size == 1
    cache.set("other", 1)
    assert len(cache) == 1


def test_a_view_of_a_subclass_is_one_too_and_has_its_attributes():
    cache = Tenant("acme")
    view = cache.with_namespace("inner")
    assert type(view) is Tenant
    view.set("key", 1)
    assert view.get("key") == ("acme", 1)
    view.tenant = "other"
    assert cache.tenant == "acme"


def test_a_subclass_may_have_a_constructor_that_asks_for_more():
    class Own(InMemoryCache):
        def __new__(cls, first, second):
            return super().__new__(cls)

        def __init__(self, first, second):
            super().__init__(first)
            self.second = second

    cache = Own(5, "b")
    view = cache.with_namespace("a")
    view.set("key", 1)
    assert cache.get("a:key") == 1
    assert view.second == "b"


def test_a_subclass_may_have_slots():
    class Own(InMemoryCache):
        __slots__ = ("extra",)

    cache = Own()
    cache.extra = 1
    cache.set("key", 1)
    assert cache.get("key") == 1


@kinds
@pytest.mark.parametrize("operation", ["get", "exists", "delete", "incr", "ttl", "persist"])
def test_a_subclass_that_forgets_super_is_told_so(kind, operation):
    class Forgetful(kind):
        def __init__(self):
            self.mine = 1

    cache = Forgetful()
    with pytest.raises(RuntimeError, match=r"not initialised: call super\(\).__init__\(\)"):
        finish(getattr(cache, operation)("key"))
    for use in (lambda: cache.with_namespace("a"), cache.get_stats, cache.reset_stats):
        with pytest.raises(RuntimeError, match=r"call super\(\).__init__\(\)"):
            use()
    with pytest.raises(RuntimeError, match=r"call super\(\).__init__\(\)"):
        finish(cache.get_or_set("key", 1))
    assert "not initialised" in repr(cache)
    assert bool(cache) is True
    finish(cache.close())


def finish(result):
    """The result of a call, whether it is to be awaited or not."""
    if hasattr(result, "send"):
        try:
            result.send(None)
        except StopIteration as stop:
            return stop.value
    return result


@kinds
def test_a_cache_is_initialised_once(kind):
    cache = kind()
    with pytest.raises(RuntimeError, match="initialised before"):
        cache.__init__(max_size=5)
    view = cache.with_namespace("a")
    with pytest.raises(RuntimeError, match="initialised before"):
        view.__init__()


@kinds
def test_a_constructor_that_fails_leaves_nothing_usable(kind):
    cache = kind.__new__(kind)
    with pytest.raises(ConfigError):
        cache.__init__(max_size=0)
    with pytest.raises(RuntimeError, match="not initialised"):
        finish(cache.get("key"))
    cache.__init__(max_size=1)
    assert finish(cache.get("key")) is None


@kinds
def test_an_argument_that_there_is_not_is_refused(kind):
    with pytest.raises(TypeError, match="maxsize"):
        kind(maxsize=5)
    with pytest.raises(TypeError):
        kind(1, None, None, 1)


@kinds
def test_the_arguments_have_the_places_and_names_of_the_reference(kind):
    from cachine.strategies import LFUEviction

    for cache in (
        kind(5, LFUEviction(), "a"),
        kind(max_size=5, eviction_policy=LFUEviction(), namespace="a"),
    ):
        assert cache.namespace == "a"
        assert cache.max_size == 5
        assert finish(cache.set("key", 1)) is None


@kinds
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda f: f.__name__)
def test_a_cache_is_one_place_and_can_not_be_copied(kind, how):
    cache = kind()
    message = f"{kind.__name__} can't be copied or pickled.*share it"
    for each in (cache, cache.with_namespace("a"), [cache], {"cache": cache}):
        if how is not copy.copy or each is cache:
            with pytest.raises(TypeError, match=message):
                how(each)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=message):
            pickle.dumps(cache, protocol)


@kinds
def test_a_cache_class_can_be_pickled_and_parametrized(kind):
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert finish(kind[int]().get("key")) is None


@kinds
def test_a_cache_is_compared_by_identity_and_can_be_a_key(kind):
    one, other = kind(), kind()
    assert one != other
    assert one == one  # noqa: PLR0124
    assert len({one, other, one.with_namespace("a")}) == 3
    assert weakref.ref(one)() is one


@kinds
def test_a_cache_shows_its_namespace_and_whether_it_is_closed(kind):
    cache = kind(namespace="a")
    assert repr(cache) == f"{kind.__name__}(namespace='a')"
    finish(cache.close())
    assert repr(cache) == f"{kind.__name__}(namespace='a', closed)"


def test_len_counts_the_entries_of_the_namespace():
    cache = InMemoryCache()
    view = cache.with_namespace("a")
    cache.set("x", 1)
    view.set("x", 1)
    view.with_namespace("b").set("x", 1)
    assert (len(cache), len(view)) == (3, 2)


def test_errors_survive_a_pickle_with_what_they_carry():
    cache = InMemoryCache()
    cache.close()
    with pytest.raises(ClosedError) as caught:
        cache.get("key")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        error = pickle.loads(pickle.dumps(caught.value, protocol))
        assert type(error) is ClosedError
        assert str(error) == str(caught.value)
        assert (error.operation, error.retryable) == ("get", False)
    assert CacheTimeoutError("late").retryable is True
    assert isinstance(CacheTimeoutError("late"), TimeoutError)


def test_a_subclass_that_reads_its_own_way_is_asked_by_operations_on_many_keys():
    cache = Tenant("acme")
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many(["a"]) == {"a": ("acme", 1)}
