"""A Rust and a Python program on one server: one computation, one lock, the same entries."""

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cachine import RedisCache
from cachine.serializers import JSONSerializer

ROOT = Path(__file__).parents[2]


class Peer:
    """The program of Rust, which does what it is told, line by line."""

    def __init__(self, program, port):
        self.process = subprocess.Popen(
            [program, f"redis://127.0.0.1:{port}", "ns"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def end(self):
        return self.process.stdout.readline().strip()

    def do(self, *words):
        self.begin(*words)
        return self.end()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()


@pytest.fixture(scope="session")
def program():
    """The path of the program, which cargo builds: what is up to date takes no time."""
    build = subprocess.run(
        ["cargo", "build", "--package", "cachine", "--example", "peer", "--all-features"]
        + ["--message-format", "json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    told = [json.loads(line) for line in build.stdout.splitlines()]
    return [each["executable"] for each in told if each.get("executable")][-1]


@pytest.fixture
def peer(program, redis_server):
    redis_server.command("FLUSHALL")
    peer = Peer(program, redis_server.port)
    yield peer
    peer.close()


@pytest.fixture
def cache(redis_server):
    with RedisCache(
        "127.0.0.1", redis_server.port, namespace="ns", timeout=10, serializer=JSONSerializer()
    ) as cache:
        yield cache


def in_thread(act, *args):
    """Begin something on a thread; what it came to, once that is asked for."""
    pool = ThreadPoolExecutor(1)
    began = pool.submit(act, *args)
    pool.shutdown(wait=False)
    return began.result


def awaited(server, command="set"):
    """Wait until some process waits for another one: until it has asked again a few times."""

    def asked():
        told = server.command("INFO", "commandstats").decode()
        return int(told.partition(f"cmdstat_{command}:calls=")[2].partition(",")[0] or 0)

    first, end = asked(), time.monotonic() + 20
    while asked() < first + 3:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_each_reads_what_the_other_writes(peer, cache):
    assert peer.do("set", "k", "rust", "t") == "done"
    assert cache.get("k") == "rust"
    cache.set("l", "python", tags=["t"])
    assert peer.do("get", "l") == "python"
    assert [peer.do("incr", "n"), cache.incr("n"), peer.do("incr", "n")] == ["1", 2, "3"]
    assert cache.invalidate_tags(["t"]) == 2
    assert peer.do("get", "k") == peer.do("get", "l") == "nothing"
    cache.set("m", "python", tags=["t"])
    peer.do("set", "o", "rust", "t")
    assert peer.do("invalidate", "t") == "2"
    assert cache.get_many(["m", "o"]) == {}


def test_python_waits_for_what_rust_computes(peer, cache, redis_server):
    assert peer.do("compute", "k", "rust", "t") == "computing"
    there = in_thread(cache.get_or_set, "k", lambda: pytest.fail("computed twice"))
    awaited(redis_server)
    assert peer.do("go") == "rust"
    assert there() == "rust"


def test_rust_waits_for_what_python_computes(peer, cache, redis_server):
    begun, go = threading.Event(), threading.Event()

    def load():
        begun.set()
        go.wait()
        return "python"

    here = in_thread(cache.get_or_set, "k", load)
    begun.wait()
    peer.begin("compute", "k", "rust")
    awaited(redis_server)
    go.set()
    assert peer.end() == "python"
    assert here() == "python"


def test_what_is_not_stored_is_told_to_the_other(peer, cache, redis_server):
    begun, go = threading.Event(), threading.Event()

    def load():
        begun.set()
        go.wait()
        raise LookupError("no source")

    here = in_thread(cache.get_or_set, "k", load)
    begun.wait()
    peer.begin("compute", "k", "rust")
    awaited(redis_server)
    go.set()
    assert peer.end() == "computing", "what failed there it computes itself"
    with pytest.raises(LookupError):
        here()
    assert peer.do("go") == "rust"
    assert cache.get("k") == "rust"


def test_an_invalidation_of_one_fences_the_computation_of_the_other(peer, cache):
    assert peer.do("compute", "k", "old", "t") == "computing"
    assert cache.invalidate_tags(["t"]) == 0
    assert peer.do("go") == "old"
    assert cache.get("k") is None
    assert cache.get_or_set("k", lambda: "new", tags=["t"]) == "new"

    def load():
        assert peer.do("invalidate", "t") == "1"
        return "old"

    cache.invalidate_tags(["t"])
    cache.set("other", 1, tags=["t"])
    assert cache.get_or_set("k", load, tags=["t"]) == "old"
    assert peer.do("get", "k") == "nothing"


def test_each_takes_the_lock_from_the_other(peer, cache, redis_server):
    assert peer.do("lock", "l", "10000") == "computing"
    with pytest.raises(TimeoutError):
        with cache.lock("l", timeout=0):
            pass
    here = in_thread(_hold, cache)
    awaited(redis_server, "evalsha")
    assert peer.do("go") == "released"
    first = here()
    with cache.lock("l") as lock:
        assert lock.token > first
        assert peer.do("lock", "l", "0") == "taken"
    assert peer.do("lock", "l", "10000") == "computing"
    assert peer.do("go") == "released"


def _hold(cache):
    with cache.lock("l") as lock:
        return lock.token
