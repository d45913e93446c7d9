"""The way of a call that is no hit: compute, wait, or refresh, for threads.

The engine says who computes and what may be stored (:class:`cachine._core.Call`); this module
runs the functions of users, with no frame of the engine below them, and waits. Its twin for
tasks is :mod:`cachine._read_through_async`; what a result means is written here, once.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from contextvars import ContextVar, copy_context
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from cachine import _log, _refresh
from cachine.exceptions import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable

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

_ONCE = (GeneratorType, CoroutineType, AsyncGeneratorType)


class Plan:
    """What to do with the result of a computation."""

    __slots__ = ("cache_none", "condition", "failed", "name", "tags", "tags_from_result")

    def __init__(
        self,
        name: str,
        condition: Callable[[Any], Any] | None = None,
        cache_none: bool = False,
        tags: Any = None,
        tags_from_result: Callable[[Any], Any] | None = None,
    ) -> None:
        self.name = name
        self.condition = condition
        self.cache_none = cache_none
        self.tags = tags
        self.tags_from_result = tags_from_result
        #: Told when the cache fails, where that must not stop the function.
        self.failed: Callable[[Exception], None] | None = None

    def ask(self, call: Call, alone: bool = False) -> int:
        """Ask the cache; say what it answered."""
        try:
            return call.begin(held.get(), alone)
        except CacheError as error:
            if self.failed is None:
                raise
            self.failed(error)
            return FAILED

    def declare(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Name the tags before the computation; what they raise is the caller's."""
        tags = self.tags(*args, **kwargs) if callable(self.tags) else self.tags
        call.declare(tags, self.tags_from_result is not None)

    def settle(self, call: Call, value: Any) -> None:
        """Store a result, or not, and hand it to all who wait."""
        try:
            if isinstance(value, _ONCE):
                # Whoever read it from the cache would find it used up.
                call.abandon()
                error = TypeError(f"{type(value).__name__} can be used only once")
                _log.warn("not stored", self.name, error, "return a list, or decorate the source")
            elif self.wants(value):
                self.store(call, value, self.late(value))
            else:
                call.share(value)
        except Exception as error:
            call.share(value)
            _log.warn("a callback failed", self.name, error, "the result is returned, not stored")
        except BaseException:
            call.share(value)
            raise

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
        call.fill(value, late)


def read(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Return the value of a call, computed at most once by all who ask for it at once."""
    alone = False
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
            # The computation runs on this very thread, further up or in its event loop: to block
            # here would stop it for ever.
            call.leave()
            alone = True
            continue
        how = wait(call)
        if how == VALUE:
            return call.value
        if how == ERROR:
            raise_shared(call)


def compute(
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
    token = held.set((*held.get(), flight))
    try:
        value = function(*args, **kwargs)
    except Exception as error:
        call.fail((error, error.__traceback__))
        raise
    except BaseException:
        # A thread that is told to stop does not stop the others: one of them takes over.
        call.abandon()
        raise
    finally:
        held.reset(token)
        del leaders[flight]
    plan.settle(call, value)
    return value


def wait(call: Call) -> int:
    """Block until the computation of a call has ended; say how."""
    gate = allocate_lock()
    gate.acquire()
    if call.register(gate.release):
        try:
            while not gate.acquire(timeout=0.2):
                pass  # Wakes for signals also where a blocked lock does not.
        except BaseException:
            call.leave()
            raise
    how = call.ended()
    call.leave()
    return how


def raise_shared(call: Call) -> None:
    """Raise the exception that a computation ended with, as every other caller does.

    Its traceback is that of the computation each time: it does not grow with the callers.
    """
    error, traceback = call.value
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
            _log.warn("refresh failed", plan.name, error, "the stale value is served until it ends")

    if not _refresh.submit(job):
        call.abandon()


def _compute_apart(
    call: Call,
    plan: Plan,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    # Nobody above waits for this computation, so it holds none of theirs.
    held.set(())
    compute(call, plan, function, args, kwargs)
