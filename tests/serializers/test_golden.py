"""Payloads that are stored: what was written once is read for ever, and written the same."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from zoneinfo import ZoneInfo

import pytest
from cachine.serializers import ExactSerializer, JSONSerializer, MsgPackSerializer, PickleSerializer

from .samples import Colour, Order, Point, is_same

known = ExactSerializer()
known.register(Colour, "colour")
known.register(Point, "point")
known.register(Order, "order")

east = timezone(timedelta(hours=5, minutes=45))
GOLDEN = [
    (
        {"id": 1, "tags": ["a", None, True, 1.5]},
        "7b226964223a312c2274616773223a5b2261222c6e756c6c2c747275652c312e355d7d",
    ),
    (2**64, "3138343436373434303733373039353531363136"),
    ((), "c70001"),
    ((1, "a"), "c7030101a161"),
    ([(2**64,)], "91c70c01c70905" + "01" + "00" * 8),
    ({1}, "d40201"),
    (frozenset(), "c70003"),
    (b"\x00\xff", "c40200ff"),
    (bytearray(b"\x00\xff"), "d50400ff"),
    ({1: "a", None: (2,)}, "8201a161c0d40102"),
    (float("inf"), "cb7ff0000000000000"),
    (-0.0, "cb8000000000000000"),
    ("\ud800", "c70306eda080"),
    (1 - 2j, "d8073ff0000000000000c000000000000000"),
    (range(0, 10, 3), "c7030800" + "0a03"),
    (Decimal("-1.50"), "c705092d312e3530"),
    (Fraction(-1, 3), "d50aff03"),
    (uuid.UUID("12345678-1234-5678-1234-567812345678"), "d80b" + "12345678" * 4),
    (datetime(2024, 2, 29, 12, tzinfo=timezone.utc), "d6ff65e071c0"),
    (datetime(2024, 2, 29, 12, 0, 0, 1), "c70b0c07e8021d0c00000000" + "0100"),
    (
        datetime(2024, 2, 29, 12, fold=1, tzinfo=east),
        "c7120c07e8021d0c0000800000" + "02000050dc000000",
    ),
    (
        datetime(2024, 2, 29, tzinfo=ZoneInfo("Asia/Tokyo")),
        "c7150c07e8021d00000000000004" + b"Asia/Tokyo".hex(),
    ),
    (date(2024, 2, 29), "d60d07e8021d"),
    (time(1, 2, 3, 4), "c7070e01020300000400"),
    (timedelta(days=-1, seconds=2, microseconds=3), "c70c0fffffffff0000000200000003"),
    (PurePosixPath("/a"), "c70310002f61"),
    (PureWindowsPath("c:/a"), "c7051001633a5c61"),
    (Colour.RED, "c70b11a6636f6c6f7572a3524544"),
    (Point(1, 2), "d712a5706f696e740102"),
    (Order(1, []), "c71513a56f72646572a66e756d62657201a56974656d7390"),
]


@pytest.mark.parametrize(("value", "payload"), GOLDEN)
def test_an_exact_payload_is_what_it_was(value, payload):
    assert known.dumps(value).hex() == payload
    assert is_same(value, known.loads(bytes.fromhex(payload)))


def test_payloads_of_the_others_are_what_they_were():
    value = {"a": [1, -1, 1.5, "é", None, True]}
    assert JSONSerializer().dumps(value) == '{"a":[1,-1,1.5,"é",null,true]}'.encode()
    packed = "81a1619601ffcb3ff8000000000000a2c3a9c0c3"
    assert MsgPackSerializer().dumps(value).hex() == packed
    signed = PickleSerializer("key").dumps(1)
    signature = "d9601c71f9c20e4040fea191b33b8bcf38eb3187690452cf8c95e161373a330e"
    assert signed.hex() == "80054b012e" + signature


def test_a_signature_is_a_plain_hmac_of_purpose_and_pickle():
    import hashlib
    import hmac

    data = PickleSerializer("key").dumps([1, "a"])
    made = hmac.new(b"key", b"cachine pickle 1" + data[:-32], hashlib.sha256)
    assert data[-32:] == made.digest()
