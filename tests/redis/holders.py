"""Holders of locks: threads and tasks of this process, other processes, and what the server has."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doors import PATIENCE, TIMEOUT

import cachine
from cachine import AsyncRedisCache, RedisCache, _core

__all__ = ["Foreign", "Process", "calls", "door", "key", "left", "sync"]

PACKAGE = str(Path(cachine.__file__).absolute().parent.parent)
TESTS = str(Path(__file__).parents[1])


class Sync:
    """Locks of the blocking cache."""

    cache_class = RedisCache

    def __init__(self, server):
        self.server = server
        self.made = []

    def cache(self, **options):
        options = {"namespace": "ns", "timeout": TIMEOUT, **options}
        self.made.append(self.cache_class("127.0.0.1", self.server.port, **options))
        return self.made[-1]

    def enter(self, lock):
        return lock.__enter__()

    def leave(self, lock, error=None):
        lock.__exit__(type(error) if error else None, error, None)

    def turn(self):
        time.sleep(0.002)

    def eventually(self, is_true):
        end = time.monotonic() + PATIENCE
        while not is_true():
            assert time.monotonic() < end
            self.turn()

    def close(self):
        for cache in self.made:
            cache.close()


class Async(Sync):
    """Those of the asynchronous one, with calls that block."""

    cache_class = AsyncRedisCache

    def __init__(self, server):
        super().__init__(server)
        self.loop = asyncio.new_event_loop()

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def enter(self, lock):
        return self.run(lock.__aenter__())

    def leave(self, lock, error=None):
        self.run(lock.__aexit__(type(error) if error else None, error, None))

    def turn(self):
        self.run(asyncio.sleep(0.002))

    def close(self):
        for cache in self.made:
            self.run(cache.close())
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture(params=[Sync, Async], ids=["thread", "task"])
def door(request, own_redis):
    opened = request.param(own_redis)
    yield opened
    opened.close()


@pytest.fixture
def sync(own_redis):
    opened = Sync(own_redis)
    yield opened
    opened.close()


def key(server):
    """The key of the one lock that is held; None if there is none."""
    found = [name for name in server.keys() if "~l:" in name]
    assert len(found) <= 1
    return found[0] if found else None


def left(server):
    """The milliseconds that it has left."""
    name = key(server)
    return -2 if name is None else server.command("PTTL", name)


def calls(server):
    """How many scripts the server has run."""
    text = server.command("INFO", "commandstats").decode()
    lines = [line for line in text.splitlines() if line.startswith("cmdstat_eval")]
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines)


class Foreign:
    """A holder of another process: it is in no queue of this one."""

    def __init__(self, server, name="name", ttl=30):
        self.cache = RedisCache("127.0.0.1", server.port, namespace="ns", timeout=5)
        self.locker = _core.Locker(self.cache, name, ttl)
        self.hold = _core.Hold()

    def take(self):
        """Take it; whether it was free."""
        return self.locker.lock(self.hold) is None

    def renew(self):
        return self.locker.renew(self.hold)

    def __enter__(self):
        assert self.take()
        return self

    def __exit__(self, *error):
        self.locker.unlock(self.hold)
        self.cache.close()


HOLDER = f"""
import asyncio, sys
sys.path.append({TESTS!r})
from cachine import AsyncRedisCache, RedisCache
from cachine.exceptions import CacheTimeoutError

kind, port, ttl = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def told(lock):
    print("held", lock.token, flush=True)

def woken(lock):
    print("lost" if lock.lost else "well", flush=True)

async def main():
    async with AsyncRedisCache("127.0.0.1", port, namespace="ns").lock("name", ttl) as lock:
        told(lock)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        woken(lock)

try:
    if kind == "task":
        asyncio.run(main())
    else:
        with RedisCache("127.0.0.1", port, namespace="ns").lock("name", ttl) as lock:
            told(lock)
            sys.stdin.readline()
            woken(lock)
except CacheTimeoutError as error:
    print("raised", error.operation, error.retryable, flush=True)
else:
    print("left", flush=True)
"""


class Process:
    """A process that holds the lock until it is told to leave."""

    def __init__(self, kind, server, ttl):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, kind, str(server.port), str(ttl)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": PACKAGE},
            text=True,
        )

    def __enter__(self):
        said, token = self.line().split()
        assert said == "held"
        self.token = int(token)
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(PATIENCE)

    def line(self):
        return self.process.stdout.readline().strip()

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)
