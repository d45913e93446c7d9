"""What an exact serializer keeps comes back equal and of the same type at every depth."""

from __future__ import annotations

import enum
import json
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path

import pytest
from cachine.exceptions import SerializationError
from cachine.serializers import ExactSerializer
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from . import samples
from .samples import MUCH, Colour, Level, Order, User, Word, exact, is_same

known = exact()


@settings(max_examples=400, deadline=None)
@given(samples.exact_values)
def test_every_kept_value_comes_back_as_it_was(value):
    assert is_same(value, known.loads(known.dumps(value)))


@settings(max_examples=200, deadline=None)
@given(samples.json_values)
def test_what_json_keeps_is_written_as_json_that_every_program_reads(value):
    data = known.dumps(value)
    if not _has_negative_zero(value):
        assert is_same(value, json.loads(data))
    assert is_same(value, known.loads(data))


def _has_negative_zero(value):
    if isinstance(value, dict):
        return any(map(_has_negative_zero, value.values()))
    if isinstance(value, list):
        return any(map(_has_negative_zero, value))
    return repr(value) == "-0.0"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(samples.exact_values, samples.json_values), max_size=6))
def test_what_came_before_never_changes_what_is_written(several):
    alone = [exact().dumps(value) for value in several]
    one = exact()
    assert [one.dumps(value) for value in several] == alone
    assert [one.dumps(value) for value in reversed(several)] == alone[::-1]


@settings(max_examples=100, deadline=None)
@given(samples.exact_values, st.sampled_from([object(), OrderedDict(a=1), lambda: 1, Level]))
def test_one_value_that_is_not_kept_has_the_whole_refused_with_its_path(value, odd):
    with pytest.raises(SerializationError) as caught:
        known.dumps({"kept": value, "here": [value, {"odd": odd}]})
    assert " at $.here[1].odd: " in str(caught.value)
    assert type(odd).__qualname__ in str(caught.value)


class Plain(BaseModel):
    x: int


Pair = namedtuple("Pair", "a b")


class Letter(str, enum.Enum):
    A = "a"


@dataclass
class Thing:
    x: int


def numpy_like(name, base):
    """A class as numpy has it; the package itself is not needed to be refused."""
    return type(name, (base,) if base else (), {"__module__": "numpy"})


Array, Integer, Real = (
    numpy_like("ndarray", None),
    numpy_like("int64", None),
    numpy_like("float64", float),
)
Frame = type("DataFrame", (), {"__module__": "pandas"})

#: The kinds of values that research/ecosystem.md measured the peers with.
KINDS = {
    "tuple": (1, (2,)),
    "set": {1, "a"},
    "frozenset": frozenset([1]),
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"ab"),
    "aware datetime": datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    "naive datetime": datetime(2024, 2, 29, 1, 2, 3, 4),
    "date": date(2024, 2, 29),
    "timedelta": timedelta(days=-1, microseconds=1),
    "Decimal": Decimal("1.10"),
    "UUID": uuid.UUID(int=2**127),
    "Enum": Colour.RED,
    "StrEnum": Letter.A,
    "IntEnum": Level.HIGH,
    "NamedTuple": Pair(1, "b"),
    "dataclass": Thing(3),
    "dict with int keys": {1: "a", 2: "b"},
    "dict with tuple keys": {(1, 2): 3},
    "nan": float("nan"),
    "inf": float("-inf"),
    "negative zero": -0.0,
    "2**64": 2**64,
    "2**53+1": 2**53 + 1,
    "lone surrogate": "\udc80",
    "None": None,
    "complex": complex(-0.0, float("inf")),
    "range": range(10, 0, -3),
}
REFUSED = {
    "pydantic model": (Plain(x=1), "Plain"),
    "exception": (ValueError("no"), "ValueError"),
    "ndarray": (Array(), "numpy.ndarray"),
    "np.int64": (Integer(), "numpy.int64"),
    "np.float64": (Real(1.5), "numpy.float64"),
    "DataFrame": (Frame(), "pandas.DataFrame"),
}
everything = ExactSerializer()
for each in (Colour, Letter, Level, Pair, Thing):
    everything.register(each)


def test_there_are_33_kinds():
    assert len(KINDS) + len(REFUSED) == 33


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_the_kinds_is_kept(kind):
    for value in (KINDS[kind], [KINDS[kind]], {"at": {"depth": KINDS[kind]}}):
        assert is_same(value, everything.loads(everything.dumps(value)))


@pytest.mark.parametrize("kind", REFUSED)
def test_each_of_the_other_kinds_is_refused_by_name(kind):
    value, name = REFUSED[kind]
    with pytest.raises(SerializationError) as caught:
        everything.dumps({"rows": [value]})
    assert f"{name} can't be kept by ExactSerializer at $.rows[0]: " in str(caught.value)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real64(float):
    pass


class Items(list):
    pass


class Table(dict):
    pass


class Twin(tuple):
    __slots__ = ()


class Group(set):
    pass


class Raw(bytes):
    pass


class Moment(datetime):
    pass


class Price(Decimal):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Text("a"),
        Number(1),
        Real64(1.5),
        Items(),
        Table(),
        Twin(),
        Group(),
        Raw(),
        OrderedDict(),
        Moment(2024, 2, 29),
        Price(1),
        Level.LOW,
        Word.YES,
        User("a"),
        Order(1),
    ],
)
def test_a_subclass_is_refused_and_never_stored_as_what_it_derives_from(value):
    serializer = ExactSerializer()
    for holder in (value, [value], {"key": value}, (value,)):
        with pytest.raises(SerializationError, match=type(value).__qualname__):
            serializer.dumps(holder)
    if type(value).__hash__:
        with pytest.raises(SerializationError, match=type(value).__qualname__):
            serializer.dumps({value: 1})


class Zone(tzinfo):
    def utcoffset(self, _when):
        return timedelta(0)


def test_a_time_zone_that_can_not_be_made_again_is_refused_with_the_cure():
    for value in (
        datetime(2024, 1, 1, tzinfo=Zone()),
        datetime(2024, 1, 1, tzinfo=Zone()).timetz(),
    ):
        with pytest.raises(SerializationError, match=r"Zone .*at \$\[0\].*astimezone"):
            known.dumps([value])


def test_a_zone_comes_back_as_the_same_object_as_the_first_one():
    moment = MUCH[date(2024, 2, 29)]
    assert known.loads(known.dumps(moment)).tzinfo is moment.tzinfo
    utc = datetime(2024, 1, 1, tzinfo=timezone.utc)
    assert known.loads(known.dumps(utc)).tzinfo is timezone.utc


def test_a_path_keeps_its_class_and_one_that_is_no_text_is_refused():
    assert is_same(Path("/a/../b"), known.loads(known.dumps(Path("/a/../b"))))
    with pytest.raises(SerializationError, match="fsencode"):
        known.dumps(Path("/\udcff"))


def test_equal_keys_of_different_types_do_not_take_each_others_place():
    for value in ({1: "a"}, {1.0: "a"}, {True: "a"}, {"1": "a"}, {b"1": "a"}):
        assert is_same(value, known.loads(known.dumps(value)))


def test_the_order_of_a_dict_is_kept():
    for value in ({"b": 1, "a": 2}, {2: 1, 1: 2, "c": 3}):
        assert list(known.loads(known.dumps(value))) == list(value)


def test_the_keys_of_many_dicts_are_one_object_each():
    rows = known.loads(known.dumps([{"name": number, "é": 1} for number in range(3)]))
    first, *others = rows
    for other in others:
        for mine, theirs in zip(first, other):
            assert mine is theirs
