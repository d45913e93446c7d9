"""Forks, processes and many threads: nobody gets the reply that another asked for."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest
import sick
from doors import SLACK, TIMEOUT, within

from cachine import AsyncRedisCache, RedisCache
from cachine.exceptions import CacheTimeoutError

TESTS = str(Path(__file__).parents[1])
THREADS = 64

#: What every program here begins with. The cache is used before anything else happens.
HEAD = f"""
import asyncio, os, sys, threading, traceback
sys.path.append({TESTS!r})
from cachine import AsyncRedisCache, RedisCache

PORT = int(sys.argv[1])
cache = RedisCache(host="127.0.0.1", port=PORT, namespace="fork", timeout=10)
cache.set("before", [1], tags=["tag"])
assert cache.get("before") == [1]

def forked(work):
    '''The number of a child that does this and ends well, or else with code 1.'''
    number = os.fork()
    if number == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
    return number

def joined(numbers):
    for number in numbers:
        _, status = os.waitpid(number, 0)
        assert status == 0, status

def work(name, turns=50):
    '''Write and read keys that nobody else has: another's reply would show.'''
    for turn in range(turns):
        key, value = f"{{name}}:{{turn % 7}}", [name, turn]
        cache.set(key, value, 60, tags=["tag", name])
        assert cache.get(key) == value, (key, value)
        assert cache.incr(f"{{name}}:count") == turn + 1
        assert cache.get_many([key, f"no:{{name}}"]) == {{key: value}}
"""


def test_parent_and_20_children_go_on_side_by_side(run, own_redis):
    run(
        HEAD
        + """
children = []
for number in range(20):
    children.append(forked(lambda: work(f"child{number}")))
    work(f"parent{number}", 5)
work("parent")
joined(children)
assert cache.get("before") == [1]
assert cache.get("child19:count") == 50
""",
        own_redis.port,
    )


def test_a_child_of_a_child_goes_on_too(run, own_redis):
    run(
        HEAD
        + """
def child():
    work("child")
    joined([forked(lambda: work("grandchild"))])
    work("child again")

joined([forked(child)])
work("parent")
""",
        own_redis.port,
    )


def test_a_child_does_not_touch_the_connections_of_its_parent(run, own_redis):
    """Whatever a child does, and however it ends, the parent goes on with the connection it has."""
    run(
        HEAD
        + """
import gc
from servers import Raw

def connections():
    with Raw(sys.argv[2]) as raw:
        lines = raw.command("CLIENT", "LIST").decode().splitlines()
    return {line.split()[0] for line in lines if " addr=127." in line}

def ends_at_once(): pass
def uses(): work("child", 3)
def closes(): cache.close()
def collects():
    global cache
    del cache
    gc.collect()

before = connections()
assert len(before) == 1, before
for end in (ends_at_once, uses, closes, collects):
    joined([forked(end)])
    assert cache.get("before") == [1]
    assert before <= connections(), end
# A child that ends through the whole of the exit of the interpreter.
number = os.fork()
if number == 0:
    work("child exit", 3)
    sys.exit(0)
joined([number])
assert cache.get("before") == [1]
assert before <= connections()
""",
        own_redis.port,
        own_redis.socket_path,
    )


def test_a_fork_while_threads_are_inside_of_calls_harms_neither(run, own_redis):
    run(
        HEAD
        + """
done = threading.Event()
errors = []

def busy(number):
    try:
        turn = 0
        while not done.is_set():
            turn += 1
            cache.set(f"busy{number}", [number, turn])
            assert cache.get(f"busy{number}") == [number, turn]
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=busy, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for turn in range(20):
    joined([forked(lambda: work(f"child{turn}", 5))])
done.set()
for thread in threads:
    thread.join()
assert not errors, errors
work("parent")
""",
        own_redis.port,
    )


ASYNC = (
    HEAD
    + """
shared = AsyncRedisCache(host="127.0.0.1", port=PORT, namespace="fork", timeout=10)

async def works(name, turns=20):
    async def one(number):
        for turn in range(turns):
            key, value = f"{name}:{number}", [name, number, turn]
            await shared.set(key, value)
            assert await shared.get(key) == value
    await asyncio.gather(*map(one, range(20)))

def child():
    asyncio._set_running_loop(None)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(works("child"))
    loop.run_until_complete(works("child again"))
    loop.close()
"""
)


def test_an_asynchronous_cache_goes_on_in_parent_and_child(run, own_redis):
    run(
        ASYNC
        + """
asyncio.run(works("parent"))
for _ in range(5):
    number = forked(child)
    asyncio.run(works("parent"))
    joined([number])

async def main():
    # Inside of a running loop, with calls under way.
    tasks = [asyncio.ensure_future(works(f"task{number}")) for number in range(3)]
    await shared.get("before")
    number = forked(child)
    await asyncio.gather(*tasks)
    joined([number])
    await works("parent")

asyncio.run(main())
""",
        own_redis.port,
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_share_what_is_stored(run, own_redis, tmp_path, method):
    program = tmp_path / "program.py"
    program.write_text(
        HEAD
        + f"""
import multiprocessing

def one(number):
    work(f"{{os.getpid()}}:{{number}}", 10)
    assert cache.get("before") == [1]
    return cache.incr("total")

if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(4) as pool:
        assert sorted(pool.map(one, range(40))) == list(range(1, 41))
    assert cache.get("total") == 40
"""
    )
    run(program, own_redis.port)


#: As Gunicorn and uWSGI do it: made and warmed in the master, used in the workers.
PREFORK = (
    HEAD
    + """
import signal, socket
from cachine import cached

@cached(cache, ttl=60, singleflight=True)
def answer(x):
    cache.incr("computed")
    return [x]

listener = socket.create_server(("127.0.0.1", 0), backlog=64)
assert answer(0) == [0]

def serve():
    while True:
        connection, _ = listener.accept()
        with connection:
            x = int(connection.recv(100))
            number = cache.incr("requests")
            cache.set(f"request:{number}", x, 60)
            assert cache.get(f"request:{number}") == x
            connection.sendall(b"%d %d" % (number, *answer(x)))

def ask(x):
    with socket.create_connection(listener.getsockname(), 20) as connection:
        connection.sendall(b"%d" % x)
        number, x_again = map(int, connection.recv(100).split())
    assert x_again == x
    numbers.append(number)

numbers = []
workers = [forked(serve) for _ in range(4)]
try:
    for turn in range(200):
        ask(turn % 10)
        if turn % 50 == 49:
            # A worker dies and is replaced, while the master has used the cache itself.
            os.kill(workers[0], signal.SIGKILL)
            os.waitpid(workers.pop(0), 0)
            assert cache.get("requests") == turn + 1
            workers.append(forked(serve))
finally:
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
assert sorted(numbers) == list(range(1, 201))
assert cache.get("computed") == 10
"""
)


def test_a_server_that_forks_its_workers_in_advance_serves_with_one_cache(run, own_redis, tmp_path):
    program = tmp_path / "server.py"
    program.write_text(PREFORK)
    run(program, own_redis.port)


def together(body, threads=THREADS):
    """Run a body in threads that start at once; raise what one of them raised."""
    barrier, errors = threading.Barrier(threads), []

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


def own_keys(cache, number, turns=30):
    """Write and read keys that no other thread has: another's reply would show."""
    choose = random.Random(number)
    for turn in range(turns):
        key, value = f"{number}:{turn % 5}", [number, turn, "x" * choose.randrange(2000)]
        cache.set(key, value, 60)
        assert cache.get(key) == value
        assert cache.get_many([key, "none"]) == {key: value}
        assert cache.incr(f"{number}:count") == turn + 1


def test_64_threads_on_one_cache_each_read_their_own(own_redis):
    cache = RedisCache(host="127.0.0.1", port=own_redis.port, namespace="threads", timeout=10)
    with cache:
        together(lambda number: own_keys(cache, number))
        assert own_redis.clients() <= 50, "max_connections is 50 by default"


def test_64_threads_share_4_connections(own_redis):
    cache = RedisCache(
        host="127.0.0.1", port=own_redis.port, namespace="few", timeout=20, max_connections=4
    )
    done, seen = threading.Event(), []

    def watch():
        while not done.is_set():
            seen.append(own_redis.clients())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with cache:
            together(lambda number: own_keys(cache, number, 10))
    finally:
        done.set()
        watcher.join()
    assert 1 < max(seen) <= 4


def test_a_counter_of_64_threads_is_exact(own_redis):
    with RedisCache(host="127.0.0.1", port=own_redis.port, namespace="sum", timeout=20) as cache:
        given = [[] for _ in range(THREADS)]
        together(lambda number: given[number].extend(cache.incr("key") for _ in range(20)))
        assert sorted(sum(given, [])) == list(range(1, THREADS * 20 + 1))


def test_who_waits_for_a_connection_waits_no_longer_than_the_deadline():
    with sick.silent() as server:
        cache = RedisCache(host="127.0.0.1", port=server.port, timeout=TIMEOUT, max_connections=1)

        def body(number):
            with within(TIMEOUT + SLACK), pytest.raises(CacheTimeoutError):
                cache.get("key")

        with cache:
            together(body, 8)


def test_an_asynchronous_cache_works_from_the_loops_of_many_threads(own_redis):
    cache = AsyncRedisCache(host="127.0.0.1", port=own_redis.port, namespace="loops", timeout=20)

    async def task(number, other):
        for turn in range(5):
            key, value = f"{number}:{other}", [number, other, turn]
            await cache.set(key, value, 60)
            assert await cache.get(key) == value
            await cache.incr("total")

    async def tasks(number):
        await asyncio.gather(*(task(number, other) for other in range(10)))

    together(lambda number: asyncio.run(tasks(number)), 16)
    assert asyncio.run(cache.get("total")) == 16 * 10 * 5
    asyncio.run(cache.close())


def test_a_thousand_tasks_share_one_connection_and_need_no_thread(own_redis):
    async def main():
        cache = AsyncRedisCache(host="127.0.0.1", port=own_redis.port, namespace="m", timeout=20)
        before = threading.active_count()
        most = [0]

        async def task(number):
            await cache.set(str(number), [number], 60)
            most[0] = max(most[0], threading.active_count())
            assert await cache.get(str(number)) == [number]

        await asyncio.gather(*map(task, range(1000)))
        assert own_redis.clients() == 1
        assert most[0] <= before + 1, "at most one, for the name of a host"
        await cache.close()

    asyncio.run(main())
