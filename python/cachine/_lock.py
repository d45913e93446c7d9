"""What a lock does, for threads and for tasks: see :mod:`cachine.locks` for what it means.

Those of this process stand in one queue, that of the store that their caches share; the first one
holds a lock in memory, and asks the server for one in Redis. So a server has one client to answer
for each process and lock, however many threads and tasks wait here.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from cachine import _core, _log, _renewal
from cachine._steps import IO, KEEP, PAUSE, TURN
from cachine._turns import Place
from cachine.exceptions import CacheTimeoutError

if TYPE_CHECKING:
    from cachine._steps import Steps
    from cachine._types import TTL, Span

#: Seconds between two tries to get a lock that somebody else has: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
#: A lock is renewed so many times while it would last: two renewals may fail.
RENEWALS = 3


class _Held(_renewal.Right):
    """A lock that a server holds for this process."""

    __slots__ = ("give_back", "is_gone", "loss", "process", "since", "ttl")

    def __init__(
        self, server: str, locker: _core.Locker, hold: _core.Hold, ttl: float, since: int
    ) -> None:
        super().__init__(locker.renew, (hold,), server, ttl / RENEWALS)
        self.ttl = ttl
        #: When what the server agreed to last was asked for, by the boot time of this machine.
        self.since = since
        self.process = os.getpid()
        #: Why it is lost: what cannot be undone by an answer that comes late.
        self.loss = ""
        #: Whether the server said that it does not have it any more.
        self.is_gone = False
        #: What gives it back.
        self.give_back = partial(locker.unlock, hold)

    def why_lost(self) -> str:
        """Why somebody else may hold it; empty while nobody can."""
        if not self.loss:
            since = (_core.now() - self.since) / 1e9
            if since > self.ttl:
                self.loss = f"it could not be renewed for {since:.3g} s"
        return self.loss

    def begin(self) -> int | None:
        """The time now, unless it is lost: what is lost is never taken back."""
        if self.process != os.getpid() or self.why_lost():
            return None
        return _core.now()

    def answered(self, stands: bool, began: int) -> None:
        """The server renewed it, or did not have it any more."""
        if self.is_over:
            return  # It may have been given back meanwhile.
        if stands:
            self.since = began
        else:
            self.was_gone()

    def was_gone(self) -> None:
        """The server did not have it any more."""
        self.is_gone = True
        self.loss = self.loss or "the server did not have it any more"

    def dropped(self) -> None:
        """Its holder was collected: the next one need not wait for its end."""
        self.give_back()


class Entry(Place):
    """One entering of a lock, and what is held by it."""

    __slots__ = ("_loss", "held", "hold", "is_left", "process", "renewal", "token")

    def __init__(self, task: Any = None, loop: Any = None) -> None:
        super().__init__(task, loop)
        self.is_left = False
        #: What a server was asked for, whether it gave it or not; nothing once it was given back.
        self.hold: _core.Hold | None = None
        self.held: _Held | None = None
        self.renewal: Any = None
        self.token: int | None = None
        self.process = os.getpid()
        #: How it was when it was left.
        self._loss: str | None = None

    def why_lost(self) -> str:
        """Why somebody else may hold the lock; empty while nobody can."""
        if self._loss is not None:
            return self._loss
        if self.process != os.getpid():
            return "this process was forked from the one that holds it"
        return "" if self.held is None else self.held.why_lost()

    def lose(self) -> None:
        """Its loop was closed: let the next one take the lock."""
        if self.token is not None and not self.why_lost():
            self._loss = "its event loop was closed"
        if self.renewal is not None:
            self.renewal.end()
        super().leave()

    def leave(self) -> None:
        """Give it up here; what a server holds of it is not renewed any more."""
        super().leave()
        if self.renewal is not None:
            self.renewal.end()
        if self._loss is None and self.token is not None:
            self._loss = self.why_lost()
        self.exit()
        self.is_left = True  # Last: what a signal has torn is done once more.


class Base:
    """What both kinds of locks have: everything that waits for nobody."""

    #: What may end a block whose leaving waits for a server; everything else leaves at once.
    _patient: tuple[type[BaseException], ...] = (Exception, SystemExit)

    def __init__(self, cache: Any, name: str, ttl: Span, timeout: TTL) -> None:
        cache._check_key(name, "lock")
        self._ttl, self._timeout = _core.lock_times(ttl, timeout)
        self._name = str.__str__(name)
        self._cache = cache
        self._locker: _core.Locker | None = None
        self._queue: Any = cache
        if isinstance(cache, _core.Remote):
            self._locker = _core.Locker(cache, name, ttl)
            self._queue = cache._flights
            #: What names the server.
            self._server: str = self._cache._server.address
        #: Who is inside. More than one only where the others hold nothing: in a child process, and
        #: after a loop was closed.
        self._inside: list[Entry] = []
        self._last: Entry | None = None

    @property
    def name(self) -> str:
        """The name, without the namespace of the cache."""
        return self._name

    @property
    def token(self) -> int:
        """The fencing token of who holds the lock, or held it last through this object.

        Each time somebody gets the lock it is larger than all times before, whoever had it.

        Raises:
            RuntimeError: nobody has entered yet.
        """
        if self._last is None or self._last.token is None:
            raise RuntimeError(f"lock: {self._name!r} has no token before it was entered")
        return self._last.token

    @property
    def fence(self) -> int:
        """The same as :attr:`token`."""
        return self.token

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold the lock although its block has not ended.

        It could not be renewed in time, because the server or this process stood still, or the
        server lost it; or this is a child process of the one that holds it. Once true it stays so
        until the lock is entered anew. It is read without asking the server.
        """
        return self._last is not None and bool(self._last.why_lost())

    def __repr__(self) -> str:
        inside = [entry for entry in self._inside if not entry.is_left]
        state = "lost" if self.lost else "held" if inside else "not held"
        kind = type(self).__name__
        return f"{kind}({self._name!r}, namespace={self._cache.namespace!r}, {state})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"{type(self).__name__} can't be copied or pickled, since it is held by one process: "
            "make another one of the same name where it is needed"
        )

    # Entering.

    def _entering(self, entry: Entry) -> Steps:
        """Wait for the turn, then for the server. Whatever ends this, the caller tidies up."""
        until = inf if self._timeout is None else monotonic() + self._timeout
        self._cache._check_open("lock")
        if not entry.stand(self._queue._turn(self._name)):
            if entry.holder_is_me():
                raise self._held_twice(entry)
            if until <= monotonic() or not (yield TURN, entry, until):
                raise self._timed_out()
        entry.take()
        self._cache._check_open("lock")  # It may have been closed meanwhile.
        if self._locker is None:
            assert entry.turn is not None
            entry.token = entry.turn.next_token()
        else:
            yield from self._asking(entry, self._locker, until)
        self._last = entry
        self._inside.append(entry)
        entry.enter()

    def _asking(self, entry: Entry, locker: _core.Locker, until: float) -> Steps:
        """Ask the server again and again, until it gives the lock or time is up."""
        # There before it is asked for: whatever strikes on the way back finds what was given.
        entry.hold = hold = _core.Hold()
        pause = FIRST_PAUSE
        while True:
            began = _core.now()
            taken_for = yield IO, locker.lock, (hold,)
            if taken_for is None:
                break
            left = until - monotonic()
            if left <= 0:
                raise self._timed_out()
            length = (min(pause, taken_for) or pause) * random.uniform(0.5, 1.0)
            yield PAUSE, min(length, left)
            pause = min(pause * 2, LONGEST_PAUSE)
        entry.held = _Held(self._server, locker, hold, self._ttl, began)
        entry.renewal = yield KEEP, entry.held
        entry.token = hold.token

    def _give_up(self, entry: Entry) -> None:
        """Leave the queue, and let go of what the server may still hold. Nothing here waits."""
        hold, locker = entry.hold, self._locker
        if locker is not None and hold is not None and hold.token is not None:
            if entry.process == os.getpid():
                self._begin(partial(locker.unlock, hold))
        entry.leave()

    def _begin(self, give_back: Any) -> None:
        """Begin what nobody waits for."""
        raise NotImplementedError

    # Leaving.

    def _present(self, task: Any = None) -> Entry | None:
        """Whom an exit belongs to."""
        for entry in list(self._inside):
            if entry.is_left:
                with suppress(ValueError):  # Another thread did it.
                    self._inside.remove(entry)
        inside = list(self._inside)
        mine = [entry for entry in inside if entry.is_of(task)]
        # It may be ended elsewhere than it was begun, such as by the collector.
        found = mine or [entry for entry in inside if entry.is_stranded()] or inside
        return found[-1] if found else None

    def _leave(self, task: Any = None) -> None:
        """Leave, whatever became of giving it back."""
        entry = self._present(task)
        if entry is not None:
            self._give_up(entry)

    def _leaving(self, error: BaseException | None, task: Any = None) -> Steps:
        """Give it back to the server, and say if it was lost. The caller leaves the queue."""
        entry = self._present(task)
        if entry is None:
            if error is not None:
                return  # It says more.
            raise RuntimeError(f"lock: {self._name!r} is not held")
        if error is not None and not isinstance(error, self._patient):
            return  # Who is interrupted or cancelled does not wait for a server.
        held = entry.held
        if held is not None and entry.process == os.getpid():
            if entry.renewal is not None:
                entry.renewal.end()
            if not held.is_gone:
                yield from self._giving_back(entry, held)
        if error is None:
            loss = entry.why_lost()
            if loss:
                raise self._was_lost(loss)

    def _giving_back(self, entry: Entry, held: _Held) -> Steps:
        try:
            if not (yield IO, held.give_back, ()):
                held.was_gone()
        except Exception as trouble:
            advice = _log.said(trouble, f"it ends by itself within {self._ttl:g} s")
            _log.warn("a lock was not given back", self._name, trouble, advice)
        entry.hold = None

    # What is said.

    def _timed_out(self) -> CacheTimeoutError:
        error = CacheTimeoutError(
            f"lock: {self._name!r} was not free within {self._timeout:g} s: somebody else holds "
            "it; try again later, or give a longer timeout"
        )
        error.operation = "lock"
        return error

    def _was_lost(self, loss: str) -> CacheTimeoutError:
        error = CacheTimeoutError(
            f"lock: {self._name!r} was lost before its block ended: {loss}, so somebody else may "
            "have held it meanwhile; check .lost, and have what you write to refuse smaller tokens"
        )
        error.operation, error.retryable = "lock", False
        return error

    def _held_twice(self, entry: Entry) -> RuntimeError:
        who = "this thread" if entry.task is None else "this task"
        return RuntimeError(
            f"lock: {self._name!r} is already held by {who}: a lock of this name can't be taken "
            "twice"
        )
