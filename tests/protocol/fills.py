"""How a value is computed and stored: look, claim, compute, store, or give the right back.

Callers of one process meet in a flight, where a scenario has such callers. It is sealed before its
result is stored: who comes later looks for the entry instead. Those who came before are given the
result only if it was seen to be valid after the seal (A9).
"""

from collections import namedtuple

from .reads import Reads
from .records import (
    ALONE,
    ENTRY,
    EPOCH,
    FOR_EPOCH,
    FOR_LATE_STAMP,
    FOR_TOKEN,
    NOTHING,
    TIMEOUT,
    TOKEN,
    Ending,
    Frame,
    Held,
    Value,
    ending_of,
    is_bare,
)

#: The right to store.
Fill = namedtuple("Fill", "token is_own stamps epoch")

#: What a claim is answered.
FOUND, GIVEN, HELD, CAME_TO_NOTHING, AGAIN, ELSEWHERE = (
    "found", "given", "held", "nothing", "again", "elsewhere",
)  # fmt: skip
#: What a computation comes to.
VALUE, ERROR = "value", "error"
#: The reply to a store that ran behind the rest of its batch.
LATE = 2


class Fills(Reads):
    """Calls, and what they are made of."""

    def call(self, k, outcome=VALUE):
        """A cached call: a hit, a stale hit with a refresh behind it, or a miss."""
        hit = yield from self.look(k)
        if hit and hit[1]:
            return hit[0]
        if self.is_joined:
            shared = yield from self.board(k, bool(hit))
            if shared is not None:
                return hit[0] if hit else shared
        if hit:
            yield (("answer", (), k, hit[0]),)  # The caller leaves, the refresh goes on.
        return (yield from self.lead(k, outcome, bool(hit), False))

    join = call

    def refresh(self, k):
        """A computation that is asked for whatever stands there."""
        yield self.fence(k)
        return (yield from self.lead(k, VALUE, False, True))

    def fence(self, k):
        """Takes the right to store away from whoever computes."""
        return (("unlink", (TOKEN[k],)),)

    def board(self, k, is_refresh):
        """What a flight of this process came to; ``None`` for who has to lead one."""
        while True:
            (flight,) = yield (("board", (), k),)
            if flight is None:
                return None
            if is_refresh:
                return flight  # Somebody does it already.
            (shared,) = yield (("landing", (), flight),)
            if shared is not None:
                return shared

    def lead(self, k, outcome, is_refresh, is_forced):
        """Compute or find a value, and hand it to those who wait in this process."""
        value, is_shared = yield from self.steps(k, outcome, is_refresh, is_forced)
        if self.is_joined:
            yield (("land", (), value if is_shared else None),)
        return value

    def steps(self, k, outcome, is_refresh, is_forced):
        """The way of a miss; the value, and whether others of this process may be given it."""
        how, what = yield from self.claimed(k, is_refresh, is_forced)
        if how == ELSEWHERE:
            return None, False
        if how == FOUND:
            return (yield from self.found_after_all(k, what))
        if how == CAME_TO_NOTHING:
            return (yield from self.nothing_after_all(k, what))
        (version,) = yield (("compute", (), k, what.token, what.is_own, is_forced),)
        yield from self.renew(k, what)
        if outcome == ERROR:
            yield from self.give_back(k, what, ALONE, None)
            return None, False
        since = (0, version)
        tags = self.config.arguments[k] + self.config.results[k]
        value = Value(self.number, since, tuple((t, since) for t in tags))
        yield from self.seal()
        if outcome == NOTHING:
            return value, (yield from self.give_back(k, what, NOTHING, value))
        return value, (yield from self.fill(k, what, value))

    def renew(self, k, fill):
        """Compare and prolong, while the computation runs: changes nothing that is modelled."""
        yield from ()

    def seal(self):
        """From now on nobody joins the flight."""
        if self.is_joined:
            yield (("seal", ()),)

    # Claiming.

    def claimed(self, k, is_refresh, is_forced):
        """What stands there after all, or the right to store, once it is this caller's turn."""
        is_shared, waited, attempt = self.config.singleflight or is_refresh, None, 0
        while True:
            how, what = yield from self.claim(k, attempt, waited, is_shared, is_forced)
            attempt += 1  # Each try has a token of its own (A10).
            if how == HELD:
                if is_refresh:
                    return ELSEWHERE, None
                waited = what
            elif how == TIMEOUT:
                is_shared, waited = False, None
            elif how != AGAIN:
                return how, what

    def claim(self, k, attempt, waited, is_shared, is_forced):
        """Ask for the right to compute and store. Who waits asks until the token has changed."""
        token = self.drawn(attempt, FOR_TOKEN)
        take = ("take", (TOKEN[k],), token, waited)
        replies = yield from self.claims(take, k, attempt)
        if replies == TIMEOUT:
            return TIMEOUT, None
        held = replies[0]
        fill, frame = self.read_claim(k, token if held is None else held, held is None, replies)
        del replies, take
        if frame is not None and not is_forced and (yield from self.is_found(k, fill, frame)):
            return FOUND, frame.value
        if held is None:
            return GIVEN, fill
        return (yield from self.claim_held(k, attempt, fill, waited, is_shared, is_forced))

    def claim_held(self, k, attempt, fill, waited, is_shared, is_forced):
        """What becomes of a claim whose token somebody else has, or had."""
        held = fill.token
        ending = ending_of(held)
        if ending is not None and is_shared and self.waited_for(ending, waited):
            if ending.kind == NOTHING and self.is_same(ending, fill):
                return CAME_TO_NOTHING, (held, ending)
            if ending.kind == ALONE and not is_bare(held):
                return GIVEN, fill
        if not is_bare(held):
            return (HELD, held) if is_shared else (GIVEN, fill)
        token = self.heir(self.drawn(attempt, FOR_TOKEN), ending)
        replies = yield from self.claims(self.take_over(k, held, token), k, attempt)
        if not replies[0]:
            return AGAIN, None
        fill, frame = self.read_claim(k, token, True, replies)
        del replies
        if frame is not None and not is_forced and (yield from self.is_found(k, fill, frame)):
            return FOUND, frame.value
        return GIVEN, fill

    def claims(self, command, k, attempt):
        """Send what takes a token, and the reads behind it."""
        return (yield (command, *self.asks_claim(k, attempt)))

    def asks_claim(self, k, attempt):
        """What a claim reads behind the token: entry, stamps, epoch."""
        epoch = ("ensure", (EPOCH,), self.drawn(attempt, FOR_EPOCH))
        late = (epoch,) if self.config.results[k] else ()
        return self.asks_entry(k) + self.ensures(self.config.arguments[k], attempt) + late

    def read_claim(self, k, token, is_own, replies):
        """The right that a claim's replies give, and the fresh entry that they show."""
        frame, is_fresh, taken = self.found(replies[1:])
        tags = self.config.arguments[k]
        stamps = tuple(zip(tags, replies[1 + taken :]))
        epoch = replies[-1] if self.config.results[k] else None
        return Fill(token, is_own, stamps, epoch), frame if is_fresh else None

    def is_found(self, k, fill, frame):
        """Whether a fresh entry is valid; the token is given back if so (A2)."""
        is_standing = yield from self.stands(frame, dict(fill.stamps))
        if is_standing:
            yield from self.give_back(k, fill, None, None)
        return is_standing

    # Endings.

    def waited_for(self, ending, waited):
        """Whether it is the end of what this caller has waited for."""
        return ending.of == waited

    def is_same(self, ending, fill):
        """Whether nothing was invalidated since the claim of a computation that has ended."""
        return ending.digest == (fill.stamps, fill.epoch)

    def heir(self, token, ending):
        """The token of who takes an ending over: those who waited still see the ending."""
        return Held(token, ending)

    def take_over(self, k, held, token):
        """The command that takes an ending over."""
        return ("take_over", (TOKEN[k],), held, token)

    def end(self, k, fill, ending):
        """The command that leaves an ending where the token was."""
        return ("end", (TOKEN[k],), fill.token, Held(None, ending))

    def release(self, k, fill):
        """The command that takes the token away, if it is this one."""
        return ("release", (TOKEN[k],), fill.token)

    def give_back(self, k, fill, kind, value):
        """Give the right back (A2); whether nothing was written or invalidated since the claim.

        Without a kind the token just goes, else it becomes an ending.
        """
        if kind is None:
            if fill.is_own:
                yield (self.release(k, fill),)
            return False
        ending = Ending(fill.token, kind, (fill.stamps, fill.epoch), value)
        command = self.end(k, fill, ending) if fill.is_own else ("get", (TOKEN[k],))
        asked = self.asks_shared(k, fill) if self.is_joined else ()
        replies = yield (command, *asked)
        stood = replies[0] == 1 if fill.is_own else replies[0] == fill.token
        return stood and self.is_unchanged(fill, replies[1:])

    def asks_shared(self, k, fill):
        """What tells whether a result may be shared. It goes nowhere else."""
        tags = self.config.arguments[k]
        return self.asks_stamps(tags) + self.asks_epoch(self.config.results[k])

    def is_unchanged(self, fill, replies):
        """Whether stamps and epoch are those of the claim."""
        count = len(fill.stamps)
        epoch = replies[count] if len(replies) > count else None
        return tuple(stamp for _, stamp in fill.stamps) == replies[:count] and epoch == fill.epoch

    # Sharing what was found.

    def found_after_all(self, k, value):
        """What was found, and whether others may be given it: it is looked at once more."""
        if not self.is_joined or not (yield (("parties", ()),))[0]:
            return value, False
        yield from self.seal()
        again = yield from self.look(k)
        return (again[0], True) if again and again[1] else (value, False)

    def nothing_after_all(self, k, what):
        """The same for a result that is not stored: its ending, and the stamps behind it."""
        held, ending = what
        if not self.is_joined or not (yield (("parties", ()),))[0]:
            return ending.value, False
        yield from self.seal()
        replies = yield (("get", (TOKEN[k],)), *self.asks_shared(k, None))
        stamps = tuple(zip(self.config.arguments[k], replies[1:]))
        epoch = replies[-1] if self.config.results[k] else None
        is_same = self.is_same(ending, Fill(None, False, stamps, epoch))
        return ending.value, ending_of(replies[0]) == ending and is_same

    # Storing.

    def fill(self, k, fill, value):
        """Store, unless something was written or invalidated since the claim."""
        stamps = fill.stamps
        if self.config.results[k]:
            late = yield from self.stamp_late(k, fill)
            if late is None:
                yield from self.give_back(k, fill, None, None)
                return False
            stamps += late
        frame = Frame(value, stamps, self.config.new_age, False)
        return (yield from self.store(k, fill, frame))

    def stamp_late(self, k, fill):
        """The stamps of tags that the result has named; ``None`` if there was an invalidation."""
        tags = self.config.results[k]
        replies = yield (*self.ensures(tags, 0, FOR_LATE_STAMP), ("get", (EPOCH,)))
        if not self.is_same_epoch(replies[-1], fill.epoch):
            return None
        return tuple(zip(tags, replies))

    def is_same_epoch(self, now, before):
        """Whether nothing was invalidated; an epoch that is missing is never the same."""
        return now is not None and now == before

    def store(self, k, fill, frame):
        """Index, entry (A3), then a last look at the stamps; whether the entry stands."""
        tags = tuple(t for t, _ in frame.stamps)
        filed = self.files(frame.stamps, k)
        looks = self.asks_stamps(tags) if self.is_joined else ()
        replies = yield filed + (self.store_command(k, fill, frame), *looks)
        stored, current = replies[len(filed)], replies[len(filed) + 1 :]
        if stored == LATE and looks:
            current = yield self.asks_stamps(tags)
        return stored != 0 and current == tuple(stamp for _, stamp in frame.stamps)

    def store_command(self, k, fill, frame):
        """The script that stores while the token stands."""
        return ("store", (TOKEN[k], ENTRY[k]), fill.token, frame)
