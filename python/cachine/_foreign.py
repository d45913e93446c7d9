"""Functions on a cache that the engine does not answer for.

A class with its own ``get`` or ``set``, inherited from ours or not, is used through these methods
and never past them. Flights are the engine's all the same: those of the cache's own store where
it has one, so that its writes fence them, else those of a store that never keeps anything.
"""

from __future__ import annotations

import weakref
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from cachine import _core, _read_through
from cachine._read_through import (
    COMPUTE,
    FAILED,
    HIT,
    REFRESH,
    STALE,
    WAIT,
    Plan,
    held,
    ring,
    shareable,
)
from cachine.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachine._core import Call

_MISSING = object()


#: The flights of caches without a store of ours, one for each cache, by its address.
_flights: dict[int, tuple[weakref.ref[Any], _core.Memory[Any]]] = {}


def _flights_of(cache: Any) -> _core.Memory[Any]:
    address = id(cache)
    alive, flights = _flights.get(address, (None, None))
    if alive is not None and flights is not None and alive() is cache:
        return flights
    flights = _core.Memory()
    try:
        alive = weakref.ref(cache, lambda _: _flights.pop(address, None))
    except TypeError:
        return flights  # Nobody would say when the address means something else.
    _flights[address] = (alive, flights)
    return flights


class Foreign:
    """The way of a call through the methods of somebody's cache."""

    def __init__(self, cache: Any, terms: _core.Terms, plan: Plan, singleflight: bool) -> None:
        self.cache = cache
        self.terms = terms
        self.singleflight = singleflight
        self.plan = plan
        #: Whether the cache keeps its entries in a store of ours.
        self.has_store = isinstance(cache, _core.Memory)
        self.flights: Any = cache if self.has_store else _flights_of(cache)
        if not self.has_store and (plan.tags or plan.tags_from_result):
            raise ConfigError(
                f"tags need a cache of this package: {type(cache).__name__} is only asked for get "
                "and set"
            )
        self._lock = allocate_lock()
        self.reset_counts()

    def read(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return the value of a call."""
        keeping = _Keeping(self, call)
        found = keeping.look()
        if found is not _MISSING:
            self.count("hits")
            return found
        self.count("misses")

        def look_again(*args: Any, **kwargs: Any) -> Any:
            found = keeping.look_again()
            return function(*args, **kwargs) if found is _MISSING else _Known(found)

        return _bare(_read_through.read(call, keeping, look_again, args, kwargs))

    async def read_async(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        shared: bool,
    ) -> Any:
        """Return the value of a call, awaiting what the cache makes awaitable."""
        from cachine import _read_through_async

        keeping = _Keeping(self, call)
        found = await keeping.awaited(keeping.look(is_async=True))
        if found is not _MISSING:
            self.count("hits")
            return found
        self.count("misses")

        async def look_again(*args: Any, **kwargs: Any) -> Any:
            found = await keeping.awaited(keeping.look_again(is_async=True))
            if found is _MISSING:
                found = await function(*args, **kwargs)
                await keeping.keep_async(found)
            return _Known(found)

        read = _read_through_async.read
        return _bare(await read(call, keeping, look_again, args, kwargs, shared))

    def refresh(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        call.recompute()
        return _read_through.compute(call, _Keeping(self, call), function, args, kwargs)

    async def refresh_async(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        from cachine import _read_through_async

        call.recompute()
        keeping = _Keeping(self, call)

        async def anew(*args: Any, **kwargs: Any) -> Any:
            value = await function(*args, **kwargs)
            await keeping.keep_async(value)
            return _Known(value)

        return _bare(await _read_through_async.compute(call, keeping, anew, args, kwargs))

    def set(self, key: str, value: Any, tags: list[str]) -> Any:
        """Store through the cache's own method, with a ttl only where there is one."""
        ttl = self.terms.next_ttl()
        options = {"tags": tags} if tags else {}
        if ttl is None:
            return self.cache.set(key, value, **options)
        return self.cache.set(key, value, ttl, **options)

    def failed(self, error: Exception) -> None:
        """Somebody's cache failed: counted and logged, and the function answers."""
        if self.plan.failed is not None:
            self.plan.failed(error)

    def count(self, what: str) -> None:
        """Count a call; its cache may count nothing, or each of its looks."""
        with self._lock:
            self.counts[what] += 1

    def form(self, _kind: object) -> None:
        """The cache has its own ways with values."""

    def clear(self, _prefix: str, _has_builder: bool) -> Any:
        """Only a store of ours knows which entries belong to a function."""
        raise ConfigError(
            f"cache_clear: {type(self.cache).__name__} does not know which entries belong to "
            f"{self.plan.name}; use its own clear()"
        )

    def reset_counts(self) -> None:
        """Start every counter at zero."""
        self.counts = {"hits": 0, "misses": 0, "coalesced": 0}


class _Known:
    """A value that has been kept already."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _bare(value: Any) -> Any:
    return value.value if type(value) is _Known else value


class _Keeping(Plan):
    """The plan of one call, whose result goes into somebody's cache."""

    __slots__ = ("_call", "_declared", "_foreign", "_has_failed", "_is_hidden")

    def __init__(self, foreign: Foreign, call: Call) -> None:
        plan = foreign.plan
        super().__init__(
            plan.name, plan.condition, plan.cache_none, plan.tags, plan.tags_from_result
        )
        self.failed = plan.failed
        self._foreign = foreign
        self._call = call
        self._declared: list[str] = []
        self._has_failed = False
        self._is_hidden = False

    # Reading.

    def look(self, is_async: bool = False) -> Any:
        """What the cache's own method returns, or that it failed."""
        try:
            found = self._foreign.cache.get(self._call.name, _MISSING)
        except Exception as error:
            self._failed(error)
            return _MISSING
        if not is_async and hasattr(found, "__await__"):
            close = getattr(found, "close", None)
            if close is not None:
                close()
            raise TypeError(
                f"{self.name} is no coroutine function, so it can't wait for what get of "
                f"{type(self._foreign.cache).__name__} returns: make it async def"
            )
        return found

    def look_again(self, is_async: bool = False) -> Any:
        """The same once it is known who computes: what ended just before may have stored it."""
        foreign = self._foreign
        if self._has_failed or not foreign.singleflight:
            return _MISSING
        if foreign.has_store and not self._is_hidden:
            return _MISSING  # The store was empty a moment ago.
        return self.look(is_async)

    async def awaited(self, result: Any) -> Any:
        """What an asynchronous method comes to, or that it failed."""
        try:
            return await result if hasattr(result, "__await__") else result
        except Exception as error:
            self._failed(error)
            return _MISSING

    def ask(self, call: Call, alone: bool = False) -> int:
        """Ask who computes. What stands in the store is not for us to read."""
        try:
            told = call.begin(held.get(), alone, True)
        except Exception as error:
            if not self._has_failed:
                self._failed(error)
            return FAILED
        if told in (HIT, STALE, REFRESH):
            self._is_hidden = True
            call.recompute()
            return COMPUTE
        if told == WAIT:
            self._foreign.count("coalesced")
        return told

    def _failed(self, error: Exception) -> None:
        self._has_failed = True
        self._foreign.failed(error)

    # Storing.

    def declare(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Name the tags before the computation."""
        tags = _listed(self.tags(*args, **kwargs) if callable(self.tags) else self.tags)
        call.declare(tags, self.tags_from_result is not None)
        self._declared = tags

    def late(self, value: Any) -> list[str]:
        """The tags that only the result knows."""
        return _listed(super().late(value))

    def settle(self, call: Call, value: Any) -> bool:
        """Hand a value to all who wait; store it unless that is done."""
        if type(value) is _Known:
            ring(call.share(shareable(value.value)))
            return True
        return super().settle(call, value)

    def store(self, call: Call, value: Any, late: list[str]) -> None:
        """Store a result and hand it to all who wait."""
        try:
            if call.may_store(late):
                self._put(value, late)
                self._adopt()
        except Exception as error:
            self._failed(error)
        ring(call.share(value))

    async def keep_async(self, value: Any) -> None:
        """Store a result with a method that may be asynchronous; what fails is logged."""
        try:
            if not self.keeps(value):
                return
            late = self.late(value)
        except Exception as error:
            self.callback_failed(error)
            return
        try:
            if self._call.may_store(late):
                result = self._put(value, late)
                if hasattr(result, "__await__"):
                    await result
                self._adopt()
        except Exception as error:
            self._failed(error)

    def _put(self, value: Any, late: list[str]) -> Any:
        return self._foreign.set(self._call.name, value, [*self._declared, *late])

    def _adopt(self) -> None:
        # What the key names by number lives as long as the entry that was just made.
        if self._foreign.has_store:
            self._call.adopt()


def _listed(tags: Any) -> list[str]:
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be an iterable of str, not one {type(tags).__name__}")
    return list(tags or ())
