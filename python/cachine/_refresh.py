"""The few threads on which stale values are computed anew.

They are daemons, so that none of them holds up the end of the process; they start with the first
refresh, never more than :data:`THREADS`, and end after a while without work.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: At most so many refreshes run at once.
THREADS = 8
#: At most so many more wait for a thread.
WAITING = 256
#: A thread without work ends after so many seconds.
IDLE = 10.0


class _Pool:
    def __init__(self) -> None:
        self.lock = allocate_lock()
        self.jobs: deque[Callable[[], None]] = deque()
        self.sleepers: list[object] = []
        self.running = 0
        self.started = 0

    def submit(self, job: Callable[[], None]) -> bool:
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
                job()
                del job
            elif not gate.acquire(timeout=IDLE):
                with self.lock:
                    if gate in self.sleepers:
                        self.sleepers.remove(gate)
                        self.running -= 1
                        return
                gate.acquire()  # Woken at the very last moment.


_pool = _Pool()


def submit(job: Callable[[], None]) -> bool:
    """Run a job on one of the threads; False when there is no room for it."""
    return _pool.submit(job)


def forget() -> None:
    """Start afresh in a child process: the threads of the parent do not exist here."""
    global _pool
    _pool = _Pool()
