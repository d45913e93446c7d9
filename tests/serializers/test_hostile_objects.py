"""Objects that misbehave while they are written or made: an error at worst, never a crash."""

from __future__ import annotations

import gc
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from cachine.exceptions import DeserializationError, SerializationError
from cachine.serializers import (
    ExactSerializer,
    JSONSerializer,
    MsgPackSerializer,
    PickleSerializer,
)

from .samples import Order, exact

ALL = (JSONSerializer(), MsgPackSerializer(), ExactSerializer(), JSONSerializer(lossy=True))


def test_what_contains_itself_is_refused():
    items = []
    items.append(items)
    table = {}
    table["table"] = table
    both = [{"both": None}]
    both[0]["both"] = both
    pair = ([],)
    pair[0].append(pair)
    for serializer in ALL:
        for value in (items, table, both):
            with pytest.raises(SerializationError, match="may contain itself"):
                serializer.dumps(value)
    with pytest.raises(SerializationError, match="may contain itself"):
        ExactSerializer().dumps(pair)
    order = Order(1)
    order.items.append(order)
    with pytest.raises(SerializationError, match="may contain itself"):
        exact().dumps(order)


def test_512_levels_are_written_on_a_small_stack():
    known = exact()
    values = []
    for wrap in (
        lambda inner: [inner],
        lambda inner: {"k": inner},
        lambda inner: (inner,),
        lambda inner: Order(1, inner),
    ):
        value = None
        for _ in range(511):
            value = wrap(value)
        values.append(value)
    done = []

    def work():
        for value in values:
            for serializer in (known, JSONSerializer(lossy=True), MsgPackSerializer(lossy=True)):
                done.append(len(serializer.loads(serializer.dumps(value)).__class__.__name__))

    size = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert len(done) == 12


class Failing:
    """Raises whatever is asked."""

    def __init__(self, error):
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name):
        raise object.__getattribute__(self, "error")

    def __eq__(self, other):
        raise object.__getattribute__(self, "error")

    def __hash__(self):
        return 1

    def __bool__(self):
        raise object.__getattribute__(self, "error")

    def __len__(self):
        raise object.__getattribute__(self, "error")

    def __iter__(self):
        raise object.__getattribute__(self, "error")


def test_an_object_of_an_unknown_class_is_never_asked_anything():
    for serializer in ALL:
        with pytest.raises(SerializationError, match="Failing") as caught:
            serializer.dumps([Failing(ZeroDivisionError())])
        assert caught.value.__cause__ is None


class Meta(type):
    def __getattribute__(cls, name):
        raise ZeroDivisionError

    def __instancecheck__(cls, instance):
        raise ZeroDivisionError

    def __subclasscheck__(cls, subclass):
        raise ZeroDivisionError

    def __eq__(cls, other):
        raise ZeroDivisionError

    def __hash__(cls):
        raise ZeroDivisionError


class Odd(metaclass=Meta):
    pass


def test_a_class_of_which_nothing_can_be_asked_is_refused():
    for serializer in ALL:
        with pytest.raises((SerializationError, ZeroDivisionError)):
            serializer.dumps([Odd()])


@dataclass
class Property:
    x: int

    error = ZeroDivisionError

    def __getattribute__(self, name):
        if name == "x":
            raise Property.error()
        return object.__getattribute__(self, name)


def test_an_attribute_that_raises_is_the_cause_of_the_error_with_a_path():
    with pytest.raises(SerializationError, match=r"met ZeroDivisionError at \$\.a\[0\]") as caught:
        JSONSerializer(lossy=True).dumps({"a": [Property(1)]})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes(error):
    Property.error = error
    try:
        with pytest.raises(error):
            JSONSerializer(lossy=True).dumps({"a": [Property(1)]})
    finally:
        Property.error = ZeroDivisionError


def test_an_exact_serializer_reads_fields_past_what_the_class_makes_of_attributes():
    serializer = ExactSerializer()
    serializer.register(Property)
    made = serializer.loads(serializer.dumps(Property(5)))
    assert object.__getattribute__(made, "x") == 5


@dataclass
class Trap:
    """A field that is a property: code that runs in the middle of a walk."""

    x: object

    victim = None


def setter(self, value):
    self.__dict__["hidden"] = value


def getter(self):
    Trap.victim()
    return 1


Trap.x = property(getter, setter)


def trap(victim):
    """An object that calls `victim` while it is written."""
    made = object.__new__(Trap)
    Trap.victim = staticmethod(victim)
    return made


@pytest.mark.parametrize(
    "serializer", [JSONSerializer(lossy=True), MsgPackSerializer(lossy=True), None]
)
def test_lists_and_dicts_that_change_while_they_are_written_are_refused(serializer):
    if serializer is None:
        serializer = ExactSerializer()
        serializer.register(Trap)
    items, table = [], {}
    changes = [
        (items, items.clear),
        (items, lambda: items.append(1)),
        (table, table.clear),
        (table, lambda: table.update({str(n): n for n in range(50)})),
        (table, lambda: table.pop("b")),
        (table, lambda: (table.pop("b"), table.update(c=1, d=1))),
    ]
    for value, change in changes:
        items[:] = [trap(change), [1], [2]]
        table.clear()
        table.update(a=trap(change), b=[1])
        with pytest.raises(SerializationError, match="changes while it is written"):
            serializer.dumps(value)


def test_a_list_that_is_replaced_in_place_gives_what_is_there():
    items = []

    def change():
        items[:] = [None, ["new"], ["new"]]
        gc.collect()

    items[:] = [trap(change), ["old"], ["old"]]
    made = JSONSerializer(lossy=True).loads(JSONSerializer(lossy=True).dumps(items))
    assert made == [{"x": 1}, ["new"], ["new"]]


class Liar(OrderedDict):
    def items(self):
        return [1, 2]

    def __len__(self):
        return 5


def test_a_mapping_that_lies_is_refused_or_written_as_it_says():
    with pytest.raises(SerializationError, match="no pairs"):
        JSONSerializer(lossy=True).dumps(Liar(a=1))


hashes = []


@dataclass
class Hashed:
    x: int

    def __hash__(self):
        hashes.append(self.x)
        if self.x == 13:
            raise ZeroDivisionError
        if self.x == 14:
            raise KeyboardInterrupt
        return 1

    def __eq__(self, other):
        hashes.append("eq")
        if self.x == 15:
            raise ZeroDivisionError
        return self is other


def test_a_hash_or_an_equality_that_raises_while_a_value_is_made():
    serializer = ExactSerializer()
    serializer.register(Hashed, "h")

    def key(number):
        return b"\xc7\x05\x13\xa1h\xa1x" + bytes([number])

    def group(*numbers):
        content = b"".join(map(key, numbers))
        return b"\xc7" + bytes([len(content), 2]) + content

    def table(*numbers):
        return bytes([0x80 + len(numbers)]) + b"".join(key(number) + b"\x01" for number in numbers)

    for made in (group, table):
        assert len(serializer.loads(made(1, 2))) == 2
        for numbers in ((13,), (1, 13), (15, 15)):
            with pytest.raises(DeserializationError) as caught:
                serializer.loads(made(*numbers))
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(KeyboardInterrupt):
            serializer.loads(made(1, 14))


class Dying:
    """Counts its ends."""

    ends = 0

    def __del__(self):
        Dying.ends += 1


Dying = dataclass(
    type("Dying", (Dying,), {"__annotations__": {"x": object}, "__module__": __name__})
)


def test_objects_that_were_made_before_an_error_are_given_up():
    serializer = ExactSerializer()
    serializer.register(Dying, "d")
    made = b"\xc7\x05\x13\xa1d\xa1x\x01"
    before = Dying.ends
    for tail in (b"\xc1", b"\xc7\x01\x02\x90", b""):
        with pytest.raises(DeserializationError):
            serializer.loads(b"\x93" + made + b"\x91" + made + tail)
    gc.collect()
    base = next(each for each in Dying.__mro__ if "ends" in vars(each))
    assert base.ends + Dying.ends - before >= 6


def test_threads_that_change_what_others_write_never_crash():
    table = {str(number): [number] for number in range(200)}
    items = [{"n": number} for number in range(200)]
    stop = threading.Event()
    seen = []

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            table[str(number % 300)] = [number]
            table.pop(str((number * 7) % 300), None)
            items.append({"n": number})
            del items[:2]

    def write():
        serializer = ExactSerializer()
        while not stop.is_set():
            for value in (table, items):
                try:
                    seen.append(type(serializer.loads(serializer.dumps(value))))
                except SerializationError as error:
                    assert "changes while it is written" in str(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for work in (change, change, write, write)]
        for thread in threads:
            thread.start()
        while len(seen) < 200:
            pass
    finally:
        stop.set()
        sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()


def test_pickle_survives_what_contains_itself():
    items = []
    items.append(items)
    made = PickleSerializer().loads(PickleSerializer().dumps(items))
    assert made[0] is made
