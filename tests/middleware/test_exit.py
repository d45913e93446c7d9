"""The process ends with code 0 while daemon threads are inside of serializers and steps.

The danger is in how the extension was optimized, so these run on the published build too.
"""

import pytest

AT_WORK = """
import enum, sys, threading, time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from cachine import InMemoryCache, _core, cached
from cachine.middleware import CompressionMiddleware, EncryptionMiddleware
from cachine.serializers import ExactSerializer

sys.setswitchinterval(1e-6)
clock = _core.FakeClock()
clock.install()
steps = 0

class Slow:
    slow = True
    def dumps(self, value):
        for _ in range(300 if self.slow else 0):
            time.sleep(.0001)
        return b'"x"'
    def loads(self, data):
        return self.dumps(None)

@dataclass(frozen=True)
class Point:
    x: int

class Colour(enum.Enum):
    RED = 1

exact = ExactSerializer()
exact.register(Point)
exact.register(Colour)
base = InMemoryCache(serializer=exact)
cache = EncryptionMiddleware(CompressionMiddleware(base, algorithm="lz4"), key="x" * 20)
slow = InMemoryCache(serializer=Slow())

def forever():
    global steps
    while True:
        steps += 1
        work()

def start():
    for _ in range(4):
        threading.Thread(target=forever, daemon=True).start()
    while steps < 12:  # All are in the midst of it, and not for the first time.
        time.sleep(0)
"""

WORK = {
    "paths are read": """
cache.set("key", [PurePosixPath(f"/a/{number}") for number in range(2000)])
work = lambda: cache.get("key")
start()
""",
    "fractions are written": """
value = [Fraction(number, 7) for number in range(2000)]
work = lambda: cache.set("key", value)
start()
""",
    "keys have hashes of their own": """
cache.set("key", [{Point(number): Colour.RED, Colour.RED: 1} for number in range(2000)])
work = lambda: cache.get("key")
start()
""",
    "a serializer is slow": """
work = lambda: slow.set("key", "value")
start()
""",
    "a serializer is slow to read": """
slow.set("key", "value")
work = lambda: slow.get("key")
start()
""",
    "a refresh is written": """
@cached(slow, ttl=60, stale_ttl=1000)
def compute():
    return "x"

Slow.slow = False
compute()
clock.advance(61)
refreshing = threading.Event()
dumps = Slow.dumps
Slow.dumps = lambda self, value: (refreshing.set(), dumps(self, value))[1]
Slow.loads = lambda self, data: "x"
Slow.slow = True
compute()
assert refreshing.wait(20)
""",
    "long values are compressed and encrypted": """
value = ["some text"] * 50_000
work = lambda: (cache.set("key", value), cache.get("key"))
start()
""",
    "arguments are paths": """
@cached(cache)
def compute(path):
    return 1

path = [PurePosixPath("/a")] * 1000
work = lambda: compute(path)
start()
""",
}


@pytest.mark.parametrize("work", WORK)
def test_a_process_ends_while_daemon_threads_write_and_read_values(run, work):
    for _ in range(3):  # Each time the threads are somewhere else.
        run(AT_WORK + WORK[work])
