"""The threads that refresh: few, with a bounded queue, and never waiting for each other for ever."""

from __future__ import annotations

import threading

from cachine import InMemoryCache, _refresh, cached

from .crowd import Aside, Gate, eventually
from .test_refresh import Refreshed


def test_at_most_eight_threads_refresh_and_the_queue_is_bounded(clock):
    gate = Gate()
    lock = threading.Lock()
    names = set()
    running = [0]
    most = [0]
    ready = threading.Event()

    @cached(InMemoryCache(), ttl=10, stale_ttl=10_000)
    def f(x):
        if ready.is_set():
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
                names.add(threading.current_thread().name)
            gate.passing()
            with lock:
                running[0] -= 1
        return x

    count = _refresh.THREADS + _refresh.WAITING + 50
    assert [f(x) for x in range(count)] == list(range(count))
    clock.advance(10)
    ready.set()
    before = threading.active_count()
    assert [f(x) for x in range(count)] == list(range(count)), "stale, every one, and at once"
    eventually(lambda: running[0] == _refresh.THREADS)
    assert threading.active_count() - before <= _refresh.THREADS
    assert len(_refresh._pool.jobs) == _refresh.WAITING
    gate.open()
    eventually(Refreshed.is_idle)
    assert most[0] == _refresh.THREADS
    assert all(name.startswith("cachine-refresh") for name in names)


def test_refreshes_that_wait_for_refreshes_do_not_starve_each_other(clock):
    cache = InMemoryCache()
    ready = threading.Event()
    gate = Gate()

    @cached(cache, ttl=10, stale_ttl=20, singleflight=True)
    def inner():
        return "inner"

    @cached(cache, ttl=10, stale_ttl=10_000)
    def outer(x):
        if ready.is_set():
            gate.passing()
            return inner()
        return "old"

    count = _refresh.THREADS
    inner()
    assert [outer(x) for x in range(count)] == ["old"] * count
    clock.advance(10)
    ready.set()
    assert [outer(x) for x in range(count)] == ["old"] * count
    eventually(lambda: gate.visits == count)
    assert inner() == "inner", "its refresh waits for a thread: all are taken"
    assert len(_refresh._pool.jobs) == 1
    clock.advance(10)
    # Now it is gone. Whoever asks must not wait for a thread that waits for the answer.
    gate.open()
    assert Aside(inner).result() == "inner"
    eventually(lambda: [outer(x) for x in range(count)] == ["inner"] * count)
