"""Expired entries are never seen, and freed by the traffic that goes on."""

import gc
import time
import weakref

import pytest

from cachine import InMemoryCache

MANY = 20_000


class Value:
    """A value whose end can be watched."""


def filled(**options):
    """A cache full of values that end together, the numbers of those alive, what watches them."""
    cache = InMemoryCache(**options)
    alive, references = set(), []
    for number in range(MANY):
        value = Value()
        alive.add(number)
        references.append(weakref.ref(value, lambda _, number=number: alive.discard(number)))
        cache.set(f"key:{number}", value, 60)
    return cache, alive, references


@pytest.mark.parametrize(
    ("traffic", "most"),
    [
        (lambda cache, turn: cache.set("other", turn), 3000),
        (lambda cache, turn: cache.set("other", turn, 60), 3000),
        (lambda cache, turn: cache.incr("other"), 40_000),
        (lambda cache, turn: cache.delete("other"), 3000),
        (lambda cache, turn: cache.get("other"), 80_000),
        (lambda cache, turn: cache.get_or_set("other", turn, 0), 3000),
        (lambda cache, turn: cache.touch("other"), 3000),
    ],
    ids=["set", "set with ttl", "incr", "delete", "get", "get_or_set", "touch"],
)
def test_values_that_expired_together_die_by_the_traffic_of_other_keys(clock, traffic, most):
    cache, alive, _references = filled()
    clock.advance(59.999)
    traffic(cache, 0)
    assert len(alive) == MANY
    clock.advance(1)
    for turn in range(most):
        before = len(alive)
        traffic(cache, turn)
        assert before - len(alive) <= 1000, "no single call does the work of all"
        if not alive:
            break
    assert not alive, f"{len(alive)} expired values are still there after {most} calls"
    assert len(cache) <= 1


def test_no_call_pauses_when_the_cache_grows_or_when_it_expires_together(clock):
    cache = InMemoryCache()
    slowest = {"growing": 0.0, "freeing": 0.0}

    def timed(what, key, *arguments):
        # The time of this thread, so that other processes count for nothing.
        start = time.thread_time()
        cache.set(key, *arguments)
        slowest[what] = max(slowest[what], time.thread_time() - start)

    gc.disable()  # Its pauses are its own.
    try:
        for number in range(300_000):
            timed("growing", f"key:{number}", number, 60)
        clock.advance(60)
        calls = 0
        while len(cache) > 1:
            timed("freeing", "other", 1)
            calls += 1
            assert calls < 100_000
    finally:
        gc.enable()
    for what, seconds in slowest.items():
        assert seconds < 0.01, f"a call took {seconds * 1000:.1f} ms while {what}"


def test_an_expired_value_is_not_seen_even_before_it_is_freed(clock):
    cache, alive, _references = filled()
    clock.advance(60)
    for number in range(0, MANY, 1999):
        assert cache.get(f"key:{number}") is None
        assert cache.exists(f"key:{number + 1}") is False
    assert alive, "most of them are still there"
    assert cache.invalidate_tags(["tag"]) == 0
    assert cache.delete("key:17") is False


def test_a_life_that_was_lengthened_or_shortened_ends_when_it_was_said_last(clock):
    cache = InMemoryCache()
    for number in range(1000):
        cache.set(f"key:{number}", number, 60)
        if number % 4 == 1:
            cache.expire(f"key:{number}", 6000)
        elif number % 4 == 2:
            cache.persist(f"key:{number}")
        elif number % 4 == 3:
            cache.touch(f"key:{number}", 6)
    seen = []
    for wait in (5.999, 0.001, 53.999, 0.001, 5939.999, 0.001, 1e9):
        clock.advance(wait)
        for _ in range(500):
            cache.set("other", 1)
        seen.append(sum(cache.exists(f"key:{number}") for number in range(1000)))
    assert seen == [1000, 750, 750, 500, 500, 250, 250]


def test_a_bounded_cache_frees_expired_values_too(clock):
    cache, alive, _references = filled(max_size=MANY)
    clock.advance(60)
    for number in range(MANY):
        cache.set(f"new:{number}", number)
        if number == 3000:
            assert not alive, "long before the room is needed"
    assert len(cache) == MANY
    assert cache.get_stats()["evictions"] == 0


@pytest.mark.parametrize("scale", [0.001, 1, 60, 3600, 86_400, 86_400 * 365])
def test_entries_end_in_their_order_on_every_scale(clock, scale):
    cache = InMemoryCache()
    for number in range(1, 51):
        cache.set(f"key:{number}", number, number * scale)
    for number in range(1, 51):
        clock.advance(scale)
        assert cache.exists(f"key:{number}") is False
        assert number == 50 or cache.exists(f"key:{number + 1}") is True


def test_the_clock_of_the_machine_ends_lives_too():
    cache = InMemoryCache()
    cache.set("short", 1, 0.001)
    cache.set("long", 1, 1000)
    end = time.monotonic() + 20
    while cache.exists("short"):
        assert time.monotonic() < end
    assert cache.get("short") is None
    assert cache.get("long") == 1
