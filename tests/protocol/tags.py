"""What concerns many entries: the invalidation of tags, and clearing a namespace."""

from collections import namedtuple

from .records import ENTRY, EPOCH, INDEX, STAMP, TOKEN
from .writes import Writes

#: The index of an invalidated tag: members that stay, and members still to see.
Index = namedtuple("Index", "tag kept left")
#: A member of an index whose entry is dead, if it is there.
Dead = namedtuple("Dead", "tag stamp key")


class Protocol(Writes):
    """Every operation, as the client does it."""

    # Invalidating.

    def invalidate(self, tags):
        """Take epoch and stamps away, then count and free; the numbers of what it counts."""
        before, indexes = yield from self.void(tags)
        return (yield from self.work_off(before, indexes))

    def void(self, tags):
        """In effect after one trip. The stamps that there were, and the indexes to work off."""
        batch = (self.void_epoch(),)
        for t in tags:
            batch += self.void_tag(t)
        replies = yield batch
        before = tuple(zip(tags, replies[1::2]))
        return before, self.indexes(tags, replies[2::2])

    def indexes(self, tags, sizes):
        """The indexes that have members."""
        return tuple(Index(t, 0, size) for t, size in zip(tags, sizes) if size)

    def void_tag(self, t):
        """The commands that end a stamp and tell how long its index is."""
        return self.void_stamp(t), ("size", (INDEX[t],))

    def void_epoch(self):
        """The command that ends the epoch."""
        return ("unlink", (EPOCH,))

    def void_stamp(self, t):
        """The command that ends a stamp, and tells which it was."""
        return ("take_away", (STAMP[t],))

    def work_off(self, before, indexes):
        """A page of each index, the entries of its dead members, and the next page."""
        counted, done = (), ()
        while indexes:
            asked = self.asks_page(indexes)
            replies = yield self.strikes(done) + asked
            indexes, done = self.read_page(indexes, replies[len(replies) - len(asked) :])
            del asked, replies
            freed = yield from self.free(done)
            counted += yield from self.live_ones(freed, dict(before))
            del freed
            indexes = tuple(index for index in indexes if index.left > 0)
        if done:
            yield self.strikes(done)
        return counted

    def asks_page(self, indexes):
        """Members, and then the stamp: a member with that one was stored afterwards (A5)."""
        batch = ()
        for tag, kept, left in indexes:
            last = kept + min(self.config.page, left) - 1
            batch += (("members", (INDEX[tag],), kept, last), ("get", (STAMP[tag],)))
        return batch

    def read_page(self, indexes, replies):
        """What is left of the indexes, and the dead members."""
        dead, rest = (), ()
        for index, members, now in zip(indexes, replies[::2], replies[1::2]):
            gone = tuple(Dead(index.tag, *m) for m in members if not self.is_kept(*m, now))
            kept = index.kept + len(members) - len(gone)
            left = max(index.left - len(members), 0) if members else 0
            dead, rest = dead + gone, rest + (Index(index.tag, kept, left),)
        return rest, dead

    def is_kept(self, stamp, _key, now):
        """Whether a member was stored after the invalidation (A5)."""
        return stamp == now

    def free(self, dead):
        """Delete the entries of dead members; the frames of those that were there."""
        if not dead:
            return ()
        replies = yield tuple(self.free_command(*member) for member in dead)
        return tuple(frame for frame in replies if frame is not None)

    def free_command(self, tag, stamp, key):
        """The script that deletes an entry that has the tag with this stamp."""
        return ("free", (ENTRY[key],), tag, stamp)

    def live_ones(self, freed, before):
        """The numbers of the entries that were live until now: all stamps were current (A6)."""
        others = tuple(sorted({t for frame in freed for t, _ in frame.stamps if t not in before}))
        current = (yield self.asks_stamps(others)) if others else ()
        current = {**dict(zip(others, current)), **before}
        return tuple(f.value.number for f in freed if self.was_live(f, current, before))

    def was_live(self, frame, current, _before):
        """Whether an entry counts."""
        return all(current[t] == stamp for t, stamp in frame.stamps)

    def strikes(self, done):
        """The commands that take exactly these members out of their indexes (A4)."""
        batch = ()
        for t in sorted({member.tag for member in done}):
            struck = tuple(self.struck(m) for m in done if m.tag == t)
            batch += (("strike", (INDEX[t],), *struck),)
        return batch

    def struck(self, member):
        """The member that leaves an index."""
        return member.stamp, member.key

    # Clearing.

    def clear(self):
        """Remove everything: first the tokens, then the rest."""
        for names in self.passes():
            yield ("scan", *names)

    def passes(self):
        """What each pass removes."""
        return self.tokens(), self.tokens() + self.rest()

    def tokens(self):
        """The commands that remove the tokens."""
        return tuple(("unlink", (TOKEN[k],)) for k in self.config.keys)

    def rest(self):
        """Entries and helpers. A stamp and its index leave in one step, whichever is met (A7)."""
        batch = tuple(("unlink", (ENTRY[k],)) for k in self.config.keys)
        if self.config.tags:
            batch += (("unlink", (EPOCH,)),)
        for t in self.config.tags:
            batch += self.tag_records(t)
        return batch

    def tag_records(self, t):
        """The two commands that remove the records of a tag."""
        return ("unlink", (STAMP[t], INDEX[t])), ("unlink", (INDEX[t], STAMP[t]))
