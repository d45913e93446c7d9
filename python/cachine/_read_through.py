"""The way of a call that is no hit: compute, wait, or refresh, for threads.

The engine says who computes and what may be stored (:class:`cachine._core.Call`); this module
runs the functions of users, with no frame of the engine below them, and waits. Its twin for
tasks is :mod:`cachine._read_through_async`; what a result means is written here, once.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from contextvars import ContextVar, copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from cachine import _log, _refresh
from cachine.exceptions import CacheError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncio import Task

    from cachine._core import Call

# What Call.begin answers, and that it could not.
HIT, STALE, REFRESH, COMPUTE, WAIT, FAILED = range(6)
# What Call.ended answers.
PENDING, VALUE, ERROR, ABANDONED = range(4)

#: The computations that this context is part of, outermost first. Child tasks and ``to_thread``
#: inherit it, so a computation that asks for its own key is recognised wherever it does so.
held: ContextVar[tuple[int, ...]] = ContextVar("cachine_held", default=())

#: The thread on which each computation under way runs.
leaders: dict[int, int] = {}

#: The computations that run as a task, which the loop itself holds only weakly.
tasks: dict[int, tuple[Task[Any], Call]] = {}

#: Handed to those who wait in the place of a result that can be used only once.
ONCE = object()


def _is_once(value: Any) -> bool:
    """Whether a value is used up by whoever reads it first."""
    kind = type(value)
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__") or kind is CoroutineType


def shareable(value: Any) -> Any:
    """What those who wait are handed of a result that is not stored."""
    return ONCE if _is_once(value) else value


class Plan:
    """What to do with the result of a computation."""

    __slots__ = (
        "cache_none",
        "condition",
        "failed",
        "name",
        "tags",
        "tags_from_result",
        "told_unkept",
    )

    def __init__(
        self,
        name: str,
        condition: Callable[[Any], Any] | None = None,
        cache_none: bool = False,
        tags: Any = None,
        tags_from_result: Callable[[Any], Any] | None = None,
    ) -> None:
        self.name: str = name
        self.condition: Callable[[Any], Any] | None = condition
        self.cache_none: bool = cache_none
        self.tags: Any = tags
        self.tags_from_result: Callable[[Any], Any] | None = tags_from_result
        #: Told when the cache fails, where that must not stop the function.
        self.failed: Callable[[Exception], None] | None = None
        self.told_unkept: bool = False

    def ask(self, call: Call, alone: bool = False) -> int:
        """Ask the cache; say what it answered."""
        try:
            told = call.begin(held.get(), alone)
        except CacheError as error:
            if self.failed is None:
                raise
            self.failed(error)
            return FAILED
        if told == COMPUTE:
            trouble = call.trouble()
            if trouble is not None:
                _log.warn("unreadable value", self.name, trouble, "it is computed anew")
        return told

    def declare(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Name the tags before the computation; what they raise is the caller's."""
        tags = self.tags(*args, **kwargs) if callable(self.tags) else self.tags
        call.declare(tags, self.tags_from_result is not None)

    def settle(self, call: Call, value: Any) -> bool:
        """Store a result, or not, and hand it to all who wait; whether it was to be stored."""
        try:
            if self.keeps(value):
                self.store(call, value, self.late(value))
                return True
            ring(call.share(shareable(value)))
        except SerializationError as error:
            ring(call.share(value))
            self.not_kept(error)
        except Exception as error:
            ring(call.share(value))
            self.callback_failed(error)
        except BaseException:
            ring(call.share(value))
            raise
        return False

    def keeps(self, value: Any) -> bool:
        """Whether a result is to be stored and can be."""
        if _is_once(value):
            error = TypeError("can be used only once")
            advice = f"{type(value).__name__} can be used only once; return a list instead"
            _log.warn("not stored", self.name, error, advice)
            return False
        return self.wants(value)

    def not_kept(self, error: Exception) -> None:
        """Log, once for each function, that the cache can't keep what it returns."""
        if not self.told_unkept:
            self.told_unkept = True
            _log.warn("not stored", self.name, error, f"the result is returned: {error}")

    def callback_failed(self, error: Exception) -> None:
        """Log that something raised after the function had returned."""
        _log.warn("a callback failed", self.name, error, "the result is returned, not stored")

    def wants(self, value: Any) -> bool:
        """Whether a result is to be stored."""
        if value is None and not self.cache_none:
            return False
        return self.condition is None or bool(self.condition(value))

    def late(self, value: Any) -> Any:
        """The tags that only the result knows."""
        return None if self.tags_from_result is None else self.tags_from_result(value)

    def store(self, call: Call, value: Any, late: Any) -> None:
        """Store a result and hand it to all who wait."""
        ring(call.fill(value, late))


def read(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Return the value of a call, computed at most once by all who ask for it at once."""
    alone = False
    try:
        while True:
            told = plan.ask(call, alone)
            if told == HIT or told == STALE:
                return call.value
            if told == REFRESH:
                refresh(call, plan, function, args, kwargs)
                return call.value
            if told == COMPUTE:
                return compute(call, plan, function, args, kwargs)
            if told == FAILED:
                return function(*args, **kwargs)
            if leaders.get(call.flight) == get_ident():
                # The computation runs on this very thread, further up or in its event loop: to
                # block here would stop it for ever.
                call.leave()
                alone = True
                continue
            if _refresh.withdraw(call.flight):
                # No thread has begun it, and none may ever: they could all be waiting here.
                call.leave()
                continue
            how = wait(call)
            if how == VALUE:
                value = call.value
                if value is not ONCE:
                    return value
                alone = True
            elif how == ERROR:
                raise_shared(call)
    except BaseException:
        # Also what strikes between two lines: nobody is left waiting for a call that is gone.
        ring(call.abandon())
        raise


def compute(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run the function, and settle the call's computation whatever becomes of it."""
    value, _ = _computed(call, plan, function, args, kwargs)
    return value


def _computed(
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
            held.set((*before, flight))
            try:
                value = function(*args, **kwargs)
            except Exception as error:
                ring(call.fail((error, error.__traceback__)))
                raise
            # Still a part of the computation: a serializer may ask for the key that it writes.
            return value, plan.settle(call, value)
        finally:
            held.set(before)
            leaders.pop(flight, None)
    except BaseException:
        leaders.pop(flight, None)  # Even an interrupted clean-up ends here.
        # What is no failure of the function, such as a thread that is told to stop, does not stop
        # the others: one of them takes over. Without effect once the call is settled.
        ring(call.abandon())
        raise


def wait(call: Call) -> int:
    """Block until the computation of a call has ended; say how."""
    gate = allocate_lock()
    gate.acquire()
    if call.register(gate.release):
        try:
            # Wakes for signals also where a blocked lock does not.
            while not gate.acquire(timeout=0.2):
                if call.ended() != PENDING:
                    break  # Who was to ring was interrupted.
                revive(call.flight)
        except BaseException:
            flight = call.flight
            if call.leave() == 0:
                cancel(flight)
            raise
    how = call.ended()
    call.leave()
    return how


def ring(bells: list[Callable[[], object]] | None) -> None:
    """Wake those who waited. Not done by the engine: see the head of its ``call.rs``."""
    if bells is not None:
        for bell in bells:
            bell()


def revive(flight: int) -> None:
    """Give a computation up whose event loop was closed under it: one who waits takes over."""
    task, call = tasks.get(flight, (None, None))
    if task is not None and call is not None and task.get_loop().is_closed():
        tasks.pop(flight, None)
        leaders.pop(flight, None)
        ring(call.abandon())


def cancel(flight: int) -> None:
    """Cancel the task of a computation that nobody waits for any more."""
    task, _ = tasks.get(flight, (None, None))
    if task is not None:
        try:
            task.get_loop().call_soon_threadsafe(task.cancel)
        except RuntimeError:
            pass  # The loop was closed, and its tasks with it.


def raise_shared(call: Call) -> None:
    """Raise the exception that a computation ended with, as every other caller does.

    Its traceback is that of the computation each time: it does not grow with the callers. The call
    lets go of both, or they would hold each other for ever.
    """
    error, traceback = call.take()
    try:
        raise error.with_traceback(traceback)
    finally:
        del error, traceback


def refresh(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Compute a stale value anew in the background; without a free thread it stays stale."""
    context = copy_context()

    def job() -> None:
        try:
            context.run(_compute_apart, call, plan, function, args, kwargs)
        except BaseException as error:
            refresh_failed(plan, error)

    if not _refresh.submit(call, job):
        ring(call.abandon())


def _compute_apart(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    # Nobody above waits for this computation, so it holds none of theirs.
    held.set(())
    _, was_kept = _computed(call, plan, function, args, kwargs)
    if not was_kept:
        refresh_failed(plan, None)


def refresh_failed(plan: Plan, error: BaseException | None) -> None:
    """Log that a stale value stays: its refresh raised, or came to what is not stored."""
    event = "refresh failed" if error is not None else "refresh not stored"
    _log.warn(event, plan.name, error, "the stale value is served until it ends")
