"""What a cached function offers beside being called.

The engine makes the type (a hit has to be answered in a slot of it); its methods stand here, in a
class that it inherits from.
"""

from __future__ import annotations

import sys
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from cachine import _core

if TYPE_CHECKING:
    from cachine.decorators.cached import Decorated


class CacheInfo(NamedTuple):
    """What was counted for one function; the first four as in :func:`functools.lru_cache`."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int
    stale: int
    coalesced: int
    errors: int


class FunctionSurface:
    """The methods of a cached function."""

    __slots__ = ()

    _core: _core.FunctionCore
    _decorated: Decorated

    def cache_info(self) -> CacheInfo:
        """Return how often the function was answered from the cache.

        ``misses`` counts calls that found nothing; ``coalesced`` of them waited for the
        computation of another call instead of starting their own.
        """
        hits, misses, stale, coalesced, errors, entries = self._decorated.counts()
        size = self._decorated.max_size()
        return CacheInfo(hits, misses, size, entries, stale, coalesced, errors)

    def cache_clear(self) -> Any:
        """Remove every stored result of this function, and start its counters at zero."""
        return self._decorated.clear(self)

    def cache_key(self, *args: Any, **kwargs: Any) -> str:
        """Return the key of a call, without the namespace of the cache.

        Raises:
            TypeError: the arguments do not fit the function.
            UnkeyableArgumentError: an argument can't be part of a key.
        """
        return self._decorated.key(self, args, kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> Any:
        """Remove the stored result of one call; True when there was one."""
        return self._decorated.invalidate(self, args, kwargs)

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Compute one call anew, store the result and return it."""
        return self._decorated.refresh(self, args, kwargs)

    def __set_name__(self, owner: type, name: str) -> None:
        self._core.set_method(True)

    def __repr__(self) -> str:
        return f"<cached {self._decorated.function!r}>"

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[attr-defined, no-any-return]

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: object) -> Any:
        return self

    if sys.version_info < (3, 10):

        @property  # type: ignore[misc]
        def __class__(self) -> type:  # noqa: D105
            # inspect.iscoroutinefunction asks isinstance(f, FunctionType) there, and only there.
            return FunctionType if self._decorated.kind.is_coroutine else type(self)


#: What takes the arguments of a call, and so the instance first.
_OF_A_CALL = frozenset({"cache_key", "invalidate", "refresh"})


def _of_function(name: str, bound: BoundCachedFunction) -> Any:
    return getattr(bound.__func__, name)


class BoundCachedFunction:
    """A cached method with its instance: calls and management both know ``self``."""

    __slots__ = ("__func__", "__self__", "__weakref__")

    def __init__(self, function: Any, instance: Any) -> None:
        self.__func__ = function
        self.__self__ = instance

    # What inspect and its users ask about a method has the same answers here.
    __class__ = property(lambda _: MethodType)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__func__, name)
        return MethodType(found, self.__self__) if name in _OF_A_CALL else found

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is BoundCachedFunction
            and self.__func__ is other.__func__
            and self.__self__ is other.__self__
        )

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __repr__(self) -> str:
        return f"<bound {self.__func__!r} of {self.__self__!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def __deepcopy__(self, memo: Any) -> Any:
        from copy import deepcopy

        return BoundCachedFunction(self.__func__, deepcopy(self.__self__, memo))


# Of the function and not of this class, as it is for every method.
for _name in ("__doc__", "__module__"):
    setattr(BoundCachedFunction, _name, property(partial(_of_function, _name)))


CachedFunction = _core.function_type(FunctionSurface, BoundCachedFunction)
