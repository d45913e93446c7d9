"""What is written and deleted, whatever computations are under way, and longer lives.

The token goes in the same step as the write (A1).
"""

from .fills import Fills
from .records import ENTRY, TOKEN, WITHOUT, Frame, Value, head, is_valid


class Writes(Fills):
    """Operations on one entry that do not compute."""

    def set(self, k, tags):
        """Set an entry with tags: index first (A3), then token and entry in one step (A1)."""
        since = (1, self.number)
        stamps = ()
        if tags:
            replies = yield self.ensures(tags, 0)
            stamps = tuple(zip(tags, replies))
            del replies
        value = Value(self.number, since, tuple((t, since) for t in tags))
        frame = Frame(value, stamps, WITHOUT, False)
        yield from self.put(k, frame)
        return value

    def put(self, k, frame):
        """Send an entry and its index."""
        yield (*self.files(frame.stamps, k), *self.writes(k, frame))

    def writes(self, k, frame):
        """The transaction that takes the token away and sets the entry."""
        return (("write", (TOKEN[k], ENTRY[k]), frame),)

    def delete(self, k):
        """Delete an entry. Its stamps are read afterwards, only to count; that is left out."""
        yield (("remove", (TOKEN[k], ENTRY[k])),)

    def incr(self, k):
        """Add to a counter; what it was counted from, if anything."""
        while True:
            since = (1, self.number)
            (old,) = yield (self.count(k, Value(self.number, since, ())),)
            if old is None:
                return Value(self.number, since, ()), None
            tags = tuple(t for t, _ in old.stamps)
            current = yield self.asks_stamps(tags) if tags else ()
            base = old if is_valid(old.stamps, dict(zip(tags, current))) else None
            del current
            value = Value(self.number, since, base.value.tags if base else ())
            new = base._replace(value=value) if base else self.plain(value)
            (is_done,) = yield (self.replace(k, old, new),)
            if is_done:
                return value, base and base.value

    def plain(self, value):
        """An entry without a frame."""
        return Frame(value, (), WITHOUT, False)

    def count(self, k, value):
        """The script that adds to a plain counter, or says that it is in a frame."""
        return ("count", (TOKEN[k], ENTRY[k]), value)

    def replace(self, k, old, new):
        """The script that puts a counter back if nobody has changed it."""
        return ("replace", (TOKEN[k], ENTRY[k]), old, new)

    def expire(self, k):
        """Give an entry a longer life: first its place in the index, then the entry (A8)."""
        while True:
            (frame,) = yield (("live", (ENTRY[k],)),)
            if frame is None:
                return
            filed = yield self.refiles(frame, k)
            if 0 in filed:
                return
            (is_done,) = yield (self.lengthen(k, frame),)
            if is_done:
                return

    def refiles(self, frame, k):
        """The commands that file an entry for longer, unless a tag has changed."""
        return self.files(frame.stamps, k, is_long=True, is_strict=True)

    def lengthen(self, k, frame):
        """The script that gives an entry a longer life, if it is what it was."""
        return ("lengthen", (ENTRY[k],), head(frame))

    def tag(self, k, tags):
        """Add tags to an entry: their stamps, the index (A3), then the entry if it is the same."""
        attempt = 0
        while True:
            (frame,) = yield (("get", (ENTRY[k],)),)
            if frame is None or not (yield from self.stands(frame, {})):
                return
            new = tuple(t for t in tags if t not in dict(frame.stamps))
            if not new:
                return
            replies = yield self.ensures(new, attempt)
            stamps = tuple(zip(new, replies))
            del replies
            if (yield from self.put_tags(k, frame, stamps)):
                return
            attempt += 1

    def put_tags(self, k, frame, stamps):
        """Send the index and the tags; whether the entry was what it was."""
        filed = self.files(stamps, k, frame.is_long)
        replies = yield (*filed, self.amend(k, frame, stamps))
        return replies[-1]

    def amend(self, k, frame, stamps):
        """The script that gives an entry further tags, if it is what it was."""
        tags = tuple((t, (1, self.number)) for t, _ in stamps)
        stamps = frame.stamps + stamps
        return ("amend", (ENTRY[k],), head(frame), stamps, tags, frame.is_long)
