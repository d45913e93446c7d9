"""Algorithms, levels, sizes, and small values that want to become large."""

import gzip
import zlib

import pytest
from cachine.exceptions import ConfigError, DeserializationError, SerializationError
from cachine.middleware import CompressionMiddleware
from cachine.serializers import JSONSerializer

from cachine import InMemoryCache

ALGORITHMS = ["gzip", "zlib", "zstd", "lz4"]
TEXT = {"text": "the quick brown fox " * 500}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_makes_it_smaller_and_gives_it_back(algorithm):
    base = InMemoryCache()
    cache = CompressionMiddleware(base, algorithm=algorithm)
    cache.set("key", TEXT)
    assert cache.get("key") == TEXT
    assert len(base.get("key")) < 600


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_would_become_larger_stays_as_it_is(algorithm):
    import random

    base = InMemoryCache()
    cache = CompressionMiddleware(base, algorithm=algorithm, min_size=0)
    noise = random.Random(1).randbytes(5000)
    cache.set("noise", noise)
    cache.set("short", "ab")
    assert len(base.get("noise")) <= 5000 + 8
    assert base.get("short") == b'"ab"'
    assert cache.get("noise") == noise and cache.get("short") == "ab"


@pytest.mark.parametrize(
    ("algorithm", "levels"), [("gzip", (1, 9)), ("zlib", (1, 9)), ("zstd", (1, 19))]
)
def test_a_level_changes_the_size_and_not_the_value(algorithm, levels):
    import random

    sizes = []
    dice = random.Random(1)
    words = ["".join(dice.choices("aeinrst", k=dice.randint(2, 9))) for _ in range(500)]
    value = [" ".join(dice.choices(words, k=20)) for _ in range(500)]
    for level in levels:
        base = InMemoryCache()
        cache = CompressionMiddleware(base, algorithm=algorithm, level=level)
        cache.set("key", value)
        assert cache.get("key") == value
        sizes.append(len(base.get("key")))
    assert sizes[1] < sizes[0]


def test_a_cache_reads_what_another_algorithm_wrote_and_what_was_not_compressed():
    base = InMemoryCache()
    for algorithm in ALGORITHMS:
        CompressionMiddleware(base, algorithm=algorithm).set(algorithm, TEXT)
    base.set("plain", TEXT, serializer=JSONSerializer())
    for reader in ALGORITHMS:
        cache = CompressionMiddleware(base, algorithm=reader)
        for key in [*ALGORITHMS, "plain"]:
            assert cache.get(key) == TEXT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_larger_than_the_limit_is_refused_when_it_is_written(algorithm):
    cache = CompressionMiddleware(
        InMemoryCache(), algorithm=algorithm, max_decompressed_size=1000, min_size=0
    )
    cache.set("key", "x" * 900)
    with pytest.raises(SerializationError, match="1000|1,000"):
        cache.set("key", "x" * 2000)
    assert cache.get("key") == "x" * 900


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_becomes_more_than_the_limit_is_not_read(algorithm):
    base = InMemoryCache()
    big = CompressionMiddleware(base, algorithm=algorithm, max_decompressed_size=2**30)
    big.set("bomb", "0" * (8 * 1024 * 1024))
    cache = CompressionMiddleware(base, algorithm=algorithm, max_decompressed_size=2**20)
    with pytest.raises(DeserializationError, match="max_decompressed_size"):
        cache.get("bomb")


@pytest.mark.parametrize("length", [256 << 20, 1 << 63, 1000, 1 << 20])
def test_a_bomb_takes_no_memory_whatever_length_it_declares(run, length):
    program = f"""
import resource, zlib
from cachine import InMemoryCache
from cachine.middleware import CompressionMiddleware

packer = zlib.compressobj(9)
packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
head = bytes([0xC1, 1, 4, 0x12]) + ({length}).to_bytes(8, "big")
base = InMemoryCache()
base.set("bomb", head + packed)
cache = CompressionMiddleware(base)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    cache.get("bomb")
except ValueError as error:
    assert "zlib" in str(error) or "max_decompressed_size" in str(error)
else:
    raise SystemExit("it went off")
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10, "KiB"
"""
    run(program)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"algorithm": "brotli"}, ConfigError, "gzip.*zlib.*zstd.*lz4"),
        ({"algorithm": None}, TypeError, "algorithm"),
        ({"algorithm": "gzip", "level": 10}, ConfigError, "level"),
        ({"algorithm": "gzip", "level": -1}, ConfigError, "level"),
        ({"algorithm": "zstd", "level": 23}, ConfigError, "level"),
        ({"algorithm": "zstd", "level": 10**30}, ConfigError, "level"),
        ({"algorithm": "lz4", "level": 1}, ConfigError, "level"),
        ({"level": True}, TypeError, "level"),
        ({"level": 1.5}, TypeError, "level"),
        ({"min_size": -1}, ConfigError, "min_size=-1"),
        ({"min_size": "1k"}, TypeError, "min_size"),
        ({"max_decompressed_size": 0}, ConfigError, "max_decompressed_size=0"),
    ],
    ids=repr,
)
def test_wrong_options_are_refused_at_once(options, error, says):
    with pytest.raises(error, match=says):
        CompressionMiddleware(InMemoryCache(), **options)


def test_the_streams_are_those_of_the_standard_library():
    base = InMemoryCache()
    for algorithm, unpack in (("gzip", gzip.decompress), ("zlib", zlib.decompress)):
        CompressionMiddleware(base, algorithm=algorithm).set("key", TEXT)
        stored = base.get("key")
        header = 3 + 1 + 8  # magic, version, flags; format; length
        assert b"the quick brown fox" in unpack(stored[header:])


def test_a_weigher_sees_what_is_stored():
    base = InMemoryCache(max_weight=5_000, weigher=lambda key, value: len(value))
    cache = CompressionMiddleware(base)
    for number in range(10):
        cache.set(f"k{number}", "x" * 100_000)
    assert len(base) == 10
