"""What kind of callable a function is, what its calls are named, and what makes it itself."""

from __future__ import annotations

import functools
import inspect
from enum import Enum
from string import Formatter
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from cachine.exceptions import ConfigError, UnkeyableArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable


class KeyContext(NamedTuple):
    """What a key builder is told about the function.

    Attributes:
        module: the module of the function; for ``__main__`` its file's stem or ``-m`` name.
        qualname: its qualified name.
        full_name: both, joined by a dot.
        version: the ``version`` given to :func:`cachine.cached`, or None.
    """

    module: str
    qualname: str
    full_name: str
    version: str | None

    def calls(self, builder: Callable[..., Any]) -> Callable[[Any, Any], str]:
        """Make ``(args, kwargs) -> key`` of a builder, with this context if it takes one."""
        takes_context = _takes_context(builder)

        def build(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
            key = builder(self, *args, **kwargs) if takes_context else builder(*args, **kwargs)
            if not isinstance(key, str):
                kind = type(key).__name__
                raise TypeError(f"key_builder of {self.full_name} must return a str, not {kind}")
            return key

        return build


class Callables(NamedTuple):
    """A function as the decorator sees it."""

    function: Callable[..., Any]
    module: str
    qualname: str
    #: ``(name, kind, (default,) or ())`` of each parameter.
    parameters: tuple[tuple[str, int, tuple[Any, ...]], ...]
    signature: inspect.Signature
    is_coroutine: bool
    is_method: bool
    #: Where ``__code__`` and its companions are.
    code_owner: Any

    @property
    def name(self) -> str:
        """Module and qualified name."""
        return f"{self.module}.{self.qualname}"


def describe(function: Any) -> Callables:
    """Look at a function once, when it is decorated.

    Raises:
        TypeError: it is not callable, or what it returns can be used only once.
    """
    if not callable(function):
        hint = "; put @cached below @property" if isinstance(function, property) else ""
        raise TypeError(f"cached decorates functions and other callables, not {function!r}{hint}")
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    owner = inner
    if not hasattr(owner, "__code__") and not isinstance(owner, type):
        owner = getattr(type(owner), "__call__", owner)
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    name = _module(getattr(named, "__module__", None)), named.__qualname__
    if inspect.isgeneratorfunction(owner) or inspect.isasyncgenfunction(owner):
        raise TypeError(
            f"{name[0]}.{name[1]} is a generator: whoever reads its result from a cache would find "
            "it used up; return a list instead"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        everything = [
            inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
        ]
        signature = inspect.Signature(everything)
    parameters = tuple(
        (each.name, int(each.kind), () if each.default is each.empty else (each.default,))
        for each in signature.parameters.values()
    )
    # Whatever stands between the function and its class (a property, another decorator), the
    # first argument is an instance and counts by identity.
    parent = name[1].rpartition(".")[0]
    in_class = isinstance(function, FunctionType) and parent and not parent.endswith("<locals>")
    takes_first = bool(parameters) and parameters[0][1] < 2
    is_method = takes_first and bool(in_class or parameters[0][0] == "self")
    is_coroutine = gives_awaitable(owner) or gives_awaitable(function)
    return Callables(function, *name, parameters, signature, is_coroutine, is_method, owner)


def gives_awaitable(function: Any) -> bool:
    """Whether calling this gives a coroutine: it is written so, or marked so."""
    # The mark of asyncio, before inspect had one.
    marked = "_is_coroutine" in getattr(function, "__dict__", ())
    return inspect.iscoroutinefunction(function) or marked


def _module(name: Any) -> str:
    if name != "__main__":
        return str(name)
    from pathlib import Path
    from sys import modules

    main = modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def identity(kind: Callables) -> list[tuple[Any, bool]]:
    """What makes a function itself in this process: pairs of an object and "held weakly".

    Decorating the same function again gives the same; two closures of one factory differ in what
    their cells hold, two bound methods in their instance. Taken once: a cell that is filled anew
    later does not change it, and an empty one equals only itself.
    """
    function: Any = kind.function
    parts: list[tuple[Any, bool]] = []
    if type(function) is MethodType:
        parts.append((function.__self__, True))
        function = function.__func__
    if type(function) is not FunctionType:
        return [*parts, (function, True)]
    parts += [(function.__code__, False), (function.__globals__, False)]
    for cell in function.__closure__ or ():
        try:
            parts.append((cell.cell_contents, True))
        except ValueError:
            parts.append((cell, False))
    parts += [(default, False) for default in function.__defaults__ or ()]
    parts += [(default, False) for _, default in sorted((function.__kwdefaults__ or {}).items())]
    return parts


def _takes_context(builder: Callable[..., Any]) -> bool:
    """Whether a key builder wants the context: by name, by annotation, or since it takes all."""
    try:
        parameters = list(inspect.signature(builder).parameters.values())
    except (TypeError, ValueError):
        return False
    if not parameters:
        return False
    first = parameters[0]
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        return first.kind is first.VAR_POSITIONAL
    annotation = first.annotation
    if isinstance(annotation, str):
        annotation = annotation.strip("'\"").rpartition(".")[2]
    return first.name == "ctx" or annotation is KeyContext or annotation == "KeyContext"


def template(text: str, kind: Callables) -> Callable[[Any, Any], str]:
    """Make ``(args, kwargs) -> key`` of a template such as ``"user:{user_id}"``.

    What stands after a field can't be forged by its value: the first character there is escaped in
    the value, and so are ``:`` and ``%``.

    Raises:
        ConfigError: a field that is no parameter, or two fields with nothing between them.
    """
    if not text:
        raise ConfigError(f"key_builder of {kind.name} is an empty template")
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"key_builder={text!r} is no template: {error}") from None
    names = [name for name, *_ in kind.parameters]
    fields: list[tuple[str, str, str]] = []
    for at, (literal, field, spec, conversion) in enumerate(pieces):
        if field is None:
            fields.append((literal, "", ""))
            continue
        if field not in names or spec or conversion:
            known = ", ".join(f"{{{name}}}" for name in names) or "no field, it has no parameters"
            whole = field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ConfigError(
                f"key_builder={text!r}: {{{whole}}} is no parameter of {kind.name}; accepted: "
                f"{known}, without attribute, conversion or format"
            )
        more = any(later[1] is not None for later in pieces[at + 1 :])
        after = pieces[at + 1][0][:1] if more else ""
        if more and (not after or after.isalnum() or after == "%"):
            raise ConfigError(
                f"key_builder={text!r}: put a separator such as ':' behind {{{field}}}, so that no "
                "value can pass for two"
            )
        fields.append((literal, field, after))
    signature = kind.signature

    def build(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        parts = []
        for literal, field, after in fields:
            parts.append(literal)
            if field:
                parts.append(_filled(bound.arguments[field], after, field, kind.name))
        return "".join(parts)

    return build


def _filled(value: Any, after: str, field: str, name: str) -> str:
    """A value as part of a key: its own text, escaped.

    What is no text says so with a ``%`` and something that is no code of a character.
    """
    exact = type(value)
    if exact is str or exact is int:
        return _escaped(str(value), after)
    if value is None or exact is bool:
        return f"%{value}"
    if exact is float:
        return "%f" + _escaped(repr(value), after)
    if exact is bytes:
        return f"%b{value.hex()}"
    if exact is tuple:
        parts = [_filled(part, ",", field, name) + "," for part in value]
        return "%t" + _escaped("".join(parts), after)
    stated = getattr(exact, "__cache_key__", None)
    if stated is not None and not isinstance(value, type):
        return _filled(stated(value), after, field, name)
    if isinstance(value, Enum) and value.name:
        return _filled(value.name, after, field, name)
    if exact.__module__ in {"uuid", "decimal", "datetime", "pathlib", "pathlib._local"}:
        return _filled(str(value), after, field, name)
    raise UnkeyableArgumentError(
        f"argument {field!r} of {name} has type {exact.__name__}, which a template can't fill in: "
        "give the class a __cache_key__() method, or pass a callable as key_builder"
    )


def _escaped(text: str, after: str) -> str:
    # "%" goes first, so that it never escapes an escape.
    for character in dict.fromkeys(("%", ":", after)):
        if character and character in text:
            code = "".join(f"%{byte:02X}" for byte in character.encode())
            text = text.replace(character, code)
    return text
