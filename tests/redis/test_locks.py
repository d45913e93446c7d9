"""Locks over processes: who is killed, frozen, forked or cut off holds nobody up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doors import PATIENCE, SLACK, TIMEOUT, within
from holders import PACKAGE, Process, calls, door, key, left, sync  # noqa: F401

from cachine import _core, _lock
from cachine.exceptions import CacheConnectionError, CacheTimeoutError

TESTS = str(Path(__file__).parents[1])

kinds = pytest.mark.parametrize("kind", ["thread", "task"])


# Processes.


def test_processes_exclude_each_other(run, own_redis, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import asyncio, multiprocessing, sys
from cachine import AsyncRedisCache, RedisCache

PORT = int(sys.argv[1])

def add(cache):
    cache.set("count", cache.get("count", 0) + 1)

def threads(_):
    with RedisCache("127.0.0.1", PORT, namespace="ns", timeout=20) as cache:
        tokens = []
        for _ in range(25):
            with cache.lock("name") as lock:
                cache.set("count", cache.get("count", 0) + 1)
                tokens.append(lock.token)
        return tokens

def tasks(_):
    async def main():
        async with AsyncRedisCache("127.0.0.1", PORT, namespace="ns", timeout=20) as cache:
            tokens = []
            async def one():
                async with cache.lock("name") as lock:
                    await cache.set("count", await cache.get("count", 0) + 1)
                    tokens.append(lock.token)
            await asyncio.gather(*(one() for _ in range(25)))
            return tokens
    return asyncio.run(main())

def both(number):
    return (threads, tasks)[number % 2](number)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(both, range(4), 1)
    assert all(tokens == sorted(tokens) for tokens in found)
    assert len({token for tokens in found for token in tokens}) == 100
    with RedisCache("127.0.0.1", PORT, namespace="ns") as cache:
        assert cache.get("count") == 100, cache.get("count")
"""
    )
    run(program, own_redis.port)


@kinds
def test_the_lock_of_a_process_that_is_killed_is_free_after_its_ttl(kind, sync):
    with Process(kind, sync.server, 30) as process:
        lock = sync.cache().lock("name", timeout=PATIENCE)
        with pytest.raises(CacheTimeoutError), sync.cache().lock("name", timeout=0):
            pass
        process.process.kill()
        process.process.wait(PATIENCE)
        assert left(sync.server) > 15_000
        sync.server.command("PEXPIRE", key(sync.server), 1_000)
        rest = left(sync.server) / 1000
        with within(rest + SLACK), lock:
            assert lock.token > process.token


@kinds
def test_a_process_that_was_frozen_knows_at_once_and_harms_nobody(kind, sync):
    with Process(kind, sync.server, 0.6) as process:
        process.freeze()
        with sync.cache().lock("name", timeout=PATIENCE) as lock:
            assert lock.token > process.token
            value = sync.server.command("GET", key(sync.server))
            process.say()
            process.thaw()
            assert process.line() == "lost"
            assert process.line() == "raised lock False"
            assert process.process.wait(PATIENCE) == 0
            assert sync.server.command("GET", key(sync.server)) == value
            assert left(sync.server) > 0 and lock.lost is False


@kinds
def test_a_process_that_is_told_to_leave_leaves_nothing(kind, sync):
    with Process(kind, sync.server, 30) as process:
        process.say()
        assert [process.line(), process.line()] == ["well", "left"]
        assert key(sync.server) is None


# Renewal and loss.


@pytest.fixture
def often(monkeypatch):
    """A lock of 30 seconds is renewed every 50 ms."""
    monkeypatch.setattr(_lock, "RENEWALS", 600)


def renewed(door, times):
    """Wait until so many renewals have come to the server."""
    before = calls(door.server)
    door.eventually(lambda: calls(door.server) >= before + times)


def test_a_lock_is_renewed_at_a_third_of_its_ttl(door):
    lock, began = door.cache().lock("name", ttl=3), time.monotonic()
    door.enter(lock)
    renewed(door, 1)
    assert time.monotonic() - began >= 1
    door.eventually(lambda: left(door.server) > 2000)
    door.leave(lock)
    assert key(door.server) is None


def test_a_lock_is_renewed_as_long_as_it_is_held(door, often):
    lock = door.cache().lock("name", ttl=30)
    door.enter(lock)
    for _ in range(3):
        door.server.command("PEXPIRE", key(door.server), 20_000)
        door.eventually(lambda: left(door.server) > 29_000)
    assert lock.lost is False
    door.leave(lock)
    rest, end = calls(door.server), time.monotonic() + 0.2
    door.eventually(lambda: time.monotonic() > end)
    assert calls(door.server) == rest, "what was left is not renewed"
    assert key(door.server) is None


def test_locks_with_different_ttls_are_renewed_side_by_side(sync, monkeypatch):
    cache = sync.cache()
    with cache.lock("slow", ttl=60):
        before = calls(sync.server)
        monkeypatch.setattr(_lock, "RENEWALS", 600)
        with cache.lock("quick", ttl=30) as quick:
            sync.eventually(lambda: calls(sync.server) >= before + 6)
            assert quick.lost is False


def test_a_renewal_that_fails_is_tried_again(door, often):
    lock = door.cache(timeout=0.1).lock("name", ttl=30)
    door.enter(lock)
    since = lock._last.held.since
    door.server.freeze()
    end = time.monotonic() + 0.5
    door.eventually(lambda: time.monotonic() > end)
    door.server.thaw()
    door.eventually(lambda: lock._last.held.since > since + 500_000_000)
    assert lock.lost is False and left(door.server) > 0
    door.leave(lock)


@pytest.mark.parametrize("how", ["deleted", "flushed", "taken"])
def test_a_lock_that_the_server_lost_is_lost(door, how, often):
    lock = door.cache().lock("name", ttl=30)
    door.enter(lock)
    name = key(door.server)
    if how == "taken":
        door.server.command("SET", name, "another", "PX", 30_000)
    else:
        door.server.command(*(("DEL", name) if how == "deleted" else ("FLUSHALL",)))
    door.eventually(lambda: lock.lost)
    assert "lost" in repr(lock)
    with pytest.raises(CacheTimeoutError, match="did not have it any more") as caught:
        door.leave(lock)
    assert (caught.value.operation, caught.value.retryable) == ("lock", False)
    assert lock.lost is True
    assert (key(door.server) is not None) is (how == "taken")


def test_what_is_lost_between_two_renewals_is_told_at_the_exit(door):
    lock = door.cache().lock("name")
    door.enter(lock)
    door.server.command("FLUSHALL")
    assert lock.lost is False
    with pytest.raises(CacheTimeoutError, match="did not have it any more"):
        door.leave(lock)
    assert lock.lost is True
    door.enter(lock)
    assert lock.lost is False, "entered anew"
    door.leave(lock)


def test_a_renewal_that_came_after_the_exit_is_no_loss(door):
    lock = door.cache().lock("name")
    door.enter(lock)
    entry = lock._last
    entry.renewal.end()  # The exit begins, with a renewal on its way to the server.
    entry.held.answered(False, 0)
    door.leave(lock)
    assert lock.lost is False


def test_a_loss_does_not_hide_what_the_block_raised(door):
    lock, error = door.cache().lock("name"), KeyError("mine")
    door.enter(lock)
    door.server.command("FLUSHALL")
    door.leave(lock, error)
    assert error.__context__ is None and lock.lost is True


def test_time_alone_tells_that_it_is_lost_and_nothing_takes_that_back(door, clock):
    lock = door.cache().lock("name", ttl=30)
    door.enter(lock)
    before = calls(door.server)
    clock.advance(29.9)
    assert lock.lost is False
    clock.advance(0.2)
    assert lock.lost is True and calls(door.server) == before, "nobody was asked"
    held = lock._last.held
    assert held.begin() is None, "it is not renewed any more"
    held.answered(True, _core.now())
    assert lock.lost is True
    with pytest.raises(CacheTimeoutError, match="could not be renewed for 30.1 s"):
        door.leave(lock)
    assert key(door.server) is None


def test_tokens_grow_although_the_server_forgets(door):
    lock, tokens = door.cache().lock("name"), []
    for _ in range(3):
        door.enter(lock)
        tokens.append(lock.token)
        door.leave(lock)
        door.server.command("FLUSHALL")
    assert tokens == sorted(set(tokens))


# A server that is away.


@pytest.mark.parametrize("is_frozen", [True, False], ids=["frozen", "dead"])
@pytest.mark.parametrize("error", [None, KeyError("mine")], ids=["fine", "raised"])
def test_leaving_does_not_fail_nor_hang_without_a_server(door, is_frozen, error, lines):
    lock = door.cache().lock("name")
    door.enter(lock)
    if is_frozen:
        door.server.freeze()
    else:
        door.server.kill()
    with within(TIMEOUT + SLACK):
        door.leave(lock, error)
    (line,) = lines()
    assert "a lock was not given back in name" in line and "ends by itself within 30 s" in line
    if is_frozen:
        door.server.thaw()


@pytest.mark.parametrize("is_frozen", [True, False], ids=["frozen", "dead"])
def test_entering_raises_what_the_server_does_not_do(door, is_frozen):
    cache = door.cache()
    lock = cache.lock("name")
    if is_frozen:
        door.server.freeze()
    else:
        door.server.kill()
    for _ in range(2):
        with within(TIMEOUT + SLACK):
            with pytest.raises((CacheTimeoutError, CacheConnectionError)) as caught:
                door.enter(lock)
        assert caught.value.operation == "lock"
    if is_frozen:
        door.server.thaw()
        door.server.command("FLUSHALL")
    else:
        door.server.restart()
    door.eventually(lambda: _entered(door, cache))


def _entered(door, cache):
    lock = cache.lock("name", timeout=0)
    try:
        door.enter(lock)
    except (CacheConnectionError, CacheTimeoutError):
        return False
    door.leave(lock)
    return True


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_ends_a_thread_does_not_wait_for_a_frozen_server(door, error):
    lock = door.cache(timeout=PATIENCE).lock("name")
    door.enter(lock)
    door.server.freeze()
    with within(SLACK):
        door.leave(lock, error)
    door.server.thaw()
    door.eventually(lambda: key(door.server) is None)


# Exits.

EXITS = """
import os, signal, sys
from cachine import RedisCache, cached

cache = RedisCache("127.0.0.1", int(sys.argv[1]), namespace="ns", timeout=5)

def leave():
    {leave}

@cached(cache, ttl=60, singleflight=True)
def computed():
    leave()

if {is_lock}:
    with cache.lock("name"):
        leave()
else:
    computed()
"""


@pytest.mark.parametrize("is_lock", [True, False], ids=["lock", "computation"])
@pytest.mark.parametrize(
    "leave",
    [
        "sys.exit(0)",
        "raise KeyboardInterrupt",
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); os.kill(os.getpid(), 15)",
        "os.kill(os.getpid(), signal.SIGINT)",
    ],
    ids=["exit", "interrupt", "sigterm", "sigint"],
)
def test_a_process_that_ends_leaves_nothing_to_wait_for(own_redis, leave, is_lock):
    program = EXITS.format(leave=leave, is_lock=is_lock)
    for _ in range(3):
        subprocess.run(
            [sys.executable, "-c", program, str(own_redis.port)],
            env={**os.environ, "PYTHONPATH": PACKAGE},
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        assert not [name for name in own_redis.keys() if "~l:" in name or "~t:" in name]


# Forks.

FORK = f"""
import asyncio, os, sys, time, traceback
sys.path.append({TESTS!r})
from cachine import AsyncRedisCache, RedisCache
from cachine.exceptions import CacheTimeoutError
from servers import Raw

PORT = int(sys.argv[1])

def keys():
    with Raw(("127.0.0.1", PORT)) as raw:
        return [key for key in raw.command("KEYS", "*") if b"~l:" in key]

def forked(child):
    number = os.fork()
    if number == 0:
        code = 1
        try:
            child()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(number, 0)
    assert status == 0, status
"""


def test_a_child_holds_nothing_and_touches_nothing(run, own_redis):
    run(
        FORK
        + """
cache = RedisCache("127.0.0.1", PORT, namespace="ns", timeout=5)
lock = cache.lock("name")

def child():
    assert lock.lost is True
    try:
        lock.__exit__(None, None, None)
    except CacheTimeoutError as error:
        assert "forked" in str(error)
    else:
        raise SystemExit("it did not say that it was lost")
    assert keys(), "that of the parent"
    try:
        with cache.lock("name", timeout=0.05):
            raise SystemExit("the parent holds it")
    except CacheTimeoutError:
        pass
    with cache.lock("other"):
        pass

def raising():
    error = KeyError("mine")
    assert lock.__exit__(KeyError, error, None) is None
    assert keys()

for _ in range(3):
    with lock:
        forked(child)
        forked(raising)
        assert lock.lost is False and keys()
    assert not keys()

def waiting():
    with cache.lock("name", timeout=20) as mine:
        assert mine.lost is False

# The parent leaves while the child waits for it.
with lock:
    number = os.fork()
    if number == 0:
        code = 1
        try:
            waiting()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
_, status = os.waitpid(number, 0)
assert status == 0, status
""",
        own_redis.port,
    )


def test_a_child_of_a_task_does_not_renew_what_its_parent_holds(run, own_redis):
    run(
        FORK
        + """
cache = AsyncRedisCache("127.0.0.1", PORT, namespace="ns", timeout=5)

async def main():
    lock = cache.lock("name")
    async with lock:
        number = os.fork()
        if number == 0:
            # The timers of this loop are still there.
            code = 1
            try:
                assert lock.lost is True
                assert lock._last.held.begin() is None
                try:
                    await lock.__aexit__(None, None, None)
                except CacheTimeoutError as error:
                    code = 0 if "forked" in str(error) else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(number, 0)
        assert status == 0, status
        assert keys() and lock.lost is False
    assert not keys()
    await cache.close()

asyncio.run(main())
""",
        own_redis.port,
    )
