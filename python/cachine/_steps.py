"""Takes the steps of a generator, on a thread or in a task.

What has to be waited for differs between the two and nothing else does, so the way of a call is a
generator that yields what it wants, and one of these drivers waits. The first of a step says what
the rest is:

=========  ===================================================================================
``IO``     a method and its arguments, and perhaps what is done with a result that nobody takes
``USER``   a function with its arguments; a :class:`Raised` comes back for one that raises
``PAUSE``  seconds
``TELL``   a method and its arguments, the error that is the reason, and what names the server;
           nobody waits for its end
``KEEP``   a right that is kept alive until what comes back is ended
``TURN``   a place in the queue of a lock, and the time until which it waits; whether it is its turn
=========  ===================================================================================
"""

from __future__ import annotations

from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any

from cachine import _renewal, _turns
from cachine.exceptions import CacheError

if TYPE_CHECKING:
    from collections.abc import Generator

    Steps = Generator[tuple[Any, ...], Any, Any]

IO, USER, PAUSE, TELL, KEEP, TURN = range(6)


class Raised:
    """What a function raised. It never passes through the generator, which may not raise all."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def run(steps: Steps) -> Any:
    """Take the steps of a generator on this thread; what it returns, or what its function raised."""
    act: Any = steps.send
    result: Any = None
    while True:
        try:
            step = act(result)
        except StopIteration as stop:
            return _opened(stop.value)
        finally:
            act = result = None  # An error would hold this frame, and the frame the error.
        try:
            result, act = _taken(*step), steps.send
        except BaseException as error:
            result, act = error, steps.throw


def _taken(kind: int, *rest: Any) -> Any:
    if kind == PAUSE:
        return sleep(*rest)
    if kind == KEEP:
        return _renewal.keep(*rest)
    if kind == TURN:
        return _turns.wait(*rest)
    if kind == USER:
        function, args, kwargs = rest
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            return Raised(error)
    act, args, *more = rest
    if kind == TELL:
        reason, server = more
        if not isinstance(reason, (Exception, SystemExit)):
            return _renewal.tell(server, partial(act, *args))  # Ctrl-C waits for nobody.
        try:
            return act(*args)
        except CacheError:
            return None
    return act(*args)


async def run_async(steps: Steps, links: Any) -> Any:
    """Take the steps of a generator in this task."""
    act: Any = steps.send
    result: Any = None
    while True:
        try:
            step = act(result)
        except StopIteration as stop:
            return _opened(stop.value)
        finally:
            act = result = None
        try:
            result, act = await _taken_async(links, *step), steps.send
        except GeneratorExit:
            raise  # Its loop is gone, and nothing can be begun there.
        except BaseException as error:
            result, act = error, steps.throw


async def _taken_async(links: Any, kind: int, *rest: Any) -> Any:
    if kind == PAUSE:
        from asyncio import sleep

        return await sleep(*rest)
    if kind == KEEP:
        return _renewal.keep_on_loop(links, *rest)
    if kind == TURN:
        return await _turns.wait_async(*rest)
    if kind == USER:
        function, args, kwargs = rest
        try:
            result = function(*args, **kwargs)
            return await result if hasattr(result, "__await__") else result
        except GeneratorExit:
            raise
        except BaseException as error:
            return Raised(error)
    act, args, *lost = rest
    if kind == TELL:
        return links.tell(act, *args)
    return await links.ask(act, *args, lost=lost[0] if lost else None)


def _opened(value: Any) -> Any:
    if type(value) is not Raised:
        return value
    try:
        raise value.error
    finally:
        del value
