"""What a hit costs, beside ``dict.get``, ``functools.lru_cache`` and the nearest peers.

Every row is a ratio to its baseline, timed in the same process in turns: the machine may be slow
or busy, the ratio is not. Run it with ``cargo x bench``.
"""

from __future__ import annotations

import asyncio
import functools
import platform
import statistics
import timeit
from time import perf_counter_ns

import cachebox
import cachetools
from cachetools.func import ttl_cache

from cachine import InMemoryCache, cached
from cachine.strategies import LRUEviction

CALLS = 100_000
ROUNDS = 11
ENTRIES = 1_000


def measure(rows: dict[str, str], names: dict[str, object]) -> dict[str, float]:
    """Median nanoseconds of each statement, the statements taking turns."""
    timers = {title: timeit.Timer(code, globals=names) for title, code in rows.items()}
    times: dict[str, list[float]] = {title: [] for title in rows}
    for _ in range(ROUNDS):
        for title, timer in timers.items():
            times[title].append(timer.timeit(CALLS) / CALLS * 1e9)
    return {title: statistics.median(each) for title, each in times.items()}


def show(title: str, times: dict[str, float], baseline: str) -> None:
    """Print a table of ratios."""
    print(f"\n{title}")
    for row, time in times.items():
        print(f"  {row:<44}{time:8.1f} ns{time / times[baseline]:8.2f}")


def operations() -> None:
    """``get`` and ``set`` of a key among a thousand."""
    plain = {f"key{number}": number for number in range(ENTRIES)}
    caches = {
        "cache": InMemoryCache(),
        "timed": InMemoryCache(),
        "bounded": InMemoryCache(max_size=2 * ENTRIES, eviction_policy=LRUEviction()),
        "box": cachebox.LRUCache(2 * ENTRIES),
        "boxed": cachebox.VTTLCache(2 * ENTRIES),
        "tools": cachetools.LRUCache(2 * ENTRIES),
        "tooled": cachetools.TTLCache(2 * ENTRIES, 600),
    }
    for key, value in plain.items():
        for name in ("cache", "bounded"):
            caches[name].set(key, value)
        caches["timed"].set(key, value, ttl=600)
        caches["boxed"].insert(key, value, 600)
        for name in ("box", "tools", "tooled"):
            caches[name][key] = value
    names = {"plain": plain, "key": "key500", **caches}
    gets = {
        "dict": "plain.get(key)",
        "cachine": "cache.get(key)",
        "cachine, with ttl": "timed.get(key)",
        "cachine, LRU bound": "bounded.get(key)",
        "cachebox LRU": "box.get(key)",
        "cachebox, with ttl": "boxed.get(key)",
        "cachetools LRU (no lock)": "tools.get(key)",
        "cachetools TTL (no lock)": "tooled.get(key)",
    }
    show("get, a hit; ratio to dict.get", measure(gets, names), "dict")
    sets = {
        "dict": "plain[key] = 1",
        "cachine": "cache.set(key, 1)",
        "cachine, with ttl": "timed.set(key, 1, 600)",
        "cachine, LRU bound": "bounded.set(key, 1)",
        "cachebox LRU": "box.insert(key, 1)",
        "cachebox, with ttl": "boxed.insert(key, 1, 600)",
        "cachetools LRU (no lock)": "tools[key] = 1",
        "cachetools TTL (no lock)": "tooled[key] = 1",
    }
    show("set, overwriting; ratio to a dict", measure(sets, names), "dict")


def decorated() -> None:
    """A hit of a decorated function, with ttl and stampede protection where there is any."""
    keep = cached(InMemoryCache(), ttl=600, singleflight=True)
    box = cachebox.cached(cachebox.VTTLCache(1_000, ttl=600))

    class Methods:
        @functools.lru_cache(maxsize=None)  # noqa: B019
        def lru(self, x: int) -> int:
            return x

        @keep
        def ours(self, x: int) -> int:
            return x

    def one(x: object) -> object:
        return x

    def two(a: object, b: object) -> object:
        return a

    names = {
        "lru1": functools.lru_cache(maxsize=None)(one),
        "lru2": functools.lru_cache(maxsize=None)(two),
        "ours1": keep(one),
        "ours2": keep(two),
        "box1": box(one),
        "box2": cachebox.cached(cachebox.VTTLCache(1_000, ttl=600))(two),
        "tools1": ttl_cache(maxsize=1_000, ttl=600)(one),
        "tools2": ttl_cache(maxsize=1_000, ttl=600)(two),
        "it": Methods(),
    }
    for title, arguments, suffix in (
        ("one str", "'abc'", "1"),
        ("one int", "1234", "1"),
        ("int and str", "1, 'b'", "2"),
        ("by keyword", "a=1, b=2", "2"),
    ):
        rows = {
            "functools.lru_cache (no ttl)": f"lru{suffix}({arguments})",
            "cachine, ttl and singleflight": f"ours{suffix}({arguments})",
            "cachebox, ttl": f"box{suffix}({arguments})",
            "cachetools ttl_cache": f"tools{suffix}({arguments})",
        }
        baseline = "functools.lru_cache (no ttl)"
        show(f"a decorated hit, {title}; ratio to lru_cache", measure(rows, names), baseline)
    rows = {"functools.lru_cache (keeps self alive)": "it.lru(1)", "cachine": "it.ours(1)"}
    show("a method, one int", measure(rows, names), "functools.lru_cache (keeps self alive)")


def awaited() -> None:
    """An awaited hit, beside a hit of ``lru_cache`` that is not awaited."""

    @cached(InMemoryCache(), ttl=600, singleflight=True)
    async def ours(x: int) -> int:
        return x

    async def nothing(x: int) -> int:
        return x

    lru = functools.lru_cache(maxsize=None)(lambda x: x)

    async def run() -> dict[str, float]:
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            start = perf_counter_ns()
            for _ in range(CALLS):
                lru(12)
            times.setdefault("functools.lru_cache (not awaited)", []).append(
                perf_counter_ns() - start
            )
            for title, function in (("await an empty coroutine", nothing), ("cachine", ours)):
                start = perf_counter_ns()
                for _ in range(CALLS):
                    await function(12)
                times.setdefault(title, []).append(perf_counter_ns() - start)
        return {title: statistics.median(each) / CALLS for title, each in times.items()}

    show("an awaited hit, one int", asyncio.run(run()), "functools.lru_cache (not awaited)")


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, medians of {ROUNDS} rounds of {CALLS:,} calls")
    operations()
    decorated()
    awaited()
