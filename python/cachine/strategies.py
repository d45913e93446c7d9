"""Who leaves when a bounded cache is full.

A strategy is only a choice: pass one as ``InMemoryCache(max_size=…, eviction_policy=…)``. The
order itself is kept in the engine, exact, at constant cost a call.
"""

from __future__ import annotations

__all__ = ["FIFOEviction", "LFUEviction", "LRUEviction"]


class _Eviction:
    """A choice that is told to the engine by name."""

    __slots__ = ()
    _eviction = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class LRUEviction(_Eviction):
    """The least recently used entry leaves. Exact, and the default."""

    __slots__ = ()
    _eviction = "lru"


class LFUEviction(_Eviction):
    """The least frequently used entry leaves, among equals the least recently used.

    Old favourites stay long after their time: where popularity moves, it keeps fewer useful
    entries than LRU. Shah, Mitra and Matani, "An O(1) algorithm for implementing the LFU cache
    eviction scheme", 2010.
    """

    __slots__ = ()
    _eviction = "lfu"


class FIFOEviction(_Eviction):
    """The oldest entry leaves; neither reads nor overwrites make one younger."""

    __slots__ = ()
    _eviction = "fifo"
