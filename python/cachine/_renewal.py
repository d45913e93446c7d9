"""Keeps the right to store a value alive while its function runs.

The right is a lease of a few seconds in the server, so that a process that dies leaves nothing
behind; whoever computes longer renews it at a third of its time, for five minutes at most. For
threads one daemon thread does it for the whole process, for tasks a timer of their loop.

Both know what they renew only weakly: a computation that is torn away in the middle of anything,
by a signal between two lines, takes its renewal with it.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from cachine._core import Call, Filler, FillToken

#: Seconds between two renewals: a third of the lease.
PERIOD = 5.0 / 3
#: Seconds after which a right is no longer renewed: whoever computes for so long may be stuck.
MAX_HOLD = 300.0
#: The thread ends after so many seconds without work.
IDLE = 10.0


class _Held:
    """One right that is being renewed."""

    __slots__ = ("__weakref__", "call", "due", "filler", "is_over", "since", "token")

    def __init__(self, filler: Filler, call: Call, token: FillToken) -> None:
        self.filler = filler
        self.call = call
        self.token = token
        self.since = monotonic()
        self.due = self.since + PERIOD
        self.is_over = False

    def renew(self) -> bool:
        """Renew it; whether it is to be renewed again."""
        try:
            stands = self.filler.renew(self.call, self.token)
        except Exception:
            stands = True  # The next attempt may reach the server.
        self.due = monotonic() + PERIOD
        return bool(stands) and not self.is_over and self.due - self.since < MAX_HOLD

    def end(self) -> None:
        """The function has ended."""
        self.is_over = True


class _Thread:
    """The thread that renews, and what it renews."""

    def __init__(self) -> None:
        # A finalizer or a signal handler may come back here on the very same thread.
        self.lock = RLock()
        self.held: list[ref[_Held]] = []
        self.is_running = False

    def add(self, held: _Held) -> None:
        with self.lock:
            # Those that have ended are let go of here, so that short ones cost no thread's time.
            if len(self.held) > 64:
                self.held = [each for each in self.held if _lives(each)]
            self.held.append(ref(held))
            starts, self.is_running = not self.is_running, True
        if starts:
            from threading import Thread  # Late: slow to import, and rarely needed.

            try:
                Thread(target=self._work, name="cachine-renewal", daemon=True).start()
            except RuntimeError:
                self.is_running = False  # The interpreter is about to exit.

    def _work(self) -> None:
        gate = allocate_lock()
        gate.acquire()
        idle = 0.0
        while True:
            gate.acquire(timeout=PERIOD / 4)
            now = monotonic()
            with self.lock:
                self.held = [each for each in self.held if _lives(each)]
                alive = [one for each in self.held if (one := each()) is not None]
                idle = 0.0 if self.held else idle + PERIOD / 4
                if idle > IDLE:
                    self.is_running = False
                    return
            while alive:
                one = alive.pop()
                if one.due <= now and not one.is_over and not one.renew():
                    one.end()
                del one


def _lives(reference: ref[_Held]) -> bool:
    held = reference()
    return held is not None and not held.is_over


_thread = _Thread()


def on_thread(filler: Filler, call: Call, token: FillToken) -> _Held:
    """Renew a right from the thread of this process until it is ended."""
    held = _Held(filler, call, token)
    _thread.add(held)
    return held


def forget() -> None:
    """Start afresh in a child process."""
    global _thread
    _thread = _Thread()


class _HeldByLoop:
    """One right that a timer of an event loop renews."""

    def __init__(self, links: Any, filler: Filler, call: Call, token: FillToken) -> None:
        from asyncio import get_running_loop

        self.links = links
        self.renewal = (filler.renew, call, token)
        self.loop = get_running_loop()
        self.since = monotonic()
        self.timer = self.loop.call_later(PERIOD, _renew, ref(self))

    def renew(self) -> None:
        self.links.tell(*self.renewal)
        if monotonic() - self.since < MAX_HOLD:
            self.timer = self.loop.call_later(PERIOD, _renew, ref(self))

    def end(self) -> None:
        self.timer.cancel()


def _renew(reference: ref[_HeldByLoop]) -> None:
    held = reference()
    if held is not None:
        held.renew()


def on_loop(links: Any, filler: Filler, call: Call, token: FillToken) -> _HeldByLoop:
    """Renew a right by a timer of the running loop until it is ended."""
    return _HeldByLoop(links, filler, call, token)
