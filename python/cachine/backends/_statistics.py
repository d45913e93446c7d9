"""What a cache counted, for whoever asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Statistics"]

#: What the engine counts, in its order.
_COUNTED = (
    "hits",
    "misses",
    "stale",
    "coalesced",
    "sets",
    "deletes",
    "evictions",
    "errors",
    "raw_bytes",
    "compressed_bytes",
)


class Statistics:
    """The numbers of a cache."""

    if TYPE_CHECKING:

        def _counts(self) -> tuple[list[int], float, float, float]: ...
        def _reset_counts(self) -> None: ...

    def get_stats(self) -> dict[str, Any]:
        """Return what was counted through this cache.

        ======================  ==========================================================
        ``hits``, ``misses``    reads that found a value, and those that found none
        ``hit_rate``            the share of the hits, 0.0 to 1.0
        ``errors``              operations that failed, values that could not be read included
        ``avg_latency_ms``      mean milliseconds of a read; of a sample, unless the cache is
                                wrapped in a :class:`~cachine.middleware.MetricsMiddleware`
        ``sets``, ``deletes``   values written, entries deleted by key
        ``stale``               hits whose value was stale
        ``coalesced``           misses that waited for somebody else's computation
        ``evictions``           entries that had to make room
        ``raw_bytes``           bytes of serialized values written, before compression
        ``compressed_bytes``    the same after it
        ``saved_seconds``       computing time that hits and waiters of cached functions and
                                ``get_or_set`` saved, by what a computation takes on average
        ======================  ==========================================================
        """
        counts, hit_rate, latency, saved = self._counts()
        stats: dict[str, Any] = dict(zip(_COUNTED, counts))
        return {**stats, "hit_rate": hit_rate, "avg_latency_ms": latency, "saved_seconds": saved}

    def reset_stats(self) -> None:
        """Start every counter at zero."""
        self._reset_counts()
