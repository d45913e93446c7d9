"""What checkers know of Cachine beside its classes. There is no such module at run time.

A decorated function is described here, and not where it is made, since it is made in the engine.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Generic, Protocol, TypedDict, final, overload, type_check_only

from typing_extensions import Concatenate, ParamSpec, Self, TypeAlias, TypeVar

from cachine._function import CacheInfo

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
#: What a cache keeps: anything, unless it is said.
V = TypeVar("V", default=Any)
#: What the caller gives for a value that is missing.
D = TypeVar("D")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)
_S = TypeVar("_S")
_C = TypeVar("_C", bound=type[Any])

#: A length of time: seconds or a timedelta.
Span: TypeAlias = float | timedelta
#: The same where there may be none: for ever.
TTL: TypeAlias = Span | None

@final
@type_check_only
class _Nobody: ...  # Nothing is one, so a function that takes one takes anything.

@type_check_only
class _Strings(Protocol):
    # Whatever gives strings and is not itself one: ``in`` takes anything here, but not in a str.
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, item: object, /) -> bool: ...

#: Several strings, of keys or tags. Not one: it would be taken for its letters.
Strings: TypeAlias = _Strings | Iterator[str]

# A callable that is called as the decorated function is. One type would do for functions, but
# pyright knows the parameters of a lambda only where their number is known.
@type_check_only
class _Call1(Protocol[_R_co]):
    def __call__(self, a: Any, /, *args: Any, **kwargs: Any) -> _R_co: ...

@type_check_only
class _Call2(Protocol[_R_co]):
    def __call__(self, a: Any, b: Any, /, *args: Any, **kwargs: Any) -> _R_co: ...

@type_check_only
class _Call3(Protocol[_R_co]):
    def __call__(self, a: Any, b: Any, c: Any, /, *args: Any, **kwargs: Any) -> _R_co: ...

@type_check_only
class _Call4(Protocol[_R_co]):
    def __call__(
        self, a: Any, b: Any, c: Any, d: Any, /, *args: Any, **kwargs: Any
    ) -> _R_co: ...

_FromCall: TypeAlias = _Call4[_R] | _Call3[_R] | _Call2[_R] | _Call1[_R] | Callable[..., _R]

#: The tags of the results of a function: always the same, or from the arguments of the call.
Tags: TypeAlias = Strings | _FromCall[Strings | None]
#: The key of a call: a template, or a callable that may take a KeyContext first.
KeyBuilder: TypeAlias = str | _FromCall[str]

@type_check_only
class Cache(Protocol):
    """What :func:`cachine.cached` needs of a cache: the two methods it calls."""

    def get(self, key: str, default: Any, /) -> object: ...
    # What it returns tells a synchronous cache from an asynchronous one.
    def set(self, key: str, value: Any, /) -> str | bytes | float | None: ...

@type_check_only
class AsyncCache(Protocol):
    """The same of a cache whose methods are coroutine functions."""

    def get(self, key: str, default: Any, /) -> Awaitable[Any]: ...
    def set(self, key: str, value: Any, /) -> Awaitable[Any]: ...

@type_check_only
class Serializer(Protocol):
    """What turns values into bytes and back."""

    def dumps(self, value: Any, /) -> Any: ...
    def loads(self, data: bytes, /) -> Any: ...

@type_check_only
class FillOptions(TypedDict, total=False):
    """The options of ``get_or_set``, as in :func:`cachine.cached`."""

    condition: Callable[[Any], object] | None
    cache_none: bool
    jitter: TTL
    stale_ttl: TTL
    tags: Strings | Callable[[], Strings | None] | None
    tags_from_result: Callable[[Any], Strings | None] | None

@type_check_only
class Decorator(Protocol):
    """What :func:`cachine.cached` returns for a synchronous cache."""

    def __call__(self, function: Callable[_P, _R], /) -> CachedFunction[_P, _R]: ...

@type_check_only
class AsyncDecorator(Protocol):
    """What it returns for an asynchronous cache, which only a coroutine function can wait for."""

    def __call__(
        self, function: Callable[_P, Coroutine[Any, Any, _R]], /
    ) -> AsyncCachedFunction[_P, _R]: ...

@type_check_only
class _Cached(Generic[_P, _R_co]):
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    def cache_info(self) -> CacheInfo:
        """Return how often the function was answered from the cache."""

    def cache_clear(self) -> None:
        """Remove every stored result of this function, and start its counters at zero."""

    def cache_key(self, *args: _P.args, **kwargs: _P.kwargs) -> str:
        """Return the key of a call, without the namespace of the cache."""

    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Remove the stored result of one call; True when there was one."""

    def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """Compute one call anew, store the result and return it."""

@type_check_only
class CachedMethod(_Cached[_P, _R_co]):
    """A cached method with its instance, or a class method with its class."""

    @property
    def __self__(self) -> Any: ...
    @property
    def __func__(self) -> CachedFunction[..., _R_co]: ...
    @property
    def __wrapped__(self) -> Callable[..., _R_co]: ...

@type_check_only
class CachedFunction(_Cached[_P, _R_co]):
    """A function that a synchronous cache stands before."""

    @property
    def __wrapped__(self) -> Callable[_P, _R_co]: ...
    # What __get__ binds is told by the first parameter. In a static method that takes anything,
    # read from its class, nothing; mypy minds that most functions do not fit this first form.
    @overload
    def __get__(  # type: ignore[misc]
        self: Callable[Concatenate[_Nobody, _Q], _R], instance: None, owner: type, /
    ) -> CachedFunction[_P, _R_co]: ...
    # In a class method, the class it was read from.
    @overload
    def __get__(
        self: Callable[Concatenate[_C, _Q], _R], instance: object, owner: _C, /
    ) -> CachedMethod[_Q, _R]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Callable[Concatenate[_S, _Q], _R], instance: _S, owner: type | None = None, /
    ) -> CachedMethod[_Q, _R]: ...
    # In a static method, nothing: what it takes first is not what it was read from.
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...

@type_check_only
class _AsyncCached(Generic[_P, _R_co]):
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    async def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...
    def cache_info(self) -> CacheInfo:
        """Return how often the function was answered from the cache."""

    async def cache_clear(self) -> None:
        """Remove every stored result of this function, and start its counters at zero."""

    def cache_key(self, *args: _P.args, **kwargs: _P.kwargs) -> str:
        """Return the key of a call, without the namespace of the cache."""

    async def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Remove the stored result of one call; True when there was one."""

    async def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """Compute one call anew, store the result and return it."""

@type_check_only
class AsyncCachedMethod(_AsyncCached[_P, _R_co]):
    """A cached method with its instance, or a class method with its class."""

    @property
    def __self__(self) -> Any: ...
    @property
    def __func__(self) -> AsyncCachedFunction[..., _R_co]: ...
    @property
    def __wrapped__(self) -> Callable[..., Coroutine[Any, Any, _R_co]]: ...

@type_check_only
class AsyncCachedFunction(_AsyncCached[_P, _R_co]):
    """A coroutine function that an asynchronous cache stands before."""

    @property
    def __wrapped__(self) -> Callable[_P, Coroutine[Any, Any, _R_co]]: ...
    # As in CachedFunction.
    @overload
    def __get__(  # type: ignore[misc]
        self: Callable[Concatenate[_Nobody, _Q], Coroutine[Any, Any, _R]],
        instance: None,
        owner: type,
        /,
    ) -> AsyncCachedFunction[_P, _R_co]: ...
    @overload
    def __get__(
        self: Callable[Concatenate[_C, _Q], Coroutine[Any, Any, _R]], instance: object, owner: _C, /
    ) -> AsyncCachedMethod[_Q, _R]: ...
    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: Callable[Concatenate[_S, _Q], Coroutine[Any, Any, _R]],
        instance: _S,
        owner: type | None = None,
        /,
    ) -> AsyncCachedMethod[_Q, _R]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...
