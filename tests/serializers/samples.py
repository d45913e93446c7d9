"""Values to keep, and what it means that one was kept."""

from __future__ import annotations

import enum
import math
import operator
import uuid
from collections import namedtuple
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cachine.serializers import ExactSerializer
from hypothesis import strategies as st


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):
    YES = "yes"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Point = namedtuple("Point", "x y")


class User(NamedTuple):
    name: str
    tags: Any = ()


@dataclass
class Order:
    number: int
    items: Any = field(default_factory=list)


@dataclass(frozen=True)
class Key:
    part: Any
    other: Any = None


class Slotted:
    """A dataclass with slots, as CPython 3.10 makes them."""

    __slots__ = ("left", "right")
    left: Any
    right: Any

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right


Slotted = dataclass(init=False)(Slotted)  # type: ignore[misc]

REGISTERED = (Colour, Level, Word, Access, Point, User, Order, Key, Slotted)


def exact() -> ExactSerializer:
    """A serializer that knows the classes above."""
    serializer = ExactSerializer()
    for each in REGISTERED:
        serializer.register(each)
    return serializer


def is_same(one: Any, other: Any) -> bool:
    """Whether a value came back as it was: equal, and of the same type at every depth."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is float:
        return math.copysign(1, one) == math.copysign(1, other) and (
            one == other if one == one else other != other
        )
    if kind is complex:
        return is_same(one.real, other.real) and is_same(one.imag, other.imag)
    if kind is Decimal:
        return str(one) == str(other)
    if kind in (datetime, time):
        return (
            one.replace(tzinfo=None) == other.replace(tzinfo=None)
            and one.fold == other.fold
            and type(one.tzinfo) is type(other.tzinfo)
            and repr(one.tzinfo) == repr(other.tzinfo)
        )
    if kind in (list, tuple) or hasattr(kind, "_fields"):
        return len(one) == len(other) and all(map(is_same, one, other))
    if kind is dict:
        return len(one) == len(other) and all(
            is_same(mine, theirs) and is_same(one[mine], other[theirs])
            for mine, theirs in zip(one, other)
        )
    if kind in (set, frozenset):
        return len(one) == len(other) and all(
            any(is_same(mine, theirs) for theirs in other) for mine in one
        )
    if hasattr(kind, "__dataclass_fields__"):
        names = [each.name for each in fields(one)]
        return all(is_same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


#: Where the form of an integer changes.
EDGES = (2**31, 2**32, -(2**63), 2**63, 2**64, -(2**64))


def _wide(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _placed(at: Any, zone: Any, fold: int) -> Any:
    return at.replace(tzinfo=zone, fold=fold)


zones = st.one_of(
    st.none(),
    st.just(timezone.utc),
    st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23)).map(timezone),
    st.builds(timezone, st.just(timedelta(hours=2)), st.text(max_size=4, alphabet="aé:北")),
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC", "Asia/Kathmandu"]).map(ZoneInfo),
)
folds = st.sampled_from([0, 1])
datetimes = st.builds(_placed, st.datetimes(), zones, folds)
times = st.builds(_placed, st.times(), zones, folds)
integers = st.one_of(
    st.integers(-200, 200),
    st.integers(),
    st.builds(operator.add, st.sampled_from(EDGES), st.integers(-3, 3)),
    st.binary(max_size=250).map(_wide),
)
floats = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 1e16]))
text = st.one_of(
    st.text(max_size=20),
    st.text(alphabet='ab"\\/\x00\x1f\x7f\u2028é北😀', max_size=40),
    st.text(alphabet="é", min_size=1020, max_size=1030),
)
#: With surrogates, which no UTF-8 has.
any_text = st.one_of(text, st.text(alphabet="a\ud800\udfff\U0001f600", max_size=5))
decimals = st.one_of(
    st.decimals(allow_nan=True),
    st.sampled_from(["-0", "0E+30", "-0.000", "1E-999999", "sNaN12", "-NaN", "-Infinity"]).map(
        Decimal
    ),
)

#: What JSON keeps.
json_leaves = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    st.floats(allow_nan=False, allow_infinity=False),
    text,
)
json_values = st.recursive(
    json_leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(text, inner, max_size=5)),
    max_leaves=20,
)

#: What MessagePack keeps.
packed_leaves = st.one_of(
    st.none(), st.booleans(), integers, floats, text, st.binary(max_size=300), datetimes
)
packed_keys = st.one_of(st.none(), integers, text, st.binary(max_size=9), st.booleans())
packed_values = st.recursive(
    packed_leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(packed_keys, inner, max_size=5)
    ),
    max_leaves=20,
)

#: What an exact serializer keeps.
exact_leaves = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    any_text,
    st.binary(max_size=300),
    st.binary(max_size=20).map(bytearray),
    st.complex_numbers(allow_nan=True),
    st.builds(range, st.integers(-9, 9), integers, st.sampled_from([1, -1, 7, 2**70])),
    decimals,
    st.fractions(),
    st.uuids(),
    datetimes,
    st.dates(),
    times,
    st.timedeltas(),
    st.text(alphabet="a./é北 ", max_size=9).map(PurePosixPath),
    st.text(alphabet="abc.:\\", max_size=9).map(PureWindowsPath),
    st.sampled_from([*Colour, *Level, *Word, Access.READ, Access.WRITE]),
)
hashables = st.recursive(
    st.one_of(
        st.none(),
        integers,
        any_text,
        st.booleans(),
        st.binary(max_size=5),
        st.dates(),
        st.uuids(),
        st.sampled_from([*Colour, *Level]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Key, inner, inner),
    ),
    max_leaves=5,
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.sets(hashables, max_size=4),
        st.frozensets(hashables, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.dictionaries(text, inner, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(User, text, inner),
        st.builds(Order, integers, inner),
        st.builds(Key, inner, inner),
        st.builds(Slotted, inner, inner),
    )


exact_values = st.recursive(exact_leaves, _containers, max_leaves=15)

#: Something of everything, in one value.
MUCH = {
    "text": "é",
    1: (1, 2.5, None),
    (1, "a"): {1, 2},
    b"bytes": bytearray(b"mutable"),
    None: frozenset([uuid.UUID(int=5)]),
    2**70: [Decimal("1.50"), Fraction(1, 3), 1j, range(1, 9, 2)],
    date(2024, 2, 29): datetime(2024, 2, 29, 12, tzinfo=ZoneInfo("Europe/Berlin")),
    "rest": [time(1, 2, fold=1), timedelta(-1), PurePosixPath("/a"), "\ud800", -0.0, math.inf],
}
