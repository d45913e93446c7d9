"""JSON and MessagePack keep what they can as it is, and refuse the rest with its type and path."""

from __future__ import annotations

import enum
import math
import re
from collections import OrderedDict, deque
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from cachine.exceptions import DeserializationError, SerializationError
from cachine.serializers import ExactSerializer, JSONSerializer, MsgPackSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from . import samples
from .samples import Level, Order, is_same

ALL = (JSONSerializer(), MsgPackSerializer(), ExactSerializer())


@settings(max_examples=300, deadline=None)
@given(samples.json_values)
def test_what_json_keeps_comes_back_as_it_was(value):
    for serializer in ALL:
        assert is_same(value, serializer.loads(serializer.dumps(value)))


@settings(max_examples=300, deadline=None)
@given(samples.packed_values)
def test_what_messagepack_keeps_comes_back_as_it_was(value):
    serializer = MsgPackSerializer()
    assert is_same(value, serializer.loads(serializer.dumps(value)))


@settings(max_examples=400, deadline=None)
@given(samples.exact_values)
def test_any_other_value_is_refused_with_a_type_and_a_path_or_kept(value):
    for serializer in ALL:
        try:
            data = serializer.dumps(value)
        except SerializationError as error:
            assert re.search(r"can't be kept by \w+Serializer at \$", str(error)), error
        else:
            assert is_same(value, serializer.loads(data))


def refused(serializer, value):
    with pytest.raises(SerializationError) as caught:
        serializer.dumps(value)
    assert isinstance(caught.value, TypeError)
    assert caught.value.operation == "dumps"
    assert caught.value.retryable is False
    return str(caught.value)


def test_the_message_names_type_serializer_path_and_cure():
    message = refused(JSONSerializer(), {"user": {"tags": [1, 2, 3, {4}]}})
    assert message == (
        "set can't be kept by JSONSerializer at $.user.tags[3]: ExactSerializer keeps it; "
        "JSONSerializer(lossy=True) writes a list instead"
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1}, "$"),
        ([[{1}]], "$[0][0]"),
        ({"a": {"b_2": {1}}}, "$.a.b_2"),
        ({"a b": {1}}, '$["a b"]'),
        ({"": {1}}, '$[""]'),
        ({"1a": {1}}, '$["1a"]'),
        ({'"\n': {1}}, '$["\\"\\n"]'),
        ({"é": {1}}, '$["é"]'),
        ({"x" * 100: {1}}, f'$["{"x" * 40}…"]'),
    ],
)
def test_paths_are_written_as_code_and_long_keys_are_cut(value, path):
    for serializer in (JSONSerializer(), MsgPackSerializer()):
        assert f" at {path}: " in refused(serializer, value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1: object()}, "$[1]"),
        ({b"k": object()}, "$[a key of type bytes]"),
        ((1, (object(),)), "$[1][0]"),
        (frozenset([enum.Enum]), "$[an item]"),
    ],
)
def test_paths_lead_through_what_only_exact_keeps(value, path):
    assert f" at {path}: " in refused(ExactSerializer(), value)


def test_a_long_path_shows_both_ends():
    value = [{1}]
    for number in range(99):
        value = {f"k{number}": value}
    message = refused(JSONSerializer(), value)
    assert ".k98.k97.k96.k95.k94.k93.k92.k91….k6.k5.k4.k3.k2.k1.k0[0]: " in message


def test_no_message_holds_a_value():
    secret = "s3cret"
    for value in ({secret}, [Decimal(12345)], {"a": (secret,)}, Order(secret), "s3cret\ud800"):
        for serializer in (JSONSerializer(), MsgPackSerializer(), ExactSerializer()):
            try:
                serializer.dumps(value)
            except SerializationError as error:
                assert secret not in str(error)
                assert "12345" not in str(error)
                assert error.__cause__ is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_no_number_in_json(value):
    assert "$.x" in refused(JSONSerializer(), {"x": value})
    assert "$.x" in refused(JSONSerializer(lossy=True), {"x": value})


@pytest.mark.parametrize("key", [1, 1.5, True, None, b"k", (1,), Level.LOW, datetime(2024, 1, 1)])
def test_json_has_only_text_as_keys(key):
    message = refused(JSONSerializer(), {"outer": {"ok": 1, key: 2}})
    assert message.startswith("a dict key of type ")
    assert " at $.outer: " in message


@pytest.mark.parametrize("key", [(1,), frozenset(), Level.LOW, Decimal(1), 1j])
def test_messagepack_has_only_scalars_as_keys(key):
    assert "a dict key of type " in refused(MsgPackSerializer(), {"x": 1, key: 2})


def test_text_with_surrogates_is_refused_as_value_and_as_key():
    for serializer in (JSONSerializer(), MsgPackSerializer(), JSONSerializer(lossy=True)):
        for value in ("\ud800", {"\ud800": 1}, "é" * 2000 + "\ud800"):
            assert "unpaired surrogate" in refused(serializer, value)


@pytest.mark.parametrize(
    "value",
    [(), (1,), set(), frozenset(), bytearray(), 1j, range(3), Level.LOW, OrderedDict(), deque()],
)
def test_none_of_these_turns_into_something_else(value):
    for serializer in (JSONSerializer(), MsgPackSerializer()):
        assert "$[0]" in refused(serializer, [value])


def test_an_int_of_too_many_digits_for_json_is_refused_by_json_and_kept_by_the_others():
    value = 10**100_000
    assert "digits" in refused(JSONSerializer(), value)
    for serializer in (MsgPackSerializer(), ExactSerializer()):
        assert serializer.loads(serializer.dumps(value)) == value
    assert JSONSerializer().loads(JSONSerializer().dumps(value // 10)) == value // 10


def test_512_levels_are_kept_and_one_more_is_not():
    for serializer in ALL:
        for wrap in (lambda inner: [inner], lambda inner: {"k": inner}):
            value = 1
            for _ in range(512):
                value = wrap(value)
            data = serializer.dumps(value)
            assert serializer.dumps(serializer.loads(data)) == data
            assert "nested more than 512 levels" in refused(serializer, wrap(value))
    value = ()
    for _ in range(511):
        value = (value,)
    data = ALL[2].dumps(value)
    assert ALL[2].dumps(ALL[2].loads(data)) == data
    assert "nested more than 512 levels" in refused(ALL[2], (value,))


@pytest.mark.parametrize("data", [bytearray, memoryview, bytes])
def test_loads_takes_every_kind_of_bytes(data):
    for serializer in ALL:
        assert serializer.loads(data(serializer.dumps([1, "a"]))) == [1, "a"]


@pytest.mark.parametrize("data", ["[1]", None, 1, [91, 49, 93]])
def test_loads_refuses_what_is_no_bytes(data):
    for serializer in ALL:
        with pytest.raises(TypeError, match="bytes, bytearray or memoryview"):
            serializer.loads(data)


def test_a_json_error_is_the_cause_and_does_not_hold_the_text():
    import json

    with pytest.raises(DeserializationError) as caught:
        JSONSerializer().loads(b'["s3cret" 1]')
    cause = caught.value.__cause__
    assert isinstance(cause, json.JSONDecodeError)
    assert cause.pos == 10
    assert "s3cret" not in repr((caught.value, cause, cause.doc))


def test_serializers_show_how_they_were_made():
    assert repr(JSONSerializer()) == "JSONSerializer()"
    assert repr(MsgPackSerializer(lossy=True)) == "MsgPackSerializer(lossy=True)"
    assert repr(ExactSerializer()) == "ExactSerializer()"


@settings(max_examples=100, deadline=None)
@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_datetime_in_utc_is_a_timestamp_of_messagepack(value):
    value = value.replace(fold=0)  # Which a point in time does not have.
    data = MsgPackSerializer().dumps(value)
    assert data[:2] == b"\xd6\xff" or data[:2] == b"\xd7\xff" or data[:3] == b"\xc7\x0c\xff"
    assert is_same(value, MsgPackSerializer().loads(data))
