"""The decorator that keeps what a function returns.

Decorating checks every option and decides how calls will be named. The first call decides where
they go: to the engine, when the cache is a memory cache of this package, or to the methods of
whatever else was given. From then on a hit never comes back here.
"""

from __future__ import annotations

import functools
from inspect import CO_COROUTINE
from typing import TYPE_CHECKING, Any

# _function makes the type of cached functions when it is imported.
from cachine import _core, _function, _log, _read_through  # noqa: F401
from cachine._kinds import (
    Callables,
    KeyContext,
    describe,
    gives_awaitable,
    identity,
    template,
)
from cachine._read_through import Plan
from cachine.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import overload

    from cachine._types import (
        TTL,
        AsyncCache,
        AsyncDecorator,
        Cache,
        Decorator,
        KeyBuilder,
        Strings,
        Tags,
    )

__all__ = ["KeyContext", "cached"]

_NO_FUNCTION = object()
_BARE = "cached needs the cache to keep results in: write @cached(cache), not @cached; "
#: What a decorated function has of its own, whatever the one below it has.
_SURFACE = ("cache_clear", "cache_info", "cache_key", "invalidate", "refresh")


if TYPE_CHECKING:

    @overload
    def cached(
        cache: Cache | Callable[[], Cache],
        ttl: TTL = None,
        key_builder: KeyBuilder | None = None,
        condition: Callable[[Any], object] | None = None,
        cache_none: bool = False,
        jitter: TTL = None,
        stale_ttl: TTL = None,
        singleflight: bool = False,
        tags: Tags | None = None,
        tags_from_result: Callable[[Any], Strings | None] | None = None,
        version: str | None = None,
    ) -> Decorator: ...
    @overload
    def cached(
        cache: AsyncCache | Callable[[], AsyncCache],
        ttl: TTL = None,
        key_builder: KeyBuilder | None = None,
        condition: Callable[[Any], object] | None = None,
        cache_none: bool = False,
        jitter: TTL = None,
        stale_ttl: TTL = None,
        singleflight: bool = False,
        tags: Tags | None = None,
        tags_from_result: Callable[[Any], Strings | None] | None = None,
        version: str | None = None,
    ) -> AsyncDecorator: ...


def cached(
    cache: Any = None,
    ttl: Any = None,
    key_builder: Any = None,
    condition: Callable[[Any], Any] | None = None,
    cache_none: bool = False,
    jitter: Any = None,
    stale_ttl: Any = None,
    singleflight: bool = False,
    tags: Any = None,
    tags_from_result: Callable[[Any], Any] | None = None,
    version: str | None = None,
) -> Callable[[Any], Any]:
    """Keep what a function returns, and answer equal calls with it.

    Args:
        cache: the cache, or a callable without arguments that returns it at the first call.
        ttl: seconds (int or float) or a timedelta for which a result is fresh; None for ever.
        key_builder: a callable ``(ctx, *args, **kwargs) -> str`` (``ctx`` is optional), or a
            template such as ``"user:{user_id}"``.
        condition: a result is stored only if this returns true for it.
        cache_none: whether None is stored.
        jitter: up to so many seconds are added to the times of each entry, at random.
        stale_ttl: the whole age, in seconds, up to which a result that is no longer fresh is still
            returned at once, while one background refresh computes it anew.
        singleflight: simultaneous equal calls share one computation, its value or its exception.
        tags: the tags of a result: an iterable of str, or a callable with the call's arguments.
        tags_from_result: a callable that returns further tags of a result.
        version: a part of every key; a new one leaves all old results behind.

    Raises:
        TypeError: an option has the wrong type, or the function is a generator.
        ConfigError: options that do not go together.
    """
    if cache is None or not (_is_cache(cache) or callable(cache)) or _is_function(cache):
        raise TypeError(_BARE + f"it got {type(cache).__name__}")
    for name, callback in (("condition", condition), ("tags_from_result", tags_from_result)):
        if callback is not None and not callable(callback):
            raise TypeError(f"{name} must be a callable or None, not {type(callback).__name__}")
    if version is not None and not isinstance(version, str):
        raise TypeError(f"version must be a str or None, not {type(version).__name__}")
    if key_builder is not None and not (isinstance(key_builder, str) or callable(key_builder)):
        kind = type(key_builder).__name__
        raise TypeError(f"key_builder must be a callable, a template (str) or None, not {kind}")
    tags = _checked_tags(tags)
    terms = _core.Terms(ttl, stale_ttl, jitter, bool(singleflight))

    def decorate(function: Any = _NO_FUNCTION) -> Any:
        if function is _NO_FUNCTION:
            # @cached on a function without parameters, taken for one that makes a cache.
            raise TypeError(_BARE + f"it got {getattr(cache, '__qualname__', cache)}()")
        if isinstance(function, classmethod):
            return _ClassMethod(decorate(function.__func__))
        if isinstance(function, staticmethod):
            plain = decorate(function.__func__)
            plain._core.set_method(False)
            return staticmethod(plain)
        kind = describe(function)
        plan = Plan(kind.name, condition, cache_none, tags, tags_from_result)
        decorated = Decorated(cache, kind, plan, terms, bool(singleflight), key_builder, version)
        if stale_ttl is not None:
            decorated.needs_engine = "stale_ttl"
        return decorated.build()

    return decorate


def _is_cache(candidate: Any) -> bool:
    if isinstance(candidate, type):
        return False
    return callable(getattr(candidate, "get", None)) and callable(getattr(candidate, "set", None))


def _is_function(candidate: Any) -> bool:
    """Whether ``@cached`` stands alone: a function with parameters can't be what makes a cache."""
    code = getattr(candidate, "__code__", None)
    if isinstance(candidate, (classmethod, staticmethod)):
        return True
    return code is not None and (
        code.co_argcount + code.co_kwonlyargcount > 0 or code.co_flags & 0x2A0 != 0
    )


def _checked_tags(tags: Any) -> Any:
    if tags is None or callable(tags):
        return tags
    if isinstance(tags, (str, bytes)):
        kind = type(tags).__name__
        raise TypeError(f"tags must be an iterable of str or a callable, not one {kind}")
    tags = list(tags)
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}")
    return tags


async def _coroutine() -> None:
    """Lends its code to what gives a coroutine without being written as one."""


class _ClassMethod(classmethod):  # type: ignore[type-arg]
    """A class method whose cached function knows the class also where Python binds it itself."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self.__func__.__get__(type(instance) if owner is None else owner)


class Decorated:
    """A function, its cache, and everything that its calls need beside the engine."""

    def __init__(
        self,
        cache: Any,
        kind: Callables,
        plan: Plan,
        terms: _core.Terms,
        singleflight: bool,
        key_builder: Any,
        version: str | None,
    ) -> None:
        self.given = cache
        self.cache: Any = None
        self.is_async: bool = False
        self.core: Any = None
        self.kind = kind
        self.function: Callable[..., Any] = kind.function
        self.plan = plan
        self.terms = terms
        self.singleflight = singleflight
        self.version = version
        self.needs_engine = ""
        self.foreign: Any = None
        self.build_key: Callable[[Any, Any], str] | None = self._key_builder(key_builder)

    def build(self) -> Any:
        """Make the object that takes the function's place."""
        kind = self.kind
        miss = self._miss_async if kind.is_coroutine else self._miss
        core = _core.FunctionCore(
            miss, kind.is_coroutine, kind.parameters, kind.name, self.version, self.terms
        )
        core.set_method(kind.is_method)
        self.core = core
        self.plan.failed = self.failed
        function: Any = _core.new_function(core)
        functools.update_wrapper(function, kind.function)
        for name in _SURFACE:
            function.__dict__.pop(name, None)
        function.__dict__.setdefault("__name__", kind.name.rpartition(".")[2])
        function.__dict__.setdefault("__qualname__", kind.name.rpartition(".")[2])
        function._decorated = self
        if kind.is_coroutine:
            # What inspect looks at to tell that calling this gives a coroutine.
            for name in ("__code__", "__defaults__", "__kwdefaults__"):
                function.__dict__[name] = getattr(kind.code_owner, name, None)
            if not getattr(function.__code__, "co_flags", 0) & CO_COROUTINE:
                function.__dict__["__code__"] = _coroutine.__code__
            function.__dict__["refresh"] = self._async_method(function, self._refresh_async)
        if _is_cache(self.given):
            self._accept(self.given, function)
        return function

    # Where the calls go.

    def _accept(self, cache: Any, function: Any) -> None:
        """Take the cache that was given, or that the callable returned."""
        if not _is_cache(cache):
            kind = type(cache).__name__
            raise TypeError(f"the callable given to cached returned {kind}, which is no cache")
        is_async = _is_async_cache(cache)
        if is_async and not self.kind.is_coroutine:
            raise TypeError(
                f"{self.plan.name} is no coroutine function, so it can't wait for the "
                "asynchronous cache that it was given: use InMemoryCache or RedisCache, or make it "
                "async def"
            )
        if _is_ours(cache, _core.Remote, "cachine.backends.redis."):
            from cachine._remote import Remote

            self.foreign = Remote(cache, self.plan, self.singleflight)
        elif not _is_ours(cache, _core.Memory, "cachine.backends.inmemory"):
            if self.needs_engine:
                raise ConfigError(
                    f"{self.needs_engine} needs a cache of this package: "
                    f"{type(cache).__name__} has its own get or set, which know nothing of it"
                )
            from cachine._foreign import Foreign

            self.foreign = Foreign(cache, self.terms, self.plan, self.singleflight)
        self.is_async = is_async
        self.cache = cache
        if is_async:
            for name, method in (("invalidate", self.invalidate), ("cache_clear", self._clear)):
                function.__dict__[name] = self._async_method(function, method)

    def _async_method(self, function: Any, method: Callable[..., Any]) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            result = method(function, args, kwargs)
            return await result if hasattr(result, "__await__") else result

        return call

    def connect(self, function: Any) -> None:
        """Decide at the first call where all calls go."""
        if self.cache is None:
            cache = self.given()
            # Of the threads that come first at once, all use what one of them was given.
            cache = self.__dict__.setdefault("_resolved", cache)
            if self.cache is None:
                self._accept(cache, function)
        foreign = self.foreign
        if foreign is None:
            types = None
            if self.cache._has_form:
                from cachine._annotations import named_types

                types = named_types(self.kind.function)
            function._core.connect(self.cache, identity(self.kind), types=types)
            return
        is_shared = not foreign.has_store
        form = foreign.form(self.kind)
        parts = identity(self.kind)
        is_first = function._core.connect(foreign.flights, parts, True, is_shared, form=form)
        if is_shared and not is_first and self.build_key is None:
            advice = "they share their entries: give one of them a version or a key_builder"
            _log.warn("two functions of one name", self.plan.name, None, advice)

    # A call that is no hit.

    def _start(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call, ready to begin; None when the function has to answer for itself."""
        core = function._core
        if not core.is_connected:
            self.connect(function)
        if self.build_key is None:
            return core.call(args, kwargs)
        key = self._built_key(args, kwargs)
        return None if key is None else core.call_named(key)

    def _built_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The key of a key builder; None when the call does not fit the function."""
        try:
            return self.build_key(args, kwargs)  # type: ignore[misc]
        except TypeError:
            try:
                self.kind.signature.bind(*args, **kwargs)
            except TypeError:
                return None
            raise

    def _miss(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        kwargs = kwargs or {}
        call = self._start(function, args, kwargs)
        if call is None:
            return self.function(*args, **kwargs)
        reader = _read_through.read if self.foreign is None else self.foreign.read
        return reader(call, self.plan, self.function, args, kwargs)

    async def _miss_async(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None
    ) -> Any:
        from cachine import _read_through_async

        kwargs = kwargs or {}
        call = self._start(function, args, kwargs)
        if call is None:
            return await self.function(*args, **kwargs)
        reader = _read_through_async.read if self.foreign is None else self.foreign.read_async
        return await reader(call, self.plan, self.function, args, kwargs, self.singleflight)

    def failed(self, error: Exception) -> None:
        """Count and log that the cache failed; the function answers itself."""
        self.core.count_error()
        _log.warn("the cache failed", self.plan.name, error, _log.said(error, "the function answers itself"))

    # Keys.

    def _key_builder(self, builder: Any) -> Callable[[Any, Any], str] | None:
        if builder is None:
            return None
        kind = self.kind
        if isinstance(builder, str):
            build = template(builder, kind)
        else:
            context = KeyContext(
                kind.module, kind.qualname, f"{kind.module}.{kind.qualname}", self.version
            )
            build = context.calls(builder)
        if self.version is None:
            return build
        suffix = f"|v:{self.version}"
        return lambda args, kwargs: build(args, kwargs) + suffix

    def key(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The key of a call, without the namespace."""
        core = function._core
        if not core.is_connected:
            self.connect(function)
        if self.build_key is None:
            key = core.key(args, kwargs)
        else:
            key = self._built_key(args, kwargs)
        if key is None:
            self.kind.signature.bind(*args, **kwargs)  # Says what does not fit.
            raise TypeError(f"{self.plan.name} takes other arguments")
        return key  # type: ignore[no-any-return]

    # Management.

    def max_size(self) -> int | None:
        """The bound of the cache behind this function."""
        return getattr(self.cache, "max_size", None)

    def counts(self) -> tuple[int, ...]:
        """(hits, misses, stale, coalesced, errors, entries) of the function."""
        hits, misses, stale, coalesced, errors, entries = self.core.counts()
        if self.foreign is not None:
            own = self.foreign.counts
            hits, misses = hits + own["hits"], misses + own["misses"]
            coalesced += own["coalesced"]
        return hits, misses, stale, coalesced, errors, entries

    def invalidate(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Remove the stored result of one call."""
        return self.target(function).delete(self.key(function, args, kwargs))

    def clear(self, function: Any) -> Any:
        """Remove all stored results of the function; to be awaited on an asynchronous cache."""
        self.target(function)
        return function.cache_clear() if self.is_async else self._clear(function)

    def _clear(self, function: Any, *_: Any) -> Any:
        cache, foreign = self.target(function), self.foreign
        done = None
        if foreign is None or foreign.has_store:
            cache._check_open("use")
            function._core.clear()
        else:
            done = foreign.clear(function._core.prefix, self.build_key is not None)
        function._core.reset_counts()
        if foreign is not None:
            foreign.reset_counts()
        return done

    def target(self, function: Any) -> Any:
        """The cache, connected."""
        if not function._core.is_connected:
            self.connect(function)
        return self.cache

    def refresh(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute one call anew and store the result."""
        call = self._start(function, args, kwargs)
        if call is None:
            return self.function(*args, **kwargs)
        if self.foreign is not None:
            return self.foreign.refresh(call, self.plan, self.function, args, kwargs)
        call.recompute()
        return _read_through.compute(call, self.plan, self.function, args, kwargs)

    async def _refresh_async(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        from cachine import _read_through_async

        call = self._start(function, args, kwargs)
        if call is None:
            return await self.function(*args, **kwargs)
        if self.foreign is not None:
            return await self.foreign.refresh_async(call, self.plan, self.function, args, kwargs)
        call.recompute()
        return await _read_through_async.compute(call, self.plan, self.function, args, kwargs)


def _is_ours(cache: Any, base: type, module: str) -> bool:
    """Whether the engine may answer for this cache: nothing of get or set was overridden."""
    if not isinstance(cache, base):
        return False
    if "get" in getattr(cache, "__dict__", ()) or "set" in getattr(cache, "__dict__", ()):
        return False
    for kind in type(cache).__mro__:
        if kind.__module__.startswith(module):
            return True
        if "get" in kind.__dict__ or "set" in kind.__dict__:
            return False
    return False


def _is_async_cache(cache: Any) -> bool:
    return gives_awaitable(cache.get)
