"""Locks with a name, given by a cache: one holder at a time, in a process or on any number of hosts.

>>> from cachine import InMemoryCache
>>> cache = InMemoryCache()
>>> with cache.lock("report", timeout=5) as lock:
...     lock.lost
False

=============================  =================================================================
a cache in memory              holds for the threads, tasks and event loops of this process
a cache in Redis               holds for every program that uses the same server and database
``ttl``                        what becomes of a lock whose process dies: it is free after so
                               long; as long as the process lives, it is renewed at a third of it
``timeout``                    how long entering waits, the queue in this process included: None
                               without end, 0 for one try
:attr:`~Lock.token`            a number that grows with each holder. Send it along with what you
                               write, and let the store refuse a smaller one than it has seen: that
                               is safe even where a holder was frozen and has lost the lock
:attr:`~Lock.lost`             whether that has happened, as far as this process can know
=============================  =================================================================

A lock is not reentrant: who holds it and enters it again gets a RuntimeError. One object may be
used by any number of threads or tasks, at once and one after the other.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cachine import _core, _renewal
from cachine._lock import Base, Entry
from cachine._steps import run, run_async
from cachine._turns import running
from cachine.exceptions import CacheError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["AsyncLock", "Lock"]


class Lock(_core.Leaving, Base):
    """A lock for threads; made by the ``lock`` of a cache."""

    _patient = (Exception, SystemExit, GeneratorExit)

    def __enter__(self) -> Self:
        """Wait until the lock is free, and hold it.

        Raises:
            CacheTimeoutError: it was not free within ``timeout``; try again later. Also, and so is
                CacheConnectionError, for a server that does not answer: at once, whatever the
                ``timeout`` of the lock.
            ClosedError: the cache was closed.
            RuntimeError: this thread holds it already.
        """
        entry = Entry()
        try:
            run(self._entering(entry))
        except BaseException:
            try:
                self._give_up(entry)
            except BaseException:
                self._give_up(entry)  # A signal struck it: nobody else would ever do it.
                raise
            raise
        return self

    def _exit(self, error: BaseException | None, _: TracebackType | None) -> None:
        # Called by what `with` calls, which leaves once more if a signal strikes here.
        try:
            run(self._leaving(error))
        finally:
            self._leave()

    def _begin(self, give_back: Any) -> None:
        _renewal.tell(self._server, give_back)


class AsyncLock(Base):
    """A lock for tasks; made by the ``lock`` of an asynchronous cache.

    A task that waits occupies no thread, and one that is cancelled leaves nothing behind.
    """

    async def __aenter__(self) -> Self:
        """Wait until the lock is free, and hold it.

        Raises:
            CacheTimeoutError: it was not free within ``timeout``; try again later. Also, and so is
                CacheConnectionError, for a server that does not answer: at once, whatever the
                ``timeout`` of the lock.
            ClosedError: the cache was closed.
            RuntimeError: this task holds it already.
        """
        entry = Entry(*running())
        try:
            await run_async(self._entering(entry), self._links)
        except BaseException:
            try:
                self._give_up(entry)
            except BaseException:
                self._give_up(entry)  # A signal struck it: nobody else would ever do it.
                raise
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back.

        Raises:
            CacheTimeoutError: the lock was lost before, and ``retryable`` is False; never in the
                place of the block's own exception.
        """
        task, _ = running()
        try:
            await run_async(self._leaving(error, task), self._links)
        finally:
            try:
                self._leave(task)
            except BaseException:
                self._leave(task)
                raise

    @property
    def _links(self) -> Any:
        return None if self._locker is None else self._cache._links

    def _begin(self, give_back: Any) -> None:
        # Without its loop it ends by itself.
        with suppress(CacheError, RuntimeError):
            self._links.tell(give_back)
