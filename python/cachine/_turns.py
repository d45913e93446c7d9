"""Places in the queue of a lock, and how threads and tasks wait in it.

Who leaves wakes the next one, and nobody else. A task is woken in its own loop; a place whose loop
was closed can't be woken, and hands on. A task that waits is held by its loop alone: what wakes it
knows it only weakly, so that one that nobody runs any more leaves the queue when it is collected.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock, get_ident
from contextvars import ContextVar
from functools import partial
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary, ref

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from cachine._core import Turn

#: Seconds after which a blocked thread looks around: also where a signal does not wake it.
WATCH = 0.2
#: The same for a task, of which there may be thousands.
WATCH_ASYNC = 1.0


class Place:
    """One who enters a lock, from before it stands in line until it has left."""

    __slots__ = ("__weakref__", "future", "key", "loop", "number", "task", "thread", "turn")

    def __init__(self, task: Any = None, loop: Any = None) -> None:
        self.number = next(_numbers)
        self.thread = get_ident()
        self.task: ref[asyncio.Task[Any]] | None = None if task is None else ref(task)
        self.loop: ref[asyncio.AbstractEventLoop] | None = None if loop is None else ref(loop)
        self.turn: Turn | None = None
        #: What the lock is known by in this process; nothing before there is a turn.
        self.key: Any = None
        self.future: asyncio.Future[None] | None = None

    def stand(self, turn: Turn) -> bool:
        """Take this turn; whether it is the first one."""
        self.turn = turn  # First: whatever strikes later finds what is to be left.
        self.key = turn.place
        turn.stand()
        if not turn.is_first:
            _revive(self.key)
        return self.is_first

    @property
    def is_first(self) -> bool:
        """Whether it holds the lock."""
        return self.turn is not None and self.turn.is_first

    def take(self) -> None:
        """It is the first one: let others know whose the lock is."""
        _firsts[self.key] = self

    def leave(self) -> None:
        """Give the turn up, and wake the next one."""
        if self.turn is not None:
            self.turn.quit()

    def enter(self) -> None:
        """The code of this context runs inside from now on."""
        _inside.set((*_inside.get(), self.number))

    def exit(self) -> None:
        """It does not any more."""
        inside = _inside.get()
        if self.number in inside:
            _inside.set(tuple(number for number in inside if number != self.number))

    def lose(self) -> None:
        """Its loop was closed: let the next one take the lock."""
        self.leave()

    def holder_is_me(self) -> bool:
        """Whether the holder waits for this one to go on, so that it would wait for ever."""
        holder = _firsts.get(self.key)
        if holder is None or not holder.is_first:
            return False
        # A thread of a pool, or the number of one, may serve somebody else by now.
        is_inside = holder.number in _inside.get()
        if self.task is not None:
            return is_inside and holder.task is not None and holder.task() is self.task()
        if holder.loop is None:
            return is_inside and holder.thread == self.thread and holder.task is None
        # To block this thread would stop the loop of the task that holds it.
        running = _running_loop()
        return running is not None and holder.loop() is running

    def is_of(self, task: Any) -> bool:
        """Whether it is a place of this task; without one, of this thread."""
        if self.task is None or task is None:
            return self.task is task and self.thread == get_ident()
        return self.task() is task

    def is_stranded(self) -> bool:
        """Whether its loop was closed, so that it never leaves by itself."""
        if self.loop is None:
            return False
        loop = self.loop()
        return loop is None or loop.is_closed()

    def wake(self) -> Callable[[], Any] | None:
        """Wake the task that waits; returns what wakes the next one if its loop was closed."""
        loop = None if self.loop is None else self.loop()
        if loop is not None and self.future is not None:
            try:
                if _running_loop() is loop:
                    _set(self.future)
                else:
                    loop.call_soon_threadsafe(_set, self.future)
            except RuntimeError:
                pass
            else:
                self.take()
                return None
        return None if self.turn is None else self.turn.leave()


#: The places that the code of a context is inside of.
_inside: ContextVar[tuple[int, ...]] = ContextVar("cachine_locks", default=())
_numbers = count()

#: Who held each lock last, or was told that it is next.
_firsts: WeakValueDictionary[Any, Place] = WeakValueDictionary()


def wait(place: Place, until: float) -> bool:
    """Block until it is the turn of a place, or until this time; whether it is its turn."""
    turn = place.turn
    gate = allocate_lock()
    gate.acquire()
    if turn is not None and turn.register(gate.release):
        while not gate.acquire(timeout=max(0.0, min(WATCH, until - monotonic()))):
            # Who was to ring may have been interrupted.
            if turn.is_first or until <= monotonic():
                break
            _revive(place.key)
    return place.is_first


async def wait_async(place: Place, until: float) -> bool:
    """The same for a task: it occupies no thread."""
    from asyncio import get_running_loop

    loop = get_running_loop()
    turn = place.turn
    place.future = loop.create_future()
    if turn is not None and turn.register(partial(_wake, ref(place))):
        watch = _Watch(place, loop, until)
        try:
            await place.future
        finally:
            watch.timer.cancel()
    return place.is_first


def _wake(reference: ref[Place]) -> Callable[[], Any] | None:
    place = reference()
    # With the place its turn is gone, and has woken the next one.
    return None if place is None else place.wake()


class _Watch:
    """Looks now and then whether a task has to wait any longer."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop, until: float) -> None:
        self.place = place
        self.loop = loop
        self.until = until
        self.timer = self._later()

    def _later(self) -> asyncio.TimerHandle:
        left = max(0.0, min(WATCH_ASYNC, self.until - monotonic()))
        return self.loop.call_later(left, self._look)

    def _look(self) -> None:
        if self.place.is_first or self.until <= monotonic():
            if self.place.future is not None:
                _set(self.place.future)
            return
        _revive(self.place.key)
        self.timer = self._later()


def _revive(key: Any) -> None:
    """Let the next one take a lock whose holder can't go on."""
    holder = _firsts.get(key)
    if holder is not None and holder.is_first and holder.is_stranded():
        holder.lose()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _running_loop() -> Any:
    # Who has a loop has imported the module; at the end of the process there may be none any more.
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def running() -> tuple[Any, Any]:
    """The task that runs here, and its loop; None for both where there is none."""
    loop = _running_loop()
    return (None, None) if loop is None else (sys.modules["asyncio"].current_task(loop), loop)


def forget() -> None:
    """Start afresh in a child process: nobody holds a lock."""
    _firsts.clear()
