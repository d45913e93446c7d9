"""Keeps the right to store a value alive while its function runs.

The right is a lease of a few seconds in the server, so that a process that dies leaves nothing
behind; whoever computes longer renews it at a third of its time, for five minutes at most. For
threads one daemon thread does it for the whole process, for tasks a timer of their loop.

Both know what they renew only weakly: a computation that is torn away in the middle of anything,
by a signal between two lines, takes its renewal with it.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from threading import Thread

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
    """The thread that renews, and what it renews.

    There is no lock: a signal that raises between two lines would leave it taken for ever.
    """

    def __init__(self) -> None:
        #: What has come and the thread has not seen yet.
        self.new: deque[ref[_Held]] = deque()
        self.thread: Thread | None = None

    def add(self, held: _Held) -> None:
        self.new.append(ref(held))
        thread = self.thread
        if thread is None or not thread.is_alive():
            from threading import Thread  # Late: slow to import, and rarely needed.

            # Of the threads that come first at once each may start one: they share the work.
            self.thread = Thread(target=self._work, name="cachine-renewal", daemon=True)
            try:
                self.thread.start()
            except RuntimeError:
                self.thread = None  # The interpreter is about to exit.

    def _work(self) -> None:
        gate = allocate_lock()
        gate.acquire()
        idle = 0.0
        mine: list[ref[_Held]] = []
        while True:
            gate.acquire(timeout=PERIOD / 4)
            while self.new:
                mine.append(self.new.popleft())
            mine = [each for each in mine if _lives(each)]
            idle = 0.0 if mine else idle + PERIOD / 4
            if idle > IDLE:
                self.thread = None
                if not self.new:
                    return
            for each in mine:
                held = each()
                if held is not None and not held.is_over and held.due <= monotonic():
                    if not held.renew():
                        held.end()
                del held


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
