"""The model of ``lock(name)``: one key for who has it, one for the last fence; clients, and clocks.

Each request is three moves: it leaves, the server does it, the reply arrives; time passes between
any two. A client believes that it has the lock while its own clock is before the end that it noted
when the request left. A client that does nothing for a while is frozen.

1. At most one client believes that it has the lock, unless the server has lost it in between.
2. Fences increase strictly, in the order in which the locks were given.
3. A release or renewal of a former holder never touches the lock of another.
"""

from collections import namedtuple

from .invariants import require

#: How long a lock lives, and how long the model runs; in ticks of the clock.
LIFE, END = 2, 5
#: Before all time.
LONG_AGO = -100

#: ``lock``: who has it (a token) and until when; ``fence``: the last one given, if it is known. The
#: server's clock is the true one and ``shift``. ``last`` is the last fence that anybody was given.
State = namedtuple("State", "now shift lock fence last clients restarts steps_back")
#: ``token`` is what it calls itself; ``until`` when it stops to believe; ``request`` is under way,
#: ``reply`` is what the server has answered.
Holder = namedtuple("Holder", "token until request start reply turns")


class Locks:
    """Clients that acquire, renew and release, with a server that may restart and clocks."""

    def __init__(self, clients=2, turns=2, restarts=1, steps_back=1):
        holder = Holder(None, LONG_AGO, None, LONG_AGO, None, turns)
        self.initial = State(0, 0, None, None, 0, (holder,) * clients, restarts, steps_back)

    # The server, in one step each.

    def acquire(self, state, token):
        """Script: gives the lock if it is free, with a fence. The reply, and what stands then."""
        if state.lock is not None:
            return None, state
        fence = self.next_fence(state)
        lock = (token, state.now + LIFE)
        return fence, state._replace(lock=lock, fence=fence)

    def next_fence(self, state):
        """One more than the last, and never less than the time."""
        return max((state.fence or 0) + 1, state.now + state.shift)

    def renew(self, state, token):
        """Script: compare and prolong."""
        if state.lock is None or state.lock[0] != token:
            return False, state
        return True, state._replace(lock=(token, state.now + LIFE))

    def release(self, state, token):
        """Script: compare and delete."""
        if state.lock is None or state.lock[0] != token:
            return False, state
        return True, state._replace(lock=None)

    # A client.

    def noted_end(self, holder, now):
        """Until when a client believes in what it was granted: from when its request left."""
        del now
        return holder.start + LIFE

    def believes(self, holder, now):
        """Whether a client believes that it has the lock."""
        return holder.token is not None and now < holder.until

    def forgets_first(self):
        """Whether a client stops to believe before it sends a release."""
        return True

    # Moves.

    def moves(self, state):
        """What may happen next."""
        moves = []
        for c, holder in enumerate(state.clients):
            if holder.request is None:
                moves += self._requests(state, c, holder)
            else:
                moves.append(("serve" if holder.reply is None else "hear", c))
        if state.now < END:
            moves.append(("tick",))
        if state.restarts and state.now + state.shift > state.last:
            moves.append(("restart",))
        if state.steps_back and state.fence is not None and state.now + state.shift > 0:
            moves.append(("step back",))
        return moves

    def _requests(self, state, c, holder):
        if holder.token is None:
            return [("acquire", c)] if holder.turns else []
        # Also one that is late: it may not know yet.
        return [("release", c), ("renew", c)] if holder.turns else [("release", c)]

    def apply(self, state, move):
        """The state after a move."""
        kind = move[0]
        if kind == "tick":
            now = state.now + 1
            lock = state.lock if state.lock is not None and state.lock[1] > now else None
            state = state._replace(now=now, lock=lock)
        elif kind == "restart":
            state = self._restart(state)
        elif kind == "step back":
            state = state._replace(shift=state.shift - 1, steps_back=state.steps_back - 1)
        else:
            state = self._client_move(state, kind, move[1])
        believing = [h for h in state.clients if self.believes(h, state.now)]
        require(len(believing) < 2, 1, "two clients believe that they have the lock")
        return state

    def _restart(self, state):
        """The server begins empty. Who had the lock can't know: that is what fences are for.

        So what it believes counts no more.
        """
        lost = tuple(h._replace(until=LONG_AGO, start=LONG_AGO) for h in state.clients)
        restarts = state.restarts - 1
        return state._replace(lock=None, fence=None, clients=lost, restarts=restarts)

    def _client_move(self, state, kind, c):
        holder = state.clients[c]
        if kind == "serve":
            return self._serve(state, c, holder)
        if kind == "hear":
            return self._changed(state, c, self._hear(holder, state.now))
        # Each acquisition has a token of its own.
        token = (c, holder.turns) if kind == "acquire" else holder.token
        until = LONG_AGO if kind == "release" and self.forgets_first() else holder.until
        turns = holder.turns - (kind != "release")
        holder = Holder(token, until, kind, state.now, None, turns)
        return self._changed(state, c, holder)

    def _serve(self, state, c, holder):
        before = state.lock
        reply, state = getattr(self, holder.request)(state, holder.token)
        if holder.request == "acquire" and reply is not None:
            require(reply > state.last, 2, "a fence is not above the last one")
            state = state._replace(last=reply)
        elif before is not None and before[0] != holder.token:
            require(state.lock == before, 3, "a former holder touched the lock of another")
        return self._changed(state, c, holder._replace(reply=(reply,)))

    def _hear(self, holder, now):
        (reply,) = holder.reply
        kind, end = holder.request, self.noted_end(holder, now)
        holder = holder._replace(reply=None, request=None, start=LONG_AGO)
        has_it = {"acquire": reply is not None, "renew": reply, "release": False}[kind]
        return holder._replace(until=end) if has_it else holder._replace(token=None, until=LONG_AGO)

    @staticmethod
    def _changed(state, c, holder):
        return state._replace(clients=(*state.clients[:c], holder, *state.clients[c + 1 :]))


# Damaged locks.


class ReleaseUnchecked(Locks):
    """A release deletes whatever lock there is."""

    def release(self, state, token):
        return True, state._replace(lock=None)


class RenewUnchecked(Locks):
    """A renewal sets the lock again."""

    def renew(self, state, token):
        return True, state._replace(lock=(token, state.now + LIFE))


class FenceIsACounter(Locks):
    """Fences are counted, and begin anew when the server does."""

    def next_fence(self, state):
        return (state.fence or 0) + 1


class FenceIsTheTime(Locks):
    """A fence is the time of the server, whose clock may step back."""

    def next_fence(self, state):
        return state.now + state.shift


class EndFromTheReply(Locks):
    """A client counts the life of its lock from when the reply arrived."""

    def noted_end(self, holder, now):
        return now + LIFE


class NeverLate(Locks):
    """A client believes until it is told otherwise, however long it was frozen."""

    def believes(self, holder, now):
        return holder.token is not None and holder.until >= 0


class BelievesWhileReleasing(Locks):
    """A client believes until it hears that its lock was released."""

    def forgets_first(self):
        return False


#: Every damaged lock, and the invariant that it breaks.
DAMAGED = (
    (ReleaseUnchecked, 3),
    (RenewUnchecked, 3),
    (FenceIsACounter, 2),
    (FenceIsTheTime, 2),
    (EndFromTheReply, 1),
    (NeverLate, 1),
    (BelievesWhileReleasing, 1),
)
