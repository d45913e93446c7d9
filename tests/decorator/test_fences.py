"""What was computed from older data is returned and not stored (pitfall P20).

A write, a deletion or an invalidation that has returned before a computation ends fences it: its
result is given to those who asked before, and whoever asks after starts a new computation.
"""

from __future__ import annotations

import asyncio

import pytest
from cachine import AsyncInMemoryCache, InMemoryCache, cached

from .crowd import PATIENCE, Aside, Gate, eventually, soon

#: What somebody does in the meantime; each given the cache, the function and the key.
FENCES = {
    "set": lambda cache, f, key: cache.set(key, "written"),
    "delete": lambda cache, f, key: cache.delete(key),
    "delete_many": lambda cache, f, key: cache.delete_many([key]),
    "set_many": lambda cache, f, key: cache.set_many({key: "written"}),
    "incr": lambda cache, f, key: cache.incr(key),
    "decr": lambda cache, f, key: cache.decr(key),
    "declared tag": lambda cache, f, key: cache.invalidate_tags(["users"]),
    "argument's tag": lambda cache, f, key: cache.invalidate_tags(["user:1", "other"]),
    "clear": lambda cache, f, key: cache.clear(dangerously_clear_all=True),
    "expiry in the past": lambda cache, f, key: cache.set(key, "gone", ttl=0),
    "f.invalidate": lambda cache, f, key: f.invalidate(1),
    "f.cache_clear": lambda cache, f, key: f.cache_clear(),
}
#: Of those, the ones that leave a value behind.
LEFT = {"set": "written", "set_many": "written", "incr": 1, "decr": -1}

#: What is no reason to throw a result away.
HARMLESS = {
    "get": lambda cache, f, key: cache.get(key),
    "another key": lambda cache, f, key: cache.set("other", 1),
    "another tag": lambda cache, f, key: cache.invalidate_tags(["nobody", "user:2"]),
    "another call": lambda cache, f, key: f.invalidate(2),
    "exists": lambda cache, f, key: cache.exists(key),
    "touch": lambda cache, f, key: cache.touch(key),
    "another namespace": lambda cache, f, key: cache.with_namespace("n").clear(),
}


def tags(x):
    return ["users", f"user:{x}"]


OPTIONS = {
    "singleflight": {"singleflight": True, "tags": tags},
    "alone": {"singleflight": False, "tags": tags},
    "named": {"singleflight": True, "tags": tags, "key_builder": "k:{x}"},
}


class Threads:
    """One computation held at a gate, by a thread."""

    def __init__(self, **options):
        self.cache = InMemoryCache()
        self.gate = Gate()
        self.runs = []
        self.f = cached(self.cache, **options)(self._run)
        self.key = self.f.cache_key(1)

    def _run(self, x):
        self.runs.append(x)
        count = len(self.runs)
        if count == 1:
            self.gate.passing()
        return count

    def during(self, act):
        """Do something in the middle of a computation; what its caller got."""
        first = Aside(self.f, 1)
        self.gate.arrived()
        act(self.cache, self.f, self.key)
        return first


@pytest.mark.parametrize("options", list(OPTIONS))
@pytest.mark.parametrize("fence", list(FENCES))
def test_a_fenced_result_is_returned_and_not_stored(options, fence):
    scene = Threads(**OPTIONS[options])
    first = scene.during(FENCES[fence])
    scene.gate.open()
    assert first.result() == 1
    assert scene.cache.get(scene.key) == LEFT.get(fence)


@pytest.mark.parametrize("options", list(OPTIONS))
@pytest.mark.parametrize("fence", [fence for fence in FENCES if fence not in LEFT])
def test_a_caller_that_arrives_after_the_fence_starts_a_new_computation(options, fence):
    scene = Threads(**OPTIONS[options])
    first = scene.during(FENCES[fence])
    assert Aside(scene.f, 1).result() == 2, "it does not wait for what began before"
    scene.gate.open()
    assert first.result() == 1
    assert scene.cache.get(scene.key) == 2, "the newer one stays"
    assert scene.runs == [1, 1]


@pytest.mark.parametrize("options", list(OPTIONS))
@pytest.mark.parametrize("act", list(HARMLESS))
def test_what_is_no_fence_lets_the_result_be_stored(options, act):
    scene = Threads(**OPTIONS[options])
    first = scene.during(HARMLESS[act])
    scene.gate.open()
    assert first.result() == 1
    assert scene.cache.get(scene.key) == 1


def test_those_who_waited_before_the_fence_get_the_result_of_before(cache):
    scene = Threads(singleflight=True)
    first = Aside(scene.f, 1)
    scene.gate.arrived()
    waiting = Aside(scene.f, 1)
    eventually(lambda: scene.f.cache_info().coalesced == 1)
    scene.f.invalidate(1)
    scene.gate.open()
    assert (first.result(), waiting.result(), len(scene.runs)) == (1, 1, 1)
    assert scene.cache.get(scene.key) is None


def test_a_refresh_by_hand_is_a_write_that_older_results_do_not_replace():
    scene = Threads(singleflight=True)
    first = scene.during(lambda cache, f, key: f.refresh(1))
    assert scene.cache.get(scene.key) == 2
    scene.gate.open()
    assert first.result() == 1
    assert scene.cache.get(scene.key) == 2


def test_a_refresh_by_hand_is_itself_fenced(cache):
    gate = Gate()
    runs = []

    @cached(cache)
    def f(x):
        runs.append(x)
        if len(runs) == 2:
            gate.passing()
        return len(runs)

    f(1)
    refreshing = Aside(f.refresh, 1)
    gate.arrived()
    f.invalidate(1)
    gate.open()
    assert refreshing.result() == 2
    assert cache.get(f.cache_key(1)) is None


@pytest.mark.parametrize("where", ["tags", "tags_from_result"])
@pytest.mark.parametrize("result", ["mine", "other"])
def test_tags_that_only_the_result_knows_are_fenced_as_well(where, result):
    gate = Gate()
    cache = InMemoryCache()
    options = {where: (lambda _: ["mine"])}

    @cached(cache, singleflight=True, **options)
    def f(x):
        gate.passing()
        return x

    first = Aside(f, 1)
    gate.arrived()
    cache.invalidate_tags([result])
    gate.open()
    assert first.result() == 1
    assert cache.get(f.cache_key(1)) == (None if result == "mine" else 1)


def test_with_late_tags_any_invalidation_sends_later_callers_their_own_way(cache):
    gate = Gate()
    runs = []

    @cached(cache, singleflight=True, tags_from_result=lambda _: ["mine"])
    def f(x):
        runs.append(x)
        count = len(runs)
        if count == 1:
            gate.passing()
        return count

    first = Aside(f, 1)
    gate.arrived()
    cache.invalidate_tags(["whatever"])
    assert Aside(f, 1).result() == 2
    gate.open()
    assert first.result() == 1


def test_get_or_set_is_fenced_alike(cache):
    gate = Gate()
    first = Aside(cache.get_or_set, "k", lambda: gate.passing() or "old")
    gate.arrived()
    cache.delete("k")
    assert cache.get_or_set("k", "new") == "new"
    gate.open()
    assert first.result() == "old"
    assert cache.get("k") == "new"


def test_a_fence_inside_the_computation_itself_counts(cache):
    @cached(cache, singleflight=True)
    def f(x):
        f.invalidate(x)
        return x

    assert f(1) == 1
    assert cache.get(f.cache_key(1)) is None


@pytest.mark.parametrize("kind", [InMemoryCache, AsyncInMemoryCache])
@pytest.mark.parametrize("singleflight", [False, True])
@pytest.mark.parametrize("fence", list(FENCES))
def test_computations_of_tasks_are_fenced_alike(kind, singleflight, fence):
    async def main():
        cache = kind()
        gate = Gate()
        runs = []

        @cached(cache, singleflight=singleflight, tags=tags)
        async def f(x):
            runs.append(x)
            count = len(runs)
            if count == 1:
                await gate.passing_async()
            return count

        key = f.cache_key(1)
        first = asyncio.create_task(f(1))
        await soon(lambda: runs)
        done = FENCES[fence](cache, f, key)
        if hasattr(done, "__await__"):
            await done
        left = LEFT.get(fence)
        if left is None:
            assert await f(1) == 2
        gate.open()
        assert await first == 1
        found = cache.get(key)
        found = await found if hasattr(found, "__await__") else found
        assert found == (2 if left is None else left)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
