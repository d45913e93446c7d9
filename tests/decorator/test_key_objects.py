"""Objects as arguments: what has a form of its own, what is known by equality, what is refused."""

from __future__ import annotations

import enum
import gc
import pathlib
import weakref
from collections import namedtuple
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from cachine import InMemoryCache, cached
from cachine.exceptions import UnkeyableArgumentError
from dataclasses import InitVar

Version = namedtuple("Version", "major minor")


@dataclass
class Order:
    number: int
    lines: list = field(default_factory=list)
    kind: ClassVar[str] = "order"
    source: InitVar[Any] = None
    late: int = field(init=False)


class Special(Order):
    def __init__(self, number, discount):
        super().__init__(number)
        self.discount = discount


class Named(Version):
    """A named tuple as people write them, with methods."""

    def text(self):
        return f"{self.major}.{self.minor}"


class Account:
    def __init__(self, number):
        self.number = number

    def __cache_key__(self):
        return "account", self.number


class Premium(Account):
    pass


class ById:
    """Compares by what it holds, and counts how often it is asked."""

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return isinstance(other, ById) and self.number == other.number

    def __hash__(self):
        return hash(self.number)


class Weekday(enum.Flag):
    MONDAY = 1
    TUESDAY = 2


@pytest.fixture
def f(cache):
    @cached(cache)
    def f(x, y=None):
        return [x, y]

    return f


def test_dataclasses_count_by_their_fields_and_nothing_else(f):
    first = f(Order(1, ["a"]))
    assert f(Order(1, ["a"], source=object())) is first
    assert f(Order(1, ["b"])) is not first
    assert f(Order(2, ["a"])) is not first
    late = Order(1, ["a"])
    late.late = 5
    assert f(late) is not first, "a field that is not there is no field with a value"
    other = Order(1, ["a"])
    other.scribble = "not a field"
    assert f(other) is first


def test_a_subclass_of_a_dataclass_is_not_taken_for_its_fields(f):
    with pytest.raises(UnkeyableArgumentError, match="Special"):
        f(Special(1, discount=5))


def test_classes_of_one_shape_are_different(f):
    @dataclass
    class Same:
        number: int

    def again():
        @dataclass
        class Same:
            number: int

        return Same

    Other = again()
    assert f(Same(1)) is f(Same(1))
    assert f(Same(1)) is not f(Other(1))
    assert f(Named(1, 2)) is f(Named(1, 2))
    assert len({f.cache_key(x) for x in (Named(1, 2), Version(1, 2), (1, 2))}) == 3


def test_members_of_enums_and_flags_count_by_name_or_bits(f):
    both = Weekday.MONDAY | Weekday.TUESDAY
    keys = [Weekday.MONDAY, Weekday.TUESDAY, both, Weekday(0)]
    assert len({f.cache_key(key) for key in keys}) == 4
    assert f(both) is f(Weekday.TUESDAY | Weekday.MONDAY)


def test_paths_count_by_what_they_lead_to(f):
    assert f(pathlib.Path("a/b")) is f(pathlib.Path("a") / "b")
    kinds = [pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), pathlib.Path("a"), "a"]
    assert len({f.cache_key(kind) for kind in kinds}) == 4


def test_a_cache_key_method_says_what_an_object_is(f):
    assert f(Account(1)) is f(Account(1))
    assert f(Account(1)) is not f(Account(2))
    assert f(Account(1)) is not f(Premium(1)), "of another class it is another thing"
    assert f.cache_key(Account(1)) != f.cache_key(("account", 1))
    assert f([Account(1)]) is f([Account(1)])


def test_a_cache_key_may_be_a_class_method_or_come_from_a_parent(f):
    class Singleton:
        @classmethod
        def __cache_key__(cls):
            return cls.__name__

    assert f(Singleton()) is f(Singleton())


def test_other_hashable_objects_count_by_their_equality(f):
    assert f(ById(1)) is f(ById(1))
    assert f(ById(1)) is not f(ById(2))
    assert f((ById(1), [ById(2)])) is f((ById(1), [ById(2)]))
    plain = SimpleNamespace
    assert f(plain) is f(plain), "classes count by their name"
    assert f(len) is f(len)


def test_an_object_in_a_key_lives_as_long_as_its_entry(cache, f):
    argument = ById(7)
    alive = weakref.ref(argument)
    f(argument)
    del argument
    gc.collect()
    assert alive() is not None, "its entry keeps it, as functools does"
    assert f.invalidate(alive())
    gc.collect()
    assert alive() is None


def test_an_equal_object_finds_the_entry_of_one_that_is_gone(f):
    first = f(ById(3))
    gc.collect()
    assert all(f(ById(3)) is first for _ in range(3))
    assert f.cache_info().currsize == 1


@pytest.mark.parametrize("unkeyable", [bytearray, dict, SimpleNamespace, None])
def test_what_can_be_no_key_is_refused_with_the_parameter_and_both_cures(f, unkeyable):
    class Unhashable(unkeyable or object):
        __hash__ = None

    for call in (
        lambda: f(1, Unhashable()),
        lambda: f(x=1, y=[{"a": (Unhashable(),)}]),
        lambda: f.cache_key(1, Unhashable()),
    ):
        with pytest.raises(UnkeyableArgumentError) as caught:
            call()
        message = str(caught.value)
        assert "argument 'y' of" in message and ".f" in message
        assert "Unhashable" in message
        assert "__cache_key__()" in message and "key_builder=" in message
        assert isinstance(caught.value, TypeError)
        assert caught.value.retryable is False


def test_more_arguments_and_keywords_are_named_in_refusals(cache):
    f = cached(cache)(lambda *values, **named: (values, named))
    with pytest.raises(UnkeyableArgumentError, match=r"argument '\*values' of"):
        f(1, SimpleNamespace())
    with pytest.raises(UnkeyableArgumentError, match=r"argument '\*\*named' of"):
        f(1, a=SimpleNamespace())


@pytest.mark.parametrize("wrong", [TypeError("mine"), ValueError("mine"), KeyError("mine")])
def test_what_a_callback_of_the_key_raises_reaches_the_caller(f, wrong):
    class Broken:
        def __cache_key__(self):
            raise wrong

    with pytest.raises(type(wrong)) as caught:
        f(Broken())
    assert "mine" in str(caught.value)
    assert f.cache_info().currsize == 0


def test_deep_nesting_is_a_key_and_a_cycle_is_refused(f):
    deep = []
    for _ in range(60):
        deep = [deep]
    assert f(deep) is f(deep)
    cycle = []
    cycle.append(cycle)
    named = {}
    named["self"] = named
    for endless in (cycle, named, [named], {"a": cycle}):
        with pytest.raises(UnkeyableArgumentError, match="argument 'x'.*contains itself"):
            f(endless)


def test_a_cycle_with_two_branches_is_refused_at_once(f):
    cycle = []
    cycle += [cycle, cycle]
    with pytest.raises(UnkeyableArgumentError, match="contains itself"):
        f(cycle)


def test_a_collection_that_changes_while_it_is_read_breaks_nothing(f):
    class Growing:
        def __init__(self, where):
            self.where = where

        def __cache_key__(self):
            self.where()
            return 1

    for kind, grow in ((dict, lambda d: d.setdefault(len(d))), (list, lambda d: d.append(1))):
        things = kind()
        growing = Growing(lambda things=things, grow=grow: grow(things))
        things.update({0: growing, 1: growing}) if kind is dict else things.append(growing)
        assert isinstance(f.cache_key(things), str)


def test_a_name_borrowed_from_another_class_opens_no_door(f):
    class Decimal:
        __module__ = "decimal"
        __qualname__ = "Decimal"

        def as_tuple(self):
            return Version(1, 2)

    assert f(Decimal()) is not f(Decimal())


def test_pydantic_models_count_by_their_fields():
    pydantic = pytest.importorskip("pydantic")
    from functools import cached_property

    class Item(pydantic.BaseModel):
        name: str
        tags: list = []
        _secret: int = pydantic.PrivateAttr(default=0)

        @cached_property
        def upper(self):
            return self.name.upper()

    f = cached(InMemoryCache())(lambda item: object())
    used = Item(name="a")
    assert used.upper == "A"
    assert f(used) is f(Item(name="a")), "what was worked out is no part of it"
    assert f(Item(name="a", tags=["x"])) is not f(Item(name="a"))
    secret = Item(name="a")
    secret._secret = 1
    assert f(secret) is not f(Item(name="a"))
    loose = pydantic.create_model(
        "Loose", __config__=pydantic.ConfigDict(extra="allow"), number=(int, 1)
    )
    assert f(loose(number=1, more=2)) is not f(loose(number=1))
