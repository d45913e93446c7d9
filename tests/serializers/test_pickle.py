"""Pickles: everything is kept, and with a key nothing is loaded that somebody else made."""

from __future__ import annotations

import pickle

import pytest
from cachine.exceptions import (
    ConfigError,
    DeserializationError,
    IntegrityError,
    SerializationError,
)
from cachine.serializers import PickleSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from . import samples
from .samples import MUCH, is_same

plain, signed = PickleSerializer(), PickleSerializer(signing_key="a key")
loaded = []


def load(number):
    loaded.append(number)


class Loud:
    """Says when it is loaded."""

    def __reduce__(self):
        return load, (1,)


@settings(max_examples=100, deadline=None)
@given(samples.exact_values)
def test_every_value_comes_back(value):
    for serializer in (plain, signed):
        assert is_same(value, serializer.loads(serializer.dumps(value)))


def test_payloads_are_pickles_that_the_module_reads():
    for serializer in (plain, signed):
        assert is_same(MUCH, pickle.loads(serializer.dumps(MUCH)))
    assert is_same(MUCH, plain.loads(pickle.dumps(MUCH, 4)))


def test_keys_are_text_or_bytes_and_never_empty():
    assert PickleSerializer("é").loads(PickleSerializer("é".encode()).dumps(1)) == 1
    for empty in ("", b""):
        with pytest.raises(ConfigError, match="empty"):
            PickleSerializer(signing_key=empty)
    with pytest.raises(TypeError, match="signing_key must be a str, bytes or None, not int"):
        PickleSerializer(signing_key=5)
    with pytest.raises(ConfigError, match="surrogate"):
        PickleSerializer(signing_key="s3cret\ud800")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_seen_before_anything_is_loaded(at, bit):
    data = bytearray(signed.dumps(Loud()))
    data[at % len(data)] ^= 1 << bit
    loaded.clear()
    with pytest.raises(IntegrityError):
        signed.loads(bytes(data))
    assert loaded == []


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Loud()),
        pickle.dumps(Loud()) + bytes(32),
        PickleSerializer("another key").dumps(Loud()),
        signed.dumps(Loud())[:-1],
        signed.dumps(Loud()) + b"\x00",
        b"",
        bytes(31),
        bytes(32),
    ],
)
def test_what_another_key_signed_is_never_loaded(data):
    loaded.clear()
    with pytest.raises(IntegrityError, match="signature"):
        signed.loads(data)
    assert loaded == []


def test_what_was_signed_is_loaded():
    loaded.clear()
    signed.loads(signed.dumps(Loud()))
    assert loaded == [1]


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"\x80\x05", b"cno_such_module\nX\n.", b"\x80\xff."]
)
def test_a_pickle_that_does_not_load_is_an_error_with_its_cause(data):
    with pytest.raises(DeserializationError, match="PickleSerializer can't load this") as caught:
        plain.loads(data)
    assert isinstance(caught.value.__cause__, Exception)


class Holder:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def function():
    return lambda: 1


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (function(), "$"),
        ([1, function()], "$[1]"),
        ({"user": {"tags": [1, (2, function())]}}, "$.user.tags[1][1]"),
        ({"a": Holder(x=1, y=[function()])}, "$.a.y[0]"),
        ({function(): 1}, "$[a key of type function]"),
        ({1, function()}, "$[an item]"),
    ],
)
def test_what_can_not_be_pickled_is_named_with_its_path(value, path):
    for serializer in (plain, signed):
        with pytest.raises(SerializationError) as caught:
            serializer.dumps(value)
        assert f" can't be kept by PickleSerializer at {path}: " in str(caught.value)
        assert caught.value.__cause__ is not None


def test_a_value_nested_too_deep_for_pickle_is_an_error():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SerializationError) as caught:
        plain.dumps(value)
    assert isinstance(caught.value.__cause__, RecursionError)


class Interrupts:
    def __reduce__(self):
        raise KeyboardInterrupt


class Exits:
    def __reduce__(self):
        return Exits._exit, ()

    @staticmethod
    def _exit():
        raise SystemExit(3)


def test_what_is_no_exception_passes():
    with pytest.raises(KeyboardInterrupt):
        plain.dumps([Interrupts()])
    with pytest.raises(SystemExit):
        plain.loads(plain.dumps(Exits()))


def test_nothing_shows_the_key():
    serializer = PickleSerializer(signing_key="s3cret")
    shown = [repr(serializer), str(serializer), str(dir(serializer))]
    with pytest.raises(IntegrityError) as caught:
        serializer.loads(bytes(64))
    shown.append(repr(caught.value) + str(vars(caught.value)))
    with pytest.raises(SerializationError) as refused:
        serializer.dumps(function())
    shown.append(str(refused.value))
    with pytest.raises(TypeError) as unpickled:
        pickle.dumps(serializer)
    shown.append(str(unpickled.value))
    assert "s3cret" not in " ".join(shown)
    assert repr(serializer) == "PickleSerializer(signing_key=...)"
