"""What an operation on Redis costs, beside the clients that people use.

Every row is a ratio to redis-py (or redis.asyncio), timed in the same process in turns, over one
server that this program starts. ``--one-core`` ties the server and this program to one core, where
nothing but work counts; without it the wake-ups between cores count too. Run it with
``cargo x bench``.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import sys
import threading
from pathlib import Path
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import redis
import redis.asyncio
from servers import Server

from cachine import AsyncRedisCache, RedisCache

ROUNDS = 9
CALLS = 400
SMALL, LARGE = "x" * 98, "x" * 10_238
KEYS = [f"many:{number}" for number in range(100)]


class Raw:
    """A bare socket: what no client can be faster than."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, command: bytes, length: int) -> None:
        self.socket.sendall(command)
        left = length
        while left > 0:
            left -= len(self.socket.recv(65536))


def taken(body, calls: int = CALLS) -> tuple[float, float]:
    """Microseconds of wall clock and of this process's CPU for each call."""
    cpu, wall = process_time(), perf_counter()
    body(calls)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    return wall / calls * 1e6, cpu / calls * 1e6


def show(title: str, rows: dict[str, object], baseline: str, calls: int = CALLS) -> None:
    """Print medians, and ratios to the baseline."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, body in rows.items():
            times[name].append(taken(body, calls))
    wall = {name: statistics.median(each[0] for each in all_) for name, all_ in times.items()}
    cpu = {name: statistics.median(each[1] for each in all_) for name, all_ in times.items()}
    print(f"\n{title}")
    for name in rows:
        faster, lighter = wall[baseline] / wall[name], cpu[baseline] / max(cpu[name], 1e-9)
        print(
            f"  {name:<24}{wall[name]:9.1f} us{faster:8.2f} x   CPU {cpu[name]:8.1f} us{lighter:8.2f} x"
        )


def repeated(call):
    """A body that makes a call again and again."""

    def body(calls: int) -> None:
        for _ in range(calls):
            call()

    return body


def threaded(call, threads: int = 8):
    """The same from several threads at once."""

    def body(calls: int) -> None:
        each = calls // threads
        workers = [threading.Thread(target=repeated(call), args=(each,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return body


def synchronous(port: int) -> None:
    """For threads."""
    cache = RedisCache("127.0.0.1", port, timeout=20)
    client = redis.Redis("127.0.0.1", port)
    raw = Raw(port)
    cache.set("small", SMALL)
    cache.set("large", LARGE)
    cache.set_many(dict.fromkeys(KEYS, SMALL))
    command = b"*2\r\n$3\r\nGET\r\n$5\r\nsmall\r\n"
    show(
        "GET 100 B",
        {
            "redis-py": repeated(lambda: client.get("small")),
            "cachine": repeated(lambda: cache.get("small")),
            "a raw Python socket": repeated(lambda: raw.get(command, 108)),
        },
        "redis-py",
    )
    show(
        "SET 100 B",
        {
            "redis-py": repeated(lambda: client.set("s", SMALL, px=60_000)),
            "cachine": repeated(lambda: cache.set("s", SMALL, 60)),
        },
        "redis-py",
    )
    show(
        "GET 10 KB",
        {
            "redis-py": repeated(lambda: client.get("large")),
            "cachine": repeated(lambda: cache.get("large")),
        },
        "redis-py",
    )
    show(
        "SET 10 KB",
        {
            "redis-py": repeated(lambda: client.set("s", LARGE, px=60_000)),
            "cachine": repeated(lambda: cache.set("s", LARGE, 60)),
        },
        "redis-py",
    )
    show(
        "MGET of 100",
        {
            "redis-py": repeated(lambda: client.mget(KEYS)),
            "cachine": repeated(lambda: cache.get_many(KEYS)),
        },
        "redis-py",
        100,
    )
    show(
        "GET 100 B, 8 threads",
        {
            "redis-py": threaded(lambda: client.get("small")),
            "cachine": threaded(lambda: cache.get("small")),
        },
        "redis-py",
        1600,
    )
    cache.close()


def asynchronous(port: int) -> None:
    """For tasks."""
    loop = asyncio.new_event_loop()
    cache = AsyncRedisCache("127.0.0.1", port, timeout=20)
    client = redis.asyncio.Redis(host="127.0.0.1", port=port)

    def tasks(call, count: int):
        async def one(calls: int) -> None:
            for _ in range(calls):
                await call("small")

        async def all_(calls: int) -> None:
            await asyncio.gather(*(one(calls // count) for _ in range(count)))

        return lambda calls: loop.run_until_complete(all_(calls))

    rows = {"redis.asyncio": client.get, "cachine": cache.get}
    rows.update(glides(loop, port))
    for count, calls in ((1, CALLS), (100, 4000)):
        title = f"GET 100 B, {count} task{'s' if count > 1 else ''}"
        show(title, {name: tasks(call, count) for name, call in rows.items()}, "redis.asyncio", calls)
    loop.run_until_complete(cache.close())
    loop.run_until_complete(client.aclose())
    loop.close()


def glides(loop: asyncio.AbstractEventLoop, port: int) -> dict[str, object]:
    """valkey-glide, where its wheel can be had."""
    try:
        from glide import GlideClient, GlideClientConfiguration, NodeAddress
    except ImportError:
        print("valkey-glide is not here: no row of it")
        return {}
    configuration = GlideClientConfiguration([NodeAddress("127.0.0.1", port)], request_timeout=20_000)
    client = loop.run_until_complete(GlideClient.create(configuration))
    return {"valkey-glide": client.get}


def main() -> None:
    """Measure everything."""
    if "--one-core" in sys.argv[1:]:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with Server() as server:
        synchronous(server.port)
        asynchronous(server.port)


if __name__ == "__main__":
    main()
