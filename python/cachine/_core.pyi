"""The compiled part of the package."""

from collections.abc import Callable, Sequence
from datetime import datetime
from os import PathLike
from types import GenericAlias
from typing import Any, Generic, final, overload

from typing_extensions import Self, TypeAlias, TypeVar, disjoint_base

from cachine._types import TTL, D, Serializer, Span, Strings, V
from cachine.strategies import _Eviction

__all__ = [
    "Call",
    "CompressionStep",
    "EncryptionStep",
    "Endpoint",
    "ExactSerializer",
    "FakeClock",
    "FillToken",
    "Filler",
    "FunctionCore",
    "Holder",
    "JSONSerializer",
    "LoopDriver",
    "LoopProbe",
    "LoopWire",
    "Memory",
    "OthersNone",
    "MsgPackSerializer",
    "PickleSerializer",
    "Remote",
    "SerializerRoute",
    "Server",
    "Terms",
    "forget_connections",
    "forget_flights",
    "function_type",
    "generate_key",
    "new_function",
    "now",
    "parse_url",
]

_M = TypeVar("_M", bound=_AnyMemory[Any])

class _AnyMemory(Generic[V]):
    """What both caches have: the asynchronous one has coroutine functions in place of the rest."""

    def __init__(
        self,
        max_size: int | None = None,
        eviction_policy: _Eviction | None = None,
        namespace: str | None = None,
        *,
        max_weight: int | None = None,
        weigher: Callable[[str, Any], int] | None = None,
        serializer: Serializer | None = None,
    ) -> None: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def closed(self) -> bool: ...
    def _fresh(self, key: str, default: D) -> V | D: ...
    def _call(self, key: str, terms: Terms) -> Call: ...
    def _check_open(self, operation: str) -> None: ...
    def _check_key(self, key: str, operation: str) -> None: ...
    def _set_many(self, items: list[tuple[str, V]], ttl: TTL = None) -> None: ...
    def _share(self, other: _AnyMemory[V], name: str) -> None: ...
    def _wrap(
        self, other: _AnyMemory[V], step: CompressionStep | EncryptionStep | None
    ) -> None: ...
    @property
    def _has_form(self) -> bool: ...
    def _peek(self) -> bool: ...
    def _len(self) -> int: ...
    def _counts(self) -> tuple[list[int], float, float, float]: ...
    def _reset_counts(self) -> None: ...

@disjoint_base
class Memory(_AnyMemory[V]):
    # The asynchronous cache, too, calls these with itself.
    def __new__(cls: type[_M], *_args: Any, **_kwargs: Any) -> _M: ...
    @overload
    def get(
        self: _AnyMemory[V],
        key: str,
        default: None = None,
        *,
        serializer: Serializer | None = None,
    ) -> V | None:
        """Return the value of a key, or the default."""

    @overload
    def get(
        self: _AnyMemory[V], key: str, default: D, *, serializer: Serializer | None = None
    ) -> V | D: ...
    def set(
        self: _AnyMemory[V],
        key: str,
        value: V,
        ttl: TTL = None,
        *,
        tags: Strings | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        """Store a value for ttl seconds, or until it is removed."""

    def delete(self: _AnyMemory[V], key: str) -> bool:
        """Remove a key; True when a live entry was removed."""

    def exists(self: _AnyMemory[V], key: str) -> bool:
        """Whether a key has a live entry."""

    def clear(self: _AnyMemory[V], *, dangerously_clear_all: bool = False) -> None:
        """Remove every entry of this namespace."""

    def ttl(self: _AnyMemory[V], key: str) -> int | None:
        """Return the seconds that a key has left, rounded up, or None."""

    def expire(self: _AnyMemory[V], key: str, ttl: Span) -> bool:
        """Give a live entry a new life of ttl seconds; True when there was one."""

    def expire_at(self: _AnyMemory[V], key: str, when: datetime | float) -> bool:
        """Let a live entry end at a time; True when there was one."""

    def persist(self: _AnyMemory[V], key: str) -> bool:
        """Let a live entry live for ever; True when it had an end."""

    def touch(self: _AnyMemory[V], key: str, ttl: TTL = None) -> bool:
        """Count as a use of a live entry, and renew its ttl if one is given; True when there was
        one."""

    def incr(self: _AnyMemory[V], key: str, delta: int = 1, ttl_on_create: TTL = None) -> int:
        """Add to a counter and return the new number."""

    def decr(self: _AnyMemory[V], key: str, delta: int = 1, ttl_on_create: TTL = None) -> int:
        """Subtract from a counter and return the new number."""

    def add_tags(self: _AnyMemory[V], key: str, tags: Strings) -> bool:
        """Add tags to a live entry; True when there was one."""

    def invalidate_tags(self: _AnyMemory[V], tags: Strings) -> int:
        """Remove every entry that has one of the tags; how many live ones there were."""

    def close(self: _AnyMemory[V]) -> None:
        """End the use of this cache."""

    @overload
    def _get(
        self, key: str, default: None = None, *, serializer: Serializer | None = None
    ) -> V | None: ...
    @overload
    def _get(self, key: str, default: D, *, serializer: Serializer | None = None) -> V | D: ...

_Steps: TypeAlias = list[tuple[Callable[[Any], object], Any]]

@final
class Endpoint:
    """A server, as the links of event loops need to know it; made by a cache."""

    @property
    def host(self) -> tuple[str, int] | None: ...
    @property
    def path(self) -> str | None: ...
    @property
    def tls(self) -> tuple[str | None, str | None, str | None, bool] | None: ...
    @property
    def connect_timeout(self) -> float: ...

@disjoint_base
class LoopDriver:
    def __new__(cls, endpoint: Endpoint) -> Self: ...
    @property
    def _number(self) -> int: ...
    def _flush(self) -> _Steps | None: ...
    def _tick(self) -> _Steps | None: ...
    def _made(
        self, node: int, epoch: int, write: Callable[[bytes], object]
    ) -> tuple[bool, _Steps | None]: ...
    def _lost(self, node: int, epoch: int, text: str) -> _Steps | None: ...
    def _resumed(self, node: int, epoch: int) -> _Steps | None: ...
    def _rung(self) -> _Steps | None: ...
    def _shut(self) -> _Steps | None: ...
    def _counts(self) -> tuple[int, int, int, int, int]: ...

@disjoint_base
class LoopWire:
    def __new__(cls, driver: LoopDriver, node: int, epoch: int) -> Self: ...
    @property
    def driver(self) -> LoopDriver: ...
    @property
    def node(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    def get_buffer(self, _sizehint: int) -> memoryview: ...
    def pause_writing(self) -> None: ...
    def _fed(self, count: int) -> _Steps | None: ...

# Only for tests: goes with crates/cachine-py/src/looped/probe.rs.
@final
class LoopProbe:
    def __new__(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str | None = None,
        password: str | None = None,
        tls: tuple[str | None, str | None, str | None, bool] | None = None,
        timeout: float = 1.0,
        connect_timeout: float = 1.0,
    ) -> Self: ...
    @property
    def endpoint(self) -> Endpoint: ...
    def _send(
        self, driver: LoopDriver, future: Any, words: list[bytes], timeout: float = 20.0
    ) -> _Steps | None: ...
    def _send_careful(
        self, driver: LoopDriver, future: Any, words: list[bytes], orphaned: list[bytes]
    ) -> _Steps | None: ...
    def _send_many(
        self, driver: LoopDriver, future: Any, words: list[bytes], count: int, timeout: float = 20.0
    ) -> _Steps | None: ...
    def _sleep(self, driver: LoopDriver, future: Any, seconds: float) -> _Steps | None: ...
    def _panic(self, driver: LoopDriver, future: Any) -> _Steps | None: ...
    def _ring(self, driver: LoopDriver, future: Any) -> _Steps | None: ...

# Where the answer of an operation goes: nowhere, so that the method returns it, or to a future.
_Place: TypeAlias = tuple[LoopDriver, Any] | None

@final
class Server:
    def __new__(
        cls,
        host: str,
        port: int,
        unix_socket_path: str | PathLike[str] | None,
        db: int,
        username: str | None,
        password: str | None,
        tls: tuple[Any, Any, Any, bool] | None,
        connect_timeout: float,
        timeout: float,
        max_connections: int,
    ) -> Self: ...
    @property
    def address(self) -> str: ...
    @property
    def db(self) -> int: ...
    @property
    def endpoint(self) -> Endpoint: ...

def parse_url(url: str) -> dict[str, Any]: ...

_R = TypeVar("_R", bound=Remote[Any])

@disjoint_base
class Remote(Generic[V]):
    def __new__(cls: type[_R], *_args: Any, **_kwargs: Any) -> _R: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def closed(self) -> bool: ...
    def _connect(
        self,
        server: Server,
        namespace: str | None,
        serializer: Serializer | None,
        flights: Memory[Any],
    ) -> None: ...
    def _get(
        self,
        key: str,
        default: Any = None,
        serializer: Serializer | None = None,
        at: _Place = None,
    ) -> Any: ...
    def _get_many(self, keys: list[str], at: _Place = None) -> Any: ...
    def _set(
        self,
        key: str,
        value: Any,
        ttl: TTL = None,
        tags: Strings | None = None,
        serializer: Serializer | None = None,
        at: _Place = None,
    ) -> Any: ...
    def _set_many(
        self, items: list[tuple[str, Any]], ttl: TTL = None, at: _Place = None
    ) -> Any: ...
    def _delete(self, key: str, at: _Place = None) -> Any: ...
    def _delete_many(self, keys: list[str], at: _Place = None) -> Any: ...
    def _exists(self, key: str, at: _Place = None) -> Any: ...
    def _clear(self, dangerously_clear_all: bool = False, at: _Place = None) -> Any: ...
    def _clear_prefix(self, prefix: str, at: _Place = None) -> Any: ...
    def _ttl(self, key: str, at: _Place = None) -> Any: ...
    def _expire(self, key: str, ttl: Span, at: _Place = None) -> Any: ...
    def _expire_at(self, key: str, when: datetime | float, at: _Place = None) -> Any: ...
    def _persist(self, key: str, at: _Place = None) -> Any: ...
    def _touch(self, key: str, ttl: TTL = None, at: _Place = None) -> Any: ...
    def _incr(
        self, key: str, delta: int = 1, ttl_on_create: TTL = None, at: _Place = None
    ) -> Any: ...
    def _decr(
        self, key: str, delta: int = 1, ttl_on_create: TTL = None, at: _Place = None
    ) -> Any: ...
    def _add_tags(self, key: str, tags: Strings, at: _Place = None) -> Any: ...
    def _invalidate_tags(self, tags: Strings, at: _Place = None) -> Any: ...
    def _ping(self, at: _Place = None) -> Any: ...
    def _close(self) -> bool: ...
    def _check_open(self, operation: str) -> None: ...
    def _check_key(self, key: str, operation: str) -> None: ...
    def _wrap(
        self, other: Remote[V], step: CompressionStep | EncryptionStep | None
    ) -> None: ...
    def _share(self, other: Remote[V], name: str, flights: Memory[Any]) -> None: ...
    def _form(self, types: tuple[type, ...] | None = None) -> Any: ...
    @property
    def _flights(self) -> Memory[Any]: ...
    def _counts(self) -> tuple[list[int], float, float, float]: ...
    def _reset_counts(self) -> None: ...

@final
class FillToken: ...

@final
class Holder:
    @property
    def left(self) -> float: ...

@final
class OthersNone: ...

@final
class Filler:
    def __new__(cls, cache: Remote[Any]) -> Self: ...
    def look(
        self,
        call: Call,
        tags: Strings | None = None,
        is_second: bool = False,
        at: _Place = None,
    ) -> Any: ...
    def claim(
        self,
        call: Call,
        tags: Strings | None = None,
        has_late_tags: bool = False,
        is_shared: bool = False,
        is_forced: bool = False,
        awaited: Holder | None = None,
        at: _Place = None,
    ) -> Any: ...
    def encode(self, call: Call, value: object) -> bytes: ...
    def fence(self, call: Call, at: _Place = None) -> Any: ...
    def fill(
        self,
        call: Call,
        token: FillToken,
        payload: bytes,
        late_tags: Strings | None = None,
        at: _Place = None,
    ) -> Any: ...
    def is_nothing(self, call: Call, nothing: OthersNone, at: _Place = None) -> Any: ...
    def release(
        self, call: Call, token: FillToken, ending: int | None = None, at: _Place = None
    ) -> Any: ...
    def renew(self, call: Call, token: FillToken, at: _Place = None) -> Any: ...
    def count_coalesced(self, call: Call) -> None: ...
    def count_error(self) -> None: ...

@final
class CompressionStep:
    def __new__(
        cls, algorithm: str, level: int | None, min_size: int, max_decompressed_size: int
    ) -> Self: ...

@final
class EncryptionStep:
    def __new__(
        cls, key: str, key_id: str, old_keys: dict[str, str], refuses_counters: bool
    ) -> Self: ...

def generate_key() -> str: ...

@final
class Terms:
    def __new__(cls, ttl: TTL, stale_ttl: TTL, jitter: TTL, singleflight: bool) -> Self: ...
    def next_ttl(self) -> float | None: ...

# Whom the end of a computation wakes, if anyone.
_Bells: TypeAlias = list[Callable[[], object]] | None

@final
class Call:
    @property
    def name(self) -> str: ...
    def seal(self) -> None: ...
    @property
    def is_joinable(self) -> bool: ...
    @property
    def parties(self) -> int: ...
    @property
    def value(self) -> Any: ...
    def take(self) -> Any: ...
    @property
    def flight(self) -> int: ...
    def begin(self, held: Sequence[int], alone: bool = False, counted: bool = False) -> int: ...
    def recompute(self) -> None: ...
    def declare(self, tags: Strings | None, late: bool) -> None: ...
    def fill(self, value: object, late_tags: Strings | None = None) -> _Bells: ...
    def may_store(self, late_tags: Strings | None = None) -> bool: ...
    def share(self, value: object) -> _Bells: ...
    def fail(self, error: object) -> _Bells: ...
    def adopt(self) -> None: ...
    def trouble(self) -> Exception | None: ...
    def abandon(self) -> _Bells: ...
    def follow(self) -> Call | None: ...
    def register(self, waker: Callable[[], object]) -> bool: ...
    def ended(self) -> int: ...
    def leave(self) -> int | None: ...

@final
class FunctionCore:
    def __new__(
        cls,
        miss: Callable[..., Any],
        is_coroutine: bool,
        parameters: tuple[tuple[str, int, tuple[Any, ...]], ...],
        name: str,
        version: str | None,
        terms: Terms,
    ) -> Self: ...
    @property
    def is_connected(self) -> bool: ...
    def set_method(self, is_method: bool) -> None: ...
    def connect(
        self,
        memory: _AnyMemory[Any],
        parts: Sequence[tuple[object, bool]],
        has_methods: bool = False,
        is_shared: bool = False,
        types: tuple[type, ...] | None = None,
        form: object = None,
    ) -> bool: ...
    @property
    def prefix(self) -> str: ...
    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Call | None: ...
    def call_named(self, key: str) -> Call: ...
    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> str | None: ...
    def clear(self) -> None: ...
    def counts(self) -> tuple[int, int, int, int, int, int]: ...
    def count_error(self) -> None: ...
    def reset_counts(self) -> None: ...

@final
class FakeClock:
    def __new__(cls) -> Self: ...
    def advance(self, seconds: Span) -> None: ...
    def install(self) -> None: ...
    @staticmethod
    def uninstall() -> None: ...

_C = TypeVar("_C", bound=type)

@disjoint_base
class ExactSerializer:
    def __new__(cls) -> Self: ...
    def dumps(self, obj: Any, /) -> bytes:
        """Return a value as JSON text or MessagePack."""

    def loads(self, data: bytes | bytearray | memoryview, /) -> Any:
        """Return the value of a payload."""

    def register(self, cls: _C, name: str | None = None) -> _C:
        """Keep objects of a class from now on: an Enum, a named tuple or a dataclass."""

    def _with_types(self, types: tuple[type, ...]) -> ExactSerializer: ...

@disjoint_base
class JSONSerializer:
    def __new__(cls, *, lossy: bool = False) -> Self: ...
    def dumps(self, obj: Any, /) -> bytes:
        """Return a value as JSON text."""

    def loads(self, data: bytes | bytearray | memoryview, /) -> Any:
        """Return the value of a JSON text."""

@disjoint_base
class MsgPackSerializer:
    def __new__(cls, *, lossy: bool = False) -> Self: ...
    def dumps(self, obj: Any, /) -> bytes:
        """Return a value as MessagePack."""

    def loads(self, data: bytes | bytearray | memoryview, /) -> Any:
        """Return the value of a MessagePack payload."""

@disjoint_base
class PickleSerializer:
    def __new__(cls, signing_key: str | bytes | None = None) -> Self: ...
    def dumps(self, obj: Any, /) -> bytes:
        """Return a value as a pickle, with its signature behind it if there is a key."""

    def loads(self, data: bytes | bytearray | memoryview, /) -> Any:
        """Return the value of a pickle. With a key, its signature is checked first."""

@final
class SerializerRoute:
    def __new__(cls, serializer: object) -> Self: ...
    def encode(self, value: object) -> int | tuple[int | None, bytes]: ...
    def decode(self, format: int | None, bytes: bytes) -> Any: ...

def function_type(surface: type, bound: Callable[[Any, Any], object]) -> type[Any]: ...
def new_function(core: FunctionCore) -> Any: ...
def now() -> int: ...
def forget_connections() -> None: ...
def forget_flights() -> None: ...
