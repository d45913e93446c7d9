"""The way of a call that is no hit, for tasks of any number of event loops.

A shared computation is a task of its own: a caller that is cancelled leaves it to the others, and
the last one to leave cancels it. A waiting task occupies no thread and is woken in its own loop.
"""

from __future__ import annotations

import asyncio
from _thread import get_ident
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from cachine import _log
from cachine._read_through import (
    COMPUTE,
    ERROR,
    FAILED,
    HIT,
    REFRESH,
    STALE,
    VALUE,
    Plan,
    held,
    leaders,
    raise_shared,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachine._core import Call

#: The computations under way, by number. The loop itself holds its tasks only weakly.
tasks: dict[int, asyncio.Task[Any]] = {}


async def read(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    shared: bool,
) -> Any:
    """Return the value of a call, computed at most once by all who ask for it at once."""
    while True:
        told = plan.ask(call)
        if told == HIT or told == STALE:
            return call.value
        if told == REFRESH:
            start(_refresh(call, plan, function, args, kwargs), call.flight, ())
            return call.value
        if told == FAILED:
            return await function(*args, **kwargs)
        task = None
        if told == COMPUTE:
            waiting = call.follow() if shared else None
            if waiting is None:
                return await compute(call, plan, function, args, kwargs)
            flight = call.flight
            chain = (*held.get(), flight)
            task = start(compute(call, plan, function, args, kwargs), flight, chain)
        else:
            waiting = call
        how = await wait(waiting)
        if how == VALUE:
            return waiting.value
        if how == ERROR:
            raise_shared(waiting)
        if task is not None:
            # It gave up on its own: that is this caller's answer. The others take over.
            return await task


def start(coroutine: Any, flight: int, chain: tuple[int, ...]) -> asyncio.Task[Any]:
    """Run a computation as a task of its own, in a copy of this context."""
    context = copy_context()
    context.run(held.set, chain)
    task: asyncio.Task[Any] = context.run(asyncio.get_running_loop().create_task, coroutine)
    tasks[flight] = task

    def forget(task: asyncio.Task[Any]) -> None:
        tasks.pop(flight, None)
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
    flight = call.flight
    try:
        plan.declare(call, args, kwargs)
    except BaseException:
        call.abandon()
        raise
    leaders[flight] = get_ident()
    before = held.get()
    if flight not in before:
        held.set((*before, flight))
    try:
        value = function(*args, **kwargs)
        if hasattr(value, "__await__"):
            value = await value
    except Exception as error:
        call.fail((error, error.__traceback__))
        raise
    except BaseException:
        call.abandon()
        raise
    finally:
        if held.get() is not before:
            held.set(before)
        del leaders[flight]
    plan.settle(call, value)
    return value


async def _refresh(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    try:
        await compute(call, plan, function, args, kwargs)
    except Exception as error:
        _log.warn("refresh failed", plan.name, error, "the stale value is served until it ends")


async def wait(call: Call) -> int:
    """Wait until the computation of a call has ended; say how."""
    loop = asyncio.get_running_loop()
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
        try:
            await woken
        except BaseException:
            flight = call.flight
            if call.leave() == 0:
                cancel(flight)
            raise
    how = call.ended()
    call.leave()
    return how


def cancel(flight: int) -> None:
    """Cancel a computation that nobody waits for any more."""
    task = tasks.get(flight)
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
