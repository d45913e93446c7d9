"""How the values of a cache become bytes and values again.

=====================  =========================================================================
``ExactSerializer``    keeps every value as it is, or refuses it; the default
``JSONSerializer``     JSON text, for programs that read nothing else
``MsgPackSerializer``  MessagePack: smaller and faster than JSON, and read in every language
``PickleSerializer``   everything there is; whoever can change the stored bytes runs code here
=====================  =========================================================================

Each has ``dumps(obj) -> bytes`` and ``loads(bytes) -> obj``, is safe to use from any number of
threads at once, and never changes a value without being asked: ``loads(dumps(value))`` is equal to
the value and of the same type at every depth, or ``dumps`` raises.

>>> JSONSerializer().loads(JSONSerializer().dumps({"id": 1, "tags": ["a", "b"]}))
{'id': 1, 'tags': ['a', 'b']}
>>> JSONSerializer().dumps({"user": {"tags": [1, 2, {3}]}})
Traceback (most recent call last):
    ...
cachine.exceptions.SerializationError: set can't be kept by JSONSerializer at $.user.tags[2]: \
ExactSerializer keeps it; JSONSerializer(lossy=True) writes a list instead
"""

from cachine._core import ExactSerializer, JSONSerializer, MsgPackSerializer, PickleSerializer

__all__ = ["ExactSerializer", "JSONSerializer", "MsgPackSerializer", "PickleSerializer"]
