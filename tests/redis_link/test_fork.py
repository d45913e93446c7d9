"""A child process never uses a connection of its parent."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

HEAD = """
import asyncio, logging, multiprocessing, os, sys, threading, time
logging.disable(logging.WARNING)  # Of the loop in its debug mode, when the machine is busy.
sys.path.insert(0, {tests!r})
from redis_link.probe import Probe, sockets
port = {port}
probe = Probe(port=port)

def ended(pid):
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)

async def check(name):
    for number in range(20):
        await probe.send("SET", name, f"{{name}}:{{number}}")
        assert await probe.get(name) == f"{{name}}:{{number}}".encode()
"""


@pytest.fixture
def program(run, server):
    tests = str(Path(__file__).parent.parent)

    def start(text):
        return run(HEAD.format(tests=tests, port=server.port) + text)

    return start


def test_children_are_right_while_the_parents_loops_are_busy(program):
    assert (
        program(
            """
stop = threading.Event()
failures = []

def traffic(name):
    async def main():
        while not stop.is_set():
            await asyncio.gather(*(check(f"{name}:{n}") for n in range(5)))
    try:
        asyncio.run(main())
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=traffic, args=(f"parent{n}",)) for n in range(2)]
for thread in threads:
    thread.start()
codes = []
for n in range(40):
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(check(f"child{n}"))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    codes.append(ended(pid))
stop.set()
for thread in threads:
    thread.join(20)
assert codes == [0] * 40, codes
assert not failures, failures
print("done")
"""
        )
        == "done\n"
    )


INSIDE = {
    # The interpreter forgets the running loop in a child; this one says that it still runs.
    "the same loop": """
asyncio._set_running_loop(loop)
await check("inside")
assert await probe.send("CLIENT", "ID") != identity
await asyncio.sleep(0.05)
await check("inside")
""",
    "a new loop": """
asyncio.run(check("inside"))
""",
}
#: libuv itself does not go on in a child, so there is no "same loop" for it.
WAYS = [("asyncio.run", way) for way in INSIDE]
try:
    import uvloop
except ImportError as error:
    print(f"no tests with uvloop: {error}")
else:
    assert uvloop
    WAYS.append(("import uvloop; uvloop.run", "a new loop"))


@pytest.mark.parametrize(("runner", "way"), WAYS)
def test_a_child_that_is_born_inside_a_running_loop_has_its_own_connection(program, runner, way):
    assert (
        program(
            """
async def main():
    loop = asyncio.get_running_loop()
    await check("before")
    identity = await probe.send("CLIENT", "ID")
    flying = [probe.future(probe.core._send, [b"GET", b"before"]) for _ in range(20)]
    pid = os.fork()
    if pid == 0:
        try:
INSIDE
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert await asyncio.gather(*flying) == [b"before:19"] * 20
    assert await loop.run_in_executor(None, ended, pid) == 0
    # The child took nothing away from the parent.
    assert await probe.send("CLIENT", "ID") == identity
    await check("before")

RUN(main())
print("done")
""".replace("INSIDE", textwrap.indent(INSIDE[way], " " * 12)).replace("RUN", runner)
        )
        == "done\n"
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_processes_work(run, server, tmp_path, method):
    tests = str(Path(__file__).parent.parent)
    text = (
        HEAD.format(tests=tests, port=server.port)
        + f"""
def work(n):
    asyncio.run(check(f"pool{{n}}"))
    return n

if __name__ == "__main__":
    asyncio.run(check("parent"))
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        assert pool.map(work, range(8)) == list(range(8))
    asyncio.run(check("parent"))
    print("done")
"""
    )
    path = tmp_path / "pools.py"
    path.write_text(text)
    assert run(path) == "done\n"
