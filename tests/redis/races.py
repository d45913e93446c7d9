"""Orders for a worker: read and invalidate what others do too, and tell every old answer.

The truth is a file that all processes map: for each item the version that is in force, and the one
whose invalidation has returned. Whoever asks after that must not get an older version.
"""

from __future__ import annotations

import asyncio
import mmap
import random
import threading
import time

from cachine import AsyncRedisCache, RedisCache, cached


class _Truth:
    """What every answer is compared with."""

    def __init__(self, path):
        self._file = open(path, "r+b")
        # Whole numbers of 8 bytes, which are read and written at once.
        self._numbers = memoryview(mmap.mmap(self._file.fileno(), 0)).cast("q")

    def version(self, item):
        return self._numbers[2 * item]

    def invalidated(self, item):
        return self._numbers[2 * item + 1]

    def change(self, item):
        self._numbers[2 * item] += 1

    def told(self, item):
        self._numbers[2 * item + 1] = self._numbers[2 * item]


#: The ways to name the tag of an item.
TAGS = {
    "before": {"tags": lambda item: [f"item:{item}", "all"]},
    "late": {"tags_from_result": lambda result: [f"item:{result[0]}"]},
    "both": {
        "tags": lambda item: ["all"],
        "tags_from_result": lambda result: [f"item:{result[0]}"],
    },
}


class _Race:
    def __init__(self, worker, path, items, seconds, seed):
        self.truth = _Truth(path)
        self.items = items
        self.choose = random.Random(seed)
        settings = {"port": worker.port, "namespace": "ns"}
        settings.update(timeout=20, connect_timeout=20)
        self.cache = RedisCache("127.0.0.1", **settings)
        self.other = AsyncRedisCache("127.0.0.1", **settings)
        self.functions = list(self._functions(self.cache, self.load))
        self.coroutines = list(self._functions(self.other, self.load_async))
        self.seconds = seconds
        self.end = 0.0
        self.answers = 0
        self.writes = 0
        self.old = []

    def _functions(self, cache, load):
        for name, tags in TAGS.items():
            for singleflight in (True, False):
                for times in ({"ttl": 3}, {"ttl": 0.05, "stale_ttl": 5}):
                    yield cached(
                        cache,
                        key_builder=lambda item, name=name: f"{name}:{item}",
                        singleflight=singleflight,
                        **times,
                        **tags,
                    )(load)

    def takes(self):
        """How long a computation takes."""
        return self.choose.random() * self.choose.choice([0, 0.003, 0.03])

    def load(self, item):
        version = self.truth.version(item)
        time.sleep(self.takes())
        return [item, version]

    async def load_async(self, item):
        version = self.truth.version(item)
        await asyncio.sleep(self.takes())
        return [item, version]

    def compare(self, item, least, result):
        self.answers += 1
        if result[0] != item or result[1] < least:
            self.old.append([item, least, result])

    def is_over(self):
        return time.monotonic() > self.end

    def read(self):
        """Ask again and again, on a thread."""
        while not self.is_over():
            item, function = self.choose.randrange(self.items), self.choose.choice(self.functions)
            least = self.truth.invalidated(item)
            self.compare(item, least, function(item))

    async def read_async(self):
        """The same in a task, where some callers lose their patience."""
        while not self.is_over():
            item, function = self.choose.randrange(self.items), self.choose.choice(self.coroutines)
            least = self.truth.invalidated(item)
            task = asyncio.ensure_future(function(item))
            if self.choose.random() < 0.1:
                await asyncio.sleep(self.choose.random() * 0.003)
                task.cancel()
            try:
                self.compare(item, least, await task)
            except asyncio.CancelledError:
                continue

    async def read_all(self):
        await asyncio.gather(*(self.read_async() for _ in range(6)))

    def write(self, item):
        """Change an item, and tell the cache; nobody else changes this one."""
        while not self.is_over():
            time.sleep(self.choose.random() * 0.05)
            self.truth.change(item)
            self.cache.invalidate_tags([f"item:{item}"])
            self.truth.told(item)
            self.writes += 1


def run(worker, number, path, item, items, seconds):
    """Read everything, and change one item; how much was done, and what was old."""
    race = _Race(worker, path, items, seconds, item)
    race.cache.ping()
    bodies = [race.read, race.read, lambda: asyncio.run(race.read_all())]
    if item < items:
        bodies.append(lambda: race.write(item))
    troubles = []

    def guarded(body):
        try:
            body()
        except BaseException as error:
            troubles.append(repr(error))

    worker.ready(number)
    race.end = time.monotonic() + seconds
    threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"answers": race.answers, "writes": race.writes, "old": race.old, "troubles": troubles}
