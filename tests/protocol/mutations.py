"""Damaged protocols: each leaves one rule out, and must be caught.

``caught`` names a scenario that catches it, and the invariants of which that breaks at least one.
Those of endings are in :mod:`~protocol.mutations_of_endings`.
"""

from .records import ANY, ENTRY, EPOCH, INDEX, STAMP, TOKEN
from .tags import Protocol

#: Every mutation, by its name: the protocol, the scenario, the invariants.
ALL = {}


def caught(scenario, *breaks):
    """Say where a damaged protocol is caught."""

    def add(protocol):
        assert protocol.__name__ not in ALL
        ALL[protocol.__name__] = (protocol, scenario, frozenset(breaks))
        return protocol

    return add


# Writes.


@caught("delete", 1)
class DeleteSwapped(Protocol):
    """The entry is deleted before its token."""

    def delete(self, k):
        yield (("unlink", (ENTRY[k],)),)
        yield (("unlink", (TOKEN[k],)),)


@caught("delete", 1)
class DeleteKeepsToken(Protocol):
    """The token of a fill survives a deletion."""

    def delete(self, k):
        yield (("unlink", (ENTRY[k],)),)


@caught("set", 2, 4)
class SetKeepsToken(Protocol):
    """The token of a fill survives a write."""

    def writes(self, k, frame):
        return (("write_alone", (ENTRY[k],), frame),)


@caught("set", 2, 4)
class SetThenUnlink(Protocol):
    """The token goes after the write."""

    def writes(self, k, frame):
        return ("write_alone", (ENTRY[k],), frame), ("unlink", (TOKEN[k],))


@caught("set", 2, 4)
class SetInTwoSteps(Protocol):
    """The token goes before the write, in a step of its own (A1)."""

    def writes(self, k, frame):
        return ("unlink", (TOKEN[k],)), ("write_alone", (ENTRY[k],), frame)


@caught("incr tag", 2)
class CountUnchecked(Protocol):
    """A counter in a frame is put back whatever stands there by now."""

    def replace(self, k, old, new):
        return (*super().replace(k, old, new), False)


@caught("incr tag", 1)
class CountOfInvalid(Protocol):
    """A sum is made of an entry that a tag has made invalid, and is valid again."""

    def incr(self, k):
        (frame,) = yield (("get", (ENTRY[k],)),)
        base = frame and frame.value
        value, _ = yield from super().incr(k)
        return value, base


@caught("incr", 2, 4)
class CountKeepsToken(Protocol):
    """The token of a fill survives an addition."""

    def count(self, k, value):
        (write,) = SetKeepsToken.writes(self, k, self.plain(value))
        return write


# Fills.


@caught("delete", 1)
class StoreUnchecked(Protocol):
    """A fill stores whatever has become of its token."""

    def store_command(self, k, fill, frame):
        return super().store_command(k, fill._replace(token=ANY), frame)


@caught("delete", 1)
class RenewBySet(Protocol):
    """A token is renewed by setting it again."""

    def renew(self, k, fill):
        yield (("put", (TOKEN[k],), fill.token),)


@caught("delete", 1)
class RenewBySetIfThere(Protocol):
    """A token is renewed by setting it again, if there is one."""

    def renew(self, k, fill):
        yield (("put_existing", (TOKEN[k],), fill.token),)


@caught("release", 4)
class ReleaseUnchecked(Protocol):
    """A token is given back without comparing (A2)."""

    def release(self, k, fill):
        return super().release(k, fill._replace(token=ANY))


@caught("two flights", 6)
class NoRelease(Protocol):
    """Who does not store keeps the token (A2)."""

    def release(self, k, fill):
        return ("get", (TOKEN[k],))


@caught("delete", 6)
class LeaseWithoutEnd(Protocol):
    """A token has no life of its own."""

    HAS_ENDLESS_LEASES = True


@caught("delete", 4)
class NoRecheck(Protocol):
    """Who has the token computes without another look at the entry."""

    def read_claim(self, k, token, is_own, replies):
        return super().read_claim(k, token, is_own, replies)[0], None


@caught("delete", 4)
class NoWaiting(Protocol):
    """Nobody waits for a computation."""

    def claimed(self, k, is_refresh, is_forced):
        return (yield from self.claim(k, 0, None, False, is_forced))


@caught("tag", 1)
class StampsAfterCompute(Protocol):
    """The stamps are read when the value is computed."""

    def fill(self, k, fill, value):
        tags = self.config.arguments[k]
        replies = yield self.ensures(tags, 40)
        fill = fill._replace(stamps=tuple(zip(tags, replies)))
        del replies
        return (yield from super().fill(k, fill, value))


@caught("stale tag", 1)
class StaleHitUnvalidated(Protocol):
    """A stale value is served without a look at its stamps."""

    def look(self, k):
        replies = yield self.asks_entry(k)
        frame, is_fresh, _ = self.found(replies)
        del replies
        if frame is not None and not is_fresh:
            return frame.value, False
        return (yield from super().look(k))


@caught("tag", 1)
class HitUnvalidated(Protocol):
    """An entry is served without a look at its stamps."""

    def stands(self, frame, current):
        yield from ()
        return True


@caught("two tags", 1)
class MissingStampIsValid(Protocol):
    """A tag without a stamp leaves an entry valid."""

    def stands(self, frame, current):
        tags = tuple(t for t, _ in frame.stamps)
        replies = yield self.asks_stamps(tags)
        pairs = zip(frame.stamps, replies)
        return all(now is None or now == stamp for (_, stamp), now in pairs)


@caught("result tag", 1)
class NoEpochCheck(Protocol):
    """Nobody looks whether there was an invalidation before the late tags had stamps."""

    def is_same_epoch(self, now, before):
        return True


@caught("result tag", 1)
class MissingEpochIsSame(Protocol):
    """An epoch that is missing counts as the one of the claim."""

    def is_same_epoch(self, now, before):
        return now is None or now == before


@caught("result tag", 1)
class EpochBeforeLateStamps(Protocol):
    """The epoch is compared before the late tags have stamps."""

    def stamp_late(self, k, fill):
        (epoch,) = yield (("get", (EPOCH,)),)
        tags = self.config.results[k]
        stamps = yield self.ensures(tags, 0, 4)
        return tuple(zip(tags, stamps)) if self.is_same_epoch(epoch, fill.epoch) else None


@caught("join", 1)
class JoinTrustsFlight(Protocol):
    """Late joiners get whatever the computation came to (A9)."""

    def fill(self, k, fill, value):
        yield from super().fill(k, fill, value)
        return True


@caught("join", 1)
class NoSeal(Protocol):
    """A flight can be joined until it is over."""

    def seal(self):
        yield from ()


@caught("join tag", 1)
class SharedWithoutStamps(Protocol):
    """A stored value is given to late joiners without another look at the stamps."""

    def store(self, k, fill, frame):
        filed = self.files(frame.stamps, k)
        replies = yield (*filed, self.store_command(k, fill, frame))
        return replies[-1] != 0


@caught("join what stands", 1)
class FoundIsSharedUnseen(Protocol):
    """What a claim finds is given to late joiners without another look."""

    def found_after_all(self, k, value):
        yield from self.seal()
        return value, True


# The index.


@caught("count", 5)
class IndexAfterStore(Protocol):
    """The index is written behind the entry (A3)."""

    def store(self, k, fill, frame):
        replies = yield (self.store_command(k, fill, frame), *self.files(frame.stamps, k))
        return replies[0] != 0


@caught("count", 5)
class IndexAfterSet(Protocol):
    """The index is written behind the entry, by a write (A3)."""

    def put(self, k, frame):
        yield (*self.writes(k, frame), *self.files(frame.stamps, k))


@caught("add tags", 5)
class IndexAfterTag(Protocol):
    """The index is written behind the tag that is added (A3)."""

    def put_tags(self, k, frame, stamps):
        replies = yield (self.amend(k, frame, stamps), *self.files(stamps, k, frame.is_long))
        return replies[0]


@caught("count", 5)
class StrikeByKey(Protocol):
    """Members leave the index by their key (A4)."""

    def struck(self, member):
        return ANY, member.key


@caught("tag and set", 3)
class FreeByKey(Protocol):
    """An entry is deleted whatever stamps it has by now."""

    def free_command(self, tag, stamp, key):
        return super().free_command(tag, ANY, key)


@caught("recount", 3)
class KeepsNothing(Protocol):
    """Members that were stored after the invalidation are freed, too (A5)."""

    def is_kept(self, _stamp, _key, now):
        return False


@caught("recount", 5)
class CountsAnyStamp(Protocol):
    """Entries count that were dead already (A6)."""

    def was_live(self, _frame, _current, _before):
        return True


@caught("count both", 5)
class CountsOtherTags(Protocol):
    """Other tags are not looked at before an entry counts (A6)."""

    def was_live(self, frame, _current, before):
        return all(before.get(t, stamp) == stamp for t, stamp in frame.stamps)


@caught("expire", 5)
class LongerLifeUnfiled(Protocol):
    """An entry lives longer than its place in the index (A8)."""

    def refiles(self, frame, k):
        return self.files(frame.stamps, k, is_strict=True)


@caught("expire", 5)
class LongerLifeUnchecked(Protocol):
    """Another entry than the one that was filed gets the longer life (A8)."""

    def lengthen(self, k, frame):
        return ("lengthen", (ENTRY[k],), ANY)


@caught("add tags and expire", 5)
class TagsALongerLife(Protocol):
    """A tag is added though the entry lives longer by now than it is filed (A8)."""

    def amend(self, k, frame, stamps):
        return super().amend(k, frame._replace(is_long=True), stamps)


@caught("add tags to another", 1)
class TagsUnchecked(Protocol):
    """Another entry than the one that was seen gets the tags."""

    def amend(self, k, frame, stamps):
        command = super().amend(k, frame, stamps)
        return (*command[:2], ANY, *command[3:])


# Invalidation and clearing.


@caught("result tag", 1)
class EpochAfterStamps(Protocol):
    """The stamps go before the epoch."""

    def void(self, tags):
        replies = yield tuple(self.void_stamp(t) for t in tags)
        before = tuple(zip(tags, replies))
        sizes = yield (*(("size", (INDEX[t],)) for t in tags), self.void_epoch())
        return before, self.indexes(tags, sizes)


@caught("tag", 1)
class StampStays(Protocol):
    """An invalidation only frees, and leaves the stamp."""

    def void_stamp(self, t):
        return ("get", (STAMP[t],))


@caught("two tags", 1)
class CounterStamps(Protocol):
    """A stamp is a counter, which begins anew when the record is lost."""

    def ensures(self, tags, attempt, purpose=1):
        return tuple(("ensure", (STAMP[t],), 1) for t in tags)

    def void_stamp(self, t):
        return ("increase", (STAMP[t],))


@caught("clear", 1)
class ClearInOnePass(Protocol):
    """Tokens and entries are removed as they come."""

    def passes(self):
        return (self.tokens() + self.rest(),)


@caught("clear", 1)
class ClearSwapped(Protocol):
    """The entries are removed before the tokens."""

    def passes(self):
        return self.rest(), self.tokens()


@caught("clear tag", 5)
class ClearSplitsTag(Protocol):
    """The stamp and the index of a tag leave one by one (A7)."""

    def tag_records(self, t):
        return ("unlink", (STAMP[t],)), ("unlink", (INDEX[t],))
