"""A store that is worked on by threads while the collector runs, the process forks, and exits.

Run as ``collector.py SECONDS``. Values that stand in a cache have finalizers, weak references
from outside with callbacks, and cycles through themselves, each other and the cache. None of
them may be finalised, cleared or found dead while it is in the cache; and when they are taken
out, each of them has to go.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
import weakref

from cachine import InMemoryCache
from cachine.strategies import LFUEviction

KEPT = 200
WORKERS = 4

#: The numbers of values that were finalised, by their own finalizers.
finalised: set[int] = set()
#: Those whose weak references were cleared.
cleared: set[int] = set()


class Value:
    """A value with a finalizer, in a cycle with itself and with the cache it stands in."""

    def __init__(self, number: int, cache: object = None) -> None:
        self.number = number
        self.cache = cache
        self.me = self

    def __del__(self) -> None:
        finalised.add(self.number)


class Store:
    """One store, with values that stay in it and threads that work beside them."""

    def __init__(self, name: str, cache: InMemoryCache) -> None:
        self.name = name
        self.cache = cache
        self.references = []
        for number in range(KEPT):
            value = Value(number, cache)
            self.references.append(weakref.ref(value, lambda _, n=number: cleared.add(n)))
            tags = ["kept", f"kept:{number}"] if number % 2 else None
            ttl = 3600 if number % 3 else None
            cache.set(f"kept:{number}", value, ttl, tags=tags)
        for number in range(0, KEPT, 2):
            one, other = cache.get(f"kept:{number}"), cache.get(f"kept:{number + 1}")
            one.other, other.other = other, one
        for _ in range(50):  # So often used that none of them is ever the least used.
            for number in range(KEPT):
                cache.touch(f"kept:{number}")

    def check(self) -> None:
        for number, reference in enumerate(self.references):
            value = self.cache.get(f"kept:{number}")
            where = f"{self.name}, value {number}"
            assert value is not None, f"{where}: lost"
            assert value is reference(), f"{where}: its weak reference was cleared"
            assert number not in finalised, f"{where}: finalised while it was cached"
            assert number not in cleared, f"{where}: declared dead while it was cached"
            assert value.__dict__.keys() == {"number", "cache", "me", "other"}, f"{where}: emptied"
            assert value.other.number == number ^ 1, f"{where}: changed"


def work(cache: InMemoryCache, seed: int, until: float) -> int:
    """Everything that changes a store, on keys of its own; how many steps it took."""
    choose = random.Random(seed)
    steps = 0
    while time.monotonic() < until:
        steps += 1
        key = f"passing:{choose.randrange(300)}"
        what = choose.randrange(10)
        if what < 4:
            tags = [f"tag:{choose.randrange(20)}"] if what % 2 else None
            value = Value(1000 + seed, cache)
            value.list = [value, weakref.ref(value)]
            cache.set(key, value, choose.choice([None, 0.001, 0.005, 60]), tags=tags)
        elif what == 4:
            cache.get(key)
        elif what == 5:
            cache.delete(key)
        elif what == 6:
            cache.expire(key, choose.choice([0.001, 0, 60]))
        elif what == 7:
            cache.invalidate_tags([f"tag:{choose.randrange(20)}"])
        elif what == 8:
            cache.add_tags(key, [f"tag:{choose.randrange(20)}"])
        else:
            cache.get_or_set(f"computed:{seed}:{choose.randrange(30)}", lambda: [key], 0.002)
    return steps


def fork(stores: list[Store]) -> None:
    """Fork while the threads are in the middle of something; the child has to work and to exit."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            gc.collect()
            for number, store in enumerate(stores):
                store.check()
                work(store.cache, 90 + number, time.monotonic() + 0.02)
                gc.collect()
                store.check()
            code = 0
        finally:
            if code or random.random() < 0.5:
                os._exit(code)  # The other half leaves through the whole of the exit.
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status}"


def main(seconds: float) -> None:
    sys.setswitchinterval(1e-5)
    stores = [
        Store("unbounded", InMemoryCache()),
        Store("bounded", InMemoryCache(max_size=KEPT + 40, eviction_policy=LFUEviction())),
    ]
    until = time.monotonic() + seconds
    steps = [0] * WORKERS

    def worker(number: int) -> None:
        steps[number] = work(stores[number % 2].cache, number, until)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    rounds = 0
    while time.monotonic() < until:
        gc.collect(rounds % 3)
        for store in stores:
            store.check()
        if rounds % 40 == 0:
            fork(stores)
        rounds += 1
    for thread in threads:
        thread.join()
    for store in stores:
        store.check()

    references = [reference for store in stores for reference in store.references]
    for store in stores:
        store.cache.clear(dangerously_clear_all=True)
    store = None
    stores.clear()  # Nothing but cycles through the values themselves is left.
    gc.collect()
    left = sum(reference() is not None for reference in references)
    assert left == 0, f"{left} values outlived their cache"
    assert finalised >= set(range(KEPT))

    # At exit threads are still at work, and a cache is still full.
    full = InMemoryCache()
    full.set("me", Value(1, full))
    for number in range(WORKERS):
        args = (full, number, float("inf"))
        threading.Thread(target=work, args=args, daemon=True).start()
    print(f"{rounds} collections, {sum(steps)} steps")


if __name__ == "__main__":
    main(float(sys.argv[1]))
