"""Links come and go with their loops, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from cachine.exceptions import ClosedError

from .probe import Probe, sockets
from .servers import mute

LOOPS = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError as error:
    print(f"no tests with uvloop: {error}")
else:
    LOOPS["uvloop"] = uvloop.new_event_loop

HEAD = """
import asyncio, gc, logging, os, sys, threading, time, warnings
logging.disable(logging.WARNING)  # Of the loop in its debug mode, when the machine is busy.
sys.path.insert(0, {tests!r})
from redis_link.probe import Probe, sockets
port = {port}
probe = Probe(port=port)
"""


@pytest.fixture(params=list(LOOPS))
def new_loop(request):
    return LOOPS[request.param]


@pytest.fixture
def program(run, server):
    """Run a program that has a probe for the shared server."""
    tests = str(Path(__file__).parent.parent)

    def start(text, **options):
        return run(HEAD.format(tests=tests, port=server.port) + text, **options)

    return start


def test_many_runs_leave_no_socket_even_without_the_collector(program):
    assert (
        program(
            """
warnings.simplefilter("error")
sys.unraisablehook = lambda unraisable: print("unraisable", unraisable)
gc.collect()
gc.disable()

async def main():
    await probe.send("SET", "runs", "1")
    assert await asyncio.gather(*(probe.get("runs") for _ in range(5))) == [b"1"] * 5

before = sockets()
for _ in range(300):
    asyncio.run(main())
assert sockets() == before, sockets()
print("done")
"""
        )
        == "done\n"
    )


def test_a_loop_that_ends_with_calls_in_flight_leaves_nothing(server, new_loop):
    probe = Probe(port=server.port)
    gc.collect()
    before = sockets()
    for _ in range(10):
        loop = new_loop()

        async def main():
            await probe.send("PING")
            return [probe.future(probe.core._send, [b"PING"]) for _ in range(100)]

        calls = loop.run_until_complete(main())
        gone = weakref.ref(probe.links.driver(loop))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.wait(calls))
        # Answered before the end, or told that there will be no answer.
        for call in calls:
            if call.exception() is None:
                assert call.result() == 'simple-string("PONG")'
            else:
                assert isinstance(call.exception(), ConnectionError)
        loop.close()
        del calls, main
        gc.collect()
        assert gone() is None
    assert sockets() == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_closed_without_a_word_leaves_nothing(server, new_loop):
    probe = Probe(port=server.port)
    gc.collect()
    before = sockets()
    for _ in range(10):
        loop = new_loop()

        async def main():
            await probe.send("PING")
            return [probe.future(probe.core._send, [b"PING"]) for _ in range(100)]

        calls = loop.run_until_complete(main())
        gone = weakref.ref(probe.links.driver(loop))
        loop.close()
        del calls, loop, main
        gc.collect()
        assert gone() is None
    gc.collect()
    assert sockets() == before


@pytest.mark.parametrize("fate", ["used", "closed"])
def test_a_loop_that_goes_on_after_its_generators_were_shut_down_gets_new_links(server, fate):
    probe = Probe(port=server.port)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(probe.send("SET", "again", "1"))
    loop.run_until_complete(loop.shutdown_asyncgens())
    if fate == "used":
        with pytest.warns(ResourceWarning):
            assert loop.run_until_complete(probe.get("again")) == b"1"
    loop.run_until_complete(probe.links.aclose())
    loop.close()


def test_closed_links_refuse(server):
    async def main():
        probe = Probe(port=server.port)
        before = sockets()
        await probe.send("PING")
        waiting = probe.future(probe.core._send, [b"PING"])
        await probe.links.aclose()
        assert sockets() == before
        with pytest.raises(ConnectionError, match="closed"):
            await waiting
        with pytest.raises(ClosedError):
            await probe.send("PING")
        probe.links.close()

    asyncio.run(main())


def test_closing_tells_those_who_wait_at_once(server):
    async def main():
        probe = Probe(port=server.port)
        await probe.send("PING")
        waiting = probe.future(probe.core._send, [b"PING"])
        probe.links.close()
        assert isinstance(waiting.exception(), ConnectionError)

    asyncio.run(main())


def test_a_driver_that_goes_before_its_loop_leaves_no_task_behind(program):
    assert (
        program(
            """
warnings.simplefilter("error")
sys.unraisablehook = lambda unraisable: print("unraisable", unraisable)
logging.disable(logging.NOTSET)

async def main():
    driver = probe.driver()
    del driver
    gc.collect()
    assert not [known for known in probe.links._known.values() if known()]

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
del loop
gc.collect()
print("done")
"""
        )
        == "done\n"
    )


def test_closing_while_connecting_leaves_nothing(fake):
    async def main():
        server = fake(mute, greets=False)
        for turns in range(8):
            probe = Probe(port=server.port)
            before = sockets()
            waiting = probe.future(probe.core._send, [b"PING"])
            for _ in range(turns):
                await asyncio.sleep(0)
            await probe.links.aclose()
            assert sockets() <= before + 2  # Both ends are of this process, and one is the fake's.
            with pytest.raises(ConnectionError, match="closed"):
                await waiting

    before = sockets()
    asyncio.run(main())
    gc.collect()
    assert sockets() <= before + 9


def test_links_are_closed_from_another_thread(server):
    probe = Probe(port=server.port)
    gc.collect()
    before = sockets()

    async def main():
        await probe.send("PING")
        assert sockets() > before
        await asyncio.get_running_loop().run_in_executor(None, probe.links.close)
        with pytest.raises(ClosedError):
            await probe.send("PING")
        for _ in range(5):
            await asyncio.sleep(0)
        assert sockets() == before + extra

    async def base():
        nonlocal extra
        extra = sockets() - before

    extra = 0
    asyncio.run(base())
    asyncio.run(main())
    assert sockets() == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_links_of_a_closed_loop_are_closed(server):
    probe = Probe(port=server.port)
    gc.collect()
    before = sockets()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(probe.send("PING"))
    loop.close()
    assert sockets() == before + 1
    probe.links.close()
    assert sockets() == before
    gc.collect()


def test_a_cancelled_call_leaves_nothing_behind(own_server):
    server = own_server()

    async def main():
        probe = Probe(port=server.port)
        await probe.send("PING")
        server.freeze()
        calls = [probe.future(probe.core._send, [b"PING"], 5.0) for _ in range(100)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        server.freeze(False)
        assert await probe.send("PING")
        counts = probe.counts()
        assert (counts["operations"], counts["places"], counts["line"]) == (0, 0, 0)

    asyncio.run(main())


def test_a_right_that_nobody_waits_for_is_given_back(server):
    async def main():
        probe = Probe(port=server.port)
        await probe.send("DEL", "right", "back")
        take, give = [b"INCR", b"right"], [b"INCR", b"back"]
        assert await probe.future(probe.core._send_careful, take, give) == 1
        assert await probe.get("back") is None
        driver = probe.driver()
        for _ in range(10):
            probe.future(probe.core._send_careful, take, give).cancel()
        while probe.counts()["operations"]:
            await asyncio.sleep(0.001)
        assert await probe.get("right") == b"11"
        assert await probe.get("back") == b"10"
        del driver

    asyncio.run(main())


EXITS = {
    "normal": ("asyncio.run(main())", 0),
    "in flight": (
        "async def flying():\n"
        "    for _ in range(100): probe.future(probe.core._send, [b'PING'])\n"
        "asyncio.run(flying())",
        0,
    ),
    "sys.exit": ("async def leave():\n    await main(); sys.exit(7)\nasyncio.run(leave())", 7),
    "left open": (
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())\n"
        "calls = [loop.create_task(main()) for _ in range(5)]\n"
        "loop.run_until_complete(asyncio.sleep(0))",
        0,
    ),
    "daemon threads": (
        "sys.setswitchinterval(1e-5)\n"
        "ready = threading.Semaphore(0)\n"
        "async def busy():\n"
        "    await main()\n"
        "    ready.release()\n"
        "    async def forever():\n"
        "        while True: await probe.send('SET', 'exits', 'x' * 100)\n"
        "    await asyncio.gather(*(forever() for _ in range(10)))\n"
        "for _ in range(3):\n"
        "    threading.Thread(target=lambda: asyncio.run(busy()), daemon=True).start()\n"
        "for _ in range(3): assert ready.acquire(timeout=20)\n"
        "time.sleep(0.01)\n"
        "sys.exit(3)",
        3,
    ),
}


@pytest.mark.parametrize("way", list(EXITS))
def test_a_process_ends_with_the_code_it_asked_for(program, way):
    text, code = EXITS[way]
    main = """
async def main():
    await probe.send("SET", "exits", "1")
    assert await asyncio.gather(*(probe.get("exits") for _ in range(10)))
"""
    for _ in range(20 if way == "daemon threads" else 5):
        program(main + text, code=code)
