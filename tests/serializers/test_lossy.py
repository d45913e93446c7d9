"""What lossy=True makes of values that a format does not keep."""

from __future__ import annotations

import enum
import json
import math
import uuid
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

import pytest
from cachine.exceptions import SerializationError
from cachine.serializers import JSONSerializer, MsgPackSerializer
from hypothesis import given, settings

from . import samples
from .samples import Access, Colour, Key, Level, Order, Point, User, Word

LOSSY = (JSONSerializer(lossy=True), MsgPackSerializer(lossy=True))


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


class Number(int):
    def __repr__(self):
        return "something else"

    def bit_length(self):
        return 1


class Real(float):
    def __repr__(self):
        return "something else"


class Items(list):
    def __iter__(self):
        return iter(["something else"])


moved = OrderedDict(a=1, b=2)
moved.move_to_end("a")

#: What both write.
BOTH = [
    ((1, (2, 3)), [1, [2, 3]]),
    (Point(1, [2]), [1, [2]]),
    (User("a", ()), ["a", []]),
    ({5}, [5]),
    (frozenset([5]), [5]),
    (deque([1, 2], maxlen=3), [1, 2]),
    (Colour.RED, 1),
    (Colour.BLUE, "blue"),
    (Level.HIGH, 2),
    (Word.YES, "yes"),
    (Access.READ | Access.WRITE, 3),
    (Order(1, [Key((1,))]), {"number": 1, "items": [{"part": [1], "other": None}]}),
    (Text("é"), "é"),
    (Number(3), 3),
    (Number(2**80), 2**80),
    (Real(1.5), 1.5),
    (Items([1, 2]), [1, 2]),
    (moved, {"b": 2, "a": 1}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    (date(2024, 2, 29), "2024-02-29"),
    (time(1, 2, 3), "01:02:03"),
    (Decimal("1.50"), "1.50"),
    (Fraction(1, 3), "1/3"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("/a/b"), "/a/b"),
]


@pytest.mark.parametrize(("value", "written"), BOTH)
def test_both_write_something_similar(value, written):
    for serializer in LOSSY:
        for holder in (lambda inner: inner, lambda inner: [inner], lambda inner: {"k": inner}):
            made = serializer.loads(serializer.dumps(holder(value)))
            assert made == holder(written)
            assert repr(made) == repr(holder(written)), "of the same types, in the same order"


@pytest.mark.parametrize(("value", "_written"), BOTH)
def test_nothing_of_it_happens_unasked(value, _written):
    for serializer in (JSONSerializer(), MsgPackSerializer(), JSONSerializer(lossy=False)):
        with pytest.raises(SerializationError):
            serializer.dumps(value)


def test_a_datetime_is_text_in_json_and_itself_in_messagepack():
    value = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
    as_json, as_messagepack = (serializer.loads(serializer.dumps([value])) for serializer in LOSSY)
    assert as_json == ["2024-02-29T12:00:00+00:00"]
    assert as_messagepack == [value]


@pytest.mark.parametrize("key", [1, -(2**70), 1.5, -0.0, 1e300, True, False, None, "text"])
def test_keys_are_written_as_the_json_module_writes_them(key):
    data = JSONSerializer(lossy=True).dumps({key: "v"})
    assert data.decode() == json.dumps({key: "v"}, separators=(",", ":"))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Level.HIGH, "2"),
        (Colour.BLUE, "blue"),
        (Text("a"), "a"),
        (Number(7), "7"),
        (Real(2.5), "2.5"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29), "2024-02-29T00:00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_other_keys_are_the_text_that_a_value_would_be(key, text):
    assert json.loads(JSONSerializer(lossy=True).dumps({key: 1})) == {text: 1}


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (Level.HIGH, 2),
        (1.5, 1.5),
        (datetime(2024, 2, 29), datetime(2024, 2, 29)),
        (Text("a"), "a"),
        (date(2024, 2, 29), "2024-02-29"),
        (Number(7), 7),
        (b"b", b"b"),
    ],
)
def test_keys_in_messagepack_stay_what_they_are_as_far_as_they_can(key, kept):
    serializer = LOSSY[1]
    (found,) = serializer.loads(serializer.dumps({key: 1}))
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize("key", [(1, 2), frozenset(), Point(1, 2), 1j])
def test_a_key_that_is_no_scalar_is_refused(key):
    for serializer in LOSSY:
        with pytest.raises(SerializationError, match="a dict key of type"):
            serializer.dumps({key: 1})


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, b"bytes", bytearray(), 1j, range(3), object(), timedelta(1), "\ud800"],
)
def test_some_values_are_nothing_similar_in_json(value):
    with pytest.raises(SerializationError):
        LOSSY[0].dumps([value])


@settings(max_examples=200, deadline=None)
@given(samples.exact_values)
def test_what_was_written_by_one_is_kept_by_the_strict_one(value):
    for lossy, strict in zip(LOSSY, (JSONSerializer(), MsgPackSerializer())):
        try:
            data = lossy.dumps(value)
        except SerializationError:
            continue
        assert strict.dumps(strict.loads(data)) in (data, strict.dumps(strict.loads(data)))
        assert samples.is_same(strict.loads(data), strict.loads(strict.dumps(strict.loads(data))))


class Endless(enum.Enum):
    ONE = 1


def test_a_member_that_is_its_own_value_has_an_end():
    Endless.ONE._value_ = Endless.ONE
    for serializer in LOSSY:
        for value in (Endless.ONE, {Endless.ONE: 1}):
            with pytest.raises(SerializationError):
                serializer.dumps(value)


@dataclass
class Node:
    child: object = None


def test_a_dataclass_that_holds_itself_has_an_end():
    node = Node()
    node.child = node
    for serializer in LOSSY:
        with pytest.raises(SerializationError, match="nested more than 512"):
            serializer.dumps(node)
