"""The protocol on a cluster, where a batch to several nodes has no order: what has to be awaited.

Commands of one slot stay in their order. Each method below awaits where one server needs no wait;
the damaged ones leave one such wait out.
"""

from .fills import TIMEOUT
from .records import EPOCH, FOR_LATE_STAMP
from .tags import Protocol


class OnCluster(Protocol):
    """Every operation, with the orders that matter awaited."""

    # The index before the entry (A3): two slots.

    def store(self, k, fill, frame):
        if frame.stamps:
            yield self.files(frame.stamps, k)
        (stored,) = yield (self.store_command(k, fill, frame),)
        tags = tuple(t for t, _ in frame.stamps)
        current = (yield self.asks_stamps(tags)) if tags and self.is_joined else ()
        is_same = not self.is_joined or current == tuple(stamp for _, stamp in frame.stamps)
        return stored != 0 and is_same

    def put(self, k, frame):
        if frame.stamps:
            yield self.files(frame.stamps, k)
        yield self.writes(k, frame)

    def put_tags(self, k, frame, stamps):
        yield self.files(stamps, k, frame.is_long)
        replies = yield (self.amend(k, frame, stamps),)
        return replies[0]

    # The epoch before the stamps, the late stamps before the epoch.

    def void(self, tags):
        yield (self.void_epoch(),)
        batch = ()
        for t in tags:
            batch += self.void_tag(t)
        replies = yield batch
        before = tuple(zip(tags, replies[::2]))
        return before, self.indexes(tags, replies[1::2])

    def stamp_late(self, k, fill):
        tags = self.config.results[k]
        replies = yield self.ensures(tags, 0, FOR_LATE_STAMP)
        (epoch,) = yield (("get", (EPOCH,)),)
        return tuple(zip(tags, replies)) if self.is_same_epoch(epoch, fill.epoch) else None

    # Token and entry, then the stamps.

    def claims(self, command, k, attempt):
        replies = yield (command, *self.asks_entry(k))
        if replies == TIMEOUT:
            return replies
        rest = self.asks_claim(k, attempt)[len(self.asks_entry(k)) :]
        further = (yield rest) if rest else ()
        return replies + further


# One order less.


def _without(*names):
    return {name: getattr(Protocol, name) for name in names}


#: What is sent in one batch instead of two, and which invariants that breaks.
UNAWAITED = tuple(
    (type(name, (OnCluster,), _without(*methods)), scenario, frozenset(breaks))
    for name, methods, scenario, breaks in [
        ("FillWithItsIndex", ("store",), "count", {5}),
        ("SetWithItsIndex", ("put",), "count", {5}),
        ("TagWithItsIndex", ("put_tags",), "add tags", {5}),
        ("EpochWithStamps", ("void",), "clear result tag", {1}),
        ("LateStampsWithEpoch", ("stamp_late",), "mixed tags", {1}),
        ("ClaimWithStamps", ("claims",), "tag", {4}),
    ]
)
