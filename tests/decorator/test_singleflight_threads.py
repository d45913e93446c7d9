"""Any number of threads that call at once share one computation, its value or its exception."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref

import pytest
from cachine import InMemoryCache, cached

from .crowd import Aside, Crowd, Gate, eventually, together


class Flight:
    """A function that a test holds while others wait for it."""

    def __init__(self, result=None, **options):
        self.gate = Gate()
        self.runs = []
        self.result = result
        self.cache = InMemoryCache()
        self.f = cached(self.cache, singleflight=True, **options)(self._run)

    def _run(self, x=0):
        self.runs.append(threading.get_ident())
        self.gate.passing()
        return self.result() if callable(self.result) else self.result

    def share(self, count):
        """So many callers, all but one of them waiting before the one goes on; their outcomes."""
        crowd = Crowd(count, self.f)
        eventually(lambda: self.f.cache_info().coalesced == count - 1, "all others wait")
        self.gate.open()
        return crowd.join()


def test_a_thousand_threads_cost_one_computation():
    flight = Flight(result=object)
    outcomes = flight.share(1000)
    assert len(flight.runs) == 1
    assert len({id(outcome) for outcome in outcomes}) == 1
    info = flight.f.cache_info()
    assert (info.hits, info.misses, info.coalesced, info.currsize) == (0, 1000, 999, 1)


@pytest.mark.parametrize("options", [{}, {"ttl": 60}, {"condition": lambda value: False}])
def test_none_and_refused_results_are_shared_although_they_are_not_stored(options):
    flight = Flight(result=None, **options)
    assert flight.share(100) == [None] * 100
    assert len(flight.runs) == 1
    assert flight.f.cache_info().currsize == 0


def test_a_ttl_of_zero_still_shares():
    flight = Flight(result=list, ttl=0)
    assert len({id(outcome) for outcome in flight.share(50)}) == 1


class Wrong(Exception):
    pass


def test_an_exception_is_shared_as_the_same_object_and_stored_nowhere():
    def fail():
        raise Wrong("once")

    flight = Flight(result=fail)
    outcomes = flight.share(50)
    assert len(flight.runs) == 1
    assert len({id(outcome) for outcome in outcomes}) == 1
    assert isinstance(outcomes[0], Wrong)
    flight.result = "right"
    assert flight.f() == "right", "the next call computes anew"


def test_a_shared_traceback_does_not_grow_with_those_who_raise_it():
    def fail():
        raise Wrong

    lengths = {}
    for count in (2, 50):
        flight = Flight(result=fail)
        outcome = flight.share(count)[0]
        lines = traceback.extract_tb(outcome.__traceback__)
        assert lines[-1].name == "fail", "it leads to where the function failed"
        lengths[count] = len(lines)
    assert lengths[50] == lengths[2]


def test_a_shared_exception_is_let_go_when_everybody_has_seen_it():
    def fail():
        raise Wrong

    flight = Flight(result=fail)
    outcomes = flight.share(20)
    alive = weakref.ref(outcomes[0])
    del outcomes
    gc.collect()
    assert alive() is None


def test_an_exception_that_its_argument_keeps_is_let_go_with_it():
    class Task:
        error = None

    task = Task()

    @cached(InMemoryCache(), singleflight=True)
    def f(task):
        raise Wrong

    try:
        f(task)
    except Wrong as error:
        task.error = error
    alive = weakref.ref(task)
    del task
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("interrupt", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_thread_that_is_told_to_stop_stops_alone(interrupt):
    flight = Flight()
    turns = iter([interrupt, interrupt])

    def result():
        turn = next(turns, None)
        if turn is not None:
            raise turn
        return "done"

    flight.result = result
    outcomes = flight.share(20)
    assert sum(isinstance(outcome, interrupt) for outcome in outcomes) == 2
    assert [o for o in outcomes if not isinstance(o, interrupt)] == ["done"] * 18
    assert len(flight.runs) == 3, "of those who wait one at a time takes over"


def test_keys_do_not_wait_for_each_other():
    flight = Flight(result=object)
    crowds = [Aside(flight.f, number) for number in range(30)]
    eventually(lambda: len(flight.runs) == 30)
    flight.gate.open()
    assert len({id(crowd.result()) for crowd in crowds}) == 30


def test_two_decorations_of_one_function_share_their_computations(cache):
    gate, runs = Gate(), []

    def load(x):
        runs.append(x)
        gate.passing()
        return object()

    one, other = (cached(cache, singleflight=True, ttl=ttl)(load) for ttl in (None, 60))
    first, second = Aside(one, 1), None
    gate.arrived()
    second = Aside(other, 1)
    eventually(lambda: other.cache_info().coalesced == 1)
    gate.open()
    assert first.result() is second.result()
    assert runs == [1]


def test_get_or_set_always_shares(cache):
    gate, runs = Gate(), []

    def make():
        runs.append(1)
        gate.passing()
        return object()

    crowd = Crowd(100, cache.get_or_set, "k", make)
    eventually(lambda: cache.get_stats()["coalesced"] == 99)
    gate.open()
    assert len(set(crowd.join())) == 1
    assert len(runs) == 1


def test_without_singleflight_everybody_computes_and_nobody_waits(cache):
    gate, runs = Gate(), []

    @cached(cache)
    def f():
        runs.append(1)
        gate.passing()
        return len(runs)

    crowd = Crowd(20, f)
    eventually(lambda: len(runs) == 20)
    gate.open()
    assert crowd.join() == [20] * 20
    assert f.cache_info().coalesced == 0


def test_a_result_that_can_be_used_once_is_computed_by_everybody_at_once():
    flight = Flight(result=lambda: iter([1, 2]))
    crowd = Crowd(20, lambda: list(flight.f()))
    eventually(lambda: flight.f.cache_info().coalesced == 19)
    flight.gate.open()
    assert crowd.join() == [[1, 2]] * 20
    assert len(flight.runs) == 20


def test_many_threads_on_few_keys_never_see_a_wrong_value():
    cache = InMemoryCache(max_size=3)
    f = cached(cache, ttl=0.001, singleflight=True)(lambda x: ("value", x))

    def work():
        return all(f(turn % 5) == ("value", turn % 5) for turn in range(500))

    assert together(16, work) == [True] * 16


def test_a_waiter_that_is_interrupted_leaves_the_others_alone(script):
    text = """
import os, signal, threading, _thread
from cachine import InMemoryCache, cached
gate, inside = threading.Event(), threading.Event()

@cached(InMemoryCache(), singleflight=True)
def f():
    inside.set()
    assert gate.wait(20)
    return "value"

def interrupt():
    while f.cache_info().coalesced < 2:
        pass
    os.kill(os.getpid(), signal.SIGINT)

values = []
threads = [threading.Thread(target=lambda: values.append(f())) for _ in range(2)]
for thread in threads:
    thread.start()
    inside.wait(20)
threading.Thread(target=interrupt).start()
try:
    f()
except KeyboardInterrupt:
    print("interrupted")
gate.set()
for thread in threads:
    thread.join(20)
print(values, f(), f.cache_info())
"""
    assert script(text) == (
        "interrupted\n['value', 'value'] value CacheInfo(hits=1, misses=3, maxsize=None, "
        "currsize=1, stale=0, coalesced=2, errors=0)\n"
    )
