"""Sixteen things that a caching decorator has to get right, and who does.

Each row of `peers.py` is one test of ours here, beside what was measured for the decorators of
fourteen libraries. Every one of them returns a wrong value, hangs, leaks or recomputes in at least
three rows.

Two answers of ours are decisions, and say so where they are tested: None is not kept unless that
is asked for, and a cache in memory hands out the object itself.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import typing
import weakref
from pathlib import Path

import pytest
from cachine import InMemoryCache, cached
from cachine.exceptions import CacheTimeoutError

import cachine

from .crowd import PATIENCE, Aside, Crowd, Gate, eventually, soon
from .peers import LIBRARIES, PEERS


def test_one_and_true_and_one_point_zero_are_different_keys(cache):
    """Row: 1, True and 1.0 are different keys."""
    f = cached(cache)(lambda x, y=0: (type(x), x))
    values = [1, True, 1.0, "1", b"1"]
    for _ in range(2):
        assert [f(value)[0] for value in values] == [int, bool, float, str, bytes]
        assert [f(value, 0)[0] for value in values] == [int, bool, float, str, bytes]
    assert f.cache_info().currsize == 5


def test_every_way_to_write_one_call_shares_a_key(cache):
    """Row: f(1), f(a=1), f(1, default) share a key."""
    f = cached(cache)(lambda a, b=2: object())
    assert len({f(1), f(a=1), f(1, 2), f(b=2, a=1), f(1, b=2)}) == 1


def test_unhashable_arguments_hit_whatever_their_order(cache):
    """Row: unhashable arguments, in any order."""
    f = cached(cache)(lambda x: object())
    assert f([1, {2}]) is f([1, {2}])
    assert f({"a": 1, "b": [2]}) is f({"b": [2], "a": 1})
    assert f({"x", "y", "z"}) is f({"z", "y", "x"})
    assert f([1]) is not f((1,))


def test_an_address_that_is_used_anew_means_nothing(cache):
    """Row: an address used anew means nothing."""

    class Thing:
        def __init__(self, number):
            self.number = number

        @cached(cache)
        def own(self):
            return self.number

    argument = cached(cache)(lambda thing: thing.number)
    assert [argument(Thing(number)) for number in range(50)] == list(range(50))
    assert [Thing(number).own() for number in range(50)] == list(range(50))


def test_the_cache_of_a_method_does_not_keep_its_instance(cache):
    """Row: a method's cache does not keep self."""

    class Thing:
        @cached(cache)
        def method(self):
            return 1

    thing = Thing()
    thing.method()
    alive = weakref.ref(thing)
    del thing
    gc.collect()
    assert alive() is None
    assert len(cache) == 0


def test_none_is_kept_where_that_is_asked_for(cache):
    """Row: None is kept by default. By decision only when asked for; who waits shares it anyway."""
    runs = []
    for cache_none, expected in ((False, 2), (True, 1)):
        runs.clear()
        f = cached(cache, cache_none=cache_none, version=str(cache_none))(runs.append)
        assert f(1) is f(1) is None
        assert len(runs) == expected


def test_a_failing_leader_fails_once_for_all(cache):
    """Row: a failing leader fails once for all."""
    gate, runs = Gate(), []

    @cached(cache, singleflight=True)
    def f():
        runs.append(1)
        gate.passing()
        raise ValueError("once")

    crowd = Crowd(8, f)
    eventually(lambda: f.cache_info().coalesced == 7)
    gate.open()
    outcomes = crowd.join()
    assert len({id(outcome) for outcome in outcomes}) == 1
    assert isinstance(outcomes[0], ValueError)
    assert len(runs) == 1


def test_a_cancelled_leader_strands_nobody(cache):
    """Row: a cancelled leader strands nobody."""

    async def main():
        gate, runs = Gate(), []

        @cached(cache, singleflight=True)
        async def f():
            runs.append(1)
            await gate.passing_async()
            return "value"

        leader = asyncio.create_task(f())
        await soon(lambda: runs)
        followers = [asyncio.create_task(f()) for _ in range(5)]
        await soon(lambda: f.cache_info().coalesced == 5)
        leader.cancel()
        gate.open()
        assert await asyncio.gather(*followers) == ["value"] * 5
        assert len(runs) == 1

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_recursion_on_one_key_does_not_hang(cache):
    """Row: recursion on one key does not hang."""
    depth = []

    @cached(cache, singleflight=True)
    def f():
        depth.append(1)
        return "end" if len(depth) == 2 else f()

    @cached(cache, singleflight=True)
    async def g():
        depth.append(1)
        return "end" if len(depth) == 4 else (await asyncio.gather(g(), g()))[0]

    assert Aside(f).result() == "end"
    assert Aside(lambda: asyncio.run(g())).result() == "end"


def test_several_event_loops_share_one_load(cache):
    """Row: several event loops share one load."""
    gate, runs = Gate(), []

    @cached(cache, singleflight=True)
    async def f():
        runs.append(1)
        await gate.passing_async()
        return object()

    loops = [Aside(lambda: asyncio.run(f())) for _ in range(3)]
    eventually(lambda: f.cache_info().coalesced == 2)
    gate.open()
    assert len({loop.result() for loop in loops}) == 1
    assert len(runs) == 1


def test_an_invalidation_during_a_load_wins(cache):
    """Row: an invalidation during a load wins."""
    acts = {
        "key": lambda f: f.invalidate(),
        "tag": lambda f: cache.invalidate_tags(["t"]),
        "clear": lambda f: cache.clear(dangerously_clear_all=True),
    }
    for name, act in acts.items():
        gate = Gate()
        f = cached(cache, tags=["t"], version=name)(lambda gate=gate: gate.passing() or "old")
        load = Aside(f)
        gate.arrived()
        act(f)
        gate.open()
        assert load.result() == "old"
        assert cache.get(f.cache_key()) is None


class Server:
    """A cache behind a connection: bytes on the way, and whatever goes wrong there."""

    def __init__(self, get):
        self.get_bytes = get
        self.sent = []

    def get(self, key, default=None):
        found = self.get_bytes(key)
        return default if found is None else json.loads(found)

    def set(self, key, value, ttl=None):
        self.sent.append(json.dumps(value))


def _frozen(key):
    raise CacheTimeoutError("no answer within the deadline")


def _refused(key):
    raise ConnectionRefusedError("nobody listens")


def test_an_undecodable_payload_is_a_miss(lines):
    """Row: an undecodable payload is a miss."""
    server = Server(lambda key: b"\xc1 not what was expected")
    f = cached(server, singleflight=True)(lambda: ["value"])
    assert f() == ["value"]
    assert server.sent == ['["value"]'], "and it is replaced"
    assert f.cache_info().errors == 1 and len(lines()) == 1


def test_a_server_that_does_not_answer_in_time_costs_that_time_and_no_answer(lines):
    """Row: a frozen server costs a bounded wait. The bound is the backend's, and tested there."""
    asked = []
    f = cached(Server(lambda key: asked.append(key) or _frozen(key)), singleflight=True)(lambda: 1)
    assert f() == 1
    assert len(asked) == 1, "it is waited for once, not once more to be sure"
    assert len(lines()) == 1


def test_a_server_that_is_not_there_costs_no_answer(lines):
    """Row: with a refused server it still answers."""
    f = cached(Server(_refused), singleflight=True)(lambda: 1)
    assert [f(), f()] == [1, 1]
    assert f.cache_info().errors == 2 and len(lines()) == 1


def test_a_value_in_memory_is_the_object_itself(cache):
    """Row: a mutable value is the caller's own. By decision not in memory: nothing is copied."""
    f = cached(cache)(lambda: [1])
    assert f() is f()


def test_the_signature_is_kept():
    """Row: checkers keep the signature. What they say is tested in `tests/typing`."""

    def load(user: int, *, page: str = "a") -> list:
        return [user, page]

    class Shop:
        load = cached(InMemoryCache())(lambda self, x: x)

    f = cached(InMemoryCache())(load)
    assert inspect.signature(f) == inspect.signature(load)
    assert typing.get_type_hints(f) == {"user": int, "page": str, "return": list}
    assert str(inspect.signature(Shop().load)) == "(x)"
    assert Path(cachine.__file__).with_name("py.typed").exists()


def _rows():
    tests = [each for name, each in globals().items() if name.startswith("test_") and each.__doc__]
    return [test.__doc__ for test in tests if test.__doc__.startswith("Row: ")]


@pytest.mark.parametrize("row", list(PEERS))
def test_every_row_has_its_test_and_an_outcome_for_each_library(row):
    peers, ours = PEERS[row].split("|")
    assert len(peers.split()) == len(LIBRARIES) == 14
    assert set(peers.split()) <= set("Yp-.")
    assert ours.strip() in ("Y", "p", "-", ".")
    assert sum(text.startswith(f"Row: {row}.") for text in _rows()) == 1


def test_no_library_is_right_in_all_but_two_rows():
    assert len(PEERS) == len(_rows()) == 16
    for at, name in enumerate(LIBRARIES):
        measured = [PEERS[row].split()[at] for row in PEERS]
        assert sum(outcome in "p-" for outcome in measured) >= 3, name
