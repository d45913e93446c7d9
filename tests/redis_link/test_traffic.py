"""Every reply reaches the call that it belongs to."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest

from .probe import Probe, sockets, threads

LOOPS = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError as error:
    print(f"no tests with uvloop: {error}")
else:
    LOOPS["uvloop"] = uvloop.new_event_loop


@pytest.fixture(params=list(LOOPS))
def run_on(request):
    """Run a coroutine as `asyncio.run` does, on a loop of either kind."""

    def run(main):
        loop = LOOPS[request.param]()
        try:
            return loop.run_until_complete(main)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    run.kind = request.param
    return run


def test_commands_get_their_replies(server, run_on):
    async def main():
        probe = Probe(port=server.port)
        assert await probe.send("SET", "basic", b"\x00\xff") == b"OK"
        assert await probe.get("basic") == b"\x00\xff"
        assert await probe.get("basic:none") is None
        await probe.send("DEL", "basic:n")
        assert await probe.many("INCR", "basic:n", count=3) == [1, 2, 3]
        with pytest.raises(Exception, match="wrong number of arguments|unknown command"):
            await probe.send("GET")
        assert await probe.get("basic") == b"\x00\xff"

    run_on(main())


def test_no_reply_is_mixed_up_under_random_timeouts_and_cancellations(server, run_on):
    total = 100_000 if run_on.kind == "asyncio" else 20_000
    right = ended = 0

    async def main():
        nonlocal right, ended
        probe = Probe(port=server.port)
        keys = [f"mix:{number}" for number in range(500)]
        for key in keys:
            await probe.send("SET", key, key * 3)
        chance = random.Random(7)

        async def one():
            nonlocal right, ended
            key = chance.choice(keys)
            timeout = 1.0 if chance.random() < 0.5 else chance.uniform(0.00005, 0.003)
            task = probe.future(probe.core._send, [b"GET", key.encode()], timeout)
            try:
                if chance.random() < 0.3:
                    value = await asyncio.wait_for(task, chance.uniform(0, 0.002))
                else:
                    value = await task
            except (TimeoutError, asyncio.TimeoutError):
                ended += 1
            except asyncio.CancelledError:
                ended += 1
            else:
                assert value == key.encode() * 3
                right += 1

        async def worker(count):
            for _ in range(count):
                await one()

        await asyncio.gather(*(worker(total // 100) for _ in range(100)))
        assert right > total // 4
        assert ended > total // 50
        assert right + ended == total
        # Whatever was cancelled has left nothing behind.
        assert await probe.get("mix:1") == b"mix:1" * 3
        counts = probe.counts()
        assert (counts["operations"], counts["places"], counts["line"]) == (0, 0, 0)

    run_on(main())


def test_large_values_come_whole(server, run_on):
    async def main():
        probe = Probe(port=server.port)
        values = {f"large:{n}": bytes([n]) * (3 << 20) for n in range(3)}
        await asyncio.gather(*(probe.send("SET", k, v, timeout=20) for k, v in values.items()))
        found = await asyncio.gather(*(probe.get(k, 20) for k in values))
        assert found == list(values.values())

    run_on(main())


def test_a_thousand_concurrent_calls_add_no_thread(server, run_on):
    async def main():
        probe = Probe(port=server.port)
        await probe.send("SET", "thousand", "x")
        before, open_before = threads(), sockets()
        futures = [probe.future(probe.core._send, [b"GET", b"thousand"]) for _ in range(1000)]
        assert (threads(), sockets()) == (before, open_before)
        assert await asyncio.gather(*futures) == [b"x"] * 1000
        assert threads() == before

    run_on(main())


def test_calls_that_find_no_connection_share_a_new_one(server):
    async def main():
        probe = Probe(port=server.port)
        before = sockets()
        await asyncio.gather(*(probe.send("PING") for _ in range(100)))
        assert sockets() == before + 1

    asyncio.run(main())


def test_a_socket_in_the_file_system_works_as_well(server):
    async def main():
        probe = Probe(path=server.path)
        assert await probe.send("SET", "unix", "1") == b"OK"
        assert await probe.get("unix") == b"1"

    asyncio.run(main())


def test_a_killed_connection_is_replaced_by_the_next_call(server):
    async def main():
        probe = Probe(port=server.port)
        for _ in range(20):
            name = await probe.send("CLIENT", "ID")
            killer = Probe(port=server.port)
            await killer.send("CLIENT", "KILL", "ID", name)
            for _ in range(3):
                try:
                    assert await probe.send("SET", "killed", "1") == b"OK"
                    break
                except ConnectionError:
                    continue
            else:
                pytest.fail("no new connection")

    asyncio.run(main())


def test_a_panic_is_an_exception_of_the_call_alone(server, capfd):
    async def main():
        probe = Probe(port=server.port)
        with pytest.raises(RuntimeError, match="panicked"):
            await probe.future(probe.core._panic)
        assert await probe.send("SET", "panic", "1") == b"OK"

    asyncio.run(main())
    assert "as the test asked for" in capfd.readouterr().err


def test_another_thread_can_wake_an_operation(server, run_on):
    async def main():
        probe = Probe(port=server.port)
        driver = probe.driver()  # As the frame of every public method holds it while it waits.
        for _ in range(200):
            await asyncio.wait_for(probe.future(probe.core._ring), 10)
        del driver

    run_on(main())


def test_sleeping_ends_on_time_and_when_the_links_are_closed(server):
    async def main():
        probe = Probe(port=server.port)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.gather(*(probe.future(probe.core._sleep, 0.05) for _ in range(10)))
        assert 0.049 < loop.time() - begun < 0.5
        waiting = probe.future(probe.core._sleep, 1000.0)
        probe.links.close()
        with pytest.raises(Exception, match="closed"):
            await asyncio.wait_for(waiting, 10)

    asyncio.run(main())


def test_a_burst_leaves_no_memory_behind(run, server):
    program = """
import asyncio, ctypes, gc, sys
sys.path.insert(0, {tests!r})
from redis_link.probe import Probe

def resident():
    with open("/proc/self/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Rss")) * 1024

async def main():
    probe = Probe(port={port})
    await probe.send("SET", "burst", b"x" * 10240)
    before = resident()
    value = b"x" * 10240
    futures = [probe.future(probe.core._send, [b"SET", b"burst", value], 40.0) for _ in range(10000)]
    await asyncio.gather(*futures)
    del futures
    # A tick lets go of the tables.
    for _ in range(3):
        await probe.future(probe.core._sleep, 0.01)
    gc.collect()
    counts = probe.counts()
    assert counts["capacity"] <= 64, counts
    # What is free in the allocator of the system is not ours any more, if it keeps it all the same.
    ctypes.CDLL(None).malloc_trim(0)
    left = resident() - before
    assert left < 20e6, left

asyncio.run(main())
"""
    run(program.format(tests=str(Path(__file__).parent.parent), port=server.port))


def test_several_loops_in_turn_and_in_threads_have_links_of_their_own(server):
    probe = Probe(port=server.port)

    async def traffic(name):
        for number in range(50):
            await probe.send("SET", f"loops:{name}", number)
            assert await probe.get(f"loops:{name}") == str(number).encode()

    failures = []

    def thread(name):
        try:
            for _ in range(5):
                asyncio.run(traffic(name))
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=thread, args=(n,)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(50)
    assert not failures
    one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
    for _ in range(20):
        one.run_until_complete(probe.send("PING"))
        two.run_until_complete(probe.send("PING"))
    for loop in (one, two):
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
