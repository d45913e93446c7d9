"""Serializers as caches use them: of any class, integers apart, formats checked."""

from __future__ import annotations

import gc
import json
import pickle
import weakref

import pytest
from cachine import _core
from cachine.exceptions import DeserializationError, IntegrityError, SerializationError
from cachine.serializers import (
    ExactSerializer,
    JSONSerializer,
    MsgPackSerializer,
    PickleSerializer,
)

from .samples import Level

OTHER, JSON, MESSAGEPACK, PICKLE, SIGNED, INTEGER = range(6)
OURS = {
    "exact": ExactSerializer(),
    "json": JSONSerializer(),
    "messagepack": MsgPackSerializer(),
    "pickle": PickleSerializer(),
    "signed": PickleSerializer("key"),
    "module": json,
    "pickle module": pickle,
}


def route(serializer):
    return _core.SerializerRoute(serializer)


class Own:
    """A serializer that does as it is told."""

    def __init__(self, made=b"made", read="read"):
        self.made, self.read, self.seen = made, read, []

    def dumps(self, obj):
        self.seen.append(obj)
        if isinstance(self.made, BaseException):
            raise self.made
        return self.made

    def loads(self, data):
        self.seen.append(data)
        if isinstance(self.read, BaseException):
            raise self.read
        return self.read


@pytest.mark.parametrize("name", OURS)
def test_an_int_of_64_bits_is_left_to_the_store_and_nothing_else_is(name):
    used = route(OURS[name])
    for number in (0, 1, -1, 2**63 - 1, -(2**63)):
        assert used.encode(number) == number
    for value in (True, 2**63, -(2**63) - 1, 1.0, "1"):
        assert isinstance(used.encode(value), tuple)
        assert used.decode(*used.encode(value)) == value
    if name.startswith("pickle"):
        assert used.encode(Level.LOW)[0] in (PICKLE, OTHER)


FORMATS = {
    "exact": (JSON, MESSAGEPACK),
    "json": (JSON,),
    "messagepack": (MESSAGEPACK,),
    "pickle": (PICKLE,),
    "signed": (SIGNED,),
    "module": (OTHER,),
    "pickle module": (OTHER,),
}


@pytest.mark.parametrize("name", OURS)
def test_each_names_its_format_and_reads_no_other(name):
    used = route(OURS[name])
    for value in ([1.5, "a"], {"k": None}):
        number, data = used.encode(value)
        assert number in FORMATS[name]
        assert used.decode(number, data) == value
        assert used.decode(None, data) == value, "without a name it is tried"
        for other in range(6):
            if other not in FORMATS[name]:
                with pytest.raises(DeserializationError, match="does not read"):
                    used.decode(other, data)


def test_a_wrong_format_is_named_with_the_serializer():
    with pytest.raises(DeserializationError, match=r"JSONSerializer does not read signed pickle"):
        route(JSONSerializer()).decode(SIGNED, b"")


def test_exact_chooses_json_or_messagepack():
    used = route(ExactSerializer())
    assert used.encode(["a"]) == (JSON, b'["a"]')
    assert used.encode(("a",)) == (MESSAGEPACK, b"\xd5\x01\xa1a")


def test_an_unframed_pickle_is_only_loaded_if_it_is_signed():
    used = route(PickleSerializer("key"))
    with pytest.raises(IntegrityError):
        used.decode(None, pickle.dumps(1))


@pytest.mark.parametrize("made", [b"data", bytearray(b"data"), memoryview(b"data"), "data"])
def test_dumps_may_return_bytes_of_any_kind_or_text(made):
    own = Own(made)
    assert route(own).encode("value") == (OTHER, b"data")
    assert route(own).decode(OTHER, b"data") == "read"
    assert own.seen == ["value", b"data"]
    assert type(own.seen[1]) is bytes


@pytest.mark.parametrize("made", [None, 5, [1], "\ud800"])
def test_dumps_that_returns_something_else_is_an_error(made):
    with pytest.raises(SerializationError, match=r"dumps of .*Own"):
        route(Own(made)).encode("value")


def test_what_a_method_raises_is_the_cause():
    cause = ZeroDivisionError()
    with pytest.raises(SerializationError, match="Own") as caught:
        route(Own(cause)).encode("s3cret")
    assert caught.value.__cause__ is cause
    assert "s3cret" not in str(caught.value)
    with pytest.raises(DeserializationError, match="Own") as caught:
        route(Own(read=cause)).decode(None, b"s3cret")
    assert caught.value.__cause__ is cause
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_is_no_exception_passes(error):
    with pytest.raises(type(error)):
        route(Own(error)).encode("value")
    with pytest.raises(type(error)):
        route(Own(read=error)).decode(None, b"")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (JSONSerializer, r"the class JSONSerializer; pass an instance of it: JSONSerializer\(\)"),
        (Own, r"the class Own; pass an instance"),
        (object(), "dumps"),
        (None, "dumps"),
        ("json", "dumps"),
        (type("Half", (), {"dumps": lambda self, obj: b""})(), "no loads"),
        (type("Odd", (), {"dumps": 1, "loads": 2})(), "no dumps"),
    ],
)
def test_what_is_no_serializer_is_refused_with_what_it_needs(wrong, message):
    with pytest.raises(TypeError, match=message):
        route(wrong)


def test_a_subclass_of_ours_is_asked_through_its_methods():
    class Louder(JSONSerializer):
        def dumps(self, obj):
            return super().dumps(["louder", obj])

    used = route(Louder())
    assert used.encode("a") == (OTHER, b'["louder","a"]')
    assert used.decode(OTHER, b"[1]") == [1]


def test_each_is_shown_as_it_was_made():
    for name in ("exact", "json", "messagepack", "pickle", "signed"):
        assert repr(route(OURS[name])) == repr(OURS[name])


def test_a_serializer_that_leads_back_to_its_cache_is_collected():
    own = Own()
    own.used = route(own)
    seen = weakref.ref(own)
    del own
    gc.collect()
    assert seen() is None
