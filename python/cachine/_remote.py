"""The way of a call whose entries are in Redis.

Look; claim the right to store; compute; store, or give the right back; and for a stale value the
same in the background. What follows what is written once, for threads and for tasks, as a generator
(see :mod:`cachine._steps`). Simultaneous calls of this process meet in a flight of the engine, in a
store that never keeps anything; those of other processes at the fill token.

A flight is sealed before its result is stored: who asks from then on looks for the entry instead
of joining, because it may have been invalidated a moment ago by somebody whom this process has not
heard of. If the token is gone by then, only the caller itself gets the value.

Callers that can't reach the server meet in a flight of their own: nobody tells them what was
invalidated, so theirs is no value for those who could be told.
"""

from __future__ import annotations

import random
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from cachine import _backoff, _core, _log, _read_through, _refresh, _renewal
from cachine._known import CUT_OFF, ELSEWHERE, Known, bare
from cachine._read_through import COMPUTE, WAIT, Plan, held, refresh_failed, ring, shareable
from cachine._steps import IO, KEEP, PAUSE, TELL, USER, Raised, run, run_async
from cachine.exceptions import CacheError, ConfigError, SerializationError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from cachine._core import Call, FillToken, OthersNone
    from cachine._steps import Steps

# What Filler.look answers.
MISSING, FRESH, STALE = range(3)
# What Filler.claim answers.
FOUND, GIVEN, HELD, UNREADABLE, NOTHING = range(5)
# What Filler.release tells those in other processes who wait: to compute, all at once; that there is None.
ALONE, NONE = range(2)

#: Seconds between two looks at a right that somebody else holds: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
#: Seconds that a computation inside another one waits at most for somebody else's: the two might
#: be waiting for each other, and then neither would ever end.
NESTED_WAIT = 5.0

#: The computations of this process that can be joined and have begun because nothing was there. Who
#: joins one is told only what was seen to be valid afterwards, so it need not look before.
_missing: dict[tuple[Any, ...], _Filling] = {}

#: The refreshes that run as tasks, which their loop holds only weakly.
_tasks: set[asyncio.Task[Any]] = set()


def forget() -> None:
    """Start afresh in a child process."""
    _tasks.clear()
    _missing.clear()
    _backoff.forget()


class Remote:
    """The way of the calls of one function, or of one ``get_or_set``."""

    #: The entries are not in a store of ours.
    has_store = False

    def __init__(self, cache: Any, plan: Plan, singleflight: bool) -> None:
        self.cache = cache
        self.plan = plan
        self.singleflight = singleflight
        self.filler = _core.Filler(cache)
        self.flights = cache._flights
        #: What names the server.
        self.server: str = cache._server.address
        #: What the engine counts for the function is all there is.
        self.counts = {"hits": 0, "misses": 0, "coalesced": 0}

    def reset_counts(self) -> None:
        """Nothing is counted here."""

    def form(self, kind: Any) -> Any:
        """How the results of a function become bytes."""
        from cachine._annotations import named_types

        return self.cache._form(named_types(kind.function))

    def clear(self, prefix: str, has_builder: bool) -> Any:
        """Remove the entries of a function, whose keys begin with the prefix."""
        if has_builder:
            raise ConfigError(
                f"cache_clear: the keys of {self.plan.name} come from a key_builder, so nothing "
                "tells which entries are its own: give it tags, and invalidate those"
            )
        return self.cache._clear_function(prefix)

    def read(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return the value of a call."""
        filling = _Filling(self, call)
        try:
            if filling.is_known_missing():
                state, value = MISSING, None
            else:
                state, value = self.filler.look(call, filling.expected_tags(args, kwargs))
        except CacheError as error:
            filling.cut_off(error)
        else:
            if state == FRESH:
                return value
            if state == STALE:
                self._refresh_on_thread(filling, function, args, kwargs)
                return value
            filling.missed(value)

        def computed(*args: Any, **kwargs: Any) -> Any:
            return run(filling.steps(function, args, kwargs))

        if not filling.is_cut_off:
            value = _read_through.read(call, filling, computed, args, kwargs)
            if value is not CUT_OFF:
                return bare(value)
        return _read_through.read(*self._alone(call), function, args, kwargs)

    async def read_async(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        shared: bool,
    ) -> Any:
        """Return the value of a call, awaiting the server."""
        from cachine import _read_through_async

        filling = _Filling(self, call)
        links = self.cache._links
        try:
            if filling.is_known_missing():
                state, value = MISSING, None
            else:
                expected = filling.expected_tags(args, kwargs)
                state, value = await links.ask(self.filler.look, call, expected)
        except CacheError as error:
            filling.cut_off(error)
        else:
            if state == FRESH:
                return value
            if state == STALE:
                self._refresh_in_task(filling, function, args, kwargs)
                return value
            filling.missed(value)

        async def computed(*args: Any, **kwargs: Any) -> Any:
            return await run_async(filling.steps(function, args, kwargs), links)

        read = _read_through_async.read
        if not filling.is_cut_off:
            value = await read(call, filling, computed, args, kwargs, shared)
            if value is not CUT_OFF:
                return bare(value)
        return await read(*self._alone(call), function, args, kwargs, shared)

    def _alone(self, call: Call) -> tuple[Call, Plan]:
        """The flight of those who can't reach the server, and what becomes of its result."""
        terms = _core.Terms(None, None, None, self.singleflight)
        # No key of a user's, nor of a call, has this in it.
        return self.flights._call(f"{call.name}\0alone", terms), _Alone(self.plan.name)

    def refresh(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        filling = _Filling(self, call, is_renewed=True)
        call.recompute()

        def computed(*args: Any, **kwargs: Any) -> Any:
            return run(filling.steps(function, args, kwargs))

        value = _read_through.compute(call, filling, computed, args, kwargs)
        return function(*args, **kwargs) if value is CUT_OFF else bare(value)

    async def refresh_async(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        from cachine import _read_through_async

        filling = _Filling(self, call, is_renewed=True)
        call.recompute()

        async def computed(*args: Any, **kwargs: Any) -> Any:
            return await run_async(filling.steps(function, args, kwargs), self.cache._links)

        value = await _read_through_async.compute(call, filling, computed, args, kwargs)
        return await function(*args, **kwargs) if value is CUT_OFF else bare(value)

    def failed(self, error: Exception) -> None:
        """The server failed: counted and logged, and the function answers."""
        self.filler.count_error()
        if self.plan.failed is not None:
            self.plan.failed(error)
        else:
            advice = _log.said(error, "the value is computed")
            _log.warn("the cache failed", self.plan.name, error, advice)

    # Stale values.

    def _refresh_on_thread(
        self,
        filling: _Filling,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        if not filling.begins_refresh():
            return
        context = copy_context()

        def computed(*args: Any, **kwargs: Any) -> Any:
            return run(filling.steps(function, args, kwargs))

        def job() -> None:
            try:
                context.run(held.set, ())
                compute = _read_through.compute
                filling.end_refresh(
                    context.run(compute, filling.call, filling, computed, args, kwargs)
                )
            except BaseException as error:
                filling.end_refresh(Raised(error))

        if not _refresh.submit(filling.call, job):
            ring(filling.call.abandon())
            filling.end_refresh(ELSEWHERE)

    def _refresh_in_task(
        self,
        filling: _Filling,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        from cachine import _read_through_async

        if not filling.begins_refresh():
            return

        async def computed(*args: Any, **kwargs: Any) -> Any:
            return await run_async(filling.steps(function, args, kwargs), self.cache._links)

        async def job() -> None:
            outcome: Any = ELSEWHERE  # For a loop that ends first.
            try:
                compute = _read_through_async.compute
                outcome = await compute(filling.call, filling, computed, args, kwargs)
            except Exception as error:
                outcome = Raised(error)
            finally:
                filling.end_refresh(outcome)
                del outcome

        task = _read_through_async.start(job(), filling.call, ())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


class _Alone(Plan):
    """The plan of callers that can't reach the server: they share, and store nothing."""

    __slots__ = ()

    def ask(self, call: Call, alone: bool = False) -> int:
        """Ask who computes."""
        return call.begin(held.get(), alone, True)

    def settle(self, call: Call, value: Any) -> bool:
        """Hand a result to those who wait."""
        ring(call.share(shareable(value)))
        return False


class _Filling(Plan):
    """The plan of one call, whose result goes to a server."""

    __slots__ = (
        "_declared",
        "_is_counted",
        "_is_forced",
        "_is_refresh",
        "_is_renewed",
        "_remote",
        "call",
        "is_cut_off",
    )

    def __init__(self, remote: Remote, call: Call, is_renewed: bool = False) -> None:
        plan = remote.plan
        super().__init__(
            plan.name, plan.condition, plan.cache_none, plan.tags, plan.tags_from_result
        )
        self.call = call
        self._remote = remote
        self._declared: list[str] = []
        self._is_counted = False
        self.is_cut_off = False
        #: Whether to compute even where a value stands: the caller says so, or it can't be read.
        self._is_renewed = is_renewed
        self._is_forced = is_renewed
        self._is_refresh = False

    # What the flight asks of a plan.

    def ask(self, call: Call, alone: bool = False) -> int:
        """Ask who computes."""
        told = call.begin(held.get(), alone, True)
        if told == WAIT and not self._is_counted:
            self._is_counted = True
            self._remote.filler.count_coalesced(call)
        return told

    def declare(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Name the tags before the computation."""
        self._declared = _listed(self.tags(*args, **kwargs) if callable(self.tags) else self.tags)
        call.declare(self._declared, self.tags_from_result is not None)

    def settle(self, call: Call, value: Any) -> bool:
        """Hand a result to those who wait, unless it may be out of date."""
        if value.is_shared:
            ring(call.share(shareable(value.value)))
        else:
            ring(call.abandon())
        return bool(value.was_kept)

    def not_kept(self, error: Exception) -> None:
        """Log, once for each function, that the cache can't keep what it returns."""
        self._remote.plan.not_kept(error)

    # Looking.

    def expected_tags(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The tags that the entry probably has, so that one trip checks them too."""
        if not callable(self.tags):
            return self.tags
        try:
            return _listed(self.tags(*args, **kwargs))
        except Exception:
            return None  # It says so itself before the computation.

    def missed(self, trouble: Any) -> None:
        """There is no value, or one that can't be read."""
        if trouble is not None:
            _log.warn("unreadable value", self.name, trouble, "it is computed anew")
            self._is_forced = True

    def cut_off(self, error: CacheError) -> None:
        """The server failed: nothing more is asked of it for this call."""
        self.is_cut_off = True
        self._remote.failed(error)

    # Computing.

    def steps(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Steps:
        """Compute, once it is this caller's turn, and store."""
        if self.call.is_joinable and not (
            self._is_refresh or self._is_renewed or self._is_forced
        ):
            _missing[self._refreshed] = self
        try:
            return (yield from self._computed(function, args, kwargs))
        finally:
            self._close()

    def is_known_missing(self) -> bool:
        """Whether a call of this process has just found nothing, and computes: it can be joined."""
        if not self._remote.singleflight or self._refreshed not in _missing:
            return False
        self._remote.filler.count_missed(self.call)
        return True

    def _close(self) -> None:
        """Who comes from now on looks."""
        if _missing.get(self._refreshed) is self:
            _missing.pop(self._refreshed, None)

    def _seal(self) -> None:
        """Who comes from now on neither joins nor is told what this computation comes to."""
        self._close()
        self.call.seal()

    def _computed(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Steps:
        token: FillToken | None
        known, token = yield from self._claimed()
        if known is not None:
            return known
        if token is None:
            return CUT_OFF  # For a refresh: it could not be stored, and is not worth computing.
        filler, server = self._remote.filler, self._remote.server
        renewal = yield KEEP, _renewal.right_to_store(server, filler, self.call, token)
        try:
            value = yield USER, function, args, kwargs
            if type(value) is Raised:
                yield from self._ended(token, value.error)
                return value
            payload, late = self._judged(value)
        except GeneratorExit:
            raise  # Its loop is gone; the right ends by itself.
        except BaseException as error:
            yield self._failed(token, error)
            raise
        finally:
            renewal.end()
        self._seal()
        ending = NONE if value is None and not self.cache_none else ALONE
        stands, was_kept = yield from self._stored(token, payload, late, ending)
        if stands and was_kept and not self._is_refresh:
            _backoff.forgive(self._refreshed)
        return Known(value, stands, was_kept)

    def _ended(self, token: FillToken, error: BaseException) -> Steps:
        """Give the right back after the function raised. Those who joined are told of it only if
        nothing was written or invalidated meanwhile: they may have come after that."""
        self._seal()
        if not isinstance(error, Exception) or not self.call.parties:
            yield self._failed(token, error)
            return
        try:
            stands = yield IO, self._remote.filler.release, (self.call, token, ALONE)
        except CacheError as trouble:
            self._remote.failed(trouble)
            stands = False
        if not stands:
            ring(self.call.abandon())

    def _failed(self, token: FillToken, error: BaseException) -> tuple[Any, ...]:
        """The step that gives the right back after an error: one of those who wait takes over if this
        was cancelled; all of them compute if the function failed."""
        ending = ALONE if isinstance(error, Exception) else None
        release, arguments = self._remote.filler.release, (self.call, token, ending)
        return TELL, release, arguments, error, self._remote.server

    def _judged(self, value: Any) -> tuple[bytes | None, list[str]]:
        """What to store of a result, if anything, and the tags that only it knows."""
        try:
            if self.keeps(value):
                late = _listed(self.late(value))
                return self._remote.filler.encode(self.call, value), late
        except SerializationError as error:
            self.not_kept(error)
        except Exception as error:
            self.callback_failed(error)
        return None, []

    def _claimed(self) -> Steps:
        """What stands there after all, or the right to store; neither without a server."""
        filler, call = self._remote.filler, self.call
        pause, waited, awaited = FIRST_PAUSE, 0.0, None
        # The engine lets a computation run beside another one of this process where waiting would
        # never end, such as for one further up in the same context: that is the one to wait for.
        is_shared = self._is_refresh or (self._remote.singleflight and call.is_joinable)
        has_late = self.tags_from_result is not None
        is_nested = len(held.get()) > 1
        try:
            if self._is_renewed:
                yield IO, filler.fence, (call,)  # What began before is out of date by now.
            while True:
                asked = (call, self._declared, has_late, is_shared, self._is_forced, awaited)
                how, what = yield IO, filler.claim, asked, self._unwanted
                if how == FOUND:
                    return (yield from self._shared(what)), None
                if how == GIVEN:
                    return None, what
                if how == UNREADABLE:
                    self.missed(what)
                    continue
                if how == NOTHING:
                    return (yield from self._shared_none(what)), None
                if self._is_refresh:
                    return ELSEWHERE, None
                # Who has it stores something new.
                self._is_forced = self._is_renewed
                if is_nested and waited > NESTED_WAIT:
                    is_shared = False
                    continue
                awaited = None if self._is_renewed else what
                length = (min(pause, what.left) or pause) * random.uniform(0.5, 1.0)
                yield PAUSE, length
                waited += length
                pause = min(pause * 2, LONGEST_PAUSE)
        except CacheError as error:
            self.cut_off(error)
            return None, None

    def _shared(self, value: Any) -> Steps:
        """What was found, and whether others may be given it: that is looked at once more, when
        they all have come."""
        if not self.call.parties:
            return Known(value, False, True)  # Whoever comes finds it, too.
        self._seal()
        state, again = yield IO, self._remote.filler.look, (self.call, self._declared, True)
        return Known(again, True, True) if state == FRESH else Known(value, False, True)

    def _shared_none(self, nothing: OthersNone) -> Steps:
        """The None that another process came to, and whether others may be given it."""
        if not self.call.parties:
            return Known(None, False, True)
        self._seal()
        is_current = yield IO, self._remote.filler.is_nothing, (self.call, nothing)
        return Known(None, is_current, True)

    def _unwanted(self, claim: tuple[int, Any]) -> None:
        """Give a right back that came when its task was cancelled."""
        if claim[0] == GIVEN:
            self._remote.cache._links.tell(self._remote.filler.release, self.call, claim[1])

    def _stored(
        self, token: FillToken, payload: bytes | None, late: list[str], ending: int
    ) -> Steps:
        """Store a result, or give the right back with this ending; whether others may be given it, and whether it
        was kept unless it was fenced."""
        filler, call = self._remote.filler, self.call
        try:
            if payload is None:
                return (yield IO, filler.release, (call, token, ending)), False
            return (yield IO, filler.fill, (call, token, payload, late)), True
        except SerializationError as error:
            self.not_kept(error)  # Tags that no frame can hold.
        except CacheError as error:
            self._remote.failed(error)
        return False, False

    # Refreshing.

    def begins_refresh(self) -> bool:
        """Whether this call is the one that computes a stale value anew."""
        if not _backoff.may_begin(self._refreshed):
            return False
        if self.call.begin((), False, True) != COMPUTE:
            self.call.leave()
            return False
        if not _backoff.begin(self._refreshed, self.call):
            ring(self.call.abandon())
            return False
        self._is_refresh = True
        return True

    @property
    def _refreshed(self) -> tuple[Any, ...]:
        cache = self._remote.cache
        return self._remote.server, cache._server.db, cache.namespace, self.call.name

    def end_refresh(self, outcome: Any) -> None:
        """It has ended, in one of these ways."""
        if outcome is ELSEWHERE:
            _backoff.defer(self._refreshed)
            return
        error = outcome.error if type(outcome) is Raised else None
        has_failed = error is not None or not outcome.was_kept
        _backoff.end(self._refreshed, has_failed)
        if has_failed and not self.is_cut_off:
            refresh_failed(self._remote.plan, error)


def _listed(tags: Any) -> list[str]:
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be an iterable of str, not one {type(tags).__name__}")
    return list(tags or ())
