"""Many callers at once: threads that start together, loops in threads, waits with a deadline."""

from __future__ import annotations

import asyncio
import threading
import time

#: No wait in these tests is longer: what has not happened by then never will.
PATIENCE = 40.0


def eventually(condition, what="the condition holds"):
    """Wait until a condition holds; fail when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
        time.sleep(0.001)


async def soon(condition, what="the condition holds"):
    """The same inside an event loop, whose other tasks go on meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
        await asyncio.sleep(0.001)


class Crowd:
    """Threads that are let go together, and what came of each."""

    def __init__(self, count, act, *arguments):
        self.outcomes = [None] * count
        self._barrier = threading.Barrier(count)
        self._threads = [
            threading.Thread(target=self._one, args=(at, act, arguments), daemon=True)
            for at in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _one(self, at, act, arguments):
        self._barrier.wait(PATIENCE)
        try:
            self.outcomes[at] = act(*arguments)
        except BaseException as error:
            self.outcomes[at] = error

    def join(self):
        """Wait for all of them; their results, an exception being one."""
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert not any(thread.is_alive() for thread in self._threads), "a thread hangs"
        return self.outcomes


def together(count, act, *arguments):
    """Call something in so many threads at once; their results, an exception being one."""
    return Crowd(count, act, *arguments).join()


class Aside:
    """A call in a thread of its own."""

    def __init__(self, act, *arguments):
        self._crowd = Crowd(1, act, *arguments)

    def result(self):
        """What it returned; raises what it raised."""
        (outcome,) = self._crowd.join()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Gate:
    """A place in a function where a test stops it: `arrived` says so, `open` lets it go on."""

    def __init__(self):
        self._arrived = threading.Event()
        self._open = threading.Event()
        self.visits = 0

    def passing(self):
        """Stop here until the gate is open."""
        self.visits += 1
        self._arrived.set()
        assert self._open.wait(PATIENCE), "nobody opened the gate"

    async def passing_async(self):
        """Stop here without holding up the loop."""
        self.visits += 1
        self._arrived.set()
        await soon(self._open.is_set, "the gate is open")

    def arrived(self):
        """Wait until somebody stands at the gate."""
        assert self._arrived.wait(PATIENCE), "nobody came to the gate"

    def open(self):
        """Let everybody go on, now and later."""
        self._open.set()

    def shut(self):
        """Stop whoever comes from now on."""
        self._arrived.clear()
        self._open.clear()
