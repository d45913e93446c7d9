"""The way of a call that is no hit, for tasks of any number of event loops.

A shared computation is a task of its own: a caller that is cancelled leaves it to the others, and
the last one to leave cancels it. A waiting task occupies no thread and is woken in its own loop.
"""

from __future__ import annotations

import asyncio
from _thread import get_ident
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cachine import _refresh
from cachine._read_through import (
    COMPUTE,
    ERROR,
    FAILED,
    HIT,
    ONCE,
    PENDING,
    REFRESH,
    STALE,
    VALUE,
    Plan,
    held,
    leaders,
    raise_shared,
    refresh_failed,
    revive,
    ring,
    tasks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachine._core import Call

#: How often a task looks whether the loop that computes for it is still open.
WATCH = 0.2

_seen: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


async def read(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    shared: bool,
) -> Any:
    """Return the value of a call, computed at most once by all who ask for it at once."""
    # Whoever drives this without a loop of asyncio's can neither wait nor leave a task behind.
    loop = asyncio._get_running_loop()
    alone = loop is None
    if loop is not None and loop not in _seen:
        _seen.add(loop)
        for flight in list(tasks):
            revive(flight)  # What another loop left behind must not stop us.
    while True:
        told = plan.ask(call, alone)
        if told == HIT or told == STALE:
            return call.value
        if told == REFRESH:
            if loop is None:
                ring(call.abandon())
            else:
                start(_refreshed(call, plan, function, args, kwargs), call, ())
            return call.value
        if told == FAILED:
            return await _awaited(function(*args, **kwargs))
        task = None
        if told == COMPUTE:
            waiting = call.follow() if shared and not alone else None
            if waiting is None:
                return await compute(call, plan, function, args, kwargs)
            chain = (*held.get(), call.flight)
            task = start(compute(call, plan, function, args, kwargs), call, chain)
        elif _refresh.withdraw(call.flight):
            call.leave()
            continue
        else:
            waiting = call
        assert loop is not None  # Without one, nobody is waited for.
        how = await wait(waiting, loop)
        if how == VALUE:
            value = waiting.value
            if value is not ONCE:
                return value
            # Only the one who had it computed can use it.
            return await (task or _awaited(function(*args, **kwargs)))
        if how == ERROR:
            task = None
            raise_shared(waiting)
        if task is not None:
            # It gave up on its own: that is this caller's answer. The others take over.
            return await task


async def _awaited(result: Any) -> Any:
    return await result if hasattr(result, "__await__") else result


def start(coroutine: Any, call: Call, chain: tuple[int, ...]) -> asyncio.Task[Any]:
    """Run a computation as a task of its own, in a copy of this context."""
    flight = call.flight
    context = copy_context()
    context.run(held.set, chain)
    # Also before its first step nobody may block this thread for it.
    leaders[flight] = get_ident()
    task: asyncio.Task[Any] = context.run(asyncio.get_running_loop().create_task, coroutine)
    tasks[flight] = (task, call)

    def forget(task: asyncio.Task[Any]) -> None:
        tasks.pop(flight, None)
        leaders.pop(flight, None)
        ring(call.abandon())  # For one that was cancelled before its first step.
        if not task.cancelled():
            task.exception()  # Everyone who waited was told: this is no forgotten error.

    task.add_done_callback(forget)
    return task


async def compute(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run the function, and settle the call's computation whatever becomes of it."""
    value, _ = await _computed(call, plan, function, args, kwargs)
    return value


async def _computed(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, bool]:
    """The result, and whether it was to be stored."""
    flight = call.flight
    try:
        plan.declare(call, args, kwargs)
        before = held.get()
        try:
            leaders[flight] = get_ident()
            if flight not in before:
                held.set((*before, flight))
            try:
                value = function(*args, **kwargs)
                if hasattr(value, "__await__"):
                    value = await value
            except Exception as error:
                ring(call.fail((error, error.__traceback__)))
                raise
            # Still a part of the computation: a serializer may ask for the key that it writes.
            return value, plan.settle(call, value)
        finally:
            if held.get() is not before:
                held.set(before)
            leaders.pop(flight, None)
    except BaseException:
        # Cancelled, or its loop is ending: one of those who wait takes over.
        leaders.pop(flight, None)
        ring(call.abandon())
        raise


async def _refreshed(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    try:
        _, was_kept = await _computed(call, plan, function, args, kwargs)
        if not was_kept:
            refresh_failed(plan, None)
    except Exception as error:
        refresh_failed(plan, error)


async def wait(call: Call, loop: asyncio.AbstractEventLoop) -> int:
    """Wait until the computation of a call has ended; say how."""
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    def waker() -> None:
        if asyncio._get_running_loop() is loop:
            wake()
            return
        try:
            loop.call_soon_threadsafe(wake)
        except RuntimeError:
            pass  # The loop was closed: nobody waits there any more.

    if call.register(waker):
        watch = _Watch(call, loop, wake)
        try:
            await woken
        except BaseException:
            flight = call.flight
            if call.leave() == 0:
                cancel(flight)
            raise
        finally:
            watch.end()
    how = call.ended()
    call.leave()
    return how


class _Watch:
    """Looks now and then whether a computation elsewhere can still come to an end, or has."""

    def __init__(
        self, call: Call, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]
    ) -> None:
        self.call = call
        self.loop = loop
        self.wake = wake
        self.timer: asyncio.TimerHandle | None = None
        task, _ = tasks.get(call.flight, (None, None))
        if task is None or task.get_loop() is not loop:
            self.look()

    def look(self) -> None:
        revive(self.call.flight)
        if self.call.ended() != PENDING:
            self.wake()
        else:
            self.timer = self.loop.call_later(WATCH, self.look)

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


def cancel(flight: int) -> None:
    """Cancel a computation that nobody waits for any more."""
    task, _ = tasks.get(flight, (None, None))
    if task is None:
        return
    loop = task.get_loop()
    if asyncio._get_running_loop() is loop:
        task.cancel()
        return
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:
        pass  # The loop was closed, and its tasks with it.
