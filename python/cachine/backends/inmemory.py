"""The cache in the memory of this process, for threads and for tasks.

Values are kept as they are: what comes back is the object that was stored, not a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachine import _core, _read_through
from cachine.backends._arguments import (
    blocking,
    check_names,
    checked,
    constant,
    items_of,
    plan_of,
)
from cachine.backends._statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from typing import overload

    from typing_extensions import Self, Unpack

    from cachine._core import _AnyMemory as _Memory
    from cachine._types import TTL, D, FillOptions, Serializer, Span, Strings, V
    from cachine.locks import AsyncLock, Lock
    from cachine.strategies import _Eviction
else:
    V = Any  # What stands in brackets is for checkers only.
    _Memory = _core.Memory

__all__ = ["AsyncInMemoryCache", "InMemoryCache"]

_MISSING: Any = object()


class _Shared(Statistics, _Memory[V]):
    """What both caches have: everything that never waits."""

    def __init__(
        self,
        max_size: int | None = None,
        eviction_policy: _Eviction | None = None,
        namespace: str | None = None,
        *,
        max_weight: int | None = None,
        weigher: Callable[[str, Any], int] | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        super().__init__(
            max_size,
            eviction_policy,
            namespace,
            max_weight=max_weight,
            weigher=weigher,
            serializer=serializer,
        )
        self.max_size = max_size

    def with_namespace(self, namespace: str) -> Self:
        """Return a view on the same store whose keys begin with ``namespace:``.

        Inside a namespace it is a child: ``x`` in ``a`` is ``a:x``, and clearing ``a`` clears it.
        Tags belong to the view they were given through: invalidate them there. Closing a view
        leaves the store open.
        """
        # Past the constructors of a subclass, which may ask for more than we know; what they left
        # in the instance is there in the view too.
        view = _core.Memory.__new__(type(self))
        view._share(self, namespace)
        view.__dict__.update(self.__dict__)
        return view

    def _health(self) -> dict[str, Any]:
        from time import perf_counter

        start = perf_counter()
        health: dict[str, Any] = {"healthy": True, "latency_ms": 0.0, "backend": "inmemory"}
        try:
            self._check_open("ping")
            self._peek()
        except Exception as error:
            health.update(healthy=False, error=str(error))
        health["latency_ms"] = (perf_counter() - start) * 1000.0
        return health

    def __len__(self) -> int:
        return self._len()

    def __bool__(self) -> bool:
        return True  # An empty cache is still a cache.

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            return f"{name}(namespace={self.namespace!r}{', closed' if self.closed else ''})"
        except RuntimeError:
            return f"{name}(not initialised)"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"{type(self).__name__} can't be copied or pickled, since it is one place in the memory "
            "of one process: share it, or create another one where it is needed"
        )


class InMemoryCache(_Shared[V], _core.Memory[V]):
    """A thread-safe cache in the memory of this process.

    Args:
        max_size: the most entries it holds; None for no bound.
        eviction_policy: who leaves when it is full, from :mod:`cachine.strategies`; LRU if None.
        namespace: what every key begins with, followed by a colon.
        max_weight: the most weight it holds in all; goes with ``weigher``. What is heavier than
            that alone is not kept, and neither is what its key held before.
        weigher: a callable ``(key, value) -> int`` that says what an entry weighs; the value is
            what is stored, so bytes where there is a serializer.
        serializer: keeps values as bytes and not as the objects that they are, so that nobody
            changes what is stored: one from :mod:`cachine.serializers`, or any object with
            ``dumps`` and ``loads``.

    Raises:
        ConfigError: a bound below 1, a reserved namespace, ``max_weight`` without ``weigher``.
        TypeError: an option of the wrong type.

    Times are seconds (int or float) or a timedelta.
    """

    def get_or_set(
        self,
        key: str,
        factory: Callable[[], V] | V,
        ttl: TTL = None,
        **options: Unpack[FillOptions],
    ) -> V:
        """Return the value of a key, or compute, store and return it.

        At most one computation of a key runs at a time; everybody else waits for its result.

        Args:
            key: the key.
            factory: a callable without arguments, or the value itself.
            ttl: seconds or a timedelta; None for ever.
            options: ``condition``, ``cache_none``, ``jitter``, ``stale_ttl``, ``tags`` and
                ``tags_from_result``, as in :func:`cachine.cached`.
        """
        if options:
            check_names(options)
        found = self._fresh(key, _MISSING)
        if found is not _MISSING:
            return found
        plan, terms = plan_of(key, {**options, "ttl": ttl})
        make = blocking(factory)
        value: V = _read_through.read(self._call(key, terms), plan, make, (), {})
        return value

    def get_many(self, keys: Strings) -> dict[str, V]:
        """Return the values of those keys that have one, in the order of the keys."""
        found = {}
        for key in checked(self, keys, "get_many"):
            value = self.get(key, _MISSING)
            if value is not _MISSING:
                found[key] = value
        return found

    def set_many(self, mapping: Mapping[str, V], ttl: TTL = None) -> None:
        """Store several values: none when one of the keys is no key or a value can't be kept."""
        items = items_of(self, mapping)
        if type(self).set is _core.Memory.set:
            self._set_many(items, ttl)
            return
        for key, value in items:
            self.set(key, value, ttl)

    def delete_many(self, keys: Strings) -> int:
        """Remove several keys; how many live entries there were."""
        return sum([self.delete(key) for key in checked(self, keys, "delete_many")])

    def lock(self, name: str, ttl: Span = 30, timeout: TTL = None) -> Lock:
        """Return a lock of this name: one at a time is inside its ``with`` block.

        It holds for the threads, tasks and event loops of this process.

        Args:
            name: its name, within the namespace of this cache. It is no key: ``clear`` spares it.
            ttl: seconds or a timedelta, above 0. Here a lock needs no end: its holder
                can't outlive the process. It is checked, so that the code may move to Redis.
            timeout: seconds or a timedelta that entering waits at most; None without end, 0 for
                one try.

        Raises:
            InvalidKeyError: a name that can't be one of a key.
            ConfigError: a time out of range.
            ClosedError: this cache was closed.

        What entering raises, and the fencing token, are in :mod:`cachine.locks`.
        """
        from cachine.locks import Lock

        return Lock(self, name, ttl, timeout)

    def ping(self) -> dict[str, Any]:
        """Return ``healthy``, ``latency_ms`` and ``backend``, and ``error`` when not healthy."""
        return self._health()

    def ping_ok(self) -> bool:
        """Whether the cache can be used."""
        return bool(self._health()["healthy"])

    def __enter__(self) -> Self:
        self._check_open("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncInMemoryCache(_Shared[V]):
    """The same cache with coroutine functions, for code that may move to Redis.

    Takes the arguments of :class:`InMemoryCache`. One cache serves any number of event loops.
    """

    if TYPE_CHECKING:

        @overload
        async def get(
            self, key: str, default: None = None, *, serializer: Serializer | None = None
        ) -> V | None: ...
        @overload
        async def get(
            self, key: str, default: D, *, serializer: Serializer | None = None
        ) -> V | D: ...

    async def get(
        self, key: str, default: Any = None, *, serializer: Serializer | None = None
    ) -> Any:
        """Return the value of a key, or the default."""
        if serializer is None:
            return _core.Memory.get(self, key, default)
        return _core.Memory.get(self, key, default, serializer=serializer)

    async def set(
        self,
        key: str,
        value: V,
        ttl: TTL = None,
        *,
        tags: Strings | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        """Store a value for ttl seconds, or until it is removed."""
        _core.Memory.set(self, key, value, ttl, tags=tags, serializer=serializer)

    async def delete(self, key: str) -> bool:
        """Remove a key; True when a live entry was removed."""
        return _core.Memory.delete(self, key)

    async def exists(self, key: str) -> bool:
        """Whether a key has a live entry."""
        return _core.Memory.exists(self, key)

    async def clear(self, *, dangerously_clear_all: bool = False) -> None:
        """Remove every entry of this namespace."""
        _core.Memory.clear(self, dangerously_clear_all=dangerously_clear_all)

    async def ttl(self, key: str) -> int | None:
        """Return the seconds that a key has left, rounded up, or None."""
        return _core.Memory.ttl(self, key)

    async def expire(self, key: str, ttl: Span) -> bool:
        """Give a live entry a new life of ttl seconds; True when there was one."""
        return _core.Memory.expire(self, key, ttl)

    async def expire_at(self, key: str, when: datetime | float) -> bool:
        """Let a live entry end at a time; True when there was one."""
        return _core.Memory.expire_at(self, key, when)

    async def persist(self, key: str) -> bool:
        """Let a live entry live for ever; True when it had an end."""
        return _core.Memory.persist(self, key)

    async def touch(self, key: str, ttl: TTL = None) -> bool:
        """Count as a use of a live entry, and renew its ttl if one is given."""
        return _core.Memory.touch(self, key, ttl)

    async def incr(self, key: str, delta: int = 1, ttl_on_create: TTL = None) -> int:
        """Add to a counter and return the new number."""
        return _core.Memory.incr(self, key, delta, ttl_on_create)

    async def decr(self, key: str, delta: int = 1, ttl_on_create: TTL = None) -> int:
        """Subtract from a counter and return the new number."""
        return _core.Memory.decr(self, key, delta, ttl_on_create)

    async def add_tags(self, key: str, tags: Strings) -> bool:
        """Add tags to a live entry; True when there was one."""
        return _core.Memory.add_tags(self, key, tags)

    async def invalidate_tags(self, tags: Strings) -> int:
        """Remove every entry that has one of the tags; how many live ones there were."""
        return _core.Memory.invalidate_tags(self, tags)

    async def get_or_set(
        self,
        key: str,
        factory: Callable[[], Awaitable[V]] | Callable[[], V] | V,
        ttl: TTL = None,
        **options: Unpack[FillOptions],
    ) -> V:
        """Return the value of a key, or compute, store and return it.

        The factory is a coroutine function, a callable, or the value itself; the options are
        those of :meth:`InMemoryCache.get_or_set`.
        """
        if options:
            check_names(options)
        found = self._fresh(key, _MISSING)
        if found is not _MISSING:
            return found
        from cachine import _read_through_async

        plan, terms = plan_of(key, {**options, "ttl": ttl})
        make = factory if callable(factory) else constant(factory)
        call = self._call(key, terms)
        value: V = await _read_through_async.read(call, plan, make, (), {}, True)
        return value

    async def get_many(self, keys: Strings) -> dict[str, V]:
        """Return the values of those keys that have one, in the order of the keys."""
        found = {}
        for key in checked(self, keys, "get_many"):
            value = _core.Memory.get(self, key, _MISSING)
            if value is not _MISSING:
                found[key] = value
        return found

    async def set_many(self, mapping: Mapping[str, V], ttl: TTL = None) -> None:
        """Store several values: none when one of the keys is no key or a value can't be kept."""
        self._set_many(items_of(self, mapping), ttl)

    async def delete_many(self, keys: Strings) -> int:
        """Remove several keys; how many live entries there were."""
        return sum([_core.Memory.delete(self, key) for key in checked(self, keys, "delete_many")])

    def lock(self, name: str, ttl: Span = 30, timeout: TTL = None) -> AsyncLock:
        """Return a lock of this name: one at a time is inside its ``async with`` block.

        It holds for the threads, tasks and event loops of this process.

        Args:
            name: its name, within the namespace of this cache. It is no key: ``clear`` spares it.
            ttl: seconds or a timedelta, above 0. Here a lock needs no end: its holder
                can't outlive the process. It is checked, so that the code may move to Redis.
            timeout: seconds or a timedelta that entering waits at most; None without end, 0 for
                one try.

        Raises:
            InvalidKeyError: a name that can't be one of a key.
            ConfigError: a time out of range.
            ClosedError: this cache was closed.

        What entering raises, and the fencing token, are in :mod:`cachine.locks`.
        """
        from cachine.locks import AsyncLock

        return AsyncLock(self, name, ttl, timeout)

    async def ping(self) -> dict[str, Any]:
        """Return ``healthy``, ``latency_ms`` and ``backend``, and ``error`` when not healthy."""
        return self._health()

    async def ping_ok(self) -> bool:
        """Whether the cache can be used."""
        return bool(self._health()["healthy"])

    async def close(self) -> None:
        """End the use of this cache."""
        _core.Memory.close(self)

    async def __aenter__(self) -> Self:
        self._check_open("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        _core.Memory.close(self)
