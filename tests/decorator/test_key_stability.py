"""The key of a call is the same in every process, under every hash seed and version of Python.

The keys here are pinned: they are a stored form, which a new release must find again. Every
interpreter that runs this file computes them anew in two processes with different hash seeds.
"""

from __future__ import annotations

import json

KEYS = {
    "none": "shop.load(n,n)",
    "bools": "shop.load(T,F)",
    "ints": "shop.load(i1,i-9223372036854775808)",
    "large": "shop.load(x10000000000000000;,x-10000000000000000;)",
    "floats": "shop.load(f3ff8000000000000,f8000000000000000)",
    "texts": 'shop.load(s3"a,b,s4"hé")',
    "bytes": 'shop.load(b2"00ff,o18"builtins.bytearray()t(b1"61))',
    "sequences": 'shop.load(t(i1,s1"a),l(n))',
    "mappings": 'shop.load(d(s1"a,i1,s1"b,i2),S(i1,i2,s1"x))',
    "frozen": 'shop.load(Z(s1"a,s1"b,s1"c),n)',
    "decimal": 'shop.load(o15"decimal.Decimal()t(i0,t(i1,i5),i-1),n)',
    "fraction": 'shop.load(o18"fractions.Fraction()t(i1,i3),n)',
    "uuid": 'shop.load(o9"uuid.UUID()t(i5),n)',
    "date": 'shop.load(o13"datetime.date()t(i2024,i2,i29),n)',
    "time": 'shop.load(o13"datetime.time()t(i1,i2,i3,i4,i0,n),n)',
    "moment": (
        'shop.load(o17"datetime.datetime()t('
        'i2024,i2,i29,i1,i2,i3,i4,i0,'
        'o17"datetime.timezone()t(o18"datetime.timedelta()t(i0,i3600,i0),s3"CET)),n)'
    ),
    "span": 'shop.load(o18"datetime.timedelta()t(i1,i2,i3),n)',
    "path": 'shop.load(o21"pathlib.PurePosixPath()t(s3"a/b),n)',
    "enum": 'shop.load(o11"shop.Colour()t(s3"RED),n)',
    "flag": 'shop.load(o10"shop.Right()t(i3),n)',
    "dataclass": 'shop.load(o10"shop.Money()t(i5,s6"amount,s3"EUR,s4"unit),n)',
    "tuple": 'shop.load(o10"shop.Point()t(i1,i2),n)',
    "class": 'shop.load(o10"shop.Point(),o12"builtins.int())',
    "own": 'shop.load(o12"shop.Account()t(t(s2"id,i7)),n)',
    "range": (
        'shop.load(o14"builtins.range()t(i0,i9,i2),'
        'o16"builtins.complex()t(f3ff0000000000000,f4000000000000000))'
    ),
    "long": "shop.load(#ad8bdb0f30d3c52558f28781db3e2a22)",
}

PROGRAM = '''
import json, pathlib, uuid
from collections import namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from cachine import InMemoryCache, cached

class Colour(Enum):
    RED = 1

class Right(Flag):
    READ = 1
    WRITE = 2

@dataclass
class Money:
    amount: int
    unit: str

Point = namedtuple("Point", "x y")

class Account:
    def __cache_key__(self):
        return ("id", 7)

@cached(InMemoryCache())
def load(a, b=None):
    pass

zone = timezone(timedelta(hours=1), "CET")
calls = {
    "none": (None,), "bools": (True, False), "ints": (1, -2**63), "large": (2**64, -2**64),
    "floats": (1.5, -0.0), "texts": ("a,b", "h\\u00e9\\""),
    "bytes": (b"\\x00\\xff", bytearray(b"a")),
    "sequences": ((1, "a"), [None]), "mappings": ({"b": 2, "a": 1}, {2, 1, "x"}),
    "frozen": (frozenset("abc"),), "decimal": (Decimal("1.5"),), "fraction": (Fraction(1, 3),),
    "uuid": (uuid.UUID(int=5),), "date": (date(2024, 2, 29),), "time": (time(1, 2, 3, 4),),
    "moment": (datetime(2024, 2, 29, 1, 2, 3, 4, zone),), "span": (timedelta(1, 2, 3),),
    "path": (pathlib.PurePosixPath("a/b"),), "enum": (Colour.RED,),
    "flag": (Right.READ | Right.WRITE,), "dataclass": (Money(5, "EUR"),),
    "tuple": (Point(1, 2),), "class": (Point, int), "own": (Account(),),
    "range": (range(0, 9, 2), 1 + 2j),
    "long": ({str(n): frozenset(map(str, range(n))) for n in range(50)},),
}
print(json.dumps({name: load.cache_key(*call) for name, call in calls.items()}))
'''


def test_keys_are_the_same_in_every_process_and_version(script):
    one = json.loads(script(PROGRAM, name="shop.py", PYTHONHASHSEED="1"))
    other = json.loads(script(PROGRAM, name="shop.py", PYTHONHASHSEED="2"))
    assert one == other
    assert one == KEYS
