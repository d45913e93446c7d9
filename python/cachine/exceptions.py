"""What can go wrong, as classes that also are the built-in ones people already catch.

::

    CacheError
    ├── ConfigError              (ValueError)       a wrong or missing option
    ├── InvalidKeyError          (ValueError)       a string that can't be a key
    ├── UnkeyableArgumentError   (TypeError)        an argument that can't be part of a key
    ├── SerializationError       (TypeError)        a value that can't be kept or counted with
    ├── DeserializationError     (ValueError)       stored bytes that are not what was expected
    │   └── IntegrityError                          stored bytes that somebody changed
    ├── CacheConnectionError     (ConnectionError)  the server can't be reached
    ├── CacheTimeoutError        (TimeoutError)     no answer within the deadline
    ├── ResponseError                               the server refused
    ├── CounterOverflowError     (OverflowError)    a counter beyond 64 bits
    └── ClosedError              (RuntimeError)     the cache was closed

A miss is never an error.
"""

from __future__ import annotations

__all__ = [
    "CacheConnectionError",
    "CacheError",
    "CacheTimeoutError",
    "ClosedError",
    "ConfigError",
    "CounterOverflowError",
    "DeserializationError",
    "IntegrityError",
    "InvalidKeyError",
    "ResponseError",
    "SerializationError",
    "UnkeyableArgumentError",
]


class CacheError(Exception):
    """Any error of a cache.

    Attributes:
        operation: the operation that failed, such as ``"set"``; empty when there is none.
        retryable: whether the same call may succeed later.
    """

    operation: str = ""
    retryable: bool = False


class ConfigError(CacheError, ValueError):
    """An option is wrong or missing."""


class InvalidKeyError(CacheError, ValueError):
    """A string can't be a key: it is empty, too long, or reserved."""


class UnkeyableArgumentError(CacheError, TypeError):
    """An argument has no stable form that could be part of a key."""


class SerializationError(CacheError, TypeError):
    """A value can't be kept by this cache, or is not what the operation works on."""


class DeserializationError(CacheError, ValueError):
    """Stored bytes are not what the serializer expects."""


class IntegrityError(DeserializationError):
    """Stored bytes were changed, or encrypted with an unknown key."""


class CacheConnectionError(CacheError, ConnectionError):
    """The server can't be reached."""

    retryable = True


class CacheTimeoutError(CacheError, TimeoutError):
    """There was no answer within the deadline."""

    retryable = True


class ResponseError(CacheError):
    """The server answered that it will not do it."""


class CounterOverflowError(CacheError, OverflowError):
    """A counter would leave the range of 64 bits; it keeps its value."""


class ClosedError(CacheError, RuntimeError):
    """The cache was closed."""
