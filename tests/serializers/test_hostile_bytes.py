"""Whatever the bytes are: a value, or a DeserializationError."""

from __future__ import annotations

import struct
import threading

import pytest
from cachine.exceptions import CacheError, DeserializationError
from cachine.serializers import JSONSerializer, MsgPackSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from . import samples
from .samples import MUCH, exact

known = exact()
ALL = (JSONSerializer(), MsgPackSerializer(), known)


def read(serializer, data):
    """The value of some bytes, if they have one."""
    try:
        return serializer.loads(data)
    except DeserializationError as error:
        assert isinstance(error, (CacheError, ValueError))
        assert error.operation == "loads"
        return error


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_error(data):
    for serializer in ALL:
        read(serializer, data)


@settings(max_examples=150, deadline=None)
@given(samples.exact_values, st.data())
def test_bytes_that_are_cut_or_changed_are_a_value_or_an_error(value, data):
    whole = known.dumps(value)
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    for serializer in ALL:
        read(serializer, whole[:at])
        read(serializer, bytes(flipped))
        read(serializer, whole + whole[:1])


def test_every_cut_and_every_flipped_bit_of_one_value():
    whole = known.dumps(MUCH)
    assert samples.is_same(MUCH, known.loads(whole))
    for at in range(len(whole)):
        assert isinstance(read(known, whole[:at]), DeserializationError)
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            read(known, bytes(flipped))


NESTED = {
    "lists of JSON": b"[" * 10_000 + b"]" * 10_000,
    "lists of JSON without an end": b"[" * 10_000,
    "maps of JSON": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists of MessagePack": b"\x91" * 10_000 + b"\x01",
    "maps of MessagePack": b"\x81\xa1k" * 10_000 + b"\x01",
    "tuples": b"\xc9\xff\xff\xff\xff\x01" * 10_000,
    "sets": b"\xd4\x02" * 10_000 + b"\x01",
}


@pytest.mark.parametrize("name", NESTED)
def test_10_000_levels_are_an_error_on_a_small_stack_too(name):
    errors = []

    def work():
        errors.extend(read(serializer, NESTED[name]) for serializer in ALL)

    size = threading.stack_size(128 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert errors
    assert all(isinstance(error, DeserializationError) for error in errors)


LIES = {
    "list": b"\xdd\xff\xff\xff\xff",
    "map": b"\xdf\xff\xff\xff\xff",
    "text": b"\xdb\xff\xff\xff\xff",
    "bytes": b"\xc6\xff\xff\xff\xff",
    "extension": b"\xc9\xff\xff\xff\xff\x01",
    "nested extension": b"\xc9\x00\x00\x00\x05\x01\xdd\xff\xff\xff\xff",
    "map of half the pairs": b"\x82\x01\x02\x03",
}


@pytest.mark.parametrize("name", LIES)
def test_a_length_that_lies_costs_nothing(name):
    for serializer in (MsgPackSerializer(), known):
        for tail in (b"", b"\x01" * 64):
            assert isinstance(read(serializer, LIES[name] + tail), DeserializationError)


def test_numbers_of_too_many_digits_are_an_error_and_not_a_long_wait():
    assert known.loads(b"9" * 5_000) == 10**5_000 - 1
    for data in (b"1" * 200_000, b"[" + b"1" * 2_000_000, b"-" + b"1" * 200_000, b"1e999"):
        for serializer in (JSONSerializer(), known):
            assert isinstance(read(serializer, data), DeserializationError)


def extension(kind, content):
    return b"\xc8" + struct.pack(">Hb", len(content), kind) + content


def array(*items):
    return b"".join(items)


BROKEN = {
    "set with a list in it": extension(2, b"\x90"),
    "frozenset with a dict in it": extension(3, b"\x80"),
    "big integer that is small": extension(5, b"\x01"),
    "big integer without bytes": extension(5, b""),
    "surrogates without one": extension(6, b"abc"),
    "surrogates that are no UTF-8": extension(6, b"\xff"),
    "complex that is short": extension(7, bytes(15)),
    "range of two": extension(8, b"\x01\x02"),
    "range with step 0": extension(8, b"\x01\x02\x00"),
    "range of texts": extension(8, b"\xa1a\xa1b\xa1c"),
    "range of truth values": extension(8, b"\xc3\xc3\xc3"),
    "decimal that is none": extension(9, b"1,5"),
    "decimal with spaces": extension(9, b" 1 "),
    "decimal with underscores": extension(9, b"1_0"),
    "decimal with an exponent beyond all": extension(9, b"1E+9999999999999999999999"),
    "fraction over 0": extension(10, b"\x01\x00"),
    "fraction of one": extension(10, b"\x01"),
    "fraction of floats": extension(10, b"\xcb" + bytes(8) + b"\xcb" + bytes(8)),
    "UUID of 15 bytes": extension(11, bytes(15)),
    "datetime in month 13": extension(12, b"\x07\xe8\x0d\x01" + bytes(6) + b"\x00"),
    "datetime in an unknown zone": extension(12, b"\x07\xe8\x01\x01" + bytes(6) + b"\x04No/Where"),
    "datetime in a zone that leaves the folder": extension(
        12, b"\x07\xe8\x01\x01" + bytes(6) + b"\x04../../etc/passwd"
    ),
    "datetime in a zone with an absolute path": extension(
        12, b"\x07\xe8\x01\x01" + bytes(6) + b"\x04/etc/passwd"
    ),
    "datetime in a zone with a zero": extension(12, b"\x07\xe8\x01\x01" + bytes(6) + b"\x04a\x00b"),
    "datetime with an offset of two days": extension(
        12, b"\x07\xe8\x01\x01" + bytes(6) + b"\x02" + struct.pack(">i", 172_800) + bytes(3)
    ),
    "29 February of 2023": extension(13, b"\x07\xe7\x02\x1d"),
    "hour 24": extension(14, b"\x18" + bytes(6)),
    "too many days": extension(15, struct.pack(">iII", 10**9, 0, 0)),
    "path of an unknown flavour": extension(16, b"\x07a"),
    "Enum without a name": extension(17, b""),
    "Enum that is unknown": extension(17, b"\xa7os.stat\xa1A"),
    "named tuple that is unknown": extension(18, b"\xa9os.system\xa4true"),
    "dataclass that is unknown": extension(19, b"\xacbuiltins.int\xa1x\x01"),
    "dataclass named by a number": extension(19, b"\x01\xa1x\x01"),
    "unknown extension type": extension(77, b"abc"),
    "timestamp of 5 bytes": extension(-1, bytes(5)),
    "timestamp far away": extension(-1, bytes(4) + struct.pack(">q", 2**62)),
    "timestamp with too many nanoseconds": extension(-1, b"\xff\xff\xff\xff" + bytes(8)),
    "map with a list as a key": b"\x81\x90\x01",
    "map with a map as a key": b"\x81\x80\x01",
    "the byte that means nothing": b"\xc1",
    "text that is no UTF-8": b"\xa2\xff\xfe",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_payload_that_means_nothing_is_an_error(name):
    for serializer in (MsgPackSerializer(), known):
        assert isinstance(read(serializer, BROKEN[name]), DeserializationError), name
        assert isinstance(read(serializer, b"\x91" + BROKEN[name]), DeserializationError), name


def test_nothing_is_imported_by_a_name_in_a_payload(run):
    run(
        """
import sys
from cachine.exceptions import DeserializationError
from cachine.serializers import ExactSerializer

serializer = ExactSerializer()
for kind in (17, 18, 19):
    for name in ("this.Zen", "antigravity.fly", "xml.dom.minidom.Node"):
        content = bytes([0xa0 + len(name)]) + name.encode() + b"\\xa1x\\x01"
        try:
            serializer.loads(b"\\xc7" + bytes([len(content), kind]) + content)
        except DeserializationError as error:
            assert name in str(error), error
        else:
            raise SystemExit(1)
        assert name.partition(".")[0] not in sys.modules
"""
    )


WRONG = {
    "null": b"null",
    "pickle": b"\x80\x05K\x01.",
    "gzip": b"\x1f\x8b\x08\x00",
    "JSON with a mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "empty": b"",
    "space": b"  ",
}


@pytest.mark.parametrize("name", WRONG)
def test_bytes_of_something_else_are_refused_or_mean_what_they_are(name):
    for serializer in ALL:
        made = read(serializer, WRONG[name])
        assert made is None or isinstance(made, (DeserializationError, int, dict)), made
