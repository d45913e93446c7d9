"""Enums, named tuples and dataclasses are kept after their class was registered, by its name."""

from __future__ import annotations

import enum
import gc
import sys
import weakref
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple

import pytest
from cachine.exceptions import ConfigError, DeserializationError, SerializationError
from cachine.serializers import ExactSerializer

from .samples import Access, Colour, Key, Level, Order, Point, Slotted, User, Word, is_same


def kept(serializer, value):
    made = serializer.loads(serializer.dumps(value))
    assert is_same(value, made)
    return made


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Colour.CRIMSON,
        Level.HIGH,
        Word.YES,
        Access.WRITE,
        Point(1, (2,)),
        User("a"),
        Order(1, [2]),
        Key((1,)),
        Slotted([1], None),
    ],
)
def test_a_class_is_kept_after_it_was_registered_and_refused_before(value):
    serializer = ExactSerializer()
    with pytest.raises(SerializationError) as caught:
        serializer.dumps({"v": value})
    name = type(value).__qualname__
    assert f"{name} can't be kept by ExactSerializer at $.v: " in str(caught.value)
    assert f"serializer.register({name})" in str(caught.value)
    serializer.register(type(value))
    made = kept(serializer, {"v": [value]})["v"][0]
    if isinstance(value, enum.Enum):
        assert made is value


def test_register_is_a_decorator_and_gives_the_class_back():
    serializer = ExactSerializer()

    @serializer.register
    @dataclass
    class Local:
        x: int

    kept(serializer, Local(1))
    assert serializer.register(Point, name="point") is Point
    assert serializer.register(Point, "point") is Point
    assert b"point" in serializer.dumps(Point(1, 2))


def test_the_default_name_is_module_and_qualified_name():
    serializer = ExactSerializer()
    serializer.register(Point)
    assert f"{Point.__module__}.Point".encode() in serializer.dumps(Point(1, 2))


def test_the_default_name_in_the_main_module_is_that_of_its_file(run, tmp_path):
    program = tmp_path / "shop.py"
    program.write_text(
        "import enum\n"
        "from cachine.serializers import ExactSerializer\n"
        "class Size(enum.Enum): SMALL = 1\n"
        "serializer = ExactSerializer()\n"
        "serializer.register(Size)\n"
        "assert b'shop.Size' in serializer.dumps(Size.SMALL)\n"
    )
    run(program)


def test_a_name_belongs_to_one_class_and_a_class_may_have_several():
    serializer = ExactSerializer()
    serializer.register(Point, "old")
    data = serializer.dumps(Point(1, 2))
    with pytest.raises(ConfigError, match=r"'?\"?old.* is taken by another class"):
        serializer.register(User, "old")
    with pytest.raises(SerializationError):
        serializer.dumps(User("a"))
    serializer.register(Point, "new")
    assert b"new" in serializer.dumps(Point(1, 2))
    assert serializer.loads(data) == Point(1, 2)


def test_serializers_know_nothing_of_each_other():
    one, other = ExactSerializer(), ExactSerializer()
    one.register(Point)
    with pytest.raises(SerializationError):
        other.dumps(Point(1, 2))
    with pytest.raises(DeserializationError, match="is not registered here"):
        other.loads(one.dumps(Point(1, 2)))


class Plain:
    pass


@dataclass
class Numbers(dict):
    x: int = 1


@dataclass
class Trouble(Exception):
    x: int = 1


@pytest.mark.parametrize("cls", [Plain, int, dict, tuple, object, Numbers, Trouble])
def test_only_an_enum_a_named_tuple_and_a_dataclass_can_be_registered(cls):
    with pytest.raises(ConfigError, match="register: "):
        ExactSerializer().register(cls)


def test_wrong_arguments_of_register_are_refused():
    with pytest.raises(TypeError, match="takes a class, not Point"):
        ExactSerializer().register(Point(1, 2))
    with pytest.raises(TypeError, match="name must be a str"):
        ExactSerializer().register(Point, 5)
    with pytest.raises(ConfigError, match="empty"):
        ExactSerializer().register(Point, "")


def test_a_combination_of_flags_has_no_name_and_is_refused():
    serializer = ExactSerializer()
    serializer.register(Access)
    kept(serializer, Access.READ)
    for value in (Access.READ | Access.WRITE, Access(0)):
        with pytest.raises(SerializationError, match="without a name of its own"):
            serializer.dumps(value)


calls = []


@dataclass
class Loud:
    x: int
    y: Any = field(default_factory=list)
    z: int = field(init=False, default=5)
    seed: InitVar[int] = 3
    shared: ClassVar[int] = 4

    def __post_init__(self, seed):
        calls.append(seed)

    def __setattr__(self, name, value):
        calls.append(name)
        object.__setattr__(self, name, value)


def test_a_dataclass_is_put_together_without_running_anything_of_it():
    serializer = ExactSerializer()
    serializer.register(Loud)
    value = Loud(1)
    value.z = 7
    calls.clear()
    made = serializer.loads(serializer.dumps(value))
    assert calls == []
    assert vars(made) == {"x": 1, "y": [], "z": 7}


@dataclass(frozen=True)
class Child(Key):
    more: Any = None


@dataclass
class Hidden:
    _private: int
    __mangled: int = 2

    def mangled(self):
        return self.__mangled


def test_frozen_inherited_private_and_slotted_fields_are_kept():
    serializer = ExactSerializer()
    for cls in (Child, Hidden, Slotted):
        serializer.register(cls)
    assert kept(serializer, Child(1, 2, (3,))).more == (3,)
    assert kept(serializer, Hidden(1, 3)).mangled() == 3
    kept(serializer, Slotted(Slotted(1, 2), None))


class Base:
    __slots__ = ("extra", "__weakref__")


@dataclass
class Below(Base):
    x: int


def test_an_attribute_that_is_no_field_is_refused():
    serializer = ExactSerializer()
    for cls in (Order, Below):
        serializer.register(cls)
    order = Order(1)
    order.note = 2
    with pytest.raises(SerializationError, match=r"attribute note that is no field"):
        serializer.dumps([order])
    below = Below(1)
    kept(serializer, below)
    below.extra = 1
    with pytest.raises(SerializationError, match=r"attribute extra that is no field"):
        serializer.dumps(below)


def test_a_field_that_is_not_set_is_refused():
    serializer = ExactSerializer()
    serializer.register(Order)
    order = Order(1)
    del order.items
    with pytest.raises(SerializationError, match="without its field items"):
        serializer.dumps(order)


class Wider(namedtuple("Wider", "x")):
    """Has a dictionary of its own."""


def test_a_named_tuple_with_more_than_its_fields_is_refused():
    serializer = ExactSerializer()
    serializer.register(Wider)
    value = Wider(1)
    kept(serializer, value)
    value.note = 1
    with pytest.raises(SerializationError, match="more or less than its fields"):
        serializer.dumps(value)
    with pytest.raises(SerializationError, match="more or less than its fields"):
        serializer.dumps(tuple.__new__(Wider, (1, 2)))


class Checked(NamedTuple):
    x: int


def test_payloads_that_do_not_fit_the_class_are_refused():
    old, new = ExactSerializer(), ExactSerializer()
    first = dataclass(type("T", (), {"__annotations__": {"x": int}}))
    more = dataclass(type("T", (), {"__annotations__": {"x": int, "y": int}}))
    other = dataclass(type("T", (), {"__annotations__": {"z": int}}))
    old.register(first, "t")
    data = old.dumps(first(1))
    new.register(more, "t")
    with pytest.raises(DeserializationError, match="has changed"):
        new.loads(data)
    new = ExactSerializer()
    new.register(other, "t")
    with pytest.raises(DeserializationError, match="other fields"):
        new.loads(data)
    new = ExactSerializer()
    new.register(Checked, "t")
    with pytest.raises(DeserializationError, match="has changed"):
        new.loads(data)
    members = [enum.Enum("E", "A B"), enum.Enum("E", "A")]
    old.register(members[0], "e")
    new.register(members[1], "e")
    assert new.loads(old.dumps(members[0].A)) is members[1].A
    with pytest.raises(DeserializationError, match="no such member"):
        new.loads(old.dumps(members[0].B))


def test_fields_in_another_order_are_found_by_name():
    old, new = ExactSerializer(), ExactSerializer()
    one = dataclass(type("T", (), {"__annotations__": {"x": int, "y": int}}))
    two = dataclass(type("T", (), {"__annotations__": {"y": int, "x": int}}))
    old.register(one, "t")
    new.register(two, "t")
    made = new.loads(old.dumps(one(1, 2)))
    assert (type(made), made.x, made.y) == (two, 1, 2)


def test_a_copy_with_more_types_leaves_the_first_alone():
    one = ExactSerializer()
    one.register(Point, "p")
    two = one._with_types((Point, User, Colour, int, Numbers, Plain))
    assert b"\xa1p" in two.dumps(Point(1, 2))
    kept(two, [Point(1, 2), User("a"), Colour.RED])
    with pytest.raises(SerializationError):
        one.dumps(User("a"))
    two.register(Order)
    with pytest.raises(SerializationError):
        one.dumps(Order(1))


def test_a_serializer_and_a_class_that_holds_it_are_collected():
    def make():
        serializer = ExactSerializer()

        @serializer.register
        @dataclass
        class Local:
            x: int

        @serializer.register
        class Size(enum.Enum):
            SMALL = 1

        Local.serializer = serializer
        Size.serializer_of_size = serializer._with_types((Local, Size))
        assert kept(serializer, Local(1))
        return weakref.ref(Local), weakref.ref(Size)

    seen = make()
    gc.collect()
    assert [ref() for ref in seen] == [None, None]


def test_a_registered_class_lives_as_long_as_the_serializer():
    serializer = ExactSerializer()
    serializer.register(dataclass(type("T", (), {"__annotations__": {"x": int}})), "t")
    gc.collect()
    data = b"\xc7\x05\x13\xa1t\xa1x\x05"
    assert serializer.loads(data).x == 5
    assert sys.getrefcount(serializer) == 2
