"""Damaged endings: what a computation leaves behind that stores nothing, and who may use it."""

from .fills import HELD
from .mutations import caught
from .records import ANY, ENTRY, NOTHING, TOKEN, Held, ending_of
from .tags import Protocol


@caught("nothing again", 8)
class EndingOfAnybody(Protocol):
    """Who never waited for a computation is given that it came to nothing."""

    def waited_for(self, ending, waited):
        return True


@caught("nothing and tag", 1)
class NothingWithoutStamps(Protocol):
    """That there is nothing is believed whatever was invalidated since."""

    def is_same(self, ending, fill):
        return True


@caught("nothing and result tag", 1)
class NothingWithoutEpoch(Protocol):
    """That there is nothing is believed without a look at the epoch."""

    def is_same(self, ending, fill):
        return ending.digest[0] == fill.stamps


@caught("nothing and tag", 1)
class DigestOfTheEnd(Protocol):
    """An ending stands for the stamps of its own time, not for those of its claim."""

    def give_back(self, k, fill, kind, value):
        if kind == NOTHING and fill.is_own:
            tags = self.config.arguments[k]
            stamps = (yield self.asks_stamps(tags)) if tags else ()
            fill = fill._replace(stamps=tuple(zip(tags, stamps)))
            del stamps
        return (yield from super().give_back(k, fill, kind, value))


@caught("nothing and join", 1)
class NothingSharedUnseen(Protocol):
    """Late joiners are given nothing without a look after the seal."""

    def nothing_after_all(self, k, what):
        yield from self.seal()
        return what[1].value, True


@caught("nothing, join and tag", 1)
class NothingSharedWithoutStamps(Protocol):
    """Late joiners are given nothing after a look at the ending alone."""

    def nothing_after_all(self, k, what):
        yield from self.seal()
        (held,) = yield (("get", (TOKEN[k],)),)
        return what[1].value, ending_of(held) == what[1]


@caught("nothing and join", 1)
class NothingSharedBeforeSeal(Protocol):
    """The look for late joiners comes before the seal."""

    def nothing_after_all(self, k, what):
        (held,) = yield (("get", (TOKEN[k],)),)
        yield from self.seal()
        return what[1].value, ending_of(held) == what[1]


@caught("nothing and join", 1)
class EndingSurvivesDelete(Protocol):
    """A deletion takes a token away, but not an ending."""

    def delete(self, k):
        (held,) = yield (("get", (TOKEN[k],)),)
        if isinstance(held, Held):
            yield (("unlink", (ENTRY[k],)),)
        else:
            yield from super().delete(k)


@caught("failing and delete", 4)
class EndsUnchecked(Protocol):
    """An ending is left whatever has become of the token."""

    def end(self, k, fill, ending):
        command = super().end(k, fill, ending)
        return (*command[:2], ANY, command[3])


@caught("failing", 4)
class TakesOverUnchecked(Protocol):
    """An ending is taken over by setting the token."""

    def take_over(self, k, held, token):
        command = super().take_over(k, held, token)
        return (*command[:2], ANY, command[3])


@caught("failing", 8)
class HeirForgets(Protocol):
    """Who takes an ending over hides it from those who waited."""

    def heir(self, token, ending):
        return token


@caught("failing", 8)
class HeirIsNotAsked(Protocol):
    """Who waited looks at bare endings only."""

    def claim_held(self, k, attempt, fill, waited, is_shared, is_forced):
        if isinstance(fill.token, Held) and fill.token.number is not None and is_shared:
            return HELD, fill.token
        return (yield from super().claim_held(k, attempt, fill, waited, is_shared, is_forced))


@caught("nothing", 4)
class NothingIsIgnored(Protocol):
    """Who waited computes although it came to nothing."""

    def is_same(self, ending, fill):
        return False


@caught("two flights", 4)
class AdopterReleases(Protocol):
    """Who adopted a token gives it back."""

    def give_back(self, k, fill, kind, value):
        return (yield from super().give_back(k, fill._replace(is_own=True), kind, value))
