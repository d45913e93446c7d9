"""Functions on a cache that the engine does not answer for.

A class with its own ``get`` or ``set``, inherited from ours or not, is used through these methods
and never past them. Flights are the engine's all the same: those of the cache's own store where
it has one, so that its writes fence them, else those of a store that never keeps anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachine import _core, _read_through
from cachine._read_through import Plan
from cachine.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = object()


class Foreign:
    """The way of a call through the methods of somebody's cache."""

    def __init__(self, cache: Any, terms: _core.Terms, plan: Plan, singleflight: bool) -> None:
        self.cache = cache
        self.terms = terms
        self.singleflight = singleflight
        self.plan = plan
        if isinstance(cache, _core.Memory):
            self.flights: Any = cache
        else:
            self.flights = _core.Memory()
            self.flights.__init__()
        if not isinstance(cache, _core.Memory) and (plan.tags or plan.tags_from_result):
            raise ConfigError(
                f"tags need a cache of this package: {type(cache).__name__} is only asked for get "
                "and set"
            )

    def call(self, key: str | None) -> Any:
        """The call with this key; None when the function has to answer for itself."""
        return None if key is None else (key, self.flights._call(key, self.terms))

    def read(
        self,
        call: Any,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return the value of a call."""
        key, inner = call
        found = self._get(key)
        if found is not _MISSING:
            return found

        def look_again(*args: Any, **kwargs: Any) -> Any:
            found = self._get(key) if self.singleflight else _MISSING
            return function(*args, **kwargs) if found is _MISSING else _Known(found)

        return _bare(_read_through.read(inner, _Keeping(self, key), look_again, args, kwargs))

    async def read_async(
        self,
        call: Any,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        shared: bool,
    ) -> Any:
        """Return the value of a call, awaiting what the cache makes awaitable."""
        from cachine import _read_through_async

        key, inner = call
        found = await self._awaited(self._get(key))
        if found is not _MISSING:
            return found
        keeping = _Keeping(self, key)

        async def look_again(*args: Any, **kwargs: Any) -> Any:
            found = await self._awaited(self._get(key)) if shared else _MISSING
            if found is _MISSING:
                found = await function(*args, **kwargs)
                if keeping.wants(found):
                    await self._awaited(keeping.keep(inner, found, keeping.late(found)))
            return _Known(found)

        read = _read_through_async.read
        return _bare(await read(inner, keeping, look_again, args, kwargs, shared))

    def refresh(
        self,
        call: Any,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        key, inner = call
        inner.recompute()
        return _read_through.compute(inner, _Keeping(self, key), function, args, kwargs)

    async def refresh_async(
        self,
        call: Any,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        from cachine import _read_through_async

        key, inner = call
        inner.recompute()
        keeping = _Keeping(self, key)

        async def anew(*args: Any, **kwargs: Any) -> Any:
            value = await function(*args, **kwargs)
            if keeping.wants(value):
                await self._awaited(keeping.keep(inner, value, keeping.late(value)))
            return _Known(value)

        return _bare(await _read_through_async.compute(inner, keeping, anew, args, kwargs))

    def set(self, key: str, value: Any, tags: list[str]) -> Any:
        """Store through the cache's own method, with a ttl only where there is one."""
        ttl = self.terms.next_ttl()
        options = {"tags": tags} if tags else {}
        if ttl is None:
            return self.cache.set(key, value, **options)
        return self.cache.set(key, value, ttl, **options)

    def _get(self, key: str) -> Any:
        try:
            return self.cache.get(key, _MISSING)
        except Exception as error:
            self.failed(error)
            return _MISSING

    async def _awaited(self, result: Any) -> Any:
        try:
            return await result if hasattr(result, "__await__") else result
        except Exception as error:
            self.failed(error)
            return _MISSING

    def failed(self, error: Exception) -> None:
        """Somebody's cache failed: counted and logged, and the function answers."""
        if self.plan.failed is not None:
            self.plan.failed(error)


class _Known:
    """A value that has been kept already."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _bare(value: Any) -> Any:
    return value.value if type(value) is _Known else value


class _Keeping(Plan):
    """The plan of one call, whose result goes into somebody's cache."""

    __slots__ = ("_declared", "_foreign", "_key")

    def __init__(self, foreign: Foreign, key: str) -> None:
        plan = foreign.plan
        super().__init__(
            plan.name, plan.condition, plan.cache_none, plan.tags, plan.tags_from_result
        )
        self.failed = plan.failed
        self._foreign = foreign
        self._key = key
        self._declared: list[str] = []

    def declare(self, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tags = self.tags(*args, **kwargs) if callable(self.tags) else self.tags
        self._declared = list(tags or ())
        call.declare(self._declared, self.tags_from_result is not None)

    def settle(self, call: Any, value: Any) -> None:
        if type(value) is _Known:
            call.share(value.value)
        else:
            super().settle(call, value)

    def keep(self, call: Any, value: Any, late: Any) -> Any:
        """Store through the cache's method, unless the call was fenced meanwhile."""
        tags = [*self._declared, *(late or ())]
        if not call.may_store(late):
            return None
        try:
            return self._foreign.set(self._key, value, tags)
        except Exception as error:
            self._foreign.failed(error)
            return None

    def store(self, call: Any, value: Any, late: Any) -> None:
        self.keep(call, value, late)
        call.share(value)
