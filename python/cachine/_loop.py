"""The event loop's own link: asyncio carries the bytes, Rust says what to do with them.

Every event goes to Rust, which answers with steps, pairs of a callable and its argument. They are
run here, because whatever may run Python code must not have a Rust frame below it: a daemon thread
that is ended at exit is unwound through its frames.

A loop has one :class:`Driver` for each cache. Nobody but its transports, timers and tasks, and the
frames of callers, holds it, so it goes when they go, and with the loop at the latest. An
asynchronous generator that was begun on the loop is closed by ``shutdown_asyncgens``, which
``asyncio.run`` calls; it aborts the transports while the loop can still close them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from asyncio import get_running_loop
from contextvars import Context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary, ref

from cachine import _names
from cachine._core import LoopDriver, LoopWire
from cachine.exceptions import ClosedError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable, Iterable

    from cachine._core import Endpoint

    Steps = Iterable[tuple[Callable[[Any], object], Any]]


class Wire(LoopWire, asyncio.BufferedProtocol):
    """The protocol of one connection; its transport owns it, and it owns the driver."""

    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        driver: Any = self.driver
        wanted, steps = driver._made(self.node, self.epoch, transport.write)
        if wanted:
            self.transport = driver.transports[self.node] = transport
        else:
            transport.abort()
        driver.run(steps)

    def buffer_updated(self, nbytes: int) -> None:
        steps = self._fed(nbytes)
        if steps is not None:
            for act, argument in steps:
                act(argument)

    def resume_writing(self) -> None:
        driver: Any = self.driver
        driver.run(driver._resumed(self.node, self.epoch))

    def connection_lost(self, exc: Exception | None) -> None:
        driver: Any = self.driver
        if driver.transports.get(self.node) is self.transport:
            driver.transports.pop(self.node, None)
        self.transport = None
        text = "the server closed it" if exc is None else _say(exc)
        driver.run(driver._lost(self.node, self.epoch, text))


class Driver(LoopDriver):
    """The link of one loop and one cache."""

    def __new__(cls, links: Links, loop: asyncio.AbstractEventLoop) -> Driver:
        return super().__new__(cls, links.endpoint)

    def __init__(self, links: Links, loop: asyncio.AbstractEventLoop) -> None:
        self.links = links
        self.loop = ref(loop)
        self.transports: dict[int, Any] = {}
        self.opening: dict[int, asyncio.Task[None]] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.dying = False
        # Of our own, so that no request's context lives on in a transport.
        self.context = Context()
        self.guard = _guard(ref(self))
        # Its first step makes it known to the loop, which closes it at the end.
        with contextlib.suppress(StopIteration):
            self.guard.__anext__().send(None)

    def __del__(self) -> None:
        # Otherwise the loop would be asked to, with a task that may come too late. There is nothing
        # left to shut, and this may be any thread.
        self.dying = True
        with contextlib.suppress(StopIteration, RuntimeError):
            self.guard.aclose().send(None)

    def run(self, steps: Steps | None) -> None:
        """Do what Rust asks for."""
        if steps is not None:
            for act, argument in steps:
                act(argument)

    def shut(self) -> None:
        """End every call and connection, for good; on the loop's thread."""
        self.links.forget(self)
        self.run(self._shut())
        if self.timer is not None:
            self.timer.cancel()

    def rung(self) -> None:
        self.run(self._rung())

    def _soon(self, _: object) -> None:
        get_running_loop().call_soon(self._turn, context=self.context)

    def _turn(self) -> None:
        steps = self._flush()
        if steps is not None:
            for act, argument in steps:
                act(argument)

    def _later(self, delay: float) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = get_running_loop().call_later(delay, self._due, context=self.context)

    def _due(self) -> None:
        self.timer = None
        self.run(self._tick())

    def _abort(self, node: int) -> None:
        transport = self.transports.pop(node, None)
        if transport is not None:
            transport.abort()
        task = self.opening.pop(node, None)
        if task is not None:
            task.cancel()

    def _connect(self, which: tuple[int, int]) -> None:
        task = self.context.copy().run(get_running_loop().create_task, self._open(*which))
        self.opening[which[0]] = task

    async def _open(self, node: int, epoch: int) -> None:
        task = asyncio.current_task()
        failure: BaseException | None = None
        try:
            await _connected(self.links, lambda: Wire(self, node, epoch))
        except BaseException as error:
            failure = error
        # Not in the handler, or this failure, with its frames, would hang on to those of the calls.
        if self.opening.get(node) is task:
            del self.opening[node]
        if failure is not None:
            self.run(self._lost(node, epoch, _say(failure)))
            if not isinstance(failure, Exception):
                try:
                    raise failure
                finally:
                    failure = None


async def _guard(driver: ref[Driver]) -> AsyncGenerator[None, None]:
    with contextlib.suppress(GeneratorExit):
        yield
    # Not while the exit is handled, or it would hang on to the failures of the calls.
    found = driver()
    if found is not None and not found.dying:
        found.shut()


async def _connected(links: Links, factory: Callable[[], Wire]) -> None:
    """Make a connection and hand it to a new protocol."""
    loop = get_running_loop()
    endpoint = links.endpoint
    tls = links.tls()
    path = endpoint.path
    if path is not None:
        name = "localhost" if tls else None
        await loop.create_unix_connection(factory, path, ssl=tls, server_hostname=name)
        return
    host, port = endpoint.host or ("", 0)
    addresses = await _names.look_up(host, port)
    failures: list[str] = []
    for left in range(len(addresses), 0, -1):
        family, address = addresses[-left]
        stream = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # One address that swallows everything must not take the time of the others.
            share = endpoint.connect_timeout / len(addresses) if left > 1 else None
            await asyncio.wait_for(loop.sock_connect(stream, address), share)
        except (OSError, asyncio.TimeoutError) as error:
            stream.close()
            failures.append(_say(error) if len(addresses) == 1 else f"{address[0]}: {_say(error)}")
            continue
        except BaseException:
            stream.close()
            raise
        name = host if tls else None
        await loop.create_connection(factory, sock=stream, ssl=tls, server_hostname=name)
        return
    raise OSError("; ".join(failures))


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _none() -> None:
    return None


def _heard(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # Nobody waits for it, and that is no mistake.


class Links:
    """The links of one cache, one for each event loop; shared by all views of the cache."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.closed = False
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Driver]] = WeakKeyDictionary()
        # The loop that asked last, and its driver.
        self._last: tuple[Callable[[], Any], Callable[[], Driver | None]] = (_none, _none)
        _all.add(self)

    def driver(self, loop: asyncio.AbstractEventLoop) -> Driver:
        """Return the driver of the running loop."""
        last, driver = self._last
        if last() is loop:
            found = driver()
            if found is not None:
                return found
        return self._find(loop)

    def _is_closed(self) -> bool:
        with self._lock:
            return self.closed

    def _find(self, loop: asyncio.AbstractEventLoop) -> Driver:
        with self._lock:
            if self.closed:
                error = ClosedError("the cache was closed: make a new one")
                raise error
            known = self._known.get(loop)
        driver = known() if known is not None else None
        if driver is None:
            driver = Driver(self, loop)
            with self._lock:
                self._known[loop] = ref(driver)
            if self._is_closed():  # Closed in between, by another thread.
                driver.shut()
                raise ClosedError("the cache was closed: make a new one")
            _drivers[driver._number] = driver
        self._last = (ref(loop), ref(driver))
        return driver

    async def ask(
        self,
        method: Callable[..., Any],
        *arguments: Any,
        lost: Callable[[Any], object] | None = None,
    ) -> Any:
        """Return what an operation comes to, on the connection of the running loop.

        ``lost`` is called with a result that came too late for a task that was cancelled.
        """
        loop = get_running_loop()
        if self.closed:
            return method(*arguments)  # It says so itself, and which operation it was.
        driver = self.driver(loop)  # Held while this waits.
        future = loop.create_future()
        steps = method(*arguments, at=(driver, future))
        if steps is not None:
            for act, argument in steps:
                act(argument)
        try:
            return await future
        except BaseException:
            if lost is not None and future.done() and not future.cancelled():
                if future.exception() is None:
                    lost(future.result())
            with contextlib.suppress(RuntimeError):  # The loop was closed.
                future.cancel()  # For a coroutine that is closed: nobody waits for it any more.
            raise

    def tell(self, method: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any] | None:
        """Begin an operation whose end nobody waits for; its future, None when this is closed."""
        loop = get_running_loop()
        if self.closed:
            return None
        future = loop.create_future()
        future.add_done_callback(_heard)
        driver = self.driver(loop)
        driver.run(method(*arguments, at=(driver, future)))
        return future

    def forget(self, driver: Driver) -> None:
        """Make a new driver for that loop the next time."""
        loop = driver.loop()
        with self._lock:
            if loop is not None:
                self._known.pop(loop, None)
            self._last = (_none, _none)

    def tls(self) -> ssl.SSLContext | None:
        """Return what encrypts the connections, if anything is to."""
        settings = self.endpoint.tls
        if settings is None:
            return None
        if self._context is None:
            import ssl

            authorities, certificate, key, unverified = settings
            context = ssl.create_default_context(cafile=authorities)
            # From 3.13 on Python refuses authorities without a key usage extension, which the
            # blocking link and older versions take: the same settings mean the same everywhere.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if certificate is not None:
                # An encrypted key would be asked for on the terminal.
                context.load_cert_chain(certificate, key, password="")
            if unverified:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._context = context
        return self._context

    def close(self) -> None:
        """Close every connection; those of other loops as soon as these get to it."""
        with self._lock:
            self.closed = True
            drivers = [driver for known in self._known.values() if (driver := known())]
            self._last = (_none, _none)
        here = asyncio._get_running_loop()
        for driver in drivers:
            loop = driver.loop()
            if loop is None:
                continue
            if loop is here:
                driver.shut()
                continue
            try:
                loop.call_soon_threadsafe(driver.shut)
            except RuntimeError:  # It was closed before, and left its connections open.
                for transport in list(driver.transports.values()):
                    _cut(transport)

    async def aclose(self) -> None:
        """Close every connection, and wait until those of this loop are gone."""
        self.close()
        for _ in range(4):
            await asyncio.sleep(0)

    def after_fork(self) -> None:
        """Leave the connections to the parent; in the child."""
        self._lock = threading.Lock()
        self._last = (_none, _none)
        drivers = [driver for known in list(self._known.values()) if (driver := known())]
        self._known = WeakKeyDictionary()
        for driver in drivers:
            for transport in list(driver.transports.values()):
                _leave(transport)


#: Every set of links of this process, and every driver by its number.
_all: WeakSet[Links] = WeakSet()
_drivers: WeakValueDictionary[int, Driver] = WeakValueDictionary()


def ring(number: int, _: object) -> None:
    """Let the loop of a driver see what another thread has woken."""
    driver = _drivers.get(number)
    loop = driver.loop() if driver is not None else None
    if driver is not None and loop is not None:
        with contextlib.suppress(RuntimeError):  # The loop was closed: nobody waits.
            loop.call_soon_threadsafe(driver.rung)


def _cut(transport: Any) -> None:
    """Close the socket of a transport whose loop is closed."""
    stream = getattr(transport.get_extra_info("socket"), "_sock", None)
    if stream is not None:
        stream.close()


def _leave(transport: Any) -> None:
    """Put nothing where the child has the parent's socket.

    The number stays taken, so that the loop, if the child goes on with it, finds no new socket
    under it, and takes nothing out of a selector that it shares with its parent.
    """
    if transport.is_closing():
        return
    stream = transport.get_extra_info("socket")
    number = stream.fileno() if stream is not None else -1
    if number >= 0:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, number, inheritable=False)
        os.close(nothing)


def _in_child() -> None:
    for links in list(_all):
        links.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
