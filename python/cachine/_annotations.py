"""Which classes the return annotation of a function names: those that its results are made of.

A result that is a dataclass, a named tuple or a member of an Enum can be kept exactly if its class
is known by name. Whoever annotated a function has said so already; nobody should have to say it
again.
"""

from __future__ import annotations

from typing import Any, Callable


def named_types(function: Callable[..., Any]) -> tuple[type, ...]:
    """Return the Enums, named tuples and dataclasses in the return annotation of a function.

    Also found are those inside of Optional, Union, list, dict, tuple, Annotated and the like, and
    those in the annotations of their own fields. What can't be resolved is left out: it is only
    refused when such a value comes.
    """
    import functools
    import inspect

    while isinstance(function, functools.partial):
        function = function.func
    owner: Any = inspect.unwrap(function)
    owner = getattr(owner, "__func__", owner)
    if inspect.isclass(owner):
        # To call a class is to make one of its objects.
        return _collect(owner)
    if not hasattr(owner, "__annotations__"):
        cls: Any = owner.__class__
        owner = getattr(cls, "__call__", owner)
    return _collect(_resolved(owner).get("return"))


def _collect(annotation: Any) -> tuple[type, ...]:
    """All classes that can be registered, in the order in which they are found."""
    import dataclasses
    from enum import Enum

    found: dict[type, None] = {}
    seen: set[int] = set()
    # The annotations themselves, so that no number is used twice.
    waiting: list[Any] = [annotation]
    for at in waiting:
        if at is None or id(at) in seen:
            continue
        seen.add(id(at))
        if isinstance(at, type) and not hasattr(at, "__origin__"):
            # A class, of which a checker would like to know more than there is to know.
            cls: Any = at
            bases = cls.__mro__
            if Enum in bases:
                found[cls] = None
            elif tuple in bases and isinstance(getattr(cls, "_fields", None), tuple):
                found[cls] = None
                waiting.extend(_resolved(cls).values())
            elif "__dataclass_fields__" in vars(cls):
                found[cls] = None
                names = {field.name for field in dataclasses.fields(cls)}
                waiting.extend(each for name, each in _resolved(cls).items() if name in names)
        else:
            waiting.extend(_parts(at))
    return tuple(found)


def _parts(annotation: Any) -> list[Any]:
    """What a generic annotation is made of: its class and its arguments."""
    import typing

    origin = typing.get_origin(annotation)
    arguments = list(getattr(annotation, "__args__", ()))
    if origin is typing.Literal:
        return []
    bound = getattr(annotation, "__bound__", None)
    value = getattr(annotation, "__value__", None)
    supertype = getattr(annotation, "__supertype__", None)
    constraints = getattr(annotation, "__constraints__", ())
    parts: list[Any] = [origin, *arguments, bound, value, supertype, *constraints]
    return [part for part in parts if part is not None and not isinstance(part, str)]


def _resolved(owner: Any) -> dict[str, Any]:
    """The annotations of a function or a class, as far as their names lead anywhere."""
    import typing

    try:
        return typing.get_type_hints(owner, include_extras=True)
    except Exception:  # noqa: BLE001
        pass
    # One that can't be resolved shall not hide the others.
    resolved: dict[str, Any] = {}
    for base in reversed(getattr(owner, "__mro__", (owner,))):
        for name, annotation in _raw(base).items():
            try:
                resolved[name] = _evaluated(annotation, base)
            except Exception:  # noqa: BLE001
                resolved.pop(name, None)
    return resolved


def _raw(owner: Any) -> dict[str, Any]:
    """The annotations of a function or a class, as they stand."""
    try:
        if isinstance(owner, type):
            return dict(vars(owner).get("__annotations__") or {})
        return dict(getattr(owner, "__annotations__", None) or {})
    except Exception:  # noqa: BLE001
        # They are worked out when they are asked for, in newer versions of Python.
        return {}


def _evaluated(annotation: Any, owner: Any) -> Any:
    """An annotation that may be text, or hold text."""
    import sys
    import typing

    names = getattr(owner, "__globals__", None)
    if names is None:
        names = vars(sys.modules.get(getattr(owner, "__module__", ""), typing))

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    local = dict(vars(owner)) if isinstance(owner, type) else {}
    return typing.get_type_hints(holder, names, local, include_extras=True)["it"]
