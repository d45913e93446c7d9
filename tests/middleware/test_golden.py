"""The golden files of every version of the stored form, read through the caches."""

import configparser
import pickle
from pathlib import Path

import pytest
from cachine.middleware import EncryptionMiddleware
from cachine.serializers import ExactSerializer, JSONSerializer, MsgPackSerializer, PickleSerializer

from cachine import InMemoryCache

FOLDER = Path(__file__).parents[2] / "crates" / "cachine-codec" / "testdata"

#: Those that no cache of this package could have written; the codec's own tests read them.
IMPOSSIBLE = {
    "sealed_empty": "its key is empty",
    "sealed_id": "its key is no text",
    "tagged_escaped_decimal": "it says signed pickle, and is none",
}


def golden():
    for manifest in sorted(FOLDER.glob("v*/manifest.ini")):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(manifest, encoding="utf-8")
        assert set(IMPOSSIBLE) <= set(parser.sections())
        for name in sorted(set(parser.sections()) - set(IMPOSSIBLE)):
            yield pytest.param(manifest.parent / f"{name}.bin", parser[name], id=name)


class Bytes:
    """A serializer for what is bytes already."""

    def dumps(self, value):
        return value

    def loads(self, data):
        return data



#: By the number of the format in a frame.
SERIALIZERS = {
    0: (Bytes(), bytes),
    1: (JSONSerializer(), JSONSerializer().loads),
    2: (ExactSerializer(), MsgPackSerializer().loads),
    3: (PickleSerializer(), pickle.loads),
}


@pytest.mark.parametrize(("path", "facts"), list(golden()))
def test_a_golden_file_reads_as_it_was_written(path, facts):
    base = InMemoryCache()
    key = bytes.fromhex(facts["key"]).decode()
    base.set(key, path.read_bytes())
    cache = base
    if "secret" in facts:
        cache = EncryptionMiddleware(base, key=facts["secret"], key_id=facts["key_id"])
    serializer, loads = SERIALIZERS[int(facts.get("format", 0))]
    if "integer" in facts:
        expected = int(facts["integer"])
    else:
        expected = loads(bytes.fromhex(facts["payload"]))
    assert cache.get(key, serializer=serializer) == expected


def test_there_are_golden_files_of_every_version():
    assert [each.name for each in sorted(FOLDER.iterdir())] == ["v1"]
    assert len(list(golden())) == 20
