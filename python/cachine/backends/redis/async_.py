"""The cache in Redis, for tasks.

Nothing is connected before the first operation. An operation takes at most ``timeout`` seconds, whatever
the server does, and then raises :class:`~cachine.exceptions.CacheTimeoutError`. ``clear``,
``invalidate_tags`` and those on many keys have that time for each 500 keys; ``get_or_set`` also waits for
who computes the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachine.backends._arguments import check_names, checked, constant, items_of
from cachine.backends.redis._shared import Shared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from typing import overload

    from typing_extensions import Self, Unpack

    from cachine._types import TTL, D, FillOptions, Serializer, Span, Strings, V
    from cachine.locks import AsyncLock
else:
    V = Any  # What stands in brackets is for checkers only.

__all__ = ["AsyncRedisCache"]


class AsyncRedisCache(Shared[V]):
    """A cache in Redis (7.0 or newer, or Valkey), for tasks.

    Args:
        host: the name or address of the server; ``localhost`` if None.
        port: its port, 1 to 65535; 6379 if None.
        db: the number of the database; 0 if None.
        username: the user of an ACL; None for the server's default user.
        password: the password. It is in no message and no ``repr``.
        ssl: whether the connection is encrypted with TLS.
        namespace: what every key begins with, followed by a colon.
        serializer: how values become bytes: one from :mod:`cachine.serializers` (None for
            :class:`~cachine.serializers.ExactSerializer`), or any object with ``dumps`` and
            ``loads``.
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, in place of host, port, db and
            username; a password may be given beside it.
        unix_socket_path: the path of the server's socket, in place of host and port.
        ssl_ca_certs: a file of PEM certificates to trust; None for those of the system.
        ssl_certfile: a file with this client's certificate.
        ssl_keyfile: a file with its key.
        ssl_verify: whether the server's certificate is checked. False lets anyone in between read
            and change everything.
        timeout: seconds (0.001 to 86400) or a timedelta that an operation may take in all,
            connecting included; 1.0 if None.
        connect_timeout: the most of it that connecting may take; all of it if None.
        max_connections: the most connections that threads use at once; 50 if None.
        client: a client of redis-py (4.0 or newer) whose place, user, password and files of TLS are
            read. Its connections and its timeouts are not used.

    Raises:
        ConfigError: an option has a value that can't be, or two contradict each other.
        TypeError: an option of the wrong type.

    Times are seconds (int or float) or a timedelta. An operation raises
    :class:`~cachine.exceptions.CacheConnectionError`,
    :class:`~cachine.exceptions.CacheTimeoutError` or :class:`~cachine.exceptions.ResponseError`
    when the server can't be reached, does not answer in time, or refuses.

    One cache serves any number of event loops, each with a connection of its own.
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
        return await self._links.ask(self._get, key, default, serializer)

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
        await self._links.ask(self._set, key, value, ttl, tags, serializer)

    async def delete(self, key: str) -> bool:
        """Remove a key; True when a live entry was removed."""
        result: bool = await self._links.ask(self._delete, key)
        return result

    async def exists(self, key: str) -> bool:
        """Whether a key has a live entry."""
        result: bool = await self._links.ask(self._exists, key)
        return result

    async def clear(self, *, dangerously_clear_all: bool = False) -> None:
        """Remove every entry of this namespace and of those inside it.

        Raises:
            ConfigError: there is no namespace, so everything in the database would go, and
                ``dangerously_clear_all`` is not given.
        """
        await self._links.ask(self._clear, dangerously_clear_all)

    async def ttl(self, key: str) -> int | None:
        """Return the seconds that a key has left, rounded up, or None."""
        result: int | None = await self._links.ask(self._ttl, key)
        return result

    async def expire(self, key: str, ttl: Span) -> bool:
        """Give a live entry a new life of ttl seconds; True when there was one."""
        result: bool = await self._links.ask(self._expire, key, ttl)
        return result

    async def expire_at(self, key: str, when: datetime | float) -> bool:
        """Let a live entry end at a time; True when there was one."""
        result: bool = await self._links.ask(self._expire_at, key, when)
        return result

    async def persist(self, key: str) -> bool:
        """Let a live entry live for ever; True when it had an end."""
        result: bool = await self._links.ask(self._persist, key)
        return result

    async def touch(self, key: str, ttl: TTL = None) -> bool:
        """Count as a use of a live entry, and renew its ttl if one is given."""
        result: bool = await self._links.ask(self._touch, key, ttl)
        return result

    async def incr(self, key: str, delta: int = 1, ttl_on_create: TTL = None) -> int:
        """Add to a counter and return the new number."""
        result: int = await self._links.ask(self._incr, key, delta, ttl_on_create)
        return result

    async def decr(self, key: str, delta: int = 1, ttl_on_create: TTL = None) -> int:
        """Subtract from a counter and return the new number."""
        result: int = await self._links.ask(self._decr, key, delta, ttl_on_create)
        return result

    async def add_tags(self, key: str, tags: Strings) -> bool:
        """Add tags to a live entry; True when there was one."""
        result: bool = await self._links.ask(self._add_tags, key, tags)
        return result

    async def invalidate_tags(self, tags: Strings) -> int:
        """Remove every entry that has one of the tags; how many live ones there were."""
        result: int = await self._links.ask(self._invalidate_tags, tags)
        return result

    async def get_or_set(
        self,
        key: str,
        factory: Callable[[], Awaitable[V]] | Callable[[], V] | V,
        ttl: TTL = None,
        **options: Unpack[FillOptions],
    ) -> V:
        """Return the value of a key, or compute, store and return it.

        At most one computation of a key runs at a time; everybody else waits for its result. When
        the server can't be used, the value is computed and returned all the same, and that is
        logged.

        Args:
            key: the key.
            factory: a coroutine function, a callable without arguments, or the value itself.
            ttl: seconds or a timedelta; None for ever.
            options: ``condition``, ``cache_none``, ``jitter``, ``stale_ttl``, ``tags`` and
                ``tags_from_result``, as in :func:`cachine.cached`.
        """
        if options:
            check_names(options)
        remote, call = self._filling(key, {**options, "ttl": ttl})
        make = factory if callable(factory) else constant(factory)
        value: V = await remote.read_async(call, remote.plan, make, (), {}, True)
        return value

    async def get_many(self, keys: Strings) -> dict[str, V]:
        """Return the values of those keys that have one, in the order of the keys."""
        found: dict[str, V] = await self._links.ask(self._get_many, checked(self, keys, "get_many"))
        return found

    async def set_many(self, mapping: Mapping[str, V], ttl: TTL = None) -> None:
        """Store several values: none when one of the keys is no key or a value can't be kept."""
        await self._links.ask(self._set_many, items_of(self, mapping), ttl)

    async def delete_many(self, keys: Strings) -> int:
        """Remove several keys; how many live entries there were."""
        gone: int = await self._links.ask(self._delete_many, checked(self, keys, "delete_many"))
        return gone

    def lock(self, name: str, ttl: Span = 30, timeout: TTL = None) -> AsyncLock:
        """Return a lock of this name: one at a time is inside its ``async with`` block.

        It holds for every program that uses this server and database.

        Args:
            name: its name, within the namespace of this cache. It is no key: ``clear`` spares it.
            ttl: seconds or a timedelta, above 0. When the process dies, the lock is free after so
                long; as long as the process lives, it is renewed.
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
        try:
            return self._told({"latency_ms": await self._links.ask(self._ping)})
        except Exception as error:
            return self._told({"healthy": False, "error": str(error)})

    async def ping_ok(self) -> bool:
        """Whether the cache can be used."""
        return bool((await self.ping())["healthy"])

    async def close(self) -> None:
        """End the use of this cache, and its connections unless it is a view."""
        if self._close() and self._loops:
            await self._loops[0].aclose()

    async def _clear_function(self, prefix: str) -> None:
        await self._links.ask(self._clear_prefix, prefix)

    async def __aenter__(self) -> Self:
        self._check_open("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
