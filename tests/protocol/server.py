"""The modelled server: each command is one atomic step on the records of one slot.

A command is a tuple: its name, the keys that it touches, its arguments. Lives are not modelled as
times: a key may vanish, an entry may age or expire, where a scenario allows it.
"""

from .records import ANY, FRESH, SLOTS, STALE, WITHOUT, Frame, head

#: What runs as a script: a server that does not know it runs it behind the rest of its batch.
SCRIPTS = frozenset(
    ["store", "release", "end", "take_over", "remove", "count", "replace", "live", "lengthen",
     "amend", "file", "free"]
)  # fmt: skip


def slot(command):
    """The one slot that a command touches; ``None`` for a step inside the client."""
    slots = {SLOTS[key] for key in command[1]}
    assert len(slots) <= 1, f"an atomic step on two slots: {command}"
    return slots.pop() if slots else None


def execute(store, command):
    """Do one command; its reply."""
    return _COMMANDS[command[0]](store, command[1], *command[2:])


def get(store, keys):
    """``GET``."""
    return store[keys[0]]


def left(store, keys):
    """``PTTL`` of an entry: its age."""
    frame = store[keys[0]]
    return None if frame is None else frame.age


def take(store, keys, token, _behind=None):
    """``SET token NX GET``: who has it already."""
    held = store[keys[0]]
    if held is None:
        store[keys[0]] = token
    return held


def put(store, keys, value):
    """``SET``: only damaged protocols do that to a helper."""
    store[keys[0]] = value


def put_existing(store, keys, value):
    """``SET XX``, of damaged protocols."""
    if store[keys[0]] is not None:
        store[keys[0]] = value


def ensure(store, keys, fresh):
    """``SET NX GET`` and a longer life: what is there from now on."""
    if store[keys[0]] is None:
        store[keys[0]] = fresh
    return store[keys[0]]


def unlink(store, keys):
    """``UNLINK``. Of two keys the first is the one that a scan has met: without it nothing goes."""
    if store[keys[0]] is not None:
        for key in keys:
            store[key] = None


def take_away(store, keys):
    """``GETDEL``."""
    found, store[keys[0]] = store[keys[0]], None
    return found


def increase(store, keys):
    """``INCR``: what was there; for stamps that are counters, in damaged protocols."""
    found = store[keys[0]]
    store[keys[0]] = (found or 0) + 1
    return found


# Tokens and fills.


def store_value(store, keys, token, frame):
    """Script: stores if the token stands, and takes it away."""
    if token != ANY and store[keys[0]] != token:
        return 0
    store[keys[1]], store[keys[0]] = frame, None
    return 1


def release(store, keys, token):
    """Script: takes the token away if it is this one."""
    if token != ANY and store[keys[0]] != token:
        return 0
    store[keys[0]] = None
    return 1


def replace_token(store, keys, old, new):
    """Script: compare and set, for an ending and for who takes it over."""
    if old != ANY and store[keys[0]] != old:
        return 0
    store[keys[0]] = new
    return 1


# Writes.


def write(store, keys, frame):
    """``MULTI``: the token goes, the entry is set."""
    store[keys[0]], store[keys[1]] = None, frame


def write_alone(store, keys, frame):
    """``SET`` of an entry beside its token, in damaged protocols."""
    store[keys[0]] = frame


def remove(store, keys):
    """Script: deletes token and entry."""
    store[keys[0]] = store[keys[1]] = None


def count(store, keys, value):
    """Script: adds to a plain counter or creates one; the frame if it is in one."""
    frame = store[keys[1]]
    if frame is not None and (frame.stamps or frame.age != WITHOUT):
        return frame
    store[keys[0]], store[keys[1]] = None, Frame(value, (), WITHOUT, False)
    return None


def replace(store, keys, old, new, is_checked=True):
    """Script: stores if the entry is still what it was."""
    if is_checked and store[keys[1]] != old:
        return 0
    store[keys[0]], store[keys[1]] = None, new
    return 1


def live(store, keys):
    """Script: a longer life for an entry without tags; the frame of one with tags."""
    frame = store[keys[0]]
    if frame is None or frame.stamps:
        return frame
    store[keys[0]] = frame._replace(age=WITHOUT, is_long=True)
    return None


def lengthen(store, keys, old):
    """Script: a longer life if the head is still this one."""
    frame = store[keys[0]]
    if frame is None or (old != ANY and head(frame) != old):
        return 0
    store[keys[0]] = frame._replace(age=WITHOUT, is_long=True)
    return 1


def amend(store, keys, old, stamps, tags, is_long):
    """Script: other tags if the head is still this one and the life is no longer."""
    frame = store[keys[0]]
    if frame is None or (old != ANY and head(frame) != old) or (frame.is_long and not is_long):
        return 0
    value = frame.value._replace(tags=frame.value.tags + tags)
    store[keys[0]] = frame._replace(value=value, stamps=stamps)
    return 1


# Tags.


def file(store, keys, stamp, key, is_long, is_strict):
    """Script: files an entry in the index; whether the tag has this stamp."""
    is_same = store[keys[1]] == stamp
    if is_strict and not is_same:
        return 0
    members = dict(((each[1], each[2]), each[0]) for each in store[keys[0]] or ())
    members[stamp, key] = max(members.get((stamp, key), False), is_long)
    store[keys[0]] = tuple(sorted((score, *member) for member, score in members.items()))
    return int(is_same)


def size(store, keys):
    """``ZCARD``."""
    return len(store[keys[0]] or ())


def members(store, keys, first, last):
    """``ZRANGE`` by place; pairs of stamp and key."""
    return tuple(each[1:] for each in (store[keys[0]] or ())[first : last + 1])


def strike(store, keys, *struck):
    """``ZREM``."""
    kept = [each for each in store[keys[0]] or () if not _is_struck(each, struck)]
    store[keys[0]] = tuple(kept) or None


def _is_struck(member, struck):
    return any(key == member[2] and stamp in (ANY, member[1]) for stamp, key in struck)


def free(store, keys, tag, stamp):
    """Script: deletes the entry if it has this tag with this stamp; the frame if so."""
    frame = store[keys[0]]
    if frame is None or (stamp != ANY and (tag, stamp) not in frame.stamps):
        return None
    store[keys[0]] = None
    return frame


# What happens to records without a command.


def age(frame):
    """The entry enters its stale window."""
    return frame._replace(age=STALE) if frame is not None and frame.age == FRESH else frame


def pass_time(store, entries, indexes):
    """Everything expires that has no longer life."""
    for key in entries:
        if store[key] is not None and not store[key].is_long:
            store[key] = None
    for key in indexes:
        store[key] = tuple(each for each in store[key] or () if each[0]) or None


_COMMANDS = {
    "get": get, "left": left, "take": take, "put": put, "put_existing": put_existing,
    "ensure": ensure, "unlink": unlink, "take_away": take_away, "increase": increase,
    "store": store_value, "release": release, "end": replace_token, "take_over": replace_token,
    "write": write, "write_alone": write_alone, "remove": remove, "count": count,
    "replace": replace, "live": live, "lengthen": lengthen, "amend": amend, "file": file,
    "size": size, "members": members, "strike": strike, "free": free,
}  # fmt: skip
