"""Callbacks raise, caches are closed, threads are killed: no answer is lost."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached

from .crowd import PATIENCE, Crowd, Gate, eventually, together


class Wrong(Exception):
    pass


def fail(*args, **kwargs):
    raise Wrong("the callback's own")


def load(x):
    runs.append(x)
    return ["answer", x]


async def load_later(x):
    runs.append(x)
    return ["answer", x]


runs = []


@pytest.fixture(autouse=True)
def _no_runs():
    runs.clear()


def call(f, x=1):
    """Call one or the other."""
    result = f(x)
    if not hasattr(result, "__await__"):
        return result

    async def main():
        return await result

    return asyncio.run(main())


KINDS = [(InMemoryCache, load), (InMemoryCache, load_later), (AsyncInMemoryCache, load_later)]
EVERY = pytest.mark.parametrize(("make", "function"), KINDS, ids=["plain", "mixed", "tasks"])
SHARING = pytest.mark.parametrize("singleflight", [False, True])


@EVERY
@SHARING
@pytest.mark.parametrize("option", ["key_builder", "tags"])
def test_what_raises_before_the_function_runs_reaches_the_caller(
    make, function, singleflight, option, lines
):
    cache = make()
    f = cached(cache, singleflight=singleflight, **{option: fail})(function)
    for _ in range(2):
        with pytest.raises(Wrong, match="the callback's own"):
            call(f)
    assert runs == [] and len(cache) == 0 and lines() == []


@EVERY
@SHARING
@pytest.mark.parametrize("option", ["condition", "tags_from_result"])
def test_what_raises_after_it_is_logged_and_the_answer_returned(
    make, function, singleflight, option, lines
):
    cache = make()
    f = cached(cache, singleflight=singleflight, **{option: fail})(function)
    assert call(f) == call(f) == ["answer", 1]
    assert runs == [1, 1] and len(cache) == 0
    (line,) = lines()
    assert line.startswith("a callback failed in") and "Wrong" in line
    assert "the callback's own" not in line, "its text may hold what was cached"


@EVERY
def test_a_truth_value_that_raises_is_a_condition_that_raises(make, function, lines):
    class Undecided:
        def __bool__(self):
            raise Wrong

    f = cached(make(), condition=lambda value: Undecided())(function)
    assert call(f) == ["answer", 1]
    assert len(lines()) == 1


@EVERY
@pytest.mark.parametrize("wrong", ["users", b"users", 5, [1], [""], ["\ud800"]])
def test_wrong_tags_are_an_error_before_and_a_line_in_the_log_after(make, function, wrong, lines):
    cache = make()
    before = cached(cache, tags=lambda x: wrong)(function)
    with pytest.raises((TypeError, ValueError)):
        call(before)
    assert runs == []
    after = cached(cache, tags_from_result=lambda value: wrong)(function)
    assert call(after) == ["answer", 1]
    assert len(cache) == 0 and len(lines()) == 1


def test_tags_may_come_one_by_one_or_not_at_all(cache):
    f = cached(cache, tags=lambda x: (f"t{n}" for n in range(x)))(load)
    g = cached(cache, tags=lambda x: None, tags_from_result=lambda value: iter(["late"]))(load)
    call(f, 2), call(g)
    assert cache.invalidate_tags(["t1"]) == 1
    assert cache.invalidate_tags(["late"]) == 1


@pytest.mark.parametrize("option", ["condition", "tags_from_result"])
def test_those_who_wait_get_the_answer_whatever_the_callback_does(cache, option):
    gate = Gate()

    def interrupt(value):
        raise KeyboardInterrupt

    for act in (fail, interrupt):

        @cached(cache, singleflight=True, **{option: act})
        def f():
            gate.passing()
            return "answer"

        crowd = Crowd(10, f)
        eventually(lambda f=f: f.cache_info().coalesced == 9)
        gate.open()
        outcomes = crowd.join()
        assert outcomes.count("answer") == (10 if act is fail else 9)
        gate.shut()


@EVERY
@SHARING
@pytest.mark.parametrize("kind", [TypeError, Wrong, KeyError, StopIteration])
def test_the_function_s_own_exceptions_pass_through_untouched(make, function, singleflight, kind):
    error = kind("own")

    def raising(x):
        runs.append(x)
        raise error

    async def raising_later(x):
        raising(x)

    is_async = function is load_later
    f = cached(make(), singleflight=singleflight)(raising_later if is_async else raising)
    # A coroutine can't raise StopIteration: Python makes another of it.
    expected = RuntimeError if is_async and kind is StopIteration else kind
    with pytest.raises(expected) as caught:
        call(f)
    assert caught.value is error or expected is RuntimeError
    assert error.__cause__ is None and error.__context__ is None
    assert runs == [1], "run once, a TypeError of its own included"


@EVERY
@SHARING
def test_on_a_closed_cache_the_function_answers(make, function, singleflight, lines):
    cache = make()
    f = cached(cache, singleflight=singleflight)(function)
    call(f)
    closing = cache.close()
    if closing is not None:
        asyncio.run(closing)
    assert [call(f), call(f), call(f)] == [["answer", 1]] * 3
    assert runs == [1, 1, 1, 1]
    assert f.cache_info().errors == 3
    (line,) = lines()
    assert line.startswith("the cache failed in") and "ClosedError" in line


def test_a_cache_that_is_closed_during_the_computation_loses_no_answer(cache):
    gate = Gate()

    @cached(cache, singleflight=True)
    def f():
        gate.passing()
        return "answer"

    crowd = Crowd(5, f)
    eventually(lambda: f.cache_info().coalesced == 4)
    cache.close()
    gate.open()
    assert crowd.join() == ["answer"] * 5


@EVERY
@pytest.mark.parametrize("weigher", [fail, lambda key, value: "heavy", lambda key, value: -1])
def test_a_result_that_can_not_be_stored_is_returned(make, function, weigher, lines):
    cache = make(max_weight=10, weigher=weigher)
    f = cached(cache, singleflight=True)(function)
    assert call(f) == call(f) == ["answer", 1]
    assert len(cache) == 0 and len(lines()) == 1


def test_a_result_too_heavy_for_the_cache_is_returned(cache):
    small = InMemoryCache(max_weight=10, weigher=lambda key, value: value)
    f = cached(small)(lambda x: x)
    assert [f(5), f(50), f(50), f(5)] == [5, 50, 50, 5]
    assert f.cache_info().currsize == 1


@pytest.mark.parametrize("where", ["__hash__", "__eq__"])
def test_what_an_argument_raises_when_it_is_compared_reaches_the_caller(cache, where):
    class Argument:
        def __hash__(self):
            return fail() if where == "__hash__" else 1

        def __eq__(self, other):
            return fail() if where == "__eq__" else self is other

    f = cached(cache)(load)
    with pytest.raises(Wrong):
        f(Argument()), f(Argument())
    assert f(1) == ["answer", 1]


def test_a_log_that_fails_loses_no_answer(cache):
    class Broken(logging.Filter):
        def filter(self, record):
            raise Wrong

    logger, broken = logging.getLogger("cachine"), Broken()
    logger.addFilter(broken)
    try:
        assert cached(cache, condition=fail)(load)(1) == ["answer", 1]
    finally:
        logger.removeFilter(broken)


@SHARING
def test_none_is_stored_only_where_that_is_asked_for(cache, singleflight):
    counted = []
    for cache_none, expected in ((False, 2), (True, 1)):
        counted.clear()
        f = cached(cache, cache_none=cache_none, singleflight=singleflight, version=str(expected))(
            counted.append
        )
        assert f(1) is f(1) is None
        assert len(counted) == expected


def test_a_thread_that_is_killed_anywhere_leaves_a_key_that_works(cache):
    @cached(cache, singleflight=True, tags=lambda x: ["t"], condition=lambda value: True)
    def f(x):
        return x

    def work():
        while not done.is_set():
            f(1)
            f.invalidate(1)
            turns.append(1)

    for _ in range(40):
        done, turns = threading.Event(), []
        threads = [threading.Thread(target=_until_killed, args=(work,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda turns=turns: len(turns) > 10)
        for thread in threads:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
            )
        eventually(lambda threads=threads: not any(t.is_alive() for t in threads))
        assert together(2, f, 1) == [1, 1]
    kept.clear()


kept = []


def _until_killed(work):
    try:
        work()
    except SystemExit as error:
        kept.append(error)  # With its frames, and whatever they hold.


def test_patience_is_shorter_than_the_limit_of_a_test(request):
    assert PATIENCE < float(request.config.getini("timeout"))
def test_a_call_counts_once_in_the_statistics_of_the_cache():
    cache = InMemoryCache()
    f = cached(cache, ttl=60, singleflight=True)(lambda x: x)
    f(1), f(1)
    stats = cache.get_stats()
    assert (stats["hits"], stats["misses"], stats["sets"]) == (1, 1, 1)


