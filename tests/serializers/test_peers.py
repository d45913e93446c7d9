"""What we write others read, and the other way round: the module json, and msgpack of PyPI."""

from __future__ import annotations

import json
import math

import msgpack
import pytest
from cachine.serializers import ExactSerializer, JSONSerializer, MsgPackSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from . import samples
from .samples import is_same

text, packed, exact = JSONSerializer(), MsgPackSerializer(), ExactSerializer()


@settings(max_examples=300, deadline=None)
@given(samples.json_values)
def test_the_json_module_reads_what_we_write(value):
    assert is_same(value, json.loads(text.dumps(value)))


@settings(max_examples=300, deadline=None)
@given(samples.json_values, st.booleans(), st.sampled_from([None, 0, 3]))
def test_we_read_what_the_json_module_writes(value, ascii_only, indent):
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert is_same(value, text.loads(data))
    assert is_same(value, exact.loads(data))


#: Without what only an extension of ours can say: wide integers, and datetimes that are no UTC.
common_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    samples.floats,
    samples.text,
    st.binary(max_size=300),
    st.datetimes(timezones=st.just(samples.timezone.utc)).map(lambda at: at.replace(fold=0)),
)
common_values = st.recursive(
    common_leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=20),
        st.dictionaries(st.one_of(samples.text, st.integers(-9, 300)), inner, max_size=20),
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(common_values)
def test_msgpack_of_pypi_reads_what_we_write(value):
    for serializer in (packed,):
        made = msgpack.unpackb(serializer.dumps(value), timestamp=3, strict_map_key=False)
        assert is_same(value, made)


@settings(max_examples=300, deadline=None)
@given(common_values)
def test_we_read_what_msgpack_of_pypi_writes(value):
    assert is_same(value, packed.loads(msgpack.packb(value, datetime=True)))


@settings(max_examples=200, deadline=None)
@given(common_values)
def test_both_write_the_same_bytes(value):
    assert packed.dumps(value) == msgpack.packb(value, datetime=True)


def test_floats_of_32_bits_and_bytes_of_old_programs_are_read():
    assert packed.loads(msgpack.packb(1.5, use_single_float=True)) == 1.5
    assert packed.loads(msgpack.packb("é" * 40, use_bin_type=False)) == "é" * 40


@settings(max_examples=100, deadline=None)
@given(samples.exact_values)
def test_other_programs_see_the_bytes_of_our_extensions(value):
    data = samples.exact().dumps(value)
    if data[0] >= 0x80:
        msgpack.unpackb(data, timestamp=0, strict_map_key=False, object_pairs_hook=list)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_we_do_not_read_the_numbers_that_only_the_json_module_has(value):
    with pytest.raises(ValueError, match="can't read this"):
        text.loads(json.dumps(value).encode())
