"""What a value costs as bytes and back, beside the serializers that people use today.

Every row is a ratio to ``pickle``, timed in the same process in turns: the machine may be slow or
busy, the ratio is not. The last column says what came back: ``exact`` if it was equal and of the
same types, ``changed`` if it was not. Run it with ``python benches/values.py``.
"""

from __future__ import annotations

import json
import pickle
import platform
import statistics
import sys
import timeit
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, Callable, NamedTuple

import msgpack
import orjson

from cachine.serializers import (
    ExactSerializer,
    JSONSerializer,
    MsgPackSerializer,
    PickleSerializer,
)

ROUNDS = 15
#: How long a statement is run in each round.
SECONDS = 0.01


class Peer(NamedTuple):
    """A serializer."""

    name: str
    dumps: Callable[[Any], Any]
    loads: Callable[[Any], Any]


def peers() -> list[Peer]:
    """Ours and the others, as they are used."""
    exact, text, packed = ExactSerializer(), JSONSerializer(), MsgPackSerializer()
    pickled, signed = PickleSerializer(), PickleSerializer(signing_key="a key")
    return [
        Peer("pickle", lambda value: pickle.dumps(value, 5), pickle.loads),
        Peer("json", json.dumps, json.loads),
        Peer("orjson", orjson.dumps, orjson.loads),
        Peer("msgpack (PyPI)", _packb, _unpackb),
        Peer("ExactSerializer", exact.dumps, exact.loads),
        Peer("JSONSerializer", text.dumps, text.loads),
        Peer("MsgPackSerializer", packed.dumps, packed.loads),
        Peer("PickleSerializer", pickled.dumps, pickled.loads),
        Peer("PickleSerializer, signed", signed.dumps, signed.loads),
    ]


def _packb(value: Any) -> bytes:
    return msgpack.packb(value, datetime=True)


def _unpackb(data: bytes) -> Any:
    return msgpack.unpackb(data, timestamp=3, strict_map_key=False)


def values() -> dict[str, Any]:
    """Values of the shapes that are cached."""
    random = Random(7)
    api = {
        "id": 48_151_623,
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "is_active": True,
        "balance": 1234.56,
        "roles": ["admin", "editor"],
        "address": {"street": "12 St James's Square", "city": "London", "zip": "SW1Y 4JH"},
        "manager": None,
        "scores": [0.5, 0.25, 0.75],
    }
    rows = [
        {
            "id": number,
            "title": f"Product {number}",
            "price": round(random.uniform(1, 500), 2),
            "in_stock": number % 3 == 0,
            "tags": ["new", "sale"],
        }
        for number in range(1_000)
    ]
    start = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
    records = [
        (number, start + timedelta(seconds=37 * number), f"event {number}")
        for number in range(1_000)
    ]
    nested: Any = {"value": 1}
    for number in range(100):
        nested = {"left": [nested, number], "right": None}
    words = "the quick brown fox jumps over the lazy dog".split()
    return {
        "a dict as of an API": api,
        "1,000 small dicts": rows,
        "1,000 tuples with a datetime": records,
        "10,000 floats": [random.random() for _ in range(10_000)],
        "10,000 integers": [random.randrange(1 << 40) for _ in range(10_000)],
        "text of 100 KB": " ".join(random.choice(words) for _ in range(20_000)),
        "1,000 texts, not ASCII": [f"Grüße Nr. {number} aus 北京" for number in range(1_000)],
        "nested 200 deep": nested,
    }


def is_same(one: Any, other: Any) -> bool:
    """Whether both are equal and of the same type at every depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other


def timed(statements: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median microseconds of each, taking turns."""
    timers = {name: timeit.Timer(statement) for name, statement in statements.items()}
    counts = {
        name: max(1, int(SECONDS / min(timer.repeat(3, 1)))) for name, timer in timers.items()
    }
    times: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            times[name].append(timer.timeit(counts[name]) / counts[name] * 1e6)
    return {name: statistics.median(each) for name, each in times.items()}


def show(title: str, value: Any) -> None:
    """Print a table for one value."""
    written: dict[str, tuple[Peer, bytes]] = {}
    refused: list[str] = []
    for peer in peers():
        try:
            written[peer.name] = peer, peer.dumps(value)
        except (TypeError, ValueError):
            refused.append(peer.name)
    dumped = timed(
        {name: lambda peer=peer: peer.dumps(value) for name, (peer, _) in written.items()}
    )
    loaded = timed(
        {
            name: lambda peer=peer, data=data: peer.loads(data)
            for name, (peer, data) in written.items()
        }
    )
    print(f"\n{title}")
    print(f"  {'':26}{'dumps':>10}{'loads':>10}{'both':>10}{'ratio':>8}{'bytes':>10}")
    base = dumped["pickle"] + loaded["pickle"]
    for name, (peer, data) in written.items():
        both = dumped[name] + loaded[name]
        result = "exact" if is_same(value, peer.loads(data)) else "changed"
        print(
            f"  {name:26}{dumped[name]:7.1f} us{loaded[name]:7.1f} us{both:7.1f} us"
            f"{both / base:8.2f}{len(data):10,}  {result}"
        )
    for name in refused:
        print(f"  {name:26}refused")


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, medians of {ROUNDS} rounds; ratio to pickle")
    print(f"json, orjson {orjson.__version__}, msgpack {'.'.join(map(str, msgpack.version))}")
    for title, value in values().items():
        show(title, value)
    sys.stdout.flush()
