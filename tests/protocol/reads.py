"""How an entry is read: its bytes, its life, and the stamps of its tags, which are read behind it.

An operation is a generator. It yields batches, tuples of commands, and gets a tuple of replies for
each. All that it knows between two batches is in its local variables: the explorer compares them.
"""

from .records import EPOCH, ENTRY, FOR_STAMP, INDEX, STALE, STAMP, ATTEMPT, WITHOUT, is_valid, owner


class Reads:
    """One operation of one client: what it may do, and the numbers it draws."""

    def __init__(self, config, number):
        self.config = config
        #: The number of the operation; what it draws at random is derived from it.
        self.number = number
        #: Whether other callers of its process may join a computation, and it theirs.
        self.is_joined = owner(number) in config.process

    def __repr__(self):
        return type(self).__name__

    def drawn(self, attempt, purpose):
        """A random number: the same never comes twice, and never to two clients."""
        return self.number + attempt * ATTEMPT + purpose

    # Commands.

    def asks_entry(self, k):
        """The commands that read an entry. Its life matters only where entries age."""
        entry = (("get", (ENTRY[k],)),)
        return (*entry, ("left", (ENTRY[k],))) if self.config.ages else entry

    def ensures(self, tags, attempt, purpose=FOR_STAMP):
        """The commands that get or create the stamps of tags."""
        return tuple(("ensure", (STAMP[t],), self.drawn(attempt, purpose + t)) for t in tags)

    def files(self, stamps, k, is_long=False, is_strict=False):
        """The commands that file an entry in the indexes of its tags."""
        return tuple(
            ("file", (INDEX[t], STAMP[t]), stamp, k, is_long, is_strict) for t, stamp in stamps
        )

    @staticmethod
    def asks_stamps(tags):
        """The commands that read the stamps of tags."""
        return tuple(("get", (STAMP[t],)) for t in tags)

    @staticmethod
    def asks_epoch(is_needed):
        """The command that reads the epoch."""
        return (("get", (EPOCH,)),) if is_needed else ()

    # What was found.

    def found(self, replies):
        """The frame of an entry and whether it is fresh, and how many replies that took."""
        frame = replies[0]
        if not self.config.ages:
            return frame, True, 1
        if replies[1] is None:
            return None, False, 2  # It ended between the two commands.
        return frame, frame is not None and (frame.age == WITHOUT or replies[1] != STALE), 2

    def stands(self, frame, current):
        """Whether the tags of an entry leave it valid. Those not known yet cost a trip."""
        further = tuple(t for t, _ in frame.stamps if t not in current)
        if further:
            replies = yield self.asks_stamps(further)
            current = {**current, **dict(zip(further, replies))}
        return is_valid(frame.stamps, current)

    def look(self, k):
        """The value of a valid entry, and whether it is fresh; ``None`` if there is none."""
        tags = self.config.arguments[k]
        replies = yield self.asks_entry(k) + self.asks_stamps(tags)
        frame, is_fresh, taken = self.found(replies)
        if frame is None:
            return None
        current = dict(zip(tags, replies[taken:]))
        is_standing = yield from self.stands(frame, current)
        return (frame.value, is_fresh) if is_standing else None
