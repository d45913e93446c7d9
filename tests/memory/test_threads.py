"""Many threads on few keys: nothing is lost, nothing is counted twice, nothing hangs."""

import itertools
import random
import sys
import threading

import pytest

from cachine import InMemoryCache
from cachine.exceptions import ClosedError

THREADS = 64
KEYS = ("a", "b", "c", "d")


@pytest.fixture(autouse=True)
def _threads_take_turns_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(body, threads=THREADS):
    """Run a body in threads that start at once; raise what one of them raised."""
    barrier = threading.Barrier(threads)
    errors = []

    def run(number):
        try:
            barrier.wait()
            body(number)
        except BaseException as error:
            errors.append(error)

    started = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]


def test_counters_of_64_threads_on_4_keys_are_exact():
    cache = InMemoryCache()

    def body(number):
        for turn in range(300):
            key = KEYS[(number + turn) % 4]
            cache.incr(key, 5)
            cache.decr(key, 2)

    together(body)
    assert [cache.get(key) for key in KEYS] == [THREADS * 75 * 3] * 4


def test_every_number_of_a_counter_is_given_to_one_thread_only():
    cache = InMemoryCache()
    given = [[] for _ in range(THREADS)]

    def body(number):
        given[number].extend(cache.incr("key") for _ in range(200))

    together(body)
    assert sorted(sum(given, [])) == list(range(1, THREADS * 200 + 1))


def test_every_entry_that_was_created_is_deleted_by_one_thread_or_still_there():
    cache = InMemoryCache()
    created, deleted = [0] * THREADS, [0] * THREADS

    def body(number):
        for turn in range(300):
            key = KEYS[turn % 4]
            if number % 2:
                deleted[number] += cache.delete(key)
            else:
                created[number] += cache.incr(key) == 1

    together(body)
    left = sum(cache.exists(key) for key in KEYS)
    assert sum(created) == sum(deleted) + left
    assert sum(deleted) > 0
    assert len(cache) == left
    assert cache.get_stats()["deletes"] == sum(deleted)


def test_reads_and_writes_and_deletes_of_64_threads_see_whole_values():
    cache = InMemoryCache(max_size=3)

    def body(number):
        choose = random.Random(number)
        for turn in range(300):
            key = choose.choice(KEYS)
            what = choose.randrange(8)
            if what < 3:
                value = cache.get(key)
                assert value is None or value == (value[0], value[0], key)
            elif what < 5:
                cache.set(key, (turn, turn, key), choose.choice([None, 1000]), tags=[key, "all"])
            elif what == 5:
                cache.delete(key)
            elif what == 6:
                cache.invalidate_tags([key])
            else:
                found = cache.get_or_set(key, lambda key=key, turn=turn: (turn, turn, key))
                assert found == (found[0], found[0], key)
            assert len(cache) <= 3

    together(body)
    stats = cache.get_stats()
    assert stats["hits"] + stats["misses"] > 0
    for key in KEYS:
        cache.set(key, 1)
        assert cache.get(key) == 1


def test_what_a_thread_stored_it_reads_at_once():
    cache = InMemoryCache(max_size=THREADS)

    def body(number):
        for turn in range(300):
            cache.set(f"mine:{number}", turn)
            assert cache.get(f"mine:{number}") == turn

    together(body)


def test_statistics_of_64_threads_are_exact():
    cache = InMemoryCache()
    cache.set("there", 1)

    def body(number):
        for _ in range(200):
            cache.get("there")
            cache.get("missing")
            cache.set(f"mine:{number}", 1)
            cache.delete(f"mine:{number}")

    together(body)
    stats = cache.get_stats()
    total = THREADS * 200
    assert [stats[name] for name in ("hits", "misses", "sets", "deletes")] == [
        total,
        total,
        total + 1,
        total,
    ]


def test_64_threads_that_miss_the_same_keys_compute_each_of_them_once():
    cache, calls = InMemoryCache(), []

    def body(number):
        for key in KEYS:
            assert cache.get_or_set(key, lambda key=key: calls.append(key) or [key]) == [key]

    together(body)
    assert sorted(calls) == list(KEYS)


def test_values_with_finalizers_are_let_go_once_each_whoever_does_it():
    cache, ended = InMemoryCache(max_size=3), []

    class Value:
        def __init__(self, number):
            self.number = number

        def __del__(self):
            ended.append(self.number)
            cache.get("a")

    def body(number):
        for turn in range(100):
            cache.set(KEYS[turn % 4], Value((number, turn)))
            cache.get(KEYS[number % 4])

    together(body)
    cache.clear(dangerously_clear_all=True)
    assert len(ended) == len(set(ended)) == THREADS * 100


def test_closing_while_64_threads_are_at_work_ends_in_the_right_error():
    cache, refused = InMemoryCache(), []

    def body(number):
        try:
            for turn in itertools.count():
                cache.set(KEYS[turn % 4], turn)
                cache.incr("counter")
                if number == 7 and turn == 50:
                    cache.close()
        except ClosedError:
            refused.append(number)

    together(body)
    assert sorted(refused) == list(range(THREADS))
    assert len(cache) == 0
