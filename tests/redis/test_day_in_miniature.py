"""A day of tagged writes with short lives, in a minute: nothing of it is left in the server."""

from __future__ import annotations

import asyncio
import threading

import pytest
from doors import eventually

from cachine import AsyncRedisCache, RedisCache

#: How many entries are written, and how many of them live at once at the most.
WRITES = 100_000
USERS = 5_000
#: The longest life of an entry, in seconds, and the most that a record outlives its entries.
LONGEST = 600
MARGIN = 60


def tags_of(number):
    """What entry N is tagged with: rarely shared, often shared, shared by all."""
    return [f"user:{number % USERS}", f"group:{number % 10}", "all"]


def ttl_of(number):
    """How long entry N lives, in seconds: 30 to the longest."""
    return 30 + number * 7919 % (LONGEST - 29)


def write_from_threads(port, numbers):
    """Write entries with a blocking cache."""
    numbers, threads, errors = list(numbers), [], []
    with RedisCache(host="127.0.0.1", port=port, namespace="day", timeout=20) as cache:

        def write(part):
            try:
                for number in part:
                    cache.set(f"entry:{number}", [number], ttl_of(number), tags=tags_of(number))
            except BaseException as error:
                errors.append(error)

        for at in range(4):
            threads.append(threading.Thread(target=write, args=(numbers[at::4],)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors, errors


def write_from_tasks(port, numbers):
    """Write entries with an asynchronous cache."""

    async def main():
        cache = AsyncRedisCache(host="127.0.0.1", port=port, namespace="day", timeout=20)
        left = iter(numbers)

        async def write():
            for number in left:
                await cache.set(f"entry:{number}", [number], ttl_of(number), tags=tags_of(number))

        await asyncio.gather(*(write() for _ in range(200)))
        await cache.close()

    asyncio.run(main())


WRITERS = pytest.mark.parametrize("write", [write_from_threads, write_from_tasks])


def memory(server):
    return server.info("used_memory")


@WRITERS
@pytest.mark.timeout(300)
def test_of_100000_tagged_entries_nothing_is_left_when_their_time_is_over(own_redis, write):
    # What a server needs for connections and scripts, it needs for the first of them.
    write(own_redis.port, range(10))
    own_redis.age(LONGEST + MARGIN)
    assert own_redis.keys() == []
    before = memory(own_redis)
    write(own_redis.port, range(WRITES))
    assert memory(own_redis) > before + WRITES * 200
    own_redis.age(LONGEST + MARGIN)
    assert own_redis.keys() == []
    # Its tables shrink step by step, on its own time.
    eventually(lambda: memory(own_redis) < before + 1_000_000, "the memory is back")


@WRITERS
@pytest.mark.timeout(300)
def test_records_of_tags_that_are_in_use_for_ever_do_not_grow(own_redis, write):
    """An entry lives 600 s at the most, its tags all day: what was noted of the dead goes too."""
    hours, each = 24, 1_000
    sizes = []
    for hour in range(hours):
        write(own_redis.port, range(hour * each, (hour + 1) * each))
        noted = sum(own_redis.command("ZCARD", key) for key in own_redis.keys("*~cachine~i:*"))
        sizes.append((own_redis.command("DBSIZE"), noted))
        own_redis.age(LONGEST / 2)
    # Within six steps every life has come to its end once: from then on it stays as it is.
    early, late = sizes[:6], sizes[6:]
    for what in (0, 1):
        assert max(size[what] for size in late) <= 1.2 * max(size[what] for size in early), sizes
    own_redis.age(LONGEST + MARGIN)
    assert own_redis.keys() == []


@WRITERS
@pytest.mark.timeout(300)
def test_what_an_invalidation_removes_frees_its_memory_at_once(own_redis, write):
    write(own_redis.port, range(10))
    own_redis.age(LONGEST + MARGIN)
    before = memory(own_redis)
    write(own_redis.port, range(10_000))
    with RedisCache(host="127.0.0.1", port=own_redis.port, namespace="day", timeout=20) as cache:
        assert cache.invalidate_tags(["all"]) == 10_000
        assert cache.invalidate_tags(["group:1"]) == 0
    entries = own_redis.keys("day:entry:*")
    assert entries == []
    own_redis.age(LONGEST + MARGIN)
    assert own_redis.keys() == []
    eventually(lambda: memory(own_redis) < before + 1_000_000, "the memory is back")
