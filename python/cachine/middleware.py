"""Compression, encryption and measurement around any cache of this package.

A wrapped cache is a cache of the same kind, with every operation, that shares the store of the one
it wraps. Wrapping builds one flat list of steps in the engine: a value is serialized, compressed,
encrypted and stored, in this order, however the wrappers were stacked, and a call costs no more
than one crossing into the engine.

>>> from cachine import InMemoryCache
>>> cache = EncryptionMiddleware(InMemoryCache(), key=EncryptionMiddleware.generate_key())
>>> cache.set("card", {"number": "4111 1111 1111 1111"})
>>> cache.get("card")
{'number': '4111 1111 1111 1111'}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachine import _core

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import overload

    from typing_extensions import Self

    from cachine._types import V
    from cachine.backends.inmemory import AsyncInMemoryCache, InMemoryCache
    from cachine.backends.redis.async_ import AsyncRedisCache
    from cachine.backends.redis.sync import RedisCache

__all__ = ["CompressionMiddleware", "EncryptionMiddleware", "MetricsMiddleware"]

#: A key with fewer characters than this is worth a warning.
_SHORT_KEY = 16


class _Middleware:
    """What all of them are: a cache of the kind of the wrapped one, with one step more."""

    _wrapped: Any
    _options: str

    def __new__(cls, cache: Any = None, *_args: Any, **_kwargs: Any) -> Any:
        kind = _wrapper(cls, cache)
        return (_core.Memory if issubclass(kind, _core.Memory) else _core.Remote).__new__(kind)

    if TYPE_CHECKING:
        # Those below are hidden from checkers, which would look at them and not at __new__.
        def __init__(self, cache: Any, *_args: Any, **_kwargs: Any) -> None: ...

    def _wrap_cache(
        self,
        cache: Any,
        step: _core.CompressionStep | _core.EncryptionStep | None,
        options: str = "",
    ) -> None:
        # Past whatever a subclass makes of it.
        base: Any = _core.Memory if isinstance(cache, _core.Memory) else _core.Remote
        base._wrap(self, cache, step)
        self.__dict__.update(cache.__dict__)
        self._wrapped = cache
        self._options = options

    @property
    def wrapped(self) -> Any:
        """The cache that this one wraps."""
        return self._wrapped

    def with_namespace(self, namespace: str) -> Self:
        """Return a view on the same store, with the same steps, in a namespace inside this one."""
        view: Self = super().with_namespace(namespace)  # type: ignore[misc]
        view._wrapped = self._wrapped.with_namespace(namespace)
        return view

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            return f"{name}({self._wrapped!r}{self._options})"
        except AttributeError:
            return f"{name}(not initialised)"


def _wrapper(middleware: type, cache: Any) -> type:
    """The class of a middleware around this kind of cache, made once for each pair."""
    if not isinstance(cache, (_core.Memory, _core.Remote)):
        if isinstance(cache, type):
            raise TypeError(
                f"{middleware.__name__} wraps a cache, not a class: write {cache.__name__}()"
            )
        raise TypeError(
            f"{middleware.__name__} wraps a cache of this package, such as InMemoryCache(), not "
            f"{type(cache).__name__}"
        )
    kind: Any = type(cache)
    plain: Any = kind.__dict__.get("_plain_class", kind)
    made: dict[type, type] = plain.__dict__.get("_wrapper_classes", {})
    if middleware not in made:
        names = {
            "__module__": middleware.__module__,
            "__qualname__": middleware.__qualname__,
            "__doc__": middleware.__doc__,
            "_plain_class": plain,
        }
        wrapper = type(middleware.__name__, (middleware, plain), names)
        # On the class, so that the two go together when nobody needs them any more.
        plain._wrapper_classes = {**made, middleware: wrapper}
        return wrapper
    return made[middleware]


class MetricsMiddleware(_Middleware):
    """Counts and times what goes through it; ``get_stats()`` tells.

    Every cache counts; this one counts only what goes through it, and times every read instead of
    a sample. The cache that it wraps counts the same calls too.

    Args:
        cache: the cache to measure.

    Raises:
        TypeError: ``cache`` is no cache of this package.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(cls, cache: InMemoryCache[V]) -> _MeasuredInMemory[V]: ...
        @overload
        def __new__(cls, cache: AsyncInMemoryCache[V]) -> _MeasuredAsyncInMemory[V]: ...
        @overload
        def __new__(cls, cache: RedisCache[V]) -> _MeasuredRedis[V]: ...
        @overload
        def __new__(cls, cache: AsyncRedisCache[V]) -> _MeasuredAsyncRedis[V]: ...
        def __new__(cls, cache: Any, *_args: Any, **_kwargs: Any) -> Any: ...

    if not TYPE_CHECKING:

        def __init__(self, cache: Any) -> None:
            self._wrap_cache(cache, None)


class CompressionMiddleware(_Middleware):
    """Compresses what is stored.

    A value becomes bytes by the serializer of the cache (or of the call; else
    :class:`~cachine.serializers.ExactSerializer`), and those are compressed. What would not become
    smaller is stored as it is.

    Args:
        cache: the cache to wrap.
        algorithm: ``"gzip"``, ``"zlib"``, ``"zstd"`` or ``"lz4"``.
        level: how hard to try: 0 to 9 for gzip and zlib (6 if None), 1 to 22 for zstd (3 if None);
            lz4 has no levels. Levels of zstd above 9 are slow, and not always smaller.
        min_size: bytes; smaller values stay as they are.
        max_decompressed_size: bytes; what would become larger is neither stored nor read, so that a
            small value can't fill the memory.

    Raises:
        ConfigError: an unknown algorithm or level, or a cache that compresses already.
        TypeError: ``cache`` is no cache of this package, or an option has the wrong type.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            cache: InMemoryCache[V],
            algorithm: str = "gzip",
            level: int | None = None,
            min_size: int = 1024,
            *,
            max_decompressed_size: int = 64 * 1024 * 1024,
        ) -> _CompressedInMemory[V]: ...
        @overload
        def __new__(
            cls,
            cache: AsyncInMemoryCache[V],
            algorithm: str = "gzip",
            level: int | None = None,
            min_size: int = 1024,
            *,
            max_decompressed_size: int = 64 * 1024 * 1024,
        ) -> _CompressedAsyncInMemory[V]: ...
        @overload
        def __new__(
            cls,
            cache: RedisCache[V],
            algorithm: str = "gzip",
            level: int | None = None,
            min_size: int = 1024,
            *,
            max_decompressed_size: int = 64 * 1024 * 1024,
        ) -> _CompressedRedis[V]: ...
        @overload
        def __new__(
            cls,
            cache: AsyncRedisCache[V],
            algorithm: str = "gzip",
            level: int | None = None,
            min_size: int = 1024,
            *,
            max_decompressed_size: int = 64 * 1024 * 1024,
        ) -> _CompressedAsyncRedis[V]: ...
        def __new__(cls, cache: Any, *_args: Any, **_kwargs: Any) -> Any: ...

    if not TYPE_CHECKING:

        def __init__(
            self,
            cache: Any,
            algorithm: str = "gzip",
            level: int | None = None,
            min_size: int = 1024,
            *,
            max_decompressed_size: int = 64 * 1024 * 1024,
        ) -> None:
            from cachine.exceptions import ConfigError

            if not isinstance(algorithm, str):
                raise TypeError(f"algorithm must be a str, not {type(algorithm).__name__}")
            if level is not None:
                _checked_int("level", level)
                if not -1000 < level < 1000:
                    raise ConfigError(
                        f"level={level}: levels are 0 to 9 for gzip and zlib, 1 to 22 for zstd"
                    )
            _checked_size("min_size", min_size, 0)
            _checked_size("max_decompressed_size", max_decompressed_size, 1)
            step = _core.CompressionStep(algorithm, level, min_size, max_decompressed_size)
            self._wrap_cache(cache, step, f", algorithm={algorithm!r}")


class EncryptionMiddleware(_Middleware):
    """Encrypts what is stored, and refuses what was changed.

    XChaCha20-Poly1305 with a random nonce for each value, and a key derived from yours with
    HKDF-SHA256 (RFC 5869). A value opens only under the key of the cache that it was stored under:
    one that was copied to another place, or changed in a single bit, raises
    :class:`~cachine.exceptions.IntegrityError`. Keys, tags, times and counters stay readable for
    whoever can read the store.

    Args:
        cache: the cache to wrap.
        key: any string; :meth:`generate_key` makes a good one.
        key_id: the name of the key, stored beside each value.
        old_keys: the names and keys that are still read; values are written with ``key`` only.
        counters: ``"allow"``: what ``incr`` makes is stored and read unencrypted, since the store
            itself adds; ``"refuse"``: there are no counters, and nothing unencrypted is read.

    Raises:
        ConfigError: an empty key, a ``key_id`` that is empty, too long or in ``old_keys`` too, a
            cache that encrypts already.
        TypeError: ``cache`` is no cache of this package, or an option has the wrong type.

    A key of fewer than 16 characters is taken with a warning.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            cache: InMemoryCache[V],
            key: str,
            *,
            key_id: str = "v1",
            old_keys: Mapping[str, str] | None = None,
            counters: str = "allow",
        ) -> _EncryptedInMemory[V]: ...
        @overload
        def __new__(
            cls,
            cache: AsyncInMemoryCache[V],
            key: str,
            *,
            key_id: str = "v1",
            old_keys: Mapping[str, str] | None = None,
            counters: str = "allow",
        ) -> _EncryptedAsyncInMemory[V]: ...
        @overload
        def __new__(
            cls,
            cache: RedisCache[V],
            key: str,
            *,
            key_id: str = "v1",
            old_keys: Mapping[str, str] | None = None,
            counters: str = "allow",
        ) -> _EncryptedRedis[V]: ...
        @overload
        def __new__(
            cls,
            cache: AsyncRedisCache[V],
            key: str,
            *,
            key_id: str = "v1",
            old_keys: Mapping[str, str] | None = None,
            counters: str = "allow",
        ) -> _EncryptedAsyncRedis[V]: ...
        def __new__(cls, cache: Any, *_args: Any, **_kwargs: Any) -> Any: ...

    if not TYPE_CHECKING:

        def __init__(
            self,
            cache: Any,
            key: str,
            *,
            key_id: str = "v1",
            old_keys: Mapping[str, str] | None = None,
            counters: str = "allow",
        ) -> None:
            from cachine.exceptions import ConfigError

            if counters not in ("allow", "refuse"):
                raise ConfigError(f"counters={counters!r}: accepted are 'allow' and 'refuse'")
            if old_keys is not None and not hasattr(old_keys, "keys"):
                kind = type(old_keys).__name__
                raise TypeError(f"old_keys must be a mapping of names to keys, not {kind}")
            old = dict(old_keys or {})
            for name, text in [("key", key), *((f"old_keys[{each!r}]", old[each]) for each in old)]:
                _checked_key(name, text)
            for each in [key_id, *old]:
                if not isinstance(each, str):
                    raise TypeError(f"key_id must be a str, not {type(each).__name__}")
                _checked_text("key_id", each)
            if key_id in old:
                raise ConfigError(
                    f"key_id={key_id!r} is in old_keys too: give the new key a name of its own"
                )
            step = _core.EncryptionStep(key, key_id, old, counters == "refuse")
            self._wrap_cache(cache, step, f", key_id={key_id!r}")

    @staticmethod
    def generate_key() -> str:
        """Return a new random key: 32 bytes in the alphabet of URLs (RFC 4648)."""
        return _core.generate_key()


def _checked_int(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")


def _checked_size(name: str, value: Any, least: int) -> None:
    from cachine.exceptions import ConfigError

    _checked_int(name, value)
    if not least <= value < 2**63:
        raise ConfigError(f"{name}={value}: give a number of bytes, at least {least}")


def _checked_text(name: str, text: str) -> None:
    from cachine.exceptions import ConfigError

    try:
        text.encode()
    except UnicodeEncodeError:
        # Not from it: it holds the text.
        raise ConfigError(f"{name} has an unpaired surrogate: give other characters") from None


def _checked_key(name: str, key: Any) -> None:
    if not isinstance(key, str):
        hint = ": give key.hex()" if isinstance(key, (bytes, bytearray)) else ""
        raise TypeError(f"{name} must be a str, not {type(key).__name__}{hint}")
    _checked_text(name, key)
    if not key:
        from cachine.exceptions import ConfigError

        raise ConfigError(f"{name} is empty: EncryptionMiddleware.generate_key() makes a good one")
    if len(key) < _SHORT_KEY:
        import warnings

        warnings.warn(
            f"{name} has only {len(key)} characters and may be guessed: use "
            "EncryptionMiddleware.generate_key()",
            stacklevel=3,
        )


if TYPE_CHECKING:
    # What wrapping gives, for checkers: at run time the classes are made for the kind of cache.
    class _MeasuredInMemory(MetricsMiddleware, InMemoryCache[V]): ...
    class _MeasuredAsyncInMemory(MetricsMiddleware, AsyncInMemoryCache[V]): ...
    class _MeasuredRedis(MetricsMiddleware, RedisCache[V]): ...
    class _MeasuredAsyncRedis(MetricsMiddleware, AsyncRedisCache[V]): ...
    class _CompressedInMemory(CompressionMiddleware, InMemoryCache[V]): ...
    class _CompressedAsyncInMemory(CompressionMiddleware, AsyncInMemoryCache[V]): ...
    class _CompressedRedis(CompressionMiddleware, RedisCache[V]): ...
    class _CompressedAsyncRedis(CompressionMiddleware, AsyncRedisCache[V]): ...
    class _EncryptedInMemory(EncryptionMiddleware, InMemoryCache[V]): ...
    class _EncryptedAsyncInMemory(EncryptionMiddleware, AsyncInMemoryCache[V]): ...
    class _EncryptedRedis(EncryptionMiddleware, RedisCache[V]): ...
    class _EncryptedAsyncRedis(EncryptionMiddleware, AsyncRedisCache[V]): ...
