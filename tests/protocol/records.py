"""What lies in the modelled server: the names of the keys, and the shapes of their values.

Everything is a plain tuple or number, since millions of states are compared and hashed.
"""

from collections import namedtuple

#: Two keys (a, b) and two tags (t, u), each with its records; the place in the store is the name.
ENTRY, TOKEN = (0, 1), (2, 3)
STAMP, INDEX = (4, 5), (6, 7)
EPOCH = 8
PLACES = 9
#: What each record is called in a report.
NAMES = (
    "entry a", "entry b", "token a", "token b", "stamp t", "stamp u", "index t", "index u", "epoch",
)  # fmt: skip
#: The slot of a cluster in which each record lies: one for a key, one for a tag, one for the epoch.
SLOTS = (0, 1, 0, 1, 2, 3, 2, 3, 4)

#: Matches whatever is there: for damaged protocols.
ANY = "any"

#: A stored value. ``since`` is what it was made from: (0, version of the source), or (1, the
#: number of a write), which counts from when that write returned.
#: ``tags`` are pairs: tag and ``since``.
Value = namedtuple("Value", "number since tags")
#: An entry. ``stamps`` are pairs: tag and stamp. ``is_long`` is set by a longer life.
Frame = namedtuple("Frame", "value stamps age is_long")
#: The ages of an entry: in its stale window; before it; without one.
STALE, FRESH, WITHOUT = range(3)

#: What a computation left where its token was. ``of`` is that token, ``digest`` the stamps and the
#: epoch of its claim, ``value`` what it came to, which only the invariants look at.
Ending = namedtuple("Ending", "of kind digest value")
#: The kinds of endings: each computes alone; or it came to nothing that is stored.
ALONE, NOTHING = "alone", "nothing"
#: A token with an ending behind it: a bare one if ``number`` is ``None``. A plain one is a number.
Held = namedtuple("Held", "number ending")

#: A reply that has not come, and one that says that waiting took too long.
PENDING, TIMEOUT = "pending", "timeout"

#: Numbers of one call are told apart by what they are for; each attempt draws anew.
CALL, ATTEMPT = 1000, 20
FOR_TOKEN, FOR_STAMP, FOR_EPOCH, FOR_LATE_STAMP = 0, 1, 3, 4


def call_number(client, step):
    """The number of the operation that a client does at a step of its program."""
    return (client * 10 + step + 1) * CALL


def owner(token):
    """The client whose token it is; ``None`` for a bare ending."""
    number = token.number if isinstance(token, Held) else token
    return None if number is None else (number // CALL - 1) // 10


def ending_of(token):
    """The ending in a token, if there is one."""
    return token.ending if isinstance(token, Held) else None


def is_bare(token):
    """Whether it is an ending that nobody has taken over."""
    return isinstance(token, Held) and token.number is None


def head(frame):
    """What the scripts compare of an entry: what stands before its value."""
    return frame.stamps, frame.age == WITHOUT


def is_valid(stamps, current):
    """Whether the tags have these stamps; ``current`` maps tags to stamps."""
    for tag, stamp in stamps:
        if current.get(tag) != stamp:
            return False
    return True
