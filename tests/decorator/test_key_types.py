"""Keys tell apart everything that Python tells apart, and nothing else (pitfalls P2, P3 and P5).

The oracle is `shape`: a description of a value by exact types and structure, written here without
a look at the encoder. Two calls have one key exactly when their arguments have one shape.
"""

from __future__ import annotations

import enum
import struct
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from cachine import InMemoryCache, cached
from hypothesis import given, settings
from hypothesis import strategies as st

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str):
    __slots__ = ()


@dataclass(frozen=True)
class Pair:
    left: object
    right: object


def shape(value):
    """What a key has to depend on."""
    kind = type(value)
    if kind is float:
        return "float", "nan" if value != value else struct.pack(">d", value)
    if kind in (list, tuple, Point):
        return kind.__name__, tuple(shape(item) for item in value)
    if kind in (set, frozenset):
        return kind.__name__, tuple(sorted(repr(shape(item)) for item in value))
    if kind is dict:
        return "dict", tuple(sorted(repr((shape(k), shape(v))) for k, v in value.items()))
    if kind is Pair:
        return "Pair", shape(value.left), shape(value.right)
    if kind is Decimal:
        return "Decimal", value.as_tuple()
    if kind in (datetime, time):
        return kind.__name__, value.replace(tzinfo=None), value.fold, repr(value.tzinfo)
    return kind.__name__, value


#: Few characters, so that texts look like pieces of encodings and of each other.
text = st.text(alphabet='ab1,:;()"@#stin*%é\x00\ud800~', max_size=6)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.integers(-(2**63) - 2, -(2**63) + 2),
    st.integers(2**63 - 2, 2**64 + 2),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 2.0]),
    text,
    st.text(alphabet=st.characters(), max_size=200),
    st.binary(max_size=6),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, timezone.utc, timezone(timedelta(hours=2))])),
    st.times(),
    st.timedeltas(),
    st.sampled_from([*Colour, *Level]),
)


def nested(inner):
    """Containers of what there is."""
    hashable = st.one_of(st.integers(-2, 2), text, st.none(), st.tuples(text, text))
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.sets(hashable, max_size=4),
        st.frozensets(hashable, max_size=4),
        st.dictionaries(hashable, inner, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
    )


values = st.recursive(leaves, nested, max_leaves=8)


def key_of():
    @cached(InMemoryCache())
    def f(*args, **kwargs):
        return args, kwargs

    return f.cache_key


key = key_of()


@settings(max_examples=120, deadline=None)
@given(st.lists(values, min_size=2, max_size=12))
def test_values_have_one_key_exactly_when_they_have_one_shape(several):
    by_key = {}
    by_shape = {}
    for value in several:
        by_key.setdefault(key(value), set()).add(repr(shape(value)))
        by_shape.setdefault(repr(shape(value)), set()).add(key(value))
    assert all(len(shapes) == 1 for shapes in by_key.values()), by_key
    assert all(len(keys) == 1 for keys in by_shape.values()), by_shape


@settings(max_examples=120, deadline=None)
@given(st.lists(values, max_size=4), st.lists(values, max_size=4), st.data())
def test_lists_of_arguments_have_one_key_exactly_when_they_are_the_same(one, other, data):
    assert (key(*one) == key(*other)) == (shape(one) == shape(other))
    # The same values, parted elsewhere.
    flat = [*one, *other]
    at = data.draw(st.integers(0, len(flat)))
    same = shape([one, other]) == shape([flat[:at], flat[at:]])
    assert (key(one, other) == key(flat[:at], flat[at:])) == same


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), values, max_size=4), st.randoms())
def test_the_order_of_keywords_and_of_dictionaries_does_not_matter(named, random):
    items = list(named.items())
    random.shuffle(items)
    assert key(**named) == key(**dict(items))
    assert key(named) == key(dict(items))
    assert key(named) != key(**named)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.integers(), text, st.frozensets(st.integers())), max_size=8))
def test_the_order_of_sets_does_not_matter(items):
    there, back = set(items), set(reversed(items))
    assert key(there) == key(back)
    assert key(frozenset(there)) == key(frozenset(back))
    assert key(there) != key(frozenset(there))


UNLIKE = [
    [1, True, 1.0, "1", b"1", Decimal(1), Fraction(1), 1 + 0j, Level.LOW, Colour.RED],
    [0, False, 0.0, -0.0, "", b"", None, (), [], {}, set(), frozenset(), "None", "n"],
    ["a", Word("a"), b"a", bytearray(b"a"), ("a",), ["a"], {"a"}, frozenset("a"), {"a": "a"}],
    [(1, 2), [1, 2], Point(1, 2), Pair(1, 2), {1: 2}, range(1, 2), ((1,), 2), (1, (2,))],
    [{"a": 1}, {"a": True}, {"a": 1.0}, OrderedDict(a=1), [("a", 1)], (("a", 1),)],
    [date(2024, 1, 2), datetime(2024, 1, 2), datetime(2024, 1, 2, tzinfo=timezone.utc)],
    [datetime(2024, 1, 2, fold=0), datetime(2024, 1, 2, fold=1)],
    [timedelta(1), 86400, 86400.0, timedelta(1, 0, 1)],
    [Decimal("1"), Decimal("1.0"), Decimal("1.00"), Decimal("-0"), Decimal("0"), Decimal("NaN")],
    [uuid.UUID(int=1), str(uuid.UUID(int=1)), 1],
    [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, float(2**63)],
    ["\ud800", "\ud801", "d800", b"\xed\xa0\x80"],
    [int, float, "int", Colour, Pair, type, None, type(None)],
    [Colour.RED, Colour.BLUE, "RED", 1, Level.LOW, Level.HIGH],
    [float("inf"), float("-inf"), float("nan"), "nan", 1e308],
]


@pytest.mark.parametrize("group", UNLIKE, ids=lambda group: repr(group[0])[:20])
def test_what_looks_alike_and_is_not_has_different_keys(group):
    # A subclass of a listed type that has no form of its own is known by number while it is kept.
    f = cached(InMemoryCache())(lambda x, y=None: object())
    for value in group:
        hashable = not isinstance(value, OrderedDict)
        if hashable:
            f(value)
    stable = [value for value in group if not isinstance(value, OrderedDict)]
    assert len({f.cache_key(value) for value in stable}) == len(stable)
    assert f.cache_info().misses == len(stable)
    assert len({f.cache_key((value,)) for value in stable}) == len(stable)
    assert len({f.cache_key([{0: value}]) for value in stable}) == len(stable)


def test_an_alias_of_an_enum_member_is_that_member():
    assert key(Colour.CRIMSON) == key(Colour.RED)


def test_no_text_can_pretend_to_be_a_boundary():
    attacks = ['a,s1"b', 'a",s1"b', "a)", "a(", '",s0"', "i1", '1"a', "@1", "#", "*t(i1)"]
    keys = {key(*parts) for attack in attacks for parts in ([attack], [attack, "b"], ["b", attack])}
    assert len(keys) == 3 * len(attacks)
    assert key("a:b", "c") != key("a", "b:c")
    assert key("a", "b", "c") != key("a,b", "c") != key("a", "b,c")


def test_long_arguments_have_short_keys_that_still_tell_them_apart():
    texts = ["x" * 10_000 + str(number) for number in range(1000)]
    keys = {key(text) for text in texts}
    assert len(keys) == 1000
    assert all(len(each) < 200 for each in keys)
