"""Keeps what a process has in a server alive while it is used: the right to store a value, a lock.

It is there for some seconds, so that a process that dies leaves nothing behind; who uses it longer
renews it at a third of its time. For threads one daemon thread does it for each server, so that one
that stands still costs no others; for tasks a timer of their loop.

Both know who uses it only weakly: a computation that is torn away in the middle of anything, by a
signal between two lines, takes its renewal with it.
"""

from __future__ import annotations

import atexit
from _thread import allocate_lock, get_ident
from collections import deque
from functools import partial
from math import inf
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from weakref import ref

from cachine import _log

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from threading import Thread

    from cachine._core import Call, Filler, FillToken

#: Seconds between two renewals of a right to store: a third of the lease.
PERIOD = 5.0 / 3
#: Seconds after which such a right is no longer renewed: whoever computes for so long may be stuck.
MAX_HOLD = 300.0
#: At exit no more is begun after so many seconds.
LAST = 1.0
#: A thread ends after so many seconds without work.
IDLE = 10.0
#: So many rights may come before the thread looks at them, where none is to be renewed soon.
UNSEEN = 64


class Right:
    """Something in a server that ends unless it is renewed.

    Args:
        renew: asks the server, with the arguments; whether it was still there.
        server: what names the server.
        period: seconds between two renewals.
        longest: seconds after which it is no longer renewed.
    """

    __slots__ = ("arguments", "is_over", "longest", "period", "renew", "server")

    def __init__(
        self,
        renew: Callable[..., Any],
        arguments: tuple[Any, ...],
        server: str,
        period: float,
        longest: float = inf,
    ) -> None:
        self.renew = renew
        self.arguments = arguments
        self.server = server
        self.period = period
        self.longest = longest
        #: Whether it is not used any more.
        self.is_over = False

    def begin(self) -> int | None:
        """The time at which a renewal begins; None when there is nothing to renew any more."""
        return 0

    def answered(self, stands: bool, began: int) -> None:
        """What the server said to the renewal that began at a time."""

    def dropped(self) -> None:
        """Who used it is gone without a word; on the thread that renews."""


class _Held:
    """One right that is being renewed, for a thread; whoever uses it holds this."""

    __slots__ = ("__weakref__", "due", "right", "since")

    def __init__(self, right: Right) -> None:
        self.right = right
        self.since = monotonic()
        self.due = self.since + right.period

    def renew(self) -> bool:
        """Renew it; whether it is to be renewed again."""
        right = self.right
        began = right.begin()
        if began is None:
            return False
        try:
            stands = bool(right.renew(*right.arguments))
        except Exception:
            stands = True  # The next attempt may reach the server.
        else:
            right.answered(stands, began)
        self.due = monotonic() + right.period
        return stands and not right.is_over and self.due - self.since < right.longest

    def end(self) -> None:
        """It is not used any more."""
        self.right.is_over = True


class _Thread:
    """The thread that renews what is on one server, and what it renews.

    There is no lock: a signal that raises between two lines would leave it taken for ever.
    """

    def __init__(self) -> None:
        #: What has come and the thread has not seen yet.
        self.new: deque[tuple[ref[_Held], Right]] = deque()
        #: What it is to do at once, and who does such things now.
        self.jobs: deque[Callable[[], object]] = deque()
        self.busy: list[int] = []
        self.thread: Thread | None = None
        #: Open while there is something to see.
        self.gate = allocate_lock()
        self.gate.acquire()
        #: When it looks around by itself.
        self.until = inf

    def add(self, held: _Held) -> None:
        self.new.append((ref(held, partial(self.gone, held.right)), held.right))
        self.start()
        if held.due < self.until or len(self.new) > UNSEEN:
            self.wake()

    def tell(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)
        self.start()
        self.wake()

    def gone(self, right: Right, _: object) -> None:
        if not right.is_over:
            self.wake()

    def wake(self) -> None:
        try:
            self.gate.release()
        except RuntimeError:
            pass  # It is open.

    def start(self) -> None:
        thread = self.thread
        if thread is None or not thread.is_alive():
            from threading import Thread  # Late: slow to import, and rarely needed.

            # Of the threads that come first at once each may start one: they share the work.
            self.thread = Thread(target=self._work, name="cachine-renewal", daemon=True)
            try:
                self.thread.start()
            except RuntimeError as error:
                self.thread = None
                if not _is_at_exit:
                    advice = "what is computed or locked for long is lost: allow more threads"
                    _log.warn("no thread to renew with", "cachine", error, advice)

    def do_jobs(self) -> None:
        self.busy.append(get_ident())
        try:
            while self.jobs:
                _try(self.jobs.popleft())
        except IndexError:
            pass  # Somebody else took the last one.
        finally:
            self.busy.pop()

    def _work(self) -> None:
        mine: list[tuple[ref[_Held], Right]] = []
        while True:
            self.until = inf  # What comes from here on opens the gate.
            self.do_jobs()
            mine += _emptied(self.new)
            mine = [each for each in mine if _is_used(*each)]
            pause = min(min((_renewed(held) for held, _ in mine), default=IDLE), IDLE)
            self.until = monotonic() + pause
            if self.new or self.gate.acquire(timeout=pause) or mine:
                continue
            self.thread = None
            if not self.new and not self.jobs:
                return


def _emptied(queue: deque[Any]) -> list[Any]:
    found: list[Any] = []
    try:
        while True:
            found.append(queue.popleft())
    except IndexError:
        return found


def _try(job: Callable[[], object]) -> None:
    try:
        job()
    except Exception:
        pass  # What it was to end ends by itself.


def _lives(reference: ref[_Held]) -> bool:
    held = reference()
    return held is not None and not held.right.is_over


def _is_used(reference: ref[_Held], right: Right) -> bool:
    if _lives(reference):
        return True
    if not right.is_over:
        right.is_over = True
        _try(right.dropped)
    return False


def _renewed(reference: ref[_Held]) -> float:
    """Renew a right if it is time; the seconds until it is to be renewed next."""
    held = reference()
    if held is None or held.right.is_over:
        return 0.0
    if held.due <= monotonic() and not held.renew():
        held.end()
        return 0.0
    return max(0.0, held.due - monotonic())


#: The threads, by what names their servers.
_threads: dict[str, _Thread] = {}
_is_at_exit = False


def _thread_of(server: str) -> _Thread:
    return _threads.get(server) or _threads.setdefault(server, _Thread())


def keep(right: Right) -> _Held:
    """Renew a right from a thread of this process until it is ended."""
    held = _Held(right)
    _thread_of(right.server).add(held)
    return held


def tell(server: str, job: Callable[[], object]) -> None:
    """Let a thread do something that nobody waits for."""
    _thread_of(server).tell(job)


def right_to_store(server: str, filler: Filler, call: Call, token: FillToken) -> Right:
    """The right to store the value of a call."""
    return Right(filler.renew, (call, token), server, PERIOD, MAX_HOLD)


def forget() -> None:
    """Start afresh in a child process."""
    _threads.clear()


@atexit.register
def _finish() -> None:
    """Do what nobody waited for before the threads end: a server that answers takes no time."""
    global _is_at_exit
    _is_at_exit = True
    until = monotonic() + LAST
    for thread in list(_threads.values()):
        if monotonic() < until:
            thread.do_jobs()
        while thread.busy and monotonic() < until:
            sleep(0.001)


class _HeldByLoop:
    """One right that a timer of an event loop renews; whoever uses it holds this."""

    def __init__(self, links: Any, right: Right) -> None:
        from asyncio import get_running_loop

        self.links = links
        self.right = right
        self.loop = get_running_loop()
        self.since = monotonic()
        self.timer = self.loop.call_later(right.period, _renew, ref(self))

    def renew(self) -> None:
        right = self.right
        began = right.begin()
        if right.is_over or began is None:
            return
        try:
            told = self.links.tell(right.renew, *right.arguments)
        except Exception:
            told = None  # The next attempt may reach the server.
        if told is not None:
            told.add_done_callback(partial(_answered, ref(self), began))
        if monotonic() - self.since < right.longest:
            self.timer = self.loop.call_later(right.period, _renew, ref(self))

    def end(self) -> None:
        """It is not used any more."""
        self.right.is_over = True
        self.timer.cancel()


def _renew(reference: ref[_HeldByLoop]) -> None:
    held = reference()
    if held is not None:
        held.renew()


def _answered(reference: ref[_HeldByLoop], began: int, told: asyncio.Future[Any]) -> None:
    held = reference()
    if held is None or told.cancelled() or told.exception() is not None:
        return
    held.right.answered(bool(told.result()), began)
    if not told.result():
        held.end()


def keep_on_loop(links: Any, right: Right) -> _HeldByLoop:
    """Renew a right by a timer of the running loop until it is ended."""
    return _HeldByLoop(links, right)
