"""What callers hand to an operation, checked before anything happens."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from cachine import _core
from cachine._read_through import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = {"condition", "cache_none", "jitter", "stale_ttl", "tags", "tags_from_result"}


def check_names(options: Any) -> None:
    """Refuse an option that does not exist, on a hit too."""
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        known = ", ".join(sorted(OPTIONS))
        raise TypeError(f"get_or_set got an unexpected option {unknown[0]!r}; it takes {known}")


def plan_of(key: str, options: dict[str, Any]) -> tuple[Plan, _core.Terms]:
    """The plan of a get_or_set, from the same options as ``cached`` has."""
    tags = options.get("tags")
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be an iterable of str, not one {type(tags).__name__}")
    if tags is not None and not callable(tags):
        tags = list(tags)  # An iterator would be used up by the first look at it.
    for name in ("condition", "tags_from_result"):
        callback = options.get(name)
        if callback is not None and not callable(callback):
            raise TypeError(f"{name} must be a callable or None, not {type(callback).__name__}")
    plan = Plan(
        "get_or_set",
        options.get("condition"),
        options.get("cache_none", False),
        tags,
        options.get("tags_from_result"),
    )
    terms = _core.Terms(options.get("ttl"), options.get("stale_ttl"), options.get("jitter"), True)
    return plan, terms


def constant(value: Any) -> Callable[[], Any]:
    """A factory of this value."""
    return lambda: value


def blocking(factory: Any) -> Callable[[], Any]:
    """The factory of a cache that can't await."""
    if not callable(factory):
        return constant(factory)
    if iscoroutinefunction(factory):
        raise TypeError(
            "get_or_set: the factory is a coroutine function, and this cache can't await it: use "
            "the asynchronous cache of this kind, or a plain function"
        )
    make: Callable[[], Any] = factory
    return make


def checked(cache: Any, keys: Any, operation: str) -> list[str]:
    """Different keys in the order given, all of them valid."""
    cache._check_open(operation)
    if isinstance(keys, (str, bytes)):
        raise TypeError(
            f"{operation}: keys must be an iterable of str, not one {type(keys).__name__}"
        )
    try:
        listed = list(keys)
    except TypeError:
        if hasattr(type(keys), "__iter__"):
            raise  # It is iterable; what it raised is its own.
        raise TypeError(
            f"{operation}: keys must be an iterable of str, not {type(keys).__name__}"
        ) from None
    for key in listed:
        cache._check_key(key, operation)
    return list(dict.fromkeys(listed))


def items_of(cache: Any, mapping: Any) -> list[tuple[str, Any]]:
    """The keys and values of a mapping, all keys valid."""
    if not hasattr(mapping, "items"):
        raise TypeError(
            f"set_many: a mapping of keys to values is needed, not {type(mapping).__name__}"
        )
    items = list(mapping.items())
    checked(cache, [key for key, _ in items], "set_many")
    return items
