"""The way of a call whose entries are in Redis.

Look; claim the right to store; compute; store, or give the right back. What follows what is
written once, for threads and for tasks, as generators: they yield whatever somebody has to wait
for, and one of two small drivers waits. Simultaneous calls of this process meet in a flight of the
engine, in a store that never keeps anything; those of other processes at the fill token.

A flight is sealed before its result is stored: who asks from then on looks for the entry instead
of joining, because it may have been invalidated a moment ago by somebody whom this process has not
heard of. If the token is gone by then, only the caller itself gets the value.
"""

from __future__ import annotations

import random
from contextvars import copy_context
from time import sleep
from typing import TYPE_CHECKING, Any

from cachine import _core, _log, _read_through, _refresh, _renewal
from cachine._read_through import WAIT, Plan, held, refresh_failed, ring, shareable
from cachine.exceptions import CacheError, ConfigError, SerializationError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

    from cachine._core import Call, FillToken

    _Steps = Generator[tuple[Any, ...], Any, Any]

# What a generator yields first: what is to be done with the rest.
IO, USER, PAUSE, FORGET, HOLD = range(5)
# What Filler.look answers.
MISSING, FRESH, STALE = range(3)
# What Filler.claim answers.
FOUND, COMPUTE, HELD, UNREADABLE = range(4)

#: Seconds between two looks at a right that somebody else holds: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
#: Seconds that a computation inside another one waits at most for somebody else's: the two might
#: be waiting for each other, and then neither would ever end.
NESTED_WAIT = 5.0

_NOTHING: Any = object()

#: The keys whose function runs in this process with the right to store, and how many do.
_computing: dict[tuple[str | None, str], int] = {}
#: The refreshes that run as tasks, which their loop holds only weakly.
_tasks: set[asyncio.Task[Any]] = set()


def forget() -> None:
    """Start afresh in a child process."""
    _computing.clear()
    _tasks.clear()
    _backoff.running.clear()


def run(steps: _Steps) -> Any:
    """Take the steps of a generator on this thread."""
    act: Any
    step = next(steps)
    while True:
        try:
            result = _taken(*step)
        except BaseException as error:
            act, result = steps.throw, error
        else:
            act = steps.send
        try:
            step = act(result)
        except StopIteration as stop:
            return stop.value
        finally:
            act = result = None  # An error would hold this frame, and the frame the error.


def _taken(kind: int, *rest: Any) -> Any:
    if kind == PAUSE:
        return sleep(*rest)
    if kind == HOLD:
        return _renewal.on_thread(*rest)
    act, args, *kwargs = rest
    if kind == FORGET:
        try:
            return act(*args)
        except CacheError:
            return None  # It ends by itself.
    # What is done with a result that nobody takes is for tasks only.
    return act(*args, **kwargs[0]) if kind == USER else act(*args)


async def run_async(steps: _Steps, links: Any) -> Any:
    """Take the steps of a generator in this task."""
    act: Any
    step = next(steps)
    while True:
        try:
            result = await _taken_async(links, *step)
        except BaseException as error:
            act, result = steps.throw, error
        else:
            act = steps.send
        try:
            step = act(result)
        except StopIteration as stop:
            return stop.value
        finally:
            act = result = None  # An error would hold this frame, and the frame the error.


async def _taken_async(links: Any, kind: int, *rest: Any) -> Any:
    if kind == PAUSE:
        from asyncio import sleep

        return await sleep(*rest)
    if kind == HOLD:
        return _renewal.on_loop(links, *rest)
    act, args, *kwargs = rest
    if kind == IO:
        return await links.ask(act, *args, lost=kwargs[0] if kwargs else None)
    if kind == FORGET:
        return links.tell(act, *args)
    result = act(*args, **kwargs[0])
    return await result if hasattr(result, "__await__") else result


class _Backoff:
    """Which stale keys are computed anew, and which must wait after a failure."""

    #: Nanoseconds between a failure and the next attempt: at first, and at most.
    FIRST, LONGEST = 500_000_000, 30_000_000_000
    #: More keys than this are not remembered.
    MOST = 10_000

    def __init__(self) -> None:
        self.running: set[tuple[Any, ...]] = set()
        self.waits: dict[tuple[Any, ...], tuple[int, int]] = {}

    def begin(self, key: tuple[Any, ...], now: int) -> bool:
        """Whether the caller is the one to refresh this key now."""
        if key in self.running or now < self.waits.get(key, (0, 0))[0]:
            return False
        # Of the threads that come at once, one adds it.
        before = len(self.running)
        self.running.add(key)
        return len(self.running) > before

    def forgive(self, key: tuple[Any, ...]) -> None:
        """A new value stands there: what failed before does not count any more."""
        self.waits.pop(key, None)

    def end(self, key: tuple[Any, ...], has_failed: bool, now: int) -> None:
        """The refresh has ended."""
        if has_failed:
            if len(self.waits) >= self.MOST:
                self.waits.clear()
            pause = min(self.waits.get(key, (0, self.FIRST // 2))[1] * 2, self.LONGEST)
            self.waits[key] = (now + pause, pause)
        else:
            self.forgive(key)
        self.running.discard(key)


_backoff = _Backoff()


class _Known:
    """What a computation came to, with what may be done with it."""

    __slots__ = ("is_shared", "value", "was_kept")

    def __init__(self, value: Any, is_shared: bool, was_kept: bool) -> None:
        self.value = value
        #: Whether others may be given it: nothing was invalidated meanwhile.
        self.is_shared = is_shared
        #: Whether it was to be stored.
        self.was_kept = was_kept


def _bare(value: Any) -> Any:
    return value.value if type(value) is _Known else value


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

        return _bare(_read_through.read(call, filling, computed, args, kwargs))

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
        return _bare(await read(call, filling, computed, args, kwargs, shared))

    def refresh(
        self,
        call: Call,
        _plan: Plan,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Compute one call anew and store it."""
        filling = _Filling(self, call, is_forced=True)
        call.recompute()

        def computed(*args: Any, **kwargs: Any) -> Any:
            return run(filling.steps(function, args, kwargs))

        return _bare(_read_through.compute(call, filling, computed, args, kwargs))

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

        filling = _Filling(self, call, is_forced=True)
        call.recompute()

        async def computed(*args: Any, **kwargs: Any) -> Any:
            return await run_async(filling.steps(function, args, kwargs), self.cache._links)

        return _bare(await _read_through_async.compute(call, filling, computed, args, kwargs))

    def failed(self, error: Exception) -> None:
        """The server failed: counted and logged, and the function answers."""
        self.filler.count_error()
        if self.plan.failed is not None:
            self.plan.failed(error)
        else:
            _log.warn("the cache failed", self.plan.name, error, "the value is computed")

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

        def job() -> None:
            error = None
            try:
                context.run(held.set, ())
                context.run(run, filling.steps(function, args, kwargs, declares=True))
            except BaseException as raised:
                error = raised
            filling.end_refresh(error)

        if not _refresh.submit(filling.call, job):
            filling.end_refresh(_NOTHING)

    def _refresh_in_task(
        self,
        filling: _Filling,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        from asyncio import get_running_loop

        if not filling.begins_refresh():
            return

        async def job() -> None:
            error: Any = _NOTHING  # For a loop that ends first.
            try:
                held.set(())
                steps = filling.steps(function, args, kwargs, declares=True)
                await run_async(steps, self.cache._links)
                error = None
            except Exception as raised:
                error = raised
            finally:
                filling.end_refresh(error)

        task = get_running_loop().create_task(job())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


class _Filling(Plan):
    """The plan of one call, whose result goes to a server."""

    __slots__ = ("_declared", "_is_cut_off", "_is_forced", "_is_refresh", "_remote", "_was_kept", "call")

    def __init__(self, remote: Remote, call: Call, is_forced: bool = False) -> None:
        plan = remote.plan
        super().__init__(
            plan.name, plan.condition, plan.cache_none, plan.tags, plan.tags_from_result
        )
        self.call = call
        self._remote = remote
        self._declared: list[str] = []
        self._is_cut_off = False
        self._is_forced = is_forced
        self._is_refresh = False
        self._was_kept = True

    # What the flight asks of a plan.

    def ask(self, call: Call, alone: bool = False) -> int:
        """Ask who computes."""
        told = call.begin(held.get(), alone, True)
        if told == WAIT:
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
        self._is_cut_off = True
        self._remote.failed(error)

    # Computing.

    @property
    def _place(self) -> tuple[str | None, str]:
        return self._remote.cache.namespace, self.call.name

    def steps(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        declares: bool = False,
    ) -> _Steps:
        """Compute, once it is this caller's turn, and store."""
        if declares:
            self._declared = _listed(
                self.tags(*args, **kwargs) if callable(self.tags) else self.tags
            )
        token: FillToken | None = None
        if not self._is_cut_off:
            found, token = yield from self._claimed()
            if found is not _NOTHING:
                stands = yield from self._still_stands()
                return _Known(found, stands, True)
            if token is None and self._is_refresh and not self._is_cut_off:
                return None  # Somebody else refreshes it.
        if token is None:
            value = yield USER, function, args, kwargs
            # Nobody was asked what was invalidated: as good as it gets without a server.
            return _Known(value, True, False)
        place = self._place
        renewal = yield HOLD, self._remote.filler, self.call, token
        _computing[place] = _computing.get(place, 0) + 1
        try:
            value = yield USER, function, args, kwargs
            keeps, late = self._judged(value)
        except GeneratorExit:
            raise  # Its loop is gone; the right ends by itself.
        except BaseException:
            yield FORGET, self._remote.filler.release, (self.call, token)
            raise
        finally:
            renewal.end()
            left = _computing.get(place, 1) - 1
            if left:
                _computing[place] = left
            else:
                _computing.pop(place, None)
        self.call.seal()
        stands = yield from self._stored(token, value, keeps, late)
        self._was_kept = keeps
        if keeps and stands and not self._is_refresh:
            _backoff.forgive(self._refreshed)
        return _Known(value, stands, keeps)

    def _judged(self, value: Any) -> tuple[bool, list[str]]:
        """Whether a result is to be stored, and the tags that only it knows."""
        try:
            if self.keeps(value):
                return True, _listed(self.late(value))
        except Exception as error:
            self.callback_failed(error)
        return False, []

    def _claimed(self) -> _Steps:
        """The value that stands there after all, or the right to store one."""
        filler, call = self._remote.filler, self.call
        pause, waited = FIRST_PAUSE, 0.0
        # The engine lets a computation run beside another one of this process when waiting would
        # never end: for one further up in the same context, for example.
        is_shared = self._is_refresh or (
            self._remote.singleflight and self._place not in _computing
        )
        has_late = self.tags_from_result is not None
        is_nested = len(held.get()) > 1
        try:
            while True:
                asked = (call, self._declared, has_late, is_shared, self._is_forced)
                how, what = yield IO, filler.claim, asked, self._unwanted
                if how == FOUND:
                    return what, None
                if how == COMPUTE:
                    return _NOTHING, what
                if how == UNREADABLE:
                    self.missed(what)
                    continue
                if self._is_refresh:
                    return _NOTHING, None
                if is_nested and waited > NESTED_WAIT:
                    is_shared = False
                    continue
                length = min(pause, what) * random.uniform(0.5, 1.0)
                yield PAUSE, length
                waited += length
                pause = min(pause * 2, LONGEST_PAUSE)
        except CacheError as error:
            self.cut_off(error)
            return _NOTHING, None

    def _still_stands(self) -> _Steps:
        """Whether others may be given what was found: it is looked at once they all have come."""
        if not self.call.parties:
            return False  # There is nobody, and whoever comes finds it, too.
        self.call.seal()
        try:
            tags = self._declared
            state, _ = yield IO, self._remote.filler.look, (self.call, tags, True)
        except CacheError as error:
            self._remote.failed(error)
            return False
        return state == FRESH

    def _unwanted(self, claim: tuple[int, Any]) -> None:
        """Give a right back that came when its task was cancelled."""
        if claim[0] == COMPUTE:
            self._remote.cache._links.tell(self._remote.filler.release, self.call, claim[1])

    def _stored(self, token: FillToken, value: Any, keeps: bool, late: list[str]) -> _Steps:
        """Store a result, or give the right back; whether others may be given it."""
        filler, call = self._remote.filler, self.call
        try:
            if keeps:
                try:
                    return (yield IO, filler.fill, (call, token, value, late))
                except SerializationError as error:
                    self.not_kept(error)
                    self._was_kept = False
            return (yield IO, filler.release, (call, token))
        except CacheError as error:
            self._remote.failed(error)
        except Exception as error:
            # A serializer of the user's.
            self.callback_failed(error)
            yield FORGET, filler.release, (call, token)
        return False

    # Refreshing.

    def begins_refresh(self) -> bool:
        """Whether this call is the one that computes a stale value anew."""
        self._is_refresh = True
        return _backoff.begin(self._refreshed, _core.now())

    @property
    def _refreshed(self) -> tuple[Any, ...]:
        return (id(self._remote.flights), *self._place)

    def end_refresh(self, error: Any) -> None:
        """It has ended: well, or with an error, or (``_NOTHING``) without having begun."""
        has_failed = error is not _NOTHING and (error is not None or not self._was_kept)
        _backoff.end(self._refreshed, has_failed, _core.now())
        if has_failed:
            refresh_failed(self._remote.plan, error)


def _listed(tags: Any) -> list[str]:
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be an iterable of str, not one {type(tags).__name__}")
    return list(tags or ())
