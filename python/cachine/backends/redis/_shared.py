"""What the two caches in Redis have in common: everything that waits for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from cachine import _core
from cachine._remote import Remote
from cachine.backends._arguments import plan_of
from cachine.backends._statistics import Statistics
from cachine.backends.redis._options import server_of

if TYPE_CHECKING:
    from os import PathLike

    from typing_extensions import Self

    from cachine._types import Serializer, Span, V
else:
    V = Any  # What stands in brackets is for checkers only.

__all__ = ["Shared"]

#: The computations under way in this process, by server and database: all caches on it share them.
_flights: WeakValueDictionary[tuple[str, int], _core.Memory[Any]] = WeakValueDictionary()


def _flights_of(server: _core.Server) -> _core.Memory[Any]:
    key = (server.address, server.db)
    found = _flights.get(key)
    return found if found is not None else _flights.setdefault(key, _core.Memory())


def _inside(flights: _core.Memory[Any], namespace: str | None) -> _core.Memory[Any]:
    """The same computations, those of a namespace."""
    if not namespace:
        return flights
    view: _core.Memory[Any] = _core.Memory.__new__(_core.Memory)
    view._share(flights, namespace)
    return view


class Shared(Statistics, _core.Remote[V]):
    """Settings, names and numbers of a cache in Redis."""

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        username: str | None = None,
        password: str | None = None,
        ssl: bool | None = None,
        namespace: str | None = None,
        serializer: Serializer | None = None,
        *,
        url: str | None = None,
        unix_socket_path: str | PathLike[str] | None = None,
        ssl_ca_certs: str | PathLike[str] | None = None,
        ssl_certfile: str | PathLike[str] | None = None,
        ssl_keyfile: str | PathLike[str] | None = None,
        ssl_verify: bool | None = None,
        timeout: Span | None = None,
        connect_timeout: Span | None = None,
        max_connections: int | None = None,
        client: Any = None,
    ) -> None:
        options = {
            "host": host,
            "port": port,
            "db": db,
            "username": username,
            "password": password,
            "ssl": ssl,
            "unix_socket_path": unix_socket_path,
            "ssl_ca_certs": ssl_ca_certs,
            "ssl_certfile": ssl_certfile,
            "ssl_keyfile": ssl_keyfile,
            "ssl_verify": ssl_verify,
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "max_connections": max_connections,
        }
        server = server_of(url, client, options)
        flights = _flights_of(server)
        self._connect(server, namespace, serializer, _inside(flights, namespace))
        self._server = server
        self._all_flights = flights
        self._loops: list[Any] = []

    @property
    def _links(self) -> Any:
        """The connections of event loops, shared by all views and wrappers of this cache."""
        if not self._loops:
            from cachine._loop import Links

            links = Links(self._server.endpoint)
            # Of the threads that come first at once, all use the first one's.
            self._loops.append(links)
        return self._loops[0]

    def with_namespace(self, namespace: str) -> Self:
        """Return a view on the same server whose keys begin with ``namespace:``.

        Inside a namespace it is a child: ``x`` in ``a`` is ``a:x``, and clearing ``a`` clears it.
        Tags belong to the view they were given through: invalidate them there. Closing a view
        leaves the connections open.
        """
        # Past the constructors of a subclass, which may ask for more than we know; what they left
        # in the instance is there in the view too.
        view = _core.Remote.__new__(type(self))
        self._check_open("with_namespace")
        given: object = namespace
        if not isinstance(given, str):
            raise TypeError(f"namespace must be a str, not {type(given).__name__}")
        inner = f"{self.namespace}:{namespace}" if self.namespace else namespace
        view._share(self, namespace, _inside(self._all_flights, inner))
        view.__dict__.update(self.__dict__)
        return view

    def _filling(self, key: str, options: dict[str, Any]) -> tuple[Remote, _core.Call]:
        """The way of a ``get_or_set``, and its call."""
        self._check_key(key, "get_or_set")
        plan, terms = plan_of(key, options)
        return Remote(self, plan, True), self._flights._call(key, terms)

    def _told(self, health: dict[str, Any]) -> dict[str, Any]:
        return {"healthy": True, "latency_ms": 0.0, "backend": "redis", **health}

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            where, closed = self._server.address, ", closed" if self.closed else ""
            return f"{name}({where!r}, db={self._server.db}, namespace={self.namespace!r}{closed})"
        except (AttributeError, RuntimeError):
            return f"{name}(not initialised)"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"{type(self).__name__} can't be copied or pickled, since it holds connections: create "
            "another one where it is needed"
        )


# What Python says of a call with a wrong option names the class that was called.
Shared.__init__.__qualname__ = "RedisCache.__init__"
