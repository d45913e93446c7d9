"""The few threads on which stale values are computed anew.

They are daemons, so that none of them holds up the end of the process; they start with the first
refresh, never more than :data:`THREADS`, and end after a while without work.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachine._core import Call

#: At most so many refreshes run at once.
THREADS = 8
#: At most so many more wait for a thread.
WAITING = 256
#: A thread without work ends after so many seconds.
IDLE = 10.0


class _Pool:
    def __init__(self) -> None:
        # A finalizer or a signal handler may come back here on the very same thread.
        self.lock = RLock()
        #: The call that computes, the number of its computation, and what runs it.
        self.jobs: deque[tuple[Call, int, Callable[[], None]]] = deque()
        self.sleepers: list[object] = []
        self.running = 0
        self.started = 0

    def submit(self, call: Call, run: Callable[[], None]) -> bool:
        job = (call, call.flight, run)
        with self.lock:
            if len(self.jobs) >= WAITING:
                return False
            self.jobs.append(job)
            if self.sleepers:
                self.sleepers.pop().release()  # type: ignore[attr-defined]
                return True
            if self.running >= THREADS:
                return True
            self.running += 1
            self.started += 1
        if self._start():
            return True
        with self.lock:
            self.running -= 1
            if self.running or job not in self.jobs:
                return True  # Another thread takes it.
            self.jobs.remove(job)
        return False

    def withdraw(self, flight: int) -> bool:
        with self.lock:
            found = [job for job in self.jobs if job[1] == flight]
            for job in found:
                self.jobs.remove(job)
        for call, *_ in found:
            for bell in call.abandon() or ():
                bell()
        return bool(found)

    def _start(self) -> bool:
        from threading import Thread  # Late: slow to import, and rarely needed.

        name = f"cachine-refresh-{self.started}"
        try:
            Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:
            return False  # The interpreter is about to exit, or threads have run out.
        return True

    def _work(self) -> None:
        gate = allocate_lock()
        gate.acquire()
        while True:
            with self.lock:
                job = self.jobs.popleft() if self.jobs else None
                if job is None:
                    self.sleepers.append(gate)
            if job is not None:
                job[2]()
                del job
            elif not gate.acquire(timeout=IDLE):
                with self.lock:
                    if gate in self.sleepers:
                        self.sleepers.remove(gate)
                        self.running -= 1
                        return
                gate.acquire()  # Woken at the very last moment.


_pool = _Pool()


def submit(call: Call, run: Callable[[], None]) -> bool:
    """Run the computation of a call on one of the threads; False when there is no room for it."""
    return _pool.submit(call, run)


def withdraw(flight: int) -> bool:
    """Give a computation up that no thread has begun; whether there was one."""
    return _pool.withdraw(flight)


def forget() -> None:
    """Start afresh in a child process: the threads of the parent do not exist here."""
    global _pool
    _pool = _Pool()
