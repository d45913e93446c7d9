"""A decorator that is misused says so at once, and a cache may come late."""

from __future__ import annotations

import threading

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached
from cachine.exceptions import ConfigError

from .crowd import PATIENCE, together


async def plain(x):
    return [x]


def generator(x):
    yield x


def test_a_bare_decorator_says_how_to_write_it():
    for function in (lambda x: x, plain, staticmethod(plain), generator):
        with pytest.raises(TypeError, match=r"write @cached\(cache\), not @cached"):
            cached(function)
    with pytest.raises(TypeError, match=r"write @cached\(cache\), not @cached"):
        cached()
    with pytest.raises(TypeError, match=r"write @cached\(cache\), not @cached"):
        cached(60)

    @cached
    def without_parameters():
        return 1

    # Until it is called it could be what makes a cache.
    with pytest.raises(TypeError, match=r"write @cached\(cache\), not @cached.*without_parameters"):
        without_parameters()


@pytest.mark.parametrize("wrong", [None, 1, "f", [], object()])
def test_what_can_not_be_called_is_refused(cache, wrong):
    with pytest.raises(TypeError, match="decorates functions"):
        cached(cache)(wrong)


def test_an_async_cache_on_a_plain_function_is_refused():
    with pytest.raises(TypeError, match=r"no coroutine function.*asynchronous cache"):
        cached(AsyncInMemoryCache())(len)
    lazy = cached(AsyncInMemoryCache)(lambda x: x)
    with pytest.raises(TypeError, match=r"no coroutine function.*asynchronous cache"):
        lazy(1)


def test_a_cache_can_be_made_at_the_first_call():
    made = []

    def make():
        made.append(InMemoryCache())
        return made[0]

    f = cached(make, ttl=60)(lambda x: [x])
    g = cached(cache=make)(lambda x: [x])
    assert made == []
    assert f(1) is f(1)
    assert len(made) == 1
    assert g.cache_key(1) and len(made) == 2


def test_threads_that_call_first_all_use_one_cache():
    made = []
    everybody = threading.Barrier(30)

    def make():
        everybody.wait(PATIENCE)
        made.append(InMemoryCache())
        return made[-1]

    f = cached(make, singleflight=True)(lambda x: object())
    assert len(set(together(30, f, 1))) == 1
    assert len(made) == 30
    f.cache_clear()
    assert f.cache_info().currsize == sum(map(len, made)) == 0


def test_what_is_no_cache_is_refused_at_the_first_call():
    f = cached(lambda: {})(lambda x: x)
    with pytest.raises(TypeError, match="returned dict, which is no cache"):
        f(1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"condition": 1}, TypeError),
        ({"tags_from_result": "t"}, TypeError),
        ({"tags": "users"}, TypeError),
        ({"tags": b"users"}, TypeError),
        ({"tags": [1]}, TypeError),
        ({"tags": 5}, TypeError),
        ({"version": 2}, TypeError),
        ({"stale_ttl": 5}, ConfigError),
        ({"no_such_option": 5}, TypeError),
    ],
)
def test_wrong_options_are_refused_at_decoration(cache, options, error):
    with pytest.raises(error):
        cached(cache, **options)
