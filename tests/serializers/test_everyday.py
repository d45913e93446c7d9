"""What holds for all of them: light to import, no leak, many threads, forks, and a quiet end."""

from __future__ import annotations

import gc
import sys
import threading

import pytest
from cachine.exceptions import DeserializationError, SerializationError
from cachine.serializers import (
    ExactSerializer,
    JSONSerializer,
    MsgPackSerializer,
    PickleSerializer,
)

from .samples import MUCH, Colour, Key, Order, Point, exact, is_same

known = exact()
ALL = (JSONSerializer(), MsgPackSerializer(), known, PickleSerializer(), PickleSerializer("key"))
COMMON = {"a": [1, 2.5, "é", None, True, 2**70], "b": {"c": ["x"]}}
RICH = [MUCH, Colour.RED, Point(1, (2,)), Order(1, [Key((1,))]), {Key(1): {Point(1, 2)}}]


def test_importing_the_serializers_imports_nothing_that_values_are_made_of(run):
    run(
        """
import sys
before = set(sys.modules)
import cachine.exceptions, cachine.serializers
new = set(sys.modules) - before
heavy = {"decimal", "datetime", "uuid", "pickle", "fractions", "pathlib", "zoneinfo", "json",
         "dataclasses", "inspect", "enum", "typing", "_datetime", "_decimal"}
import cachine
more = set(sys.modules) - before - new
serializer = cachine.serializers.ExactSerializer()
before_use = set(sys.modules)
value = {"a": (1, b"x", {2}), 3: 1j}
assert serializer.loads(serializer.dumps(value)) == value
assert cachine.serializers.JSONSerializer().dumps(["a"]) == b'["a"]'
try:
    serializer.dumps([object()])
except TypeError:
    pass
assert set(sys.modules) == before_use, set(sys.modules) - before_use
"""
    )


def counts():
    """How many objects there are, and what those that never die are referred to."""
    gc.collect()
    kept = (
        None,
        True,
        False,
        (),
        "",
        1,
        b"",
        Colour.RED,
        Colour,
        Point,
        Order,
        Key,
        int,
        str,
        dict,
    )
    return len(gc.get_objects()), [sys.getrefcount(each) for each in kept]


def steady(act):
    """Check that nothing is left of 10,000 rounds."""
    for _ in range(300):
        act()
    objects, references = counts()
    for _ in range(10_000):
        act()
    after, later = counts()
    assert after - objects < 50
    for before, now in zip(references, later):
        assert abs(now - before) < 1_000, "some are shared with the rest of the process"


def test_nothing_is_left_of_10_000_values():
    def act():
        for serializer in ALL:
            serializer.loads(serializer.dumps(COMMON))
        known.loads(known.dumps(RICH))

    steady(act)


def test_nothing_is_left_of_10_000_refusals():
    odd = {"a": [1, {"b": (Point(1, object()), Order(object()))}]}
    broken = known.dumps(RICH)[:-1]

    def act():
        for serializer in ALL[:3]:
            with pytest.raises(SerializationError):
                serializer.dumps(odd)
        with pytest.raises(DeserializationError):
            known.loads(broken)

    steady(act)


def test_nothing_is_left_of_10_000_registrations():
    def act():
        serializer = ExactSerializer()
        serializer.register(Point)
        serializer.register(Colour)._member_map_
        serializer._with_types((Order, Key)).register(Point, "p")

    steady(act)


def test_references_to_what_was_written_are_as_before():
    value = [object.__new__(Order), Point(1, 2), ["x"], {"k": "v"}, b"y"]
    value[0].number, value[0].items = 1, []
    before = [sys.getrefcount(each) for each in value]
    for _ in range(100):
        known.dumps(value)
        with pytest.raises(SerializationError):
            known.dumps([*value, object()])
    assert [sys.getrefcount(each) for each in value] == before


def test_64_threads_use_one_serializer_at_once():
    failures = []
    barrier = threading.Barrier(64)

    def work(number):
        barrier.wait()
        try:
            for turn in range(40):
                value = {"n": number, "rows": [{"id": turn}] * 20}
                for serializer in ALL:
                    assert is_same(value, serializer.loads(serializer.dumps(value)))
                value = (number, turn, *RICH)
                assert is_same(value, known.loads(known.dumps(value)))
                known.register(Point, f"point {number % 5}")
        except BaseException as error:
            failures.append(error)
            raise

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        known.register(Point)
    assert failures == []


def test_no_registration_is_lost_among_threads():
    import enum

    serializer = ExactSerializer()
    classes = [enum.Enum(f"E{number}", "A") for number in range(200)]

    def work(mine):
        for each in mine:
            serializer.register(each)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(classes[at::8],)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    members = [each.A for each in classes]
    assert serializer.loads(serializer.dumps(members)) == members


def test_parent_and_child_of_a_fork_go_on(run):
    run(
        """
import os, threading
from collections import namedtuple
from cachine.serializers import ExactSerializer, PickleSerializer

Point = namedtuple("Point", "x y")
serializer, signed = ExactSerializer(), PickleSerializer("key")
serializer.register(Point)
value = {"a": Point(1, (2,)), 3: {4}}
stop = threading.Event()

def work():
    while not stop.is_set():
        serializer.register(Point)
        assert serializer.loads(serializer.dumps(value)) == value

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(20):
    number = os.fork()
    if number == 0:
        serializer.register(Point, "p")
        good = serializer.loads(serializer.dumps(value)) == signed.loads(signed.dumps(value))
        os._exit(0 if good else 1)
    assert os.waitpid(number, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
"""
    )


#: Daemon threads that run user code inside of a serializer when the process ends. They are ended by
#: the interpreter wherever they are, up to CPython 3.13 by unwinding their stacks.
AT_WORK = """
import sys, threading, uuid
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import PurePosixPath
from cachine.serializers import ExactSerializer, JSONSerializer, PickleSerializer
from cachine import _core

sys.setswitchinterval(1e-6)
steps = 0

def busy():
    '''Gives other threads their turn while it runs.'''
    global steps
    for _ in range(30):
        steps += 1
    return 1

exact, lossy, pickled = ExactSerializer(), JSONSerializer(lossy=True), PickleSerializer()

@exact.register
@dataclass
class Keyed:
    x: int
    def __hash__(self):
        return busy()
    def __eq__(self, other):
        busy()
        return self is other
    def __del__(self):
        busy()

@exact.register
@dataclass
class Dying:
    x: int
    def __del__(self):
        busy()

@dataclass
class Asked:
    x: int
    def __getattribute__(self, name):
        busy()
        return object.__getattribute__(self, name)

class Own:
    def dumps(self, obj):
        busy()
        return b"x"
    def loads(self, data):
        busy()
        raise ValueError

class Reduced:
    def __reduce__(self):
        busy()
        return busy, ()

own = _core.SerializerRoute(Own())
keyed = exact.dumps({Keyed(1): {Keyed(2), Keyed(3)}, Keyed(4): frozenset([Keyed(5)])})
dying = exact.dumps([Dying(number) for number in range(99)])
library = [uuid.UUID(int=5), Fraction(1, 3), PurePosixPath("/a")]

def quiet(act, *arguments):
    try:
        act(*arguments)
    except ValueError:
        busy()
"""

WORK = {
    "hash, equality and finalizers of what is made": "exact.loads(keyed)",
    "finalizers of what was made before an error": "quiet(exact.loads, dying[:-1])",
    "attributes of what is written": "lossy.dumps([Asked(1)]); busy()",
    "a serializer of the user's": "own.encode('a'); quiet(own.decode, None, b'x')",
    "pickles": "pickled.loads(pickled.dumps([Reduced()]))",
    "the standard library": "exact.loads(exact.dumps(library)); busy()",
}


@pytest.mark.parametrize("work", WORK)
def test_a_process_ends_while_daemon_threads_are_inside_of_a_serializer(run, work):
    program = f"""
def forever():
    while True:
        {WORK[work]}

for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
while steps < 20_000:
    pass
"""
    for _ in range(3):  # Each time the threads are somewhere else.
        run(AT_WORK + program)
